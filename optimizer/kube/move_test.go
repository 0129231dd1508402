package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

const karpenter = "karpenter.sh/capacity-type"

// spotNode has 1 core, 2 GiB and 10 pods of room, Karpenter's label and the taint spot=true:NoSchedule.
func spotNode(name string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{karpenter: "spot"}}}
	n.Spec.Taints = []corev1.Taint{{Key: "spot", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.Allocatable = list("cpu", "1", "memory", "2Gi", "pods", "10")
	return n
}

func onDemandNode() *corev1.Node {
	n := spotNode("od-1")
	n.Labels, n.Spec.Taints = map[string]string{karpenter: "on-demand"}, nil
	return n
}

// clusterOf is objects with od-1 and nodes.
func clusterOf(objects []runtime.Object, nodes ...*corev1.Node) []runtime.Object {
	out := append(objects, onDemandNode())
	for _, n := range nodes {
		out = append(out, n)
	}
	return out
}

var toSpot = fleet.Target{Capacity: fleet.Spot}

// The patch of the plainest move, to the byte.
const (
	moveNote  = `{\"tolerations\":[{\"key\":\"spot\",\"operator\":\"Equal\",\"value\":\"true\",\"effect\":\"NoSchedule\"}],\"preferred\":[{\"weight\":100,\"preference\":{\"matchExpressions\":[{\"key\":\"karpenter.sh/capacity-type\",\"operator\":\"In\",\"values\":[\"spot\"]}]}}],\"made\":\"affinity\"}`
	movePatch = `deployments model: [{"op":"test","path":"/metadata/uid","value":"uid-model"},` +
		`{"op":"test","path":"/metadata/annotations","value":null},` +
		`{"op":"add","path":"/metadata/annotations","value":{"trimtab.dev/spot":"` + moveNote + `"}},` +
		`{"op":"test","path":"/spec/template/spec/tolerations","value":null},` +
		`{"op":"add","path":"/spec/template/spec/tolerations","value":[{"key":"spot","operator":"Equal","value":"true","effect":"NoSchedule"}]},` +
		`{"op":"test","path":"/spec/template/spec/affinity","value":null},` +
		`{"op":"add","path":"/spec/template/spec/affinity","value":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"preference":{"matchExpressions":[{"key":"karpenter.sh/capacity-type","operator":"In","values":["spot"]}]}}]}}}]`
	moveBack = `deployments model: [{"op":"test","path":"/metadata/uid","value":"uid-model"},` +
		`{"op":"test","path":"/metadata/annotations/trimtab.dev~1spot","value":"` + moveNote + `"},` +
		`{"op":"remove","path":"/metadata/annotations/trimtab.dev~1spot"},` +
		`{"op":"test","path":"/spec/template/spec/tolerations","value":[{"key":"spot","operator":"Equal","value":"true","effect":"NoSchedule"}]},` +
		`{"op":"remove","path":"/spec/template/spec/tolerations"},` +
		`{"op":"test","path":"/spec/template/spec/affinity","value":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"preference":{"matchExpressions":[{"key":"karpenter.sh/capacity-type","operator":"In","values":["spot"]}]}}]}}},` +
		`{"op":"remove","path":"/spec/template/spec/affinity"}]`
)

func TestMoveAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"))...)
		forth := r.change(toSpot)
		for range 2 {
			if err := r.Apply(t.Context(), forth); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "patches", r.patches(), []string{movePatch})

		back := forth
		back.From, back.To = forth.To, forth.From
		for range 2 {
			if err := r.Apply(t.Context(), back); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "patches", r.patches(), []string{movePatch, moveBack})
	})
}

// A spot node that comes while a move is under way does not make a second one of it.
func TestMoveIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"))...)
		forth := r.change(toSpot)
		if err := r.Apply(t.Context(), forth); err != nil {
			t.Fatal(err)
		}
		other := spotNode("s-2")
		other.Spec.Taints[0].Value = "very"
		if err := r.client.Tracker().Add(other); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		forth.From.SpotNodes = []string{"s-1", "s-2"}
		if err := r.Apply(t.Context(), forth); err != nil {
			t.Fatal(err)
		}
		same(t, "patches", r.patches(), []string{movePatch})
	})
}

