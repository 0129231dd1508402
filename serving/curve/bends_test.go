package curve

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

// TestSizes: the middle of each bucket, by going through all rows.
func TestSizes(t *testing.T) {
	var first, last [buckets]int
	for rows := 1; rows <= 4096; rows++ {
		i := place(rows)
		if first[i] == 0 {
			first[i] = rows
		}
		last[i] = rows
	}
	for i, got := range sizes {
		if want := float64(first[i]+last[i]) / 2; got != want {
			t.Errorf("bucket %d of %d to %d rows: %v", i, first[i], last[i], got)
		}
	}
}

// bentAt is 1 but in some buckets.
func bentAt(some map[int]float64) (b Bends) {
	for i := range b {
		b[i] = 1
	}
	for i, v := range some {
		b[i] = v
	}
	return b
}

// TestBendsAt: 1, 2, 4 and 5.5 rows are buckets 0, 1, 3 and 4. Between 2 and 3 rows, sqrt(6) is the middle; 5 rows are
// ln(5/4)/ln(5.5/4) = 0.7007 of the way.
func TestBendsAt(t *testing.T) {
	l := Line{Fixed: 100e-6, PerRow: 10e-6, Bends: bentAt(map[int]float64{0: 0.5, 1: 2, 4: 3, buckets - 1: 4})}
	for rows, want := range map[float64]float64{
		0.5: 105 * 0.5, 1: 110 * 0.5, 2: 120 * 2, 3: 130, 4: 140, 5.5: 155 * 3, 7.5: 175, 10: 200,
		math.Sqrt(2): (100 + 10*math.Sqrt(2)) * 1.25, math.Sqrt(6): (100 + 10*math.Sqrt(6)) * 1.5, 5: 150 * (1 + 2*0.7007),
		4096: 41060 * 4, 1e6: 1e7 * 4,
	} {
		if got := 1e6 * l.At(rows); !near(got, want, 1e-4) {
			t.Errorf("%g rows take %g us, want %g", rows, got, want)
		}
		if got := 1e6 * l.Times(2).At(rows); !near(got, 2*want, 1e-4) {
			t.Errorf("%g rows of two batches take %g us, want %g", rows, got, 2*want)
		}
	}
}

// TestBends by hand: half as much again by 10 batches is believed by half, by 30 by three quarters; 3 rows lie between 2 and 4
// by ln(1.5)/ln(2) = 0.585, and what is beyond all is as the last.
func TestBends(t *testing.T) {
	l := Line{Fixed: 1e-3}
	b := bends([]point{{rows: 2, seconds: 1.5e-3, count: 10}, {rows: 4, seconds: 0.5e-3, count: 30}}, l)
	for i, want := range map[int]float64{0: 1.25, 1: 1.25, 2: 1.25 - 0.585*0.625, 3: 0.625, 4: 0.625, buckets - 1: 0.625} {
		if !near(b[i], want, 1e-3) {
			t.Errorf("bucket %d: %v, want %v", i, b[i], want)
		}
	}
}

// TestBentCurve: what batches of a network took, in microseconds, that no line goes through: one row goes another way than two.
// Beside the middle of a bucket it lies between that and the next one's.
func TestBentCurve(t *testing.T) {
	took := map[int]float64{1: 154, 2: 246, 3: 420, 4: 416, 5: 469, 6: 469, 7: 507, 8: 507, 10: 588, 11: 588, 14: 635, 15: 635, 20: 655, 21: 655, 28: 868, 29: 868}
	r := rand.New(rand.NewPCG(9, 1))
	f := New()
	for range 400 {
		for rows, us := range took {
			us *= 0.7 + 0.6*r.Float64()
			f.Add(rows, us*1e-6, us*1e-6, at)
		}
	}
	loaded, published := f.Loaded().CPU, f.Curve().CPU
	worst := 0.0
	for rows, us := range took {
		if got := 1e6 * loaded.At(float64(rows)); !near(got, us, 0.04) {
			t.Errorf("%d rows take %.0f us, want %.0f", rows, got, us)
		}
		worst = max(worst, math.Abs(1e6*published.At(float64(rows))/us-1))
	}
	if worst < 0.2 {
		t.Errorf("a straight line is only %.2f off: this shows nothing", worst)
	}
}

func TestBendsText(t *testing.T) {
	c := Curve{Loaded: Loaded{Wall: Line{Fixed: 1}, CPU: Line{Form: Doubling, Fixed: 2, PerRow: 1, Bends: bentAt(map[int]float64{1: 1.25, 3: 0.5})}}}
	text, err := json.Marshal(c.Loaded)
	const want = `{"wall":{"form":"linear","fixed_seconds":1,"per_row_seconds":0},` +
		`"cpu":{"form":"doubling","fixed_seconds":2,"per_row_seconds":1,"bends":"1 1.25 1 0.5 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"}}`
	if err != nil || string(text) != want {
		t.Errorf("%s %v, want %s", text, err, want)
	}
	var back Loaded
	if err := json.Unmarshal(text, &back); err != nil || back != c.Loaded {
		t.Errorf("read back: %+v %v", back, err)
	}
	for _, bad := range []string{`{"cpu":{"bends":"1 2"}}`, `{"cpu":{"bends":"1 1.25 1 0.5 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 x"}}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	if err := json.Unmarshal([]byte(`{"cpu":{"bends":""}}`), &back); err != nil || back.CPU.Bends != (Bends{}) {
		t.Errorf("no bends: %v %v", back.CPU.Bends, err)
	}
}

func TestBendsSound(t *testing.T) {
	for _, tt := range []struct {
		b    Bends
		want bool
	}{
		{Bends{}, true}, {bentAt(nil), true}, {bentAt(map[int]float64{3: 1000}), true}, {bentAt(map[int]float64{3: 1001}), false},
		{bentAt(map[int]float64{0: 0}), false}, {bentAt(map[int]float64{23: math.NaN()}), false}, {bentAt(map[int]float64{5: -1}), false},
	} {
		if got := tt.b.Sound(); got != tt.want {
			t.Errorf("%v: %v", tt.b, got)
		}
	}
}
