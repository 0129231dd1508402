package engine

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// TestTurn: whose turn it is, by credits in quanta.
func TestTurn(t *testing.T) {
	tests := []struct {
		name    string
		credits []float64
		urgent  int // index, or -1
		want    int
		after   float64 // credit of the one whose turn it is
	}{
		{"the first with credit", []float64{0, 1, 2}, -1, 1, 1},
		{"the urgent one with credit", []float64{1, 2}, 1, 1, 2},
		{"urgent without credit", []float64{-1, 2}, 0, 1, 2},
		{"nobody has credit: one quantum each", []float64{-2.5, -0.5}, -1, 1, 0.5},
		{"three quanta each, the first is in front", []float64{-2.5, -2.5}, -1, 0, 0.5},
		{"all new", []float64{0, 0}, -1, 0, 1},
		{"all new, one urgent", []float64{0, 0}, 1, 1, 1},
	}
	for _, tt := range tests {
		p := NewPool(1)
		for i, c := range tt.credits {
			p.waiting = append(p.waiting, &seat{credit: c * quantum, urgent: i == tt.urgent})
		}
		got := p.turn()
		if after := p.waiting[got].credit / quantum; got != tt.want || after < tt.after-1e-9 || after > tt.after+1e-9 {
			t.Errorf("%s: %d with %v, want %d with %v", tt.name, got, after, tt.want, tt.after)
		}
	}
}

// noCPU makes batches count with the time that they took: a batch that sleeps uses no CPU.
func noCPU() (time.Duration, bool) { return 0, false }

// TestFairness: two models share one slot. One takes 10 ms a batch, the other 1 ms, both are always busy: each
// gets half of the time, so the quick one runs ten times as many batches.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1)
		var counts [2]atomic.Int64
		var all sync.WaitGroup
		until := time.Now().Add(10 * time.Second)
		for i, took := range []time.Duration{10 * ms, ms} {
			s := spec()
			s.Fixed = took
			e := open(t, sim.New(s), Config{Limits: limits(1, 0), Instances: 2, Profile: -1, cpu: noCPU}, p)
			for range 4 {
				all.Go(func() {
					for time.Now().Before(until) {
						if _, err := e.Infer(t.Context(), request(1, 0, newRandom(1))); err != nil {
							t.Error(err)
						}
						counts[i].Add(1)
					}
				})
			}
		}
		all.Wait()
		// 10 s in halves: 500 of 10 ms and 5000 of 1 ms.
		if a, b := counts[0].Load(), counts[1].Load(); a < 480 || a > 520 || b < 4800 || b > 5200 {
			t.Errorf("%d batches of 10 ms and %d of 1 ms; want 500 and 5000", a, b)
		}
	})
}

// TestInteractiveFirst: two models of 1 ms wait for one slot; the one with an interactive request gets it,
// though it asked later.
func TestInteractiveFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1)
		var engines []*Engine
		for range 3 {
			s := spec()
			s.Fixed = ms
			engines = append(engines, open(t, sim.New(s), Config{Limits: limits(1, 0), Instances: 1, Profile: -1}, p))
		}
		begun := time.Now()
		var all sync.WaitGroup
		for i, want := range []time.Duration{ms, 3 * ms, 2 * ms} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				r := request(1, 0, newRandom(1))
				if i == 2 {
					r.Class = batch.Interactive
				}
				if _, err := engines[i].Infer(t.Context(), r); err != nil || time.Since(begun) != want {
					t.Errorf("model %d: %v at %s, want %s", i, err, time.Since(begun), want)
				}
			})
		}
		all.Wait()
	})
}

// TestBatchGrowsWhileItWaits: the slot is taken until 10; requests at 1, 2 and 3 of a greedy engine run
// together then.
func TestBatchGrowsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1)
		s := spec()
		s.Fixed = 10 * ms
		other := open(t, sim.New(s), Config{Limits: limits(8, 0), Instances: 1, Profile: -1}, p)
		seen := &tally{}
		s.Fixed = 2 * ms
		e := open(t, sim.New(s), Config{Limits: limits(8, 0), Instances: 2, Profile: -1, Observer: seen}, p)
		var all sync.WaitGroup
		all.Go(func() { play(t, other, "other", []timed{{0, 1, 10}}) })
		all.Go(func() { play(t, e, "waiting", []timed{{1, 1, 12}, {2, 1, 12}, {3, 1, 12}}) })
		all.Wait()
		synctest.Wait()
		if len(seen.batches) != 1 || seen.batches[0].Rows != 3 {
			t.Errorf("batches %+v", seen.batches)
		}
	})
}

// TestSize: never more batches at once than slots, over all engines, and a larger pool is used at once: eight
// batches of 10 ms through 2 slots, of which the pool has 4 from 15 on, end at 10 10 20 20 25 25 30 30.
func TestSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(2)
		begun := time.Now()
		var ended sync.Map
		var all sync.WaitGroup
		for range 4 {
			s := spec()
			s.Fixed = 10 * ms
			e := open(t, sim.New(s), Config{Limits: limits(1, 0), Instances: 4, Profile: -1}, p)
			for range 2 {
				all.Go(func() {
					if _, err := e.Infer(t.Context(), request(1, 0, newRandom(1))); err != nil {
						t.Error(err)
					}
					n, _ := ended.LoadOrStore(time.Since(begun), new(atomic.Int64))
					n.(*atomic.Int64).Add(1)
				})
			}
		}
		time.AfterFunc(15*ms, func() { p.SetSize(4) })
		all.Wait()
		for at, want := range map[time.Duration]int64{10 * ms: 2, 20 * ms: 2, 25 * ms: 2, 30 * ms: 2} {
			if n, ok := ended.Load(at); !ok || n.(*atomic.Int64).Load() != want {
				t.Errorf("%d did not end at %s", want, at)
			}
		}
		if p.used != 0 || len(p.waiting) != 0 {
			t.Errorf("%d slots are in use, %d engines wait", p.used, len(p.waiting))
		}
	})
}

// TestNothingIsOwed: who used slots that nobody else wanted does not pay for it later, who used one that
// somebody waited for does.
func TestNothingIsOwed(t *testing.T) {
	p, a, b := NewPool(1), &seat{granted: func() {}}, &seat{granted: func() {}}
	p.take(a, false)
	p.give(a, 10)
	if !p.take(a, false) || a.credit != 0 {
		t.Errorf("taken again with a credit of %v", a.credit)
	}
	if !p.keep(a, 10, false) || a.credit != 0 {
		t.Errorf("kept with a credit of %v", a.credit)
	}
	if p.take(b, false) {
		t.Error("two have one slot")
	}
	if p.keep(a, 10*quantum, false) || a.credit >= 0 {
		t.Errorf("kept although another waits, with a credit of %v", a.credit)
	}
	p.leave(a)
	p.leave(b)
	if p.grant(); p.used != 0 || len(p.waiting) != 0 || a.waits || b.waits {
		t.Errorf("%d slots are in use, %d wait", p.used, len(p.waiting))
	}
}
