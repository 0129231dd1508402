package scaling

import (
	"math"
	"testing"
)

func TestAutoscalerOfASteadyServer(t *testing.T) {
	tr := New(Options{Capacity: 10, Redundancy: 1, Max: 40})
	if _, ok := tr.Autoscaler(0); ok {
		t.Error("a setting out of nothing")
	}
	for i := range 4000 {
		tr.Add(int64(i)*window, 60)
	}
	a, ok := tr.Autoscaler(tr.next())
	if !ok || a.Min != 10 || a.Max < a.Min || a.Max > 40 {
		t.Errorf("%+v, want min 10 and a max from there to 40", a)
	}
	if a.Share != defaultTarget || math.Abs(a.Target-20./3) > 1e-9 {
		t.Errorf("%+v, want the whole target share for a server that never moves", a)
	}
}

// A server that jumps gets a lower target than one that does not, and a max that serves its peaks.
func TestAutoscalerLeavesRoomForJumps(t *testing.T) {
	calm, wild := New(Options{Capacity: 10}), New(Options{Capacity: 10})
	for i := range 4000 {
		at := int64(i) * window
		calm.Add(at, 60)
		rate := 60.
		if i%20 == 7 {
			rate = 240
		}
		wild.Add(at, rate)
	}
	c, _ := calm.Autoscaler(calm.next())
	w, _ := wild.Autoscaler(wild.next())
	if w.Target >= c.Target {
		t.Errorf("target %v where the rate jumps, %v where it does not", w.Target, c.Target)
	}
	if w.Max < 24 {
		t.Errorf("max %d, the peaks need 24", w.Max)
	}
}

func TestAutoscalerIsInBounds(t *testing.T) {
	for seed := range 20 {
		o := Options{Capacity: 7 + float64(seed), Target: .3 + .03*float64(seed), Max: 30, Min: 2}
		tr := New(o)
		for i, r := range noisyDays(700, dice(seed)) {
			tr.Add(int64(i)*window, r)
			a, ok := tr.Autoscaler(tr.next())
			if !ok || a.Min < o.Min || a.Max > o.Max || a.Min > a.Max || !(a.Share > 0 && a.Share <= o.Target) {
				t.Fatalf("%+v: %+v", o, a)
			}
		}
	}
}
