package capacity

import (
	"math"
	"time"
)

const (
	stepsOfMean = 16  // of the grid, to a mean service time
	gridSteps   = 128 // eight service times; what waits longer is on an exponential tail
)

// queue is the latency of a single server that takes requests one by one in their order, where they come at random
// (M/G/1). The share F(t) that waits at most t solves
//
//	F(t) = 1-load + rate * integral over u from 0 to t of F(t-u) P(service > u)
//
// which is followed on a grid. Beyond the grid the rest falls as it did at its end. At a load of 0.5 and a service of
// exactly 1 (M/D/1):
//
//	t     0    0.5     1       2
//	F(t)  0.5  0.6420  0.8244  0.9470
type queue struct {
	service [9]part
	step    float64 // seconds
	waits   [gridSteps + 1]float64
	fall    float64 // of the share that waits longer, in a step at the end of the grid
	beside  float64 // seconds of every latency
}

// part is how long a share of the services takes.
type part struct{ seconds, share float64 }

// newQueue solves the queue of a service whose quantiles are known.
func newQueue(rate float64, quantile func(p float64) float64) *queue {
	q := &queue{}
	mean, ends := 0.0, [...]float64{0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.995, 1}
	for i := range q.service {
		low, high := ends[i], ends[i+1]
		q.service[i] = part{quantile((low + high) / 2), high - low}
		mean += q.service[i].seconds * q.service[i].share
	}
	q.step = mean / stepsOfMean
	q.solve(rate, min(rate*mean, 1))
	return q
}

func (q *queue) solve(rate, load float64) {
	var longer [gridSteps]float64 // integral over a step of P(service > u), times rate
	for i := range longer {
		longer[i] = rate * q.longer(float64(i)*q.step)
	}
	q.waits[0] = 1 - load
	for i := 1; i <= gridSteps; i++ {
		sum := 1 - load + longer[0]/2*q.waits[i-1]
		for k := 1; k < i; k++ {
			sum += longer[k] * (q.waits[i-k] + q.waits[i-k-1]) / 2
		}
		q.waits[i] = min(1, sum/(1-longer[0]/2))
	}
	rest, before := 1-q.waits[gridSteps], 1-q.waits[gridSteps-stepsOfMean]
	if rest > 1e-12 && before > rest {
		q.fall = math.Log(before/rest) / stepsOfMean
	}
}

// longer is the integral of P(service > u) over the step from u on.
func (q *queue) longer(u float64) float64 {
	sum := 0.0
	for _, s := range q.service {
		sum += s.share * min(max(s.seconds-u, 0), q.step)
	}
	return sum
}

// waitsAtMost is F.
func (q *queue) waitsAtMost(seconds float64) float64 {
	switch at := seconds / q.step; {
	case seconds < 0:
		return 0
	case at < gridSteps:
		i := int(at)
		return q.waits[i] + (q.waits[i+1]-q.waits[i])*(at-float64(i))
	case q.fall == 0:
		return 1
	default:
		return 1 - (1-q.waits[gridSteps])*math.Exp(-q.fall*(at-gridSteps))
	}
}

// within is the share of latencies that are at most d.
func (q *queue) within(d time.Duration) float64 {
	sum := 0.0
	for _, s := range q.service {
		sum += s.share * q.waitsAtMost(d.Seconds()-q.beside-s.seconds)
	}
	return sum
}

// estimate is the quantile p of the latency, with the curve's error around it.
func (q *queue) estimate(p, curveError float64) Estimate {
	low, high := 0.0, q.step
	for q.within(lasting(high)) < p && high < 1e6*q.step {
		high *= 2
	}
	for range 30 {
		if middle := (low + high) / 2; q.within(lasting(middle)) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return estimateAround(high, curveError*high)
}

// single reports whether a pod is such a queue: requests at random, one instance, and batches of one, since nothing
// else may be, or nobody waits for others and hardly two wait at once.
func (p pod) single() bool {
	const hardlyEver = 0.01 // requests a second
	if p.stream.rate < hardlyEver {
		return true
	}
	if !p.plain() || p.instances > 1 || !p.stream.even() || math.Abs(p.stream.variation()-1) > 0.03 {
		return false
	}
	return p.batch == 1 || p.stream.rate*p.wall(1) < 0.03 && p.atOnce()
}

// dear is what a second of CPU is worth to the batcher in seconds of waiting, on average, for the next.
const dear = 50

// atOnce reports whether the batcher waits for nobody, with some distance from where it begins to.
func (p pod) atOnce() bool {
	wall := p.service.published().Wall
	saves := 2*wall.At(1) - wall.At(2) + p.overhead
	return p.delay == 0 || saves*dear*p.stream.rate < 0.6
}

func (p pod) solve() view {
	line, spread := p.service.Curve.Wall.At(1), p.service.Curve.Spread
	q := newQueue(p.stream.rate, func(share float64) float64 { return line*spread.At(share) + p.overhead })
	q.beside = p.beside()
	v := p.ones(q, p.wall(1))
	v.closed = true
	return v
}
