package managed

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

const allCreated = "ConfigMap created, Service created, PodDisruptionBudget created, Deployment created"

func TestMadeInOrderAndThenLeftAlone(t *testing.T) {
	r := newRig(t, quotes())
	rows, written := r.keep()
	want := []string{"patch configmaps quotes-model-config", "patch services quotes", "patch poddisruptionbudgets quotes", "patch deployments quotes"}
	if states(rows) != allCreated || !slices.Equal(written, want) {
		t.Errorf("rows %s, written %q; want %s, %q", states(rows), written, allCreated, want)
	}
	for _, row := range rows {
		if row.Document != "InferenceServer quotes" || row.Namespace != "a" {
			t.Errorf("row %+v", row)
		}
	}
	if s := r.settings("quotes"); s != (settings{BatchSize: 1, MaxDelay: "5ms", Generation: 1}) {
		t.Errorf("settings %+v", s)
	}
	for range 2 {
		rows, written = r.keep()
		if len(written) > 0 || states(rows) != "ConfigMap tuning, Service as-asked, PodDisruptionBudget as-asked, Deployment as-asked" {
			t.Errorf("a pass in which nothing happened wrote %q: %+v", written, rows)
		}
	}
}

func TestDriftIsRepaired(t *testing.T) {
	for _, tt := range []struct {
		name, resource, object, change string
		kind, says                     string
	}{
		{"image", "deployments", "quotes", `{"spec":{"template":{"spec":{"containers":[{"name":"model-server","image":"evil:9"}]}}}}`,
			"Deployment", "spec.template.spec.containers[model-server].image is evil:9, not m:1"},
		{"replicas", "deployments", "quotes", `{"spec":{"replicas":5}}`, "Deployment", "spec.replicas is 5, not 1"},
		{"a label", "services", "quotes", `{"metadata":{"labels":{"app.kubernetes.io/name":"x"}}}`, "Service", "metadata.labels.app.kubernetes.io/name is x, not quotes"},
		{"selector", "services", "quotes", `{"spec":{"selector":{"trimtab.dev/inference-server":"other"}}}`, "Service", "spec.selector.trimtab.dev/inference-server is other, not quotes"},
		{"budget", "poddisruptionbudgets", "quotes", `{"spec":{"maxUnavailable":9}}`, "PodDisruptionBudget", "spec.maxUnavailable is 9, not 1"},
		{"settings", "configmaps", "quotes-model-config", `{"data":{"model_config.json":"{}"}}`, "ConfigMap", "data.model_config.json is {}, not "},
	} {
		r := newRig(t, quotes())
		r.keep()
		r.merge(tt.resource, tt.object, tt.change)
		rows, written := r.keep()
		got := row(t, rows, tt.kind)
		if got.State != optimizer.Repaired || !strings.Contains(got.Detail, tt.says) || len(written) != 1 {
			t.Errorf("%s: %+v, written %q; want repaired, %q", tt.name, got, written, tt.says)
		}
		if _, written := r.keep(); len(written) > 0 {
			t.Errorf("%s: repaired again: %q", tt.name, written)
		}
		if rows, written, _ := r.try(false); len(written) > 0 || strings.Contains(states(rows), "differs") {
			t.Errorf("%s: after the repair %+v", tt.name, rows)
		}
	}
}

