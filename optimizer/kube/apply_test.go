package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// What is written, to the byte.
const (
	resizeModel1 = `pods/resize model-1: [{"op":"test","path":"/metadata/uid","value":"uid-model-1"},` +
		`{"op":"test","path":"/spec/containers/0/name","value":"server"},` +
		`{"op":"test","path":"/spec/containers/0/resources/requests/cpu","value":"500m"},` +
		`{"op":"replace","path":"/spec/containers/0/resources/requests/cpu","value":"20m"},` +
		`{"op":"test","path":"/spec/containers/0/resources/requests/memory","value":"1Gi"},` +
		`{"op":"replace","path":"/spec/containers/0/resources/requests/memory","value":"148Mi"}]`
	threeToTwo = `deployments model: [{"op":"test","path":"/metadata/uid","value":"uid-model"},` +
		`{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":2}]`
	sizeTemplate = `deployments model: [{"op":"test","path":"/metadata/uid","value":"uid-model"},` +
		`{"op":"test","path":"/spec/template/spec/containers/0/name","value":"server"},` +
		`{"op":"test","path":"/spec/template/spec/containers/0/resources/requests/cpu","value":"500m"},` +
		`{"op":"replace","path":"/spec/template/spec/containers/0/resources/requests/cpu","value":"20m"},` +
		`{"op":"test","path":"/spec/template/spec/containers/0/resources/requests/memory","value":"1Gi"},` +
		`{"op":"replace","path":"/spec/template/spec/containers/0/resources/requests/memory","value":"148Mi"}]`
)

func resizePod(name string) string { return strings.ReplaceAll(resizeModel1, "model-1", name) }

// joint is a change of requests and replicas.
func joint(replicas int32) fleet.Target {
	t := size(20, 148)
	t.Replicas = replicas
	return t
}

func TestApplyWritesWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, running(deployment(3), "model-1", "model-2", "model-3")...)
		c := r.change(joint(2))
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := []string{resizeModel1, resizePod("model-2"), resizePod("model-3"), threeToTwo}
		same(t, "patches", r.patches(), want)
		for range 2 {
			if err := r.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "patches after more calls", r.patches(), want)
	})
}

func TestApplyTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, running(deployment(3), "model-1")...)
		c := r.change(size(20, 148))
		c.Apply = policies.InTemplate
		for range 2 {
			if err := r.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "patches", r.patches(), []string{sizeTemplate})
	})
}

