package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

const (
	sampleRows  = 64      // different rows to try the model with: a few again and again would flatter it
	sampleBytes = 8 << 20 // of all inputs of the sample
	anyLength   = 8       // tried for axes of any length
	fitError    = 0.03    // relative error of the curve with which the profile is content
	fewRuns     = 2       // of each batch size at least, after one to warm up
	manyRuns    = 8       // of each at most
	profileRows = 32      // tried at least, where the model takes them: whoever tunes asks what larger batches than the limit would take
)

// prove checks the golden rows and learns the model's curve.
func (e *Engine) prove(w *worker, c Config) error {
	e.seat.granted = func() { w.todo <- true }
	for i, g := range e.meta.Golden {
		if err := w.golden(g); err != nil {
			return fmt.Errorf("golden row %d: %w", i+1, err)
		}
	}
	budget := c.Profile
	if budget == 0 {
		budget = DefaultProfile
	}
	if budget > 0 {
		w.profile(c.Limits.MaxBatchSize, time.Now().Add(budget))
	}
	return nil
}

// golden computes one golden row and returns what is wrong with the answer.
func (w *worker) golden(g runtime.Golden) error {
	if _, err := w.e.meta.Check(g.Inputs); err != nil {
		return err
	}
	if have, want := len(g.Outputs), len(w.e.meta.Outputs); have != want {
		return fmt.Errorf("it has %d outputs; the model has %d", have, want)
	}
	out, _, err := w.try(whole(g.Inputs))
	if err != nil {
		return err
	}
	for i, t := range out {
		if err := same(g.Outputs[i], t, goldenTolerance); err != nil {
			return fmt.Errorf("output %q: %w", w.e.meta.Outputs[i].Name, err)
		}
	}
	return nil
}

// whole is the span of all rows of in.
func whole(in []runtime.Tensor) []batch.Span[*call] {
	c := &call{Request: Request{Inputs: in, Rows: in[0].Rows()}}
	return []batch.Span[*call]{{Of: c, To: c.Rows}}
}

// try computes a batch outside the queue, with a slot of the pool.
func (w *worker) try(spans []batch.Span[*call]) ([]runtime.Tensor, ran, error) {
	r := ran{rows: w.gather(spans)}
	if !w.e.pool.take(&w.e.seat, false) {
		<-w.todo
	}
	out, err := w.compute(r.rows, &r)
	w.e.pool.give(&w.e.seat, r.cpu.Seconds())
	return out, r, err
}

// profile runs batches of 1, 2, 4 and so on up to limit until the curve is good or time is up; up to
// profileRows where limit is lower and the model is quick. A model that
// cannot compute the rows that it makes up has no curve until requests come. One that cannot compute
// batches gets none.
func (w *worker) profile(limit int, until time.Time) {
	e := w.e
	s := w.sample()
	if s == nil {
		return
	}
	if limit < profileRows && w.quick(s, until) {
		limit = profileRows
	}
	if e.meta.MaxRows > 0 {
		limit = min(limit, e.meta.MaxRows)
	}
	if limit > 1 && !w.batches(s, min(limit, 4, s.of.Rows)) {
		e.meta.MaxRows, limit = 1, 1
	}
	p := profile{w: w, sample: s, until: until}
	for rows := 1; rows < limit; rows *= 2 {
		p.sizes = append(p.sizes, rows)
	}
	p.sizes = append(p.sizes, limit)
	p.run()
}

// quick reports whether there is time to see how a few rows batch.
func (w *worker) quick(s *sample, until time.Time) bool {
	const runs = 10
	_, r, err := w.try(s.next(1))
	s.at = 0
	return err == nil && time.Now().Add(runs*r.wall).Before(until)
}

// batches reports whether rows in one batch are answered as each alone. Some exports are bound to batches of
// one row in a place that their inputs' shapes do not show.
func (w *worker) batches(s *sample, rows int) bool {
	var alone [][]runtime.Tensor
	for i := range rows {
		out, _, err := w.try(s.next(1))
		if err != nil {
			return true // these rows say nothing
		}
		alone = append(alone, answer(out, 1, 1))
		for k, t := range out {
			copy(alone[i][k].Data, t.Data)
		}
	}
	s.at = 0
	out, _, err := w.try(s.next(rows))
	for i := 0; i < rows && err == nil; i++ {
		for k, t := range out {
			n := len(t.Data) / rows
			row := runtime.Tensor{Type: t.Type, Shape: append([]int{1}, t.Shape[1:]...), Data: t.Data[i*n : (i+1)*n]}
			if err == nil {
				err = same(alone[i][k], row, batchTolerance)
			}
		}
	}
	return err == nil
}

