package kube

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// autoscaler is one HorizontalPodAutoscaler.
type autoscaler struct {
	metav1.ObjectMeta
	target fleet.Ref
	owners []fleet.Owner // what it makes of its target
}

func readAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) *autoscaler {
	a := &autoscaler{ObjectMeta: identity(h)}
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
