package engine

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

// call is one request on its way through batches. It is used again for another request, except when its
// caller left before a batch that it is in was done.
type call struct {
	Request
	arrived time.Time
	done    chan struct{} // has room for the one signal that the call ended

	mu   sync.Mutex // lets the caller leave only while no worker reads the inputs
	gone bool       // the caller left: nothing may be read or written
	out  []runtime.Tensor

	// The engine's mutex guards these, until done.
	unstarted int // rows in no batch yet
	left      int // rows not computed
	running   int // batches with rows of it
	ended     bool
	err       error
	queued    time.Duration // from arrival until the last rows began
}

func (c *call) begin(r Request) {
	c.Request = r
	c.gone, c.ended = false, false
	c.out, c.err = nil, nil
	c.unstarted, c.left, c.running, c.queued = r.Rows, r.Rows, 0, 0
}

// Infer computes r and returns the outputs, which are the caller's own. When ctx ends first, rows that still
// wait are never computed and the context's error is returned. Other errors: a *batch.Refusal, ErrClosed,
// ErrExpired, or what the model said of a batch with this request alone in it.
func (e *Engine) Infer(ctx context.Context, r Request) ([]runtime.Tensor, error) {
	if err := ctx.Err(); err != nil {
		e.observer.Shed(shedReason(err), r.Class)
		return nil, err
	}
	if at, ok := ctx.Deadline(); ok && (r.Deadline.IsZero() || at.Before(r.Deadline)) {
		r.Deadline = at
	}
	c := e.calls.Get().(*call)
	c.begin(r)
	if err := e.push(c); err != nil {
		c.Inputs = nil
		e.calls.Put(c)
		e.observer.Shed(shedReason(err), r.Class)
		return nil, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if !e.leave(c) {
			e.observer.Shed(shedReason(ctx.Err()), r.Class)
			return nil, ctx.Err() // c may still be in a batch: it is not used again
		}
		<-c.done // it ended at the same time
	}
	return e.finish(c)
}

// finish reports a call that ended and lets it be used again.
func (e *Engine) finish(c *call) ([]runtime.Tensor, error) {
	out, err := c.out, c.err
	if err == ErrExpired || err == ErrClosed {
		e.observer.Shed(shedReason(err), c.Class)
	} else {
		e.observer.Request(e.seen(c, time.Now()))
	}
	c.out, c.Inputs = nil, nil
	e.calls.Put(c)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (e *Engine) seen(c *call, now time.Time) RequestSeen {
	s := RequestSeen{Class: c.Class, Queue: c.queued, Total: now.Sub(c.arrived)}
	if !c.Deadline.IsZero() {
		s.Slack, s.HasDeadline = c.Deadline.Sub(now), true
	}
	return s
}

// push queues c and starts what is ready because of it.
func (e *Engine) push(c *call) error {
	var bytes int64
	for _, t := range c.Inputs {
		bytes += int64(len(t.Data))
	}
	var room [64]byte
	var key []byte
	if e.dynamic {
		key = shapeKey(room[:0], c.Inputs)
	}
	e.mu.Lock()
	defer e.unlock()
	if e.closed {
		return ErrClosed
	}
	c.arrived = time.Now() // under the mutex, so that the queue sees times in order
	e.arrivals.add(c.arrived.Sub(e.born), c.Rows, c.Class)
	err := e.queue.Push(batch.Request[*call]{
		Of: c, Rows: c.Rows, Bytes: bytes, Shape: e.shape(key), Class: c.Class, Arrived: c.arrived, Deadline: c.Deadline, Due: c.Due,
	})
	if err != nil {
		return err
	}
	e.inside++
	if c.Class == batch.Interactive {
		e.urgent++
	}
	if target := c.arrived.Add(e.limits.SLO); e.limits.SLO > 0 && (c.Deadline.IsZero() || target.Before(c.Deadline)) {
		c.Deadline = target // from here on only slack is told from it
	}
	e.advance(c.arrived)
	return nil
}

// shapeKey appends what rows must have in common to be in one batch: the lengths of the row's axes.
func shapeKey(key []byte, in []runtime.Tensor) []byte {
	for _, t := range in {
		for _, d := range t.Shape[1:] {
			key = binary.AppendUvarint(key, uint64(d))
		}
	}
	return key
}

// maxShapes bounds the shapes that are remembered; callers choose them.
const maxShapes = 256

// shape is key as a string that is made only once.
func (e *Engine) shape(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	if s, ok := e.shapes[string(key)]; ok {
		return s
	}
	if len(e.shapes) >= maxShapes {
		clear(e.shapes)
	}
	s := string(key)
	e.shapes[s] = s
	return s
}

// leave takes c out of everything, or reports that it has ended already. After it no worker reads c's inputs.
func (e *Engine) leave(c *call) (ended bool) {
	e.mu.Lock()
	if c.ended {
		e.mu.Unlock()
		return true
	}
	e.drop(c)
	e.end(c, nil)
	e.unlock()
	c.mu.Lock() // waits for one copy of rows at most
	c.gone = true
	c.mu.Unlock()
	return false
}

// drop takes the rows of c that wait out of the queue.
func (e *Engine) drop(c *call) {
	if c.unstarted > 0 {
		e.queue.Drop(c)
		e.begun(c, c.unstarted)
	}
}

// begun counts rows of c that no longer wait.
func (e *Engine) begun(c *call, rows int) {
	c.unstarted -= rows
	if c.unstarted == 0 && c.Class == batch.Interactive {
		e.urgent--
	}
}

// end marks c as ended; who calls it signals done afterwards, if the caller is still there.
func (e *Engine) end(c *call, err error) {
	c.ended, c.err = true, err
	e.inside--
}
