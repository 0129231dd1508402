package engine

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

// keepBytes is how large a buffer for rows an idle worker keeps.
const keepBytes = 1 << 20

// worker computes one batch at a time. It belongs to its goroutine while it computes, and to the engine's
// mutex while it is idle.
type worker struct {
	e       *Engine
	todo    chan bool        // a batch is ready; true: and has room for more rows. Closed: the worker ends
	session runtime.Session  // made when it is first needed, and anew after a panic
	in      []runtime.Tensor // the batch; what Data begins is kept in room
	room    [][]byte
	placed  []batch.Span[*call] // spans whose rows are in the batch, in its order
	faults  []error             // of each span of the batch
	ran     []ran
	by      []int           // of each span: its place in ran, that of the last one with rows of it
	end     time.Time       // of the last run
	waits   []time.Duration // of each span
	over    []*call
}

// ran is what one run of the model took.
type ran struct {
	rows, requests             int
	begun                      time.Time // computing
	gather, wall, cpu, scatter time.Duration
	waits                      []time.Duration
	err                        error
	panicked                   bool
}

func newWorker(e *Engine) *worker {
	n := len(e.meta.Inputs)
	return &worker{e: e, todo: make(chan bool, 1), in: make([]runtime.Tensor, n), room: make([][]byte, n)}
}

// loop computes batches until the engine retires the worker.
func (w *worker) loop() {
	for room := range w.todo {
		if b, ok := w.e.take(w, room); ok {
			w.execute(b.Spans)
			w.settle(b)
		}
		w.shrink()
	}
}

// shrink lets large buffers go when there is nothing to do: an idle worker is a small one.
func (w *worker) shrink() {
	if len(w.todo) > 0 {
		return
	}
	for i := range w.room {
		w.in[i].Data = nil
		if cap(w.room[i]) > keepBytes {
			w.room[i] = nil
		}
	}
}

// execute computes a batch. If that fails and several calls are in it, each is computed alone, so that one
// bad request fails nobody else's.
func (w *worker) execute(spans []batch.Span[*call]) {
	begun := time.Now()
	w.end = begun
	w.faults, w.ran, w.by, w.waits = w.faults[:0], w.ran[:0], w.by[:0], w.waits[:0]
	for _, s := range spans {
		w.waits = append(w.waits, begun.Sub(s.Of.arrived))
	}
	err := w.attempt(spans, w.waits, begun)
	for i := range spans {
		if err != nil && len(spans) > 1 {
			w.faults = append(w.faults, w.attempt(spans[i:i+1], w.waits[i:i+1], time.Now()))
		} else {
			w.faults = append(w.faults, err)
		}
		w.by = append(w.by, len(w.ran)-1)
	}
}

// attempt gathers the rows of spans, computes them, and hands the answers out.
func (w *worker) attempt(spans []batch.Span[*call], waits []time.Duration, begun time.Time) error {
	rows := w.gather(spans)
	if rows == 0 {
		return nil // all callers have left
	}
	r := ran{rows: rows, requests: len(w.placed), waits: waits}
	out, err := w.compute(rows, &r)
	r.gather = r.begun.Sub(begun)
	for i, from := 0, 0; i < len(w.placed) && err == nil; i++ {
		err = w.placed[i].Of.accept(w.placed[i], out, from, rows)
		from += w.placed[i].Rows()
	}
	w.end = time.Now()
	r.scatter, r.err = w.end.Sub(r.begun)-r.wall, err
	clear(w.placed)
	w.ran = append(w.ran, r)
	return err
}

// gather lays the rows of spans one after the other and returns how many they are: without those whose
// callers have left.
func (w *worker) gather(spans []batch.Span[*call]) (rows int) {
	w.placed = w.placed[:0]
	for i := range w.in {
		w.in[i].Data = w.room[i][:0]
	}
	all := 0
	for _, s := range spans {
		all += s.Rows()
	}
	for _, s := range spans {
		if s.Of.copyInto(w, s, all) {
			w.placed = append(w.placed, s)
			rows += s.Rows()
		}
	}
	for i := range w.in {
		w.room[i] = w.in[i].Data[:0]
		if rows > 0 {
			w.in[i].Shape[0] = rows
		}
	}
	return rows
}

// copyInto appends rows of the call to the worker's batch of up to all rows, unless the caller left.
func (c *call) copyInto(w *worker, s batch.Span[*call], all int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	for i, t := range c.Inputs {
		to := &w.in[i]
		row := len(t.Data) / c.Rows
		if cap(to.Data)-len(to.Data) < s.Rows()*row {
			to.Data = append(runtime.Alloc(all * row)[:0], to.Data...)
		}
		to.Type = t.Type
		to.Shape = append(to.Shape[:0], t.Shape...)
		to.Data = append(to.Data, t.Data[s.From*row:s.To*row]...)
	}
	return true
}