// A template that would be rolled out with lost requests is not written; what it already has needs no rollout.
func TestApplyTemplateLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(3)
		d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		r := newRig(t, running(d, "model-1")...)
		c := r.change(size(20, 148))
		c.Apply = policies.InTemplate
		contains(t, r.Apply(t.Context(), c), "strategy is Recreate", "set spec.strategy.type: RollingUpdate")
		same(t, "patches", r.patches(), []string(nil))

		c.From.Template, c.To.Template = c.To.Template, c.From.Template // as if the template had it
		c.To = c.From
		if err := r.Apply(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

// state changes the objects between Observe and Apply, as others would.
type state func(d *appsv1.Deployment, pods map[string]*corev1.Pod)

func cpu(pod, value string) state {
	return func(_ *appsv1.Deployment, pods map[string]*corev1.Pod) {
		pods[pod].Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = list("cpu", value)["cpu"]
	}
}

func scaled(n int32) state {
	return func(d *appsv1.Deployment, _ map[string]*corev1.Pod) { d.Spec.Replicas = &n }
}

func TestApplyMeetsAnotherState(t *testing.T) {
	pod := func(name string, do func(*corev1.Pod)) state {
		return func(_ *appsv1.Deployment, pods map[string]*corev1.Pod) { do(pods[name]) }
	}
	later := func(name, milli string) state {
		return func(d *appsv1.Deployment, pods map[string]*corev1.Pod) {
			pods[name] = podOf(d, name)
			pods[name].Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = list("cpu", milli)["cpu"]
		}
	}
	now := metav1.Now()
	for _, row := range []struct {
		name  string
		state state
		only  []string // Change.Pods
		kind  string   // of error
		says  string
		want  []string
	}{
		{name: "as observed", state: scaled(3), want: []string{resizeModel1, resizePod("model-2"), threeToTwo}},
		{name: "one pod has it", state: func(d *appsv1.Deployment, pods map[string]*corev1.Pod) {
			pods["model-1"].Spec.Containers[0].Resources.Requests = list("cpu", "0.02", "memory", "148Mi")
		}, want: []string{resizePod("model-2"), threeToTwo}},
		{name: "the replicas are there", state: scaled(2), want: []string{resizeModel1, resizePod("model-2")}},
		{name: "somebody scaled it", state: scaled(5), kind: "moved", says: "replicas: expected 3, found 5"},
		{name: "somebody resized a pod", state: cpu("model-2", "300m"), kind: "moved",
			says: "cpu request of container server in pod model-2: expected 500m, found 300m"},
		{name: "only some pods", state: scaled(3), only: []string{"model-2", "not-there"}, want: []string{resizePod("model-2"), threeToTwo}},
		{name: "somebody resized a pod that is not meant", state: cpu("model-1", "300m"), only: []string{"model-2"},
			want: []string{resizePod("model-2"), threeToTwo}},
		{name: "a later pod, as the template asks", state: later("model-9", "500m"), want: []string{resizeModel1, resizePod("model-2"), resizePod("model-9"), threeToTwo}},
		{name: "a later pod of another template", state: later("model-9", "700m"), kind: "moved",
			says: "cpu request of container server in pod model-9: expected 500m or 20m, found 700m"},
		{name: "a pod ends", state: pod("model-1", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, []string{"x/y"} }), want: []string{resizePod("model-2"), threeToTwo}},
		{name: "a pod has failed", state: pod("model-1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), want: []string{resizePod("model-2"), threeToTwo}},
		{name: "a pod waits for a node", state: pod("model-1", func(p *corev1.Pod) { p.Spec.NodeName = "" }), want: []string{resizePod("model-2"), threeToTwo}},
		{name: "a pod of another owner", state: pod("model-1", func(p *corev1.Pod) { p.OwnerReferences = owner("ReplicaSet", "model-rs", "uid-of-another") }),
			want: []string{resizePod("model-2"), threeToTwo}},
		{name: "deleted and made again", state: func(d *appsv1.Deployment, _ map[string]*corev1.Pod) { d.UID = "uid-2" }, kind: "gone", says: "another Deployment has its name now"},
		{name: "being deleted", state: func(d *appsv1.Deployment, _ map[string]*corev1.Pod) {
			d.DeletionTimestamp, d.Finalizers = &now, []string{"x/y"}
		}, kind: "gone"},
		{name: "deleted", state: func(d *appsv1.Deployment, _ map[string]*corev1.Pod) { d.Name = "renamed" }, kind: "gone"},
	} {
		bubble(t, row.name, func(t *testing.T) {
			c := newRig(t, running(deployment(3), "model-1", "model-2")...).change(joint(2))
			c.Pods = row.only
			d, pods := deployment(3), map[string]*corev1.Pod{}
			for _, name := range []string{"model-1", "model-2"} {
				pods[name] = podOf(d, name)
			}
			row.state(d, pods)
			d.ResourceVersion = ""
			r := newBareRig(d, pods)
			err := r.Apply(t.Context(), c)
			if kindOf(err) != row.kind || row.says != "" && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v; want %q, %q", err, row.kind, row.says)
			}
			same(t, "patches", r.patches(), row.want)
		})
	}
}

// The API server fills in what a template leaves out, so a later pod cannot be compared with it there.
func TestApplyToSilentTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(3)
		delete(d.Spec.Template.Spec.Containers[0].Resources.Requests, corev1.ResourceMemory)
		first, second := podOf(d, "model-1"), podOf(d, "model-2")
		for _, p := range []*corev1.Pod{first, second} {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = list("memory", "2Gi")["memory"]
		}
		c := newRig(t, d, replicaSetOf(d), first).change(size(500, 148))
		r := newBareRig(d, map[string]*corev1.Pod{"model-1": first, "model-2": second})
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		memory := func(pod string) string {
			return `pods/resize ` + pod + `: [{"op":"test","path":"/metadata/uid","value":"uid-` + pod + `"},` +
				`{"op":"test","path":"/spec/containers/0/name","value":"server"},` +
				`{"op":"test","path":"/spec/containers/0/resources/requests/memory","value":"2Gi"},` +
				`{"op":"replace","path":"/spec/containers/0/resources/requests/memory","value":"148Mi"}]`
		}
		same(t, "patches", r.patches(), []string{memory("model-1"), memory("model-2")})
	})
}

