package capacity

import (
	"math"
	"testing"
	"time"
)

func TestHighRate(t *testing.T) {
	tests := []struct{ rate, burst, peak, want float64 }{
		{100, 1, 0, 0},
		{100, 1, 120, 0},       // 100 + 2.32*10 + 1 is usual
		{100, 1, 300, 278.795}, // x + 1.27*sqrt(x) = 300: (sqrt(1.27² + 1200) - 1.27)/2 = 16.697, squared
		{100, 0, 150, 150},     // even gaps explain nothing
		{100, 4, 190, 0},       // 100 + 2.32*40 is usual
		{0, 1, 1, 0},
	}
	for _, tt := range tests {
		if got := highRate(tt.rate, tt.burst, tt.peak); math.Abs(got-tt.want) > 0.01 {
			t.Errorf("%+v: %.3f", tt, got)
		}
	}
}

// TestVariation: sqrt(1 + (4-1)/3) = 1.414; even gaps over 2 pods: sqrt(1 - 1/2) = 0.707; the generator's gaps have it,
// and the mean 1.
func TestVariation(t *testing.T) {
	for _, tt := range []struct{ burst, replicas, want float64 }{{2, 3, 1.4142}, {0, 2, 0.7071}, {1, 5, 1}, {0.5, 1, 0.5}, {0, 1, 0}, {2, 1, 2}} {
		s := stream{rate: 10, burst: tt.burst, replicas: tt.replicas}
		if got := s.variation(); math.Abs(got-tt.want) > 1e-4 {
			t.Errorf("%+v: %.4f", tt, got)
		}
		sum, squares := 0.0, 0.0
		const n = 200_000
		for _, gap := range s.gaps(&random{state: 3}, n) {
			sum += gap
			squares += (gap - 1) * (gap - 1)
		}
		if drawn := math.Sqrt(squares / n); math.Abs(sum/n-1) > 1e-9 || math.Abs(drawn-tt.want) > 0.02*tt.want+1e-9 {
			t.Errorf("%+v: drawn with a mean of %.6f and a variation of %.4f", tt, sum/n, drawn)
		}
	}
}

// TestClock: 100 requests a second, a tenth of the seconds at 280: 720 requests in the first 9 s, then 280 in 1 s.
func TestClock(t *testing.T) {
	s := stream{rate: 100, high: 280, replicas: 1}
	clock := s.clock(s.length())
	for sum, want := range map[float64]float64{0: 0, 360: 4.5, 720: 9, 860: 9.5, 1000: 10, 1720: 19, 30_000: 300} {
		if got := clock(sum); math.Abs(got-want) > 1e-9 {
			t.Errorf("request %v comes at %v s, want %v", sum, got, want)
		}
	}
	if s.length() != 30_000 {
		t.Errorf("%d requests are simulated; want 30 rounds of 1000", s.length())
	}
	// All 1000 of a round come in a third of a second when it has 3000 a second.
	s.high = 3000
	if got := s.clock(s.length())(500); math.Abs(got-(10-1./6)) > 1e-9 {
		t.Errorf("the 500th of 1000 comes at %v s, want 9.833", got)
	}
	even := stream{rate: 50, replicas: 1}
	if got := even.clock(30_000)(100); got != 2 {
		t.Errorf("the 100th of 50 a second comes at %v s, want 2", got)
	}
}

// TestRandom: the means and variances of the generator's numbers.
func TestRandom(t *testing.T) {
	r := &random{state: 5}
	tests := []struct {
		name           string
		draw           func() float64
		mean, variance float64
	}{
		{"uniform", r.uniform, 0.5, 1. / 12},
		{"exponential", r.exponential, 1, 1},
		{"normal", r.normal, 0, 1},
		{"gamma 0.25", func() float64 { return r.gamma(0.25) }, 0.25, 0.25},
		{"gamma 4", func() float64 { return r.gamma(4) }, 4, 4},
		{"geometric 1/3", func() float64 { return r.geometric(1. / 3) }, 3, 6}, // (1-p)/p²
		{"geometric 1", func() float64 { return r.geometric(1) }, 1, 0},
	}
	const n = 200_000
	for _, tt := range tests {
		sum, squares := 0.0, 0.0
		for range n {
			x := tt.draw()
			sum += x
			squares += (x - tt.mean) * (x - tt.mean)
		}
		if mean, variance := sum/n, squares/n; math.Abs(mean-tt.mean) > 0.01*(1+tt.mean) || math.Abs(variance-tt.variance) > 0.03*tt.variance+1e-12 {
			t.Errorf("%s: mean %.4f, variance %.4f; want %v and %v", tt.name, mean, variance, tt.mean, tt.variance)
		}
	}
}

// TestTally: of 1 to 1000 ms in any order, quantiles are within 0.5 %, and within undoes them.
func TestTally(t *testing.T) {
	seen := newTally(1000)
	for i := range 1000 {
		seen.add(time.Duration(1+i*7%1000) * time.Millisecond)
	}
	for p, want := range map[float64]float64{0.1: 100, 0.5: 500, 0.99: 990, 1: 1000} {
		at := cellQuantile(seen.whole, p) / 1e6
		if math.Abs(at-want) > 0.005*want {
			t.Errorf("quantile %v is %.2f ms, want %v", p, at, want)
		}
		if back := seen.within(time.Duration(at * 1e6)); math.Abs(back-p) > 0.003 {
			t.Errorf("%.4f are within the quantile %v", back, p)
		}
	}
	for d := time.Duration(1); d < time.Hour; d = d*5/4 + 1 {
		if c := cellOf(d); cellStart(c) > float64(max(d, 256)) || cellStart(c+1) <= float64(d) {
			t.Errorf("%d ns are in the cell of %.0f to %.0f", d, cellStart(c), cellStart(c+1))
		}
	}
}

// TestTallySure: parts that are alike give a narrow interval, parts that drift a wide one.
func TestTallySure(t *testing.T) {
	alike, drifts := newTally(10_000), newTally(10_000)
	for i := range 10_000 {
		alike.add(time.Duration(1000+i*7%1000) * time.Microsecond)
		drifts.add(time.Duration(1000+i*7%1000+i/10) * time.Microsecond)
	}
	a, d := alike.estimate(0.99, 0), drifts.estimate(0.99, 0)
	if a.High-a.Low > 10*time.Microsecond || d.High-d.Low < 200*time.Microsecond {
		t.Errorf("alike %+v, drifting %+v", a, d)
	}
	if e := alike.estimate(0.99, 0.05); !close(e.High-e.Value, e.Value/20, 0.05) {
		t.Errorf("a curve that is off by 5 %% gives %+v", e)
	}
}
