package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

const ms = time.Millisecond

// static is an engine of a model that takes 2 ms a batch, with batches of 4 and a fixed wait of 5 ms.
func static(t *testing.T, instances int, o Observer) *Engine {
	t.Helper()
	s := spec()
	s.Fixed = 2 * ms
	e, err := New(sim.New(s), Config{
		Limits:    batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * ms, MaxQueueRows: 10, Static: true},
		Instances: instances, Profile: -1, Observer: o,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestTiming: a batch of 4, 5 ms of delay, 2 ms of work; arrivals and answers by hand. The bubble also
// fails when a goroutine is left after Close.
func TestTiming(t *testing.T) {
	tests := []struct {
		name     string
		requests []timed
		batches  []int // rows in each
	}{
		{"alone: 5 of delay and 2 of work", []timed{{0, 1, 7}}, []int{1}},
		{"two share the oldest's delay", []timed{{0, 1, 7}, {3, 1, 7}}, []int{2}},
		{"full at 3: no more waiting", []timed{{0, 2, 5}, {3, 2, 5}}, []int{4}},
		{"too late for the first batch", []timed{{0, 1, 7}, {6, 1, 13}}, []int{1, 1}}, // the second is ready at 6+5
		{"9 rows in 4+4 at once and 1 after 5", []timed{{0, 9, 7}}, []int{4, 4, 1}},   // 2, 4, then max(4, 5)+2
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			seen := &tally{}
			e := static(t, 1, seen)
			play(t, e, tt.name, tt.requests)
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
			var rows []int
			for _, b := range seen.batches {
				rows = append(rows, b.Rows)
			}
			if !slices.Equal(rows, tt.batches) {
				t.Errorf("%s: batches of %v rows, want %v", tt.name, rows, tt.batches)
			}
		})
	}
}

type timed struct{ at, rows, answer int } // milliseconds

// play makes the requests at their times and checks the times of their answers.
func play(t *testing.T, e *Engine, name string, requests []timed) {
	begun := time.Now()
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() {
			time.Sleep(time.Duration(r.at) * ms)
			q := request(r.rows, 0, newRandom(i))
			out, err := e.Infer(t.Context(), q)
			if err == nil {
				err = right(q, out)
			}
			if took := time.Since(begun); err != nil || took != time.Duration(r.answer)*ms {
				t.Errorf("%s: request %d answered at %s with %v, want %d ms", name, i, took, err, r.answer)
			}
		})
	}
	all.Wait()
}

// TestTwoInstances: with 2 workers 9 rows run as 4+4 at once, then 1 when its 5 ms are over.
func TestTwoInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 2, nil)
		play(t, e, "two instances", []timed{{0, 4, 2}, {0, 4, 2}, {1, 1, 8}})
		e.SetInstances(1)
		play(t, e, "one is left", []timed{{0, 4, 2}, {1, 4, 4}})
		_ = e.Close(t.Context())
	})
}

// TestCancelled: rows of a caller who left never run.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		e := static(t, 1, seen)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := e.Infer(ctx, request(2, 0, newRandom(1))); !errors.Is(err, context.Canceled) {
				t.Errorf("the cancelled request: %v", err)
			}
		})
		all.Go(func() { time.Sleep(3 * ms); cancel() })
		play(t, e, "the other", []timed{{1, 1, 8}}) // its own 5 ms from 1 on, then 2
		all.Wait()
		synctest.Wait() // the observer hears of a batch when its callers have been answered
		if len(seen.batches) != 1 || seen.batches[0].Rows != 1 || !slices.Equal(seen.shed, []string{ShedCancelled}) {
			t.Errorf("batches %+v, shed %v", seen.batches, seen.shed)
		}
		if _, err := e.Infer(ctx, Request{Rows: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that was over before it began: %v", err)
		}
		_ = e.Close(t.Context())
	})
}