// Where a container has no requests at all, or lacks one, they are added, and on the way back removed; that there
// are none is tested.
func TestApplyAddsAndRemovesRequests(t *testing.T) {
	const path = "/spec/containers/0/resources/requests"
	for _, row := range []struct {
		name   string
		has    corev1.ResourceList
		memory int64 // MiB
		want   string
	}{
		{"none", nil, 148, `{"op":"test","path":"` + path + `","value":null},{"op":"add","path":"` + path + `","value":{"cpu":"20m","memory":"148Mi"}}`},
		{"cpu", list("cpu", "20m"), 148, `{"op":"test","path":"` + path + `/memory","value":null},{"op":"add","path":"` + path + `/memory","value":"148Mi"}`},
		{"back to cpu alone", list("cpu", "20m", "memory", "148Mi"), 0, `{"op":"test","path":"` + path + `/memory","value":"148Mi"},{"op":"remove","path":"` + path + `/memory"}`},
	} {
		bubble(t, row.name, func(t *testing.T) {
			d := deployment(1)
			d.Spec.Template.Spec.Containers[0].Resources.Requests = row.has
			r := newRig(t, running(d, "model-1")...)
			if err := r.Apply(t.Context(), r.change(size(20, row.memory))); err != nil {
				t.Fatal(err)
			}
			same(t, "patches", r.patches(), []string{`pods/resize model-1: [{"op":"test","path":"/metadata/uid","value":"uid-model-1"},` +
				`{"op":"test","path":"/spec/containers/0/name","value":"server"},` + row.want + `]`})
		})
	}
}

// A container that a webhook put into a later pod is none of the change's business; a sidecar of the
// workload is found where it is.
func TestApplyOtherContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		always := corev1.ContainerRestartPolicyAlways
		proxy := corev1.Container{Name: "proxy", RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: list("cpu", "100m")}}
		d := deployment(1)
		first := podOf(d, "model-1")
		first.Spec.InitContainers = []corev1.Container{proxy}
		c := newRig(t, d, replicaSetOf(d), first).change(fleet.Target{Requests: []fleet.ContainerRequests{{Container: "proxy", Requests: fleet.Resources{MilliCPU: 50}}}})
		later := podOf(d, "model-2")
		later.Spec.InitContainers = []corev1.Container{*proxy.DeepCopy()}
		later.Spec.InitContainers[0].Resources.Requests = list("cpu", "150m")
		r := newBareRig(d, map[string]*corev1.Pod{"model-1": first, "model-2": later})
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		same(t, "patches", r.patches(), []string{`pods/resize model-1: [{"op":"test","path":"/metadata/uid","value":"uid-model-1"},` +
			`{"op":"test","path":"/spec/initContainers/0/name","value":"proxy"},` +
			`{"op":"test","path":"/spec/initContainers/0/resources/requests/cpu","value":"100m"},` +
			`{"op":"replace","path":"/spec/initContainers/0/resources/requests/cpu","value":"50m"}]`})
	})
}

// A revert finds pods as the change left them, and later ones as the template makes them.
func TestApplyWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment(2)
		first, second := podOf(d, "model-1"), podOf(d, "model-2")
		first.Spec.Containers[0].Resources.Requests = list("cpu", "300m", "memory", "1Gi") // resized before
		forth := newRig(t, d, replicaSetOf(d), first).change(size(20, 1024))
		back := forth
		back.From, back.To = forth.To, forth.From
		first.Spec.Containers[0].Resources.Requests = list("cpu", "20m", "memory", "1Gi")
		r := newBareRig(d, map[string]*corev1.Pod{"model-1": first, "model-2": second})
		if err := r.Apply(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		to300 := func(pod, from string) string {
			return `pods/resize ` + pod + `: [{"op":"test","path":"/metadata/uid","value":"uid-` + pod + `"},{"op":"test","path":"/spec/containers/0/name","value":"server"},` +
				`{"op":"test","path":"/spec/containers/0/resources/requests/cpu","value":"` + from + `"},{"op":"replace","path":"/spec/containers/0/resources/requests/cpu","value":"300m"}]`
		}
		same(t, "patches", r.patches(), []string{to300("model-1", "20m"), to300("model-2", "500m")})
	})
}

