package kube

import (
	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// resizing is how far an in-place resize of the pod, from what it has to what is asked for, has come. A condition that is about an earlier resize
// than the last one asked for says nothing: the kubelet has not looked yet.
func resizing(p *corev1.Pod, asked, has fleet.PodShape) fleet.Resize {
	if c, ok := condition(p, corev1.PodResizePending); ok {
		switch c.Reason {
		case corev1.PodReasonInfeasible:
			return fleet.Resize{State: fleet.ResizeInfeasible, Detail: c.Message}
		case corev1.PodReasonDeferred:
			return fleet.Resize{State: fleet.ResizeDeferred, Detail: c.Message}
		}
		return fleet.Resize{State: fleet.ResizeInProgress, Detail: c.Message}
	}
	if c, ok := condition(p, corev1.PodResizeInProgress); ok {
		return fleet.Resize{State: fleet.ResizeInProgress, Detail: c.Message} // of reason Error: what went wrong
	}
	for _, want := range asked.Containers {
		if k, _ := has.Container(want.Name); !k.Requests.Equal(want.Requests) || !k.Limits.Equal(want.Limits) {
			return fleet.Resize{State: fleet.ResizeInProgress}
		}
	}
	return fleet.Resize{}
}

// condition is one that is true of the pod as it is asked for now.
func condition(p *corev1.Pod, kind corev1.PodConditionType) (corev1.PodCondition, bool) {
	for _, c := range p.Status.Conditions {
		current := c.ObservedGeneration == 0 || c.ObservedGeneration >= p.Generation
		if c.Type == kind && c.Status == corev1.ConditionTrue && current {
			return c, true
		}
	}
	return corev1.PodCondition{}, false
}
