package kube

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

var _ optimizer.Cluster = (*Cluster)(nil)

// same fails unless got and want are equal; it shows them as JSON.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, _ := json.MarshalIndent(got, "", " ")
	w, _ := json.MarshalIndent(want, "", " ")
	t.Errorf("%s: got\n%s\nwant\n%s", what, g, w)
}

func observe(t *testing.T, objects ...runtime.Object) fleet.Snapshot {
	t.Helper()
	s, err := start(t, fake.NewClientset(objects...)).Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObserveArticle(t *testing.T) {
	const gi = int64(1) << 30
	server := fleet.Container{
		Name: "model-server", Image: "proptechusa/recommendation-model:v2.1.0", Role: fleet.Main,
		Requests: fleet.Resources{MilliCPU: 500, Memory: gi}, Limits: fleet.Resources{MilliCPU: 1000, Memory: 2 * gi},
	}
	asked := fleet.PodShape{Containers: []fleet.Container{server}}
	server.Requests.MilliCPU = 250
	resized := fleet.PodShape{Containers: []fleet.Container{server}}

	synctest.Test(t, func(t *testing.T) {
		s := observe(t, objects(t, "testdata/article.yaml")...)
		same(t, "workloads", s.Workloads, []fleet.Workload{{
			Ref:      fleet.Deployment("ml-production", "recommendation-model"),
			UID:      "deployment-1",
			Labels:   map[string]string{"app": "recommendation-model", "version": "v2.1.0"},
			Template: asked,
			Pods: []fleet.Pod{
				{Name: "recommendation-model-7d9-a", UID: "pod-a", Node: "spot-1", Created: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), Shape: resized,
					Resize: fleet.Resize{State: fleet.ResizeInProgress}},
				{Name: "recommendation-model-7d9-b", UID: "pod-b", Node: "spot-1", Ready: true, Created: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC), Shape: asked},
			},
			Replicas: 3,
			Capacity: fleet.Spot,
			Owners: []fleet.Owner{
				{Field: "replicas", Kind: "HorizontalPodAutoscaler", Name: "model-hpa"},
				{Field: "requests", Kind: "HorizontalPodAutoscaler", Name: "model-hpa"},
			},
			Autoscaler:   fleet.Autoscaler{Name: "model-hpa", Min: 2, Max: 20, CPUPercent: 70, Others: true},
			TolerateSpot: true,
			SpotNodes:    []string{"spot-1"},
		}})
		same(t, "nodes", s.Nodes, []fleet.Node{{
			Name: "spot-1", InstanceType: "m5.4xlarge", Region: "us-east-1", Zone: "us-east-1a", Capacity: fleet.Spot, Ready: true,
			Allocatable: fleet.Resources{MilliCPU: 15890, Memory: 60 * gi, Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1}}},
		}})
		same(t, "bounds", s.Bounds, []fleet.Bounds{{
			Namespace: "ml-production",
			Labels:    map[string]string{"trimtab.dev/policy": "recommend"},
			LimitRanges: []fleet.LimitRange{{
				Name: "ml-models-limits", Type: "Container",
				Default:        fleet.Resources{MilliCPU: 1000, Memory: 2 * gi},
				DefaultRequest: fleet.Resources{MilliCPU: 500, Memory: gi},
			}},
			Quotas: []fleet.Quota{{Name: "ml-models-quota", Items: []fleet.QuotaItem{
				{Name: "limits.cpu", Hard: 100_000, Used: 3000, Tracked: true},
				{Name: "limits.memory", Hard: 200 * gi, Used: 6 * gi, Tracked: true},
				{Name: "limits.nvidia.com/gpu", Hard: 10}, // Kubernetes does not enforce it
				{Name: "pods", Hard: 100, Used: 3, Tracked: true},
				{Name: "requests.cpu", Hard: 50_000, Used: 1500, Tracked: true},
				{Name: "requests.memory", Hard: 100 * gi, Used: 3 * gi, Tracked: true},
				{Name: "requests.nvidia.com/gpu", Hard: 10, Tracked: true},
			}}},
		}})
		if s.At.Location() != time.UTC || s.At.IsZero() {
			t.Errorf("at %v", s.At)
		}
	})
}

