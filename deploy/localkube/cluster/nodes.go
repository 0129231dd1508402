package cluster

import "fmt"

// Node is a real node: a kubelet, a containerd and a bridge of its own.
type Node struct {
	Name     string
	Capacity string // on-demand or spot
	Bridge   string
	Gateway  string // the node's address
	Subnet   string // its pods
	Healthz  int
}

// RealNodes are the nodes of a level 3 cluster.
var RealNodes = []Node{
	{Name: "ondemand-1", Capacity: "on-demand", Bridge: "lk1", Gateway: "10.244.1.1", Subnet: "10.244.1.0/24", Healthz: 10248},
	{Name: "spot-1", Capacity: "spot", Bridge: "lk2", Gateway: "10.244.2.1", Subnet: "10.244.2.0/24", Healthz: 10348},
}

// Instance is what a node claims to be.
type Instance struct {
	Type   string
	CPUs   int
	Memory string
	GPUs   int
}

// The instances that localkube's nodes claim to be.
var (
	M5Large   = Instance{Type: "m5.large", CPUs: 2, Memory: "8Gi"}
	M54XLarge = Instance{Type: "m5.4xlarge", CPUs: 16, Memory: "64Gi"}
	G52XLarge = Instance{Type: "g5.2xlarge", CPUs: 8, Memory: "32Gi", GPUs: 1}
)

// SpotTaint keeps pods off spot nodes unless they tolerate it.
var SpotTaint = map[string]any{"key": "spot", "value": "true", "effect": "NoSchedule"}

// fakeTaint keeps real pods off fake nodes in a cluster that has real ones.
var fakeTaint = map[string]any{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}

// Labels are what cost tools read from a node.
func Labels(instance, capacity string) map[string]string {
	return map[string]string{
		"node.kubernetes.io/instance-type": instance,
		"topology.kubernetes.io/region":    "us-east-1",
		"topology.kubernetes.io/zone":      "us-east-1a",
		"karpenter.sh/capacity-type":       capacity,
	}
}

// FakeNodes are the Node objects that kwok plays: all of a level 2 cluster,
// the additional ones of a level 3 cluster.
func (s Spec) FakeNodes() []map[string]any {
	var nodes []map[string]any
	if s.Level == 2 {
		nodes = append(nodes,
			fakeNode("ondemand-1", "on-demand", M5Large),
			fakeNode("spot-1", "spot", M5Large, SpotTaint),
			fakeNode("gpu-1", "on-demand", G52XLarge))
	}
	for i := 1; i <= s.Kwok; i++ {
		nodes = append(nodes, s.numbered(i))
	}
	return nodes
}

// numbered makes every fourth node a spot node and gives every fifth a GPU.
func (s Spec) numbered(i int) map[string]any {
	name, capacity, instance := fmt.Sprintf("kwok-%d", i), "on-demand", M54XLarge
	var taints []map[string]any
	if s.Level == 3 {
		taints = append(taints, fakeTaint)
	}
	if i%4 == 0 {
		capacity, taints = "spot", append(taints, SpotTaint)
	}
	if i%5 == 0 {
		instance = G52XLarge
	}
	return fakeNode(name, capacity, instance, taints...)
}

func fakeNode(name, capacity string, i Instance, taints ...map[string]any) map[string]any {
	labels := Labels(i.Type, capacity)
	labels["type"] = "kwok"
	labels["kubernetes.io/hostname"] = name
	labels["kubernetes.io/os"], labels["kubernetes.io/arch"] = "linux", "amd64"
	size := map[string]string{"cpu": fmt.Sprint(i.CPUs), "memory": i.Memory, "pods": "110"}
	if i.GPUs > 0 {
		size["nvidia.com/gpu"] = fmt.Sprint(i.GPUs)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{
			"name": name, "labels": labels,
			"annotations": map[string]string{
				"kwok.x-k8s.io/node":                   "fake",
				"metrics.k8s.io/resource-metrics-path": "/metrics/nodes/" + name + "/metrics/resource",
			},
		},
		"spec":   map[string]any{"taints": taints},
		"status": map[string]any{"capacity": size, "allocatable": size},
	}
}
