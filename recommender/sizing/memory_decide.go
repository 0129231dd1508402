package sizing

import "math"

func (m *Memory) decide(at int64, held, least float64, a *MemoryAdvice) {
	want, cost := m.want(at, least)
	gain := cost(math.Log(max(held, 1))) - cost(math.Log(want))
	switch {
	case held == 0:
		m.grow(at, want, MemoryFirst, a)
	case held < least:
		m.grow(at, want, m.bound(least, a), a)
	case want > held*(1+memorySame) && gain > memoryGrow:
		m.grow(at, want, MemoryPriced, a)
	case want < held*(1-memorySame) && gain > memoryChange && at-m.grown >= memoryWait:
		shrink(held, want, a)
	}
}

// want is the cheapest request that is not below least, and the price by which it was found.
func (m *Memory) want(at int64, least float64) (float64, func(ln float64) float64) {
	f := m.forecast(at)
	cost := m.price(&f)
	want := math.Exp(f.cheapest(math.Log(least), cost))
	if limit := m.o.Limit; limit > 0 && (want >= limit || cost(math.Log(limit)) <= cost(math.Log(want))) {
		want = max(limit, least) // above the limit nothing can be used, so that an excess is impossible
	}
	if m.leaking {
		want = max(least, min(want, m.leakNeeds()))
	}
	return max(want, least), cost
}

// price is the cost of a day with a request, given as ln bytes.
func (m *Memory) price(f *memoryForecast) func(ln float64) float64 {
	limit := math.Inf(1)
	if m.o.Limit > 0 {
		limit = math.Log(m.o.Limit)
	}
	return func(ln float64) float64 {
		if ln >= limit {
			return ln
		}
		return ln + m.o.Risk*f.above(ln)
	}
}

// leakNeeds is enough for two days of a leak: more would only postpone the restart.
func (m *Memory) leakNeeds() float64 {
	return float64(max(m.today.peak, m.before))*(1+m.o.Margin) + 2*m.leak.slope()
}

// bound names what a request must not be below.
func (m *Memory) bound(least float64, a *MemoryAdvice) MemoryReason {
	switch near := a.Peak * (1 + m.o.Margin); {
	case least <= near || m.o.Limit > 0 && least == m.o.Limit:
		return MemoryNear
	case !m.o.InPlace && least <= a.Load*(1+m.o.Margin):
		return MemoryLoad
	case least <= m.o.Floor:
		return MemorySettled
	}
	return MemoryKilled
}

func (m *Memory) grow(at int64, want float64, why MemoryReason, a *MemoryAdvice) {
	a.Request, a.Reason, m.grown = want, why, at
}

func shrink(held, want float64, a *MemoryAdvice) {
	a.Request, a.Reason = want, MemoryIdle
	if step := held * (1 - memoryStep); want < step {
		a.Request, a.Reason = step, MemoryStepped
	}
}

// Cost prices a day with a request, by the same forecast that Request decides by.
func (m *Memory) Cost(at int64, request float64) MemoryCost {
	if m.at == 0 || !(request > 0) {
		return MemoryCost{}
	}
	f := m.forecast(at)
	c := MemoryCost{Reserved: request / 1024 / 1024 / 1024 * 24, Idle: 1 - m.days.usual(m.today, m.today.elapsed(at))/request}
	if m.o.Limit == 0 || request < m.o.Limit {
		c.Chance = f.above(math.Log(request))
	}
	c.Excess = m.o.Risk * c.Chance
	return c
}

// Limit is advice for a memory limit where a policy sizes limits from peaks: at least the request, a
// floor left by a kill and what a start takes, and so much that the forecast exceeds it on one day in a
// thousand at most, but no more than memoryReach over the highest peak.
func (m *Memory) Limit(at int64, request float64) float64 {
	if m.at == 0 {
		return request
	}
	f := m.forecast(at)
	low := math.Log(max(request, m.floors.least(at, m.start.image), m.start.load()*(1+m.o.Margin), 1))
	high := max(low, f.top+memoryReach)
	for ln := low; ln < high; ln += memoryGrid {
		if f.above(ln) <= memoryRare {
			return math.Exp(ln)
		}
	}
	return math.Exp(high)
}
