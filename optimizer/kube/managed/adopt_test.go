package managed

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

const allAdopted = "ConfigMap repaired, Service repaired, PodDisruptionBudget repaired, Deployment repaired"

// theirs is a server that a team runs without Trimtab, which is what the document of the tests asks for:
// its names, ports and labels are its own, and a Secret is mounted.
func theirs() *appsv1.Deployment {
	no, replicas := false, int32(1)
	labels := map[string]string{"app": "q"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "quotes", Labels: map[string]string{"app": "q", "team": "ml", "app.kubernetes.io/managed-by": "Helm"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{restartedAnnotation: "yesterday", "note": "x"}},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken: &no,
					Containers: []corev1.Container{
						{Name: "proxy", Image: "proxy:2"},
						{
							Name: "server", Image: "m:1", Args: []string{"serve", "--config", "/etc/q/settings.json", "--model=valuation", "--model-version", "v1"},
							Env:   []corev1.EnvVar{{Name: "BATCH_SIZE", Value: "64"}},
							Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
							Resources: corev1.ResourceRequirements{
								Requests: quantities(quotes().Requests), Limits: quantities(quotes().Limits),
							},
							VolumeMounts: []corev1.VolumeMount{{Name: "keys", MountPath: "/etc/keys"}, {Name: "settings", MountPath: "/etc/q/"}},
						},
					},
					Volumes: []corev1.Volume{
						{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys"}}},
						{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "q-settings"}}}},
					},
				},
			},
		},
	}
}

// adopting is the document of the tests, for a server that is there.
func adopting() policies.Server {
	s := quotes()
	s.Adopt = true
	return s
}

// create makes an object as a person with kubectl.
func (r *rig) create(o any) {
	r.Helper()
	var err error
	by := metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}
	switch o := o.(type) {
	case *appsv1.Deployment:
		_, err = r.client.AppsV1().Deployments("a").Create(r.Context(), o, by)
	case *corev1.ConfigMap:
		_, err = r.client.CoreV1().ConfigMaps("a").Create(r.Context(), o, by)
	case *corev1.Service:
		_, err = r.client.CoreV1().Services("a").Create(r.Context(), o, by)
	case *policyv1.PodDisruptionBudget:
		_, err = r.client.PolicyV1().PodDisruptionBudgets("a").Create(r.Context(), o, by)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// newFound is a rig with a server of a team that is there, whole.
func newFound(t *testing.T, d *appsv1.Deployment) *rig {
	r := newRig(t, adopting())
	r.create(d)
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "a", Name: name} }
	r.create(&corev1.ConfigMap{ObjectMeta: at("q-settings"), Data: map[string]string{
		"settings.json": `{"slo": "100ms", "batch_size": 32, "generation": 7, "limit": 12345678901234567890}`, "other.txt": "x",
	}})
	r.create(&corev1.Service{ObjectMeta: at("quotes"), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": "q"},
		Ports: []corev1.ServicePort{{Name: "api", Port: 9000, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("web")}},
	}})
	one := intstr.FromInt32(1)
	r.create(&policyv1.PodDisruptionBudget{ObjectMeta: at("quotes"), Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "q"}},
	}})
	return r
}

// specs are what the objects of a server say, but for their metadata.
func (r *rig) specs() map[string]string {
	r.Helper()
	out := map[string]string{}
	for _, k := range r.keeper.kinds[1:4] {
		l, err := k.get(r.Context(), "a", "quotes")
		if err != nil {
			r.Fatal(err)
		}
		out[k.name] = string(raw(l.tree["spec"]))
	}
	return out
}

// theirSettings is the file of the adopted ConfigMap.
func (r *rig) theirSettings() map[string]any {
	r.Helper()
	m, err := r.client.CoreV1().ConfigMaps("a").Get(r.Context(), "q-settings", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(m.Data["settings.json"]), &out); err != nil {
		r.Fatalf("%v: %s", err, m.Data["settings.json"])
	}
	out["other.txt"] = m.Data["other.txt"]
	return out
}

