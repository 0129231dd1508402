package engine

import (
	goruntime "runtime"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

const (
	// late is how much later than the batcher said the engine may look again. Every arrival moves that
	// instant a little earlier; without it each would set the timer anew.
	late = 50 * time.Microsecond
	// soonest is how far ahead the timer is set at least, so that no rounding makes it spin.
	soonest = 10 * time.Microsecond
)

// advance calls a worker when a batch is ready and there is a slot for it. Everything that may make a batch
// ready calls it, and unlock after it. While all workers compute it costs nothing.
func (e *Engine) advance(now time.Time) {
	if e.called || len(e.idle) == 0 {
		return // who is called looks for more work when it has taken its batch
	}
	ready, at := e.queue.Ready(now)
	if !ready {
		e.arm(at, now)
		return
	}
	// The slot comes before the batch: while the engine waits for one, the batch grows.
	if e.hold() {
		e.call()
	}
}

// call wakes the worker that was last at work: its memory is in the caches.
func (e *Engine) call() {
	w := e.idle[len(e.idle)-1]
	e.idle = e.idle[:len(e.idle)-1]
	e.called, e.held = true, false // the slot is the worker's
	w.todo <- e.queue.Rows() < e.limits.MaxBatchSize
}

// take is the next batch for w, which was called and has a slot; false: there is none any more and w is idle.
//
// With room in the batch the worker lets all goroutines go first that can run: those of requests that are
// already here push theirs. It costs no time that they would not need anyway, and on few cores, where one
// request after another is read, it is what makes batches out of them.
func (e *Engine) take(w *worker, room bool) (batch.Batch[*call], bool) {
	if room {
		goruntime.Gosched()
	}
	e.mu.Lock()
	defer e.unlock()
	now := time.Now()
	e.called, e.held = false, true
	b, ready, _ := e.queue.Next(now)
	e.expire(b.Expired)
	if ready {
		e.held = false
		for _, s := range b.Spans {
			s.Of.running++
			e.begun(s.Of, s.Rows())
		}
	} else {
		e.rest(w)
	}
	e.advance(now)
	return b, ready
}

// hold makes sure of a slot. One that a worker brings from its last batch is kept only if no other engine
// has the better claim.
func (e *Engine) hold() bool {
	switch {
	case e.held && e.brought:
		e.held = e.pool.keep(&e.seat, e.cost, e.urgent > 0)
		e.brought, e.cost = false, 0
		e.passed = !e.held
	case !e.held:
		e.held = e.pool.take(&e.seat, e.urgent > 0)
	}
	return e.held
}

// unlock unlocks the engine and does what must not be done under its lock: a slot that is not needed goes
// to another engine, whose lock it takes to start a batch.
func (e *Engine) unlock() {
	e.stop()
	held, passed, cost := e.held, e.passed, e.cost
	e.held, e.brought, e.passed, e.cost = false, false, false, 0
	e.mu.Unlock()
	if held {
		e.pool.give(&e.seat, cost)
	} else if passed {
		e.pool.grant()
	}
}

// expire ends calls whose deadline passed before all of their rows were in a batch.
func (e *Engine) expire(over []*call) {
	for _, c := range over {
		e.begun(c, c.unstarted)
		e.fail(c, ErrExpired)
	}
}

// fail ends c, whose rows no longer wait, with err, once no batch has rows of it.
func (e *Engine) fail(c *call, err error) {
	if c.ended {
		return
	}
	c.err = err
	if c.running == 0 {
		e.end(c, err)
		c.done <- struct{}{}
	}
}

// arm has the queue looked at again at at; zero is never.
func (e *Engine) arm(at, now time.Time) {
	if at.IsZero() || !e.armed.IsZero() && at.After(e.armed.Add(-late)) {
		return
	}
	e.armed = at
	e.timer.Reset(max(at.Sub(now), soonest))
}

// tick is called by the timer.
func (e *Engine) tick() {
	e.mu.Lock()
	defer e.unlock()
	e.armed = time.Time{}
	e.advance(time.Now())
}

// granted is called by the pool when the engine, which asked for a slot, has one.
func (e *Engine) granted() {
	e.mu.Lock()
	defer e.unlock()
	e.held = true
	e.advance(time.Now())
}

// abandon ends all who wait with ErrClosed.
func (e *Engine) abandon() {
	e.mu.Lock()
	defer e.unlock()
	now := time.Now()
	for {
		b, ready, _ := e.queue.Next(now) // the queue is flushed: what waits is ready
		e.expire(b.Expired)
		if !ready {
			return
		}
		for _, s := range b.Spans {
			e.begun(s.Of, s.Rows())
			e.fail(s.Of, ErrClosed)
		}
		e.queue.Done(b.ID, now)
	}
}
