package sharing

import (
	"math"
	"slices"
)

// fits tells whether the pods may have one card together.
func (o Options) fits(members []*load) bool {
	first := members[0]
	for _, l := range members {
		if l.alone != "" || l.Card.Name != first.Card.Name {
			return false
		}
	}
	switch {
	case len(members) > o.MaxPods:
		return false
	case o.Way == MIG:
		_, ok := first.Card.Layout(profilesOf(members))
		return ok
	case o.Way != TimeSlice:
		return false
	}
	return (o.roomy(members) || o.apartEnough(members)) && o.calm(members)
}

// roomy tells whether the card holds the peaks of all at once: whenever they come, they cannot meet above it.
func (o Options) roomy(members []*load) bool {
	var sum float64
	for _, l := range members {
		sum += l.peak
	}
	return math.Ceil(sum*(1+o.MemoryMargin)) <= float64(members[0].Card.Memory)
}

// calm tells whether the percentile of the summed duties, with the margin, is at most Busy: that is, whether few
// enough slots are above it.
func (o Options) calm(members []*load) bool {
	n := len(members[0].duty)
	limit, over := o.Busy/(1+o.DutyMargin), n-1-rank(n, o.Percentile)
	for t := range n {
		var sum float64
		for _, l := range members {
			sum += l.duty[t]
		}
		if sum > limit {
			if over--; over < 0 {
				return false
			}
		}
	}
	return true
}

// together is the percentile of the duties summed slot by slot.
func (o Options) together(members []*load) float64 {
	if len(members) == 1 {
		return members[0].high
	}
	sum := slices.Clone(members[0].duty)
	for _, l := range members[1:] {
		for i, v := range l.duty {
			sum[i] += v
		}
	}
	slices.Sort(sum)
	return sum[rank(len(sum), o.Percentile)]
}

func profilesOf(members []*load) []Profile {
	out := make([]Profile, len(members))
	for i, l := range members {
		out[i] = l.profile
	}
	return out
}