// TestAdoption: nothing but labels, annotations and the way pods are replaced changes of what was there, so
// that no pod is replaced; the settings are tuned beside what else they say; its pods are found.
func TestAdoption(t *testing.T) {
	r := newFound(t, theirs())
	was := r.specs()
	r.pod("quotes", "q-1", "10.0.0.1")
	if _, err := r.client.CoreV1().Pods("a").Patch(t.Context(), "q-1", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"app":"q","trimtab.dev/inference-server":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	rows, written := r.keep()
	if states(rows) != allAdopted || !slices.Contains(written, "patch pods q-1") {
		t.Errorf("%+v, written %q", rows, written)
	}
	if got := row(t, rows, kindDeployment); got.Detail != "adopted as it was found" || row(t, rows, kindConfigMap).Name != "q-settings" {
		t.Errorf("rows %+v", rows)
	}
	now := r.specs()
	strategy := `"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0},"type":"RollingUpdate"},`
	now[kindDeployment] = strings.Replace(now[kindDeployment], strategy, `"strategy":{},`, 1)
	if !maps.Equal(was, now) {
		t.Errorf("changed by adoption:\n%v\n%v", was, now)
	}
	want := map[string]any{"slo": "100ms", "batch_size": 1.0, "max_delay": "5ms", "generation": 8.0, "limit": 12345678901234567890.0, "other.txt": "x"}
	if got := r.theirSettings(); !reflect.DeepEqual(got, want) {
		t.Errorf("settings %v, want %v", got, want)
	}
	if d := r.deployment(); d.Labels["team"] != "ml" || d.Labels["app.kubernetes.io/managed-by"] != "Helm" || d.Labels[policies.ServerLabel] != "quotes" {
		t.Errorf("labels %v", d.Labels)
	}
	for range 2 {
		if rows, written := r.keep(); !slices.Equal(written, []string{"patch pods q-1"}) { // which has not taken up the settings
			t.Errorf("adopted, and written %q: %+v", written, rows)
		}
	}
	if m, _ := r.client.CoreV1().ConfigMaps("a").List(t.Context(), metav1.ListOptions{}); len(m.Items) != 1 {
		t.Errorf("there are %d ConfigMaps, want theirs alone", len(m.Items))
	}
}

// TestAdoptedIsKept: whatever is edited or deleted by hand of an adopted server is as it was found after the
// next pass, also where two of its objects went at once.
func TestAdoptedIsKept(t *testing.T) {
	for name, spoil := range map[string]func(*rig){
		"image edited": func(r *rig) {
			r.merge("deployments", "quotes", `{"spec":{"template":{"spec":{"containers":[{"name":"server","image":"x"}]}}}}`)
		},
		"another container edited": func(r *rig) {
			r.merge("deployments", "quotes", `{"spec":{"template":{"spec":{"containers":[{"name":"proxy","image":"x"}]}}}}`)
		},
		"ports edited":    func(r *rig) { r.merge("services", "quotes", `{"spec":{"selector":{"app":"x"}}}`) },
		"budget edited":   func(r *rig) { r.merge("poddisruptionbudgets", "quotes", `{"spec":{"minAvailable":5}}`) },
		"Deployment gone": func(r *rig) { r.remove("deployments", "quotes") },
		"Service gone":    func(r *rig) { r.remove("services", "quotes") },
		"budget gone":     func(r *rig) { r.remove("poddisruptionbudgets", "quotes") },
		"settings gone":   func(r *rig) { r.remove("configmaps", "q-settings") },
		"both notes gone": func(r *rig) { r.remove("configmaps", "q-settings"); r.remove("services", "quotes") },
		"Deployment and settings gone": func(r *rig) {
			r.remove("configmaps", "q-settings")
			r.remove("deployments", "quotes")
		},
	} {
		r := newFound(t, theirs())
		r.keep()
		was := r.specs()
		spoil(r)
		r.restart()
		r.keep()
		now := r.specs()
		restarted := strings.NewReplacer(`"`+restartedAnnotation+`":"yesterday",`, "", `"note":"x","`+restartedAnnotation+`":"yesterday"`, `"note":"x"`)
		for kind := range was {
			if restarted.Replace(now[kind]) != restarted.Replace(was[kind]) {
				t.Errorf("%s: %s is\n%s, not\n%s", name, kind, now[kind], was[kind])
			}
		}
		if got := r.theirSettings(); got["batch_size"] != 1.0 || got["slo"] != "100ms" {
			t.Errorf("%s: settings %v", name, got)
		}
		if rows, written := r.keep(); len(written) > 0 {
			t.Errorf("%s: then written %q: %+v", name, written, rows)
		}
	}
}

// TestNotesAreNoWayIn: who may write ConfigMaps and Services, and no Deployments, cannot have other pods made
// by what is noted there.
func TestNotesAreNoWayIn(t *testing.T) {
	r := newFound(t, theirs())
	r.keep()
	evil := func(resource, name, note string, l live) {
		text := strings.ReplaceAll(l.meta.GetAnnotations()[note], "proxy:2", "evil")
		if !strings.Contains(text, "evil") {
			t.Fatalf("%s notes nothing: %s", resource, text)
		}
		r.merge(resource, name, string(raw(tree{"metadata": tree{"annotations": tree{note: text}}})))
	}
	m, _ := r.keeper.kinds[0].get(t.Context(), "a", "q-settings")
	s, _ := r.keeper.kinds[1].get(t.Context(), "a", "quotes")
	evil("configmaps", "q-settings", recordAnnotation, m)
	evil("services", "quotes", adoptedAnnotation, s)
	r.restart()
	r.keep()
	if got := r.deployment().Spec.Template.Spec.Containers[0].Image; got != "proxy:2" {
		t.Errorf("it runs %s", got)
	}
	r.remove("deployments", "quotes")
	r.keep()
	if got := r.deployment().Spec.Template.Spec.Containers[0].Image; got != "proxy:2" {
		t.Errorf("the notes were not put right: it runs %s", got)
	}
}

// TestAdoptedIsRestarted: kubectl rollout restart is left to do its work.
func TestAdoptedIsRestarted(t *testing.T) {
	r := newFound(t, theirs())
	r.keep()
	r.merge("deployments", "quotes", `{"spec":{"template":{"metadata":{"annotations":{"`+restartedAnnotation+`":"today"}}}}}`)
	if rows, written := r.keep(); len(written) > 0 || r.deployment().Spec.Template.Annotations[restartedAnnotation] != "today" {
		t.Errorf("%+v, written %q", rows, written)
	}
}

// TestAdoptedSettingsOfOthers: what a team changes in its settings, beside what is tuned, stays, and the
// settings get a generation of their own.
func TestAdoptedSettingsOfOthers(t *testing.T) {
	r := newFound(t, theirs())
	r.keep()
	r.merge("configmaps", "q-settings", `{"data":{"settings.json":"{\"slo\":\"80ms\",\"batch_size\":64,\"routes\":[]}","more.txt":"y"}}`)
	r.keep()
	got := r.theirSettings()
	if got["slo"] != "80ms" || got["batch_size"] != 1.0 || got["generation"] != 9.0 || got["routes"] == nil || got["limit"] != nil {
		t.Errorf("settings %v", got)
	}
	r.remove("configmaps", "q-settings")
	r.keep()
	if got := r.theirSettings(); got["slo"] != "80ms" || got["routes"] == nil {
		t.Errorf("after it was deleted: %v", got)
	}
	r.merge("configmaps", "q-settings", `{"data":{"settings.json":"no JSON"}}`)
	r.keep()
	if got := r.theirSettings(); got["slo"] != "80ms" {
		t.Errorf("after it was spoiled: %v", got)
	}
}

// TestAdoptedIsChanged: a document that asks for something else changes that alone, as a rolling update, and
// what it no longer asks for goes, though others wrote it first.
func TestAdoptedIsChanged(t *testing.T) {
	r := newFound(t, theirs())
	r.keep()
	s := &r.set.Servers[0]
	s.Image, s.Model, s.Version, s.Requests.MilliCPU, s.Limits.MilliCPU = "m:2", "mlp", "v2", 200, 0
	rows, _ := r.keep()
	if got := row(t, rows, kindDeployment); got.State != optimizer.Repaired {
		t.Errorf("row %+v", got)
	}
	want := theirs().Spec.Template
	c := &want.Spec.Containers[1]
	c.Image, c.Args[3], c.Args[5] = "m:2", "--model=mlp", "v2"
	c.Resources.Requests, c.Resources.Limits = quantities(fleet.Resources{MilliCPU: 200, Memory: 64 << 20}), quantities(fleet.Resources{Memory: 256 << 20})
	delete(want.Annotations, restartedAnnotation)
	got := r.deployment().Spec.Template
	delete(got.Annotations, restartedAnnotation)
	if string(raw(got)) != string(raw(want)) {
		t.Errorf("the template is\n%s, want\n%s", raw(got), raw(want))
	}
	if rows, written := r.keep(); len(written) > 0 {
		t.Errorf("then written %q: %+v", written, rows)
	}
	if d := r.deployment(); d.Labels["team"] != "ml" {
		t.Errorf("labels %v", d.Labels)
	}
}

// TestNotAdopted: what cannot be taken over without a restart is refused, with what to do, and nothing is
// written.
func TestNotAdopted(t *testing.T) {
	server := func(d *appsv1.Deployment) *corev1.Container { return &d.Spec.Template.Spec.Containers[1] }
	for name, tt := range map[string]struct {
		change func(*appsv1.Deployment)
		says   string
	}{
		"no flag":         {func(d *appsv1.Deployment) { server(d).Args = []string{"serve"} }, "none of its containers runs modelserver serve with --config"},
		"another program": {func(d *appsv1.Deployment) { server(d).Args[0] = "generate" }, "none of its containers runs modelserver serve"},
		"not on a volume": {func(d *appsv1.Deployment) { server(d).Args[2] = "/etc/x.json" }, "--config /etc/x.json is not on a ConfigMap volume; put it on one"},
		"on a Secret":     {func(d *appsv1.Deployment) { server(d).Args[2] = "/etc/keys/x.json" }, "is not on a ConfigMap volume"},
		"by subPath":      {func(d *appsv1.Deployment) { server(d).VolumeMounts[1].SubPath = "x" }, "mount the whole volume"},
		"another port":    {func(d *appsv1.Deployment) { server(d).Args = append(server(d).Args, "--port=9000") }, "listens on port 9000"},
		"another address": {func(d *appsv1.Deployment) { server(d).Args = append(server(d).Args, "--listen=:9000") }, "listens on port 9000"},
		"selector by rules": {func(d *appsv1.Deployment) {
			d.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}}
		}, "only matchLabels"},
		"another image":   {func(d *appsv1.Deployment) { server(d).Image = "m:0" }, "containers[server].image is m:0, not m:1; write into the document what it runs"},
		"another version": {func(d *appsv1.Deployment) { server(d).Args[5] = "v0" }, "containers[server].args is"},
		"more replicas":   {func(d *appsv1.Deployment) { n := int32(3); d.Spec.Replicas = &n }, "spec.replicas is 3, not 1"},
		"another request": {func(d *appsv1.Deployment) {
			server(d).Resources.Requests = quantities(fleet.Resources{MilliCPU: 70, Memory: 64 << 20})
		}, "requests.cpu is 70m, not 50m"},
		"a device": {func(d *appsv1.Deployment) { server(d).Resources.Limits["example.com/x"] = resource.MustParse("1") }, ""},
		"another spelling": {func(d *appsv1.Deployment) {
			server(d).Resources.Limits[corev1.ResourceMemory] = resource.MustParse("268435456")
		}, ""},
		"no items of volume": {func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Volumes[1].ConfigMap.Items = []corev1.KeyToPath{{Key: "a", Path: "b"}}
		}, "has no item settings.json"},
		"items of the volume": {func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Volumes[1].ConfigMap.Items = []corev1.KeyToPath{{Key: "settings.json", Path: "settings.json"}}
		}, ""},
	} {
		d := theirs()
		tt.change(d)
		r := newFound(t, d)
		rows, written := r.keep()
		if tt.says == "" {
			if states(rows) != allAdopted {
				t.Errorf("%s: %+v", name, rows)
			}
			continue
		}
		if len(written) > 0 || states(rows) != "Deployment refused" || !strings.Contains(rows[0].Detail, "it cannot be adopted: ") || !strings.Contains(rows[0].Detail, tt.says) {
			t.Errorf("%s: %+v, written %q; want %q", name, rows, written, tt.says)
		}
	}
}