// merge changes an object as somebody else.
func (r *rig) merge(resource, name, change string) {
	r.Helper()
	var err error
	o, data := metav1.PatchOptions{FieldManager: "kubectl-edit"}, []byte(change)
	switch resource {
	case "deployments":
		_, err = r.client.AppsV1().Deployments("a").Patch(r.Context(), name, types.StrategicMergePatchType, data, o)
	case "services":
		_, err = r.client.CoreV1().Services("a").Patch(r.Context(), name, types.MergePatchType, data, o)
	case "configmaps":
		_, err = r.client.CoreV1().ConfigMaps("a").Patch(r.Context(), name, types.MergePatchType, data, o)
	case "horizontalpodautoscalers":
		_, err = r.client.AutoscalingV2().HorizontalPodAutoscalers("a").Patch(r.Context(), name, types.MergePatchType, data, o)
	case "poddisruptionbudgets":
		_, err = r.client.PolicyV1().PodDisruptionBudgets("a").Patch(r.Context(), name, types.MergePatchType, data, o)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// TestSettingsThatWereChangedByHand get a generation of their own, so that nothing measured under them counts.
func TestSettingsThatWereChangedByHand(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.merge("configmaps", "quotes-model-config", `{"data":{"model_config.json":"{\"batch_size\":999,\"generation\":1}"}}`)
	r.keep()
	if s := r.settings("quotes"); s.BatchSize != 1 || s.Generation != 2 {
		t.Errorf("settings %+v, want batch size 1 of generation 2", s)
	}
}

// TestWhatIsNoLongerAskedForGoes: a limit that the document no longer has is taken away, though the object
// has all that is asked for.
func TestWhatIsNoLongerAskedForGoes(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.set.Servers[0].Limits.MilliCPU = 0
	rows, _ := r.keep()
	if got := row(t, rows, "Deployment"); got.State != optimizer.Repaired || got.Detail != "something that is no longer asked for is removed" {
		t.Errorf("row %+v", got)
	}
	limits := r.deployment().Spec.Template.Spec.Containers[0].Resources.Limits
	if _, has := limits[corev1.ResourceCPU]; has || len(limits) != 1 {
		t.Errorf("limits %v, want memory only", limits)
	}
}

func (r *rig) deployment() *appsv1.Deployment {
	r.Helper()
	d, err := r.client.AppsV1().Deployments("a").Get(r.Context(), "quotes", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return d
}

// TestTwoSwitches: without the daemon's or the document's, differences are shown and nothing is written.
func TestTwoSwitches(t *testing.T) {
	only := quotes()
	only.Mode = policies.Recommend
	for name, try := range map[string]struct {
		s     policies.Server
		write bool
	}{"the daemon's": {quotes(), false}, "the document's": {only, true}, "both": {only, false}} {
		r := newRig(t, try.s)
		rows, written, err := r.try(try.write)
		if err != nil || len(written) > 0 || states(rows) != strings.ReplaceAll(allCreated, "created", "differs") || rows[0].Detail != "it is not there" {
			t.Errorf("%s off, nothing there: %+v, written %q, %v", name, rows, written, err)
		}
		r.set.Servers[0].Mode = policies.Enforce
		r.keep()
		r.pod("quotes", "quotes-1", "10.0.0.1")
		r.kubelet()
		r.set.Servers[0] = try.s
		r.merge("deployments", "quotes", `{"spec":{"replicas":5}}`)
		rows, written, err = r.try(try.write)
		if got := row(t, rows, "Deployment"); err != nil || len(written) > 0 || got.State != optimizer.Differs || got.Detail != "spec.replicas is 5, not 1" {
			t.Errorf("%s off, drifted: %+v, written %q, %v", name, rows, written, err)
		}
		r.set.Servers = nil
		r.abandon()
		rows, written, err = r.try(false)
		if err != nil || len(written) > 0 || states(rows) != "Deployment differs" {
			t.Errorf("%s off, no document: %+v, written %q, %v", name, rows, written, err)
		}
	}
}

// TestOthersObjects: an object of the same name that somebody else made is never written, even with our
// label on it, nor is anything beside it.
func TestOthersObjects(t *testing.T) {
	for _, labels := range []map[string]string{nil, {policies.ServerLabel: "quotes"}} {
		r := newRig(t, quotes())
		theirs := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "quotes", Labels: labels}}
		if _, err := r.client.CoreV1().Services("a").Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
			t.Fatal(err)
		}
		rows, written := r.keep()
		if len(written) > 0 || states(rows) != "Service refused" || !strings.Contains(rows[0].Detail, "it was not made for InferenceServer quotes; write adopt: true") {
			t.Errorf("labels %v: %+v, written %q", labels, rows, written)
		}
		r.set = policies.Set{}
		if rows, written := r.keep(); len(rows)+len(written) > 0 {
			t.Errorf("labels %v: without a document %+v, written %q", labels, rows, written)
		}
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t, quotes())
	stop := r.refuse("patch", "services", errors.New("services is forbidden:\n User cannot patch"))
	rows, _ := r.keep()
	if got := row(t, rows, "Service"); got.State != optimizer.Refused || got.Detail != "write it: services is forbidden: User cannot patch" {
		t.Errorf("row %+v", got)
	}
	if got := row(t, rows, "Deployment"); got.State != optimizer.Created {
		t.Errorf("one refusal stopped the others: %+v", rows)
	}
	stop()
	if rows, _ := r.keep(); row(t, rows, "Service").State != optimizer.Created {
		t.Errorf("it was not tried again: %+v", rows)
	}
	stop = r.refuse("get", "poddisruptionbudgets", errors.New("no"))
	rows, written := r.keep()
	if states(rows) != "PodDisruptionBudget refused" || len(written) > 0 {
		t.Errorf("unreadable: %+v, written %q", rows, written)
	}
	stop()
	fresh := newRig(t, quotes())
	fresh.refuse("patch", "configmaps", errors.New("no"))
	if rows, written := fresh.keep(); states(rows) != "ConfigMap refused" || len(written) > 1 {
		t.Errorf("something was written although its settings could not be: %+v, written %q", rows, written)
	}
	r.refuse("list", "services", errors.New("no"))
	if _, _, err := r.try(true); err == nil || !strings.Contains(err.Error(), "list Services: no") {
		t.Errorf("leftovers could not be looked for: %v", err)
	}
}

