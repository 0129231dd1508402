package sizing

// odds is the levels that an hour may reach, with their weights. What was not measured, level 0, has a
// weight that nothing reads.
type odds struct{ weight [levels]float64 }

func (o *odds) add(level uint8, weight float64) { o.weight[level] += weight }

// row is a value for each level that a plan considers, core-hours.
type row [levels]float64

// priced adds to out what an excess is expected to cost at each level of the span, times share, and empties
// o; false where o was empty.
func (o *odds) priced(out *row, s span, p prices, share float64) bool {
	defer clear(o.weight[:s.high+1])
	total := 0.0
	for _, w := range o.weight[1 : s.high+1] {
		total += w
	}
	if total == 0 {
		return false
	}
	share /= total
	weight, sum := 0.0, 0.0 // of the levels above
	for l := s.high; l >= s.low; l-- {
		out[l] += share * (weight*p.excess + p.missed*(sum-weight*worth[l]))
		weight += o.weight[l]
		sum += o.weight[l] * worth[l]
	}
	return true
}

// span is the levels from low to high, the ones that any outlook can expect and no others.
type span struct{ low, high int }

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