// TestSettingsNotAdopted: settings that cannot be kept are refused.
func TestSettingsNotAdopted(t *testing.T) {
	for says, change := range map[string]string{
		"no JSON object; mend it first": `{"data":{"settings.json":"[]"}}`,
		"is immutable":                  `{"immutable":true}`,
		"more than the 65536":           `{"data":{"settings.json":"{\"a\":\"` + strings.Repeat("x", mostAdopted) + `\"}"}}`,
	} {
		r := newFound(t, theirs())
		r.merge("configmaps", "q-settings", change)
		rows, written := r.keep()
		if len(written) > 0 || states(rows) != "ConfigMap refused" || !strings.Contains(rows[0].Detail, says) {
			t.Errorf("%+v, written %q; want %q", rows, written, says)
		}
	}
}

// TestLimitThatNobodyAskedFor: a limit that is there and not in the document would go with a restart.
func TestLimitThatNobodyAskedFor(t *testing.T) {
	r := newFound(t, theirs())
	r.set.Servers[0].Limits.MilliCPU = 0
	rows, written := r.keep()
	if len(written) > 0 || !strings.Contains(rows[0].Detail, "a request or a limit that the document does not ask for") {
		t.Errorf("%+v, written %q", rows, written)
	}
}

// TestAdoptionIsAskedFor: without adopt, or with somebody's autoscaler on it, nothing is written; in
// recommend mode it is shown.
func TestAdoptionIsAskedFor(t *testing.T) {
	r := newFound(t, theirs())
	r.set.Servers[0].Adopt = false
	if rows, written := r.keep(); len(written) > 0 || !strings.Contains(rows[0].Detail, "write adopt: true to take it over") {
		t.Errorf("%+v, written %q", rows, written)
	}
	r.set.Servers[0].Adopt = true
	r.owners = []fleet.Owner{{Field: "replicas", Kind: kindAutoscaler, Name: "theirs"}}
	if rows, written := r.keep(); len(written) > 0 || !strings.Contains(rows[0].Detail, "HorizontalPodAutoscaler theirs scales it; delete that and write autoscale") {
		t.Errorf("%+v, written %q", rows, written)
	}
	r.owners = nil
	r.set.Servers[0].Mode = policies.Recommend
	rows, written := r.keep()
	if len(written) > 0 || states(rows) != strings.ReplaceAll(allAdopted, "repaired", "differs") || row(t, rows, kindDeployment).Detail != "it is there and would be adopted as it is" {
		t.Errorf("%+v, written %q", rows, written)
	}
}