// profile is a self-profile on its way.
type profile struct {
	w      *worker
	sample *sample
	until  time.Time
	sizes  []int
	took   []time.Duration // of the last run of each size
}

// run tries each size a few times, the small ones first, then all again while the curve is not good yet.
func (p *profile) run() {
	for i := range p.sizes {
		if !p.size(i) {
			break
		}
	}
	p.sizes = p.sizes[:len(p.took)]
	for n := fewRuns; n < manyRuns && p.w.e.fitter.Curve().Error > fitError; n++ {
		for i := range p.sizes {
			if !p.fits(p.took[i], 1) || !p.once(i, true) {
				return
			}
		}
	}
}

// size warms size i up and runs it a few times; where only one run fits into the time that one has to do.
// False: no larger size fits, or it failed.
func (p *profile) size(i int) bool {
	if i > 0 && !p.fits(p.took[i-1]*time.Duration(p.sizes[i])/time.Duration(p.sizes[i-1]), 1) {
		return false
	}
	p.took = append(p.took, 0)
	if !p.once(i, false) {
		p.took = p.took[:i]
		return false
	}
	if !p.fits(p.took[i], fewRuns) {
		return false
	}
	for range fewRuns {
		if !p.once(i, true) {
			return false
		}
	}
	return true
}

// fits reports whether so many runs fit into the time that is left.
func (p *profile) fits(took time.Duration, runs int) bool {
	return time.Now().Add(took * time.Duration(runs)).Before(p.until)
}

// once runs size i and, unless it is to warm up, learns from it.
func (p *profile) once(i int, learn bool) bool {
	_, r, err := p.w.try(p.sample.next(p.sizes[i]))
	if err != nil {
		return false
	}
	p.took[i] = r.wall
	if learn || !p.fits(r.wall, fewRuns) {
		p.w.e.fitter.Profile(r.rows, r.wall.Seconds(), r.cpu.Seconds(), time.Now())
	}
	return true
}

// sample is rows to try the model with, taken in turn.
type sample struct {
	of *call
	at int
}

// next is the spans of the next rows rows; after the last row comes the first.
func (s *sample) next(rows int) []batch.Span[*call] {
	var spans []batch.Span[*call]
	for rows > 0 {
		n := min(rows, s.of.Rows-s.at)
		spans = append(spans, batch.Span[*call]{Of: s.of, From: s.at, To: s.at + n})
		s.at = (s.at + n) % s.of.Rows
		rows -= n
	}
	return spans
}

// sample makes rows: the golden ones, else small numbers of a fixed seed. Nil: the model takes none of them.
func (w *worker) sample() *sample {
	if g := w.e.meta.Golden; len(g) > 0 {
		return &sample{of: goldenRows(g)}
	}
	for _, length := range []int{anyLength, 1} {
		s := &sample{of: madeUp(w.e.meta.Inputs, length)}
		if _, _, err := w.try(s.next(1)); err == nil {
			s.at = 0
			return s
		}
		if !w.e.dynamic {
			break
		}
	}
	return nil
}

// goldenRows is the golden rows of the first one's shapes.
func goldenRows(golden []runtime.Golden) *call {
	c := &call{}
	for _, t := range golden[0].Inputs {
		c.Inputs = append(c.Inputs, runtime.Tensor{Type: t.Type, Shape: slices.Clone(t.Shape)})
	}
	for _, g := range golden {
		if !slices.EqualFunc(g.Inputs, golden[0].Inputs, func(a, b runtime.Tensor) bool { return slices.Equal(a.Shape, b.Shape) }) {
			continue
		}
		c.Rows++
		for i, t := range g.Inputs {
			c.Inputs[i].Data = append(c.Inputs[i].Data, t.Data...)
			c.Inputs[i].Shape[0] = c.Rows
		}
	}
	return c
}

// madeUp is rows of small numbers, with axes of any length as long as given.
func madeUp(specs []runtime.Spec, length int) *call {
	c := &call{Request: Request{Rows: sampleRows}}
	random := rand.New(rand.NewPCG(1, 2))
	bytes := 0
	for _, s := range specs {
		t := runtime.Tensor{Type: s.Type, Shape: []int{1}}
		for _, d := range s.Shape {
			if d < 0 {
				d = length
			}
			t.Shape = append(t.Shape, d)
		}
		n, _ := t.Bytes()
		bytes += n
		c.Inputs = append(c.Inputs, t)
	}
	c.Rows = max(1, min(sampleRows, sampleBytes/max(bytes, 1)))
	for i := range c.Inputs {
		t := &c.Inputs[i]
		t.Shape[0] = c.Rows
		n, _ := t.Bytes()
		t.Data = runtime.Alloc(n)
		fill(*t, random)
	}
	return c
}
