package capacity

import (
	"math"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

// stream is what comes to one pod.
type stream struct {
	rate     float64 // requests a second
	burst    float64 // coefficient of variation of the gaps of the whole service's stream
	replicas float64 // over which that is spread
	rows     float64
	urgent   float64 // share of requests of priority interactive
	bulk     float64
	high     float64 // requests a second in the busy seconds; 0: all seconds are alike
}

// streamTo is the share of a load that comes to one of so many replicas.
func streamTo(l Load, replicas int) stream {
	n := float64(replicas)
	s := stream{
		rate: finite(l.Rate) / n, burst: min(finite(l.Burst), wildestBurst), replicas: n, rows: max(1, finite(l.Rows)),
		urgent: min(1, finite(l.Interactive)), bulk: min(1, finite(l.Bulk)),
	}
	s.high = highRate(finite(l.Rate), s.burst, finite(l.Peak)) / n
	return s
}

// wildestBurst is a variation beyond which gaps are nothing but clumps, of which no sum can be taken.
const wildestBurst = 30

// finite is x, or 0 where that is negative or no number.
func finite(x float64) float64 {
	if x > 0 && x < math.Inf(1) {
		return x
	}
	return 0
}

// variation is the coefficient of variation of the gaps at the pod: each request of a stream whose gaps have c
// comes here with the chance 1/n, which makes the gaps sums of as many gaps as a geometric number says, with a
// squared variation of 1 + (c²-1)/n. 2 over 3 pods: sqrt(1 + 3/3) = 1.41.
func (s stream) variation() float64 {
	return math.Sqrt(max(0, 1+(s.burst*s.burst-1)/s.replicas))
}

const (
	busySecond = 2.32 // the largest of 60 normal numbers, on average: the busiest second of a minute
	busyOfSix  = 1.27 // the largest of 6
	busyPart   = 0.1  // of the seconds are busy where the peak says that some are
)

// highRate is the rate in busy seconds, 0 where the busiest second is about as gaps of that variation make it. The
// requests of a second vary by burst*sqrt(rate), so that the busiest of a minute has busySecond as many more.
// Where there were clearly more, a tenth of the seconds, six in a minute, are busy, at the rate of which the
// busiest of six has the peak.
//
//	rate  burst  peak  high
//	100   1      120   0: 100 + 2.32*10 = 123 is usual
//	100   1      300   x + 1.27*sqrt(x) = 300, x = 278.8
func highRate(rate, burst, peak float64) float64 {
	if peak <= 1+rate+busySecond*burst*math.Sqrt(rate) {
		return 0
	}
	off := busyOfSix * burst
	root := (math.Sqrt(off*off+4*peak) - off) / 2
	if h := root * root; h > 1.05*rate {
		return h
	}
	return 0
}

// even reports whether all seconds are alike.
func (s stream) even() bool { return s.high == 0 }

// gaps are n gaps with the mean 1, whose sum is n exactly: chance does not make the load another one. They are
// gamma numbers, which any variation can have, or sums of them where other pods got the requests between.
func (s stream) gaps(r *random, n int) []float64 {
	gaps, sum := make([]float64, n), 0.0
	for i := range gaps {
		gaps[i] = s.gap(r)
		sum += gaps[i]
	}
	scale := float64(n) / sum
	for i := range gaps {
		gaps[i] *= scale
	}
	return gaps
}

func (s stream) gap(r *random) float64 {
	const regular = 0.03 // a variation that is none
	switch {
	case math.Abs(s.burst-1) < regular:
		return r.exponential()
	case s.burst < regular:
		return r.geometric(1/s.replicas) / s.replicas
	}
	shape := 1 / (s.burst * s.burst)
	return r.gamma(shape*r.geometric(1/s.replicas)) / shape / s.replicas
}

const (
	roundSlots      = 10     // seconds after which busy ones come again: 1/busyPart
	simulated       = 30_000 // that are simulated: 300 of them are beyond the 99th percentile
	simulatedWarmUp = 1_000  // that do not count: the batcher learns the rate from the newest 100 or so
	simulatedMost   = 200_000
)

// length is how many requests are simulated: whole rounds of busy and other seconds where there are such, but not
// more than is affordable.
func (s stream) length() int {
	if s.even() {
		return simulated
	}
	round := roundSlots * s.rate
	return int(min(simulatedMost, math.Ceil(simulated/round)*round))
}

// clock turns the running sum of gaps into a time in seconds. The busy second is the last of each round.
func (s stream) clock(n int) func(sum float64) float64 {
	if s.even() {
		return func(sum float64) float64 { return sum / s.rate }
	}
	round := min(roundSlots*s.rate, float64(n)) // requests in a round, of fewer seconds if so many are too many
	seconds := round / s.rate
	in := min(seconds*busyPart, round/s.high) // seconds that are busy
	before := round - in*s.high
	return func(sum float64) float64 {
		whole := math.Floor(sum / round)
		at, rest := whole*seconds, sum-whole*round
		if rest >= before {
			return at + seconds - in + (rest-before)/s.high
		}
		return at + rest/before*(seconds-in)
	}
}

// arrivals are n requests for the simulation.
func (s stream) arrivals(r *random, n int) func() (batch.Arrival, bool) {
	gaps, clock, sum, i := s.gaps(r, n), s.clock(n), 0.0, 0
	return func() (batch.Arrival, bool) {
		if i == n {
			return batch.Arrival{}, false
		}
		sum += gaps[i]
		i++
		return batch.Arrival{At: time.Duration(clock(sum) * 1e9), Rows: s.size(r), Class: s.class(r)}, true
	}
}

// size is the rows of a request: of the two whole numbers about the mean.
func (s stream) size(r *random) int {
	low := math.Floor(s.rows)
	if s.rows > low && r.uniform() < s.rows-low {
		return int(low) + 1
	}
	return int(low)
}

func (s stream) class(r *random) batch.Class {
	if s.urgent == 0 && s.bulk == 0 {
		return batch.Default
	}
	switch u := r.uniform(); {
	case u < s.urgent:
		return batch.Interactive
	case u < s.urgent+s.bulk:
		return batch.Bulk
	}
	return batch.Default
}