// TestAdoptedOfOthers: who keeps it too is named, at adoption and after.
func TestAdoptedOfOthers(t *testing.T) {
	d := theirs()
	d.Annotations = map[string]string{"meta.helm.sh/release-name": "q"}
	r := newFound(t, d)
	for range 2 {
		rows, _ := r.keep()
		if got := row(t, rows, kindDeployment); !strings.Contains(got.Detail, "Helm release q keeps it too") {
			t.Errorf("%+v", got)
		}
	}
	yes := true
	for want, o := range map[string]metav1.ObjectMeta{
		"":                            {},
		"Argo CD's application shop":  {Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:a/quotes"}},
		"Flux's Kustomization base":   {Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "base"}},
		"InferenceService valuations": {OwnerReferences: []metav1.OwnerReference{{Kind: "InferenceService", Name: "valuations", Controller: &yes}}},
	} {
		if got := keptBy(&o); got != want {
			t.Errorf("kept by %q, want %q", got, want)
		}
	}
}

// TestServiceAlone: a Service that leads to other pods is not taken for a server that is not there.
func TestServiceAlone(t *testing.T) {
	r := newFound(t, theirs())
	r.remove("deployments", "quotes")
	rows, written := r.keep()
	if len(written) > 0 || !strings.Contains(rows[0].Detail, "there is no Deployment of its name to adopt with it") {
		t.Errorf("%+v, written %q", rows, written)
	}
}

