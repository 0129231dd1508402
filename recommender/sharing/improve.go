package sharing

import (
	"cmp"
	"slices"
)

// widest is how many cards a pod may be exchanged among: the search looks at pairs of them.
const widest = 256

// emptyOne takes all pods off some card and tells whether it could; the least full are tried first.
func (p *packer) emptyOne() bool {
	p.arrange()
	order := slices.SortedStableFunc(slices.Values(p.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.bulk(), b.bulk()), cmp.Compare(b.number, a.number))
	})
	for _, g := range order {
		if others, ok := p.spread(g); ok {
			p.groups = others
			delete(p.numbers, g.number)
			return true
		}
	}
	return false
}

// arrange puts cards and pods in an order that does not depend on how they came there, so that planning again
// what was just planned finds nothing that was not found before.
func (p *packer) arrange() {
	slices.SortFunc(p.groups, func(a, b *group) int { return cmp.Compare(a.number, b.number) })
	for _, g := range p.groups {
		slices.SortFunc(g.members, func(a, b *load) int { return cmp.Compare(a.place, b.place) })
	}
}

// spread is all other cards with the pods of g among them; false where they do not take all of them.
func (p *packer) spread(g *group) ([]*group, bool) {
	var others []*group
	for _, o := range p.groups {
		if o != g {
			others = append(others, &group{o.number, slices.Clone(o.members)})
		}
	}
	for _, l := range g.members {
		if !p.squeeze(others, l) {
			return nil, false
		}
	}
	return others, true
}

// squeeze puts the pod on one of the cards, if need be in the place of another pod that goes to a third.
func (p *packer) squeeze(groups []*group, l *load) bool {
	if l.alone != "" {
		return false
	}
	if g := p.best(groups, l); g != nil {
		g.members = append(g.members, l)
		return true
	}
	if len(groups) > widest {
		return false
	}
	for i, g := range groups {
		for k, out := range g.members {
			swapped := append(without(g.members, k), l)
			if out.alone != "" || !p.o.fits(swapped) {
				continue
			}
			rest := append(slices.Clone(groups[:i]), groups[i+1:]...)
			if to := p.best(rest, out); to != nil {
				to.members, g.members = append(to.members, out), swapped
				return true
			}
		}
	}
	return false
}