// A refused pod stops neither the others nor what gives more room, only what relies on it.
func TestApplyRefusedPod(t *testing.T) {
	for _, row := range []struct {
		name     string
		replicas int32
		want     []string
	}{
		{"fewer replicas wait", 2, []string{resizeModel1, resizePod("model-2")}},
		{"more replicas do not", 4, []string{resizeModel1, resizePod("model-2"), strings.Replace(threeToTwo, `"value":2}`, `"value":4}`, 1)}},
	} {
		bubble(t, row.name, func(t *testing.T) {
			r := newRig(t, running(deployment(3), "model-1", "model-2")...)
			r.client.PrependReactor("patch", "pods", func(a k8stesting.Action) (bool, runtime.Object, error) {
				if a.(k8stesting.PatchAction).GetName() != "model-1" {
					return false, nil, nil
				}
				return true, nil, errors.New(`pods "model-1" is forbidden: exceeded quota: ml-models-quota, requested: requests.cpu=1, used: requests.cpu=50, limited: requests.cpu=50`)
			})
			err := r.Apply(t.Context(), r.change(joint(row.replicas)))
			contains(t, err, "resize pod model-1: refused by ResourceQuota ml-models-quota: ", "requested: requests.cpu=1, used: requests.cpu=50")
			if kindOf(err) != "refused" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q", kindOf(err), err)
			}
			same(t, "patches", r.patches(), row.want)
		})
	}
}

// A pod that goes between list and patch needs nothing; one that is changed there is named with its field.
func TestApplyRaces(t *testing.T) {
	race := func(t *testing.T, err error, meanwhile func(r rig)) (rig, error) {
		r := newRig(t, running(deployment(1), "model-1")...)
		r.client.PrependReactor("patch", "pods", func(k8stesting.Action) (bool, runtime.Object, error) {
			meanwhile(r)
			return true, nil, err
		})
		return r, r.Apply(t.Context(), r.change(size(20, 148)))
	}
	bubble(t, "gone", func(t *testing.T) {
		if _, err := race(t, notFound("pods", "model-1"), func(rig) {}); err != nil {
			t.Error(err)
		}
	})
	bubble(t, "moved", func(t *testing.T) {
		_, err := race(t, invalidPatch(), func(r rig) {
			p := podOf(deployment(1), "model-1")
			p.Spec.Containers[0].Resources.Requests = list("cpu", "250m", "memory", "1Gi")
			if err := r.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), p, "a"); err != nil {
				t.Error(err)
			}
		})
		contains(t, err, "cpu request of container server in pod model-1: expected 500m, found 250m")
		if kindOf(err) != "moved" {
			t.Error(err)
		}
	})
	bubble(t, "moved and back", func(t *testing.T) {
		_, err := race(t, invalidPatch(), func(rig) {})
		contains(t, err, "resize pod model-1: it changed between reading and writing")
		if kindOf(err) != "moved" {
			t.Error(err)
		}
	})
}

// However often the process dies, every object is written once and the end is the same.
func TestApplySurvivesDeath(t *testing.T) {
	all := []string{resizeModel1, resizePod("model-2"), resizePod("model-3"), threeToTwo}
	for lived := range len(all) + 1 {
		bubble(t, fmt.Sprint(lived), func(t *testing.T) {
			r := newRig(t, running(deployment(3), "model-1", "model-2", "model-3")...)
			ctx, die := context.WithCancel(t.Context())
			defer die()
			left := lived
			r.client.PrependReactor("patch", "*", func(k8stesting.Action) (bool, runtime.Object, error) {
				if left--; left < 0 && ctx.Err() == nil {
					die()
				}
				return left < 0, nil, context.Canceled
			})
			err := r.Apply(ctx, r.change(joint(2)))
			if (err == nil) != (lived == len(all)) {
				t.Errorf("lived for %d of %d writes: %v", lived, len(all), err)
			}
			r.client.ReactionChain = r.client.ReactionChain[1:]
			done := r.patches()[:lived]
			r.client.ClearActions()
			if err := r.Apply(t.Context(), r.change(joint(2))); err != nil {
				t.Error(err)
			}
			same(t, "patches", slices.Concat(done, r.patches()), all)
		})
	}
}

func TestApplyOnlyDeployments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, running(deployment(1), "model-1")...)
		c := r.change(size(20, 148))
		c.Ref.Kind = "StatefulSet"
		contains(t, r.Apply(t.Context(), c), "only Deployments", "StatefulSet a/model")
	})
}
