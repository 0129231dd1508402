package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	goruntime "runtime"
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

// newRandom is the same numbers for the same seed.
func newRandom(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 1)) }

const (
	width   = 3 // values of a row
	outputs = 2
)

func limits(size int, delay time.Duration) batch.Limits {
	return batch.Limits{MaxBatchSize: size, MaxQueueDelay: delay, MaxQueueRows: 1000}
}

func spec() sim.Spec { return sim.Spec{Inputs: row(width), Outputs: row(outputs)} }

func row(width int) []runtime.Spec {
	return []runtime.Spec{{Name: "v", Type: runtime.FP32, Shape: []int{width}}}
}

// open starts an engine and closes it at the end of the test.
func open(t *testing.T, m runtime.Model, c Config, p *Pool) *Engine {
	t.Helper()
	if c.Instances == 0 {
		c.Instances = 1
	}
	e, err := New(m, c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if e.pool.used != 0 || len(e.pool.waiting) != 0 {
			t.Errorf("%d slots are in use, %d engines wait", e.pool.used, len(e.pool.waiting))
		}
	})
	return e
}

// request is rows of random values that begin with first.
func request(rows int, first float32, random *rand.Rand) Request {
	v := make([]float32, rows*width)
	for i := range v {
		v[i] = random.Float32()
	}
	v[0] = first
	return Request{Rows: rows, Inputs: []runtime.Tensor{{Type: runtime.FP32, Shape: []int{rows, width}, Data: runtime.Data(v)}}}
}

// right returns what is wrong with an answer: every row is answered with a function of that row.
func right(r Request, out []runtime.Tensor) error {
	if len(out) != 1 || !slices.Equal(out[0].Shape, []int{r.Rows, outputs}) {
		return errors.New("the answer has another shape")
	}
	in, got := runtime.Values[float32](r.Inputs[0].Data), runtime.Values[float32](out[0].Data)
	for i := range r.Rows {
		if !slices.Equal(got[i*outputs:(i+1)*outputs], sim.Answer(in[i*width:(i+1)*width], outputs)) {
			return errors.New("a row has the answer of another")
		}
	}
	return nil
}

// TestEverybodyGetsTheirOwn sends from 64 goroutines requests of random rows, classes and patience while
// workers and limits change. Callers write over their rows as soon as they are back: the race detector
// sees an engine that still reads them.
func TestEverybodyGetsTheirOwn(t *testing.T) {
	for name, l := range map[string]batch.Limits{
		"greedy":   limits(8, 0),
		"adaptive": {MaxBatchSize: 8, MaxQueueDelay: time.Millisecond, SLO: time.Minute, MaxQueueRows: 10000},
		"static":   {MaxBatchSize: 8, MaxQueueDelay: 200 * time.Microsecond, MaxQueueRows: 10000, Static: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec()
			s.Fixed, s.PerRow = 50*time.Microsecond, time.Microsecond
			e := open(t, sim.New(s), Config{Limits: l, Instances: 2, Observer: &tally{}}, NewPool(2))
			stop := changing(e, l)
			var all sync.WaitGroup
			var answered, gone atomic.Int64
			for i := range 64 {
				all.Go(func() { customer(t, e, uint64(i), &answered, &gone) })
			}
			all.Wait()
			stop()
			if answered.Load() < 64 || gone.Load() < 64 {
				t.Errorf("%d answered and %d gone: the test tests nothing", answered.Load(), gone.Load())
			}
			if s := e.Stats(); s.Inflight != 0 || s.QueueRows != 0 || s.QueueBytes != 0 || e.urgent != 0 {
				t.Errorf("%d requests, %d rows, %d bytes, %d urgent are left", s.Inflight, s.QueueRows, s.QueueBytes, e.urgent)
			}
		})
	}
}

// customer makes requests and leaves some of them early.
func customer(t *testing.T, e *Engine, seed uint64, answered, gone *atomic.Int64) {
	random := newRandom(int(seed))
	for range 40 {
		r := request(1+random.IntN(1+random.IntN(20)), 0, random)
		r.Class = batch.Class(random.IntN(3))
		ctx, cancel := context.WithCancel(context.Background())
		if random.IntN(4) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(1000))*time.Microsecond)
		}
		out, err := e.Infer(ctx, r)
		cancel()
		switch {
		case err == nil:
			answered.Add(1)
			if err := right(r, out); err != nil {
				t.Error(err)
			}
		case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrExpired):
			gone.Add(1)
		default:
			var refusal *batch.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != batch.TooLate {
				t.Errorf("a request of %d rows: %v", r.Rows, err)
			}
			gone.Add(1)
		}
		clear(r.Inputs[0].Data)
	}
}

