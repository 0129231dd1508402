package replay

import "slices"

// little is the share of a node below which what is asked for on it does not keep it, the Cluster Autoscaler's default.
const little = 0.5

// drain empties nodes on which little was asked for in so many steps in a row, the emptiest first, if everything on
// them fits on others; 0 steps: none.
func (p *packer) drain(steps int) {
	if steps == 0 {
		return
	}
	var idle []int
	for node := range p.sums {
		if p.held[node] == 0 || p.sums[node] >= little*p.cores {
			p.idle[node] = 0
		} else if p.idle[node]++; p.idle[node] > steps {
			idle = append(idle, node)
		}
	}
	slices.SortStableFunc(idle, func(a, b int) int { return compare(p.sums[a], p.sums[b]) })
	for _, node := range idle {
		if p.sums[node] < little*p.cores { // it may have taken another's
			p.empties(node)
		}
	}
}

// empties moves all series of a node onto others, the largest first, if each finds room there; else none.
func (p *packer) empties(node int) {
	here := p.on(node)
	slices.SortStableFunc(here, func(a, b int) int { return compare(p.size(b), p.size(a)) })
	for k, i := range here {
		to := p.room(i, node)
		if to == none {
			for _, i := range here[:k] {
				p.leave(i)
				p.put(i, node)
			}
			return
		}
		p.leave(i)
		p.put(i, to)
	}
	p.out.Moves += len(here)
}

// leave takes a series off its node.
func (p *packer) leave(i int) {
	node := p.loads[i].node
	p.sums[node] -= p.size(i)
	p.held[node]--
}
