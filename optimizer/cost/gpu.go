package cost

import "trimtab.dev/trimtab/optimizer/fleet"

// GPU is what that many thousandths of a GPU in each of the workload's pods cost in a month of 730 hours:
// the part of the nodes' prices that falls on GPUs, as Monthly counts it in. A slice or a share of a GPU is a
// GPU here, at its part of the price. A node whose price has no part for GPUs leaves them unpriced.
//
//	one GPU of 4 in a g4dn.12xlarge ($3.912 an hour, of which 61.98 % is for GPUs): $442.51 a month
func (p Prices) GPU(w fleet.Workload, nodes []fleet.Node, milli int64) Line {
	if milli == 0 {
		return Line{}
	}
	return p.copies(w, nodes, func(n fleet.Node) Line {
		m, ok := p.machine(n)
		switch {
		case !ok:
			return Line{Unpriced: []string{unpriced(n)}}
		case m.devices == 0 || m.offer.gpu == 0:
			return Line{Unpriced: []string{"the GPUs of " + unpriced(n)}}
		}
		share := (m.hourly * MonthHours).Times(m.offer.gpu, m.offer.sum())
		return Line{Amount: share.Times(milli, 1000*m.devices)}
	})
}
