package sizing

import "time"

// Step is a change that a plan makes.
type Step struct {
	At      time.Time `json:"at"`
	Request float64   `json:"request"` // cores
}

// Explanation is a request with what it was weighed by.
type Explanation struct {
	Request   float64 `json:"request"` // cores
	Reason    Reason  `json:"reason"`
	Days      float64 `json:"days"`      // since the first sample
	Reserved  float64 `json:"reserved"`  // core-hours of the plan for the next 24 hours
	Shortfall float64 `json:"shortfall"` // its expected shortfall at its price, in core-hours
	Changes   float64 `json:"changes"`   // its changes at their price, in core-hours
	FlatCost  float64 `json:"flatCost"`  // core-hours that the cheapest single request for all of the 24 hours costs by the same account
	Calendar  float64 `json:"calendar"`  // how far the daily and the weekly outlook are believed, 0 to 1
	Steps     []Step  `json:"steps"`     // the changes of the plan, oldest first; none: it is flat
	Left      float64 `json:"left"`      // changes that may be made now
}

// Advise is what a container should request that has live cores now and lately used latest, which need not be
// recorded yet, with the plan behind it; false while too little is known. It takes nothing for granted: what is in
// force is what live says, a change of that is what uses up the budget, and the advice is given again until it is
// followed. It is worked out anew where the hour, what is live or what was used says so. The profile is only read.
func (p *Planner) Advise(u *Profile, s *Standing, at int64, live, latest float64) (Explanation, bool) {
	slot, _ := slotOf(at)
	if u.first == 0 {
		return Explanation{}, false
	}
	t := viewOf(u, s, at)
	if slot > t.turned {
		p.turn(t, slot)
	}
	p.see(t, at, levelIn(live))
	if at-t.first < int64(p.o.Warm/time.Second) {
		return Explanation{}, false
	}
	peak := max(t.peak(slot), levelOf(latest))
	on := occasion{p, slot, p.phase(t, at), levelOf(live), peak}
	if t.advised == nil || t.advised.occasion != on {
		e, ok := p.advise(t, at, levelOf(live), peak)
		if !ok {
			return e, false
		}
		t.advised = &advised{on, e}
	}
	e := t.advised.Explanation
	e.Days = float64(at-t.first) / 86400
	return e, true
}

// advised is an explanation and what it was given for: nothing else changes it.
type advised struct {
	occasion
	Explanation
}

// occasion is all that advice depends on within an hour, but for what was measured before it.
type occasion struct {
	by         *Planner
	slot       int64
	phase      uint8 // of the slot
	live, peak uint8
}

// phase tells apart what a slot brings: its first half, its second, the lead to the next; and whether it may shrink.
func (p *Planner) phase(t view, at int64) (phase uint8) {
	_, into := slotOf(at)
	for i, begun := range [...]bool{into >= slotSeconds/2, into >= slotSeconds-int64(p.o.Lead/time.Second), at >= t.held} {
		if begun {
			phase |= 1 << i
		}
	}
	return phase
}

// advise tries what the plan would do on a copy of what stands.
func (p *Planner) advise(t view, at int64, live, peak uint8) (Explanation, bool) {
	s := *t.Standing
	trial, slot := view{t.Profile, &s, t.now}, s.turned
	trial.ahead, trial.reason = slot, Settled
	if peak > live {
		p.react(trial, worth[peak])
	} else {
		p.renew(trial, slot, at, p.still(trial, at, peak))
	}
	return p.explain(trial, at)
}

// still is the level below which nothing falls within an hour: what it has used, and late in it what the next one
// will want.
func (p *Planner) still(t view, at int64, peak uint8) uint8 {
	slot, into := slotOf(at)
	if into >= slotSeconds/2 {
		peak = max(peak, p.plan(t, slot+1, 0))
	}
	return min(peak, t.level)
}

// see takes note of the level that is in force. Whoever changed it, the debt stays one that an excess may still add to.
func (p *Planner) see(t view, at int64, live uint8) {
	if live == t.level {
		return
	}
	if t.level != 0 {
		t.changes = max(t.changes-1, needed[Excess])
		if live > t.level {
			t.held = at + holdAfter
		}
	}
	t.level = live
}

// Explain gives the request that the planner holds to be in force at an instant, with the plan behind it; false
// while too little is known.
func (p *Planner) Explain(t *Track, at int64) (Explanation, bool) { return p.explain(t.view(at), at) }

func (p *Planner) explain(t view, at int64) (Explanation, bool) {
	request, ok := p.request(t, at)
	if !ok {
		return Explanation{}, false
	}
	p.plan(t, t.now, 0)
	s, price := p.span(t, 0), p.prices(t)
	_, into := slotOf(at)
	e := Explanation{
		Request: request, Reason: t.reason, Days: float64(at-t.first) / 86400, Left: float64(t.changes),
		Calendar: p.trusted[daily] + p.trusted[weekly],
	}
	level := min(max(int(t.level), s.low), s.high)
	for h := range horizon {
		if next := p.next(s, h, level, price.change); next != level && h > 0 {
			begins := at - into + int64(h)*slotSeconds
			if next > level {
				begins -= int64(p.o.Lead / time.Second)
			}
			level = next
			e.Changes += price.change
			e.Steps = append(e.Steps, Step{time.Unix(begins, 0).UTC(), max(worth[level], p.o.Floor)})
		}
		e.Reserved += worth[level]
		e.Shortfall += p.cost[h][level] - worth[level]
	}
	e.FlatCost = p.single(s)
	return e, true
}

// next is the level of the cheapest course in slot h after one level in the slot before.
func (p *Planner) next(s span, h, level int, change float64) int {
	best := level
	if level < s.low || level > s.high {
		best = s.high
	}
	least := p.course[h][best]
	for l := s.low; l <= s.high; l++ {
		if c := p.course[h][l] + change; c < least {
			best, least = l, c
		}
	}
	return best
}

// single is the cost of the cheapest course without a change.
func (p *Planner) single(s span) float64 {
	least := -1.0
	for l := s.low; l <= s.high; l++ {
		sum := 0.0
		for h := range horizon {
			sum += p.cost[h][l]
		}
		if least < 0 || sum < least {
			least = sum
		}
	}
	return least
}