// A pod belongs to the workload at the top of its chain of UIDs, and to no other.
func TestOwnership(t *testing.T) {
	by := func(kind, uid string) []metav1.OwnerReference {
		yes := true
		return []metav1.OwnerReference{{Kind: kind, Name: "m", UID: types.UID(uid), Controller: &yes}}
	}
	meta := func(ns, name, uid string, owners []metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(uid), OwnerReferences: owners}
	}
	pod := func(ns, name string, owners []metav1.OwnerReference) runtime.Object {
		return &corev1.Pod{ObjectMeta: meta(ns, name, name, owners)}
	}
	leaving := pod("a", "leaving", by("ReplicaSet", "rs")).(*corev1.Pod)
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"test/hold"}
	done := pod("a", "done", by("StatefulSet", "sts")).(*corev1.Pod)
	done.Status.Phase = corev1.PodSucceeded
	synctest.Test(t, func(t *testing.T) {
		s := observe(t,
			&corev1.Namespace{ObjectMeta: meta("", "a", "", nil)},
			&corev1.Namespace{ObjectMeta: meta("", "kube-system", "", nil)},
			&appsv1.Deployment{ObjectMeta: meta("a", "m", "deploy", nil)},
			&appsv1.StatefulSet{ObjectMeta: meta("a", "m", "sts", nil)},
			&appsv1.Deployment{ObjectMeta: meta("kube-system", "dns", "dns", nil)},
			&appsv1.ReplicaSet{ObjectMeta: meta("a", "m-1", "rs", by("Deployment", "deploy"))},
			&appsv1.ReplicaSet{ObjectMeta: meta("a", "m-0", "rs-0", by("Deployment", "deploy-deleted-before"))},
			&appsv1.ReplicaSet{ObjectMeta: meta("a", "bare", "rs-bare", nil)},
			pod("a", "m-1-x", by("ReplicaSet", "rs")),
			pod("a", "m-0-x", by("ReplicaSet", "rs-0")),
			pod("a", "bare-x", by("ReplicaSet", "rs-bare")),
			pod("a", "unknown-x", by("ReplicaSet", "rs-not-seen-yet")),
			pod("a", "m-0", by("StatefulSet", "sts")),
			pod("a", "job-x", by("Job", "job")),
			pod("a", "lonely", nil),
			leaving, done,
		)
		got := map[string][]string{}
		for _, w := range s.Workloads {
			got[w.Ref.String()] = nil
			for _, p := range w.Pods {
				got[w.Ref.String()] = append(got[w.Ref.String()], p.Name)
			}
		}
		same(t, "pods", got, map[string][]string{"a/m": {"m-1-x"}, "StatefulSet a/m": {"m-0"}})
		same(t, "bounds", s.Bounds, []fleet.Bounds{{Namespace: "a"}})
		if !slices.IsSortedFunc(s.Workloads, func(a, b fleet.Workload) int { return a.Ref.Compare(b.Ref) }) {
			t.Error("workloads are not sorted")
		}
	})
}

// TestOthers: of a node's pods those count as others that no observed workload has and that still hold their room: a
// DaemonSet's, a bare one, one of a Deployment in kube-system, which is not observed, and one on its way out.
func TestOthers(t *testing.T) {
	yes := true
	pod := func(ns, name, node, kind, uid, cpu string, phase corev1.PodPhase) runtime.Object {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(name)}}
		if kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "m", UID: types.UID(uid), Controller: &yes}}
		}
		asks := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("1Gi")}
		p.Spec = corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: asks}}}}
		p.Status.Phase = phase
		return p
	}
	set := func(ns, name string) runtime.Object {
		return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(ns + name)}}
	}
	leaving := pod("a", "known-1", "n1", "StatefulSet", "aknown", "500m", corev1.PodRunning).(*corev1.Pod)
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"test/hold"}
	synctest.Test(t, func(t *testing.T) {
		s := observe(t, leaving, set("a", "known"), set("kube-system", "dns"),
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}},
			pod("a", "known-0", "n1", "StatefulSet", "aknown", "500m", corev1.PodRunning),
			pod("a", "agent", "n1", "DaemonSet", "agents", "100m", corev1.PodRunning),
			pod("a", "bare", "n1", "", "", "200m", corev1.PodPending),
			pod("kube-system", "dns-0", "n1", "StatefulSet", "kube-systemdns", "50m", corev1.PodRunning),
			pod("a", "job", "n1", "Job", "job", "4", corev1.PodSucceeded),
			pod("a", "waits", "", "Job", "job", "8", corev1.PodPending),
		)
		same(t, "n1", s.Nodes[0].Others, fleet.Resources{MilliCPU: 850, Memory: 4 << 30})
		same(t, "n2", s.Nodes[1].Others, fleet.Resources{})
	})
}

