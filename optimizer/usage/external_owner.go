package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// directory tells whose the series of one part are.
type directory struct {
	owners map[podName]fleet.Ref
	gpus   map[podName][]gpu // in the order of the node
	of     map[fleet.Ref]bool
}

// The texts of the directory, asked once at the end of a part for all of its time.
const (
	ownersOurs  = "max by (namespace, pod, exported_namespace, exported_pod, kind, workload) (last_over_time(" + PodOwner + "{$state}[$span]))"
	ownersPods  = "max by (namespace, pod, exported_namespace, exported_pod, owner_kind, owner_name) (last_over_time(" + statePodOwner + `{owner_is_controller!="false",$state}[$span]))`
	ownersSets  = "max by (namespace, replicaset, exported_namespace, owner_kind, owner_name) (last_over_time(" + stateSetOwner + "{$state}[$span]))"
	gpusByShare = "max " + byGPU + "(last_over_time(" + dcgmActive + "{$any}[$span]))"
	gpusByUtil  = "max " + byGPU + "(last_over_time(" + dcgmUtil + "{$any}[$span]))"
	gpusByUsed  = "max " + byGPU + "(last_over_time(" + dcgmUsed + "{$any}[$span]))"
)

// directory asks whose the pods are that lived in the part's windows, and which GPUs they held.
func (r *pass) directory(ctx context.Context, p part, w where) (directory, error) {
	asked := []struct{ family, text string }{
		{PodOwner, ownersOurs}, {statePodOwner, ownersPods}, {stateSetOwner, ownersSets},
		{dcgmActive, gpusByShare}, {dcgmUtil, gpusByUtil}, {dcgmUsed, gpusByUsed},
	}
	answers := make([][]labels.Labels, len(asked))
	err := fan(ctx, len(asked), p.parallel, func(ctx context.Context, i int) error {
		if !r.known.have[asked[i].family] {
			return nil
		}
		q := query{mean: asked[i].text}.each(spanOf(p)).each(w.fill)
		m, done, err := r.backend.query(ctx, q.mean, p.last, p.last, p.step)
		if err != nil {
			return fmt.Errorf("%s: %w", asked[i].family, err)
		}
		defer done()
		answers[i] = sortedLabels(m)
		return nil
	})
	if err != nil {
		return directory{}, err
	}
	return directory{
		owners: ownersOf(answers[0], answers[1], answers[2]),
		gpus:   gpusOf(slices.Concat(answers[3:]...)),
		of:     r.of,
	}, nil
}

// sortedLabels gives an answer's series in a fixed order, so that the first to claim a pod is always the same.
func sortedLabels(m promql.Matrix) []labels.Labels {
	out := make([]labels.Labels, len(m))
	for i, s := range m {
		out[i] = s.Metric
	}
	slices.SortFunc(out, labels.Compare)
	return out
}

// ownersOf joins pods with their workloads. What the daemon itself tells goes first; a pod of a ReplicaSet is
// its owner's.
func ownersOf(ours, pods, sets []labels.Labels) map[podName]fleet.Ref {
	out := map[podName]fleet.Ref{}
	claim := func(p podName, kind, name string) {
		if _, taken := out[p]; !taken && p.name != "" && name != "" && name != "<none>" && kind != "Node" {
			out[p] = fleet.Ref{Namespace: p.namespace, Kind: kind, Name: name}
		}
	}
	for _, l := range ours {
		p, _ := subject(l)
		claim(p, l.Get(labelKind), l.Get(labelWorkload))
	}
	of := map[podName]labels.Labels{} // by ReplicaSet
	for _, l := range sets {
		of[podName{cmp.Or(l.Get("exported_namespace"), l.Get(labelNamespace)), l.Get("replicaset")}] = l
	}
	for _, l := range pods {
		p, _ := subject(l)
		kind, name := l.Get("owner_kind"), l.Get("owner_name")
		if kind == "ReplicaSet" {
			set := of[podName{p.namespace, name}]
			kind, name = set.Get("owner_kind"), set.Get("owner_name")
		}
		claim(p, kind, name)
	}
	return out
}

// subject is the pod that a series is about, and the container. Scraped without honor_labels the exporter's own
// names are in the plain labels, so the others go first.
func subject(l labels.Labels) (podName, string) {
	for _, i := range []int{0, 2, 1} {
		a := attributions[i]
		if ns, pod := l.Get(string(a.namespace)), l.Get(string(a.pod)); ns != "" && pod != "" {
			return podName{ns, pod}, l.Get(string(a.container))
		}
	}
	return podName{}, ""
}

// gpusOf lists the GPUs of each pod.
func gpusOf(series []labels.Labels) map[podName][]gpu {
	by := map[podName]map[gpu]busy{}
	for _, l := range series {
		p, _ := subject(l)
		if by[p] == nil {
			by[p] = map[gpu]busy{}
		}
		by[p][gpuOf(l)] = busy{}
	}
	out := make(map[podName][]gpu, len(by))
	for p := range maps.Keys(by) {
		out[p] = devices(by[p])
	}
	return out
}

func gpuOf(l labels.Labels) gpu {
	m := model.Metric{}
	l.Range(func(l labels.Label) { m[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return deviceOf(m)
}

// whose implements the function type of its name.
func (d directory) whose(q query, l labels.Labels) (origin, bool) {
	p, container := subject(l)
	ref, known := d.owners[p]
	if !known || d.of != nil && !d.of[ref] {
		return origin{}, false
	}
	if q.signal == fleet.GPU || q.signal == fleet.GPUMemory {
		i := slices.Index(d.gpus[p], gpuOf(l))
		return origin{ref: ref, pod: p.name, container: fleet.GPUName(int64(i))}, i >= 0
	}
	return origin{ref: ref, pod: p.name, container: container, image: l.Get(labelImage)}, true
}

// spanOf fills in the time that the directory looks back over: all windows of the part.
func spanOf(p part) func(text string) string {
	span := millis(p.last.Sub(p.first) + p.step)
	return func(text string) string { return strings.ReplaceAll(text, "$span", span) }
}