// TestAddedToBeInvalid: somebody changed the number of the Service's port, which to the API server is a
// second port of the same name. The lists are replaced, then applied; and only then.
func TestAddedToBeInvalid(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.merge("services", "quotes", `{"spec":{"ports":[{"name":"http","port":81,"protocol":"TCP","targetPort":"http"}]}}`)
	r.client.PrependReactor("patch", "services", func(a k8stesting.Action) (bool, runtime.Object, error) {
		s, err := r.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("services"), "a", "quotes")
		if clash := err == nil && s.(*corev1.Service).Spec.Ports[0].Port != 80; clash && a.(k8stesting.PatchAction).GetPatchType() == types.ApplyPatchType {
			return true, nil, apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "quotes", nil)
		}
		return false, nil, nil
	})
	rows, written := r.keep()
	if got := row(t, rows, "Service"); got.State != optimizer.Repaired || got.Detail != "spec.ports[http].port is 81, not 80" || len(written) != 3 {
		t.Errorf("%+v, written %q", got, written)
	}
	if _, written := r.keep(); len(written) > 0 {
		t.Errorf("then written %q", written)
	}
}

// TestTwoServers of one namespace have nothing in common, and the same name in two namespaces is two servers.
func TestTwoServers(t *testing.T) {
	other, far := quotes(), quotes()
	other.Name, far.Namespace = "offers", "b"
	r := newRig(t, quotes(), other, far)
	rows, written := r.keep()
	if want := strings.Join([]string{allCreated, allCreated, allCreated}, ", "); states(rows) != want || len(written) != 12 {
		t.Errorf("rows %s, written %q", states(rows), written)
	}
	r.set.Servers = []policies.Server{quotes()}
	r.abandon()
	rows, _ = r.keep()
	if len(rows) != 6 || rows[4].Name != "offers" || rows[4].Namespace != "a" || rows[5].Namespace != "b" || rows[5].Name != "quotes" {
		t.Errorf("rows %+v; want those of a/quotes and the Deployments of a/offers and b/quotes", rows)
	}
}

// TestDeletion: the Deployment first, the Service last, and in steps.
func TestDeletion(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.set.Servers = nil
	r.abandon()
	rows, written := r.keep()
	if states(rows) != "Deployment deleted" || !slices.Equal(written, []string{"delete deployments quotes"}) {
		t.Errorf("first %s, written %q", states(rows), written)
	}
	rows, written = r.keep()
	want := []string{"delete poddisruptionbudgets quotes", "delete configmaps quotes-model-config", "delete services quotes"}
	if states(rows) != "PodDisruptionBudget deleted, ConfigMap deleted, Service deleted" || !slices.Equal(written, want) {
		t.Errorf("then %s, written %q", states(rows), written)
	}
	if rows, written := r.keep(); len(rows)+len(written) > 0 {
		t.Errorf("at the end %s, written %q", states(rows), written)
	}
}

// TestReplacedDocument: one that is deleted and made again within the grace costs its server nothing, and
// the grace begins anew each time.
func TestReplacedDocument(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	for range 3 {
		r.set.Servers = nil
		r.keep()
		r.now = r.now.Add(deletionGrace - time.Second)
		if rows, written := r.keep(); len(rows)+len(written) > 0 {
			t.Fatalf("gone for less than the grace: %s, written %q", states(rows), written)
		}
		r.set.Servers = []policies.Server{quotes()}
		r.keep()
		r.now = r.now.Add(time.Second)
	}
}

// TestDrainIsWaitedFor: while the Deployment goes, nothing else does.
func TestDrainIsWaitedFor(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	d := r.deployment()
	d.DeletionTimestamp, d.Finalizers = &metav1.Time{Time: noon}, []string{"foregroundDeletion"}
	if err := r.client.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("deployments"), d, "a"); err != nil {
		t.Fatal(err)
	}
	r.set.Servers = nil
	r.abandon()
	rows, written := r.keep()
	if len(written) > 0 || states(rows) != "Deployment deleted" || !strings.Contains(rows[0].Detail, "finish") {
		t.Errorf("%+v, written %q", rows, written)
	}
}

