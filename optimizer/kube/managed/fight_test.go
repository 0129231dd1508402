package managed

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// TestFought: the same edit after each of three repairs is left, by name, and tried once more after the
// truce; another edit, or a pass in peace, is a new one.
func TestFought(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	edit := func(n string) optimizer.Kept {
		r.merge("deployments", "quotes", `{"spec":{"minReadySeconds":0,"replicas":`+n+`}}`)
		rows, _ := r.keep()
		return row(t, rows, kindDeployment)
	}
	for i, step := range []struct {
		n     string
		after time.Duration
		want  optimizer.KeptState
	}{
		{"5", 0, optimizer.Repaired}, {"5", 0, optimizer.Repaired}, {"5", 0, optimizer.Repaired}, {"5", 0, optimizer.Differs}, {"5", 0, optimizer.Differs},
		{"4", 0, optimizer.Repaired}, // another number is another edit
		{"4", 0, optimizer.Repaired}, {"4", 0, optimizer.Repaired}, {"4", 0, optimizer.Differs}, {"4", truce, optimizer.Repaired}, {"4", 0, optimizer.Differs},
		{"1", 0, optimizer.AsAsked}, {"4", 0, optimizer.Repaired}, {"4", 0, optimizer.Repaired},
	} {
		r.now = r.now.Add(step.after)
		got := edit(step.n)
		if got.State != step.want || got.State == optimizer.Differs && !strings.Contains(got.Detail, "spec.replicas is "+step.n+", not 1; repaired 3 times in a row and changed back by kubectl-edit") {
			t.Errorf("step %d: %+v, want %s", i, got, step.want)
		}
	}
}

// TestRefusedIsNoFight: what the API server refuses is tried in every pass.
func TestRefusedIsNoFight(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.merge("deployments", "quotes", `{"spec":{"replicas":5}}`)
	r.refuse("patch", "deployments", errors.New("no"))
	for range 5 {
		rows, _ := r.keep()
		if got := row(t, rows, kindDeployment); got.State != optimizer.Refused {
			t.Errorf("%+v", got)
		}
	}
}

// TestFoughtSettings: settings that somebody takes back each time are not measured and not written.
func TestFoughtSettings(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	var rows []optimizer.Kept
	var written []string
	for range 4 {
		r.merge("configmaps", "quotes-model-config", `{"data":{"model_config.json":"{\"batch_size\":999}"}}`)
		rows, written = r.keep()
	}
	if got := row(t, rows, kindConfigMap); got.State != optimizer.Differs || len(written) > 0 {
		t.Errorf("%+v, written %q", got, written)
	}
}

// TestFoughtResize: a pod whose requests somebody else sets back after each of three resizes is left to them for a while; the
// step under way ends.
func TestFoughtResize(t *testing.T) {
	r := manned(t, onlyRequests())
	r.toResize()
	r.flow()
	resized := 0
	back := func() {
		r.carryOut()
		r.change("quotes-1", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = quantities(fleet.Resources{MilliCPU: 640, Memory: 64 << 20})
		})
		r.client.ClearActions()
		r.flow()
		for _, a := range r.client.Actions() {
			if p, ok := a.(k8stesting.PatchAction); ok && p.GetSubresource() == "resize" && p.GetName() == "quotes-1" {
				resized++
			}
		}
	}
	for range 8 {
		back()
	}
	s := r.state()
	if resized != mostRepairs || s.Phase != capacity.Resting || !strings.Contains(s.Why, "pod quotes-1 was resized back 3 times in a row by somebody else and is left so for 1h0m0s") {
		t.Errorf("resized %d times; %s, %q", resized, s.Phase, s.Why)
	}
	r.now = r.now.Add(truce)
	back()
	back()
	if resized != mostRepairs+1 {
		t.Errorf("after the truce it was resized %d times more, want once", resized-mostRepairs)
	}
	r.carryOut()
	r.now = r.now.Add(calm)
	r.flow() // in peace, but for the one
	if len(r.keeper.repairs) != 1 {
		t.Errorf("repairs %+v", r.keeper.repairs)
	}
}

// TestResizerOf: the last who resized a pod, beside us; who made it did not.
func TestResizerOf(t *testing.T) {
	entry := func(manager, subresource string, s int) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &metav1.Time{Time: noon.Add(time.Duration(s) * time.Second)}}
	}
	made, ours := entry("kube-controller-manager", "", 9), entry(Manager, "resize", 8)
	for want, others := range map[string][]metav1.ManagedFieldsEntry{
		"":            nil,
		"vpa-updater": {entry("vpa-updater", "resize", 5), entry("kubectl", "resize", 4), entry("kubelet", "status", 7)},
		"kubectl":     {entry("kubectl", "resize", 6), entry("vpa-updater", "resize", 5)},
	} {
		if got := resizerOf(append(others, made, ours)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWriter(t *testing.T) {
	at := func(s int) *metav1.Time { return &metav1.Time{Time: noon.Add(time.Duration(s) * time.Second)} }
	entry := func(manager string, op metav1.ManagedFieldsOperationType, s int, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: op, Time: at(s), FieldsV1: metav1.NewFieldsV1(fields)}
	}
	ours := entry(Manager, metav1.ManagedFieldsOperationApply, 5, `{"f:spec":{"f:replicas":{}}}`)
	for name, tt := range map[string]struct {
		other metav1.ManagedFieldsEntry
		diff  string
		want  string
	}{
		"the field":             {entry("argocd", "Apply", 9, `{"f:spec":{"f:replicas":{}}}`), "spec.replicas is 5, not 1", "argocd"},
		"in a list":             {entry("helm", "Update", 9, `{"f:spec":{"f:template":{"f:spec":{"f:containers":{}}}}}`), "spec.template.spec.containers[a].image is x, not y", "helm"},
		"a label with dots":     {entry("x", "Update", 9, `{"f:metadata":{"f:labels":{"f:app.kubernetes.io/name":{}}}}`), "metadata.labels.app.kubernetes.io/name is x, not y", "x"},
		"another field":         {entry("x", "Update", 9, `{"f:spec":{"f:paused":{}}}`), "spec.replicas is 5, not 1", "a mutating admission webhook"},
		"written before we did": {entry("x", "Update", 4, `{"f:spec":{"f:replicas":{}}}`), "spec.replicas is 5, not 1", "a mutating admission webhook"},
		"in our own request":    {entry(Manager, "Update", 9, `{"f:spec":{"f:replicas":{}}}`), "spec.replicas is 5, not 1", "a mutating admission webhook"},
	} {
		if got := writer([]metav1.ManagedFieldsEntry{tt.other, ours}, []string{tt.diff}); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
