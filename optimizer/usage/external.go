package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What ExternalOptions means by zero.
const (
	DefaultCoarse    = 5 * time.Minute
	DefaultFine      = 48 * time.Hour
	DefaultMaxSeries = 100_000
)

// What an External asks for at once, before a server finds it too much.
const (
	externalWindows = 576 // two days of five-minute windows
	externalQueries = 4   // at the same time
)

// ExternalOptions says how an outside server is read.
type ExternalOptions struct {
	Server ServerOptions
	// Match are label matchers that every series must meet, as PromQL: cluster="west". A server that holds
	// several clusters needs one that picks this one.
	Match  string
	Step   time.Duration // length of a window, whole milliseconds; 0: DefaultStep
	Settle time.Duration // as in ReaderOptions
	// Coarse is the length of the windows that end more than Fine before the end of a read.
	Coarse    time.Duration // a multiple of Step; 0: DefaultCoarse
	Fine      time.Duration // 0: DefaultFine
	MaxSeries int           // most series in one answer; 0: DefaultMaxSeries
	Log       *slog.Logger  // nil: nothing is logged
}

// External answers the named queries from a Prometheus-compatible server: Prometheus, Thanos, Mimir,
// VictoriaMetrics. What cAdvisor measured is joined with the workloads by kube-state-metrics or PodOwner.
// It may be used by several goroutines.
type External struct {
	backend backend
	o       ExternalOptions
	name    string // the server, for people
	log     *slog.Logger

	mu    sync.Mutex
	known known    // about the server
	told  []string // the gaps that were logged last
}

// NewExternal builds an External. It asks the server nothing yet; the error holds every fault of o.
func NewExternal(o ExternalOptions) (*External, error) {
	if o.MaxSeries == 0 {
		o.MaxSeries = DefaultMaxSeries
	}
	s, err := newServer(o.Server, o.MaxSeries)
	if err := errors.Join(err, checkMatch(o.Match)); err != nil {
		return nil, err
	}
	return newExternal(s, s.name, o), nil
}

func newExternal(b backend, name string, o ExternalOptions) *External {
	o.Step = cmp.Or(o.Step, DefaultStep)
	o.Settle = max(0, cmp.Or(o.Settle, DefaultSettle))
	o.Coarse = multiple(cmp.Or(o.Coarse, DefaultCoarse), o.Step)
	o.Fine = cmp.Or(o.Fine, DefaultFine)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &External{backend: b, o: o, name: name, log: o.Log}
}

// multiple is the least multiple of step that is at least d.
func multiple(d, step time.Duration) time.Duration { return (d + step - 1) / step * step }

// Each hands over the samples of every workload that the server knows the pods of, as Reader.Each does; windows
// that end long before until are coarse.
func (e *External) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	return e.EachOf(ctx, nil, since, until, do)
}

// EachOf is Each for some workloads; nil: all. The server is asked for their namespaces only.
func (e *External) EachOf(ctx context.Context, refs []fleet.Ref, since, until time.Time, do func([]fleet.Sample) error) error {
	if refs != nil && len(refs) == 0 {
		return ctx.Err()
	}
	k, err := e.look(ctx, since, until)
	if err != nil {
		return err
	}
	r := &pass{External: e, known: k, of: setOf(refs)}
	for _, s := range e.stretches(k, since, until) {
		if err := r.stretch(ctx, s, namespacesOf(refs), do); err != nil {
			return err
		}
	}
	return nil
}

// stretch is windows of one length; first and last are ends of windows.
type stretch struct {
	first, last time.Time
	step        time.Duration
}

// stretches are the windows of a read: coarse ones, then fine ones.
func (e *External) stretches(k known, since, until time.Time) []stretch {
	step := multiple(max(e.o.Step, k.interval), e.o.Step) // a rate needs two readings
	coarse := multiple(e.o.Coarse, step)
	border := floor(until.Add(-e.o.Fine), coarse)
	old := stretch{floor(since, coarse).Add(coarse), border, coarse}
	if since.After(border) {
		border = since
	}
	fine := stretch{floor(border, step).Add(step), floor(until.Add(-e.o.Settle), step), step}
	return slices.DeleteFunc([]stretch{old, fine}, func(s stretch) bool { return s.first.After(s.last) })
}

// pass is one Each.
type pass struct {
	*External
	known  known
	of     map[fleet.Ref]bool // nil: all
	points int                // values that came
}

