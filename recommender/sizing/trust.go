package sizing

import "math"

// settle closes a slot: every outlook pays for what it would have requested there. One that has
// nothing to go by yet pays as the best one does, so that it begins with a clean name.
func (p *Planner) settle(t view, slot int64) {
	peak := t.peak(slot)
	if peak == 0 {
		return
	}
	price, mean := p.prices(t), t.mean()
	least := math.Inf(1)
	for _, choice := range t.choice {
		if choice != 0 {
			least = min(least, price.of(choice, peak))
		}
	}
	if math.IsInf(least, 1) {
		return
	}
	for k, choice := range t.choice {
		paid := least
		if choice != 0 {
			paid = price.of(choice, peak)
		}
		t.cost[k] = float32(float64(t.cost[k])*forget + paid/mean)
	}
}

// forget is what an hour leaves of the cost of choices: half of it in a week.
var forget = math.Exp2(-1.0 / lagging)

// trust is how far each outlook is believed, by what its choices cost beside the best one's.
func (p *Planner) trust(t view) {
	least := t.cost[0]
	for _, c := range t.cost {
		least = min(least, c)
	}
	total := 0.0
	for k, c := range t.cost {
		p.trusted[k] = prior[k] * (math.Exp(-learning*float64(c-least)) + doubt)
		total += p.trusted[k]
	}
	for k := range p.trusted {
		p.trusted[k] /= total
	}
}

// choose writes down what each outlook would request in a slot that begins.
func (p *Planner) choose(t view, slot int64) {
	s, price, past := p.span(t, 0), p.prices(t), p.follow(t, slot)
	for k := range t.choice {
		switch k {
		case flat:
			p.odds.any(past)
		case daily:
			p.odds.like(past, 0, perDay)
		case weekly:
			p.odds.like(past, 0, perWeek)
		case recent:
			p.odds.lately(past, 1)
		}
		p.one, t.choice[k] = row{}, 0
		if p.odds.priced(&p.one, s, price, 1) {
			t.choice[k] = s.cheapest(&p.one, 1)
		}
	}
}
