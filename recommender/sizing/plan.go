package sizing

import "math"

// prices are those of the track at hand.
func (p *Planner) prices(t view) prices {
	mean := t.mean()
	return prices{
		excess: p.o.Risk * excessPrice * mean,
		missed: p.o.Risk * missedPrice,
		change: changePrice * mean,
	}
}

// span is the levels of all that was measured, of the request and of what it must be at least.
func (p *Planner) span(t view, must uint8) span {
	least, most := uint8(levels-1), max(must, t.level, 1)
	for slot, now := t.oldest(), int64(t.slots.now); slot <= now; {
		run := t.run(slot, now)
		for _, l := range run {
			least, most = min(least, l-1), max(most, l) // level 0, nothing, is the highest one then
		}
		slot += int64(len(run))
	}
	s := span{low: int(least) + 1, high: int(most)}
	s.least = max(1, min(s.low, s.high))
	s.low = max(s.least, int(levelOf(p.o.Floor)))
	s.high = max(s.high, s.low)
	return s
}

// plan is the request for a slot with which the cheapest course through the horizon begins, must at least.
// The present request stays where another one is not worth its change.
func (p *Planner) plan(t view, slot int64, must uint8) uint8 {
	s, price := p.span(t, must), p.prices(t)
	if t.changes < 1 {
		price.change *= scarce
	}
	p.lay(t, slot, s, price)
	best, least := 0, math.Inf(1)
	for l := max(s.low, int(must)); l <= s.high; l++ {
		if c := p.course[0][l]; c < least {
			best, least = l, c
		}
	}
	if l := t.level; l != 0 && l >= must && int(l) >= s.low && p.course[0][l] <= least+price.change {
		return l
	}
	return uint8(best)
}

// laid is for what the planner's costs and courses were worked out, of one container at one instant.
type laid struct {
	slot   int64
	span   span
	change float64
}

// lay works out costs and courses, where they are not the ones of before.
func (p *Planner) lay(t view, slot int64, s span, price prices) {
	before := p.laid
	p.laid = laid{slot, s, price.change}
	if !p.again || slot != before.slot || s != before.span {
		p.foresee(t, slot, s, price)
	} else if p.laid == before {
		return
	}
	p.walk(s, price.change)
}

// walk prices the courses backwards: from each slot on, at each level, to stay or to change for the cheapest.
func (p *Planner) walk(s span, change float64) {
	var nothing row
	after, cheapest := nothing[s.low:s.high+1], 0.0 // of the courses from the slot after, another change included
	for h := horizon - 1; h >= 0; h-- {
		cost, here, least := p.cost[h][s.low:s.high+1], p.course[h][s.low:s.high+1], math.Inf(1)
		for l, later := range after {
			if later > cheapest {
				later = cheapest
			}
			c := cost[l] + later
			here[l] = c
			if c < least {
				least = c
			}
		}
		after, cheapest = here, least+change
	}
}

// foresee fills in what each level is expected to cost in each slot of the horizon.
func (p *Planner) foresee(t view, slot int64, s span, price prices) {
	p.trust(t)
	past := p.follow(t, slot)
	var any, late row
	p.odds.any(past)
	known := p.odds.priced(&any, s, price, 1)
	p.odds.lately(past, 0)
	fresh := p.odds.priced(&late, s, price, 1)
	for h := range p.cost {
		usual, newest := 0.0, 0.0 // shares
		if known {
			usual = p.trusted[flat]
		}
		if fresh {
			newest = p.trusted[recent] * lingering[h]
		}
		c, lately := p.cost[h][s.low:s.high+1], late[s.low:s.high+1]
		for l, v := range any[s.low : s.high+1] {
			c[l] = usual*v + newest*lately[l]
		}
		total := usual + newest + p.calendar(past, h, s, price)
		if total == 0 {
			total = 1
		}
		for l, v := range worth[s.low : s.high+1] {
			c[l] = c[l]/total + v
		}
	}
}

// calendar adds what the daily and the weekly outlook expect of the slot h hours on, and gives their share.
func (p *Planner) calendar(past *line, h int, s span, price prices) (share float64) {
	if p.o.Flat {
		return 0
	}
	for _, look := range []struct {
		of     int
		period int64
	}{{daily, perDay}, {weekly, perWeek}} {
		p.odds.like(past, h, look.period)
		if p.odds.priced(&p.cost[h], s, price, p.trusted[look.of]) {
			share += p.trusted[look.of]
		}
	}
	return share
}

// wall is the wall clock of the planner's zone around a slot.
func (p *Planner) wall(slot int64) *clock {
	if p.clocked != slot {
		p.clock, p.clocked = clockAt(p.o.Zone, slot), slot
	}
	return &p.clock
}
