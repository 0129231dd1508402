package managed

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
)

// spoiled is every object of a server, by resource, with an edit of it and how it reads.
var spoiled = []struct{ kind, resource, object, change, says string }{
	{kindConfigMap, "configmaps", "quotes-model-config", `{"data":{"model_config.json":"{}"}}`, "data.model_config.json is {}, not"},
	{kindService, "services", "quotes", `{"spec":{"selector":{"trimtab.dev/inference-server":"x"}}}`, "spec.selector.trimtab.dev/inference-server is x, not quotes"},
	{kindBudget, "poddisruptionbudgets", "quotes", `{"spec":{"maxUnavailable":7}}`, "spec.maxUnavailable is 7, not 1"},
	{kindDeployment, "deployments", "quotes", `{"spec":{"template":{"spec":{"containers":[{"name":"model-server","image":"x"}]}}}}`, "containers[model-server].image is x, not m:1"},
	{kindAutoscaler, "horizontalpodautoscalers", "quotes", `{"spec":{"maxReplicas":99}}`, "spec.maxReplicas is 99, not 6"},
}

// remove deletes an object as somebody else.
func (r *rig) remove(resource, name string) {
	r.Helper()
	var err error
	switch o := (metav1.DeleteOptions{}); resource {
	case "deployments":
		err = r.client.AppsV1().Deployments("a").Delete(r.Context(), name, o)
	case "services":
		err = r.client.CoreV1().Services("a").Delete(r.Context(), name, o)
	case "configmaps":
		err = r.client.CoreV1().ConfigMaps("a").Delete(r.Context(), name, o)
	case "poddisruptionbudgets":
		err = r.client.PolicyV1().PodDisruptionBudgets("a").Delete(r.Context(), name, o)
	case "horizontalpodautoscalers":
		err = r.client.AutoscalingV2().HorizontalPodAutoscalers("a").Delete(r.Context(), name, o)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// spoil deletes or edits an object.
func (r *rig) spoil(i int, deleted bool) {
	r.Helper()
	if s := spoiled[i]; deleted {
		r.remove(s.resource, s.object)
	} else {
		r.merge(s.resource, s.object, s.change)
	}
}

// TestSpoiledByHand: whatever object is deleted or edited is as asked after the next pass, which writes it
// and no other.
func TestSpoiledByHand(t *testing.T) {
	for i, s := range spoiled {
		for _, deleted := range []bool{true, false} {
			r := newRig(t, scaled())
			r.keep()
			r.spoil(i, deleted)
			rows, written := r.keep()
			got, want := row(t, rows, s.kind), optimizer.Repaired
			if deleted {
				want = optimizer.Created
			}
			if got.State != want || !deleted && !strings.Contains(got.Detail, s.says) || len(written) != 1 || written[0] != "patch "+s.resource+" "+s.object {
				t.Errorf("%s, deleted %v: %+v, written %q", s.kind, deleted, got, written)
			}
			if rows, written := r.keep(); len(written) > 0 || strings.Contains(states(rows), "differs") {
				t.Errorf("%s, deleted %v: then %s, written %q", s.kind, deleted, states(rows), written)
			}
		}
	}
}

// TestLeftAlone: paused or only recommended, the same is shown and nothing is written; no pod is asked for.
func TestLeftAlone(t *testing.T) {
	pause := func(s *policies.Server) { s.Paused = true }
	recommend := func(s *policies.Server) { s.Mode = policies.Recommend }
	for name, stop := range map[string]func(*policies.Server){"paused": pause, "recommend": recommend} {
		for i, s := range spoiled {
			for _, deleted := range []bool{true, false} {
				r := newRig(t, scaled())
				r.keep()
				r.pod("quotes", "quotes-1", "10.0.0.1")
				stop(&r.set.Servers[0])
				r.spoil(i, deleted)
				rows, written := r.keep()
				got := row(t, rows, s.kind)
				if len(written) > 0 || got.State != optimizer.Differs || strings.HasPrefix(got.Detail, "paused by its document; ") != (name == "paused") {
					t.Errorf("%s, %s, deleted %v: %+v, written %q", name, s.kind, deleted, got, written)
				}
				for _, a := range r.client.Actions() {
					if name == "paused" && a.GetResource().Resource == "pods" {
						t.Errorf("%s: pods were asked for: %v", name, a)
					}
				}
			}
		}
	}
}

// TestPauseEnds: what was left is made good, and tuning goes on.
func TestPauseEnds(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.set.Servers[0].Paused = true
	rows, _ := r.keep()
	for _, row := range rows {
		if row.State != optimizer.AsAsked || !strings.HasPrefix(row.Detail, "paused by its document") {
			t.Errorf("paused: %+v", row)
		}
	}
	r.merge("deployments", "quotes", `{"spec":{"replicas":5}}`)
	r.set.Servers[0].Paused = false
	rows, _ = r.keep()
	if got := row(t, rows, kindDeployment); got.State != optimizer.Repaired {
		t.Errorf("after the pause %+v", got)
	}
}

// TestGlance: where nothing may be written, a server is read again only after a while, or when its document
// changed.
func TestGlance(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	reads := func() int {
		if _, _, err := r.try(false); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, a := range r.client.Actions() {
			if _, get := a.(k8stesting.GetAction); get && a.GetVerb() == "get" {
				n++
			}
		}
		return n - 1 // the rig's own, for the snapshot
	}
	for i, step := range []struct {
		after time.Duration
		image string
		want  int
	}{
		{0, "m:1", 5}, {glanceEvery - 1, "m:1", 0}, {1, "m:1", 5}, {1, "m:2", 5}, {1, "m:2", 0}, {glanceEvery, "m:2", 5},
	} {
		r.now = r.now.Add(step.after)
		r.set.Servers[0].Image = step.image
		if got := reads(); got != step.want {
			t.Errorf("step %d: %d objects are read, want %d", i, got, step.want)
		}
	}
	r.now = r.now.Add(time.Second)
	if _, written := r.keep(); len(written) == 0 {
		t.Error("who may write, does not wait")
	}
}
