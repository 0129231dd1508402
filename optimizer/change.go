package optimizer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Target is the difference between the two states of a change, as one target: the requests of every
// container that the template or a pod of both has otherwise in To, those limits that differ, the replicas and the
// capacity where they differ. Pods of From that differ among themselves are no difference.
func (c Change) Target() fleet.Target {
	var t fleet.Target
	for _, k := range c.To.Current().Containers {
		if r, moved := c.resizes(k); moved {
			t.Requests = append(t.Requests, r)
		}
	}
	slices.SortFunc(t.Requests, byContainer)
	if c.To.Replicas != c.From.Replicas {
		t.Replicas = c.To.Replicas
	}
	if c.To.Capacity != c.From.Capacity {
		t.Capacity = c.To.Capacity
	}
	return t
}

// resizes is what the change makes of container k of To, and whether the template or any pod of both has it
// otherwise in From.
func (c Change) resizes(k fleet.Container) (fleet.ContainerRequests, bool) {
	r := fleet.ContainerRequests{Container: k.Name, Requests: compute(k.Requests)}
	moved := false
	compare := func(a, b fleet.PodShape) {
		from, _ := a.Container(k.Name)
		to, _ := b.Container(k.Name)
		limits := differing(to.Limits, from.Limits)
		if limits.MilliCPU != 0 {
			r.Limits.MilliCPU = k.Limits.MilliCPU
		}
		if limits.Memory != 0 {
			r.Limits.Memory = k.Limits.Memory
		}
		moved = moved || !compute(from.Requests).Equal(compute(to.Requests)) || limits.MilliCPU|limits.Memory != 0
	}
	for _, was := range c.From.Pods {
		i := slices.IndexFunc(c.To.Pods, func(p fleet.Pod) bool { return p.UID == was.UID && p.Name == was.Name })
		if i >= 0 {
			compare(was.Shape, c.To.Pods[i].Shape)
		}
	}
	compare(c.From.Template, c.To.Template)
	return r, moved
}

// compute is the CPU and memory of r.
func compute(r fleet.Resources) fleet.Resources {
	return fleet.Resources{MilliCPU: r.MilliCPU, Memory: r.Memory}
}

// differing is the limits of CPU and memory where both have one and these are not the same; else zero.
func differing(to, from fleet.Resources) (out fleet.Resources) {
	if from.MilliCPU != 0 && to.MilliCPU != from.MilliCPU {
		out.MilliCPU = to.MilliCPU
	}
	if from.Memory != 0 && to.Memory != from.Memory {
		out.Memory = to.Memory
	}
	return out
}

// reversed is the way back: what was reached of c becomes again what it was.
func (c Change) reversed() Change {
	back := c
	back.From, back.To = c.To, c.From
	return back
}

// sizesOf is what a shape's containers ask for, as a target, with those of their limits that another shape has
// otherwise.
func sizesOf(s, other fleet.PodShape) []fleet.ContainerRequests {
	var out []fleet.ContainerRequests
	for _, k := range s.Containers {
		o, _ := other.Container(k.Name)
		out = append(out, fleet.ContainerRequests{Container: k.Name, Requests: compute(k.Requests), Limits: differing(k.Limits, o.Limits)})
	}
	slices.SortFunc(out, byContainer)
	return out
}

func byContainer(a, b fleet.ContainerRequests) int { return cmp.Compare(a.Container, b.Container) }

// proposalID names a proposal by what does not change while it stands: the workload, the policy and
// the reasons. Its numbers may still follow the measurements; see Order.Seen.
func proposalID(w fleet.Workload, policy string, reasons []fleet.Reason) string {
	text, err := json.Marshal([]any{w.Ref, w.UID, policy, reasons})
	if err != nil {
		return "" // unreachable unless bug: strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// near tells whether what is proposed now is still what a person saw: the same fields, replicas and
// capacity, and requests and limits that differ by at most a tenth, or by 10 thousandths of a core or 16 MiB.
func near(seen, now fleet.Target) bool {
	if seen.Replicas != now.Replicas || seen.Capacity != now.Capacity || len(seen.Requests) != len(now.Requests) {
		return false
	}
	for i, s := range seen.Requests {
		n := now.Requests[i]
		if s.Container != n.Container || !closeBy(s.Requests, n.Requests) || !closeBy(s.Limits, n.Limits) {
			return false
		}
	}
	return true
}

func closeBy(a, b fleet.Resources) bool {
	return close(a.MilliCPU, b.MilliCPU, 10) && close(a.Memory, b.Memory, 16<<20)
}

func close(a, b, least int64) bool {
	apart := max(a-b, b-a)
	return apart <= least || apart*10 <= max(a, b)
}

// Words is what a change does, for people: "model-server cpu 500m -> 20m, memory 1Gi -> 96Mi, memory limit 2Gi -> 192Mi; replicas
// 3 -> 2; capacity on-demand -> spot". Of pods that differ, the first that is to change is told of.
func (c Change) Words() string {
	t := c.Target()
	var parts []string
	for _, r := range t.Requests {
		parts = append(parts, r.Container+" "+c.resizeWords(r))
	}
	if t.Replicas != 0 {
		parts = append(parts, "replicas "+itoa(c.From.Replicas)+" -> "+itoa(t.Replicas))
	}
	if t.Capacity != "" {
		parts = append(parts, "capacity "+cmp.Or(string(c.From.Capacity), "unknown")+" -> "+string(t.Capacity))
	}
	if c.From.BatchSize != c.To.BatchSize {
		parts = append(parts, "batch size "+itoa(c.From.BatchSize)+" -> "+itoa(c.To.BatchSize))
	}
	return cmp.Or(strings.Join(parts, "; "), "nothing")
}

func (c Change) resizeWords(r fleet.ContainerRequests) string {
	shapes := []fleet.PodShape{c.From.Current()}
	for _, p := range c.From.Pods {
		shapes = append(shapes, p.Shape)
	}
	for _, s := range append(shapes, c.From.Template) {
		was, _ := s.Container(r.Container)
		moves := append(moveWords("", was.Requests, r.Requests), moveWords(" limit", was.Limits, was.With(r).Limits)...)
		if len(moves) > 0 {
			return strings.Join(moves, ", ")
		}
	}
	return "as it is"
}

func moveWords(what string, was, is fleet.Resources) (out []string) {
	if was.MilliCPU != is.MilliCPU {
		out = append(out, "cpu"+what+" "+fleet.FormatCPU(was.MilliCPU)+" -> "+fleet.FormatCPU(is.MilliCPU))
	}
	if was.Memory != is.Memory {
		out = append(out, "memory"+what+" "+fleet.FormatMemory(was.Memory)+" -> "+fleet.FormatMemory(is.Memory))
	}
	return out
}
