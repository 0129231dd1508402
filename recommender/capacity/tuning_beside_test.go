package capacity

import (
	"math"
	"testing"
)

// TestSplit: the numbers are those of the normal equations of the two beliefs and the windows, solved apart.
func TestSplit(t *testing.T) {
	twice := []Beside{{20, 0.06}, {40, 0.12}}
	for _, tt := range []struct {
		windows    []Beside
		path, idle float64 // microseconds, thousandths of a core
	}{
		{nil, 200, 5},
		{[]Beside{{25, 0.0375}}, 263.2, 30.29},
		{[]Beside{{50, 0.015}, {200, 0.03}}, 101.6, 9.83},
		{twice, 700.4, 54.25},
		{[]Beside{{20, 0.06}, {20, 0.06}, {40, 0.12}, {40, 0.12}, {80, 0.24}}, 1461, 39.51},
		{[]Beside{{10, 0.2}, {1000, 0.01}}, 0, 11.68}, // more requests, less CPU: none of it is theirs
	} {
		path, idle := split(tt.windows)
		if math.Abs(1e6*path-tt.path) > 0.1 || math.Abs(1e3*idle-tt.idle) > 0.1 {
			t.Errorf("%v: %.1f us and %.2fm, want %.1f us and %.2fm", tt.windows, 1e6*path, 1e3*idle, tt.path, tt.idle)
		}
	}
}

// TestSplitIsNeverNegative: whatever was seen, both are numbers of 0 or more.
func TestSplitIsNeverNegative(t *testing.T) {
	r := &random{state: 5}
	for range 2000 {
		var all []Beside
		for range 1 + int(8*r.uniform()) {
			all = append(all, Beside{1000 * r.uniform(), 2 * r.uniform() * r.uniform()})
		}
		if path, idle := split(all); !(path >= 0 && path < 1 && idle >= 0 && idle < 10) {
			t.Fatalf("%v: %v %v", all, path, idle)
		}
	}
}
