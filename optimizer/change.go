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
// container that the template or a pod of both has otherwise in To, the replicas and the capacity where
// they differ. Pods of From that differ among themselves are no difference.
func (c Change) Target() fleet.Target {
	var t fleet.Target
	for _, r := range requestsOf(c.To.Current()) {
		if c.resizes(r.Container) {
			t.Requests = append(t.Requests, r)
		}
	}
	if c.To.Replicas != c.From.Replicas {
		t.Replicas = c.To.Replicas
	}
	if c.To.Capacity != c.From.Capacity {
		t.Capacity = c.To.Capacity
	}
	return t
}

// resizes tells whether the container asks for something else in To, in the template or in any pod of both.
func (c Change) resizes(container string) bool {
	differ := func(a, b fleet.PodShape) bool {
		from, _ := a.Container(container)
		to, _ := b.Container(container)
		return from.Requests.MilliCPU != to.Requests.MilliCPU || from.Requests.Memory != to.Requests.Memory
	}
	for _, was := range c.From.Pods {
		i := slices.IndexFunc(c.To.Pods, func(p fleet.Pod) bool { return p.UID == was.UID && p.Name == was.Name })
		if i >= 0 && differ(was.Shape, c.To.Pods[i].Shape) {
			return true
		}
	}
	return differ(c.From.Template, c.To.Template)
}

// reversed is the way back: what was reached of c becomes again what it was.
func (c Change) reversed() Change {
	back := c
	back.From, back.To = c.To, c.From
	return back
}

// requestsOf is what a shape's containers ask for, as a target.
func requestsOf(s fleet.PodShape) []fleet.ContainerRequests {
	var out []fleet.ContainerRequests
	for _, k := range s.Containers {
		out = append(out, fleet.ContainerRequests{Container: k.Name,
			Requests: fleet.Resources{MilliCPU: k.Requests.MilliCPU, Memory: k.Requests.Memory}})
	}
	slices.SortFunc(out, func(a, b fleet.ContainerRequests) int { return cmp.Compare(a.Container, b.Container) })
	return out
}

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
// capacity, and requests that differ by at most a tenth, or by 10 thousandths of a core or 16 MiB.
func near(seen, now fleet.Target) bool {
	if seen.Replicas != now.Replicas || seen.Capacity != now.Capacity || len(seen.Requests) != len(now.Requests) {
		return false
	}
	for i, s := range seen.Requests {
		n := now.Requests[i]
		if s.Container != n.Container || !close(s.Requests.MilliCPU, n.Requests.MilliCPU, 10) || !close(s.Requests.Memory, n.Requests.Memory, 16<<20) {
			return false
		}
	}
	return true
}

func close(a, b, least int64) bool {
	apart := max(a-b, b-a)
	return apart <= least || apart*10 <= max(a, b)
}

// Words is what a change does, for people: "model-server cpu 500m -> 20m, memory 1Gi -> 96Mi; replicas
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
		var moves []string
		if was.Requests.MilliCPU != r.Requests.MilliCPU {
			moves = append(moves, "cpu "+fleet.FormatCPU(was.Requests.MilliCPU)+" -> "+fleet.FormatCPU(r.Requests.MilliCPU))
		}
		if was.Requests.Memory != r.Requests.Memory {
			moves = append(moves, "memory "+fleet.FormatMemory(was.Requests.Memory)+" -> "+fleet.FormatMemory(r.Requests.Memory))
		}
		if len(moves) > 0 {
			return strings.Join(moves, ", ")
		}
	}
	return "as it is"
}
