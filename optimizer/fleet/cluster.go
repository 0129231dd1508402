package fleet

import "time"

// Taint is a node's refusal of pods that do not tolerate it.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Node is one machine of the cluster.
type Node struct {
	Name          string    `json:"name"`
	InstanceType  string    `json:"instanceType,omitempty"` // node.kubernetes.io/instance-type
	Region        string    `json:"region,omitempty"`
	Zone          string    `json:"zone,omitempty"`
	Capacity      Capacity  `json:"capacity,omitempty"`   // empty: no known label says
	GPUProduct    string    `json:"gpuProduct,omitempty"` // nvidia.com/gpu.product: "NVIDIA-A100-SXM4-80GB"; empty: no label says
	Allocatable   Resources `json:"allocatable"`
	Others        Resources `json:"others,omitzero"`  // requested there by pods of no workload of the snapshot: of DaemonSets, Jobs, kube-system, bare or on their way out
	Taints        []Taint   `json:"taints,omitempty"` // sorted by key
	Ready         bool      `json:"ready"`
	Unschedulable bool      `json:"unschedulable,omitempty"` // cordoned: it takes no new pods
	Simulated     bool      `json:"simulated,omitempty"`     // a kwok node or a simulated one: said in all output
}

// LimitRange is the item of type Container or Pod of one LimitRange object.
// Zero parts are not set.
type LimitRange struct {
	Name                 string    `json:"name"`
	Type                 string    `json:"type"` // "Container" or "Pod"
	Default              Resources `json:"default,omitzero"`
	DefaultRequest       Resources `json:"defaultRequest,omitzero"`
	Min                  Resources `json:"min,omitzero"`
	Max                  Resources `json:"max,omitzero"`
	MaxLimitRequestRatio Ratio     `json:"maxLimitRequestRatio,omitzero"`
}

// Ratio is the most that limit/request may be, in thousandths (1500 is 1.5); 0: not set.
type Ratio struct {
	CPU    int64 `json:"cpu,omitempty"`
	Memory int64 `json:"memory,omitempty"`
}

// QuotaItem is one line of a ResourceQuota: its name as Kubernetes writes it, in the base unit of that
// name: thousandths of a core for cpu, bytes for memory and storage, a count otherwise.
type QuotaItem struct {
	Name string `json:"name"` // "requests.cpu", "limits.memory", "pods", "requests.nvidia.com/gpu"
	Hard int64  `json:"hard"`
	Used int64  `json:"used"`
	// Tracked tells that the quota controller reports use; an untracked line is never enforced.
	Tracked bool `json:"tracked"`
}

// Quota is one ResourceQuota.
type Quota struct {
	Name   string      `json:"name"`
	Scoped bool        `json:"scoped,omitempty"` // it counts only some pods; judged as if it counted all, which is the safe side
	Items  []QuotaItem `json:"items"`            // sorted by name
}

// Bounds is what a namespace allows.
type Bounds struct {
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels,omitempty"`      // of the Namespace, for selectors only
	LimitRanges []LimitRange      `json:"limitRanges,omitempty"` // sorted by name
	Quotas      []Quota           `json:"quotas,omitempty"`      // sorted by name
}

// Snapshot is the cluster at one moment: what the cycle observes.
type Snapshot struct {
	At        time.Time  `json:"at"`
	Workloads []Workload `json:"workloads"` // sorted by Ref
	Nodes     []Node     `json:"nodes"`     // sorted by name
	Bounds    []Bounds   `json:"bounds"`    // sorted by namespace; every namespace that was read has one
}

// BoundsOf finds a namespace's bounds; false means that they are unknown, not that there are none.
func (s Snapshot) BoundsOf(ns string) (Bounds, bool) {
	for _, b := range s.Bounds {
		if b.Namespace == ns {
			return b, true
		}
	}
	return Bounds{}, false
}

// Node finds a node by name.
func (s Snapshot) Node(name string) (Node, bool) {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}
