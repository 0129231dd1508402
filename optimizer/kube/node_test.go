package kube

import (
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The labels are as the providers' own documents and sources write them.
func TestCapacity(t *testing.T) {
	type labels = map[string]string
	for _, row := range []struct {
		name   string
		labels labels
		want   fleet.Capacity
	}{
		{"no label", nil, ""},
		{"labels of others", labels{"kubernetes.io/os": "linux", "team": "spot"}, ""},
		{"Karpenter spot", labels{"karpenter.sh/capacity-type": "spot"}, fleet.Spot},
		{"Karpenter on-demand", labels{"karpenter.sh/capacity-type": "on-demand"}, fleet.OnDemand},
		{"Karpenter reserved", labels{"karpenter.sh/capacity-type": "reserved"}, fleet.OnDemand},
		{"Karpenter, a value to come", labels{"karpenter.sh/capacity-type": "flex"}, ""},
		{"EKS spot", labels{"eks.amazonaws.com/capacityType": "SPOT"}, fleet.Spot},
		{"EKS on-demand", labels{"eks.amazonaws.com/capacityType": "ON_DEMAND"}, fleet.OnDemand},
		{"EKS capacity block", labels{"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, fleet.OnDemand},
		{"GKE spot", labels{"cloud.google.com/gke-nodepool": "p", "cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}, fleet.Spot},
		{"GKE preemptible", labels{"cloud.google.com/gke-nodepool": "p", "cloud.google.com/gke-preemptible": "true"}, fleet.Spot},
		{"GKE provisioning spot", labels{"cloud.google.com/gke-provisioning": "spot"}, fleet.Spot},
		{"GKE provisioning preemptible", labels{"cloud.google.com/gke-provisioning": "preemptible"}, fleet.Spot},
		{"GKE provisioning standard", labels{"cloud.google.com/gke-provisioning": "standard"}, fleet.OnDemand},
		{"GKE on-demand has no label", labels{"cloud.google.com/gke-nodepool": "p"}, fleet.OnDemand},
		{"AKS spot", labels{"kubernetes.azure.com/agentpool": "p", "kubernetes.azure.com/scalesetpriority": "spot"}, fleet.Spot},
		{"AKS on-demand has no label", labels{"kubernetes.azure.com/agentpool": "p"}, fleet.OnDemand},
		{"Karpenter for Azure, both labels", labels{"kubernetes.azure.com/scalesetpriority": "regular", "karpenter.sh/capacity-type": "on-demand"}, fleet.OnDemand},
		{"Karpenter for Azure, priority", labels{"kubernetes.azure.com/priority": "spot"}, fleet.Spot},
		{"kOps role", labels{"node-role.kubernetes.io/spot-worker": "true"}, fleet.Spot},
		{"kOps role without a value", labels{"node-role.kubernetes.io/spot-worker": ""}, fleet.Spot},
		{"self-managed spot", labels{"node.kubernetes.io/lifecycle": "spot"}, fleet.Spot},
		{"self-managed on-demand", labels{"node.kubernetes.io/lifecycle": "normal"}, fleet.OnDemand},
		{"CAST AI spot", labels{"scheduling.cast.ai/spot": "true"}, fleet.Spot},
		{"CAST AI fallback is on-demand", labels{"scheduling.cast.ai/spot": "true", "scheduling.cast.ai/spot-fallback": "true"}, fleet.OnDemand},
		{"CAST AI fallback on GKE", labels{"scheduling.cast.ai/spot": "true", "scheduling.cast.ai/spot-fallback": "true", "cloud.google.com/gke-nodepool": "p"}, fleet.OnDemand},
		{"Ocean spot", labels{"spotinst.io/node-lifecycle": "spot"}, fleet.Spot},
		{"Ocean on-demand", labels{"spotinst.io/node-lifecycle": "od"}, fleet.OnDemand},
		{"two that disagree", labels{"karpenter.sh/capacity-type": "spot", "spotinst.io/node-lifecycle": "od"}, ""},
	} {
		if got := capacity(row.labels); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestNode(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "kwok-1", Labels: map[string]string{
		"type":                             "kwok",
		"beta.kubernetes.io/instance-type": "old.large",
		"failure-domain.beta.kubernetes.io/region": "old-region",
		"failure-domain.beta.kubernetes.io/zone":   "old-zone",
		"topology.kubernetes.io/zone":              "new-zone",
		"nvidia.com/gpu.product":                   "Tesla-T4",
	}}}
	n.Spec.Taints = []corev1.Taint{{Key: "z", Effect: "NoExecute"}, {Key: "a", Value: "v", Effect: "NoSchedule"}}
	n.Spec.Unschedulable = true
	n.Status.Allocatable = list("cpu", "3920m", "memory", "1500m") // half a byte is not there
	want := fleet.Node{
		Name: "kwok-1", InstanceType: "old.large", Region: "old-region", Zone: "new-zone", GPUProduct: "Tesla-T4", Simulated: true, Unschedulable: true,
		Allocatable: fleet.Resources{MilliCPU: 3920, Memory: 1},
		Taints:      []fleet.Taint{{Key: "a", Value: "v", Effect: "NoSchedule"}, {Key: "z", Effect: "NoExecute"}},
	}
	same(t, "node", readNode(n).seen, want)

	n.Labels = nil
	if readNode(n).seen.Simulated {
		t.Error("a real node is called simulated")
	}
	n.Annotations = map[string]string{"kwok.x-k8s.io/node": "fake"}
	if !readNode(n).seen.Simulated {
		t.Error("the annotation of a kwok node is not seen")
	}
	for status, want := range map[corev1.ConditionStatus]bool{"True": true, "False": false, "Unknown": false} {
		n.Status.Conditions = []corev1.NodeCondition{{Type: "MemoryPressure", Status: "True"}, {Type: "Ready", Status: status}}
		if readNode(n).seen.Ready != want {
			t.Errorf("Ready=%s: want %v", status, want)
		}
	}
}

func TestToleratesSpot(t *testing.T) {
	spot := func(labels map[string]string, taints ...fleet.Taint) *node {
		n := &node{seen: fleet.Node{Capacity: fleet.Spot, Ready: true, Taints: taints}}
		n.Labels = labels
		return n
	}
	plain := spot(map[string]string{"pool": "a", "cores": "8"})
	tainted := spot(nil, fleet.Taint{Key: "spot", Value: "true", Effect: "NoSchedule"})
	both := spot(nil, fleet.Taint{Key: "spot", Value: "true", Effect: "NoSchedule"}, fleet.Taint{Key: "gpu", Value: "present", Effect: "NoExecute"})
	soft := spot(nil, fleet.Taint{Key: "spot", Effect: "PreferNoSchedule"})
	onDemand := &node{seen: fleet.Node{Capacity: fleet.OnDemand, Ready: true}}
	broken := &node{seen: fleet.Node{Capacity: fleet.Spot}}
	cordoned := &node{seen: fleet.Node{Capacity: fleet.Spot, Ready: true, Unschedulable: true}}
	toleration := func(key, op, value, effect string) placement {
		return placement{tolerations: []corev1.Toleration{{Key: key, Operator: corev1.TolerationOperator(op), Value: value, Effect: corev1.TaintEffect(effect)}}}
	}
	affinity := func(key, op string, values ...string) placement {
		return placement{terms: []corev1.NodeSelectorTerm{{}, {MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOperator(op), Values: values}}}}}
	}
	byName := affinity("pool", "Exists").terms[1]
	byName.MatchFields = []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"n"}}}
	for _, row := range []struct {
		name  string
		p     placement
		nodes []*node
		want  bool
	}{
		{"no spot node", placement{}, []*node{onDemand}, false},
		{"not ready", placement{}, []*node{broken}, false},
		{"cordoned", placement{}, []*node{cordoned}, false},
		{"no taint", placement{}, []*node{onDemand, plain}, true},
		{"tainted", placement{}, []*node{tainted}, false},
		{"one of two is enough", placement{}, []*node{tainted, plain}, true},
		{"a preference does not keep off", placement{}, []*node{soft}, true},
		{"tolerated", toleration("spot", "Equal", "true", "NoSchedule"), []*node{tainted}, true},
		{"tolerated by default operator and any effect", toleration("spot", "", "true", ""), []*node{tainted}, true},
		{"another value", toleration("spot", "", "false", ""), []*node{tainted}, false},
		{"another effect", toleration("spot", "", "true", "NoExecute"), []*node{tainted}, false},
		{"key exists", toleration("spot", "Exists", "", ""), []*node{tainted}, true},
		{"everything", toleration("", "Exists", "", ""), []*node{both}, true},
		{"one of two taints", toleration("spot", "Exists", "", ""), []*node{both}, false},
		{"an operator to come", toleration("spot", "Gt", "1", ""), []*node{tainted}, false},
		{"selector fits", placement{selector: map[string]string{"pool": "a"}}, []*node{plain}, true},
		{"selector is for another pool", placement{selector: map[string]string{"pool": "b"}}, []*node{plain}, false},
		{"affinity in", affinity("pool", "In", "a", "b"), []*node{plain}, true},
		{"affinity not in", affinity("pool", "NotIn", "a"), []*node{plain}, false},
		{"affinity exists", affinity("pool", "Exists"), []*node{plain}, true},
		{"affinity does not exist", affinity("pool", "DoesNotExist"), []*node{plain}, false},
		{"affinity greater", affinity("cores", "Gt", "4"), []*node{plain}, true},
		{"affinity less", affinity("cores", "Lt", "4"), []*node{plain}, false},
		{"affinity of an unknown operator", affinity("pool", "Like", "a"), []*node{plain}, false},
		{"affinity for one node by name", placement{terms: []corev1.NodeSelectorTerm{byName}}, []*node{plain}, false},
	} {
		if got := row.p.toleratesSpot(row.nodes); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// TestSpotTaints: a move tolerates what marks a node as spot and nothing else.
func TestSpotTaints(t *testing.T) {
	tolerant := placement{tolerations: []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpExists}}}
	for _, row := range []struct {
		name string
		p    placement
		key  string
		want int
	}{
		{"the operator's own mark", placement{}, "spot", 1},
		{"AKS", placement{}, "kubernetes.azure.com/scalesetpriority", 1},
		{"GKE", placement{}, "cloud.google.com/gke-spot", 1},
		{"EKS, as its label", placement{}, "eks.amazonaws.com/capacityType", 1},
		{"another processor", placement{}, "kubernetes.io/arch", 0},
		{"GPUs", placement{}, "nvidia.com/gpu", 0},
		{"GPUs that are tolerated", tolerant, "nvidia.com/gpu", 1},
		{"a node about to go", placement{}, "karpenter.sh/disrupted", 0},
	} {
		n := &node{seen: fleet.Node{Capacity: fleet.Spot, Ready: true, Taints: []fleet.Taint{{Key: row.key, Effect: "NoSchedule"}}}}
		n.Name = "n"
		if got := newSpotNodes([]*node{n}).allowedBy(row.p); len(got) != row.want {
			t.Errorf("%s: %v, want %d nodes", row.name, got, row.want)
		}
	}
}

