package usage

import (
	"cmp"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The labels that every series carries; container and image only those of a container.
const (
	labelCluster   = "cluster"
	labelNamespace = "namespace"
	labelKind      = "kind"
	labelWorkload  = "workload"
	labelPod       = "pod"
	labelContainer = "container"
	labelImage     = "image"
)

// byPod groups series to one per pod, in PromQL.
const byPod = "by (cluster, namespace, kind, workload, pod) "

// byDevice groups the readings of one GPU of a pod, should several exporters tell of it.
const byDevice = "by (cluster, namespace, kind, workload, pod, container) "

// origin is where readings come from: a pod, one container of it with the image it runs, or one GPU
// of it in the container's place.
type origin struct {
	ref                   fleet.Ref
	pod, container, image string
}

// label writes the origin over what b holds, so that no server can speak for another pod.
func (o origin) label(b *labels.Builder) {
	b.Set(labelCluster, o.ref.Cluster) // an empty label is none
	b.Set(labelNamespace, o.ref.Namespace)
	b.Set(labelKind, o.ref.Kind)
	b.Set(labelWorkload, o.ref.Name)
	b.Set(labelPod, o.pod)
	b.Set(labelContainer, o.container)
	b.Set(labelImage, o.image)
}

// series is the series name of the origin.
func (o origin) series(name string) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	b.Set(model.MetricNameLabel, name)
	o.label(b)
	return b.Labels()
}

// originOf reads back what label wrote.
func originOf(l labels.Labels) origin {
	return origin{
		ref: fleet.Ref{
			Cluster:   l.Get(labelCluster),
			Namespace: l.Get(labelNamespace),
			Kind:      l.Get(labelKind),
			Name:      l.Get(labelWorkload),
		},
		pod:       l.Get(labelPod),
		container: l.Get(labelContainer),
		image:     l.Get(labelImage),
	}
}

// ours tells the labels that a server may not set; its own are kept as exported_NAME.
func ours(name string) bool {
	switch name {
	case labelCluster, labelNamespace, labelKind, labelWorkload, labelPod, labelContainer, labelImage:
		return true
	}
	return false
}

func (o origin) compare(p origin) int {
	return cmp.Or(o.ref.Compare(p.ref), cmp.Compare(o.pod, p.pod),
		cmp.Compare(o.container, p.container), cmp.Compare(o.image, p.image))
}

// sortedKeys gives the origins in a fixed order.
func sortedKeys[V any](m map[origin]V) []origin {
	keys := make([]origin, 0, len(m))
	for o := range m {
		keys = append(keys, o)
	}
	slices.SortFunc(keys, origin.compare)
	return keys
}
