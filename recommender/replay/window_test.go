package replay

import (
	"math"
	"slices"
	"testing"
)

func TestPercentileOf(t *testing.T) {
	ramp := make([]float64, 101)
	for i := range ramp {
		ramp[i] = float64(i)
	}
	for _, tt := range []struct {
		name string
		of   []float64
		q    float64
		want float64
	}{
		{"one value", []float64{7}, 0.3, 7},
		{"middle of two", []float64{1, 2}, 0.5, 1.5},
		{"0.9 of 1..4: rank 2.7", []float64{1, 2, 3, 4}, 0.9, 3.7},
		{"p95 of 0..100", ramp, 0.95, 95},
		{"p99 of 0..100", ramp, 0.99, 99},
		{"most", ramp, 1, 100},
		{"least", ramp, 0, 0},
		{"between equals", []float64{1, 0.1, 0.1, 3}[1:3], 0.7, 0.1},
	} {
		if got := percentileOf(tt.of, tt.q); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
	if got := percentileOf(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %g, want NaN", got)
	}
}

// TestWindowTwin: sliding gives what sorting the samples of the span anew gives, whatever the gaps.
func TestWindowTwin(t *testing.T) {
	random := generator(7)
	w := window{span: 1000}
	at := int64(0)
	for range 300 {
		for range random.below(40) {
			w.add(at, float64(random.below(20)))
			at += int64(random.below(30)) + 1
		}
		if random.below(10) == 0 {
			at += 3000 // longer than the window
		}
		w.slide(at)
		var want []float64
		for i, when := range w.at {
			if when >= at-w.span {
				want = append(want, w.used[i])
			}
		}
		slices.Sort(want)
		if !slices.Equal(w.sorted, want) {
			t.Fatalf("at %d: %v, want %v", at, w.sorted, want)
		}
		if _, held := w.held(); len(held) != len(want) {
			t.Fatalf("at %d: holds %d, want %d", at, len(held), len(want))
		}
	}
}

func TestSchedule(t *testing.T) {
	s := schedule{every: 100}
	for _, tt := range []struct {
		at, edge int64
		due      bool
	}{
		{5, 0, false}, {50, 0, false}, {104, 0, false}, {105, 105, true}, {106, 0, false},
		{204, 0, false}, {519, 505, true}, {604, 0, false}, {605, 605, true},
	} {
		if edge, due := s.due(tt.at); edge != tt.edge || due != tt.due {
			t.Errorf("at %d: %d %v, want %d %v", tt.at, edge, due, tt.edge, tt.due)
		}
	}
}

func TestRangeOf(t *testing.T) {
	// The first range ends at 0.01, the second at 0.01+0.0105 = 0.0205, the third at 0.0205+0.011025 = 0.031525.
	for _, tt := range []struct {
		v    float64
		want int
	}{{0, 0}, {0.0099, 0}, {0.0101, 1}, {0.0204, 1}, {0.0206, 2}, {0.0315, 2}, {0.0316, 3}, {1e9, ranges - 1}} {
		if got := rangeOf(tt.v, firstCores); got != tt.want {
			t.Errorf("range of %g: %d, want %d", tt.v, got, tt.want)
		}
	}
	for i, want := range []float64{0.01, 0.0205, 0.031525} {
		if got := endOf(i, firstCores); math.Abs(got-want) > 1e-12 {
			t.Errorf("end of range %d: %g, want %g", i, got, want)
		}
	}
	for i := range ranges - 1 {
		if got := rangeOf(endOf(i, firstCores)*1.0000001, firstCores); got != i+1 {
			t.Errorf("just above the end of range %d: range %d", i, got)
		}
	}
}

// TestDecayingTwin: the kept weights give what adding every sample's decayed weight anew gives, also after the
// weights were scaled back.
func TestDecayingTwin(t *testing.T) {
	random := generator(3)
	d := decaying{first: firstCores}
	var at []int64
	var used []float64
	for i := range 2000 {
		at = append(at, int64(i)*20*3600) // 1,666 days: a weight of as many doublings is no number
		used = append(used, 3*float64(random.below(1000))/1000)
		d.add(at[i], used[i], sampleWeight)
		if i%97 != 0 {
			continue
		}
		got, ok := d.percentiles(vpaShares())
		for k, share := range vpaShares() {
			if want := naivePercentile(at, used, share); !ok || math.Abs(got[k]-want) > 1e-9 {
				t.Fatalf("sample %d, share %g: %g, want %g", i, share, got[k], want)
			}
		}
	}
}

func naivePercentile(at []int64, used []float64, share float64) float64 {
	now := at[len(at)-1]
	var weights [ranges]float64
	total, sum := 0.0, 0.0
	for i, v := range used {
		w := math.Exp2(float64(at[i]-now) / day)
		weights[rangeOf(v, firstCores)] += w
		total += w
	}
	for i, w := range weights {
		if sum += w; sum >= share*total {
			return endOf(i, firstCores)
		}
	}
	return math.NaN()
}

func TestDecayingEmpty(t *testing.T) {
	if _, ok := (&decaying{first: firstCores}).percentiles(vpaShares()); ok {
		t.Error("an empty histogram has percentiles")
	}
}
