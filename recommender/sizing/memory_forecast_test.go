package sizing

import (
	"math"
	"testing"
)

func TestMemoryStrays(t *testing.T) {
	for _, row := range []struct{ x, want float64 }{{0, 0.5}, {3, 0.0625}, {-3, 0.9375}, {9, 0.0078125}} {
		if got := memoryStrays(row.x); math.Abs(got-row.want) > 1e-12 {
			t.Errorf("strays(%g) = %v, want %v", row.x, got, row.want)
		}
	}
}

// memoryOfOneDay has seen a day at 1 GiB throughout, which weighs 1.1 against the 0.5 of the unseen;
// errors are of 0.002, an unseen day's of 0.02.
func memoryOfOneDay(o MemoryOptions) *Memory {
	m := NewMemory(o)
	m.days.close(memoryToday{sum: 288 * gib, count: 288, peak: gib})
	return m
}

func TestMemoryForecastOfOneDay(t *testing.T) {
	for _, row := range []struct{ over, limit, want float64 }{
		{0, 0, 0.656250},           // (0.5 x 1 + 1.1 x 0.5) / 1.6
		{0.006, 0, 0.277755},       // 3 errors and 0.3 of the unseen: (0.5 x 1.1^-3 + 1.1 x 0.0625) / 1.6
		{0.06, 0, 0.039321},        // 30 and 3: (0.5 / 8 + 1.1 x 0.5 / 1331) / 1.6
		{-0.006, 0, 0.957031},      // (0.5 + 1.1 x 0.9375) / 1.6
		{0.006, 1.0001 * gib, 0},   // nothing is used over a limit
		{0.006, 2 * gib, 0.277755}, // which is further up here
	} {
		f := memoryOfOneDay(MemoryOptions{Limit: row.limit}).view().forecast(memoryT0)
		if got := f.above(f.newest + row.over); math.Abs(got-row.want) > 5e-4 {
			t.Errorf("%+g over, limit %g: %.6f, want %.6f", row.over, row.limit, got, row.want)
		}
	}
}

// The chance falls with the request, and is a probability.
func TestMemoryForecastFalls(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 100, spiky(3), nil)
	f := m.view().forecast(memoryT0 + 100*memoryDay)
	last := 1.0
	for ln := 5.0; ln < 35; ln += 0.01 {
		p := f.above(ln)
		if !(p >= 0 && p <= last) {
			t.Fatalf("above(%g) = %v after %v", ln, p, last)
		}
		last = p
	}
	if f.n != memoryPoints-1 && f.n != memoryPoints {
		t.Errorf("%d points after 100 days, want all", f.n)
	}
}

// The grid finds the cheapest of its requests, and the limit where that is cheaper still.
func TestMemoryCheapest(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 60, spiky(11), nil)
	f := m.view().forecast(memoryT0 + 60*memoryDay)
	least := math.Log(gib)
	best := f.cheapest(least)
	for ln := least; ln < f.top+memoryReach; ln += 0.001 {
		if f.cost(ln) < f.cost(best)-memoryGrid {
			t.Errorf("%.3f costs %.4f, the cheapest found %.3f %.4f", ln, f.cost(ln), best, f.cost(best))
		}
	}
	if f.limit = best + 0.02; f.cheapest(least) != f.limit {
		t.Errorf("%v, want the limit %v: two percent more and no risk", f.cheapest(least), f.limit)
	}
}

// A limit from peaks covers all but one day in a thousand, kills and starts, and is no less than the request.
func TestMemoryLimitAdvice(t *testing.T) {
	m := memoryOfOneDay(MemoryOptions{})
	m.at, m.first = memoryT0, memoryT0-memoryDay
	limit := m.Limit(memoryT0, gib)
	f := m.view().forecast(memoryT0)
	if p := f.above(math.Log(limit)); p > memoryRare || limit > 2*gib {
		t.Errorf("limit %.3f GiB is exceeded with %.5f, want 0.001 at most and under 2 GiB", limit/gib, p)
	}
	if got := m.Limit(memoryT0, 5*gib); got < 5*gib*0.999999 {
		t.Errorf("limit %.3f GiB under the request of 5", got/gib)
	}
	m.OOM(memoryT0, 3*gib, 1)
	if got := m.Limit(memoryT0, gib); got < 3.6*gib*0.999999 {
		t.Errorf("limit %.3f GiB after a kill at 3, want 3.6", got/gib)
	}
}
