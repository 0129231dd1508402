package sizing

import (
	"slices"
	"time"
)

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

// Due tells whether a container that has live cores now and lately used latest, which need not be recorded yet, is
// to be advised anew; until then its last advice stands. Ok is false while too little is known. It takes nothing for
// granted: what is in force is what live says, and a change of that is what uses up the budget.
func (p *Planner) Due(u *Profile, s *Standing, at int64, live, latest float64) (due, ok bool) {
	slot, _ := slotOf(at)
	if u.first == 0 {
		return false, false
	}
	t := p.view(u, s, at)
	if slot > t.turned {
		p.turn(t, slot)
	}
	p.see(t, at, levelIn(live))
	if at-t.first < int64(p.o.Warm/time.Second) {
		return false, false
	}
	return !s.on.covers(p.occasion(t, at, live, latest)), true
}

// Advise is the advice, with the plan behind it, and false while too little is known. It is given again until it is
// followed. The profile is only read.
func (p *Planner) Advise(u *Profile, s *Standing, at int64, live, latest float64) (Explanation, bool) {
	if _, ok := p.Due(u, s, at, live, latest); !ok {
		return Explanation{}, false
	}
	t := p.view(u, s, at)
	on := p.occasion(t, at, live, latest)
	e, bound, ok := p.advise(t, at, levelOf(live), on.peak)
	if ok {
		on.level, on.bound = levelIn(e.Request), bound
		s.on = on
	}
	return e, ok
}

// occasion is all that advice depends on within an hour, but for what was measured before it.
type occasion struct {
	by    *Planner
	slot  int64
	phase uint8 // of the slot
	live  uint8
	peak  uint8 // of use in the slot: no matter while it is neither above live nor above level, unless it is bound
	level uint8 // that was advised
	bound bool  // by the peak: without it less would be advised, or more than is live is for it
}

// covers tells whether advice that was given on one occasion stands on another.
func (o occasion) covers(now occasion) bool {
	if !o.bound && now.peak <= min(now.live, o.level) {
		now.peak = o.peak
	}
	now.level, now.bound = o.level, o.bound
	return now == o
}

func (p *Planner) occasion(t view, at int64, live, latest float64) occasion {
	slot, _ := slotOf(at)
	return occasion{by: p, slot: slot, phase: p.phase(t, at), live: levelOf(live), peak: max(t.peak(slot), levelOf(latest))}
}

// phase tells apart what a slot brings: its first reading, its second half, the lead to the next; and whether it may
// shrink.
func (p *Planner) phase(t view, at int64) (phase uint8) {
	slot, into := slotOf(at)
	for i, begun := range [...]bool{t.peak(slot) != 0, into >= slotSeconds/2, into >= slotSeconds-int64(p.o.Lead/time.Second), at >= t.held} {
		if begun {
			phase |= 1 << i
		}
	}
	return phase
}

// advise tries what the plan would do on a copy of what stands, and tells whether the peak of the hour binds it.
func (p *Planner) advise(t view, at int64, live, peak uint8) (e Explanation, bound, ok bool) {
	p.laid, p.again = laid{}, true
	defer func() { p.again = false }()
	s := *t.Standing
	trial, slot := t, s.turned
	trial.Standing = &s
	trial.ahead, trial.reason = slot, Settled
	if bound = peak > live; bound {
		p.react(trial, at, worth[peak])
	} else {
		must := p.still(trial, at, peak)
		bound = p.plan(trial, slot, 0) != p.plan(trial, slot, must)
		p.renew(trial, slot, at, must)
	}
	e, ok = p.explain(trial, at)
	return e, bound, ok
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
	var sum row
	for h := range p.cost {
		for l := s.low; l <= s.high; l++ {
			sum[l] += p.cost[h][l]
		}
	}
	return slices.Min(sum[s.low : s.high+1])
}