// TestDeadline: the worker is busy until 7; a request with 3 ms does not run, whether the time is its own or its
// context's, and the context's ends the waiting at once.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		e := static(t, 1, seen)
		begun := time.Now()
		var all sync.WaitGroup
		all.Go(func() { play(t, e, "8 rows", []timed{{0, 8, 4}}) })
		all.Go(func() {
			time.Sleep(ms)
			r := request(1, 0, newRandom(1))
			r.Deadline = begun.Add(3 * ms)
			_, err := e.Infer(t.Context(), r)
			if at := time.Since(begun); !errors.Is(err, ErrExpired) || at != 6*ms { // its 5 ms of delay end at 6
				t.Errorf("own deadline: %v at %s", err, at)
			}
		})
		all.Go(func() {
			time.Sleep(ms)
			ctx, cancel := context.WithDeadline(t.Context(), begun.Add(3*ms))
			defer cancel()
			_, err := e.Infer(ctx, request(1, 0, newRandom(1)))
			if at := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || at != 3*ms {
				t.Errorf("context's deadline: %v at %s", err, at)
			}
		})
		all.Wait()
		synctest.Wait()
		slices.Sort(seen.shed)
		if len(seen.batches) != 2 || !slices.Equal(seen.shed, []string{ShedCancelled, ShedExpired}) {
			t.Errorf("batches %+v, shed %v", seen.batches, seen.shed)
		}
		_ = e.Close(t.Context())
	})
}

// TestObserved: what is told of two requests that share a batch: they came at 0 and 3, ran from 5 to 7.
func TestObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		e := static(t, 1, seen)
		l := e.Limits()
		l.SLO = 20 * ms
		e.SetLimits(l)
		play(t, e, "observed", []timed{{0, 1, 7}, {3, 1, 7}})
		synctest.Wait()
		b := seen.batches[0]
		if !slices.Equal(b.Waits, []time.Duration{5 * ms, 2 * ms}) || b.Wall != 2*ms || b.Requests != 2 || b.Why != batch.StaticDelay || b.Err != nil {
			t.Errorf("the batch: %+v", b)
		}
		slices.SortFunc(seen.requests, func(a, b RequestSeen) int { return int(a.Total - b.Total) })
		late, early := seen.requests[0], seen.requests[1]
		if early.Queue != 5*ms || early.Total != 7*ms || early.Slack != 13*ms || !early.HasDeadline || late.Queue != 2*ms || late.Slack != 16*ms {
			t.Errorf("the requests: %+v, %+v", early, late)
		}
		s := e.Stats()
		if s.Batches != 1 || s.Rows != 2 || s.Busy != 2*ms || s.Success.Count != 2 || s.Queue.Took != 7*ms || s.Success.Took != 11*ms ||
			s.Compute.Took != 4*ms || len(s.Sizes) != 1 || s.Sizes[0].Rows != 2 || s.Sizes[0].Wall != (Sum{1, 2 * ms}) {
			t.Errorf("the sums: %+v", s)
		}
		_ = e.Close(t.Context())
	})
}

// TestClose: who is inside is computed without more waiting, who comes later is refused.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &closing{Model: sim.New(sim.Spec{Inputs: row(width), Outputs: row(outputs), Fixed: 2 * ms})}
		e, err := New(m, Config{Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: time.Hour, MaxQueueRows: 10, Static: true}, Instances: 3, Profile: -1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() { play(t, e, "inside", []timed{{0, 1, 3}}) }) // closed at 1
		time.Sleep(ms)
		if err := e.Close(t.Context()); err != nil || m.closed.Load() != 1 {
			t.Errorf("close: %v; the model was closed %d times", err, m.closed.Load())
		}
		if _, err := e.Infer(t.Context(), Request{Rows: 1}); !errors.Is(err, ErrClosed) {
			t.Errorf("after it: %v", err)
		}
		if err := e.Room(1, batch.Default, time.Time{}); !errors.Is(err, ErrClosed) {
			t.Errorf("room after it: %v", err)
		}
		e.SetInstances(5)
		if err := e.Close(t.Context()); err != nil || m.closed.Load() != 1 {
			t.Errorf("close again: %v; the model was closed %d times", err, m.closed.Load())
		}
		all.Wait()
	})
}

