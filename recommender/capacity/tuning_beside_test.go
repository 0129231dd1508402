package capacity

import (
	"math"
	"slices"
	"testing"
)

// TestCosts: the numbers are those of the normal equations of the beliefs and the windows, solved apart in fractions.
func TestCosts(t *testing.T) {
	besides := func(all ...float64) (out []Beside) {
		for x := range slices.Chunk(all, 3) {
			out = append(out, Beside{Rate: x[0], Batches: x[1], Cores: x[2]})
		}
		return out
	}
	sizes := besides(200, 200, 0.05, 200, 20, 0.032)
	cheaper := besides(200, 200, 0.02, 200, 20, 0.032)
	for _, tt := range []struct {
		windows           []Beside
		path, batch, idle float64 // microseconds, microseconds, thousandths of a core
	}{
		{nil, 200, 30, 5},
		{besides(25, 0, 0.0375), 263.2, 30, 30.29},
		{besides(50, 0, 0.015, 200, 0, 0.03), 101.6, 30, 9.83},
		{besides(20, 0, 0.06, 40, 0, 0.12), 700.4, 30, 54.25},
		{besides(20, 0, 0.06, 20, 0, 0.06, 40, 0, 0.12, 40, 0, 0.12, 80, 0, 0.24), 1461, 30, 39.51},
		{besides(10, 0, 0.2, 1000, 0, 0.01), 0, 30, 11.68}, // more requests, less CPU: none of it is theirs
		{besides(100, 100, 0.033), 224.3, 31.0, 7.43},
		{slices.Repeat(sizes, 4), 142.4, 92.7, 2.12},
		{slices.Repeat(cheaper, 4), 116.2, 0, 0.81},            // more batches, less CPU: none of it is theirs
		{besides(10, 10, 0.2, 1000, 1000, 0.01), 0, 0, 11.678}, // nor the requests'
	} {
		c := CostsOf(tt.windows)
		path, batch, idle := c.Path, c.Batch, c.Idle
		if math.Abs(1e6*path-tt.path) > 0.1 || math.Abs(1e6*batch-tt.batch) > 0.1 || math.Abs(1e3*idle-tt.idle) > 0.01 {
			t.Errorf("%v: %.1f us, %.1f us a batch and %.2fm, want %.1f us, %.1f us and %.2fm", tt.windows, 1e6*path, 1e6*batch, 1e3*idle, tt.path, tt.batch, tt.idle)
		}
	}
}

// TestCostsOfWaking: see the comment of CostsOf.
func TestCostsOfWaking(t *testing.T) {
	all := []Beside{{Rate: 1000, Batches: 1000, Cores: 0.195}, {Rate: 1000, Batches: 480, Woken: 480, Cores: 0.221}, {Rate: 1000, Batches: 130, Woken: 130, Cores: 0.182}}
	c := CostsOf(all)
	if math.Abs(1e6*c.Path-167.4) > 0.1 || math.Abs(1e6*c.Batch-25.3) > 0.1 || math.Abs(1e6*c.Wake-65.3) > 0.1 || math.Abs(1e3*c.Idle-4.67) > 0.01 {
		t.Errorf("%+v", c)
	}
}

// TestCostsIsNeverNegative: whatever was seen, all are numbers of 0 or more.
func TestCostsIsNeverNegative(t *testing.T) {
	r := &random{state: 5}
	for range 2000 {
		var all []Beside
		for range 1 + int(8*r.uniform()) {
			rate := 1000 * r.uniform()
			all = append(all, Beside{Rate: rate, Batches: rate * r.uniform(), Woken: rate * r.uniform(), Cores: 2 * r.uniform() * r.uniform()})
		}
		if c := CostsOf(all); !(c.Path >= 0 && c.Path < 1 && c.Batch >= 0 && c.Batch < 1 && c.Wake >= 0 && c.Wake < 1 && c.Idle >= 0 && c.Idle < 10) {
			t.Fatalf("%v: %+v", all, c)
		}
	}
}
