package usage

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// whose tells which pod, container or GPU a series of a query's answer is about; false: nobody's that
// is read.
type whose func(q query, l labels.Labels) (origin, bool)

// part is what is read at once: some queries over some windows.
type part struct {
	queries     []query
	first, last time.Time // ends of the first and of the last window
	step        time.Duration
	parallel    int // queries asked at once, at least 1
}

// windows is how many there are.
func (p part) windows() int { return int(p.last.Sub(p.first)/p.step) + 1 }

// read answers every query of the part and gives the samples, not sorted yet, and how many values they came from,
// with those that are nobody's.
func (p part) read(ctx context.Context, b backend, who whose) (out []fleet.Sample, points int, err error) {
	answers := make([]answered, len(p.queries))
	defer func() {
		for i := range answers {
			answers[i].close()
		}
	}()
	err = fan(ctx, 3*len(p.queries), p.parallel, func(ctx context.Context, i int) error {
		q, a := p.queries[i/3], &answers[i/3]
		text := [3]string{q.mean, q.max, q.count}[i%3]
		if text == "" {
			return nil
		}
		m, done, err := b.query(ctx, text, p.first, p.last, p.step)
		if err != nil {
			return fmt.Errorf("%s: %w", q.signal, err)
		}
		a.matrices[i%3], a.done[i%3] = m, done
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for i, q := range p.queries {
		points += answers[i].points()
		out = append(out, answers[i].join(q, p.step, who)...)
	}
	return out, points, nil
}

// answered is what came back for one query: mean, largest and count.
type answered struct {
	matrices [3]promql.Matrix
	done     [3]func()
}

func (a *answered) close() {
	for _, done := range a.done {
		if done != nil {
			done()
		}
	}
}

func (a *answered) points() (n int) {
	for _, m := range a.matrices {
		n += m.TotalSamples()
	}
	return n
}

// join puts mean, largest and count together, window by window.
func (a *answered) join(q query, step time.Duration, who whose) []fleet.Sample {
	largest, count := byLabels(a.matrices[1]), byLabels(a.matrices[2])
	var out []fleet.Sample
	for _, mean := range a.matrices[0] {
		o, known := who(q, mean.Metric)
		if !known {
			continue
		}
		key := identity(mean.Metric)
		out = append(out, o.samples(q.signal, step, mean.Floats, largest[key], count[key])...)
	}
	return out
}

// samples are those of one series. A window without a count had nothing measured in it.
func (o origin) samples(signal fleet.Signal, step time.Duration, mean []promql.FPoint, largest, count *points) []fleet.Sample {
	out := make([]fleet.Sample, 0, len(mean))
	for _, p := range mean {
		s := fleet.Sample{Ref: o.ref, Pod: o.pod, Container: o.container, Image: o.image, Signal: signal,
			At: time.UnixMilli(p.T).UTC(), Window: step, Mean: p.F, Max: p.F}
		if v, ok := largest.at(p.T); ok {
			s.Max = v
		}
		n, ok := count.at(p.T)
		if !ok || math.IsNaN(p.F) || math.IsInf(p.F, 0) {
			continue
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

func compareSamples(a, b fleet.Sample) int {
	return cmp.Or(a.At.Compare(b.At), a.Ref.Compare(b.Ref), cmp.Compare(a.Pod, b.Pod),
		cmp.Compare(a.Container, b.Container), cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Image, b.Image))
}

// fan calls do for 0 to n-1, at most limit at once. The first error ends the others and is returned.
func fan(ctx context.Context, n, limit int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, max(1, limit))
	var running sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
