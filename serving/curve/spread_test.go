package curve

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSpreadAt(t *testing.T) {
	s := Spread{0.96, 1, 1.08, 1.28}
	for p, want := range map[float64]float64{0: 0.95, 0.1: 0.96, 0.3: 0.98, 0.5: 1, 0.7: 1.04, 0.9: 1.08, 0.945: 1.18, 0.99: 1.28, 1: 1.38} {
		if got := s.At(p); !near(got, want, 1e-9) {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
	if got := (Spread{}).At(0.99); got != 1 {
		t.Errorf("a quantile of nothing is %v", got)
	}
	for p := 0.0; p < 1; p += 0.001 {
		if s.At(p) > s.At(p+0.001) {
			t.Errorf("quantile %v is above the next", p)
		}
	}
}

// TestSpreadMean by hand: (0.955 + 0.98*4 + 1.04*4 + 1.18*0.9 + 1.33*0.1)/10.
func TestSpreadMean(t *testing.T) {
	if got := (Spread{0.96, 1, 1.08, 1.28}).Mean(); !near(got, 1.023, 1e-9) {
		t.Errorf("the mean is %v", got)
	}
	if got := (Spread{}).Mean(); got != 1 {
		t.Errorf("the mean of nothing is %v", got)
	}
}

// TestSpread: batches that take 1 + e of their line, where e is a twentieth of an exponential number: its
// quantiles 0.1, 0.5, 0.9 and 0.99 are 0.1054, 0.6931, 2.303 and 4.605. The line itself lies in the middle half,
// at e = 0.7 or so, so that all is divided by about 1.036. Of 217 samples, two are beyond the last quantile.
func TestSpread(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP()} {
		var sum [4]float64
		const servers = 20
		for seed := range uint64(servers) {
			s := server(seed, line, oneSided, powers()...).run(2000).Spread
			for i, q := range [...]float64{s.P10, s.P50, s.P90, s.P99} {
				sum[i] += q / servers
			}
		}
		for i, e := range [...]float64{0.1054, 0.6931, 2.303, 4.605} {
			if want := (1 + 0.05*e) / 1.036; !near(sum[i], want, 0.02) {
				t.Errorf("%+v: quantile %d is %.4f, want %.4f", line, i, sum[i], want)
			}
		}
	}
}

// TestSpreadBesideTheLine: batches that never differ from others of their size have no spread, though no line goes through
// 1 ms of 1 row, 5 ms of 4 and 6 ms of 16. Ratios are counted in 256ths.
func TestSpreadBesideTheLine(t *testing.T) {
	f := New()
	for range 30 {
		for rows, wall := range map[int]float64{1: 1e-3, 4: 5e-3, 16: 6e-3} {
			f.Add(rows, wall, wall, at)
		}
	}
	c := f.Curve()
	if s := c.Spread; !near(s.P10, 1, 0.005) || !near(s.P99, 1, 0.005) {
		t.Errorf("%+v", s)
	}
	if c.Error < 0.01 {
		t.Errorf("the line is only %.3f off", c.Error)
	}
}

// TestSpreadIsOfTheNew: a size that does not run any more does not blur those that do.
func TestSpreadIsOfTheNew(t *testing.T) {
	n := server(5, largeMLP(), func(r *rand.Rand) float64 { return 1 + 0.3*r.Float64() }, 1, 2)
	n.run(100)
	n.noise, n.sizes = func(*rand.Rand) float64 { return 1 }, []int{8, 16, 32, 64}
	if s := n.run(3000).Spread; s.P90-s.P10 > 0.05 {
		t.Errorf("the spread is %+v long after batches differed", s)
	}
}

func TestSpreadOfFew(t *testing.T) {
	n := server(6, largeMLP(), oneSided, 8)
	if s := n.run(few - 1).Spread; s != (Spread{}) {
		t.Errorf("%d samples have the spread %+v", few-1, s)
	}
	if s := n.run(1).Spread; !(s.P10 > 0.9 && s.P10 <= s.P50 && s.P50 <= s.P90 && s.P90 <= s.P99 && s.P99 < 1.5) {
		t.Errorf("%d samples have the spread %+v", few, s)
	}
}

// TestSpreadIsOrdered: whatever comes in.
func TestSpreadIsOrdered(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		f := New()
		for range 1 + r.IntN(80) {
			f.Add(1+r.IntN(1<<r.IntN(14)), math.Exp(10*r.NormFloat64()), math.Exp(10*r.NormFloat64()), at)
		}
		if s := f.Curve().Spread; !(s.P10 >= 0 && s.P10 <= s.P50 && s.P50 <= s.P90 && s.P90 <= s.P99 && s.P99 <= most) {
			t.Errorf("seed %d: %+v", seed, s)
		}
	}
}
