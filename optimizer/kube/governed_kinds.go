package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"trimtab.dev/trimtab/policies"
)

// governedKind is how objects of one kind are read and written.
type governedKind struct {
	name   string
	all    func() []governed
	cached func(namespace, name string) governed
	get    func(ctx context.Context, namespace, name string) (governed, error) // none is no error
	apply  func(ctx context.Context, w wanted) (after governed, err error)
	remove func(ctx context.Context, live governed) error // if it is still the one that was read
	wanted func(d policies.Governance, namespace string) (wanted, bool)
}

func (k governedKind) key(namespace, name string) string {
	return k.name + " " + namespace + "/" + name
}

// forced takes a field over from whoever wrote it: that the document enforces is the order to.
func forced() metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: governanceManager, Force: true}
}

func only(live governed) metav1.DeleteOptions {
	uid := types.UID(live.uid)
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &live.version}}
}

func marked(w wanted) map[string]string {
	return map[string]string{policies.GovernanceLabel: w.document}
}

func quotaKind(core typedcorev1.CoreV1Interface, c *Cluster) governedKind {
	whole := func(q *quota) governed { return q.whole }
	return governedKind{
		name:   "ResourceQuota",
		all:    func() []governed { return each(c.quotas, whole) },
		cached: func(ns, name string) governed { return one(c.quotas, ns, name, whole) },
		get: func(ctx context.Context, ns, name string) (governed, error) {
			q, err := core.ResourceQuotas(ns).Get(ctx, name, metav1.GetOptions{})
			return none(read(q, err, governedQuota))
		},
		apply: func(ctx context.Context, w wanted) (governed, error) {
			q := corev1ac.ResourceQuota(w.name, w.namespace).WithLabels(marked(w)).WithSpec(corev1ac.ResourceQuotaSpec().WithHard(listOf(w.lines)))
			after, err := core.ResourceQuotas(w.namespace).Apply(ctx, q, forced())
			return read(after, err, governedQuota)
		},
		remove: func(ctx context.Context, live governed) error {
			return core.ResourceQuotas(live.namespace).Delete(ctx, live.name, only(live))
		},
		wanted: func(d policies.Governance, ns string) (wanted, bool) {
			w := wanted{document: d.Name, namespace: ns, name: d.QuotaName, lines: map[string]resource.Quantity{}, granular: true}
			for _, a := range d.Quota {
				w.lines[a.Name] = parsed(a)
			}
			return w, len(d.Quota) > 0
		},
	}
}

func rangeKind(core typedcorev1.CoreV1Interface, c *Cluster) governedKind {
	whole := func(l *limitRange) governed { return l.whole }
	return governedKind{
		name:   "LimitRange",
		all:    func() []governed { return each(c.limitRanges, whole) },
		cached: func(ns, name string) governed { return one(c.limitRanges, ns, name, whole) },
		get: func(ctx context.Context, ns, name string) (governed, error) {
			l, err := core.LimitRanges(ns).Get(ctx, name, metav1.GetOptions{})
			return none(read(l, err, governedRange))
		},
		apply: func(ctx context.Context, w wanted) (governed, error) {
			l := corev1ac.LimitRange(w.name, w.namespace).WithLabels(marked(w)).WithSpec(corev1ac.LimitRangeSpec().WithLimits(limitItems(w.limits)...))
			after, err := core.LimitRanges(w.namespace).Apply(ctx, l, forced())
			return read(after, err, governedRange)
		},
		remove: func(ctx context.Context, live governed) error {
			return core.LimitRanges(live.namespace).Delete(ctx, live.name, only(live))
		},
		wanted: wantedRange,
	}
}

// wantedRange also tells what the API server fills in: of containers a missing default from max, then a
// missing defaultRequest from default, or from min.
func wantedRange(d policies.Governance, ns string) (wanted, bool) {
	w := wanted{
		document: d.Name, namespace: ns, name: d.LimitName, limits: d.Limits,
		lines: map[string]resource.Quantity{}, implied: map[string]resource.Quantity{},
	}
	for _, i := range d.Limits {
		for part, all := range amountsOf(i) {
			for _, a := range all {
				w.lines[rangeLine(i.Type, part, a.Name)] = parsed(a)
			}
		}
		if i.Type == string(corev1.LimitTypeContainer) {
			imply(w, i.Type, "default", i.Max)
			imply(w, i.Type, "defaultRequest", i.Min) // min is weaker than what follows
			imply(w, i.Type, "defaultRequest", i.Max)
			imply(w, i.Type, "defaultRequest", i.Default)
		}
	}
	return w, len(d.Limits) > 0
}

func imply(w wanted, typ, part string, from []policies.Amount) {
	for _, a := range from {
		w.implied[rangeLine(typ, part, a.Name)] = parsed(a)
	}
}

func amountsOf(i policies.LimitItem) map[string][]policies.Amount {
	return map[string][]policies.Amount{
		"default": i.Default, "defaultRequest": i.DefaultRequest, "min": i.Min, "max": i.Max, "maxLimitRequestRatio": i.MaxLimitRequestRatio,
	}
}

func limitItems(items []policies.LimitItem) []*corev1ac.LimitRangeItemApplyConfiguration {
	var all []*corev1ac.LimitRangeItemApplyConfiguration
	for _, i := range items {
		item := corev1ac.LimitRangeItem().WithType(corev1.LimitType(i.Type))
		for part, set := range map[string]func(corev1.ResourceList) *corev1ac.LimitRangeItemApplyConfiguration{
			"default": item.WithDefault, "defaultRequest": item.WithDefaultRequest, "min": item.WithMin, "max": item.WithMax,
			"maxLimitRequestRatio": item.WithMaxLimitRequestRatio,
		} {
			if given := amountsOf(i)[part]; len(given) > 0 {
				lines := map[string]resource.Quantity{}
				for _, a := range given {
					lines[a.Name] = parsed(a)
				}
				set(listOf(lines))
			}
		}
		all = append(all, item)
	}
	return all
}

func listOf(lines map[string]resource.Quantity) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, q := range lines {
		list[corev1.ResourceName(name)] = q
	}
	return list
}

func parsed(a policies.Amount) resource.Quantity {
	q, err := resource.ParseQuantity(a.Quantity)
	if err != nil {
		panic(err) // unreachable unless bug: the document was read
	}
	return q
}

func read[T any](o T, err error, as func(T) governed) (governed, error) {
	if err != nil {
		return governed{}, err
	}
	return as(o), nil
}

// none makes that there is no such object no error.
func none(g governed, err error) (governed, error) {
	if apierrors.IsNotFound(err) {
		return governed{}, nil
	}
	return g, err
}

// each is every object that a cache holds.
func each[R metav1.Object](f feed[R], whole func(R) governed) []governed {
	var all []governed
	for _, r := range f.all() {
		all = append(all, whole(r))
	}
	return all
}

// one is an object that a cache holds, or none.
func one[R metav1.Object](f feed[R], namespace, name string, whole func(R) governed) governed {
	o, ok, err := f.GetStore().GetByKey(namespace + "/" + name)
	if r, is := o.(R); err == nil && ok && is {
		return whole(r)
	}
	return governed{}
}
