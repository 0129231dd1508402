// Package engine is one version of a model at work: its queue, its workers and its curve. Packages batch and
// curve decide; here are the clock, the goroutines and the memory that carry out what they decide. It knows
// no protocol and nothing of other models, except that all engines share a Pool.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/curve"
	"trimtab.dev/trimtab/serving/runtime"
)

// Errors that callers tell apart. A refused request's error is a *batch.Refusal.
var (
	// ErrClosed means that the engine takes no more requests.
	ErrClosed = errors.New("model is being unloaded")
	// ErrExpired means that the deadline passed before all rows were computed.
	ErrExpired = errors.New("deadline passed while the request waited")
)

// DefaultProfile is how long New may try out the model.
const DefaultProfile = 300 * time.Millisecond

// Config says how an engine serves.
type Config struct {
	Name, Version string // for messages
	Limits        batch.Limits
	Instances     int           // batches at once, as far as the pool lets them; at least 1
	Profile       time.Duration // how long New may try out the model; 0: DefaultProfile, below 0: not at all
	Observer      Observer      // nil: nobody

	cpu func() (time.Duration, bool) // for tests in virtual time; nil: threadCPU
}

// Request is rows to compute.
type Request struct {
	Inputs   []runtime.Tensor // have passed Meta.Check; the engine reads them until Infer returns
	Rows     int
	Class    batch.Class
	Deadline time.Time // when the answer is worth nothing any more; zero: the context's
	Due      time.Time // when it should be there, if that is earlier: batches do not wait beyond it; zero: the SLO says it
}

// Engine serves one version of a model. It is safe for concurrent use.
type Engine struct {
	name     string
	model    runtime.Model
	meta     runtime.Meta
	dynamic  bool // rows may differ in shape
	observer Observer
	pool     *Pool
	cpu      func() (time.Duration, bool)
	calls    sync.Pool // of *call
	timer    *time.Timer
	loops    sync.WaitGroup
	stopped  chan struct{} // closed when the last worker has ended and the model is closed
	closeErr error         // of the model; read after stopped

	mu       sync.Mutex // guards all below; taken before the pool's
	queue    *batch.Queue[*call]
	limits   batch.Limits
	fitter   *curve.Fitter
	curve    curve.Curve
	fresh    int // batches since curve was fitted
	fitted   time.Time
	idle     []*worker
	workers  int // alive
	wanted   int
	seat     seat
	called   bool // a worker is on its way to take a batch
	held     bool // a slot is held that no worker uses; never while the mutex is free
	brought  bool // and a worker brought it from a batch that cost so many CPU seconds
	cost     float64
	passed   bool      // the slot was given up to another engine, which has to be told
	armed    time.Time // when the timer will fire; zero: it will not
	shapes   map[string]string
	inside   int // requests between Push and their end
	urgent   int // interactive ones among them with rows that wait
	closed   bool
	stopping bool
	sums     sums
	born     time.Time // arrivals are counted since
	arrivals arrivals
}

// New checks the model's golden rows, tries the model out to learn its curve, and starts the workers. The
// engine owns m from here on, also when New fails: then m is closed. A nil pool makes one of Instances slots.
func New(m runtime.Model, c Config, pool *Pool) (*Engine, error) {
	e, err := start(m, c, pool)
	if err != nil {
		return nil, fmt.Errorf("start model %s version %s: %w", c.Name, c.Version, errors.Join(err, m.Close()))
	}
	return e, nil
}

func start(m runtime.Model, c Config, pool *Pool) (*Engine, error) {
	if err := c.Limits.Check(); err != nil {
		return nil, err
	}
	if c.Instances < 1 {
		return nil, fmt.Errorf("instances is %d; at least 1", c.Instances)
	}
	e := build(m, c, pool)
	first := newWorker(e)
	if err := e.prove(first, c); err != nil {
		return nil, err
	}
	e.seat.granted = e.granted
	e.timer = time.AfterFunc(time.Hour, e.tick)
	e.timer.Stop()
	e.setLimits(c.Limits)
	e.fit(time.Now())
	e.add(first)
	e.SetInstances(c.Instances)
	e.born = time.Now()
	return e, nil
}

