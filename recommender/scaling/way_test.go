package scaling

import (
	"math"
	"testing"
)

// Two windows of 60 requests/s, then one of 600, with 10 a replica and a risk of 30: what was advised
// for the second, 9, and for the third, 9, costs 9 and 9 + 30.
func TestAWindowOverCapacityCostsRisk(t *testing.T) {
	tr := New(Options{Capacity: 10, Risk: 30})
	tr.Add(0, 60)
	tr.Add(window, 60)
	w := &tr.s.Ways[0]
	n := float64(w.Replicas[0])
	first := float64(w.Cost)
	tr.Add(2*window, 600)
	want := first*2/3 + (n+30)/3 // the third of three windows, in a plain mean
	if math.Abs(float64(w.Cost)-want) > 1e-4 {
		t.Errorf("mean cost %v, want %v of %v replicas advised", w.Cost, want, n)
	}
}

func TestErrorsAfterARiseAreTalliedApart(t *testing.T) {
	tr := New(Options{Capacity: 10})
	for i, rate := range []float64{60, 60, 600, 60, 60} {
		tr.Add(int64(i)*window, rate)
		calm, risen := sum(tr.s.Ways[0].Errors[0][:])/counted, sum(tr.s.Ways[0].Errors[1][:])/counted
		want := [...][2]float64{{0, 0}, {1, 0}, {2, 0}, {2, 1}, {3, 1}}[i]
		if calm != want[0] || risen != want[1] {
			t.Errorf("after window %d: %v windows after calm, %v after a rise, want %v", i, calm, risen, want)
		}
		if got := tr.s.Ways[0].Risen; got != (i == 2) {
			t.Errorf("window %d of %v is a rise: %v", i, rate, got)
		}
	}
}

// With a window of lead every advice is tallied by what was known when it was given.
func TestErrorsAreTalliedByWhatWasKnown(t *testing.T) {
	tr := New(Options{Capacity: 10, Lead: window * 1e9})
	for i, rate := range []float64{60, 60, 60, 600, 60, 60, 60} {
		tr.Add(int64(i)*window, rate)
	}
	// windows 2 to 6 were compared; only the one foreseen from window 3, window 5, came after a rise
	e := &tr.s.Ways[0].Errors
	if calm, risen := sum(e[0][:])/counted, sum(e[1][:])/counted; calm != 4 || risen != 1 {
		t.Errorf("%v windows after calm, %v after a rise, want 4 and 1", calm, risen)
	}
}

func TestSpreadByHand(t *testing.T) {
	w := way{Fast: 3, Slow: 1, Level: 10}
	if o := w.foresee(5); o.root != 15 || o.spread != 2 {
		t.Errorf("root %v and spread %v, want 15 and 2", o.root, o.spread)
	}
	w = way{Level: 100}
	if o := w.foresee(0); o.spread != 2 {
		t.Errorf("spread %v of a root of 100 that never missed, want 2", o.spread)
	}
	if o := w.foresee(-200); o.root != 0 {
		t.Errorf("root %v, want 0", o.root)
	}
}

// The advice for the window that is decided now is what was settled on, and one replica fewer is asked for twice before it goes.
func TestOneFewerIsAskedForTwice(t *testing.T) {
	tr := New(Options{Capacity: 40})
	held, last, asked := 0, 0, 0
	for i, r := range noisyDays(2000, 4) {
		tr.Add(int64(i)*window, r)
		a := tr.Replicas(tr.next())
		if a.Replicas != int(tr.s.Now.Settled) {
			t.Fatalf("window %d: advice %d, settled on %d", i, a.Replicas, tr.s.Now.Settled)
		}
		if a.Reason == ByHold {
			held++
		}
		if i > 0 && a.Replicas == last-1 && asked >= last {
			t.Fatalf("window %d: one replica of %d went at the first asking", i, last)
		}
		last, asked = a.Replicas, int(tr.s.Now.Asked)
	}
	if held == 0 {
		t.Error("nothing was ever held")
	}
}