// changing changes what can be changed, until it is stopped.
func changing(e *Engine, l batch.Limits) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		random := newRandom(7)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Duration(random.IntN(500)) * time.Microsecond):
			}
			l.MaxBatchSize = 1 + random.IntN(16)
			e.SetLimits(l)
			e.SetInstances(1 + random.IntN(4))
			e.pool.SetSize(1 + random.IntN(3))
			e.Stats()
		}
	})
	return func() { close(end); done.Wait() }
}

// tally is an observer that counts.
type tally struct {
	mu       sync.Mutex
	batches  []BatchSeen
	requests []RequestSeen
	shed     []string
}

func (o *tally) Batch(b BatchSeen) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.Waits = slices.Clone(b.Waits)
	o.batches = append(o.batches, b)
}

func (o *tally) Request(r RequestSeen) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests = append(o.requests, r)
}

func (o *tally) Shed(reason string, _ batch.Class) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shed = append(o.shed, reason)
}

// TestShapesAreApart: rows of different shapes are in no batch together, and their answers are right.
func TestShapesAreApart(t *testing.T) {
	in := []runtime.Spec{{Name: "a", Type: runtime.FP32, Shape: []int{-1}}, {Name: "b", Type: runtime.Int32, Shape: []int{2}}}
	seen := &tally{}
	e := open(t, sim.New(sim.Spec{Inputs: in, Outputs: row(1), Fixed: 200 * time.Microsecond}),
		Config{Limits: limits(8, time.Millisecond), Observer: seen}, nil)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			n := 1 + i%5
			a := slices.Repeat([]float32{1}, n)
			r := Request{Rows: 1, Inputs: []runtime.Tensor{
				{Type: runtime.FP32, Shape: []int{1, n}, Data: runtime.Data(a)},
				{Type: runtime.Int32, Shape: []int{1, 2}, Data: runtime.Data([]int32{10, 0})},
			}}
			out, err := e.Infer(t.Context(), r)
			if want := float32(n*(n+1)/2 + 10); err != nil || runtime.Values[float32](out[0].Data)[0] != want { // weights 1, 2 .. n
				t.Errorf("%d values: %v, %v; want %v", n, out, err, want)
			}
		})
	}
	all.Wait()
	if err := e.Close(t.Context()); err != nil { // the observer hears of a batch when its callers have been answered
		t.Error(err)
	}
	for _, b := range seen.batches {
		if b.Err != nil || b.Rows > 7 { // 32 requests of 5 shapes: 7 of the first two at most
			t.Errorf("a batch of %d rows: %v", b.Rows, b.Err)
		}
	}
	if len(e.shapes) != 5 {
		t.Errorf("%d shapes are remembered", len(e.shapes))
	}
}

// TestGreedyBatches: eight requests that are here at once are not eight batches, though nobody waits for
// anybody and one core reads one after another. A pause of the scheduler's may split them.
func TestGreedyBatches(t *testing.T) {
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		seen := &tally{}
		e := open(t, sim.New(spec()), Config{Limits: limits(8, 0), Instances: 2, Observer: seen, Profile: -1}, nil)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if _, err := e.Infer(t.Context(), request(1, 0, newRandom(i))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if len(seen.batches) > 3 {
			t.Errorf("%d batches", len(seen.batches))
		}
	})
}

// TestIdleIsSmall: after a batch of 2 MB an idle worker holds none of it.
func TestIdleIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sim.Spec{Inputs: row(1 << 15), Outputs: row(1)}
		e := open(t, sim.New(s), Config{Limits: limits(16, 0), Profile: -1}, nil)
		for _, rows := range []int{1, 16} {
			in := []runtime.Tensor{{Type: runtime.FP32, Shape: []int{rows, 1 << 15}, Data: runtime.Alloc(rows << 17)}}
			if _, err := e.Infer(t.Context(), Request{Rows: rows, Inputs: in}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if kept, want := cap(e.idle[0].room[0]), []int{1 << 17, 0}[rows/16]; kept != want || e.idle[0].in[0].Data != nil {
				t.Errorf("%d bytes are kept after %d rows, want %d", kept, rows, want)
			}
		}
	})
}

// TestWarmInferAllocatesLittle: three pieces of memory for the answer, and two that the batcher gives away.
func TestWarmInferAllocatesLittle(t *testing.T) {
	e := open(t, nothing{sim.New(sim.Spec{Inputs: row(512), Outputs: row(16)})}, Config{Limits: limits(8, 0)}, nil)
	if n := testing.AllocsPerRun(200, func() { hammer(e, 1, 100) }) / 100; n > 6 {
		t.Errorf("%v allocations a request", n)
	}
}
