package batch

import (
	"math"
	"slices"
	"testing"
	"time"
)

const us = time.Microsecond

// times are arrivals of one row each, in microseconds.
func times(at ...float64) func() (Arrival, bool) {
	return func() (Arrival, bool) {
		if len(at) == 0 {
			return Arrival{}, false
		}
		a := Arrival{At: time.Duration(at[0] * 1e3), Rows: 1}
		at = at[1:]
		return a, true
	}
}

// micros are latencies in microseconds.
func micros(r Result) (all []float64) {
	for _, l := range r.Latencies {
		all = append(all, math.Round(float64(l)/1e3))
	}
	return all
}

// TestMachine, by hand. A batch takes 1000 us, whatever its rows; see the comments.
func TestMachine(t *testing.T) {
	alone := Limits{MaxBatchSize: 1, MaxQueueRows: 100}
	many := Limits{MaxBatchSize: 8, MaxQueueRows: 100}
	waits := Limits{MaxBatchSize: 8, MaxQueueRows: 100, MaxQueueDelay: 5400 * us, Static: true}
	tests := []struct {
		name string
		t    Trial
		want []float64 // latencies in microseconds, from the least
		cpu  float64   // microseconds
	}{
		{"100 before, 1000+30 of the batch, 50 after, 200 on the way",
			Trial{Limits: alone, Path: [2]float64{100e-6, 50e-6}, Overhead: 30e-6, Reach: 200 * us, Next: times(0)}, []float64{1380}, 1180},
		{"two threads read: at 100 two are in the queue, then one thread reads: 200, 300; batches from 100",
			Trial{Limits: alone, Path: [2]float64{100e-6, 0}, Next: times(0, 0, 0, 0)}, []float64{1100, 2100, 3100, 4100}, 4400},
		{"a batch that is ready at 100 lets the third go first, who is read by 200",
			Trial{Limits: many, Path: [2]float64{100e-6, 0}, Next: times(0, 0, 0)}, []float64{1200, 1200, 1200}, 1300},
		{"two instances, three threads: two read by 1000, two batches by 2000; of the others one is read by 2100, and one from 2000 on",
			Trial{Limits: alone, Instances: 2, Path: [2]float64{1e-3, 0}, Next: times(0, 0, 1100, 1100)}, []float64{2000, 2000, 2000, 2900}, 8000},
		{"one core: batch from 200, at 700 the second is read at half speed until 1100, the batch has 300 left: 1400; 1400 to 2400",
			Trial{Limits: alone, Path: [2]float64{200e-6, 0}, Processors: 1, Next: times(0, 700)}, []float64{1400, 1700}, 2400},
		{"two cores: the same without sharing: 1200, then 1200 to 2200",
			Trial{Limits: alone, Path: [2]float64{200e-6, 0}, Processors: 2, Next: times(0, 700)}, []float64{1200, 1500}, 2400},
		{"the timer: 5400 after the only arrival, in whole milliseconds: 6000",
			Trial{Limits: waits, Grain: time.Millisecond, Next: times(0)}, []float64{7000}, 1000},
		{"the timer is set anew at 2700: 2700 left are 3000, 5700",
			Trial{Limits: waits, Grain: time.Millisecond, Next: times(0, 2700)}, []float64{4000, 6700}, 1000},
		{"an arrival after 5400, before the timer, is seen in time: 5500",
			Trial{Limits: waits, Grain: time.Millisecond, Next: times(0, 5500)}, []float64{1000, 6500}, 1000},
		{"what a timer begins takes 200 more: 6000 to 7200",
			Trial{Limits: waits, Waking: 200e-6, Grain: time.Millisecond, Next: times(0)}, []float64{7200}, 1200},
		{"an arrival that begins it does not find it asleep",
			Trial{Limits: waits, Waking: 200e-6, Grain: time.Millisecond, Next: times(0, 5500)}, []float64{1000, 6500}, 1000},
		{"the first two do not count", Trial{Limits: alone, Skip: 2, Next: times(0, 0, 0)}, []float64{3000}, 3000},
	}
	for _, tt := range tests {
		tt.t.Curve = linear(1e-3, 0)
		got := Simulate(tt.t)
		if !slices.Equal(micros(got), tt.want) || math.Abs(got.CPUSeconds*1e6-tt.cpu) > 1e-6 {
			t.Errorf("%s: %v, %.1f us of CPU; want %v, %v", tt.name, micros(got), got.CPUSeconds*1e6, tt.want, tt.cpu)
		}
	}
}

// TestWaking: two shapes that come at the same time have one timer. It goes off at 6000; of the two batches the first finds everything
// asleep, 200 more.
func TestWaking(t *testing.T) {
	come := []Arrival{{Rows: 1, Shape: "a"}, {Rows: 1, Shape: "b"}}
	got := Simulate(Trial{
		Limits: Limits{MaxBatchSize: 8, MaxQueueRows: 100, MaxQueueDelay: 5400 * us, Static: true}, Curve: linear(1e-3, 0),
		Instances: 2, Waking: 200e-6, Grain: time.Millisecond,
		Next: func() (a Arrival, ok bool) {
			if len(come) == 0 {
				return a, false
			}
			a, come = come[0], come[1:]
			return a, true
		},
	})
	if want := []float64{7000, 7200}; !slices.Equal(micros(got), want) || got.Woken != 1 || got.Batches != 2 {
		t.Errorf("%v, want %v; %d of %d batches were woken, want 1 of 2", micros(got), want, got.Woken, got.Batches)
	}
}

