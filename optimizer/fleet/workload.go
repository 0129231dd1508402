package fleet

import (
	"slices"
	"time"
)

// Class is how a workload is called.
type Class string

// The classes. An online workload answers people; a batch workload may wait and be interrupted.
const (
	Online Class = "online"
	Batch  Class = "batch"
)

// Capacity is how the machine under a pod is bought.
type Capacity string

// The capacity types.
const (
	OnDemand Capacity = "on-demand"
	Spot     Capacity = "spot"
)

// SLO is the latency promise of a workload; the zero value promises nothing.
type SLO struct {
	Latency    time.Duration `json:"latency,omitempty"`    // answers slower than this break the promise
	Percentile float64       `json:"percentile,omitempty"` // share of answers within Latency, 0.99 for p99
}

// Owner is another party that writes a field of the workload: an autoscaler or a field manager.
type Owner struct {
	Field string `json:"field"` // "replicas"; "requests" (it scales on a share of them); "resources"
	Kind  string `json:"kind"`  // "HorizontalPodAutoscaler", "FieldManager"
	Name  string `json:"name"`
}

// Autoscaler is how a HorizontalPodAutoscaler that scales the workload is set; the zero value: none, or not known.
type Autoscaler struct {
	Name string `json:"name"`
	Min  int32  `json:"min"`
	Max  int32  `json:"max"`
	// CPUPercent is the share of the CPU request that it keeps replicas at on average; 0: it goes by something else.
	CPUPercent int32  `json:"cpuPercent,omitempty"`
	Container  string `json:"container,omitempty"` // whose CPU; empty: the pod's
	Others     bool   `json:"others,omitempty"`    // it goes by another metric too, or by another alone
}

// Workload is one model Deployment (or a kind that is only looked at), with its live pods.
// "Current" is always what the live pods have, never the template.
type Workload struct {
	Ref        Ref               `json:"ref"`
	UID        string            `json:"uid,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"` // for selectors only; never walked for output
	Class      Class             `json:"class,omitempty"`  // from its label; empty: unknown
	Template   PodShape          `json:"template"`
	Pods       []Pod             `json:"pods,omitempty"`       // sorted by name; finished and terminating pods are left out
	Replicas   int32             `json:"replicas"`             // desired
	Capacity   Capacity          `json:"capacity,omitempty"`   // of the nodes under its pods; empty: mixed or unknown
	Owners     []Owner           `json:"owners,omitempty"`     // sorted by field, kind and name
	Autoscaler Autoscaler        `json:"autoscaler,omitzero"`  // of replicas; zero where there is none, or more than one
	Budgeted   int32             `json:"budgeted,omitempty"`   // the fewest replicas of which its PodDisruptionBudgets let one go; 0: they ask for none
	RollingOut bool              `json:"rollingOut,omitempty"` // pods of two templates live side by side
	Unrollable string            `json:"unrollable,omitempty"` // why a new pod template would lose requests, and which field to set; empty: it would not
	// TolerateSpot tells that the pods may run on the spot nodes as they are; without it a move needs a toleration.
	TolerateSpot bool `json:"tolerateSpot,omitempty"`
	// SpotNodes is the names, sorted, of the ready and schedulable spot nodes that its nodeSelector and required
	// node affinity allow. What these say of capacity types, and taints that mark spot, are left aside: a move answers both.
	SpotNodes []string `json:"spotNodes,omitempty"`
	// Barred is the names, sorted, of the nodes that its nodeSelector and required node affinity do not allow. It is of
	// this moment and not written down.
	Barred    []string `json:"-"`
	BatchSize int      `json:"batchSize,omitempty"` // rows a batch, of a server that Trimtab owns; 0: not known
}

// Target is what one recommendation asks of a workload. What is unset is left as it is.
type Target struct {
	Requests []ContainerRequests `json:"requests,omitempty"` // sorted by container name
	Replicas int32               `json:"replicas,omitempty"` // 0: leave; scaling to zero is never asked
	Capacity Capacity            `json:"capacity,omitempty"` // empty: leave
}

// ContainerRequests is the requests one container should have, and the limits where these move too; Extended is
// left as it is.
type ContainerRequests struct {
	Container string    `json:"container"`
	Requests  Resources `json:"requests"`
	// Limits of zero stay as they are. A limit that is not there is never added, and none is taken away.
	Limits Resources `json:"limits,omitzero"`
}

