package usage

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What ReaderOptions means by zero.
const (
	DefaultStep   = time.Minute
	DefaultSettle = 45 * time.Second
)

// windowsAtOnce bounds the memory of one query: a long read is made of chunks of so many windows.
const windowsAtOnce = 360

// ReaderOptions says how finely the store is read.
type ReaderOptions struct {
	Step     time.Duration // length of a window, whole milliseconds; 0: DefaultStep
	Interval time.Duration // between two scrapes of a pod; 0: DefaultInterval
	// Settle is how long after its end a window is taken as complete: what was measured in it reaches
	// the store only after metrics-server's and the sampler's own intervals. 0: DefaultSettle; negative: at once.
	Settle time.Duration
}

// Reader answers the named queries from a Store. It may be used by several goroutines.
type Reader struct {
	store   *Store
	o       ReaderOptions
	queries []query
}

// NewReader builds a Reader on s.
func NewReader(s *Store, o ReaderOptions) *Reader {
	o.Step = cmp.Or(o.Step, DefaultStep)
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Settle = max(0, cmp.Or(o.Settle, DefaultSettle))
	r := &Reader{store: s, o: o}
	for _, q := range trimtabQueries() {
		if q.gap == "" {
			r.queries = append(r.queries, q.at(o.Step, o.Interval))
		}
	}
	return r
}

// Since is the time from which on there is usage to read; false: there is none yet.
func (r *Reader) Since() (time.Time, bool) { return r.store.Since() }

// Each hands over a sample for every window that ends in (since, until], is complete, and in which
// something was measured; windows are aligned to the step. They are sorted by end, Ref, pod,
// container, signal and image, and come chunk by chunk, for reads that are larger than memory: each
// of do's slices is its own to keep. After an error what is missing is unknown.
func (r *Reader) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	first, last, ok := r.windows(since, until)
	if !ok {
		return ctx.Err()
	}
	for ; !first.After(last); first = first.Add(windowsAtOnce * r.o.Step) {
		end := first.Add((windowsAtOnce - 1) * r.o.Step)
		if end.After(last) {
			end = last
		}
		samples, err := r.chunk(ctx, first, end)
		if err != nil {
			return fmt.Errorf("read usage from %s to %s: %w", first.Format(time.RFC3339), end.Format(time.RFC3339), err)
		}
		if err := do(samples); err != nil {
			return err
		}
	}
	return nil
}

// windows gives the ends of the first and the last window to read: within what was asked, complete,
// and not before or after everything in the store.
func (r *Reader) windows(since, until time.Time) (first, last time.Time, ok bool) {
	oldest, some := r.store.Since()
	newest, also := r.store.newest()
	if !some || !also {
		return first, last, false
	}
	if before := oldest.Add(-time.Millisecond); since.Before(before) {
		since = before // a window that ends with the oldest sample holds it
	}
	if settled := until.Add(-r.o.Settle); settled.Before(newest.Add(r.o.Step + r.o.Interval)) {
		last = floor(settled, r.o.Step)
	} else {
		last = floor(newest.Add(r.o.Step+r.o.Interval), r.o.Step)
	}
	first = floor(since, r.o.Step).Add(r.o.Step)
	return first, last, !first.After(last)
}

// floor is the last multiple of step since 1970 that is not after t.
func floor(t time.Time, step time.Duration) time.Time {
	ms, n := t.UnixMilli(), step.Milliseconds()
	over := ms % n
	if over < 0 {
		over += n
	}
	return time.UnixMilli(ms - over).UTC()
}

func (r *Reader) chunk(ctx context.Context, first, last time.Time) ([]fleet.Sample, error) {
	var out []fleet.Sample
	for _, q := range r.queries {
		samples, err := r.signal(ctx, q, first, last)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.signal, err)
		}
		out = append(out, samples...)
	}
	slices.SortFunc(out, compareSamples) // no two are equal: they would be one series
	return out, nil
}

func compareSamples(a, b fleet.Sample) int {
	return cmp.Or(a.At.Compare(b.At), a.Ref.Compare(b.Ref), cmp.Compare(a.Pod, b.Pod),
		cmp.Compare(a.Container, b.Container), cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Image, b.Image))
}

// signal reads mean, largest and count of one signal and joins them window by window.
func (r *Reader) signal(ctx context.Context, q query, first, last time.Time) ([]fleet.Sample, error) {
	var answers [3]promql.Matrix
	for i, text := range [3]string{q.mean, q.max, q.count} {
		if text == "" {
			continue
		}
		m, done, err := r.store.query(ctx, text, first, last, r.o.Step)
		if err != nil {
			return nil, err
		}
		defer done()
		answers[i] = m
	}
	largest, count := byLabels(answers[1]), byLabels(answers[2])
	var out []fleet.Sample
	for _, s := range answers[0] {
		key := identity(s.Metric)
		out = append(out, r.join(q, s, largest[key], count[key])...)
	}
	return out, nil
}

func (r *Reader) join(q query, mean promql.Series, largest, count *points) []fleet.Sample {
	o := originOf(mean.Metric)
	out := make([]fleet.Sample, 0, len(mean.Floats))
	for _, p := range mean.Floats {
		s := fleet.Sample{Ref: o.ref, Pod: o.pod, Container: o.container, Image: o.image, Signal: q.signal,
			At: time.UnixMilli(p.T).UTC(), Window: r.o.Step, Mean: p.F, Max: p.F}
		if v, ok := largest.at(p.T); ok {
			s.Max = v
		}
		n, ok := count.at(p.T)
		if !ok || math.IsNaN(p.F) || math.IsInf(p.F, 0) {
			continue // nothing was measured
		}
		s.N = int(n)
		out = append(out, s)
	}
	return out
}

// points walks the values of one series forwards in time.
type points struct{ rest []promql.FPoint }

func (p *points) at(t int64) (float64, bool) {
	if p == nil {
		return 0, false
	}
	for len(p.rest) > 0 && p.rest[0].T < t {
		p.rest = p.rest[1:]
	}
	if len(p.rest) == 0 || p.rest[0].T != t {
		return 0, false
	}
	return p.rest[0].F, true
}

func byLabels(m promql.Matrix) map[string]*points {
	out := make(map[string]*points, len(m))
	for _, s := range m {
		out[identity(s.Metric)] = &points{s.Floats}
	}
	return out
}

// identity is the labels without the metric's name, as a key.
func identity(l labels.Labels) string {
	return l.DropReserved(func(name string) bool { return name == model.MetricNameLabel }).String()
}
