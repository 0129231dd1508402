package main

import "testing"

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		in            []float64
		median, worst float64
	}{
		{[]float64{3}, 3, 3},
		{[]float64{4, 1, 3, 2}, 2.5, 4},
		{[]float64{5, 1, 3}, 3, 5},
	} {
		if m, w := summary(tt.in); m != tt.median || w != tt.worst {
			t.Errorf("%v: %g, %g, want %g, %g", tt.in, m, w, tt.median, tt.worst)
		}
	}
}
