package main

import (
	"math"

	"trimtab.dev/trimtab/recommender/capacity"
)

// rivalAnswer is what another model says of a combination. Latencies are in seconds, infinite where it sees
// more come than can be answered.
type rivalAnswer struct{ p99, cores float64 }

// single is M/D/1: every request by itself, arrivals at random, and a service time that never varies, which
// is the model's for one row and what is beside it. It knows nothing of batches, delays and bursts. With
// several cores each has its share of the requests.
//
// The tail of the wait is exact but for what is beyond its first exponential (Cramér and Lundberg): of
// arrivals at rate l and service d it is P(wait > t) = (1-ld)/(l d e^(xd) - 1) e^(-xt), with x the positive root of
// l (e^(xd) - 1) = x.
func single(s capacity.Service, l capacity.Load, cores int) rivalAnswer {
	rate, took := l.Rate/float64(cores), s.Curve.Wall.At(1)+s.Path+s.PerBatch
	return rivalAnswer{
		p99:   s.Curve.Wall.At(1) + s.PerBatch + s.Reach + waitMD1(rate, took, 0.99),
		cores: l.Rate*(s.Curve.CPU.At(1)+s.PerBatch+s.Path) + s.Idle,
	}
}

// waitMD1 is the wait that share p of the requests do not exceed.
func waitMD1(rate, took, p float64) float64 {
	busy := rate * took
	switch {
	case busy >= 1:
		return math.Inf(1)
	case busy <= 1-p:
		return 0 // so many need not wait at all
	}
	low, high := 0.0, 1/took // the root, by halving: the left side is below the right before it, and above after it
	for rate*math.Expm1(high*took) < high {
		high *= 2
	}
	for range 100 {
		if x := (low + high) / 2; rate*math.Expm1(x*took) < x {
			low = x
		} else {
			high = x
		}
	}
	factor := (1 - busy) / (busy*math.Exp(high*took) - 1)
	return max(0, math.Log(factor/(1-p))/high)
}

// meanValue is a mean-value queue as llm-d's optimizer solves it: a Markov chain of how many requests are
// inside, which n at a time leave at the rate n ÷ (the curve at n), n up to the batch limit. It gives means;
// the tail is that of an exponential. It knows nothing of the wait for others, to which half of the delay is
// added here in its favour, where the batch may have more than one row.
func meanValue(s capacity.Service, l capacity.Load, at capacity.Setting) rivalAnswer {
	limit := max(1, at.Batch)
	rate := l.Rate / float64(max(1, at.Instances))
	inside, serving, ok := chain(rate, limit, func(n int) float64 { return s.Curve.Wall.At(float64(n)) + s.PerBatch })
	if !ok {
		return rivalAnswer{math.Inf(1), math.Inf(1)}
	}
	mean := inside / rate
	if limit > 1 {
		mean += at.Delay.Seconds() / 2
	}
	batch := max(1, serving)
	return rivalAnswer{
		p99:   s.Reach + mean*math.Log(100),
		cores: l.Rate*((s.Curve.CPU.At(batch)+s.PerBatch)/batch+s.Path) + s.Idle,
	}
}

// chain is the mean number inside and the mean number in service of a birth and death process: arrivals at a
// rate, and of n inside min(n, limit) leave together after took(min(n, limit)). It is false where more
// arrives than leaves.
func chain(rate float64, limit int, took func(n int) float64) (inside, serving float64, ok bool) {
	if rate*took(limit) >= float64(limit) {
		return 0, 0, false
	}
	const most = 100_000 // inside; the chance of so many is nothing where fewer arrive than leave
	weight, sum := 1.0, 1.0
	for n := 1; n <= most; n++ {
		k := min(n, limit)
		weight *= rate * took(k) / float64(k)
		sum += weight
		inside += weight * float64(n)
		serving += weight * float64(k)
		if n > limit && weight < 1e-15*sum {
			break
		}
		if sum > 1e200 { // keep it a number
			weight, sum, inside, serving = weight/sum, 1, inside/sum, serving/sum
		}
	}
	return inside / sum, serving / sum, true
}
