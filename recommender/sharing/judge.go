package sharing

import "math"

// Use is what one card of a plan had to bear in slots that the plan did not know.
type Use struct {
	Number   int // of the card
	Pods     int
	Overflow int       // slots in which its pods used more memory than the card, or one of them more than its slice
	Duty     []float64 // summed over its pods, each slot
	Slice    []float64 // of the slice that was busiest in the slot, slowed as Card.Smallest takes it; the same as Duty where there are none
}

// Judge is the use of every card of the plan in the slots from to to (not included). A pod that was not
// measured in a slot counts as using nothing in it.
func Judge(s Sharing, pods []Pod, from, to int) []Use {
	byName := map[string]Pod{}
	for _, p := range pods {
		byName[p.Name] = p
	}
	out := make([]Use, len(s.Groups))
	for i, g := range s.Groups {
		out[i] = Use{Number: g.Number, Pods: len(g.Pods)}
		for t := from; t < to; t++ {
			duty, slice, over := g.at(byName, t)
			out[i].Duty, out[i].Slice = append(out[i].Duty, duty), append(out[i].Slice, slice)
			if over {
				out[i].Overflow++
			}
		}
	}
	return out
}

// at is the group's summed duty in one slot, that of its busiest slice, and whether memory ran out.
func (g Group) at(pods map[string]Pod, t int) (duty, slice float64, over bool) {
	var memory, limit float64
	for i, name := range g.Pods {
		p := pods[name]
		d, m := value(p.Duty, t), value(p.Memory, t)
		duty, memory, limit = duty+d, memory+m, float64(p.Card.Memory)
		if g.Way == MIG {
			profile, _ := p.Card.Profile(g.Profiles[i])
			slice, over = max(slice, p.Card.slowed(d, profile)), over || m > float64(profile.Memory)
		}
	}
	if g.Way == MIG {
		return duty, slice, over
	}
	return duty, duty, limit > 0 && memory > limit
}

// Profile is the card's MIG profile of that name; false: it has none such.
func (c Card) Profile(name string) (Profile, bool) {
	for _, p := range c.Profiles {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}

// value is what was measured in slot t, 0 where nothing was.
func value(series []float64, t int) float64 {
	if t >= len(series) || math.IsNaN(series[t]) {
		return 0
	}
	return series[t]
}
