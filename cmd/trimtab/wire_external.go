package main

import (
	"context"
	"flag"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/usage"
)

// outside says from which Prometheus server usage is read; without a URL: from a store of our own.
type outside struct {
	url, match, tokenFile, caFile string
	headers                       []string
}

func (o *outside) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.url, "prometheus", "", "read usage from the Prometheus-compatible server at this `URL` (Prometheus, Thanos, Mimir, VictoriaMetrics): what cAdvisor and kube-state-metrics tell it")
	fs.Func("prometheus-header", "`'Name: value'` sent with every request to it, such as X-Scope-OrgID of Mimir; may be given several times", func(line string) error {
		o.headers = append(o.headers, line)
		return nil
	})
	fs.StringVar(&o.tokenFile, "prometheus-token-file", "", "`file` of a bearer token for it, read anew for every request")
	fs.StringVar(&o.caFile, "prometheus-ca", "", "`file` of PEM certificates to trust it by, beside the system's")
	fs.StringVar(&o.match, "prometheus-match", "", "label `matchers` of this cluster's series, where it holds those of several: cluster=\"west\"")
}

// given tells whether usage is to be read from outside.
func (o outside) given() bool { return o.url != "" }

// options are those of a reader; what they do not say of windows is the reader's own choice.
func (o outside) options(log *slog.Logger) usage.ExternalOptions {
	return usage.ExternalOptions{
		Server: usage.ServerOptions{URL: o.url, Headers: o.headers, TokenFile: o.tokenFile, CAFile: o.caFile},
		Match:  o.match, Log: log,
	}
}

// check gives every fault of the flags at once.
func (o outside) check(verb string) error {
	if !o.given() {
		if o.match != "" || o.tokenFile != "" || o.caFile != "" || len(o.headers) > 0 {
			return badInput("trimtab %s: --prometheus-...: give --prometheus URL too", verb)
		}
		return nil
	}
	if _, err := usage.NewExternal(o.options(nil)); err != nil {
		return badInput("trimtab %s: --prometheus: %s", verb, strings.ReplaceAll(err.Error(), "\n", "\ntrimtab "+verb+": --prometheus: "))
	}
	return nil
}

// furnishOutside builds the reader in place of the store and of what fills it.
func (p *parts) furnishOutside() error {
	o := p.settings.prometheus.options(p.log)
	o.Step, o.Settle, o.Server.Moved = p.settings.resolution, p.settings.settle, p.daemon.moved
	reader, err := usage.NewExternal(o)
	if err != nil {
		return err
	}
	owners := &owners{cluster: p.cluster, keep: p.settings.sampleEvery / 2}
	p.sampler, p.scraper = idle{}, idle{}
	p.daemon.since = func() (time.Time, bool) { return time.Time{}, false } // the server's past is not ours to tell
	p.daemon.cycle.Usage = progress{&fromOutside{
		reader: reader, meant: owners.refs, known: p.daemon.cycle.History.LastOf, settle: p.settings.settle,
	}, p.daemon.moved}
	return nil
}

// idle measures nothing.
type idle struct{}

// Run returns when ctx ends.
func (idle) Run(ctx context.Context) { <-ctx.Done() }

// refs are the workloads to measure, in the fixed order of Refs.
func (o *owners) refs(ctx context.Context) ([]fleet.Ref, error) {
	ours, err := o.chosen(ctx)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(ours), fleet.Ref.Compare), nil
}

// fromOutside is the Usage of the workloads that some policy means. What happened before a workload was meant
// for the first time is read too, for the server knows it.
type fromOutside struct {
	reader interface {
		EachOf(ctx context.Context, refs []fleet.Ref, since, until time.Time, do func([]fleet.Sample) error) error
	}
	meant  func(ctx context.Context) ([]fleet.Ref, error)
	known  func(ref fleet.Ref) (time.Time, bool) // the end of a workload's history
	settle time.Duration

	seen map[fleet.Ref]bool // that were meant before
	past []stretch          // that is still to be read
}

// stretch is a time that was not read yet for some workloads.
type stretch struct {
	refs        []fleet.Ref
	since, upTo time.Time
}

// Each implements optimizer.Usage; the past of new workloads comes first, and ends at since.
func (f *fromOutside) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	refs, err := f.meant(ctx)
	if err != nil {
		return err
	}
	refs = slices.Clone(refs)
	if refs == nil {
		refs = []fleet.Ref{} // none, which is not all
	}
	f.welcome(refs, since, until)
	for len(f.past) > 0 {
		if err := f.catchUp(ctx, &f.past[0], do); err != nil {
			return err
		}
		f.past = f.past[1:]
	}
	return f.reader.EachOf(ctx, refs, since, until, do)
}

// welcome notes the past of workloads that are meant for the first time and have no history.
func (f *fromOutside) welcome(refs []fleet.Ref, since, until time.Time) {
	if f.seen == nil {
		f.seen = map[fleet.Ref]bool{}
	}
	var fresh []fleet.Ref
	for _, r := range refs {
		if _, has := f.known(r); !has && !f.seen[r] {
			fresh = append(fresh, r)
		}
		f.seen[r] = true
	}
	oldest := until.Add(-optimizer.Retention)
	if len(fresh) > 0 && since.After(oldest) {
		f.past = append(f.past, stretch{fresh, oldest, since})
	}
}

// catchUp reads on where the last attempt stopped.
func (f *fromOutside) catchUp(ctx context.Context, s *stretch, do func([]fleet.Sample) error) error {
	return f.reader.EachOf(ctx, s.refs, s.since, s.upTo.Add(f.settle), func(samples []fleet.Sample) error {
		samples = slices.DeleteFunc(samples, func(m fleet.Sample) bool { return m.At.After(s.upTo) })
		if err := do(samples); err != nil || len(samples) == 0 {
			return err
		}
		s.since = samples[len(samples)-1].At
		return nil
	})
}
