package cost

import "trimtab.dev/trimtab/optimizer/fleet"

// Monthly is what the workload's requests cost in a month of 730 hours: Replicas copies of its
// current shape, each at the mean price of the same shape on the nodes under its pods. Pods that
// have no node yet, or are on another capacity than w.Capacity (after a Target moved it), are
// priced like the others; where none is left, at the mean of the ready nodes of that capacity that
// a pod fits on; for spot, of those in w.SpotNodes where it names any. A pod that asks for nothing costs
// nothing: idle parts of nodes belong to no workload.
//
//	500m and 1Gi on m5.large (2 cores, 8 GiB, $0.096 an hour): 0.0200425 of 0.097118 at default rates,
//	so $0.096 × 0.206373 × 730 = $14.46 a month; three of them $43.39
func (p Prices) Monthly(w fleet.Workload, nodes []fleet.Node) Line {
	shape := w.Current().Requests()
	return p.copies(w, nodes, func(n fleet.Node) Line { return p.pod(shape, n, MonthHours) })
}

// Replicas is what that many thousandths of a replica of the workload cost in a month of 730 hours; negative for fewer
// than none.
func (p Prices) Replicas(w fleet.Workload, nodes []fleet.Node, milli int64) Line {
	if milli == 0 {
		return Line{}
	}
	w.Replicas = 1
	line := p.Monthly(w, nodes)
	line.Amount = line.Amount.Times(milli, 1000)
	return line
}

// copies is Replicas times the mean of what one pod costs on the nodes that w is priced on.
func (p Prices) copies(w fleet.Workload, nodes []fleet.Node, one func(fleet.Node) Line) Line {
	if w.Replicas <= 0 {
		return Line{}
	}
	shape := w.Current().Requests()
	base := under(w, nodes)
	if len(base) == 0 {
		base = candidates(w, shape, nodes)
	}
	if len(base) == 0 {
		return Line{Unpriced: []string{nowhere(w.Capacity)}}
	}
	var sum Line
	for _, n := range base {
		sum = sum.Add(one(n))
	}
	sum.Amount = sum.Amount.Times(int64(w.Replicas), int64(len(base)))
	return sum
}

// pod is what one pod of the given requests costs on node n.
func (p Prices) pod(r fleet.Resources, n fleet.Node, hours int64) Line {
	m, ok := p.machine(n)
	if !ok {
		return Line{Unpriced: []string{unpriced(n)}}
	}
	return Line{Amount: m.charge(r, hours)}
}

// under is the node of every pod that is on one of the workload's capacity, in the order of the pods.
func under(w fleet.Workload, nodes []fleet.Node) []fleet.Node {
	byName := make(map[string]fleet.Node, len(nodes))
	for _, n := range nodes {
		byName[n.Name] = n
	}
	var out []fleet.Node
	for _, pod := range w.Pods {
		n, ok := byName[pod.Node]
		if ok && pod.Node != "" && (w.Capacity == "" || n.Capacity == w.Capacity) {
			out = append(out, n)
		}
	}
	return out
}

// candidates is the ready nodes of the workload's capacity (empty: of any) that a pod would fit on when
// empty; for spot only those it may move to, where these are known.
func candidates(w fleet.Workload, r fleet.Resources, nodes []fleet.Node) []fleet.Node {
	named := w.Capacity == fleet.Spot && len(w.SpotNodes) > 0
	var out []fleet.Node
	for _, n := range nodes {
		right := w.Capacity == "" || n.Capacity == w.Capacity && (!named || w.MayMoveTo(n.Name))
		if n.Ready && right && r.Fits(n.Allocatable) {
			out = append(out, n)
		}
	}
	return out
}

func nowhere(c fleet.Capacity) string {
	if c == "" {
		return "pods without a node"
	}
	return string(c) + " capacity (no ready node)"
}
