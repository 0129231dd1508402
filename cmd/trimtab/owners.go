package main

import (
	"context"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/policies"
)

// owners tells the samplers whose pods there are: those of the workloads that some policy means. The
// others are not Trimtab's to measure. Several samplers may share it.
type owners struct {
	cluster *kube.Cluster
	keep    time.Duration // how long a choice of workloads stands, so that samplers of one tick share it

	mu   sync.Mutex
	set  policies.Set // with the last good version of every document
	ours map[fleet.Ref]bool
	at   time.Time // when ours was chosen
}

// Pods converts: the two adapters do not know each other.
func (o *owners) Pods(ctx context.Context) ([]usage.Pod, error) {
	ours, err := o.chosen(ctx)
	if err != nil {
		return nil, err
	}
	ends, err := o.cluster.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	pods := make([]usage.Pod, 0, len(ends))
	for _, e := range ends {
		if ours[e.Ref] {
			pods = append(pods, usage.Pod(e))
		}
	}
	return pods, nil
}

// Exporters converts too. An exporter is asked wherever it runs; of what it says only our pods' GPUs are kept.
func (o *owners) Exporters(ctx context.Context) ([]usage.Exporter, error) {
	found, err := o.cluster.Exporters(ctx)
	if err != nil {
		return nil, err
	}
	exporters := make([]usage.Exporter, len(found))
	for i, e := range found {
		exporters[i] = usage.Exporter(e)
	}
	return exporters, nil
}

// chosen is the workloads to measure.
func (o *owners) chosen(ctx context.Context) (map[fleet.Ref]bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ours != nil && time.Since(o.at) < o.keep {
		return o.ours, nil
	}
	seen, err := o.cluster.Observe(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := o.cluster.Policies(ctx)
	if err != nil {
		return nil, err
	}
	o.set = policies.Compile(raw, o.set, policies.Checks{}) // reports send nothing here
	o.ours, o.at = meant(seen, o.set), time.Now()
	return o.ours, nil
}

// meant is every workload that a policy selects, by document or by the label of its namespace, or that
// a document with faults still tells it is for.
func meant(seen fleet.Snapshot, set policies.Set) map[fleet.Ref]bool {
	out := map[fleet.Ref]bool{}
	for _, w := range seen.Workloads {
		bounds, _ := seen.BoundsOf(w.Ref.Namespace)
		if len(set.For(w, bounds.Labels)) > 0 || faulty(w, bounds.Labels, set.Bad) {
			out[w.Ref] = true
		}
	}
	return out
}

// faulty tells whether a document that only has faults means w: mended, it will ask for its history.
func faulty(w fleet.Workload, namespaceLabels map[string]string, bad []policies.Bad) bool {
	for _, b := range bad {
		if !b.Kept && b.Selector != nil && b.Selector.Matches(w, namespaceLabels) {
			return true
		}
	}
	return false
}