// Who asks for spot by itself is not moved again, though no node has room.
func TestMoveOfWhatAsksForSpot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, node := deployment(2), spotNode("s-1")
		node.Status.Allocatable = nil
		d.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		d.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 7, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: karpenter, Operator: "In", Values: []string{"spot"}}}}}}}}
		r := newRig(t, clusterOf(running(d, "model-1"), node)...)
		if err := r.Apply(t.Context(), r.change(toSpot)); err != nil {
			t.Error(err)
		}
		same(t, "patches", r.patches(), []string(nil))
	})
}

// live is the Deployment as it is now.
func (r rig) live(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d, err := r.client.AppsV1().Deployments("a").Get(t.Context(), "model", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Whatever a template says of placement, a move adds what it lacks, is made once, and its way back leaves the
// very same template, so that the old ReplicaSet is taken up again.
func TestMoveLeavesNoTrace(t *testing.T) {
	term := func(key, value string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}}}
	}
	prefer := func(terms ...corev1.NodeSelectorTerm) *corev1.NodeAffinity {
		a := &corev1.NodeAffinity{}
		for i, term := range terms {
			a.PreferredDuringSchedulingIgnoredDuringExecution = append(a.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.PreferredSchedulingTerm{Weight: int32(i + 1), Preference: term})
		}
		return a
	}
	requires := prefer(term("zone", "b"))
	requires.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term("arch", "amd64")}}
	for _, row := range []struct {
		name  string
		spec  func(*corev1.PodSpec)
		tol   int // tolerations in the moved template
		terms int // preferences
	}{
		{"nothing", func(*corev1.PodSpec) {}, 1, 1},
		{"another toleration", func(s *corev1.PodSpec) { s.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: "Exists"}} }, 2, 1},
		{"it tolerates spot", func(s *corev1.PodSpec) { s.Tolerations = []corev1.Toleration{{Key: "spot", Operator: "Exists"}} }, 1, 1},
		{"it prefers spot", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{NodeAffinity: prefer(term(karpenter, "spot"))} }, 1, 1},
		{"an empty affinity", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{} }, 1, 1},
		{"an empty node affinity", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}} }, 1, 1},
		{"pods apart", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}} }, 1, 1},
		{"another preference", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{NodeAffinity: prefer(term("zone", "a"))} }, 1, 2},
		{"required and preferred", func(s *corev1.PodSpec) { s.Affinity = &corev1.Affinity{NodeAffinity: requires.DeepCopy()} }, 1, 2},
	} {
		bubble(t, row.name, func(t *testing.T) {
			d, node := deployment(2), spotNode("s-1")
			row.spec(&d.Spec.Template.Spec)
			was := d.Spec.Template.DeepCopy()
			other := onDemandNode()
			node.Labels["arch"], other.Labels["arch"] = "amd64", "amd64"
			r := newRig(t, append(running(d, "model-1"), node, other)...)
			forth := r.change(toSpot)
			back := forth
			back.From, back.To = forth.To, forth.From
			if err := r.Apply(t.Context(), forth); err != nil {
				t.Fatal(err)
			}
			spec := r.live(t).Spec.Template.Spec
			if len(spec.Tolerations) != row.tol || len(preferred(&spec)) != row.terms {
				t.Errorf("moved: %d tolerations, %d preferences; want %d, %d", len(spec.Tolerations), len(preferred(&spec)), row.tol, row.terms)
			}
			p := readPlacement(&spec)
			for _, n := range r.cluster.nodes.all() {
				if !p.allows(n) {
					t.Errorf("the moved template does not allow %s", n.Name)
				}
			}
			if err := r.Apply(t.Context(), back); err != nil {
				t.Fatal(err)
			}
			if now := r.live(t); !apiequality.Semantic.DeepEqual(now.Spec.Template, *was) || len(now.Annotations) != 0 {
				text, _ := json.Marshal(now.Spec.Template.Spec)
				t.Errorf("taken back: %s, %v", text, now.Annotations)
			}
			if n := len(r.patches()); n != 2 {
				t.Errorf("%d patches, want 2", n)
			}
		})
	}
}

