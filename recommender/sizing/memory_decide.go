package sizing

import "math"

// memoryAnswer is the last decision, which stands until there is news or another request is in force: a
// change that nobody makes is advised again.
type memoryAnswer struct {
	held, request float64 // bytes
	reason        MemoryReason
}

// decide weighs what is wanted against the request held.
func (m memoryView) decide(at int64, held, least float64, bound MemoryReason) memoryAnswer {
	f := m.forecast(at)
	want := max(least, min(math.Exp(f.cheapest(math.Log(least))), m.ceiling()))
	if m.leaking {
		want = max(least, min(want, m.leakNeeds()))
	}
	if held <= 0 {
		return memoryAnswer{held, want, MemoryFirst}
	}
	gain := f.cost(math.Log(held)) - f.cost(math.Log(want))
	switch {
	case held < least:
		return memoryAnswer{held, want, bound}
	case want > held*(1+memorySame) && gain > memoryChange:
		return memoryAnswer{held, want, MemoryPriced}
	case want < held*(1-memoryStep) && m.mayShrink(at, gain):
		return memoryAnswer{held, held * (1 - memoryStep), MemoryStepped}
	case want < held*(1-memorySame) && m.mayShrink(at, gain):
		return memoryAnswer{held, want, MemoryIdle}
	case held <= least*(1+memorySame) && bound != MemoryNear:
		return memoryAnswer{held, held, bound}
	}
	return memoryAnswer{held, held, MemorySettled}
}

func (m memoryView) mayShrink(at int64, gain float64) bool {
	return gain > memoryChange && at-m.grown >= memoryWait
}

// ceiling is the most that is worth requesting, in bytes.
func (m memoryView) ceiling() float64 {
	if m.o.Limit > 0 {
		return m.o.Limit
	}
	return math.Inf(1)
}

// leakNeeds is enough for two days of a leak: more would only postpone the restart.
func (m memoryView) leakNeeds() float64 {
	return float64(max(m.today.peak, m.before))*(1+m.o.Margin) + 2*m.leak.slope()
}

// least is the lowest request that may be advised, whatever it costs, and what it is for.
func (m memoryView) least(at int64, a *MemoryAdvice) (float64, MemoryReason) {
	least, bound := max(a.Peak*(1+m.o.Margin), 1), MemoryNear
	if load := a.Load * (1 + m.o.Margin); !m.o.InPlace && load > least {
		least, bound = load, MemoryLoad
	}
	least = min(least, m.ceiling())
	if m.o.Floor > least {
		least, bound = m.o.Floor, MemoryFloored
	}
	killed := m.floors.least(at, m.start.image)
	a.Floor = max(m.o.Floor, killed)
	if killed > least {
		least, bound = killed, MemoryKilled
	}
	return least, bound
}

// Limit is advice for a memory limit where a policy sizes limits from peaks: at least the request and LimitFloor,
// and so much that the forecast exceeds it on one day in a thousand at most, but no more than memoryReach over the
// highest peak.
func (m *MemoryProfile) Limit(at int64, request float64) float64 {
	if m.at == 0 {
		return request
	}
	f := memoryView{m, &MemoryStanding{o: MemoryOptions{}.filled()}}.forecast(at)
	low := math.Log(max(request, m.LimitFloor(at), 1))
	high := max(low, f.top+memoryReach)
	for ln := low; ln < high; ln += memoryGrid {
		if f.above(ln) <= memoryRare {
			return math.Exp(ln)
		}
	}
	return math.Exp(high)
}

// LimitFloor is the least memory limit, in bytes, that what kills and starts have shown allows; zero where there
// were none.
func (m *MemoryProfile) LimitFloor(at int64) float64 {
	return max(m.floors.least(at, m.start.image), m.start.load()*(1+DefaultMemoryMargin))
}

// Leaks tells whether use grows day by day without a plateau.
func (m *MemoryProfile) Leaks() bool { return m.leaking }