// With is c after r.
func (c Container) With(r ContainerRequests) Container {
	c.Requests.MilliCPU, c.Requests.Memory = r.Requests.MilliCPU, r.Requests.Memory
	c.Limits.MilliCPU, c.Limits.Memory = limited(c.Limits.MilliCPU, r.Limits.MilliCPU), limited(c.Limits.Memory, r.Limits.Memory)
	return c
}

// Sized tells whether c has the requests of r, and its limits where c has any.
func (c Container) Sized(r ContainerRequests) bool {
	return c.SameCPU(r) && c.SameMemory(r)
}

// SameCPU is Sized of CPU alone.
func (c Container) SameCPU(r ContainerRequests) bool {
	return c.Requests.MilliCPU == r.Requests.MilliCPU && c.Limits.MilliCPU == limited(c.Limits.MilliCPU, r.Limits.MilliCPU)
}

// SameMemory is Sized of memory alone.
func (c Container) SameMemory(r ContainerRequests) bool {
	return c.Requests.Memory == r.Requests.Memory && c.Limits.Memory == limited(c.Limits.Memory, r.Limits.Memory)
}

// limited is what a limit becomes of which asked is asked.
func limited(now, asked int64) int64 {
	if now == 0 || asked == 0 {
		return now
	}
	return asked
}

// With is the workload after t: template and live pods alike, replicas and capacity.
// The workload itself is not changed.
func (w Workload) With(t Target) Workload {
	w.Template = w.Template.with(t.Requests)
	w.Pods = slices.Clone(w.Pods)
	for i := range w.Pods {
		w.Pods[i].Shape = w.Pods[i].Shape.with(t.Requests)
	}
	if t.Replicas > 0 {
		w.Replicas = t.Replicas
		w.Pods = w.Pods[:min(len(w.Pods), int(t.Replicas))]
	}
	if t.Capacity != "" {
		w.Capacity = t.Capacity
	}
	return w
}

// Has tells whether w is as t asks already: every live pod, the replicas and the capacity.
func (w Workload) Has(t Target) bool {
	if t.Replicas != 0 && t.Replicas != w.Replicas || t.Capacity != "" && t.Capacity != w.Capacity {
		return false
	}
	shapes := []PodShape{w.Current()}
	for _, p := range w.Pods {
		shapes = append(shapes, p.Shape)
	}
	for _, s := range shapes {
		for _, r := range t.Requests {
			c, ok := s.Container(r.Container)
			if ok && !c.Sized(r) {
				return false
			}
		}
	}
	return true
}

func (p PodShape) with(reqs []ContainerRequests) PodShape {
	p.Containers = slices.Clone(p.Containers)
	for _, r := range reqs {
		for i := range p.Containers {
			if c := &p.Containers[i]; c.Name == r.Container {
				*c = c.With(r)
			}
		}
	}
	return p
}

// Current is the shape the live pods have. Where pods differ (an in-place resize under way)
// it is the newest pod's; without pods it is the template.
func (w Workload) Current() PodShape {
	if len(w.Pods) == 0 {
		return w.Template
	}
	newest := w.Pods[0]
	for _, p := range w.Pods[1:] {
		if p.Created.After(newest.Created) {
			newest = p
		}
	}
	return newest.Shape
}

// MayMoveTo tells whether a node is one of SpotNodes.
func (w Workload) MayMoveTo(node string) bool {
	_, ok := slices.BinarySearch(w.SpotNodes, node)
	return ok
}

// Ready counts the pods that take traffic.
func (w Workload) Ready() int {
	n := 0
	for _, p := range w.Pods {
		if p.Ready {
			n++
		}
	}
	return n
}

// GPUs is the GPUs one pod asks for. A workload with GPUs is never judged by its CPU.
func (w Workload) GPUs() int64 {
	r, l := w.Current().Requests(), w.Current().Limits()
	return max(r.GPUs(), l.GPUs())
}

// OwnedBy finds the first other party that writes field.
func (w Workload) OwnedBy(field, kind string) (Owner, bool) {
	for _, o := range w.Owners {
		if o.Field == field && o.Kind == kind {
			return o, true
		}
	}
	return Owner{}, false
}