// What others add to the template in between stays when the move is taken back.
func TestMoveBackLeavesWhatOthersDid(t *testing.T) {
	zone := corev1.PreferredSchedulingTerm{Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "Exists"}}}}
	prefers := &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{zone}}
	gpu := corev1.Toleration{Key: "gpu", Operator: "Exists"}
	for _, row := range []struct {
		name   string
		theirs func(*corev1.PodSpec)
		want   corev1.PodSpec
	}{
		{"a toleration", func(s *corev1.PodSpec) { s.Tolerations = append([]corev1.Toleration{gpu}, s.Tolerations...) },
			corev1.PodSpec{Tolerations: []corev1.Toleration{gpu}}},
		{"another affinity", func(s *corev1.PodSpec) { s.Affinity.PodAffinity = &corev1.PodAffinity{} },
			corev1.PodSpec{Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}}}},
		{"a preference", func(s *corev1.PodSpec) {
			s.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(preferred(s), zone)
		}, corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: prefers}}},
	} {
		bubble(t, row.name, func(t *testing.T) {
			r := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"))...)
			forth := r.change(toSpot)
			if err := r.Apply(t.Context(), forth); err != nil {
				t.Fatal(err)
			}
			d := r.live(t)
			row.theirs(&d.Spec.Template.Spec)
			r.update(t, d)
			back := forth
			back.From, back.To = forth.To, forth.From
			if err := r.Apply(t.Context(), back); err != nil {
				t.Fatal(err)
			}
			spec := r.live(t).Spec.Template.Spec
			same(t, "placement", corev1.PodSpec{Tolerations: spec.Tolerations, Affinity: spec.Affinity}, row.want)
		})
	}
}

func (r rig) update(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	if _, err := r.client.AppsV1().Deployments("a").Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.client.ClearActions()
}

// Who takes the move out of the template by hand is not overruled, neither forth nor back.
func TestMoveTakenOutByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"))...)
		forth := r.change(toSpot)
		if err := r.Apply(t.Context(), forth); err != nil {
			t.Fatal(err)
		}
		d := r.live(t)
		d.Spec.Template.Spec.Tolerations, d.Spec.Template.Spec.Affinity = nil, nil
		r.update(t, d)
		contains(t, r.Apply(t.Context(), forth), "somebody took that out of its pod template", "remove its annotation trimtab.dev/spot")
		back := forth
		back.From, back.To = forth.To, forth.From
		if err := r.Apply(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		same(t, "patches", r.patches(), []string(nil))

		d.Annotations[SpotAnnotation] = "{"
		r.update(t, d)
		contains(t, r.Apply(t.Context(), forth), "read its annotation trimtab.dev/spot")
	})
}

func TestMoveTakesSignsAndTaintsFromTheNodes(t *testing.T) {
	gke, kops := spotNode("gke"), spotNode("kops")
	gke.Labels = map[string]string{"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}
	gke.Spec.Taints = []corev1.Taint{{Key: "cloud.google.com/gke-spot", Value: "true", Effect: "NoSchedule"}, {Key: "spot", Effect: "PreferNoSchedule"}}
	kops.Labels = map[string]string{"node-role.kubernetes.io/spot-worker": ""}
	kops.Spec.Taints = []corev1.Taint{{Key: "spot", Value: "x", Effect: "NoExecute"}, {Key: "spot", Value: "true", Effect: "NoSchedule"}}
	kops.Spec.Taints = append(kops.Spec.Taints, corev1.Taint{Key: "team", Value: "b", Effect: "PreferNoSchedule"}) // none of the move's business
	old := spotNode("old")
	old.Labels = map[string]string{"cloud.google.com/gke-provisioning": "preemptible"}
	gpu := spotNode("gpu") // not for these pods, whatever it says
	gpu.Labels = map[string]string{"spotinst.io/node-lifecycle": "spot"}
	gpu.Spec.Taints = append(gpu.Spec.Taints, corev1.Taint{Key: "nvidia.com/gpu", Effect: "NoSchedule"})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"), spotNode("s-2"), gke, kops, old, gpu)...)
		if err := r.Apply(t.Context(), r.change(toSpot)); err != nil {
			t.Fatal(err)
		}
		var says []string
		spec := r.live(t).Spec.Template.Spec
		for _, o := range spec.Tolerations {
			says = append(says, fmt.Sprintf("%s %s %s %s", o.Key, o.Operator, o.Value, o.Effect))
		}
		for _, p := range preferred(&spec) {
			e := p.Preference.MatchExpressions[0]
			says = append(says, fmt.Sprintf("%d %s %s %v", p.Weight, e.Key, e.Operator, e.Values))
		}
		same(t, "additions", says, []string{
			"cloud.google.com/gke-spot Equal true NoSchedule", "spot Equal  PreferNoSchedule", "spot Equal x NoExecute", "spot Equal true NoSchedule",
			"100 cloud.google.com/gke-provisioning In [preemptible]", "100 cloud.google.com/gke-spot In [true]", "100 karpenter.sh/capacity-type In [spot]", "100 node-role.kubernetes.io/spot-worker Exists []",
		})
	})
}

