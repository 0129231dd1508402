package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// rounding turns a quantity into a whole number of 10^scale.
type rounding func(q resource.Quantity, scale resource.Scale) int64

// ceil never understates: for what is asked for or used.
func ceil(q resource.Quantity, scale resource.Scale) int64 { return q.ScaledValue(scale) }

// floor never overstates: for what is allowed or there.
//
//	floor(1500m, units) is 1, ceil is 2
func floor(q resource.Quantity, scale resource.Scale) int64 {
	n := q.ScaledValue(scale)
	if resource.NewScaledQuantity(n, scale).Cmp(q) > 0 {
		n--
	}
	return n
}

// resources maps a list of quantities; of the others only extended resources, which have a domain
// in their name, are kept.
func resources(list corev1.ResourceList, round rounding) fleet.Resources {
	var r fleet.Resources
	for name, q := range list {
		switch {
		case name == corev1.ResourceCPU:
			r.MilliCPU = round(q, resource.Milli)
		case name == corev1.ResourceMemory:
			r.Memory = round(q, 0)
		case strings.Contains(string(name), "/"):
			r.Extended = append(r.Extended, fleet.Extended{Name: string(name), Count: round(q, 0)})
		}
	}
	r.Extended = fleet.SortExtended(r.Extended)
	return r
}

// stated is resources with the zeros of extended resources kept: a default of no GPU is a default,
// without which a LimitRange's max would be handed to every container.
func stated(list corev1.ResourceList) fleet.Resources {
	r := resources(list, ceil)
	for name, q := range list {
		if strings.Contains(string(name), "/") && q.IsZero() {
			r.Extended = append(r.Extended, fleet.Extended{Name: string(name)})
		}
	}
	slices.SortFunc(r.Extended, func(a, b fleet.Extended) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// shape maps what a pod spec asks for, init containers first as they run.
func shape(spec *corev1.PodSpec) fleet.PodShape {
	s := fleet.PodShape{Overhead: resources(spec.Overhead, ceil)}
	if spec.Priority != nil {
		s.Priority = *spec.Priority
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		role := fleet.Init
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			role = fleet.Sidecar
		}
		s.Containers = append(s.Containers, container(c, role))
	}
	for i := range spec.Containers {
		s.Containers = append(s.Containers, container(&spec.Containers[i], fleet.Main))
	}
	return s
}

func container(c *corev1.Container, role fleet.Role) fleet.Container {
	out := fleet.Container{
		Name: c.Name, Image: c.Image, Role: role,
		Requests: resources(c.Resources.Requests, ceil),
		Limits:   resources(c.Resources.Limits, ceil),
	}
	for _, p := range c.ResizePolicy {
		switch p.ResourceName {
		case corev1.ResourceCPU:
			out.ResizePolicy.CPU = fleet.Restart(p.RestartPolicy)
		case corev1.ResourceMemory:
			out.ResizePolicy.Memory = fleet.Restart(p.RestartPolicy)
		}
	}
	return out
}

// liveShape is what the pod has now: its spec is what was last asked for, and an in-place resize
// shows in the status once the kubelet has carried it out.
func liveShape(p *corev1.Pod) fleet.PodShape {
	s := shape(&p.Spec)
	actual := map[string]*corev1.ResourceRequirements{}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			actual[list[i].Name] = list[i].Resources
		}
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		if r := actual[c.Name]; r != nil {
			c.Requests = actuated(c.Requests, r.Requests)
			c.Limits = inPages(c.Limits, actuated(c.Limits, r.Limits))
		}
	}
	return s
}

// actuated is asked with the CPU and memory that the kubelet reports; only these two can be resized.
func actuated(asked fleet.Resources, list corev1.ResourceList) fleet.Resources {
	if q, ok := list[corev1.ResourceCPU]; ok {
		asked.MilliCPU = ceil(q, resource.Milli)
	}
	if q, ok := list[corev1.ResourceMemory]; ok {
		asked.Memory = ceil(q, 0)
	}
	return asked
}

// inPages is the limits that the kubelet reports. A kernel counts memory in pages: a limit that is by less than one
// under what was asked for is that.
func inPages(asked, has fleet.Resources) fleet.Resources {
	const page = 4096 // bytes
	if under := asked.Memory - has.Memory; under > 0 && under < page {
		has.Memory = asked.Memory
	}
	return has
}