// TestOneConfigMapForTwo: settings that two servers share are those of the first, and the second is refused.
func TestOneConfigMapForTwo(t *testing.T) {
	r := newFound(t, theirs())
	d, other := theirs(), adopting()
	d.Name, other.Name = "offers", "offers"
	r.create(d)
	r.set.Servers = append(r.set.Servers, other)
	for range 2 {
		rows, _ := r.keep()
		if got := rows[len(rows)-1]; len(rows) != 5 || got.State != optimizer.Refused || !strings.Contains(got.Detail, "it is that of InferenceServer quotes; give each server its own") {
			t.Errorf("%+v", rows)
		}
	}
}

// TestAdoptedAutoscaler scales by the container that serves, whatever its name.
func TestAdoptedAutoscaler(t *testing.T) {
	r := newFound(t, theirs())
	r.set.Servers[0].Autoscale = policies.Autoscale{Min: 1, Max: 3}
	r.keep()
	if got := r.hpa().Spec.Metrics[0].ContainerResource.Container; got != "server" {
		t.Errorf("it scales by container %s", got)
	}
}

// TestAdoptedGoes: with its document all goes but the ConfigMap with others' things in it.
func TestAdoptedGoes(t *testing.T) {
	r := newFound(t, theirs())
	r.keep()
	r.set.Servers = nil
	r.abandon()
	r.keep()
	rows, written := r.keep()
	want := []string{"delete poddisruptionbudgets quotes", "patch configmaps q-settings", "delete services quotes"}
	if !slices.Equal(written, want) || !strings.Contains(row(t, rows, kindConfigMap).Detail, "it stays, as there is more in it") {
		t.Errorf("%+v, written %q", rows, written)
	}
	if rows, written := r.keep(); len(rows)+len(written) > 0 {
		t.Errorf("at the end %+v, written %q", rows, written)
	}
}