func TestMoveNeedsRoom(t *testing.T) {
	on := func(node, name string, milli string, do func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: name, UID: "uid-" + metav1.ObjectMeta{Name: name}.UID}}
		p.Spec.NodeName = node
		p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: list("cpu", milli)}}}
		if do != nil {
			do(p)
		}
		return p
	}
	now := metav1.Now()
	var crowd []*corev1.Pod
	for i := range 10 {
		crowd = append(crowd, on("s-1", fmt.Sprintf("p-%d", i), "1m", nil))
	}
	resizedTo := func(milli string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Resources: &corev1.ResourceRequirements{Requests: list("cpu", milli)}}}
		}
	}
	nodes := []*corev1.Node{spotNode("s-1")}
	for _, row := range []struct {
		name   string
		nodes  []*corev1.Node
		pods   []*corev1.Pod
		target fleet.Target
		says   string // empty: moved
	}{
		{"500m are left, and 500m are asked for", nodes, []*corev1.Pod{on("s-1", "p", "500m", nil)}, toSpot, ""},
		{"499m are left", nodes, []*corev1.Pod{on("s-1", "p", "501m", nil)}, toSpot,
			"no ready spot node has room for one pod, which asks for cpu 500m, memory 1Gi: s-1 has cpu 499m, memory 2Gi and 9 pods left"},
		{"a finished pod takes nothing", nodes, []*corev1.Pod{on("s-1", "p", "800m", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}, toSpot, ""},
		{"one that goes is still there", nodes, []*corev1.Pod{on("s-1", "p", "800m", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, []string{"x/y"} })}, toSpot, "no ready spot node has room"},
		{"one that grows counts as grown", nodes, []*corev1.Pod{on("s-1", "p", "800m", resizedTo("100m"))}, toSpot, "no ready spot node has room"},
		{"one that shrinks counts as it was", nodes, []*corev1.Pod{on("s-1", "p", "100m", resizedTo("800m"))}, toSpot, "no ready spot node has room"},
		{"as many pods as it runs", nodes, crowd, toSpot, "s-1 has cpu 990m, memory 2Gi and 0 pods left"},
		{"one more fits", nodes, crowd[1:], toSpot, ""},
		{"one of them has ended", nodes, append(crowd[1:len(crowd):len(crowd)], on("s-1", "x", "1m", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })), toSpot, ""},
		{"the second node has room", []*corev1.Node{spotNode("s-1"), spotNode("s-2")}, []*corev1.Pod{on("s-1", "p", "1", nil)}, toSpot, ""},
		{"requests in place come after the move", nodes, []*corev1.Pod{on("s-1", "p", "800m", nil)},
			fleet.Target{Requests: size(20, 148).Requests, Capacity: fleet.Spot}, "which asks for cpu 500m"},
		{"four full nodes", []*corev1.Node{spotNode("s-1"), spotNode("s-2"), spotNode("s-3"), spotNode("s-4")},
			[]*corev1.Pod{on("s-1", "p", "900m", nil), on("s-2", "q", "800m", nil), on("s-3", "r", "700m", nil), on("s-4", "s", "600m", nil)}, toSpot,
			": s-4 has cpu 400m, memory 2Gi and 9 pods left; s-3 has cpu 300m, memory 2Gi and 9 pods left; s-2 has cpu 200m, memory 2Gi and 9 pods left; 1 more nodes no more than these"},
	} {
		bubble(t, row.name, func(t *testing.T) {
			objects := clusterOf(running(deployment(2), "model-1"), row.nodes...)
			for _, p := range row.pods {
				objects = append(objects, p.DeepCopy())
			}
			r := newRig(t, objects...)
			err := r.Apply(t.Context(), r.change(row.target))
			if row.says == "" && err == nil {
				same(t, "patches", r.patches(), []string{movePatch})
				return
			}
			if row.says == "" {
				t.Fatal(err)
			}
			contains(t, err, row.says)
			if kindOf(err) != "refused" || len(r.patches()) != 0 {
				t.Errorf("%s, %v", kindOf(err), r.patches())
			}
		})
	}
}

