package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// gaps makes the times between requests: even, Poisson, or in bursts.
type gaps struct {
	mean  time.Duration
	burst float64 // coefficient of variation: 0 even, 1 Poisson, above 1 bursts
	rand  *rand.Rand
}

// within are the times of so many requests in a span as its rate says, to the nearest whole number: that more or less comes in a
// short span is chance, which would make another load of it. The span begins and ends in the middle of a gap.
//
//	4 a second, even, in 1 s: after 125, 375, 625 and 875 ms
func (g gaps) within(span time.Duration) []time.Duration {
	n := int(math.Round(float64(span) / float64(g.mean)))
	between, sum := make([]float64, n), 0.0
	for i := range between {
		between[i] = float64(g.next())
		sum += between[i]
	}
	sum = max(sum, 1) // of gaps below a nanosecond
	times, at := make([]time.Duration, n), 0.0
	for i, gap := range between {
		at += gap
		times[i] = time.Duration((at - between[0]/2) * float64(span) / sum)
	}
	return times
}

// next is the gap before the next request. Gaps have a gamma distribution of shape 1/burst², which at a
// burst of 1 is the exponential one.
func (g gaps) next() time.Duration {
	if g.burst == 0 {
		return g.mean
	}
	shape := 1 / (g.burst * g.burst)
	return time.Duration(gamma(g.rand, shape) / shape * float64(g.mean))
}

// gamma is a random number of the gamma distribution with a shape and scale 1, by the method of Marsaglia
// and Tsang (2000): a normal number, cubed, and refused where it is too likely. Shapes below 1 are made from
// the shape above by a power of a uniform number.
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := math.Pow(1+c*x, 3)
		if v > 0 && math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
