package simulator

import (
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// place gives every workload its pods, each on the emptiest node of its pool.
func place(c *checker, s *spec) {
	if len(c.byLine) > 0 {
		return
	}
	free, spot := allocatable(s.nodes), spotNodes(s.nodes)
	for i := range s.models {
		m := &s.models[i]
		if m.Ref.Kind == "Deployment" {
			m.SpotNodes = spot
		}
		at := s.pools[m.pool]
		nodes, ok := spread(m.Template.Requests(), int(m.Replicas), free, func(n int) bool { return n >= at.first && n < at.first+at.count })
		if !ok {
			c.at(fmt.Sprintf("the pods of %s do not fit on node pool %q; give it a larger count", m.Ref, m.pool), "workloads")
			return
		}
		m.Capacity = s.nodes[at.first].Capacity
		for n, node := range nodes {
			m.Pods = append(m.Pods, s.pod(*m, n, s.nodes[node].Name, m.since.Add(-m.startup)))
		}
	}
}

// pod is the n-th pod of a model.
func (s *spec) pod(m model, n int, node string, created time.Time) fleet.Pod {
	return fleet.Pod{
		Name: fmt.Sprintf("%s-%06x-%03d", m.Ref.Name, uint64(s.dice.of(m.Ref.String()))>>40, n),
		UID:  fmt.Sprintf("%s-%d", m.UID, n), Node: node, Ready: true, Created: created, Shape: m.Template,
	}
}

// spotNodes is the names, sorted, of the nodes a workload may move to: nothing in a fleet file narrows them.
func spotNodes(nodes []fleet.Node) []string {
	var out []string
	for _, n := range nodes {
		if n.Ready && !n.Unschedulable && n.Capacity == fleet.Spot {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

func allocatable(nodes []fleet.Node) []fleet.Resources {
	free := make([]fleet.Resources, len(nodes))
	for i, n := range nodes {
		free[i] = n.Allocatable
	}
	return free
}

// spread finds nodes for n pods, one after the other on the node with most CPU left of those that
// may be used, and takes their room from free. It is false where one does not fit.
func spread(pod fleet.Resources, n int, free []fleet.Resources, may func(node int) bool) ([]int, bool) {
	var out []int
	for range n {
		best := -1
		for i, room := range free {
			if may(i) && pod.Fits(room) && (best < 0 || room.MilliCPU > free[best].MilliCPU) {
				best = i
			}
		}
		if best < 0 {
			return nil, false
		}
		free[best] = free[best].Sub(pod)
		out = append(out, best)
	}
	return out, true
}

// room finds nodes of w's capacity for so many pods of its, beside the pods of every workload but the i-th; -1: of all.
func (c *Cluster) room(w fleet.Workload, pods, i int) ([]string, bool) {
	free := allocatable(c.nodes)
	for j, m := range c.models {
		for _, p := range m.Pods {
			if n := c.indexOf(p.Node); j != i && n >= 0 {
				free[n] = free[n].Sub(p.Shape.Requests())
			}
		}
	}
	at, ok := spread(w.Current().Requests(), pods, free, func(n int) bool { return c.nodes[n].Capacity == w.Capacity })
	names := make([]string, 0, len(at))
	for _, n := range at {
		names = append(names, c.nodes[n].Name)
	}
	return names, ok
}

func (c *Cluster) indexOf(node string) int {
	for i, n := range c.nodes {
		if n.Name == node {
			return i
		}
	}
	return -1
}