func build(m runtime.Model, c Config, pool *Pool) *Engine {
	e := &Engine{
		name: c.Name, model: m, meta: m.Meta(), observer: c.Observer, pool: pool, limits: c.Limits,
		stopped: make(chan struct{}), fitter: curve.New(), shapes: map[string]string{},
		queue: batch.New[*call](c.Limits, c.Instances), sums: newSums(), cpu: c.cpu,
	}
	if e.cpu == nil {
		e.cpu = threadCPU
	}
	if e.observer == nil {
		e.observer = silent{}
	}
	if e.pool == nil {
		e.pool = NewPool(c.Instances)
	}
	for _, in := range e.meta.Inputs {
		if _, fixed := in.Width(); !fixed {
			e.dynamic = true
		}
	}
	e.calls.New = func() any { return &call{done: make(chan struct{}, 1)} }
	return e
}

// Meta says what the model takes and gives. Its MaxRows is lower than the model's own where the model
// turned out to compute no such batches.
func (e *Engine) Meta() runtime.Meta { return e.meta }

// Bytes is the memory that the model holds.
func (e *Engine) Bytes() int64 { return e.model.Bytes() }

// Curve is what is known of the model's speed.
func (e *Engine) Curve() curve.Curve {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.curve
}

// Limits are the limits in force: those that were set, with a batch no larger than the model takes.
func (e *Engine) Limits() batch.Limits {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.limits
}

// SetLimits makes l, which must have passed Check, hold from now on. Nobody who waits is sent away.
func (e *Engine) SetLimits(l batch.Limits) {
	e.mu.Lock()
	defer e.unlock()
	e.setLimits(l)
	e.advance(time.Now())
}

func (e *Engine) setLimits(l batch.Limits) {
	if most := e.meta.MaxRows; most > 0 {
		l.MaxBatchSize = min(l.MaxBatchSize, most)
	}
	e.limits = l
	e.queue.SetLimits(l)
}

// SetInstances changes the number of workers. One that computes ends after its batch.
func (e *Engine) SetInstances(n int) {
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return
	}
	e.wanted = max(n, 1)
	e.queue.SetInstances(e.parallel())
	for e.workers < e.wanted {
		e.add(newWorker(e))
	}
	e.retire()
	e.advance(time.Now())
}

// parallel is how many batches compute at once when all is busy.
func (e *Engine) parallel() int { return min(e.wanted, e.pool.Size()) }

// add starts a worker. Its goroutine ends when its channel is closed: by retire.
func (e *Engine) add(w *worker) {
	e.workers++
	e.idle = append(e.idle, w)
	e.loops.Go(w.loop)
}

// retire ends idle workers that are too many.
func (e *Engine) retire() {
	for e.workers > e.wanted && len(e.idle) > 0 {
		w := e.idle[len(e.idle)-1]
		e.idle = e.idle[:len(e.idle)-1]
		e.workers--
		close(w.todo)
	}
}

// Room says whether a request would be taken now: nil, a *batch.Refusal, or ErrClosed. It spares the reading
// of a body that would be refused. Who is refused is not expected to call Infer: he counts as an arrival here.
func (e *Engine) Room(rows int, class batch.Class, deadline time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	now := time.Now()
	err := e.queue.Room(rows, class, deadline, now)
	if err != nil {
		e.arrivals.add(now.Sub(e.born), 0, class)
	}
	return err
}

// Missed tells that a request for the model came and was refused before the engine could see it: it counts
// as an arrival.
func (e *Engine) Missed(class batch.Class) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrivals.add(time.Since(e.born), 0, class)
}

// Flush makes batches run without waiting for others from now on: the process is about to end.
func (e *Engine) Flush() {
	e.mu.Lock()
	defer e.unlock()
	e.queue.Flush()
	e.advance(time.Now())
}

// Close takes no more requests, computes those inside, ends the workers and closes the model. When ctx ends
// first, those who wait get ErrClosed and Close returns the context's error; batches that compute then end
// in their own time, and the model is closed after the last. Closing twice waits twice.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.queue.Flush()
	e.advance(time.Now())
	e.unlock()
	select {
	case <-e.stopped:
		e.loops.Wait()
		return e.closeErr
	case <-ctx.Done():
		e.abandon()
		return fmt.Errorf("close model %s: %w", e.name, ctx.Err())
	}
}

// stop ends the workers when the engine is closed and nobody is inside.
func (e *Engine) stop() {
	if !e.closed || e.inside > 0 || e.stopping {
		return
	}
	e.stopping = true
	e.wanted = 0
	e.timer.Stop()
	e.pool.leave(&e.seat)
	e.retire()
	e.ended()
}

// ended closes the model after the last worker; e.workers counts those that may still compute.
func (e *Engine) ended() {
	if e.stopping && e.workers == 0 {
		e.closeErr = e.model.Close()
		close(e.stopped)
	}
}
