package kube

import (
	"testing"
	"testing/synctest"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestLeastReplicas(t *testing.T) {
	for _, c := range []struct {
		minAvailable string // empty: maxUnavailable 1
		want         int32
	}{{"0", 1}, {"1", 2}, {"2", 3}, {"50%", 2}, {"51%", 3}, {"90%", 10}, {"100%", 0}, {"5000", 0}, {"half", 0}, {"", 0}} {
		one, spec := intstr.FromInt32(1), policyv1.PodDisruptionBudgetSpec{}
		if spec.MaxUnavailable = &one; c.minAvailable != "" {
			stay := intstr.Parse(c.minAvailable)
			spec = policyv1.PodDisruptionBudgetSpec{MinAvailable: &stay}
		}
		if got := leastReplicas(spec); got != c.want {
			t.Errorf("minAvailable %q: %d, want %d", c.minAvailable, got, c.want)
		}
	}
}

// TestObserveBudgets: of the budgets that select the pods of the article's model, the one that keeps most counts.
func TestObserveBudgets(t *testing.T) {
	budget := func(namespace, name, app string, stay int) runtime.Object {
		n := intstr.FromInt(stay)
		return &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &n, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
	}
	synctest.Test(t, func(t *testing.T) {
		s := observe(t, append(objects(t, "testdata/article.yaml"), budget("ml-production", "a", "recommendation-model", 1),
			budget("ml-production", "b", "recommendation-model", 2), budget("ml-production", "c", "another", 7), budget("elsewhere", "d", "recommendation-model", 9))...)
		if len(s.Workloads) != 1 || s.Workloads[0].Budgeted != 3 {
			t.Errorf("%+v", s.Workloads)
		}
	})
}