// TestDeletionAsksForTheVeryObject: with the UID that was read, and pods before their Deployment.
func TestDeletionAsksForTheVeryObject(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	r.set.Servers = nil
	r.abandon()
	r.keep()
	for _, a := range r.client.Actions() {
		if d, ok := a.(interface{ GetDeleteOptions() metav1.DeleteOptions }); ok {
			o := d.GetDeleteOptions()
			if o.Preconditions == nil || o.Preconditions.UID == nil || o.PropagationPolicy == nil || *o.PropagationPolicy != metav1.DeletePropagationForeground {
				t.Errorf("deleted with %+v", o)
			}
		}
	}
}

func TestBadDocumentsProtect(t *testing.T) {
	for name, tt := range map[string]struct {
		bad       policies.Bad
		protected bool
	}{
		"of its name":                 {policies.Bad{Kind: "InferenceServer", Name: "quotes"}, true},
		"without a name":              {policies.Bad{Kind: "InferenceServer"}, true},
		"nothing of it could be read": {policies.Bad{}, true},
		"its name, of unknown kind":   {policies.Bad{Name: "quotes"}, true},
		"of another name":             {policies.Bad{Kind: "InferenceServer", Name: "offers"}, false},
		"of another kind":             {policies.Bad{Kind: "Policy", Name: "quotes"}, false},
	} {
		r := newRig(t, quotes())
		r.keep()
		r.set = policies.Set{Bad: []policies.Bad{tt.bad}}
		r.abandon()
		if _, written := r.keep(); (len(written) == 0) != tt.protected {
			t.Errorf("%s: written %q, protected should be %v", name, written, tt.protected)
		}
	}
}

// TestAutoscaler: replicas that an autoscaler sets are left, also before it has set them for the first time.
func TestAutoscaler(t *testing.T) {
	s := quotes()
	s.Replicas = 2
	r := newRig(t, s)
	r.keep()
	r.owners = []fleet.Owner{{Field: "replicas", Kind: "HorizontalPodAutoscaler", Name: "hpa"}}
	r.keep()
	if n := *r.deployment().Spec.Replicas; n != 2 {
		t.Errorf("before the autoscaler has scaled there are %d replicas, want 2 as before", n)
	}
	r.merge("deployments", "quotes", `{"spec":{"replicas":7}}`)
	for range 2 {
		rows, _ := r.keep()
		if got := row(t, rows, "Deployment"); *r.deployment().Spec.Replicas != 7 || got.State == optimizer.Refused {
			t.Errorf("%d replicas, %+v; want the autoscaler's 7", *r.deployment().Spec.Replicas, got)
		}
	}
	rows, written := r.keep()
	if got := row(t, rows, "Deployment"); len(written) > 0 || got.State != optimizer.AsAsked || got.Detail != "its replicas are left to HorizontalPodAutoscaler hpa" {
		t.Errorf("settled: %+v, written %q", got, written)
	}
	r.owners = nil
	r.keep()
	if n := *r.deployment().Spec.Replicas; n != 2 {
		t.Errorf("without the autoscaler there are %d replicas, want the document's 2", n)
	}
}

// TestObjects: what the objects must have, read from them as JSON.
func TestObjects(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	text, _ := json.Marshal(r.deployment().Spec)
	for _, want := range []string{
		`"image":"m:1"`, `"--model=valuation"`, `"--model-version=v1"`, `"--config=/etc/model-config/model_config.json"`, `"--batch-size=1"`, `"--max-queue-delay=5ms"`,
		`"requests":{"cpu":"50m","memory":"64Mi"}`, `"limits":{"cpu":"1","memory":"256Mi"}`, `"runAsNonRoot":true`, `"readOnlyRootFilesystem":true`,
		`"allowPrivilegeEscalation":false`, `"drop":["ALL"]`, `"seccompProfile":{"type":"RuntimeDefault"}`, `"automountServiceAccountToken":false`,
		`"terminationGracePeriodSeconds":30`, `"maxUnavailable":0`, `"prometheus.io/scrape":"true"`, `"prometheus.io/port":"8080"`,
		`"configMap":{"name":"quotes-model-config"}`, `"topologyKey":"topology.kubernetes.io/zone"`, `"path":"/v2/health/ready"`, `"path":"/v2/health/live"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Deployment has no %s:\n%s", want, text)
		}
	}
	if d := r.deployment(); !maps.Equal(d.Spec.Selector.MatchLabels, map[string]string{policies.ServerLabel: "quotes"}) || d.Labels[policies.ClassLabel] != "online" {
		t.Errorf("selector %v, labels %v", d.Spec.Selector, d.Labels)
	}
}
