package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
)

// clusterWithin is how long the lists of a cluster may take.
const clusterWithin = 45 * time.Second

// localPlan makes a plan right here, with nothing installed: workloads from the API server, usage from a
// Prometheus server. It writes nothing anywhere.
type localPlan struct {
	outside
	kubeconfig, context, only string
	policies                  []string
	lookback                  time.Duration
	progress                  io.Writer
}

func (l *localPlan) flags(fs *flag.FlagSet) {
	l.outside.flags(fs)
	fs.StringVar(&l.only, "n", "", "with --prometheus: plan for this `namespace` only; empty: for all of the cluster")
	fs.Func("policy", "with --prometheus: a policy `file`, may be given several times; none: the default policy for every workload", func(file string) error {
		l.policies = append(l.policies, file)
		return nil
	})
	l.lookbackFlag(fs, "with --prometheus: the `time` that usage is read of, such as 14d or 336h (default 14d)")
}

func (l *localPlan) lookbackFlag(fs *flag.FlagSet, about string) {
	l.lookback = 14 * 24 * time.Hour
	fs.Func("lookback", about, func(text string) (err error) {
		l.lookback, err = daysOrDuration(text)
		return err
	})
}

// check gives every fault of the flags at once.
func (l localPlan) check(server string) error {
	faults := []error{l.outside.check("plan")}
	if !l.given() && (l.only != "" || len(l.policies) > 0) {
		faults = append(faults, badInput("trimtab plan: -n and --policy are for a plan made here: give --prometheus URL too"))
	}
	if l.given() && server != "" {
		faults = append(faults, badInput("trimtab plan: --server asks a daemon, --prometheus makes a plan here: give one of them"))
	}
	if l.lookback < time.Hour || l.lookback > optimizer.Retention {
		faults = append(faults, badInput("trimtab plan: --lookback %s: give 1h to %s", inDays(l.lookback), inDays(optimizer.Retention)))
	}
	return errors.Join(faults...)
}

func (l localPlan) say(format string, args ...any) { fmt.Fprintf(l.progress, format+"\n", args...) }

// answer reads what there is and plans. Each step that does not work is one error.
func (l localPlan) answer(ctx context.Context) (planAnswer, error) {
	set, err := l.documents()
	if err != nil {
		return planAnswer{}, err
	}
	cfg, err := kube.Client(l.kubeconfig, l.context, version)
	if err != nil {
		return planAnswer{}, err
	}
	return l.planFor(ctx, cfg, set)
}

// documents reads the policy files; a fault in any of them ends it here.
func (l localPlan) documents() ([]policies.Raw, error) {
	raws, faults := readFiles(l.policies)
	for _, bad := range policies.Compile(raws, policies.Set{}, checks()).Bad {
		faults = append(faults, bad.Faults...)
	}
	if len(faults) > 0 {
		return nil, badInput("%s", strings.Join(faults, "\n"))
	}
	return raws, nil
}

func (l localPlan) planFor(ctx context.Context, cfg *rest.Config, documents []policies.Raw) (planAnswer, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	cluster, err := l.cluster(ctx, cfg)
	if err != nil {
		return planAnswer{}, err
	}
	defer func() { end(); cluster.Wait() }()
	local := localCluster{cluster, documents}
	cycle := optimizer.Cycle{
		Cluster: local, Usage: localUsage{l, local}, Ledger: &ledger.Memory{},
		Prices: cost.Builtin(), Checks: checks(), History: recommender.NewHistory(),
	}
	plan, err := cycle.Run(ctx, time.Now(), false)
	if err != nil {
		return planAnswer{}, err
	}
	return planAnswer{Version: version, Plan: plan, Pass: passState{At: plan.At}}, nil
}

// cluster lists everything once; what it gives is good until ctx ends.
func (l localPlan) cluster(ctx context.Context, cfg *rest.Config) (*kube.Cluster, error) {
	listing, fail := context.WithCancelCause(ctx)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &lister{next: next, namespace: l.only, fail: fail, note: func(text string) { l.say("note: %s", text) }}
	})
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("build a Kubernetes client: %w", err)
	}
	l.say("reading the cluster at %s", cfg.Host)
	listing, stop := context.WithTimeoutCause(listing, clusterWithin, fmt.Errorf("the lists took longer than %s; give -n NAMESPACE", clusterWithin))
	defer stop()
	cluster := kube.New(client, "trimtab", slog.New(slog.DiscardHandler))
	cluster.Start(klog.NewContext(ctx, klog.Logger{})) // silent: what matters comes back as an error
	if err := cluster.WaitSynced(listing); err != nil {
		return nil, fmt.Errorf("read the cluster at %s: %w", cfg.Host, context.Cause(listing))
	}
	return cluster, nil
}

