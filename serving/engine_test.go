package serving

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

// doubler is a model of one value in and one out that takes a fixed time a batch and remembers them.
type doubler struct {
	takes   time.Duration
	fails   error
	batches [][]float32
}

func (d *doubler) Meta() runtime.Meta {
	one := func(name string) runtime.Tensor { return runtime.Tensor{Name: name, Shape: []int{1}} }
	return runtime.Meta{Name: "doubler", Input: one("x"), Features: []string{"x"}, Outputs: []runtime.Tensor{one("y"), one(runtime.Confidence)}, Accuracy: 0.75, Measure: "r2"}
}

func (d *doubler) Run(in []float32, rows int) ([][]float32, error) {
	time.Sleep(d.takes)
	d.batches = append(d.batches, slices.Clone(in))
	out, sure := make([]float32, rows), make([]float32, rows)
	for i, v := range in {
		out[i], sure[i] = 2*v, 0.5
	}
	return [][]float32{out, sure}, d.fails
}

func testConfig() Config {
	return Config{
		Name: "m", Version: "v1", Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 10},
		MaxBody: 1 << 16, MaxInflight: 8, RequestTimeout: time.Second, DrainTimeout: time.Second,
	}
}

// started is an engine whose worker runs until the test's bubble ends.
func started(m runtime.Model) (e *engine, stop func()) {
	cfg := testConfig()
	e = newEngine(cfg.Limits)
	e.metrics = newMetrics(NewRegistry(), cfg, e.waiting)
	ctx, cancel := context.WithCancel(context.Background())
	go e.run(ctx, m)
	return e, cancel
}

// TestEngineTiming: batch of 4, delay 5 ms, a batch takes 2 ms; times of arrival and answer by hand.
func TestEngineTiming(t *testing.T) {
	type request struct{ at, rows, answer int } // milliseconds
	tests := []struct {
		name     string
		requests []request
		batches  []int // rows in each
	}{
		{"alone: 5 of delay and 2 of work", []request{{0, 1, 7}}, []int{1}},
		{"two share the oldest's delay", []request{{0, 1, 7}, {3, 1, 7}}, []int{2}},
		{"full at 3: no more waiting", []request{{0, 2, 5}, {3, 2, 5}}, []int{4}},
		{"too late for the first batch", []request{{0, 1, 7}, {6, 1, 13}}, []int{1, 1}}, // the second is ready at 6+5
		{"9 rows in 4+4 at once and 1 after 5", []request{{0, 9, 7}}, []int{4, 4, 1}},   // 2, 4, then max(4, 5)+2
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			m := &doubler{takes: 2 * time.Millisecond}
			e, stop := started(m)
			begun := time.Now()
			var all sync.WaitGroup
			for i, r := range tt.requests {
				all.Go(func() {
					time.Sleep(time.Duration(r.at) * time.Millisecond)
					out, err := e.infer(t.Context(), slices.Repeat([]float32{float32(i + 1)}, r.rows), r.rows)
					if took := time.Since(begun); err != nil || took != time.Duration(r.answer)*time.Millisecond {
						t.Errorf("%s: request %d answered at %s with %v, want %d ms", tt.name, i, took, err, r.answer)
					}
					if want := slices.Repeat([]float32{2 * float32(i+1)}, r.rows); !slices.Equal(out[0], want) {
						t.Errorf("%s: request %d got %v, want %v", tt.name, i, out[0], want)
					}
				})
			}
			all.Wait()
			stop()
			synctest.Wait()
			var sizes []int
			for _, b := range m.batches {
				sizes = append(sizes, len(b))
			}
			if !slices.Equal(sizes, tt.batches) {
				t.Errorf("%s: batches of %v rows, want %v", tt.name, sizes, tt.batches)
			}
		})
	}
}

func TestCancelledIsDroppedBeforeItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &doubler{}
		e, stop := started(m)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond) // before the 5 of delay
		defer cancel()
		if _, err := e.infer(ctx, []float32{1}, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request out of time ended with %v", err)
		}
		if n := e.waiting(); n != 0 {
			t.Errorf("%v rows wait, want 0", n)
		}
		time.Sleep(time.Second)
		stop()
		synctest.Wait()
		if len(m.batches) != 0 {
			t.Errorf("the dropped rows ran: %v", m.batches)
		}
	})
}

func TestFullQueue(t *testing.T) {
	e := newEngine(testConfig().Limits)
	if !e.push(&call{rows: 7}) || e.push(&call{rows: 4}) || !e.push(&call{rows: 3}) {
		t.Error("10 rows: 7 must fit, 4 more not, 3 more must")
	}
	if _, err := e.infer(t.Context(), []float32{1}, 1); !errors.Is(err, errQueueFull) {
		t.Errorf("full queue answers %v", err)
	}
}

// TestModelError: every call of the failed batch gets the error, the rest of a cut one is not run.
func TestModelError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := &doubler{fails: broken}
		e, stop := started(m)
		if _, err := e.infer(t.Context(), make([]float32, 9), 9); !errors.Is(err, broken) {
			t.Errorf("the error is %v, want the model's", err)
		}
		stop()
		synctest.Wait()
		if len(m.batches) != 1 || e.waiting() != 0 {
			t.Errorf("%d batches ran and %v rows wait, want 1 and 0", len(m.batches), e.waiting())
		}
	})
}
