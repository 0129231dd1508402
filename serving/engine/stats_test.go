package engine

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// TestStatsOfLargeRequest: 9 rows run as 4, 4 and 1, and count as one request, with the batch that ended it.
func TestStatsOfLargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 1, nil)
		play(t, e, "9 rows", []timed{{0, 9, 7}})
		one, none := Sum{1, 2 * ms}, Sum{1, 0}
		if s := e.Stats(); s.Batches != 3 || s.Success != (Sum{1, 7 * ms}) || s.Queue != (Sum{1, 5 * ms}) || s.Compute != one || s.Gather != none || s.Scatter != none {
			t.Errorf("the sums: %+v", s)
		}
		_ = e.Close(t.Context())
	})
}

// TestAgain: of 3 rows in a batch one is bad. The batch is told once, and then each row as computed again; a
// request counts with the run that it was alone in.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		s := spec()
		s.PerRow, s.Fail = ms, func(first float64) error {
			if first < 0 {
				return errors.New("no such house")
			}
			return nil
		}
		e, err := New(sim.New(s), Config{Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: ms, MaxQueueRows: 10, Static: true}, Instances: 1, Profile: -1, Observer: seen}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, first := range []float32{1, -1, 2} {
			all.Go(func() { _, _ = e.Infer(t.Context(), request(1, first, newRandom(1))) })
		}
		all.Wait()
		synctest.Wait()
		var again, failed []bool
		for _, b := range seen.batches {
			again, failed = append(again, b.Again), append(failed, b.Err != nil)
		}
		bad := 0
		for _, f := range failed[1:] {
			if f {
				bad++
			}
		}
		if !slices.Equal(again, []bool{false, true, true, true}) || !failed[0] || bad != 1 {
			t.Errorf("again %v, failed %v", again, failed)
		}
		if s := e.Stats(); s.Batches != 2 || s.Compute != (Sum{2, 2 * ms}) {
			t.Errorf("the sums: %+v", s)
		}
		_ = e.Close(t.Context())
	})
}

// TestInstances: what may compute at once is what was asked for, as far as the pool goes.
func TestInstances(t *testing.T) {
	pool := NewPool(2)
	e := open(t, sim.New(spec()), Config{Limits: limits(4, 0), Instances: 8, Profile: -1}, pool)
	for _, tt := range []struct{ pool, asked, want int }{{2, 8, 2}, {4, 8, 4}, {4, 3, 3}, {1, 3, 1}} {
		pool.SetSize(tt.pool)
		e.SetInstances(tt.asked)
		if got := e.Stats().Instances; got != tt.want {
			t.Errorf("%d of a pool of %d: %d, want %d", tt.asked, tt.pool, got, tt.want)
		}
	}
}
