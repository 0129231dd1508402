package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func TestClass(t *testing.T) {
	type set = map[string]string
	for _, row := range []struct {
		name          string
		own, template set
		want          fleet.Class
	}{
		{"none", nil, nil, ""},
		{"our label", set{"trimtab.dev/class": "online"}, nil, fleet.Online},
		{"on the template", nil, set{"trimtab.dev/class": "batch"}, fleet.Batch},
		{"the object before its template", set{"trimtab.dev/class": "online"}, set{"trimtab.dev/class": "batch"}, fleet.Online},
		{"the article's", set{"workload_type": "batch"}, nil, fleet.Batch},
		{"the article's, as a label is usually written", nil, set{"workload-type": "batch"}, fleet.Batch},
		{"ours before the article's", set{"workload_type": "batch"}, set{"trimtab.dev/class": "online"}, fleet.Online},
		{"another value is no class", set{"workload_type": "streaming"}, nil, ""},
		{"a typo is not overruled", set{"trimtab.dev/class": "onlin", "workload_type": "batch"}, nil, ""},
	} {
		if got := class(row.own, row.template); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestRollingOut(t *testing.T) {
	for _, row := range []struct {
		name                       string
		generation, observed       int64
		desired, replicas, updated int32
		want                       bool
	}{
		{"at rest", 4, 4, 3, 3, 3, false},
		{"not looked at yet", 5, 4, 3, 3, 3, true},
		{"surge", 5, 5, 3, 4, 1, true},
		{"scaling up, all of one template", 5, 5, 5, 4, 4, false},
		{"quota keeps pods out", 5, 5, 5, 3, 3, false},
		{"scaled to zero", 5, 5, 0, 0, 0, false},
	} {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: row.generation}}
		d.Spec.Replicas = &row.desired
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: row.observed, Replicas: row.replicas, UpdatedReplicas: row.updated}
		w := readDeployment(d).seen
		if w.RollingOut != row.want || w.Replicas != row.desired {
			t.Errorf("%s: Deployment %v, %d replicas; want %v", row.name, w.RollingOut, w.Replicas, row.want)
		}
		s := &appsv1.StatefulSet{ObjectMeta: d.ObjectMeta}
		s.Status = appsv1.StatefulSetStatus{ObservedGeneration: row.observed, Replicas: row.replicas, UpdatedReplicas: row.updated}
		w = readStatefulSet(s).seen
		if w.RollingOut != row.want || w.Replicas != 1 || w.Ref.Kind != "StatefulSet" {
			t.Errorf("%s: %s %v, %d replicas; want %v and 1, the default", row.name, w.Ref.Kind, w.RollingOut, w.Replicas, row.want)
		}
	}
}

func TestWriters(t *testing.T) {
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const containers = `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"server\"}":{".":{},"f:image":{},"f:resources":%}}}}}}`
	with := func(resources string) string {
		return containers[:len(containers)-len("%}}}}}}")] + resources + "}}}}}}"
	}
	got := writers([]metav1.ManagedFieldsEntry{
		entry("kube-controller-manager", "scale", `{"f:spec":{"f:replicas":{}}}`),
		entry("argocd-controller", "", `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:strategy":{}}}`),
		entry("argocd-controller", "", with(`{"f:limits":{"f:cpu":{}},"f:requests":{"f:cpu":{}}}`)),
		entry("argocd-controller", "scale", `{"f:spec":{"f:replicas":{}}}`),
		entry("vpa", "", with(`{"f:requests":{"f:memory":{}}}`)),
		entry("labeller", "", with(`{}`)), // resources were emptied: no figure of it is there
		entry("trimtab", "", `{"f:spec":{"f:replicas":{}}}`),
		entry("status", "status", `{"f:status":{"f:replicas":{}}}`),
		entry("broken", "", `{"f:spec":`),
		{Manager: "empty"},
	})
	same(t, "writers", got, []fleet.Owner{
		{Field: "replicas", Kind: "FieldManager", Name: "argocd-controller"},
		{Field: "replicas", Kind: "FieldManager", Name: "kube-controller-manager"},
		{Field: "resources", Kind: "FieldManager", Name: "argocd-controller"},
		{Field: "resources", Kind: "FieldManager", Name: "vpa"},
	})
}

func TestAutoscaler(t *testing.T) {
	resource := func(kind autoscalingv2.MetricTargetType) autoscalingv2.MetricSpec {
		return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: "cpu", Target: autoscalingv2.MetricTarget{Type: kind}}}
	}
	ofContainer := autoscalingv2.MetricSpec{Type: autoscalingv2.ContainerResourceMetricSourceType, ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
		Name: "memory", Container: "server", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType}}}
	ofPods := autoscalingv2.MetricSpec{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{}}
	type specs = []autoscalingv2.MetricSpec
	for _, row := range []struct {
		name    string
		metrics specs
		want    bool // it measures requests
	}{
		{"use against the request", specs{resource(autoscalingv2.UtilizationMetricType)}, true},
		{"use alone", specs{resource(autoscalingv2.AverageValueMetricType)}, false},
		{"requests a second", specs{ofPods}, false},
		{"one container's", specs{ofPods, ofContainer}, true},
		{"none, which means 80 % of CPU", nil, true},
	} {
		if got := measuresRequests(row.metrics); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}

	yes := true
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "keda-hpa-m", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "m", Controller: &yes}}}}
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "m"}
	h.Spec.Metrics = specs{ofPods}
	a := readAutoscaler(h)
	same(t, "target", a.target, fleet.Deployment("ml", "m"))
	same(t, "owners", a.owners, []fleet.Owner{
		{Field: "replicas", Kind: "HorizontalPodAutoscaler", Name: "keda-hpa-m"},
		{Field: "replicas", Kind: "ScaledObject", Name: "m"},
	})
	same(t, "set", a.set, fleet.Autoscaler{Name: "keda-hpa-m", Min: 1, Others: true})
	h.Spec.ScaleTargetRef.APIVersion = "example.com/v1"
	same(t, "target of another group", readAutoscaler(h).target, fleet.Ref{})
}

func TestAutoscalerSetting(t *testing.T) {
	share, three := int32(65), int32(3)
	target := autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &share}
	cpu := autoscalingv2.MetricSpec{Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: target}}
	type specs = []autoscalingv2.MetricSpec
	for _, row := range []struct {
		name    string
		metrics specs
		want    fleet.Autoscaler
	}{
		{"none", nil, fleet.Autoscaler{CPUPercent: 80}},
		{"cpu", specs{cpu}, fleet.Autoscaler{CPUPercent: 65}},
		{"one container's", specs{{ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: "cpu", Container: "server", Target: target}}},
			fleet.Autoscaler{CPUPercent: 65, Container: "server"}},
		{"memory", specs{{Resource: &autoscalingv2.ResourceMetricSource{Name: "memory", Target: target}}}, fleet.Autoscaler{Others: true}},
		{"cores", specs{{Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu", Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType}}}}, fleet.Autoscaler{Others: true}},
		{"two", specs{cpu, cpu}, fleet.Autoscaler{CPUPercent: 65, Others: true}},
		{"requests first", specs{{Pods: &autoscalingv2.PodsMetricSource{}}, cpu}, fleet.Autoscaler{CPUPercent: 65, Others: true}},
	} {
		h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "h"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			MinReplicas: &three, MaxReplicas: 9, Metrics: row.metrics}}
		row.want.Name, row.want.Min, row.want.Max = "h", 3, 9
		same(t, row.name, readAutoscaler(h).set, row.want)
	}
}
