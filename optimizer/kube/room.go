package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// berths is the nodes of names that pods of spec may move to by what the caches say now.
func (c *Cluster) berths(ctx context.Context, spec *corev1.PodSpec, names []string) ([]*node, error) {
	if err := c.ready(ctx); err != nil {
		return nil, fmt.Errorf("look for room on spot nodes: %w", err)
	}
	p := readPlacement(spec)
	m := p.moved()
	var allowed, chosen []*node
	for _, n := range c.nodes.all() {
		if slices.Contains(names, n.Name) && n.openSpot() && m.selects(n) && m.mayEnter(n) {
			allowed = append(allowed, n)
		}
	}
	for _, n := range allowed {
		if p.selects(n) {
			chosen = append(chosen, n)
		}
	}
	switch {
	case len(allowed) == 0:
		return nil, fmt.Errorf("no spot node that its nodeSelector and affinity allow is ready and schedulable (was: %s)", strings.Join(names, ", "))
	case len(chosen) == 0:
		return nil, fmt.Errorf("its pod template asks for other capacity by %s: remove that for it to be moved", strings.Join(p.capacityKeys(), ", "))
	}
	return chosen, nil
}

// room is an error that says what is left, unless one of nodes has room for the pod.
func (c *Cluster) room(nodes []*node, pod fleet.Resources) error {
	spaces := c.spaces(nodes)
	if slices.ContainsFunc(spaces, func(s space) bool { return s.takes(pod) }) {
		return nil
	}
	return noRoom(pod, spaces)
}

// oneMore is what a new pod of spec asks for after the change: requests that are given in place come later.
// Where a container states none, its limits are its requests.
func oneMore(spec *corev1.PodSpec, c optimizer.Change, t fleet.Target) fleet.Resources {
	if c.Apply != policies.InTemplate {
		t.Requests = nil
	}
	w := fleet.Workload{Template: shape(spec)}.With(fleet.Target{Requests: t.Requests})
	for i := range w.Template.Containers {
		k := &w.Template.Containers[i]
		k.Requests.MilliCPU = cmp.Or(k.Requests.MilliCPU, k.Limits.MilliCPU)
		k.Requests.Memory = cmp.Or(k.Requests.Memory, k.Limits.Memory)
	}
	return w.Template.Requests()
}

// space is what the pods on a node leave of it.
type space struct {
	node *node
	left fleet.Resources
	pods int64
}

func (s space) takes(pod fleet.Resources) bool { return s.pods > 0 && pod.Fits(s.left) }

// spaces is what is left of each of nodes by the caches. A pod that is going holds its room until it has gone.
func (c *Cluster) spaces(nodes []*node) []space {
	charged, count := map[string]fleet.Resources{}, map[string]int64{}
	for _, p := range c.pods.all() {
		if !p.finished {
			charged[p.seen.Node] = charged[p.seen.Node].Add(p.charge)
			count[p.seen.Node]++
		}
	}
	out := make([]space, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, space{n, n.seen.Allocatable.Sub(charged[n.Name]), n.pods - count[n.Name]})
	}
	return out
}

// noRoom says what a pod needs and what the roomiest of the nodes have left.
func noRoom(pod fleet.Resources, spaces []space) error {
	const most = 3
	slices.SortStableFunc(spaces, func(a, b space) int { return cmp.Compare(b.left.MilliCPU, a.left.MilliCPU) })
	var left []string
	for _, s := range spaces[:min(len(spaces), most)] {
		left = append(left, fmt.Sprintf("%s has %s and %d pods left", s.node.Name, amounts(s.left), max(s.pods, 0)))
	}
	if n := len(spaces) - most; n > 0 {
		left = append(left, fmt.Sprintf("%d more nodes no more than these", n))
	}
	return fmt.Errorf("no ready spot node has room for one pod, which asks for %s: %s", amounts(pod), strings.Join(left, "; "))
}

// amounts is resources for people: "cpu 500m, memory 1Gi, nvidia.com/gpu 1".
func amounts(r fleet.Resources) string {
	parts := []string{"cpu " + fleet.FormatCPU(r.MilliCPU), "memory " + fleet.FormatMemory(r.Memory)}
	for _, e := range r.Extended {
		parts = append(parts, fmt.Sprintf("%s %d", e.Name, e.Count))
	}
	return strings.Join(parts, ", ")
}