// localCluster is a cluster with the documents of files; without any the default policy is for all, and what does
// not say how it is called is taken as online, of which less may be taken away.
type localCluster struct {
	*kube.Cluster
	documents []policies.Raw
}

// Observe implements optimizer.Cluster.
func (c localCluster) Observe(ctx context.Context) (fleet.Snapshot, error) {
	seen, err := c.Cluster.Observe(ctx)
	if err != nil || len(c.documents) > 0 {
		return seen, err
	}
	for i := range seen.Bounds {
		labels := maps.Clone(seen.Bounds[i].Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[policies.PolicyLabel] = string(policies.Recommend)
		seen.Bounds[i].Labels = labels
	}
	for i := range seen.Workloads {
		seen.Workloads[i].Class = cmp.Or(seen.Workloads[i].Class, fleet.Online)
	}
	return seen, nil
}

// Policies implements optimizer.Cluster.
func (c localCluster) Policies(context.Context) ([]policies.Raw, error) { return c.documents, nil }

// localUsage reads what the policies mean and says how far it is.
type localUsage struct {
	localPlan
	cluster localCluster
}

// Each implements optimizer.Usage.
func (u localUsage) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	refs, err := u.selected(ctx)
	if err != nil {
		return err
	}
	if from := until.Add(-u.lookback); since.Before(from) {
		since = from
	}
	o := u.options(slog.New(slog.DiscardHandler))
	o.Coarse, o.Fine = coarseFor(len(refs)), min(6*time.Hour, u.lookback)
	reader, err := usage.NewExternal(o)
	if err != nil {
		return err
	}
	u.say("reading usage of %s since %s from Prometheus, by %s", counted(len(refs), "workload", "workloads"), since.UTC().Format("2006-01-02 15:04"), o.Coarse)
	told, n := u.progressOf(since, until), 0
	err = reader.EachOf(ctx, refs, since, until, func(samples []fleet.Sample) error {
		n += len(samples)
		told(samples, n)
		return do(samples)
	})
	if err != nil {
		return err
	}
	u.say("read %d samples", n)
	for _, gap := range reader.Gaps() {
		u.say("note: %s", gap)
	}
	return nil
}

// selected are the workloads to plan for.
func (u localUsage) selected(ctx context.Context) ([]fleet.Ref, error) {
	seen, err := u.cluster.Observe(ctx)
	if err != nil {
		return nil, err
	}
	set := policies.Compile(u.cluster.documents, policies.Set{}, checks())
	refs := slices.SortedFunc(maps.Keys(meant(seen, set)), fleet.Ref.Compare)
	if len(refs) == 0 {
		return nil, badInput("trimtab plan: no workload is selected, of %d in the cluster; look at the policies' selectors and at -n", len(seen.Workloads))
	}
	if len(u.cluster.documents) == 0 {
		u.say("note: no --policy: the default policy is for all of it, and what has no label %s is taken as online", policies.ClassLabel)
	}
	return refs, nil
}

// coarseFor keeps a first table quick: the more workloads, the longer the windows. Each window tells its largest
// minute all the same.
func coarseFor(workloads int) time.Duration {
	switch {
	case workloads <= 150:
		return 5 * time.Minute
	case workloads <= 500:
		return 15 * time.Minute
	}
	return 30 * time.Minute
}

// progressOf says every two seconds how far the reading is.
func (l localPlan) progressOf(since, until time.Time) func(samples []fleet.Sample, n int) {
	told := time.Now()
	return func(samples []fleet.Sample, n int) {
		if len(samples) == 0 || time.Since(told) < 2*time.Second {
			return
		}
		told = time.Now()
		l.say("  %3.0f %%, %d samples", 100*float64(samples[len(samples)-1].At.Sub(since))/float64(until.Sub(since)), n)
	}
}
