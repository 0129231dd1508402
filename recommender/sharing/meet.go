package sharing

import "math"

// parts is how many parts of a card's memory are told apart in the chance that pods meet above it.
const parts = 256

// chances is how a pod's memory spreads over the parts of its card: the share of the measured slots in which it used so
// many, with the margin and rounded up; the last is all above the card.
type chances [parts + 2]float64

func newChances(memory []float64, card int64, margin float64) *chances {
	var c chances
	n := 0.0
	for _, v := range memory {
		if math.IsNaN(v) {
			continue
		}
		c[min(parts+1, int(math.Ceil(v*(1+margin)/float64(card)*parts)))]++
		n++
	}
	for i := range c {
		c[i] /= max(n, 1)
	}
	return &c
}

// plus is the memory of two pods together, if neither knows what the other does.
func (c *chances) plus(o *chances) *chances {
	var out chances
	for i, p := range c {
		if p == 0 {
			continue
		}
		for j, q := range o {
			out[min(parts+1, i+j)] += p * q
		}
	}
	return &out
}

// above is the chance that two pods use more than the card together.
func (c *chances) above(o *chances) float64 {
	var tail [parts + 3]float64 // of o: that many parts or more
	for j := parts + 1; j >= 0; j-- {
		tail[j] = tail[j+1] + o[j]
	}
	var sum float64
	for i, p := range c {
		sum += p * tail[max(0, parts+1-i)]
	}
	return sum
}

// apartEnough tells whether pods whose peaks the card could not hold all at once seldom enough meet: never, with
// the margin, in the slots that were measured, and with a chance of at most Risk a slot if each is taken to
// use its memory when it likes. The first finds pods that peak together, the second those that only were lucky.
func (o Options) apartEnough(members []*load) bool {
	if o.Risk <= 0 || o.mean(members) > float64(members[0].Card.Memory) || o.peak(members)*(1+o.MemoryMargin) > float64(members[0].Card.Memory) {
		return false
	}
	last := len(members) - 1
	together := members[0].chances
	for _, l := range members[1:last] {
		together = together.plus(l.chances)
	}
	return together.above(members[last].chances) <= o.Risk
}

// mean is what the pods use on average, with the margin: more than the card holds is a quick no.
func (o Options) mean(members []*load) float64 {
	var sum float64
	for _, l := range members {
		sum += l.mean
	}
	return sum * (1 + o.MemoryMargin)
}

// peak is the largest sum of memory in any slot, where a slot that was not measured counts as the pod's peak.
func (o Options) peak(members []*load) float64 {
	var top float64
	for t := range members[0].duty {
		var sum float64
		for _, l := range members {
			if t < len(l.Memory) && !math.IsNaN(l.Memory[t]) {
				sum += l.Memory[t]
			} else {
				sum += l.peak
			}
		}
		top = max(top, sum)
	}
	return top
}
