package capacity

import "testing"

// requesting is a question about pods that request so many millicores: one pod with batches of one row takes 5 ms a request
// and answers in 2 + 12/(1 - busy) + 2 ms, which is 50 at a busy share of 1 - 12/46, 0.739 cores.
func requesting(cpu int64) Question {
	q := Question{Now: start, Service: Service{Curve: straight(0.004, 0.001)}, Load: Load{Rate: 600}, SLO: goal().SLO}
	q.Now.CPU = cpu
	return q
}

// TestAutoscaleTarget by hand: 0.739 cores are 92 % of 0.8.
func TestAutoscaleTarget(t *testing.T) {
	q := requesting(800)
	if got := q.autoscaleTarget(plant{}.advice()); got != 92 {
		t.Errorf("%d %%, want 92", got)
	}
	q.Load.Rate = 1 // from wherever the search begins
	if got := q.autoscaleTarget(plant{}.advice()); got != 92 {
		t.Errorf("%d %%, want 92", got)
	}
	q.SLO.Latency = ms
	if got := q.autoscaleTarget(plant{}.advice()); got != 0 {
		t.Errorf("%d %% where no rate keeps the SLO", got)
	}
	if got := (Question{Now: start}).AutoscaleTarget(); got != 0 {
		t.Errorf("%d %% of nothing known", got)
	}
}

// TestAutoscaleRedundancy: with k of n replicas lost, the others have n/(n-k) of their load, at most what one can
// answer; and once they have, they keep the SLO.
func TestAutoscaleRedundancy(t *testing.T) {
	for _, tt := range []struct {
		cpu     int64
		n, k    int
		percent int
	}{
		{800, 1, 0, 92},
		{800, 0, 0, 92},  // 0.739 / 0.8
		{800, 2, 1, 46},  // half of it
		{800, 4, 1, 69},  // 0.554 / 0.8
		{800, 4, 3, 23},  // 0.185 / 0.8
		{100, 2, 0, 738}, // a pod may use more than it requests; halved down to 0.7387
		{100, 2, 1, 369},
		{800, 1, 1, 0}, // whatever it is, none is left
		{800, 0, 1, 0}, // nobody said how many there are
	} {
		q := requesting(tt.cpu)
		q.Room.Redundancy, q.Least = tt.k, tt.n
		got := q.autoscaleTarget(plant{}.advice())
		if got != tt.percent {
			t.Errorf("%d of %d lost, %dm: %d %%, want %d", tt.k, tt.n, tt.cpu, got, tt.percent)
		}
		if left := tt.n - tt.k; got > 0 && left > 0 {
			at, rate := q.Now, float64(got)/100*float64(tt.cpu)/1000/0.005*float64(tt.n)
			at.Replicas = left
			if tail := (plant{slow: 1}).predict(at, rate).Tail.Value; tail == 0 || tail > q.SLO.Latency {
				t.Errorf("%d of %d lost at %d %%: %s", tt.k, tt.n, got, tail)
			}
		}
	}
}

// TestAutoscaleWithoutLimit: what a pod without a limit may use is as a plan has it, that of the largest node.
func TestAutoscaleWithoutLimit(t *testing.T) {
	q, a := requesting(800), plant{}.advice()
	try := a.try
	a.try = func(q Question, at Setting) Candidate {
		if q.Room.Cores != 4000 || q.Room.Redundancy != 0 || at.Replicas != 1 {
			t.Fatalf("asked for %+v in %+v", at, q.Room)
		}
		return try(q, at)
	}
	q.Room = Room{Cores: 4000, Redundancy: 1}
	q.Least = 2
	if got := q.autoscaleTarget(a); got != 46 {
		t.Errorf("%d %%, want 46", got)
	}
}
