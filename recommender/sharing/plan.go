package sharing

import (
	"cmp"
	"slices"
	"strings"
)

// Sharing is which pods have which card.
type Sharing struct {
	Groups []Group  // a card each, by number
	Moved  []string // pods that were on another card before, sorted: each of them has to start again
}

// Group is the pods of one card.
type Group struct {
	Number   int      // of the card, from 1; it stays while any of its pods does
	Card     string   // its model
	Way      Way      // empty: one pod has the card alone
	Pods     []string // sorted
	Profiles []string // of each pod, where the way is MIG
	Starts   []int    // the memory slice at which each profile begins
	Duty     float64  // percentile of the summed duty in what it was planned on, without margin; 0 of a pod alone that was not measured
	Memory   int64    // bytes, the sum of the pods' peaks, without margin
	Why      Reason   // of a pod alone
}

// Plan packs the pods onto as few cards as it finds: the largest first, each on the fullest card that takes it,
// then cards are emptied one by one into the others. Names are unique. The order of pods does not matter. A
// pod that may not share, or beside which nobody fits, has its card alone, with the reason.
//
// With TimeSlice the card holds the peaks of all and the margin (or, with a Risk, seldom enough does not), and
// the percentile of the duties summed slot by slot, with its margin, is not above Busy. With MIG each pod has
// the smallest profile that holds it.
func Plan(pods []Pod, o Options) Sharing { return Replan(Sharing{}, pods, o) }

// Replan is Plan where pods run already: who is where stays while it fits with half of the margins (and ten
// times the Risk), and a pod is moved only away from a card that has become too small, or to save a card.
func Replan(before Sharing, pods []Pod, o Options) Sharing {
	n := longest(pods)
	return pack(before, pods, o, func(p Pod) load { return newLoad(p, n, o) })
}

// pack is the plan of pods that are loads of some rule.
func pack(before Sharing, pods []Pod, o Options, rule func(Pod) load) Sharing {
	p := newPacker(pods, o, rule)
	p.keep(before)
	p.fill()
	for p.emptyOne() {
	}
	return p.sharing(before)
}

// packer is a plan in the making.
type packer struct {
	o       Options
	loads   []*load // the largest first
	groups  []*group
	numbers map[int]bool // in use
}

// group is a card in the making.
type group struct {
	number  int
	members []*load
}

func newPacker(pods []Pod, o Options, rule func(Pod) load) *packer {
	p := &packer{o: o, numbers: map[int]bool{}}
	for _, pod := range pods {
		l := rule(pod)
		p.loads = append(p.loads, &l)
	}
	slices.SortFunc(p.loads, func(a, b *load) int {
		return cmp.Or(cmp.Compare(b.weight(o), a.weight(o)), strings.Compare(a.Name, b.Name))
	})
	for i, l := range p.loads {
		l.place = i
	}
	return p
}

// weight is how much of a card the pod needs, of what it needs most of.
func (l *load) weight(o Options) float64 {
	if l.alone != "" || l.profile.Size > 0 || o.Busy <= 0 {
		return l.bulk()
	}
	return max(l.bulk(), l.high/o.Busy)
}

// bulk is the part of the card that the pod takes away from others: of its slices, else of its memory.
func (l *load) bulk() float64 {
	switch {
	case l.alone == NoCard:
		return 0
	case l.profile.Size > 0:
		return float64(l.profile.Share(l.Card)) / 1000
	}
	return l.peak / float64(l.Card.Memory)
}

// keep puts the pods back on the cards they have, as far as those still hold them.
func (p *packer) keep(before Sharing) {
	half := p.o
	half.DutyMargin, half.MemoryMargin, half.Risk = p.o.DutyMargin/2, p.o.MemoryMargin/2, p.o.Risk*10
	for _, b := range before.Groups {
		g := &group{number: b.Number, members: p.named(b.Pods)}
		for len(g.members) > 1 && !half.fits(g.members) {
			g.members = without(g.members, half.misfit(g.members))
		}
		if len(g.members) > 0 {
			p.groups, p.numbers[g.number] = append(p.groups, g), true
		}
	}
}

// named is the pods that may share, or the one that had its card alone.
func (p *packer) named(names []string) []*load {
	var out []*load
	for _, l := range p.loads {
		if slices.Contains(names, l.Name) && (l.alone == "" || len(names) == 1) {
			out = append(out, l)
		}
	}
	return out
}

// misfit is the member that has to go: the smallest without which the others fit, else the largest.
func (o Options) misfit(members []*load) int {
	for i := len(members) - 1; i > 0; i-- {
		if o.fits(without(members, i)) {
			return i
		}
	}
	return 0
}

func without(members []*load, i int) []*load { return slices.Delete(slices.Clone(members), i, i+1) }

// fill puts every pod that has no card on the fullest card that takes it, or on a new one.
func (p *packer) fill() {
	placed := map[*load]bool{}
	for _, g := range p.groups {
		for _, l := range g.members {
			placed[l] = true
		}
	}
	for _, l := range p.loads {
		if placed[l] {
			continue
		}
		if g := p.best(p.groups, l); g != nil {
			g.members = append(g.members, l)
			continue
		}
		p.groups = append(p.groups, &group{number: p.unused(), members: []*load{l}})
	}
}

// unused is the smallest number that no card has, taken.
func (p *packer) unused() int {
	n := 1
	for p.numbers[n] {
		n++
	}
	p.numbers[n] = true
	return n
}

// best is the group that the pod fits in and that is fullest, the first of equals; nil: none.
func (p *packer) best(groups []*group, l *load) *group {
	if l.alone != "" {
		return nil
	}
	order := slices.SortedStableFunc(slices.Values(groups), func(a, b *group) int {
		return cmp.Compare(b.bulk(), a.bulk())
	})
	for _, g := range order {
		if len(g.members) > 0 && p.o.fits(append(slices.Clip(g.members), l)) {
			return g
		}
	}
	return nil
}

func (g *group) bulk() float64 {
	var sum float64
	for _, l := range g.members {
		sum += l.bulk()
	}
	return sum
}

// sharing is the plan as others see it.
func (p *packer) sharing(before Sharing) Sharing {
	had := map[string]int{}
	for _, g := range before.Groups {
		for _, name := range g.Pods {
			had[name] = g.Number
		}
	}
	var s Sharing
	for _, g := range p.groups {
		out := g.result(p.o)
		for _, name := range out.Pods {
			if had[name] != 0 && had[name] != g.number {
				s.Moved = append(s.Moved, name)
			}
		}
		s.Groups = append(s.Groups, out)
	}
	slices.Sort(s.Moved)
	return s
}

func (g *group) result(o Options) Group {
	slices.SortFunc(g.members, func(a, b *load) int { return strings.Compare(a.Name, b.Name) })
	out := Group{Number: g.number, Card: g.members[0].Card.Name, Duty: o.together(g.members)}
	for _, l := range g.members {
		out.Memory += int64(l.peak)
		out.Pods = append(out.Pods, l.Name)
	}
	if len(g.members) == 1 {
		out.Why = cmp.Or(g.members[0].alone, NoCompanions)
		return out
	}
	if out.Way = o.Way; o.Way == MIG {
		profiles := profilesOf(g.members)
		out.Starts, _ = g.members[0].Card.Layout(profiles)
		for _, p := range profiles {
			out.Profiles = append(out.Profiles, p.Name)
		}
	}
	return out
}