// closing is a model that counts how often it was closed.
type closing struct {
	runtime.Model
	closed atomic.Int32
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

// TestCloseInTime: one batch of 2 s computes and one request waits when the time to close is over: the
// waiting one is let go then, the model is closed after the batch.
func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &closing{Model: sim.New(sim.Spec{Inputs: row(width), Outputs: row(outputs), Fixed: 2 * time.Second})}
		e, err := New(m, Config{Limits: limits(4, 0), Instances: 1, Profile: -1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() { play(t, e, "computing", []timed{{0, 1, 2000}}) })
		all.Go(func() {
			time.Sleep(ms)
			if _, err := e.Infer(t.Context(), request(1, 0, newRandom(1))); !errors.Is(err, ErrClosed) {
				t.Errorf("the waiting one: %v", err)
			}
		})
		time.Sleep(2 * ms)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second || m.closed.Load() != 0 {
			t.Errorf("close: %v after %s; closed %d times", err, time.Since(begun), m.closed.Load())
		}
		all.Wait()
		synctest.Wait()
		if m.closed.Load() != 1 {
			t.Errorf("the model was closed %d times", m.closed.Load())
		}
	})
}

// TestFlush: a drain waits for nobody.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 1, nil)
		time.AfterFunc(2*ms, e.Flush)
		play(t, e, "flushed", []timed{{0, 1, 4}})
		_ = e.Close(t.Context())
	})
}

// TestLimitsLive: a smaller batch is full at once, a shorter delay is over earlier.
func TestLimitsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 1, nil)
		l := e.Limits()
		set := func(size int, delay time.Duration) func() {
			return func() {
				l.MaxBatchSize, l.MaxQueueDelay = size, delay
				e.SetLimits(l)
			}
		}
		time.AfterFunc(2*ms, set(1, 5*ms))
		play(t, e, "smaller", []timed{{0, 1, 4}})
		set(4, 5*ms)()
		time.AfterFunc(2*ms, set(4, 3*ms))
		play(t, e, "shorter", []timed{{0, 1, 5}})
		_ = e.Close(t.Context())
	})
}

// TestIdle: an engine without requests does nothing at all: no timer is set and time passes freely.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 2, nil)
		play(t, e, "one", []timed{{0, 1, 7}})
		time.Sleep(time.Hour)
		if !e.armed.IsZero() {
			t.Error("a timer is set")
		}
		_ = e.Close(t.Context())
	})
}

// TestEarlierDeadline: of a request's own deadline and its context's the earlier counts; the answer comes at 7.
func TestEarlierDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		e := static(t, 1, seen)
		for _, tt := range []struct{ own, context, slack time.Duration }{
			{50 * ms, 20 * ms, 13 * ms}, {20 * ms, 50 * ms, 13 * ms}, {0, 20 * ms, 13 * ms},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.context)
			r := request(1, 0, newRandom(1))
			if tt.own > 0 {
				r.Deadline = time.Now().Add(tt.own)
			}
			_, err := e.Infer(ctx, r)
			cancel()
			if last := seen.requests[len(seen.requests)-1]; err != nil || last.Slack != tt.slack {
				t.Errorf("own %s, context's %s: %s were left, %v", tt.own, tt.context, last.Slack, err)
			}
		}
		_ = e.Close(t.Context())
	})
}

// TestLeaver: the rows of a caller who left after they were put into a batch are not read any more.
func TestLeaver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := static(t, 1, nil)
		c := e.calls.Get().(*call)
		c.begin(request(2, 0, newRandom(1)))
		if err := e.push(c); err != nil || e.leave(c) {
			t.Fatalf("%v, or it ended", err)
		}
		if rows := newWorker(e).gather([]batch.Span[*call]{{Of: c, To: 2}}); rows != 0 {
			t.Errorf("%d rows were read", rows)
		}
		_ = e.Close(t.Context())
	})
}
