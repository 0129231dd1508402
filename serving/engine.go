package serving

import (
	"context"
	"errors"
	"sync"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

// errQueueFull: the request's rows do not fit into the queue now.
var errQueueFull = errors.New("queue is full")

// call is one request on its way through batches. The worker alone writes out and left until done
// is closed; the request's goroutine reads them after that.
type call struct {
	in   []float32
	rows int
	out  [][]float32 // one slice for each output of the model
	left int         // rows not computed yet
	err  error
	done chan struct{}
}

// engine is the queue and its one worker: package batch decides, the engine waits and runs.
type engine struct {
	metrics *metrics
	wake    chan struct{} // has room for one: something was pushed, or the limits are others

	mu    sync.Mutex
	queue *batch.Queue[*call]
}

func newEngine(l batch.Limits) *engine {
	return &engine{wake: make(chan struct{}, 1), queue: batch.New[*call](l)}
}

// waiting is the number of rows in the queue.
func (e *engine) waiting() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return float64(e.queue.Rows())
}

// infer queues rows rows and waits for their outputs. When ctx ends first, the rows that still wait
// are dropped, so that nobody's answer is computed.
func (e *engine) infer(ctx context.Context, in []float32, rows int) ([][]float32, error) {
	c := &call{in: in, rows: rows, left: rows, done: make(chan struct{})}
	if !e.push(c) {
		return nil, errQueueFull
	}
	select {
	case <-c.done:
		return c.out, c.err
	case <-ctx.Done():
		e.drop(c)
		return nil, ctx.Err()
	}
}

func (e *engine) push(c *call) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.queue.Push(c, c.rows, time.Now()) {
		return false
	}
	e.tell()
	return true
}

// limit makes l hold from the next batch on; what waits may be ready earlier under it.
func (e *engine) limit(l batch.Limits) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.SetLimits(l)
	e.tell()
}

// tell wakes the worker.
func (e *engine) tell() {
	select {
	case e.wake <- struct{}{}:
	default: // it is told already
	}
}

func (e *engine) drop(c *call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.Drop(c)
}

// run is the worker: it runs ready batches until ctx ends.
func (e *engine) run(ctx context.Context, m runtime.Model) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		spans, wait := e.next(time.Now())
		if len(spans) > 0 {
			e.execute(m, spans)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.C:
		}
	}
}

// next takes the next batch if it is ready at now; otherwise it says how long until it can be.
func (e *engine) next(now time.Time) ([]batch.Span[*call], time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.queue.ReadyAt()
	if !ok {
		return nil, time.Hour // until woken
	}
	if at.After(now) {
		return nil, at.Sub(now)
	}
	return e.queue.Take(), 0
}

// execute runs one batch and gives each call its part.
func (e *engine) execute(m runtime.Model, spans []batch.Span[*call]) {
	var in []float32
	rows := 0
	for _, s := range spans {
		width := len(s.Of.in) / s.Of.rows
		in = append(in, s.Of.in[s.From*width:s.To*width]...)
		rows += s.Rows()
	}
	begun := time.Now()
	out, err := m.Run(in, rows)
	e.metrics.compute.Observe(time.Since(begun).Seconds())
	e.metrics.batchRows.Observe(float64(rows))
	e.metrics.executions.Inc()
	e.metrics.inferences.Add(float64(rows))
	at := 0
	for _, s := range spans {
		e.answer(s, out, at, rows, err)
		at += s.Rows()
	}
}

// answer hands a span its rows, which begin at row at of a batch of rows rows, and closes the call
// when they were its last. An error ends the call at once.
func (e *engine) answer(s batch.Span[*call], out [][]float32, at, rows int, err error) {
	c := s.Of
	if err != nil {
		e.drop(c)
		c.err = err
		close(c.done)
		return
	}
	if c.out == nil {
		c.out = make([][]float32, len(out))
	}
	for i, o := range out {
		width := len(o) / rows
		c.out[i] = append(c.out[i], o[at*width:(at+s.Rows())*width]...)
	}
	c.left -= s.Rows()
	if c.left == 0 {
		close(c.done)
	}
}
