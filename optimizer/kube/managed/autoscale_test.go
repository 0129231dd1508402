package managed

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
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

// TestAutoscalerTarget: one that is not known is 70 %; an odd one is brought between 10 and 95 % of what a pod may use,
// which may be more than it requests. Where replicas may be lost, all three are of those that are left.
func TestAutoscalerTarget(t *testing.T) {
	for _, tt := range []struct {
		name         string
		target       int32
		limit, cores int64 // of a request of 100m
		min, lost    int32
		want         int32
	}{
		{"not known", 0, 100, 0, 2, 0, 70},
		{"below none", -3, 100, 0, 2, 0, 70},
		{"next to none", 1, 100, 0, 2, 0, 10},
		{"the least", 10, 100, 0, 2, 0, 10},
		{"usual", 55, 100, 0, 2, 0, 55},
		{"the most of a request that is the limit", 140, 100, 0, 2, 0, 95},
		{"more than the request, of which the limit allows six times", 140, 600, 0, 2, 0, 140},
		{"more than the limit", 700, 600, 0, 2, 0, 570},
		{"without a limit, whatever its node has left", 1400, 0, 2000, 2, 0, 95},
		{"not known, and one of two may be lost", 0, 100, 0, 2, 1, 35},
		{"one of two: the model knows", 46, 100, 0, 2, 1, 46},
		{"one of two: more than half of the limit", 92, 100, 0, 2, 1, 47},
		{"three of four: hardly any", 1, 100, 0, 4, 3, 2},
		{"no more than may be lost, which no document says", 60, 100, 0, 1, 5, 60},
	} {
		s := scaled()
		s.Autoscale.Min, s.Tune.Redundancy = tt.min, tt.lost
		r := record{HPATarget: tt.target}
		r.State.Setting = capacity.Setting{CPU: 100, Limit: tt.limit}
		r.State.Question.Room.Cores = tt.cores
		if got := r.cpuTarget(s); got != tt.want {
			t.Errorf("%s: target %d gives %d, want %d", tt.name, tt.target, got, tt.want)
		}
		if got := *autoscaler(s, nil, r.cpuTarget(s)).Spec.Metrics[0].ContainerResource.Target.AverageUtilization; got != tt.want {
			t.Errorf("%s: the autoscaler has %d", tt.name, got)
		}
	}
}

// TestAutoscalerWaitsForRequests: a target that rises is written with the step, one that falls once the requests are in
// force: until then what pods use is a larger share of what they request, and twice as many would be made.
func TestAutoscalerWaitsForRequests(t *testing.T) {
	s := scaled()
	s.Requests.MilliCPU, s.Batch.Sizes = 800, nil
	s.Tune = policies.Tune{CPU: [2]int64{50, 1000}, Probability: 0.95, Margin: 0.2, Changes: 6}
	r := manned(t, s)
	target := func() int32 { return *r.hpa().Spec.Metrics[0].ContainerResource.Target.AverageUtilization }
	for range 3 {
		r.flow()
		r.carryOut()
	}
	before := target()
	r.toResize()
	less := target()
	stop := r.refuse("patch", "pods", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "q", errors.New("no")))
	r.flow()
	if state := r.state(); state.Phase != capacity.TakingBack || less <= before || target() != less {
		t.Errorf("%s: %d %% of 800m, %d of less, %d until it is 800m again", state.Phase, before, less, target())
	}
	stop()
	for range 3 {
		r.flow()
		r.carryOut()
	}
	if state := r.state(); state.Phase != capacity.Resting || target() >= less {
		t.Errorf("%s: then %d %%, before %d", state.Phase, target(), before)
	}
	half := record{HPATarget: 500} // 100m becomes 800m, of a limit of a core
	half.State.Phase, half.State.Step = capacity.Changing, &capacity.Step{From: capacity.Setting{CPU: 100, Limit: 1000}}
	half.State.Setting = capacity.Setting{CPU: 800, Limit: 1000}
	if got := half.cpuTarget(s); got != 500 {
		t.Errorf("%d %% while pods request 100m, want 500", got)
	}
	half.State.Phase = capacity.Comparing
	if got := half.cpuTarget(s); got != 118 {
		t.Errorf("%d %% of 800m, want 118", got)
	}
}

// TestAutoscalerKeepsRedundancy: once the model knows a target, which is more than the request here, half of it is written where one of two may be lost, and
// as soon as the document keeps three at least, two thirds, although nothing else has changed.
func TestAutoscalerKeepsRedundancy(t *testing.T) {
	targets := map[int32]int32{}
	for _, lost := range []int32{0, 1} {
		s := scaled()
		s.Replicas, s.Requests.MilliCPU, s.Tune = 3, 800, policies.Tune{Redundancy: lost, Probability: 0.95, Margin: 0.2, Changes: 6}
		r := manned(t, s)
		for range 8 {
			r.flow()
			r.carryOut()
		}
		targets[lost] = *r.hpa().Spec.Metrics[0].ContainerResource.Target.AverageUtilization
		if lost == 0 {
			continue
		}
		r.set.Servers[0].Autoscale.Min = 3
		for range 5 {
			r.flow()
			r.carryOut()
		}
		targets[3] = *r.hpa().Spec.Metrics[0].ContainerResource.Target.AverageUtilization
	}
	near := func(a, b int32) bool { return max(a-b, b-a) <= 5 }
	if none, half, more := targets[0], targets[1], targets[3]; none <= 95 || !near(half, none/2) || !near(more, 2*none/3) {
		t.Errorf("%d %% where none may be lost, %d %% where one of two may, %d %% where one of three may", none, half, more)
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