// stretch reads chunk by chunk. What the server finds too much is asked for in halves, down to one window.
func (r *pass) stretch(ctx context.Context, s stretch, namespaces []string, do func([]fleet.Sample) error) error {
	n := newStride(externalWindows)
	for first := s.first; !first.After(s.last); {
		p := part{first: first, last: first.Add(time.Duration(n.windows-1) * s.step), step: s.step, parallel: externalQueries}
		if p.last.After(s.last) {
			p.last = s.last
		}
		r.points = 0
		samples, err := r.chunk(ctx, p, namespaces)
		if errors.Is(err, errTooMuch) && p.windows() > 1 {
			n.refused(p.windows())
			continue
		}
		if err != nil {
			return fmt.Errorf("read usage from %s from %s to %s: %w", r.name, p.first.Add(-p.step).Format(time.RFC3339), p.last.Format(time.RFC3339), err)
		}
		if err := do(samples); err != nil {
			return err
		}
		n.took(p.windows(), r.points)
		first = p.last.Add(s.step)
	}
	return nil
}

// chunk reads some windows of some namespaces, and half by half what is too much of them: longer texts than servers
// take, more series, or what they find too much even for one window.
func (r *pass) chunk(ctx context.Context, p part, namespaces []string) ([]fleet.Sample, error) {
	if r.long(p, namespaces) {
		return r.halves(ctx, p, namespaces)
	}
	out, err := r.ask(ctx, p, where{r.o.Match, namespaces})
	tooMuch := errors.Is(err, errTooManySeries) || errors.Is(err, errTooMuch) && p.windows() == 1
	switch {
	case !tooMuch:
		return out, err
	case len(namespaces) < 2:
		return nil, fmt.Errorf("%w; that is one window of %s already: raise the server's limits of samples and time per query, or read fewer namespaces", err, p.step)
	}
	return r.halves(ctx, p, namespaces)
}

// longestText is what VictoriaMetrics takes unless told otherwise (-search.maxQueryLen), the least of all; in bytes.
const longestText = 16 << 10

// long tells whether the names of the namespaces make some text too long, where there are several.
func (r *pass) long(p part, namespaces []string) bool {
	w := where{r.o.Match, namespaces}
	return len(namespaces) > 1 && slices.ContainsFunc(r.known.queries, func(q query) bool {
		q = r.known.at(q, p.step).each(w.fill)
		return max(len(q.mean), len(q.max), len(q.count)) > longestText
	})
}

// halves reads one half of the namespaces, then the other.
func (r *pass) halves(ctx context.Context, p part, namespaces []string) ([]fleet.Sample, error) {
	half := len(namespaces) / 2
	out, err := r.chunk(ctx, p, namespaces[:half])
	if err != nil {
		return nil, err
	}
	more, err := r.chunk(ctx, p, namespaces[half:])
	if err != nil {
		return nil, err
	}
	out = append(out, more...)
	slices.SortFunc(out, compareSamples)
	return out, nil
}

func (r *pass) ask(ctx context.Context, p part, w where) ([]fleet.Sample, error) {
	d, err := r.directory(ctx, p, w)
	if err != nil {
		return nil, err
	}
	for _, q := range r.known.queries {
		p.queries = append(p.queries, r.known.at(q, p.step).each(w.fill))
	}
	out, points, err := p.read(ctx, r.backend, d.whose)
	if err != nil {
		return nil, err
	}
	r.points += points
	return merged(out), nil
}

// merged sorts samples, makes one of those that tell of the same, which takes the larger figures, and names
// the image of a container where only some of its series do.
func merged(in []fleet.Sample) []fleet.Sample {
	place := func(s fleet.Sample) origin { return origin{ref: s.Ref, pod: s.Pod, container: s.Container} }
	images := map[origin]string{}
	for _, s := range in {
		if s.Image != "" {
			images[place(s)] = s.Image
		}
	}
	for i, s := range in {
		in[i].Image = cmp.Or(s.Image, images[place(s)])
	}
	slices.SortFunc(in, compareSamples)
	out := in[:0]
	for _, s := range in {
		if n := len(out); n > 0 && compareSamples(out[n-1], s) == 0 {
			l := &out[n-1]
			l.Mean, l.Max, l.N = max(l.Mean, s.Mean), max(l.Max, s.Max), max(l.N, s.N)
			continue
		}
		out = append(out, s)
	}
	return out
}

func setOf(refs []fleet.Ref) map[fleet.Ref]bool {
	if refs == nil {
		return nil
	}
	out := make(map[fleet.Ref]bool, len(refs))
	for _, r := range refs {
		out[r] = true
	}
	return out
}

func namespacesOf(refs []fleet.Ref) []string {
	var out []string
	for _, r := range refs {
		out = append(out, r.Namespace)
	}
	return sortedSet(out)
}
