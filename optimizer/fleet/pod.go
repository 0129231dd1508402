package fleet

import (
	"slices"
	"time"
)

// Role says how a container counts towards its pod.
type Role string

// The roles of a container. A sidecar is an init container with restartPolicy Always.
const (
	Main    Role = "main"
	Init    Role = "init"
	Sidecar Role = "sidecar"
)

// Restart is what an in-place resize of one resource does to a container.
type Restart string

// The resize policies of Kubernetes; NotRequired is its default.
const (
	NotRequired      Restart = "NotRequired"
	RestartContainer Restart = "RestartContainer"
)

// ResizePolicy is what a resize of CPU or memory does to the container.
type ResizePolicy struct {
	CPU    Restart `json:"cpu,omitempty"`
	Memory Restart `json:"memory,omitempty"`
}

// Container is one container as a pod template asks for it or as a live pod has it.
type Container struct {
	Name         string       `json:"name"`
	Image        string       `json:"image"`
	Role         Role         `json:"role"`
	Requests     Resources    `json:"requests"`
	Limits       Resources    `json:"limits"`
	ResizePolicy ResizePolicy `json:"resizePolicy,omitzero"`
}

// PodShape is what one pod asks for.
type PodShape struct {
	Containers []Container `json:"containers"` // in the pod's order
	Overhead   Resources   `json:"overhead,omitzero"`
	Priority   int32       `json:"priority,omitempty"`
}

// Requests is what the scheduler and a quota charge for one pod: the larger of (main + sidecars) and
// the dearest init step with the sidecars started before it, plus overhead.
func (p PodShape) Requests() Resources {
	return p.sum(func(c Container) Resources { return c.Requests })
}

// Limits is the same rule over the limits; containers without a limit add nothing.
func (p PodShape) Limits() Resources {
	return p.sum(func(c Container) Resources { return c.Limits })
}

func (p PodShape) sum(of func(Container) Resources) Resources {
	var running, sidecars, initPeak Resources
	for _, c := range p.Containers {
		switch c.Role {
		case Init:
			initPeak = initPeak.Max(sidecars.Add(of(c)))
		case Sidecar:
			sidecars = sidecars.Add(of(c))
			running = running.Add(of(c))
		default:
			running = running.Add(of(c))
		}
	}
	return running.Max(initPeak).Add(p.Overhead)
}

// Clone is a copy that shares no container with p.
func (p PodShape) Clone() PodShape {
	p.Containers = slices.Clone(p.Containers)
	return p
}

// Container finds a container by name.
func (p PodShape) Container(name string) (Container, bool) {
	for _, c := range p.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// QoS is the Kubernetes quality-of-service class of the pod: Guaranteed, Burstable or BestEffort.
// An in-place resize may not change it.
func (p PodShape) QoS() string {
	guaranteed, any := true, false
	for _, c := range p.Containers {
		r, l := c.Requests, c.Limits
		if r.MilliCPU|r.Memory|l.MilliCPU|l.Memory != 0 {
			any = true
		}
		if l.MilliCPU == 0 || l.Memory == 0 || r.MilliCPU != l.MilliCPU || r.Memory != l.Memory {
			guaranteed = false
		}
	}
	switch {
	case !any:
		return "BestEffort"
	case guaranteed:
		return "Guaranteed"
	}
	return "Burstable"
}

// Pod is one live pod of a workload.
type Pod struct {
	Name    string    `json:"name"`
	UID     string    `json:"uid"`
	Node    string    `json:"node,omitempty"` // empty: not scheduled yet
	Ready   bool      `json:"ready"`
	Created time.Time `json:"created"`
	Shape   PodShape  `json:"shape"` // what the pod has now, which may differ from the template
	Resize  Resize    `json:"resize,omitzero"`
}

// Resize is how far an in-place resize of a pod has come; the zero value: none is under way.
type Resize struct {
	State  ResizeState `json:"state,omitempty"`
	Detail string      `json:"detail,omitempty"` // the kubelet's words
}

// ResizeState is what the kubelet says of a resize that it has not carried out.
type ResizeState string

// The states of a resize.
const (
	ResizeInProgress ResizeState = "in-progress" // asked for, or being carried out
	ResizeDeferred   ResizeState = "deferred"    // the node has no room now; the kubelet tries again
	ResizeInfeasible ResizeState = "infeasible"  // the node can never do it
)