// compute runs the model on what was gathered. The outputs are good until the next time.
func (w *worker) compute(rows int, r *ran) (out []runtime.Tensor, err error) {
	if w.session == nil {
		r.begun = time.Now()
		if w.session, err = w.e.model.Session(); err != nil {
			return nil, fmt.Errorf("make a session: %w", err)
		}
	}
	goruntime.LockOSThread() // the CPU time is the thread's
	defer goruntime.UnlockOSThread()
	cpu, known := w.e.cpu()
	r.begun = time.Now()
	out, err = w.guarded(rows, r)
	r.wall = time.Since(r.begun)
	r.cpu = r.wall
	if end, ok := w.e.cpu(); ok && known {
		r.cpu = end - cpu
	}
	if err == nil {
		err = w.e.complete(out, rows)
	}
	if err != nil {
		return nil, fmt.Errorf("compute a batch of %d rows: %w", rows, err)
	}
	return out, nil
}

// guarded runs the model and turns a panic into an error. The session is in an unknown state after one, so
// that it is replaced.
func (w *worker) guarded(rows int, r *ran) (out []runtime.Tensor, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			w.session, r.panicked = nil, true
			err = fmt.Errorf("the model panicked: %v", cause)
		}
	}()
	return w.session.Run(w.in, rows)
}

// complete returns what is wrong with the outputs of a batch.
func (e *Engine) complete(out []runtime.Tensor, rows int) error {
	if len(out) != len(e.meta.Outputs) {
		return fmt.Errorf("the model gave %d outputs; it has %d", len(out), len(e.meta.Outputs))
	}
	for i, t := range out {
		if n, ok := t.Bytes(); len(t.Shape) == 0 || t.Shape[0] != rows || !ok || n != len(t.Data) {
			return fmt.Errorf("output %q has shape %v and %d bytes of %s", e.meta.Outputs[i].Name, t.Shape, len(t.Data), t.Type)
		}
	}
	return nil
}

// accept copies the call's rows, which begin at row from of a batch of rows rows, into its answer.
func (c *call) accept(s batch.Span[*call], out []runtime.Tensor, from, rows int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	if c.out == nil {
		c.out = answer(out, c.Rows, rows)
	}
	for i, t := range out {
		to := c.out[i]
		if to.Type != t.Type || !slices.Equal(to.Shape[1:], t.Shape[1:]) {
			return errors.New("the outputs of a request's batches differ in shape")
		}
		row := len(t.Data) / rows
		copy(to.Data[s.From*row:s.To*row], t.Data[from*row:])
	}
	return nil
}

// answer makes tensors like out, which has rows rows, for want rows, in three pieces of memory.
func answer(out []runtime.Tensor, want, rows int) []runtime.Tensor {
	dims, bytes := 0, 0
	for _, t := range out {
		dims += len(t.Shape)
		bytes += aligned(len(t.Data) / rows * want)
	}
	tensors, shapes, data := make([]runtime.Tensor, len(out)), make([]int, 0, dims), runtime.Alloc(bytes)
	for i, t := range out {
		n := len(t.Data) / rows * want
		shapes = append(append(shapes, want), t.Shape[1:]...)
		at := len(shapes) - len(t.Shape)
		tensors[i] = runtime.Tensor{Type: t.Type, Shape: shapes[at:len(shapes):len(shapes)], Data: data[:n:n]}
		data = data[aligned(n):]
	}
	return tensors
}

func aligned(n int) int { return (n + 7) &^ 7 }

// settle counts a batch, ends the calls that it completed, and looks for the next one.
func (w *worker) settle(b batch.Batch[*call]) {
	e, end := w.e, w.end
	w.over = w.over[:0]
	e.mu.Lock()
	for i, s := range b.Spans {
		w.credit(i, s, end)
	}
	e.queue.Done(b.ID, end)
	e.held, e.brought, e.cost = true, true, e.count(w.ran, end)
	e.rest(w)
	e.advance(end)
	e.unlock()
	for i, c := range w.over {
		c.done <- struct{}{}
		w.over[i] = nil
	}
	w.tell(b, end)
}

// tell reports the runs of a batch.
func (w *worker) tell(b batch.Batch[*call], end time.Time) {
	for i, r := range w.ran {
		seen := BatchSeen{
			Rows: r.rows, Requests: r.requests, Waits: r.waits, Wall: r.wall, CPU: r.cpu,
			Why: b.Why, Again: i > 0, Err: r.err,
		}
		if !b.Deadline.IsZero() {
			seen.Slack, seen.HasDeadline = b.Deadline.Sub(end), true
		}
		w.e.observer.Batch(seen)
	}
}

// credit counts span i of the batch as computed, or its call as failed.
func (w *worker) credit(i int, s batch.Span[*call], end time.Time) {
	c, e, fault := s.Of, w.e, w.faults[i]
	c.running--
	if c.ended {
		return // its caller left
	}
	c.left -= s.Rows()
	c.queued = max(c.queued, w.waits[i])
	if fault != nil && c.err == nil {
		c.err = fault
		e.drop(c)
	}
	if c.running == 0 && (c.left == 0 || c.err != nil) {
		e.end(c, c.err)
		e.sums.answered(c, w.ran[w.by[i]], end) // somebody is there to be answered, so there was a run
		w.over = append(w.over, c)
	}
}

// rest makes w idle, or ends it when there are too many. An idle worker keeps no large buffers.
func (e *Engine) rest(w *worker) {
	e.idle = append(e.idle, w)
	e.retire()
	e.ended()
}
