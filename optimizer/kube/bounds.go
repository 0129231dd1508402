package kube

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// namespace is one Namespace, for its labels.
type namespace struct{ metav1.ObjectMeta }

func readNamespace(n *corev1.Namespace) *namespace {
	r := &namespace{identity(n)}
	r.Labels = n.Labels
	return r
}

// limitRange is one LimitRange: its items that judge containers and pods, and whole for its keeper.
type limitRange struct {
	metav1.ObjectMeta
	items []fleet.LimitRange
	whole governed
}

func readLimitRange(l *corev1.LimitRange) *limitRange {
	r := &limitRange{ObjectMeta: identity(l), whole: governedRange(l)}
	for _, i := range l.Spec.Limits {
		if i.Type != corev1.LimitTypeContainer && i.Type != corev1.LimitTypePod {
			continue // volume claims
		}
		r.items = append(r.items, fleet.LimitRange{
			Name:                 l.Name,
			Type:                 string(i.Type),
			Default:              stated(i.Default),
			DefaultRequest:       stated(i.DefaultRequest),
			Min:                  resources(i.Min, ceil),
			Max:                  resources(i.Max, floor),
			MaxLimitRequestRatio: ratio(i.MaxLimitRequestRatio),
		})
	}
	return r
}

func ratio(list corev1.ResourceList) fleet.Ratio {
	return fleet.Ratio{
		CPU:    floor(list[corev1.ResourceCPU], resource.Milli),
		Memory: floor(list[corev1.ResourceMemory], resource.Milli),
	}
}

// quota is one ResourceQuota, and whole for its keeper.
type quota struct {
	metav1.ObjectMeta
	seen  fleet.Quota
	whole governed
}

func readQuota(q *corev1.ResourceQuota) *quota {
	r := &quota{ObjectMeta: identity(q), whole: governedQuota(q)}
	r.seen = fleet.Quota{Name: q.Name, Scoped: len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil}
	for name, hard := range q.Spec.Hard {
		used, tracked := q.Status.Used[name]
		scale := unit(string(name))
		r.seen.Items = append(r.seen.Items, fleet.QuotaItem{
			Name: string(name), Hard: floor(hard, scale), Used: ceil(used, scale), Tracked: tracked,
		})
	}
	slices.SortFunc(r.seen.Items, func(a, b fleet.QuotaItem) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

// unit is the scale of a quota line: thousandths for CPU, ones for bytes and counts.
func unit(name string) resource.Scale {
	switch strings.TrimPrefix(strings.TrimPrefix(name, "requests."), "limits.") {
	case "cpu":
		return resource.Milli
	}
	return 0
}

// bounds gives what each namespace allows, sorted by namespace.
func (c *Cluster) bounds() []fleet.Bounds {
	ranges := map[string][]fleet.LimitRange{}
	for _, l := range c.limitRanges.all() {
		ranges[l.Namespace] = append(ranges[l.Namespace], l.items...)
	}
	quotas := map[string][]fleet.Quota{}
	for _, q := range c.quotas.all() {
		quotas[q.Namespace] = append(quotas[q.Namespace], q.seen)
	}
	var out []fleet.Bounds
	for _, n := range c.namespaces.all() {
		if n.Name == systemNamespace {
			continue
		}
		out = append(out, fleet.Bounds{Namespace: n.Name, Labels: n.Labels, LimitRanges: ranges[n.Name], Quotas: quotas[n.Name]})
	}
	return out
}
