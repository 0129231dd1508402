package kube

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// autoscaler is one HorizontalPodAutoscaler.
type autoscaler struct {
	metav1.ObjectMeta
	target fleet.Ref
	owners []fleet.Owner // what it makes of its target
	set    fleet.Autoscaler
}

func readAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) *autoscaler {
	a := &autoscaler{ObjectMeta: identity(h), set: settingOf(h)}
	t := h.Spec.ScaleTargetRef
	if gv, err := schema.ParseGroupVersion(t.APIVersion); err == nil && gv.Group == "apps" {
		a.target = fleet.Ref{Namespace: h.Namespace, Kind: t.Kind, Name: t.Name}
	}
	a.owners = append(a.owners, fleet.Owner{Field: fieldReplicas, Kind: "HorizontalPodAutoscaler", Name: h.Name})
	if measuresRequests(h.Spec.Metrics) {
		a.owners = append(a.owners, fleet.Owner{Field: fieldRequests, Kind: "HorizontalPodAutoscaler", Name: h.Name})
	}
	if above := metav1.GetControllerOfNoCopy(h); above != nil {
		a.owners = append(a.owners, fleet.Owner{Field: fieldReplicas, Kind: above.Kind, Name: above.Name}) // KEDA's ScaledObject
	}
	return a
}

// measuresRequests tells whether use is compared with requests. An HPA without metrics is one by
// default: 80 % of the CPU request.
func measuresRequests(metrics []autoscalingv2.MetricSpec) bool {
	for _, m := range metrics {
		switch {
		case m.Resource != nil && m.Resource.Target.Type == autoscalingv2.UtilizationMetricType:
			return true
		case m.ContainerResource != nil && m.ContainerResource.Target.Type == autoscalingv2.UtilizationMetricType:
			return true
		}
	}
	return len(metrics) == 0
}

// settingOf is what an HPA is set to. Of several metrics the one that asks for most decides.
func settingOf(h *autoscalingv2.HorizontalPodAutoscaler) fleet.Autoscaler {
	a := fleet.Autoscaler{Name: h.Name, Min: desired(h.Spec.MinReplicas), Max: h.Spec.MaxReplicas}
	if len(h.Spec.Metrics) == 0 {
		a.CPUPercent = defaultCPUPercent
	}
	for _, m := range h.Spec.Metrics {
		percent, container := cpuTarget(m)
		if percent == 0 || a.CPUPercent > 0 {
			a.Others = true
			continue
		}
		a.CPUPercent, a.Container = percent, container
	}
	return a
}

// cpuTarget is the share of the CPU request that a metric aims at, and of which container (empty: of the pod); 0: it
// is another metric.
func cpuTarget(m autoscalingv2.MetricSpec) (percent int32, container string) {
	switch {
	case m.Resource != nil && m.Resource.Name == corev1.ResourceCPU:
		return percentOf(m.Resource.Target), ""
	case m.ContainerResource != nil && m.ContainerResource.Name == corev1.ResourceCPU:
		return percentOf(m.ContainerResource.Target), m.ContainerResource.Container
	}
	return 0, ""
}

// defaultCPUPercent is what the API server gives an HPA without metrics.
const defaultCPUPercent = 80

func percentOf(t autoscalingv2.MetricTarget) int32 {
	if t.Type != autoscalingv2.UtilizationMetricType || t.AverageUtilization == nil {
		return 0
	}
	return *t.AverageUtilization
}
