package kube

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// mostBudgeted is how many replicas are looked at for one that a budget lets go.
const mostBudgeted = 1000

// disruption is one PodDisruptionBudget.
type disruption struct {
	metav1.ObjectMeta
	selector labels.Selector // matches nothing where it cannot be read
	least    int32
}

func readDisruption(b *policyv1.PodDisruptionBudget) *disruption {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		selector = labels.Nothing()
	}
	return &disruption{ObjectMeta: identity(b), selector: selector, least: leastReplicas(b.Spec)}
}

// leastReplicas is the fewest replicas of which a budget lets one be evicted, so that a node can be drained; 0: no
// number of them, or any.
//
//	minAvailable 2: 3   50 %: 2   90 %: 10   100 %: 0   maxUnavailable 1: 0   25 %: 0 (rounded up: one of any number)
func leastReplicas(s policyv1.PodDisruptionBudgetSpec) int32 {
	if s.MinAvailable == nil {
		return 0
	}
	for n := 1; n <= mostBudgeted; n++ {
		stay, err := intstr.GetScaledValueFromIntOrPercent(s.MinAvailable, n, true)
		if err != nil {
			return 0
		}
		if stay < n {
			return int32(n)
		}
	}
	return 0
}

// leastOf is the most that any budget of the workload's namespace which selects its pods asks for; 0: none does.
func leastOf(w *workload, all []*disruption) int32 {
	var least int32
	for _, d := range all {
		if d.Namespace == w.Namespace && d.selector.Matches(labels.Set(w.podLabels)) {
			least = max(least, d.least)
		}
	}
	return least
}
