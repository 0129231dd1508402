package managed

import (
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// free is what is free for the server's pods on each node that takes new ones of them, with what they hold there
// already, and the millicores of the largest.
func (j *job) free() (nodes []fleet.Resources, cores int64) {
	held, ours := map[string]fleet.Resources{}, map[string]bool{}
	for _, p := range j.pods {
		ours[p.node] = true
	}
	for _, w := range j.snapshot.Workloads {
		if w.Ref == ref(j.server) {
			continue
		}
		for _, p := range w.Pods {
			held[p.Node] = held[p.Node].Add(p.Shape.Requests())
		}
	}
	for _, n := range j.snapshot.Nodes {
		held[n.Name] = held[n.Name].Add(n.Others)
		cores = max(cores, n.Allocatable.MilliCPU)
		_, barred := slices.BinarySearch(j.seen.Barred, n.Name)
		if !ours[n.Name] && (!n.Ready || n.Unschedulable || barred || forbids(n)) {
			continue
		}
		left := n.Allocatable.Sub(held[n.Name])
		nodes = append(nodes, fleet.Resources{MilliCPU: max(left.MilliCPU, 0), Memory: max(left.Memory, 0)})
	}
	return nodes, cores
}

// processors is the whole cores of the smallest node under the server's pods; 0: not known.
func (j *job) processors() int {
	least := 0
	for _, p := range j.pods {
		n, ok := j.snapshot.Node(p.node)
		if whole := int(n.Allocatable.MilliCPU / 1000); ok && whole > 0 && (least == 0 || whole < least) {
			least = whole
		}
	}
	return least
}

// forbids tells that a node takes no pods that do not tolerate a taint. Where a pod of the server is, more
// of them may be.
func forbids(n fleet.Node) bool {
	for _, t := range n.Taints {
		if t.Effect == "NoSchedule" || t.Effect == "NoExecute" {
			return true
		}
	}
	return false
}

// quota is what all pods of the server together may request: what quotas leave, and what they request
// already; zero: no bound. It is what is remembered of quotas; a gate knows all that they say.
func (j *job) quota() fleet.Resources {
	bounds, _ := j.snapshot.BoundsOf(j.server.Namespace)
	own := j.requested()
	var out fleet.Resources
	lower := func(to *int64, room int64) {
		if room = max(room, 1); *to == 0 || room < *to { // 1: nothing is left, where 0 would be no bound
			*to = room
		}
	}
	for _, q := range bounds.Quotas {
		for _, item := range q.Items {
			left := item.Hard - item.Used
			switch {
			case !item.Tracked:
			case item.Name == "requests.cpu" || item.Name == "cpu":
				lower(&out.MilliCPU, left+own.MilliCPU)
			case item.Name == "requests.memory" || item.Name == "memory":
				lower(&out.Memory, left+own.Memory)
			}
		}
	}
	return out
}

// requested is what the server's pods request together now.
func (j *job) requested() fleet.Resources {
	var all fleet.Resources
	for _, p := range j.pods {
		all = all.Add(p.requests)
	}
	return all
}
