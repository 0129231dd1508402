package capacity

import (
	"testing"

	"trimtab.dev/trimtab/serving/curve"
)

// TestSlower: all that takes time takes twice as long; and back.
func TestSlower(t *testing.T) {
	line, twice := curve.Line{Fixed: 1, PerRow: 2}, curve.Line{Fixed: 2, PerRow: 4}
	s := Service{Curve: curve.Curve{Wall: line, CPU: line, Error: 0.1}, Published: curve.Curve{CPU: line}, Path: 1, PerBatch: 2, PerWake: 7, Reach: 3, Idle: 4, Memory: 5}
	want := Service{Curve: curve.Curve{Wall: twice, CPU: twice, Error: 0.1}, Published: curve.Curve{CPU: twice}, Path: 2, PerBatch: 4, PerWake: 14, Reach: 6, Idle: 8, Memory: 5}
	if got := s.Slower(2); got != want || got.Slower(0.5) != s {
		t.Errorf("%+v, want %+v, and back", got, want)
	}
}
