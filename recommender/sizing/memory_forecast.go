package sizing

import "math"

const (
	memorySpread    = 0.002 // how far a peak strays from a day like it, at least, as a logarithm
	memoryRestless  = 0.2   // and how far more for each unit of the mean change from day to day
	memoryUnseen    = 0.5   // weight of a day unlike all that were seen
	memoryUnseenFar = 0.02  // how far such a day's peak goes over the newest, at least, as a logarithm
	memoryPeaky     = 0.1   // and how far more for each unit of ln(peak / mean use)

	memoryReach    = 1.0  // how far over the highest peak a request is looked for, as a logarithm
	memoryGrid     = 0.04 // between the requests that are compared, as a logarithm
	memoryGridMost = 80   // of them at most

	memoryPoints = memoryRecentDays + memoryOldWeeks + 2
)

// memoryForecast is what the peak of the next day may be: each day that was seen may come again, with
// a weight that fades with its age, and strays from itself by a heavy-tailed error; with some weight it
// is a day unlike all of them.
type memoryForecast struct {
	at     [memoryPoints]float64 // ln bytes
	weight [memoryPoints]float64
	n      int
	total  float64
	newest float64 // ln bytes
	top    float64 // ln bytes
	narrow float64 // 1 / how far a peak strays from a day like it
	far    float64 // 1 / how far the peak of a day unlike all others goes over the newest
	risk   float64 // MemoryOptions.Risk
	limit  float64 // ln bytes, that use cannot exceed
}

// forecast reads the days. Today counts like them where it is above yesterday, for its end can only be higher;
// else only what is to come of it matters, and the days tell that.
func (m memoryView) forecast(at int64) (f memoryForecast) {
	d := &m.days
	elapsed := m.elapsed(at)
	today := max(float64(m.today.peak), 1)
	if d.n == 0 || memoryLnOf(today) > d.daily[0] {
		f.add(math.Log(today), memoryFading[0])
	}
	for age, peak := range d.daily[:d.n] {
		f.add(peak.ln(), memoryFading[age])
	}
	if d.filled > 0 {
		f.add(d.week.ln(), memoryLingers*float64(d.filled)/7)
	}
	for _, peak := range d.weekly[:d.weeks] {
		f.add(peak.ln(), memoryLingers)
	}
	f.newest = f.at[0]
	peaky := max(0, f.newest-math.Log(d.usual(m.today, elapsed)))
	f.narrow = 1 / (memorySpread + memoryRestless*d.restless(peaky))
	f.far = 1 / (memoryUnseenFar + memoryPeaky*peaky)
	f.risk, f.limit = m.o.Risk, math.Log(m.ceiling())
	return f
}

func (f *memoryForecast) add(ln, weight float64) {
	f.at[f.n], f.weight[f.n] = ln, weight
	f.n++
	f.total += weight
	f.top = max(f.top, ln)
}

// above is the probability that the next day's peak exceeds a request, given as ln bytes. Over the
// limit nothing can be used.
func (f *memoryForecast) above(request float64) float64 {
	if request >= f.limit {
		return 0
	}
	p := memoryUnseen * memoryTail(max(0, request-f.newest)*f.far)
	for i, peak := range f.at[:f.n] {
		p += f.weight[i] * memoryStrays((request-peak)*f.narrow)
	}
	return p / (f.total + memoryUnseen)
}

// cost of a day with a request, given as ln bytes. A percent more of memory costs a hundredth of a day of the request,
// and the chance of an excess is in the same coin, so that the choice is the same for a small container and for a big one.
func (f *memoryForecast) cost(request float64) float64 {
	return request + f.risk*f.above(request)
}

// cheapest is the request of least cost that is not below least; both are ln bytes.
func (f *memoryForecast) cheapest(least float64) float64 {
	most := max(f.top, least) + memoryReach
	step := max(memoryGrid, (most-least)/memoryGridMost)
	best, lowest := least, f.cost(least)
	for ln := least + step; ln <= most; ln += step {
		if c := f.cost(ln); c < lowest {
			best, lowest = ln, c
		}
	}
	if f.limit > least && f.limit < most && f.cost(f.limit) <= lowest {
		return f.limit
	}
	return best
}

// memoryStrays is the probability that an error exceeds x of its spreads: a half at 0, 0.21 at 1, 0.063
// at 3, 0.010 at 8. It is the tail of a two-sided Pareto (Lomax) law of shape 3.
func memoryStrays(x float64) float64 {
	if x < 0 {
		return 1 - memoryTail(-x)/2
	}
	return memoryTail(x) / 2
}

// memoryTail is (1 + x/3)^-3.
func memoryTail(x float64) float64 {
	y := 1 + x/3
	return 1 / (y * y * y)
}
