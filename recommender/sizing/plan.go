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
	s := span{low: levels - 1, high: int(max(must, t.level, 1))}
	for slot := t.now - kept + 1; slot <= t.now; slot++ {
		if l := int(t.peak(slot)); l != 0 {
			s.low, s.high = min(s.low, l), max(s.high, l)
		}
	}
	s.low = max(min(s.low, s.high), int(levelOf(p.o.Floor)))
	s.high = max(s.high, s.low)
	return s
}

// plan is the request for a slot with which the cheapest course through the horizon begins, must at least.
// The present request stays where another one is not worth its change.
func (p *Planner) plan(t view, slot int64, must uint8) uint8 {
	s, price := p.span(t, must), p.prices(t)
	p.foresee(t, slot, s, price)
	if t.changes < 1 {
		price.change *= scarce
	}
	p.walk(s, price.change)
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

// walk prices the courses backwards: from each slot on, at each level, to stay or to change for the cheapest.
func (p *Planner) walk(s span, change float64) {
	cheapest := 0.0 // of the courses from the slot after, another change included
	for h := horizon - 1; h >= 0; h-- {
		here, least := &p.course[h], math.Inf(1)
		for l := s.low; l <= s.high; l++ {
			later := 0.0
			if h < horizon-1 {
				later = min(p.course[h+1][l], cheapest)
			}
			here[l] = p.cost[h][l] + later
			least = min(least, here[l])
		}
		cheapest = least + change
	}
}

// foresee fills in what each level is expected to cost in each slot of the horizon.
func (p *Planner) foresee(t view, slot int64, s span, price prices) {
	p.trust(t)
	var any, late row
	p.odds.any(t, slot)
	known := p.odds.priced(&any, s, price, 1)
	p.odds.lately(t, slot)
	fresh := p.odds.priced(&late, s, price, 1)
	for h := range p.cost {
		c, total := &p.cost[h], 0.0
		*c = row{}
		mix := func(r *row, share float64) {
			for l := s.low; l <= s.high; l++ {
				c[l] += share * r[l]
			}
			total += share
		}
		if known {
			mix(&any, p.trusted[flat])
		}
		if fresh {
			mix(&late, p.trusted[recent]*lingering[h])
		}
		total += p.calendar(t, slot, h, s, price)
		if total == 0 {
			total = 1
		}
		for l := s.low; l <= s.high; l++ {
			c[l] = c[l]/total + worth[l]
		}
	}
}

// calendar adds what the daily and the weekly outlook expect of the slot h hours on, and gives their share.
func (p *Planner) calendar(t view, slot int64, h int, s span, price prices) (share float64) {
	if p.o.Flat {
		return 0
	}
	for _, look := range []struct {
		of     int
		period int64
	}{{daily, perDay}, {weekly, perWeek}} {
		p.odds.like(t, p.wall(slot), slot, h, look.period)
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
