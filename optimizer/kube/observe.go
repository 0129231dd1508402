package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Observe gives every Deployment and StatefulSet outside kube-system with its live pods, every node,
// and the bounds of every namespace, from the caches. Which of them Trimtab may touch is for the
// policies to say. It fails when something was not read yet or was not heard of for too long.
func (c *Cluster) Observe(ctx context.Context) (fleet.Snapshot, error) {
	if err := c.ready(ctx); err != nil {
		return fleet.Snapshot{}, fmt.Errorf("observe the cluster: %w", err)
	}
	nodes := c.nodes.all()
	all, owners := c.owned()
	s := fleet.Snapshot{At: time.Now().UTC(), Workloads: c.workloads(all, owners, nodes), Bounds: c.bounds()}
	others := c.others(owners)
	for _, n := range nodes {
		seen := n.seen
		seen.Others = others[n.Name]
		s.Nodes = append(s.Nodes, seen)
	}
	return s, nil
}

// others is what pods that no owner has take of each node, and those that are on their way out.
func (c *Cluster) others(owners ownership) map[string]fleet.Resources {
	sum := map[string]fleet.Resources{}
	for _, p := range c.pods.all() {
		if _, ok := owners.of(p); !(ok && p.live) && !p.finished && p.seen.Node != "" {
			sum[p.seen.Node] = sum[p.seen.Node].Add(p.charge)
		}
	}
	return sum
}

// owned is the workloads outside kube-system, and what leads from pods to them.
func (c *Cluster) owned() ([]*workload, ownership) {
	o := ownership{map[types.UID]*workload{}, map[types.UID]types.UID{}}
	all := slices.DeleteFunc(slices.Concat(c.deployments.all(), c.statefulSets.all()), func(w *workload) bool {
		return w.Namespace == systemNamespace
	})
	for _, w := range all {
		o.workloads[w.UID] = w
	}
	for _, rs := range c.replicaSets.all() {
		o.replicaSets[rs.UID] = rs.controller
	}
	return all, o
}

// workloads joins each workload with its pods, their nodes and its autoscalers.
func (c *Cluster) workloads(all []*workload, owners ownership, nodes []*node) []fleet.Workload {
	pods := map[types.UID][]fleet.Pod{}
	for _, p := range c.pods.all() {
		if w, ok := owners.of(p); ok && p.live {
			pods[w.UID] = append(pods[w.UID], p.seen)
		}
	}
	scaled, set := map[fleet.Ref][]fleet.Owner{}, map[fleet.Ref][]fleet.Autoscaler{}
	for _, a := range c.autoscalers.all() {
		scaled[a.target] = append(scaled[a.target], a.owners...)
		set[a.target] = append(set[a.target], a.set)
	}
	bought := map[string]fleet.Capacity{}
	for _, n := range nodes {
		bought[n.Name] = n.seen.Capacity
	}
	spot, closed, budgets := newSpotNodes(nodes), bars{nodes, map[string][]string{}}, c.disruptions.all()
	out := make([]fleet.Workload, 0, len(all))
	for _, w := range all {
		seen := w.seen
		seen.Pods = pods[w.UID]
		seen.Owners = sorted(slices.Concat(seen.Owners, scaled[seen.Ref]))
		if one := set[seen.Ref]; len(one) == 1 {
			seen.Autoscaler = one[0]
		}
		seen.Budgeted = leastOf(w, budgets)
		seen.Capacity = common(seen.Pods, bought)
		seen.TolerateSpot = w.toleratesSpot(spot.open)
		if seen.Ref.Kind == "Deployment" {
			seen.SpotNodes, seen.Barred = spot.allowedBy(w.placement), closed.of(w.placement)
		}
		out = append(out, seen)
	}
	slices.SortFunc(out, func(a, b fleet.Workload) int { return a.Ref.Compare(b.Ref) })
	return out
}

// common is how the nodes under the pods are bought, if that is known of each and the same for all.
// Pods that wait for a node say nothing.
func common(pods []fleet.Pod, bought map[string]fleet.Capacity) fleet.Capacity {
	var said fleet.Capacity
	for _, p := range pods {
		if p.Node == "" {
			continue
		}
		c := bought[p.Node]
		if c == "" || said != "" && c != said {
			return ""
		}
		said = c
	}
	return said
}