// TestRemembered: what a note cannot be is as if there were none.
func TestRemembered(t *testing.T) {
	for text, ok := range map[string]bool{
		"": false, "{": false, "null": true, "{}": true, `{"template":{}}`: false, `{"settings":{}}`: false, `{"settings":[],"configMap":"a","key":"b"}`: false,
		`{"settings":{},"configMap":"a","key":"b"}`: true, `{"service":5}`: false, `{"template":{},"selector":{"a":"b"},"container":"c","configMap":"a","key":"b"}`: true,
	} {
		o := live{meta: &metav1.ObjectMeta{Annotations: map[string]string{adoptedAnnotation: text}}}
		if got := readAdopted(o); (got != nil) != ok {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// TestProtectedAlready: pods under two budgets cannot be evicted, so that no second one is made.
func TestProtectedAlready(t *testing.T) {
	r := newFound(t, theirs())
	policy := r.client.PolicyV1().PodDisruptionBudgets("a")
	if err := policy.Delete(t.Context(), "quotes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	one := intstr.FromInt32(1)
	r.create(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web-pdb"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "q"}},
	}})
	rows, _ := r.keep()
	if got := row(t, rows, kindBudget); got.State != optimizer.AsAsked || got.Detail != "PodDisruptionBudget web-pdb protects its pods already" {
		t.Errorf("row %+v", got)
	}
	if all, err := policy.List(t.Context(), metav1.ListOptions{}); err != nil || len(all.Items) != 1 {
		t.Errorf("%d budgets, %v", len(all.Items), err)
	}
}
