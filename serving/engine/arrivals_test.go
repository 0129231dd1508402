package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// came is a request of a test.
type came struct {
	at    time.Duration
	rows  int
	class batch.Class
}

// TestArrivals holds what is told to numbers worked out by hand.
func TestArrivals(t *testing.T) {
	i, d, b := batch.Interactive, batch.Default, batch.Bulk
	none := make([]int, 60)
	tests := []struct {
		name string
		came []came
		now  time.Duration
		want Arrivals
	}{
		{"young", []came{{0, 1, d}}, 999 * ms, Arrivals{Ago: 999 * ms}},
		{"nothing came", nil, 5 * time.Second, Arrivals{Seconds: 5, BySecond: make([]int, 5)}},
		// 4 in 4 s. Rows 1+2+3+6 of 4 requests.
		{"even", []came{{0, 1, d}, {1000 * ms, 2, i}, {2000 * ms, 3, i}, {3000 * ms, 6, b}}, 4 * time.Second,
			Arrivals{Seconds: 4, Rate: 1, Peak: 1, BySecond: []int{1, 1, 1, 1}, Rows: 3, Interactive: 0.5, Bulk: 0.25}},
		// The one with unknown rows is not in the mean of rows.
		{"unknown rows", []came{{100 * ms, 2, d}, {200 * ms, 0, d}, {300 * ms, 2, d}, {2100 * ms, 5, d}}, 3250 * ms,
			Arrivals{Seconds: 3, Rate: 4.0 / 3, Peak: 3, BySecond: []int{3, 0, 1}, Ago: 250 * ms, Rows: 3}},
		{"the present second is not whole", []came{{0, 1, d}, {1500 * ms, 1, d}}, 1999 * ms, Arrivals{Seconds: 1, Rate: 1, Peak: 1, BySecond: []int{1}, Ago: 999 * ms, Rows: 1}},
		// Of seconds 1 to 60 the request at 0.9 s is none.
		{"the first second is over", []came{{900 * ms, 9, i}, {1000 * ms, 1, d}, {1001 * ms, 1, d}}, 61 * time.Second,
			Arrivals{Seconds: 60, Rate: 2.0 / 60, Peak: 2, BySecond: append([]int{2}, none[1:]...), Rows: 1}},
		{"long ago, at the place of the first of the seconds told, 61", []came{{0, 1, d}, {1, 1, d}}, 121 * time.Second, Arrivals{Seconds: 60, BySecond: none}},
		{"long ago", []came{{0, 1, d}, {1, 1, d}}, time.Hour, Arrivals{Seconds: 60, BySecond: none}},
	}
	for _, tt := range tests {
		var a arrivals
		for _, c := range tt.came {
			a.add(c.at, c.rows, c.class)
		}
		if got := a.over(tt.now); !alike(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func alike(a, b Arrivals) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-6*max(1, math.Abs(y)) }
	if !near(a.Rate, b.Rate) || !near(a.Burst, b.Burst) || !near(a.Rows, b.Rows) || !near(a.Interactive, b.Interactive) || !near(a.Bulk, b.Bulk) {
		return false
	}
	return a.Seconds == b.Seconds && a.Peak == b.Peak && a.Ago == b.Ago && a.BurstKnown == b.BurstKnown && slices.Equal(a.BySecond, b.BySecond)
}

// TestArrivalsTwin: the naive twin keeps every request and looks at all of them.
func TestArrivalsTwin(t *testing.T) {
	r := newRandom(7)
	for range 60 {
		var a arrivals
		var all []came
		now := time.Duration(0)
		mean := math.Exp(r.Float64()*10) * 1e-3 // of the gaps, from 1 ms to 22 s
		for range 400 {
			now += time.Duration(mean * math.Pow(r.Float64(), 3) * float64(time.Second))
			c := came{now, r.IntN(4), batch.Class(r.IntN(3))}
			all = append(all, c)
			a.add(c.at, c.rows, c.class)
			if r.IntN(10) == 0 {
				now += time.Duration(r.Float64() * float64(3*time.Second))
				if got, want := a.over(now), naive(all, now); !alike(got, want) {
					t.Fatalf("after %s: %+v, want %+v", now, got, want)
				}
			}
		}
	}
}

func naive(all []came, now time.Duration) Arrivals {
	end := now.Truncate(time.Second)
	begin := max(0, end-time.Minute)
	out := Arrivals{Seconds: int((end - begin) / time.Second), BySecond: make([]int, (end-begin)/time.Second), Ago: now - end}
	n, rows, known := 0.0, 0.0, 0.0
	bins := make([]float64, (end-begin)/(10*ms))
	for _, c := range all {
		if c.at < begin || c.at >= end {
			continue
		}
		n++
		bins[(c.at-begin)/(10*ms)]++
		out.BySecond[(c.at-begin)/time.Second]++
		if c.rows > 0 {
			rows += float64(c.rows)
			known++
		}
		switch c.class {
		case batch.Interactive:
			out.Interactive++
		case batch.Bulk:
			out.Bulk++
		}
	}
	if n == 0 {
		return out
	}
	out.Rate, out.Peak = n/float64(out.Seconds), slices.Max(out.BySecond)
	out.Interactive /= n
	out.Bulk /= n
	if known > 0 {
		out.Rows = rows / known
	}
	if out.BurstKnown = n >= 30; out.BurstKnown {
		mean, square := n/float64(len(bins)), 0.0
		for _, c := range bins {
			square += (c - mean) * (c - mean) / float64(len(bins))
		}
		out.Burst = math.Sqrt(square / mean)
	}
	return out
}

// TestBurst holds the dispersion to numbers worked out by hand. Each stream is n requests at the same distance,
// again at the beginning of each period; of 10 s, which are 1000 bins.
func TestBurst(t *testing.T) {
	tests := []struct {
		name   string
		period time.Duration
		n      int
		every  time.Duration
		want   float64
	}{
		{"one each bin", 10 * ms, 1, 0, 0},
		{"ten each bin", 10 * ms, 10, ms, 0},
		// 2 and 3 by turns: the variance is 0.25, the mean 2.5.
		{"250 a second, even", 4 * ms, 1, 0, math.Sqrt(0.25 / 2.5)},
		// 0 or 1: the variance is p(1-p), the mean is p, a half or a tenth.
		{"50 a second, even", 20 * ms, 1, 0, math.Sqrt(0.5)},
		{"10 a second, even", 100 * ms, 1, 0, math.Sqrt(0.9)},
		// 16 in one of 10 bins: the mean square is 25.6, the mean 1.6, so 16 - 1.6.
		{"16 at once, 160 a second", 100 * ms, 16, 0, math.Sqrt(14.4)},
		// At 0, 7, .. 63 ms: 2 1 2 1 2 1 1 in 7 bins, of squares 16 for 10 requests; 10 in 50 bins is 0.2. The gaps
		// would say 2.58: nine of 7 ms and one of 437, with the mean 50 and the variance 16641.
		{"a slow clump of 10, 20 a second", 500 * ms, 10, 7 * ms, math.Sqrt(1.4)},
		// The same twice as dense: 3 3 3 1 (0, 3.5 .. 31.5 ms) have squares 28.
		{"a clump of 10 twice as fast", 500 * ms, 10, 3500 * time.Microsecond, math.Sqrt(2.6)},
	}
	for _, tt := range tests {
		var a arrivals
		for at := time.Duration(0); at < 10*time.Second; at += tt.period {
			for i := range tt.n {
				a.add(at+time.Duration(i)*tt.every, 1, batch.Default)
			}
		}
		if got := a.over(10 * time.Second); !got.BurstKnown || math.Abs(got.Burst-tt.want) > 1e-6 {
			t.Errorf("%s: %v (%v), want %v", tt.name, got.Burst, got.BurstKnown, tt.want)
		}
	}
}

// TestBurstByChance: gaps of 1/rate by chance have the dispersion 1. In 6000 bins the variance over mean is off by
// the root of 2/6000, 1.8 %, and its root by half of that, so that 4 % are more than four times as much. Gamma
// gaps of variation 2 (shape 1/4) are clumps of requests at nearly the same time: over long bins the dispersion
// would be 2, and at 10 requests a bin it is nearly that.
func TestBurstByChance(t *testing.T) {
	r := newRandom(3)
	quarter := func() float64 { // a gamma number of shape 1/4 and mean 1: of 1/2 + 1/2 by a beta number
		for { // Jöhnk: x of shape 1/4, with a uniform power, times an exponential number
			x, y := math.Pow(r.Float64(), 4), math.Pow(r.Float64(), 4.0/3)
			if x+y <= 1 {
				return 4 * x / (x + y) * r.ExpFloat64()
			}
		}
	}
	for _, tt := range []struct {
		name     string
		rate     float64
		gap      func() float64
		low, top float64
	}{
		{"by chance, 5 a second", 5, r.ExpFloat64, 0.9, 1.1},
		{"by chance, 40 a second", 40, r.ExpFloat64, 0.96, 1.04},
		{"by chance, 2000 a second", 2000, r.ExpFloat64, 0.96, 1.04},
		{"clumps, 1000 a second", 1000, quarter, 1.75, 2},
		{"clumps, 50 a second", 50, quarter, 1.2, 1.6},
	} {
		var a arrivals
		for at := 0.0; at < 61; at += tt.gap() / tt.rate {
			a.add(time.Duration(at*float64(time.Second)), 1, batch.Default)
		}
		if got := a.over(61 * time.Second); got.Burst < tt.low || got.Burst > tt.top {
			t.Errorf("%s: %v, want %v to %v", tt.name, got.Burst, tt.low, tt.top)
		}
	}
}

// TestBurstOfFew: 29 requests show no bursts, 30 do, also where those of seconds that are over are gone.
func TestBurstOfFew(t *testing.T) {
	var a arrivals
	for range 29 {
		a.add(10*ms, 1, batch.Default)
	}
	if got := a.over(time.Second); got.BurstKnown || got.Burst != 0 {
		t.Errorf("of 29: %+v", got)
	}
	a.add(5*time.Second, 1, batch.Default)
	if got := a.over(6 * time.Second); !got.BurstKnown || got.Burst < 5 {
		t.Errorf("of 30: %+v", got)
	}
	if got := a.over(61 * time.Second); got.BurstKnown || got.BySecond[4] != 1 {
		t.Errorf("of one: %+v", got)
	}
}

// TestEveryRequestArrives: taken, refused by the queue, refused before its body was read, and refused at the
// door. One that finds room is counted when it comes in, not twice.
func TestEveryRequestArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, sim.New(spec()), Config{Limits: batch.Limits{MaxBatchSize: 4, MaxQueueRows: 4}, Instances: 1, Profile: -1}, nil)
		if err := e.Room(1, batch.Interactive, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Infer(t.Context(), request(2, 1, newRandom(1))); err != nil {
			t.Fatal(err)
		}
		var refusal *batch.Refusal
		if _, err := e.Infer(context.Background(), request(5, 1, newRandom(1))); !errors.As(err, &refusal) {
			t.Errorf("5 rows in a queue of 4: %v", err)
		}
		if err := e.Room(5, batch.Interactive, time.Time{}); !errors.As(err, &refusal) {
			t.Errorf("room for 5 rows in a queue of 4: %v", err)
		}
		e.Missed(batch.Bulk)
		time.Sleep(2 * time.Second)
		got := e.Stats().Arrivals
		// 4 requests in the 2 s; rows are known of two, 2 and 5.
		if got.Seconds != 2 || got.Rate != 2 || got.Rows != 3.5 || got.Interactive != 0.25 || got.Bulk != 0.25 {
			t.Errorf("%+v", got)
		}
		_ = e.Close(t.Context())
	})
}

func TestArrivalsAllocateNothing(t *testing.T) {
	var a arrivals
	now := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() { now += 700 * ms; a.add(now, 1, batch.Default) }); n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

func BenchmarkArrivals(b *testing.B) {
	var a arrivals
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 100 * time.Microsecond
		a.add(now, 1, batch.Interactive)
	}
}