func TestSpotNodes(t *testing.T) {
	const karpenter, gke = "karpenter.sh/capacity-type", "cloud.google.com/gke-nodepool"
	spot := func(name string, labels map[string]string, taints ...fleet.Taint) *node {
		n := &node{seen: fleet.Node{Capacity: fleet.Spot, Ready: true, Taints: taints}}
		n.Name, n.Labels = name, labels
		return n
	}
	arm := spot("a-arm", map[string]string{karpenter: "spot", corev1.LabelArchStable: "arm64", corev1.LabelTopologyZone: "z1", gke: "small"})
	amd := spot("b-amd", map[string]string{karpenter: "spot", corev1.LabelArchStable: "amd64", corev1.LabelTopologyZone: "z2"},
		fleet.Taint{Key: "spot", Value: "true", Effect: "NoSchedule"})
	cordoned, broken, onDemand := spot("c", arm.Labels), spot("d", arm.Labels), spot("e", arm.Labels)
	cordoned.seen.Unschedulable, broken.seen.Ready, onDemand.seen.Capacity = true, false, fleet.OnDemand
	s := newSpotNodes([]*node{arm, amd, cordoned, broken, onDemand})

	in := func(key, value string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}
	}
	term := func(e ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: e}
	}
	selector := func(key, value string) placement { return placement{selector: map[string]string{key: value}} }
	affinity := func(terms ...corev1.NodeSelectorTerm) placement { return placement{terms: terms} }
	byName := term(in(karpenter, "on-demand"))
	byName.MatchFields = []corev1.NodeSelectorRequirement{in("metadata.name", "a-arm")}
	for _, row := range []struct {
		name string
		p    placement
		want string
	}{
		{"no constraint; the spot taint does not keep off", placement{}, "[a-arm b-amd]"},
		{"architecture", selector(corev1.LabelArchStable, "amd64"), "[b-amd]"},
		{"an architecture there is none of", selector(corev1.LabelArchStable, "s390x"), "[]"},
		{"selector for on-demand", selector(karpenter, "on-demand"), "[a-arm b-amd]"},
		{"selector for a pool", selector(gke, "small"), "[a-arm]"},
		{"selector and affinity", placement{map[string]string{corev1.LabelArchStable: "arm64"}, affinity(term(in(corev1.LabelTopologyZone, "z2"))).terms, nil}, "[]"},
		{"zone", affinity(term(in(corev1.LabelTopologyZone, "z1"))), "[a-arm]"},
		{"one term of two", affinity(term(in(corev1.LabelTopologyZone, "z1")), term(in(corev1.LabelTopologyZone, "z2"))), "[a-arm b-amd]"},
		{"zone and on-demand", affinity(term(in(corev1.LabelTopologyZone, "z2"), in(karpenter, "on-demand"))), "[b-amd]"},
		{"zone, or on-demand anywhere", affinity(term(in(corev1.LabelTopologyZone, "z2")), term(in(karpenter, "on-demand"))), "[a-arm b-amd]"},
		{"an empty term", affinity(term()), "[]"},
		{"one node by name", affinity(byName), "[]"},
	} {
		before, _ := json.Marshal(row.p.terms)
		worked, known := s.allowedBy(row.p), spotNodes{known: s.known}.allowedBy(row.p) // without nodes: as it was worked out
		if fmt.Sprint(worked) != row.want || fmt.Sprint(known) != row.want {
			t.Errorf("%s: %s, then %s; want %s", row.name, worked, known, row.want)
		}
		if after, _ := json.Marshal(row.p.terms); string(before) != string(after) {
			t.Errorf("%s: the placement was changed to %s", row.name, after)
		}
	}
}