func TestCommonCapacity(t *testing.T) {
	bought := map[string]fleet.Capacity{"s1": fleet.Spot, "s2": fleet.Spot, "od": fleet.OnDemand, "x": ""}
	for _, row := range []struct {
		name  string
		nodes []string
		want  fleet.Capacity
	}{
		{"no pods", nil, ""},
		{"all spot", []string{"s1", "s2"}, fleet.Spot},
		{"mixed", []string{"s1", "od"}, ""},
		{"one unknown", []string{"s1", "x"}, ""},
		{"the first unknown", []string{"x", "s1"}, ""},
		{"one on a node that went", []string{"od", "gone"}, ""},
		{"one waits for a node", []string{"od", ""}, fleet.OnDemand},
		{"all wait", []string{""}, ""},
	} {
		var pods []fleet.Pod
		for _, n := range row.nodes {
			pods = append(pods, fleet.Pod{Node: n})
		}
		if got := common(pods, bought); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// What nodeSelector and required node affinity leave out is told by name, worked out once for each constraint, and
// nothing is told of pods that may be anywhere.
func TestBarredNodes(t *testing.T) {
	node := func(name, zone string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}
	}
	deployment := func(name string, spec corev1.PodSpec) *appsv1.Deployment {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name)}}
		d.Spec.Template.Spec = spec
		return d
	}
	in := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"z1"}}}}
	near := corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{in}},
	}}}
	zoned := corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelTopologyZone: "z1"}}
	synctest.Test(t, func(t *testing.T) {
		s := observe(t, node("n3", "z2"), node("n1", "z1"), node("n2", "z2"),
			deployment("anywhere", corev1.PodSpec{}), deployment("near", near), deployment("z1", zoned), deployment("z1-too", zoned))
		got := map[string][]string{}
		for _, w := range s.Workloads {
			got[w.Ref.String()] = w.Barred
		}
		same(t, "barred nodes", got, map[string][]string{"a/anywhere": nil, "a/near": {"n1"}, "a/z1": {"n2", "n3"}, "a/z1-too": {"n2", "n3"}})
	})
}

// Only Deployments are ever moved, so only they are told where to.
func TestSpotNodesOfDeployments(t *testing.T) {
	node := func(name, zone string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"karpenter.sh/capacity-type": "spot", corev1.LabelTopologyZone: zone}}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		return n
	}
	meta := func(kind string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "a", Name: "m", UID: types.UID(kind)}
	}
	zoned := &appsv1.Deployment{ObjectMeta: meta("zoned")}
	zoned.Name = "zoned"
	zoned.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: "z2"}
	cordoned := node("s3", "z2")
	cordoned.Spec.Unschedulable = true
	synctest.Test(t, func(t *testing.T) {
		s := observe(t, node("s2", "z2"), node("s1", "z1"), cordoned, zoned,
			&appsv1.Deployment{ObjectMeta: meta("deploy")}, &appsv1.StatefulSet{ObjectMeta: meta("sts")})
		got := map[string][]string{}
		for _, w := range s.Workloads {
			got[w.Ref.String()] = w.SpotNodes
		}
		same(t, "spot nodes", got, map[string][]string{"a/m": {"s1", "s2"}, "a/zoned": {"s2"}, "StatefulSet a/m": nil})
	})
}
