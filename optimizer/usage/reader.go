package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What ReaderOptions means by zero.
const (
	DefaultStep   = time.Minute
	DefaultSettle = 45 * time.Second
)

// windowsAtOnce is the most windows of a chunk of a long read.
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
	backend backend
	span    func() (oldest, newest time.Time, ok bool) // of all samples there are
	o       ReaderOptions
	queries []query
}

// NewReader builds a Reader on s.
func NewReader(s *Store, o ReaderOptions) *Reader { return newReader(s, s.span, o) }

func newReader(b backend, span func() (oldest, newest time.Time, ok bool), o ReaderOptions) *Reader {
	o.Step = cmp.Or(o.Step, DefaultStep)
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Settle = max(0, cmp.Or(o.Settle, DefaultSettle))
	r := &Reader{backend: b, span: span, o: o}
	for _, q := range trimtabQueries() {
		if q.gap == "" {
			r.queries = append(r.queries, q.at(o.Step, o.Interval))
		}
	}
	return r
}

// Since is the time from which on there is usage to read; false: there is none yet.
func (r *Reader) Since() (time.Time, bool) {
	oldest, _, ok := r.span()
	return oldest, ok
}

// Each hands over a sample for every window that ends in (since, until], is complete, and in which
// something was measured; windows are aligned to the step. They are sorted by end, Ref, pod,
// container, signal and image, and come chunk by chunk, for reads that are larger than memory: each
// of do's slices is its own to keep. After an error what is missing is unknown.
func (r *Reader) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	first, last, ok := r.windows(since, until)
	if !ok {
		return ctx.Err()
	}
	for n := newStride(windowsAtOnce); !first.After(last); {
		p := part{queries: r.queries, first: first, last: first.Add(time.Duration(n.windows-1) * r.o.Step), step: r.o.Step}
		if p.last.After(last) {
			p.last = last
		}
		samples, points, err := r.chunk(ctx, p)
		if err != nil {
			return fmt.Errorf("read usage from %s to %s: %w", p.first.Format(time.RFC3339), p.last.Format(time.RFC3339), err)
		}
		if err := do(samples); err != nil {
			return err
		}
		n.took(p.windows(), points)
		first = p.last.Add(r.o.Step)
	}
	return nil
}

// windows gives the ends of the first and the last window to read: within what was asked, complete,
// and not before or after everything in the store.
func (r *Reader) windows(since, until time.Time) (first, last time.Time, ok bool) {
	oldest, newest, some := r.span()
	if !some {
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

func (r *Reader) chunk(ctx context.Context, p part) ([]fleet.Sample, int, error) {
	out, points, err := p.read(ctx, r.backend, func(_ query, l labels.Labels) (origin, bool) { return originOf(l), true })
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(out, compareSamples) // no two are equal: they would be one series
	return out, points, nil
}
