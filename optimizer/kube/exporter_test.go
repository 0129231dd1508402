package kube

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// exporter is a running pod with the given labels and annotations, and one port.
func exporter(ns, name string, labels, annotations notes, port corev1.ContainerPort) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels, Annotations: annotations}}
	p.Spec.Containers = []corev1.Container{{Name: "exporter", Ports: []corev1.ContainerPort{port}}}
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.9",
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	return p
}

// TestExporters: by either label, in any namespace, at the port that its annotations, its Service or itself
// tell; a model server is none, and neither is one that has ended.
func TestExporters(t *testing.T) {
	chart, operator := notes{"app.kubernetes.io/name": "dcgm-exporter"}, notes{"app": "nvidia-dcgm-exporter"}
	metrics := corev1.ContainerPort{Name: "metrics", ContainerPort: 9500}
	none := corev1.ContainerPort{}
	ended := exporter("gpu", "ended", chart, nil, metrics)
	ended.Status.Phase = corev1.PodFailed
	young := exporter("gpu", "young", chart, nil, metrics)
	young.Status = corev1.PodStatus{}
	served := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "operated", Name: "s", Annotations: annotated("scrape", "true", "path", "m")}}
	served.Spec = corev1.ServiceSpec{Selector: operator, Ports: []corev1.ServicePort{{Port: 9401}}}
	synctest.Test(t, func(t *testing.T) {
		c := start(t, fake.NewClientset(served, ended, young,
			exporter("gpu", "annotated", chart, annotated("scrape", "true", "port", "1"), metrics),
			exporter("gpu", "bare", chart, nil, none),
			exporter("gpu", "named", chart, nil, metrics),
			exporter("gpu", "refuses", chart, annotated("scrape", "false"), metrics),
			exporter("kube-system", "system", operator, nil, corev1.ContainerPort{ContainerPort: 9600}),
			exporter("models", "server", notes{"app": "model"}, nil, metrics),
			exporter("operated", "served", operator, nil, metrics),
		))
		got, err := c.Exporters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "exporters", got, []Exporter{
			{"gpu", "annotated", true, "http://10.0.0.9:1/metrics"},
			{"gpu", "bare", true, "http://10.0.0.9:9400/metrics"},
			{"gpu", "named", true, "http://10.0.0.9:9500/metrics"},
			{"gpu", "refuses", true, ""},
			{"gpu", "young", false, ""},
			{"kube-system", "system", true, "http://10.0.0.9:9600/metrics"},
			{"operated", "served", true, "http://10.0.0.9:9401/m"},
		})
	})
	if got, err := New(fake.NewClientset(), "trimtab", slog.New(slog.DiscardHandler)).Exporters(t.Context()); err == nil {
		t.Errorf("before the first list there are %v", got)
	}
}

// TestKilled: the last end of a container counts, whether it runs again or not, and only if it was for want
// of memory.
func TestKilled(t *testing.T) {
	at := func(minute int) metav1.Time { return metav1.Date(2026, 7, 1, 12, minute, 0, 0, time.UTC) }
	end := func(reason string, t metav1.Time) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, FinishedAt: t}}
	}
	got := killed(&corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "init", State: end("OOMKilled", at(1))}},
		ContainerStatuses: []corev1.ContainerStatus{
			{Name: "runs", LastTerminationState: end("OOMKilled", at(2))},
			{Name: "waits", LastTerminationState: end("OOMKilled", at(3)), State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}},
			{Name: "again", LastTerminationState: end("OOMKilled", at(3)), State: end("OOMKilled", at(4))},
			{Name: "crashed", LastTerminationState: end("Error", at(5))},
			{Name: "undated", LastTerminationState: end("OOMKilled", metav1.Time{})},
			{Name: "well"},
		},
	})
	same(t, "killed", got, map[string]time.Time{"init": at(1).Time, "runs": at(2).Time, "waits": at(3).Time, "again": at(4).Time})
	if got := killed(&corev1.PodStatus{}); got != nil {
		t.Errorf("a pod that nobody killed: %v", got)
	}
}
