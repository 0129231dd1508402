package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func TestResizing(t *testing.T) {
	is := func(kind corev1.PodConditionType, reason, message string, generation int64) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: generation}
	}
	deferred := is("PodResizePending", "Deferred", "Node didn't have enough resource: cpu", 2)
	infeasible := is("PodResizePending", "Infeasible", "Node didn't have enough capacity: cpu", 2)
	progress := is("PodResizeInProgress", "", "", 2)
	failed := is("PodResizeInProgress", "Error", "memory limit below usage", 2)
	past := deferred
	past.Status = corev1.ConditionFalse
	old := deferred
	old.ObservedGeneration = 1
	undated := deferred
	undated.ObservedGeneration = 0
	for _, row := range []struct {
		name       string
		asked, has string // cpu; has empty: the kubelet does not say
		conditions []corev1.PodCondition
		want       fleet.Resize
	}{
		{"at rest", "500m", "500m", nil, fleet.Resize{}},
		{"not started yet", "500m", "", nil, fleet.Resize{}},
		{"asked for", "20m", "500m", nil, fleet.Resize{State: "in-progress"}},
		{"under way, the same size", "500m", "500m", []corev1.PodCondition{progress}, fleet.Resize{State: "in-progress"}},
		{"goes wrong", "20m", "500m", []corev1.PodCondition{failed}, fleet.Resize{State: "in-progress", Detail: "memory limit below usage"}},
		{"waits for room", "2", "500m", []corev1.PodCondition{deferred}, fleet.Resize{State: "deferred", Detail: "Node didn't have enough resource: cpu"}},
		{"never", "99", "500m", []corev1.PodCondition{infeasible}, fleet.Resize{State: "infeasible", Detail: "Node didn't have enough capacity: cpu"}},
		{"the newer one waits while the older is carried out", "2", "500m", []corev1.PodCondition{progress, deferred}, fleet.Resize{State: "deferred", Detail: "Node didn't have enough resource: cpu"}},
		{"no longer", "500m", "500m", []corev1.PodCondition{past}, fleet.Resize{}},
		{"taken back, and not looked at yet", "500m", "500m", []corev1.PodCondition{old}, fleet.Resize{}},
		{"asked for something else since", "700m", "500m", []corev1.PodCondition{old}, fleet.Resize{State: "in-progress"}},
		{"by a kubelet that does not date it", "2", "500m", []corev1.PodCondition{undated}, fleet.Resize{State: "deferred", Detail: "Node didn't have enough resource: cpu"}},
	} {
		p := podOf(deployment(1), "model-1")
		p.Generation = 2
		p.Spec.Containers[0].Resources.Requests = list("cpu", row.asked)
		if row.has != "" {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "server", Resources: &corev1.ResourceRequirements{Requests: list("cpu", row.has)}}}
		}
		p.Status.Conditions = row.conditions
		same(t, row.name, readPod(p).seen.Resize, row.want)
	}
}
