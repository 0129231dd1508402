package engine

import (
	"cmp"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/curve"
)

// Sum is how often something happened and how long it took together.
type Sum struct {
	Count int64
	Took  time.Duration
}

func (s *Sum) add(took time.Duration) {
	s.Count++
	s.Took += took
}

// Size is what batches of one size took.
type Size struct {
	Rows                       int
	Gather, Wall, CPU, Scatter Sum // Count is the number of batches in all
}

// Stats is what an engine did since it started, and what it is at. Sums count from the first request: the
// golden rows and the self-profile are not in them.
type Stats struct {
	Busy, CPU     time.Duration // computing: time passed, added up over the workers, and CPU time
	Batches, Rows int64         // computed with success
	Panics        int64         // of the model
	Sizes         []Size        // by rows
	// Each request counts once, with the whole time of the batch that its last rows were in, as the Open
	// Inference Protocol's statistics have it.
	Success, Failed                 Sum // from arrival to answer
	Queue, Gather, Compute, Scatter Sum
	Last                            time.Time // when the last batch ended; zero: none did

	Instances  int   // batches that may compute at once, here and in the pool
	Inflight   int   // requests inside
	QueueRows  int   // rows that wait
	QueueBytes int64 // bytes of the requests that they are of
	Curve      curve.Curve
	Batcher    batch.State
	Arrivals   Arrivals
}

// sums is the part of Stats that grows.
type sums struct {
	stats Stats
	sizes map[int]*Size
}

func newSums() sums { return sums{sizes: map[int]*Size{}} }

// Stats returns what the engine did and is at; it is the caller's own.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sums.stats
	for _, size := range e.sums.sizes {
		s.Sizes = append(s.Sizes, *size)
	}
	slices.SortFunc(s.Sizes, func(a, b Size) int { return cmp.Compare(a.Rows, b.Rows) })
	s.Instances, s.Inflight = e.parallel(), e.inside
	s.QueueRows, s.QueueBytes = e.queue.Rows(), e.queue.Bytes()
	s.Curve, s.Batcher = e.curve, e.queue.Explain()
	s.Curve.Loaded = e.fitter.Loaded()
	s.Arrivals = e.arrivals.over(time.Since(e.born))
	return s
}

// The curve is fitted again after so many batches or so long, whichever is first, but not more often than a
// fit of some 10 us is nothing.
const (
	fitBatches = 16
	fitLatest  = 250 * time.Millisecond
	fitSoonest = 20 * time.Millisecond
)

// count adds what runs of the model took, and returns their CPU seconds.
func (e *Engine) count(runs []ran, end time.Time) (cpu float64) {
	for _, r := range runs {
		cpu += r.cpu.Seconds()
		e.sums.add(r, end)
		if r.err == nil {
			e.fitter.Add(r.rows, r.wall.Seconds(), r.cpu.Seconds(), end)
			e.fresh++
		}
	}
	age := end.Sub(e.fitted)
	if e.fresh >= fitBatches && age >= fitSoonest || e.fresh > 0 && age >= fitLatest {
		e.fit(end)
	}
	return cpu
}

// fit hands the batcher a new curve, and how many batches the pool lets compute now.
func (e *Engine) fit(now time.Time) {
	e.fresh, e.fitted = 0, now
	e.curve = e.fitter.Curve()
	e.queue.SetCurve(e.curve)
	e.queue.SetInstances(max(e.parallel(), 1))
}

func (s *sums) add(r ran, end time.Time) {
	t := &s.stats
	t.Busy += r.wall
	t.CPU += r.cpu
	t.Last = end
	if r.panicked {
		t.Panics++
	}
	if r.err != nil {
		return
	}
	t.Batches++
	t.Rows += int64(r.rows)
	size := s.sizes[r.rows]
	if size == nil {
		size = &Size{Rows: r.rows}
		s.sizes[r.rows] = size
	}
	size.Gather.add(r.gather)
	size.Wall.add(r.wall)
	size.CPU.add(r.cpu)
	size.Scatter.add(r.scatter)
}

// answered counts a call at its end, which came with r.
func (s *sums) answered(c *call, r ran, end time.Time) {
	took := end.Sub(c.arrived)
	if c.err != nil {
		s.stats.Failed.add(took)
		return
	}
	s.stats.Success.add(took)
	s.stats.Queue.add(c.queued)
	s.stats.Gather.add(r.gather)
	s.stats.Compute.add(r.wall)
	s.stats.Scatter.add(r.scatter)
}