// TestQuota, by hand. A batch takes 80 ms.
func TestQuota(t *testing.T) {
	alone := Limits{MaxBatchSize: 1, MaxQueueRows: 100}
	tests := []struct {
		name                 string
		cores                float64
		instances, processor int
		at                   []float64 // microseconds
		want                 []float64 // milliseconds
	}{
		{"half a core: 50 ms, still until 100, 30 more; then 20 until 150, 50 from 200, 10 from 300", 0.5, 1, 0, []float64{0, 10_000}, []float64{130, 300}},
		{"a core on two: both until 50, still, then 30 more", 1, 2, 2, []float64{0, 0}, []float64{130, 130}},
		{"a core for one at a time is never used up", 1, 1, 2, []float64{0, 0}, []float64{80, 160}},
		{"two cores for two", 2, 2, 2, []float64{0, 0}, []float64{80, 80}},
		{"one and a half: two cores until 75 ms, still, then 5 more", 1.5, 2, 0, []float64{0, 0}, []float64{105, 105}},
		{"after a pause the quota is new", 0.5, 1, 0, []float64{0, 390_000}, []float64{130, 130}}, // 10 until 400, 50, 20 from 500
	}
	for _, tt := range tests {
		r := Simulate(Trial{Limits: alone, Curve: linear(80e-3, 0), Cores: tt.cores, Instances: tt.instances, Processors: tt.processor, Next: times(tt.at...)})
		got := micros(r)
		for i := range got {
			got[i] = math.Round(got[i] / 1e3)
		}
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v ms, want %v", tt.name, got, tt.want)
		}
	}
}

// naiveMachine goes through time in steps of 10 us: the same machine with batches of one, written down plainly. It
// returns the mean latency in seconds.
func naiveMachine(t Trial, arrivals []time.Duration) float64 {
	const step = 10 * us
	type work struct {
		id   int
		left float64
	}
	var path, queue, running []work // those after the model are in path, too
	var sum, used float64
	isAfter := map[int]bool{}
	next, done := 0, 0
	batch := t.Curve.Wall.At(1)
	processors := float64(t.Processors)
	for now := time.Duration(0); done < len(arrivals); now += step {
		if now%quotaPeriod == 0 {
			used = 0
		}
		for next < len(arrivals) && arrivals[next] <= now {
			path = append(path, work{next, t.Path[0]})
			next++
		}
		for len(queue) > 0 && len(running) < t.Instances {
			running, queue = append(running, work{queue[0].id, batch}), queue[1:]
		}
		readers := min(len(path), max(1, t.Instances+1-len(running)))
		active := float64(readers + len(running))
		if active == 0 || t.Cores > 0 && used >= t.Cores*quotaPeriod.Seconds() {
			continue
		}
		did := step.Seconds() * min(1, processors/active)
		used += did * active
		for i := range running {
			running[i].left -= did
		}
		for i := range readers {
			path[i].left -= did
		}
		for i := len(running) - 1; i >= 0; i-- {
			if running[i].left <= 1e-9 {
				isAfter[running[i].id] = true
				path = append(path, work{running[i].id, t.Path[1]})
				running = slices.Delete(running, i, i+1)
			}
		}
		for i := readers - 1; i >= 0; i-- {
			if w := path[i]; w.left <= 1e-9 {
				path = slices.Delete(path, i, i+1)
				if isAfter[w.id] {
					sum += (now + step - arrivals[w.id]).Seconds()
					done++
				} else {
					queue = append(queue, work{id: w.id})
				}
			}
		}
	}
	return sum / float64(len(arrivals))
}

// TestMachineIsNaive: the machine against the one that is written down plainly, for many sizes.
func TestMachineIsNaive(t *testing.T) {
	for seed := range uint64(24) {
		r := random(seed)
		tr := Trial{
			Limits: Limits{MaxBatchSize: 1, MaxQueueRows: 1e6}, Curve: linear(float64(1+r.IntN(20))*1e-3, 0), Instances: 1 + r.IntN(3),
			Path: [2]float64{float64(1+r.IntN(10)) * 1e-4, float64(1+r.IntN(10)) * 1e-4}, Processors: 1 + r.IntN(3),
		}
		if r.IntN(2) == 0 {
			tr.Cores = 0.5 + r.Float64()*float64(tr.Processors)
		}
		cores := float64(min(tr.Instances, tr.Processors))
		if tr.Cores > 0 {
			cores = min(cores, tr.Cores)
		}
		rate := (0.3 + 0.5*r.Float64()) * cores / (tr.Curve.Wall.Fixed + tr.Path[0] + tr.Path[1])
		var at []time.Duration
		next := poisson(r, rate, 400)
		for a, ok := next(); ok; a, ok = next() {
			at = append(at, a.At.Round(10*us))
		}
		i := -1
		tr.Next = func() (Arrival, bool) {
			if i++; i == len(at) {
				return Arrival{}, false
			}
			return Arrival{At: at[i], Rows: 1}, true
		}
		got, want := Simulate(tr).Mean().Seconds(), naiveMachine(tr, at)
		if math.Abs(got-want) > 0.02*want+30e-6 {
			t.Errorf("seed %d: mean latency %.6f s, want %.6f: %+v", seed, got, want, tr)
		}
	}
}
