package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"trimtab.dev/trimtab/serving/curve"
)

// TestUnder by hand. Published are 100 us and 10 us a row, 110 us of one and 210 us of eleven.
func TestUnder(t *testing.T) {
	line := func(fixed, perRow float64) curve.Line { return curve.Line{Fixed: fixed * 1e-6, PerRow: perRow * 1e-6} }
	batches := func(count, rows, us float64) Batches { return Batches{count, rows * count, us * count * 1e-6} }
	one, eleven := batches(50, 1, 220), batches(20, 11, 420)
	for _, tt := range []struct {
		name    string
		windows []Batches
		want    curve.Line
	}{
		{"none", nil, line(100, 10)},
		{"nothing ran", []Batches{{}, {Count: 3, Rows: 3}}, line(100, 10)},
		{"two sizes", []Batches{one, eleven}, line(200, 20)},
		{"one size", []Batches{one}, line(200, 20)},
		{"sizes that hardly differ", []Batches{one, batches(5, 1.2, 224)}, line(200, 20)},
		// Weights of 1/220² and 1/200²: (1/220 + 1/200)/(1/220² + 1/200²) = 209.05.
		{"larger ones take no less", []Batches{one, batches(20, 11, 200)}, line(209.05, 0)},
		// Through 0: (1*20/20² + 11*420/420²)/(1/20² + 121/420²) = (0.05 + 0.02619)/(0.0025 + 0.000686) = 23.91.
		{"nothing is not below nothing", []Batches{batches(9, 1, 20), eleven}, line(0, 23.91)},
		// 170 + 120*log2(rows) at 1, 4 and 8; a straight line is 12 % off at one of them.
		{"doublings", []Batches{batches(9, 1, 170), batches(9, 4, 410), batches(9, 8, 530)}, curve.Line{Form: curve.Doubling, Fixed: 170e-6, PerRow: 120e-6}},
		{"nearly straight", []Batches{one, batches(9, 6, 322), eleven}, line(200.22, 20.08)},
	} {
		c := curve.Curve{CPU: line(100, 10), Wall: line(100, 10), Samples: 9, Largest: 64}
		got := Under(c, tt.windows)
		if got.CPU.Form != tt.want.Form || got.Wall.Form != tt.want.Form {
			t.Errorf("%s: %s and %s", tt.name, got.CPU.Form, got.Wall.Form)
		}
		for _, rows := range []float64{1, 5, 11, 64} {
			if math.Abs(got.CPU.At(rows)/tt.want.At(rows)-1) > 1e-3 || math.Abs(got.Wall.At(rows)/tt.want.At(rows)-1) > 1e-3 {
				t.Errorf("%s: %+v, want %+v", tt.name, got.CPU, tt.want)
				break
			}
		}
	}
}

// TestUnderKeepsTheMean: whatever was published, a batch of a window's size takes what the window's took on average, its
// wall as much longer as it was published to be.
func TestUnderKeepsTheMean(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		c := curve.Curve{
			CPU: curve.Line{Fixed: r.Float64(), PerRow: r.Float64()}, Spread: curve.Spread{P10: 0.8, P50: 1, P90: 1.5, P99: 3}, Samples: 1,
		}
		c.Wall = curve.Line{Fixed: 1.1 * c.CPU.Fixed, PerRow: 1.1 * c.CPU.PerRow}
		rows, cpu, more := 1+3*r.Float64(), 0.1+r.Float64(), 1+r.Float64()
		windows := []Batches{{10, 10 * rows, 10 * cpu}, {5, 20 * rows, 5 * cpu * more}} // four times as large, up to twice as dear
		got := Under(c, windows)
		for _, w := range windows {
			at, want := w.mean()
			if math.Abs(got.CPU.At(at)/want-1) > 1e-9 || math.Abs(got.Wall.At(at)*c.Spread.Mean()/want/1.1-1) > 1e-9 {
				t.Errorf("seed %d: %g rows take %g of CPU and %g of wall on average, want %g and 1.1 of that", seed, at, got.CPU.At(at), got.Wall.At(at)*c.Spread.Mean(), want)
			}
		}
	}
}
