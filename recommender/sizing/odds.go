package sizing

// odds is the levels that an hour may reach, with their weights. What was not measured, level 0, has a
// weight that nothing reads.
type odds struct {
	weight [levels]float64
	one    row // what is being priced
}

func (o *odds) add(level uint8, weight float64) { o.weight[level] += weight }

// row is a value for each level that a plan considers, core-hours.
type row [levels]float64

// priced adds to out what an excess is expected to cost at each level of the span, times share, and empties
// o; false where o was empty. No level has a weight that is outside of the span, but those below its least.
func (o *odds) priced(out *row, s span, p prices, share float64) bool {
	of, at, to, one := o.weight[s.low:s.high+1], worth[s.low:s.high+1], out[s.low:s.high+1], o.one[s.low:s.high+1]
	weight, sum := 0.0, 0.0 // of the levels above
	base, slope := 0.0, 0.0 // of what they cost here: between two levels that have a weight it is a straight line
	for l := len(of) - 1; l >= 0; l-- {
		one[l] = base - slope*at[l]
		if w := of[l]; w != 0 {
			weight += w
			sum += w * at[l]
			base, slope = weight*p.excess+p.missed*sum, p.missed*weight
		}
	}
	for _, w := range o.weight[s.least:s.low] {
		weight += w
	}
	clear(o.weight[s.least : s.high+1])
	if weight == 0 {
		return false
	}
	share /= weight
	for l, v := range one {
		to[l] += share * v
	}
	return true
}

// span is the levels from low to high, the ones that any outlook can expect and no others, and the least that was
// measured, which a floor may put low above.
type span struct{ low, high, least int }

// prices are in core-hours, those of the container at hand.
type prices struct {
	excess float64 // an hour in which use exceeds the request
	missed float64 // a core by which its peak does
	change float64 // a new request
}

// of is what an hour with the given peak costs at a level.
func (p prices) of(level, peak uint8) float64 {
	c := worth[level]
	if peak > level {
		c += p.excess + p.missed*(worth[peak]-worth[level])
	}
	return c
}

// cheapest is the level of the span at which reserving and row cost least.
func (s span) cheapest(expected *row, hours float64) uint8 {
	best, least := s.low, expected[s.low]+hours*worth[s.low]
	for l := s.low + 1; l <= s.high; l++ {
		if c := expected[l] + hours*worth[l]; c < least {
			best, least = l, c
		}
	}
	return uint8(best)
}
