package upstream

import (
	"fmt"
	"math/rand/v2"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies/admission"
)

const gpu = "nvidia.com/gpu"

// scene is one question: may one more of these pods be made, or this one be resized, within bounds?
type scene struct {
	Bounds fleet.Bounds    `json:"bounds"`
	Pod    fleet.PodShape  `json:"pod"`
	Resize fleet.Resources `json:"resize,omitzero"` // the new requests of the first container; zero: a pod more
}

// ours is the answer of policies/admission: the pod with its defaults, and why it would be refused.
func ours(s scene) (fleet.PodShape, []fleet.Hold) {
	w := fleet.Workload{Template: s.Pod, Replicas: 1, Pods: []fleet.Pod{{Shape: s.Pod}}}
	t := fleet.Target{Replicas: 2}
	if s.Resize.MilliCPU > 0 {
		t = fleet.Target{Requests: []fleet.ContainerRequests{{Container: s.Pod.Containers[0].Name, Requests: s.Resize}}}
	}
	_, _, holds := admission.Judge(w, t, s.Bounds)
	return admission.Default(s.Pod, s.Bounds), holds
}

// draw makes scenes. Its numbers are small, so that edges meet often.
type draw struct{ r *rand.Rand }

func drawn(seed, stream uint64) draw { return draw{rand.New(rand.NewPCG(seed, stream))} }

func (d draw) upTo(most int64) int64 { return d.r.Int64N(most + 1) }

// oneIn is true once in n times.
func (d draw) oneIn(n int64) bool { return d.r.Int64N(n) == 0 }

func (d draw) gpus(most int64) []fleet.Extended {
	return fleet.SortExtended([]fleet.Extended{{Name: gpu, Count: d.upTo(most)}})
}

// amounts is some of each resource, or none.
func (d draw) amounts(most int64) fleet.Resources {
	r := fleet.Resources{MilliCPU: d.upTo(most), Memory: d.upTo(most)}
	if d.oneIn(4) {
		r.Extended = d.gpus(2)
	}
	return r
}

func (d draw) role() fleet.Role {
	return []fleet.Role{fleet.Main, fleet.Main, fleet.Sidecar, fleet.Init}[d.upTo(3)]
}

// ranged is a pod that leaves out what it likes, before up to two LimitRanges.
func ranged(seed uint64) scene {
	d := drawn(seed, 9)
	s := scene{Bounds: fleet.Bounds{Namespace: "ns"}}
	for i := range d.upTo(2) {
		s.Bounds.LimitRanges = append(s.Bounds.LimitRanges, d.limitRange(fmt.Sprint("lr", i)))
	}
	s.Pod.Overhead.MilliCPU = d.upTo(1) * 50
	for i := range 1 + d.upTo(2) {
		s.Pod.Containers = append(s.Pod.Containers, fleet.Container{
			Name: fmt.Sprint("c", i), Role: d.role(), Requests: d.amounts(6), Limits: d.amounts(9),
		})
	}
	return s
}

func (d draw) limitRange(name string) fleet.LimitRange {
	lr := fleet.LimitRange{Name: name, Type: []string{"Container", "Pod"}[d.upTo(1)]}
	if d.oneIn(3) {
		lr.Min = d.amounts(3)
	}
	if d.oneIn(3) {
		lr.Max = d.amounts(14)
	}
	if d.oneIn(3) {
		lr.MaxLimitRequestRatio = fleet.Ratio{CPU: d.ratio(), Memory: d.ratio()}
	}
	if d.oneIn(2) && lr.Type == "Container" {
		lr.Default, lr.DefaultRequest = d.amounts(6), d.amounts(3)
	}
	return lr
}

// ratio is none, or 1 to 4 in thousandths.
func (d draw) ratio() int64 { return d.upTo(1) * (1000 + d.upTo(3000)) }

// lines is what a drawn quota may count: all that is charged to pods, and three lines that are not.
func lines() []string {
	return []string{
		"count/pods", "cpu", "limits.cpu", "limits.memory", "limits." + gpu, "memory", gpu, "pods",
		"requests.cpu", "requests.memory", "requests." + gpu, "services",
	}
}

// charged tells whether a quota's controller counts a line's use by pods or services.
func charged(line string) bool { return line != gpu && line != "limits."+gpu }

// quotaed is a pod before one quota; with an odd seed it is resized, else made.
func quotaed(seed uint64) scene {
	d := drawn(seed, 11)
	s := scene{Bounds: fleet.Bounds{Namespace: "ns", Quotas: []fleet.Quota{d.quota()}}}
	s.Pod.Overhead.MilliCPU = d.upTo(1) * d.upTo(3)
	for i := range 1 + d.upTo(2) {
		s.Pod.Containers = append(s.Pod.Containers, d.container(i))
	}
	if seed%2 == 1 {
		s.Resize = d.resize(s.Pod.Containers[0])
	}
	return s
}

func (d draw) quota() fleet.Quota {
	q := fleet.Quota{Name: "q"}
	for _, line := range lines() {
		if d.oneIn(3) {
			q.Items = append(q.Items, fleet.QuotaItem{
				Name: line, Hard: 10 + d.upTo(20), Used: d.upTo(20), Tracked: charged(line) && !d.oneIn(30),
			})
		}
	}
	return q
}

// container states all but, at times, a limit of memory. The first is no init container.
func (d draw) container(i int64) fleet.Container {
	c := fleet.Container{Name: fmt.Sprint("c", i), Role: d.role()}
	if i == 0 {
		c.Role = fleet.Main
	}
	c.Requests = fleet.Resources{MilliCPU: 1 + d.upTo(4), Memory: 1 + d.upTo(4)}
	c.Limits = fleet.Resources{MilliCPU: c.Requests.MilliCPU + 6, Memory: c.Requests.Memory + 6}
	if d.oneIn(5) {
		c.Limits.Memory = 0
	}
	if d.oneIn(4) {
		g := []fleet.Extended{{Name: gpu, Count: 1 + d.upTo(2)}}
		c.Requests.Extended, c.Limits.Extended = g, g
	}
	return c
}

// resize moves both requests of a container, each up, down or not at all, and stays below its limits.
func (d draw) resize(c fleet.Container) fleet.Resources {
	return fleet.Resources{
		MilliCPU: max(1, c.Requests.MilliCPU+d.upTo(7)-3),
		Memory:   max(1, c.Requests.Memory+d.upTo(7)-3),
	}
}