// A template that states limits only gets pods whose requests are these.
func TestMoveNeedsRoomForLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, node := deployment(2), spotNode("s-1")
		d.Spec.Template.Spec.Containers[0].Resources.Requests = nil
		node.Status.Allocatable = list("cpu", "999m", "memory", "2Gi", "pods", "10")
		r := newRig(t, clusterOf(running(d, "model-1"), node)...)
		contains(t, r.Apply(t.Context(), r.change(toSpot)), "asks for cpu 1, memory 2Gi")
	})
}

// A move together with new requests in the template needs room for the new size only.
func TestMoveWithTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := spotNode("s-1")
		node.Status.Allocatable = list("cpu", "20m", "memory", "148Mi", "pods", "1")
		r := newRig(t, clusterOf(running(deployment(2), "model-1"), node)...)
		c := r.change(fleet.Target{Requests: size(20, 148).Requests, Capacity: fleet.Spot})
		c.Apply = policies.InTemplate
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := r.patches(); len(got) != 1 || !strings.Contains(got[0], `"value":"20m"`) || !strings.Contains(got[0], "trimtab.dev~1spot") && !strings.Contains(got[0], "trimtab.dev/spot") {
			t.Errorf("not one patch of both: %v", got)
		}
	})
}

func TestMoveRefused(t *testing.T) {
	selector := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{karpenter: "on-demand"}
	}
	required := func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: karpenter, Operator: "In", Values: []string{"on-demand"}}}}}}}}
	}
	for _, row := range []struct {
		name   string
		do     func(*appsv1.Deployment)
		change func(*optimizer.Change)
		says   string
	}{
		{"nodeSelector", selector, nil, "asks for other capacity by nodeSelector karpenter.sh/capacity-type: remove that"},
		{"required affinity", required, nil, "asks for other capacity by required node affinity karpenter.sh/capacity-type"},
		{"Recreate", func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType }, nil, "set spec.strategy.type: RollingUpdate"},
		{"paused", func(d *appsv1.Deployment) { d.Spec.Paused = true }, nil, "set spec.paused: false"},
		{"the nodes went", nil, func(c *optimizer.Change) { c.From.SpotNodes = []string{"old-1", "old-2"} },
			"no spot node that its nodeSelector and affinity allow is ready and schedulable (was: old-1, old-2)"},
		{"another capacity", nil, func(c *optimizer.Change) { c.To.Capacity = "reserved" }, `nothing is known of capacity "reserved"`},
	} {
		bubble(t, row.name, func(t *testing.T) {
			d := deployment(2)
			if row.do != nil {
				row.do(d)
			}
			r := newRig(t, clusterOf(running(d, "model-1"), spotNode("s-1"))...)
			c := r.change(fleet.Target{Requests: size(20, 148).Requests, Capacity: fleet.Spot})
			if row.change != nil {
				row.change(&c)
			}
			contains(t, r.Apply(t.Context(), c), row.says)
			same(t, "patches", r.patches(), []string(nil)) // not the requests either: it is one change
		})
	}
}

// Nodes are only known when the caches are.
func TestMoveBeforeSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := newRig(t, clusterOf(running(deployment(2), "model-1"), spotNode("s-1"))...)
		r := newBareRig(deployment(2), nil)
		contains(t, r.Apply(t.Context(), seen.change(toSpot)), "look for room on spot nodes", "not everything was read yet")
	})
}
