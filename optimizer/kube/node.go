package kube

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// node is one Node, with its labels for placement.
type node struct {
	metav1.ObjectMeta
	seen fleet.Node
	pods int64 // most that it runs at a time
}

func readNode(n *corev1.Node) *node {
	r := &node{ObjectMeta: identity(n)}
	r.Labels = n.Labels
	r.pods = n.Status.Allocatable.Pods().Value()
	_, fake := n.Annotations["kwok.x-k8s.io/node"]
	r.seen = fleet.Node{
		Name:          n.Name,
		InstanceType:  first(n.Labels, corev1.LabelInstanceTypeStable, corev1.LabelInstanceType),
		Region:        first(n.Labels, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaRegion),
		Zone:          first(n.Labels, corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone),
		Capacity:      capacity(n.Labels),
		GPUProduct:    n.Labels["nvidia.com/gpu.product"],
		Allocatable:   resources(n.Status.Allocatable, floor),
		Taints:        taints(n.Spec.Taints),
		Ready:         nodeReady(n.Status.Conditions),
		Unschedulable: n.Spec.Unschedulable,
		Simulated:     fake || n.Labels["type"] == "kwok",
	}
	return r
}

// openSpot tells whether it is a spot node that takes new pods.
func (n *node) openSpot() bool {
	return n.seen.Ready && !n.seen.Unschedulable && n.seen.Capacity == fleet.Spot
}

// first is the value of the first key that is set: the stable one before the one it replaced.
func first(labels map[string]string, keys ...string) string {
	for _, k := range keys {
		if v := labels[k]; v != "" {
			return v
		}
	}
	return ""
}

func taints(in []corev1.Taint) []fleet.Taint {
	var out []fleet.Taint
	for _, t := range in {
		out = append(out, fleet.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	slices.SortFunc(out, func(a, b fleet.Taint) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Effect, b.Effect), cmp.Compare(a.Value, b.Value))
	})
	return out
}

func nodeReady(conditions []corev1.NodeCondition) bool {
	return slices.ContainsFunc(conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// sign is one label by which a provider tells how a node is bought. An empty value matches any.
type sign struct {
	key, value string
	means      fleet.Capacity
}

// signs are the providers' labels, one provider a row, the first sign that matches speaks for its
// provider. GKE and AKS label only their spot nodes: any other label of theirs then means on-demand.
// Reserved capacity is on-demand that was paid before: it is not taken away.
var signs = [][]sign{
	{ // Karpenter on any cloud
		{"karpenter.sh/capacity-type", "spot", fleet.Spot},
		{"karpenter.sh/capacity-type", "on-demand", fleet.OnDemand},
		{"karpenter.sh/capacity-type", "reserved", fleet.OnDemand},
	},
	{ // EKS managed node groups
		{"eks.amazonaws.com/capacityType", "SPOT", fleet.Spot},
		{"eks.amazonaws.com/capacityType", "ON_DEMAND", fleet.OnDemand},
		{"eks.amazonaws.com/capacityType", "CAPACITY_BLOCK", fleet.OnDemand},
	},
	{ // GKE; preemptible is its older kind of spot
		{"cloud.google.com/gke-spot", "true", fleet.Spot},
		{"cloud.google.com/gke-preemptible", "true", fleet.Spot},
		{"cloud.google.com/gke-provisioning", "spot", fleet.Spot},
		{"cloud.google.com/gke-provisioning", "preemptible", fleet.Spot},
		{"cloud.google.com/gke-provisioning", "standard", fleet.OnDemand},
		{"cloud.google.com/gke-nodepool", "", fleet.OnDemand},
	},
	{ // AKS and Karpenter for Azure
		{"kubernetes.azure.com/scalesetpriority", "spot", fleet.Spot},
		{"kubernetes.azure.com/scalesetpriority", "regular", fleet.OnDemand},
		{"kubernetes.azure.com/priority", "spot", fleet.Spot},
		{"kubernetes.azure.com/priority", "regular", fleet.OnDemand},
		{"kubernetes.azure.com/agentpool", "", fleet.OnDemand},
	},
	{ // kOps and self-managed groups, by convention
		{"node-role.kubernetes.io/spot-worker", "", fleet.Spot},
		{"node.kubernetes.io/lifecycle", "spot", fleet.Spot},
		{"node.kubernetes.io/lifecycle", "normal", fleet.OnDemand},
		{"node.kubernetes.io/lifecycle", "on-demand", fleet.OnDemand},
	},
	{ // CAST AI; a fallback node is on-demand in the place of a spot node, and labelled as both
		{"scheduling.cast.ai/spot-fallback", "true", fleet.OnDemand},
		{"scheduling.cast.ai/spot", "true", fleet.Spot},
		{"scheduling.cast.ai/on-demand", "true", fleet.OnDemand},
	},
	{ // Ocean by Spot
		{"spotinst.io/node-lifecycle", "spot", fleet.Spot},
		{"spotinst.io/node-lifecycle", "od", fleet.OnDemand},
	},
}

// capacity is how a node is bought, by its labels. Where no provider says, or two disagree, it is unknown.
func capacity(labels map[string]string) fleet.Capacity {
	var said fleet.Capacity
	for _, provider := range signs {
		c := says(provider, labels)
		if c != "" && said != "" && c != said {
			return ""
		}
		said = cmp.Or(said, c)
	}
	return said
}

// saysCapacity tells whether a label is one of signs. The pool names among them, which say it only by
// being there, are not: a workload that asks for a pool asks for those machines.
func saysCapacity(key string) bool {
	for _, provider := range signs {
		if slices.ContainsFunc(provider, func(s sign) bool {
			return s.key == key && (s.value != "" || s.means == fleet.Spot)
		}) {
			return true
		}
	}
	return false
}

// spotSign is the first sign that calls a node with these labels spot.
func spotSign(labels map[string]string) sign {
	for _, provider := range signs {
		if says(provider, labels) != fleet.Spot {
			continue
		}
		for _, s := range provider {
			if v, ok := labels[s.key]; ok && s.means == fleet.Spot && (s.value == "" || s.value == v) {
				return s
			}
		}
	}
	return sign{}
}

func says(provider []sign, labels map[string]string) fleet.Capacity {
	for _, s := range provider {
		if v, ok := labels[s.key]; ok && (s.value == "" || s.value == v) {
			return s.means
		}
	}
	return ""
}
