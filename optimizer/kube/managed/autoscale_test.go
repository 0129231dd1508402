package managed

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// scaled is the document of the tests with an autoscaler.
func scaled() policies.Server {
	s := quotes()
	s.Autoscale = policies.Autoscale{Min: 2, Max: 6}
	return s
}

func (r *rig) hpa() *autoscalingv2.HorizontalPodAutoscaler {
	r.Helper()
	h, err := r.client.AutoscalingV2().HorizontalPodAutoscalers("a").Get(r.Context(), "quotes", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return h
}

// scaleTo plays the autoscaler's controller, which writes another field manager's replicas.
func (r *rig) scaleTo(n string) {
	r.Helper()
	o := metav1.PatchOptions{FieldManager: "kube-controller-manager"}
	if _, err := r.client.AppsV1().Deployments("a").Patch(r.Context(), "quotes", types.MergePatchType, []byte(`{"spec":{"replicas":`+n+`}}`), o); err != nil {
		r.Fatal(err)
	}
}

// TestOwnAutoscaler: it is made last, with the pods' container and a target; the replicas are then its.
func TestOwnAutoscaler(t *testing.T) {
	r := newRig(t, scaled())
	rows, written := r.keep()
	if states(rows) != allCreated+", HorizontalPodAutoscaler created" || written[len(written)-1] != "patch horizontalpodautoscalers quotes" {
		t.Errorf("rows %s, written %q", states(rows), written)
	}
	if n := *r.deployment().Spec.Replicas; n != 2 {
		t.Errorf("it begins with %d replicas, want the fewest, 2, as the document's 1 is below", n)
	}
	text, _ := json.Marshal(r.hpa().Spec)
	for _, want := range []string{
		`"scaleTargetRef":{"kind":"Deployment","name":"quotes","apiVersion":"apps/v1"}`, `"minReplicas":2`, `"maxReplicas":6`,
		`"type":"ContainerResource"`, `"container":"model-server"`, `"averageUtilization":70`, `"stabilizationWindowSeconds":300`,
		`"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the autoscaler has no %s:\n%s", want, text)
		}
	}
	r.owners = []fleet.Owner{{Field: "replicas", Kind: kindAutoscaler, Name: "quotes"}}
	r.scaleTo("5")
	for range 3 {
		rows, _ = r.keep()
	}
	if got := row(t, rows, "Deployment"); *r.deployment().Spec.Replicas != 5 || got.State != optimizer.AsAsked || got.Detail != "its replicas are left to HorizontalPodAutoscaler quotes" {
		t.Errorf("%d replicas, %+v; want the autoscaler's 5", *r.deployment().Spec.Replicas, got)
	}
	if _, written := r.keep(); len(written) > 0 {
		t.Errorf("as asked, and written: %q", written)
	}
}

// TestAutoscalerGoes when its document no longer asks for it; the replicas are the document's again.
func TestAutoscalerGoes(t *testing.T) {
	r := newRig(t, scaled())
	r.keep()
	r.owners = []fleet.Owner{{Field: "replicas", Kind: kindAutoscaler, Name: "quotes"}}
	r.scaleTo("5")
	r.keep()
	r.set.Servers[0].Autoscale = policies.Autoscale{}
	rows, written, _ := r.try(false)
	if got := row(t, rows, kindAutoscaler); got.State != optimizer.Differs || len(written) > 0 {
		t.Errorf("where nothing may be written: %+v, written %q", got, written)
	}
	rows, written = r.keep()
	if got := row(t, rows, kindAutoscaler); got.State != optimizer.Deleted || !slices.Contains(written, "delete horizontalpodautoscalers quotes") {
		t.Errorf("%+v, written %q", got, written)
	}
	r.owners = nil
	rows, _ = r.keep()
	if n := *r.deployment().Spec.Replicas; n != 1 || len(rows) != 4 {
		t.Errorf("%d replicas, want the document's 1: %+v", n, rows)
	}
}

// TestTwoAutoscalers: beside somebody else's none is made, and somebody else's of its name is not written.
func TestTwoAutoscalers(t *testing.T) {
	r := newRig(t, scaled())
	r.owners = []fleet.Owner{{Field: "replicas", Kind: kindAutoscaler, Name: "theirs"}}
	r.keep() // the snapshot has no Deployment yet
	if rows, _ := r.keep(); row(t, rows, kindAutoscaler).State != optimizer.Refused {
		t.Errorf("ours beside theirs: %+v", rows)
	}
	if err := r.client.AutoscalingV2().HorizontalPodAutoscalers("a").Delete(t.Context(), "quotes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	rows, written := r.keep()
	if got := row(t, rows, kindAutoscaler); got.State != optimizer.Refused || !strings.Contains(got.Detail, "HorizontalPodAutoscaler theirs scales it already") || slices.Contains(written, "patch horizontalpodautoscalers quotes") {
		t.Errorf("%+v, written %q", got, written)
	}
	r = newRig(t, scaled())
	theirs := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "quotes"}}
	if _, err := r.client.AutoscalingV2().HorizontalPodAutoscalers("a").Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
		t.Fatal(err)
	}
	rows, written = r.keep()
	if len(written) > 0 || states(rows) != "HorizontalPodAutoscaler refused" || !strings.Contains(rows[0].Detail, "delete it, or take autoscale out of the document") {
		t.Errorf("%+v, written %q", rows, written)
	}
	r.set.Servers[0].Autoscale = policies.Autoscale{}
	if rows, _ := r.keep(); states(rows) != allCreated {
		t.Errorf("an autoscaler that nobody asks for stands in the way: %+v", rows)
	}
}

// A target that is not known is 70 %; an odd one is brought between 10 and 95.
func TestAutoscalerTarget(t *testing.T) {
	for target, want := range map[int32]int32{0: 70, -3: 70, 1: 10, 10: 10, 55: 55, 95: 95, 140: 95} {
		if got := *autoscaler(scaled(), nil, target).Spec.Metrics[0].ContainerResource.Target.AverageUtilization; got != want {
			t.Errorf("target %d gives %d, want %d", target, got, want)
		}
	}
}

// TestDeletionTakesTheAutoscalerFirst: nothing scales what goes.
func TestDeletionTakesTheAutoscalerFirst(t *testing.T) {
	r := newRig(t, scaled())
	r.keep()
	r.set.Servers = nil
	r.abandon()
	rows, written := r.keep()
	if states(rows) != "HorizontalPodAutoscaler deleted, Deployment deleted" || !slices.Equal(written, []string{"delete horizontalpodautoscalers quotes", "delete deployments quotes"}) {
		t.Errorf("%s, written %q", states(rows), written)
	}
}
