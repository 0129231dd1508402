package capacity

import (
	"math"
	"slices"
	"time"
)

// Calibration is how predictions of the tail latency came true: what is learnt of one server, beside its
// curve. It is a value: what is learnt makes a new one.
type Calibration struct {
	Pairs []Pair  `json:"pairs,omitempty"` // the newest, oldest first
	Bias  float64 `json:"bias"`            // mean of ln(realised/predicted), recent ones weigh more; shrunk as far as they are few or apart
	Width float64 `json:"width"`           // its standard deviation
}

// Pair is a prediction and what came of it.
type Pair struct {
	At        time.Time     `json:"at"`
	Setting   Setting       `json:"setting"`
	Rate      float64       `json:"rate"`
	Predicted time.Duration `json:"predicted"`       // tail latency, before any correction
	Realised  time.Duration `json:"realised"`        // of what the server's histogram allows the nearest to Predicted
	Cores     [2]float64    `json:"cores"`           // predicted and realised
	Steep     float64       `json:"steep,omitempty"` // as Slowed.Steep of the prediction; 0: not known
}

const (
	pairsKept     = 32
	pairsHalfLife = 8    // pairs after which one weighs half
	priorWidth    = 0.06 // of what nothing is known of, beside what the pace of computing does
	priorBias     = 0.10 // usual size of a bias
	leastWidth    = 0.01
	paceCores     = 0.05  // of all pods: pairs of less tell nothing of the pace
	priorPace     = 0.05  // of how much longer or shorter than learnt computing takes
	sureBelow     = 1.645 // a normal number is between this and its negative with a probability of 90 %
)

// Add is the calibration after one more pair. A pair without one of its latencies says nothing.
func (c Calibration) Add(p Pair) Calibration {
	if p.Predicted <= 0 || p.Realised <= 0 {
		return c
	}
	out := Calibration{Pairs: append(slices.Clone(c.Pairs), p)}
	out.Pairs = out.Pairs[max(0, len(out.Pairs)-pairsKept):]
	all := ratiosOf(out.Pairs, out.Pace())
	out.Bias = all.bias()
	out.Width = all.width(out.Bias)
	return out
}

// Correct gives a predicted latency, which is as steep as Slowed.Steep says, its bias and its 90 % interval. With a bias of
// 0.1, a width of 0.05 from many pairs, and no steepness, 10 ms are 11.05 ms, between 10.2 and 12.0 ms. A latency that is
// steep is so towards a slower pace; with a quicker one it falls as computing does at most.
func (c Calibration) Correct(d time.Duration, steep float64) Estimate {
	by := func(widths, steep float64) time.Duration {
		return lasting(max(0, d.Seconds()) * math.Exp(c.Bias+widths*math.Hypot(c.uncertain(), steep*c.Pace())))
	}
	return Estimate{Value: by(0, 0), Low: by(-sureBelow, min(steep, 1)), High: by(sureBelow, steep)}
}

// widened is a predicted latency with an interval that also holds what the pairs leave open.
func (c Calibration) widened(e Estimate, steep float64) Estimate {
	if len(c.Pairs) > 0 {
		learnt := c.Correct(e.Value, steep)
		e.Low, e.High = min(e.Low, learnt.Low), max(e.High, learnt.High)
	}
	return e
}

// Chance is the probability that the latency that was predicted as d turns out at most most, where computing takes as long
// as the prediction says. Where nothing was learnt, the width is 9 %, and the chance of staying below 1.16 d is 0.95.
func (c Calibration) Chance(d, most time.Duration) float64 {
	switch {
	case most <= 0:
		return 0
	case d <= 0:
		return 1
	}
	away := (math.Log(float64(most)/float64(d)) - c.Bias) / c.uncertain()
	return math.Erfc(-away/math.Sqrt2) / 2
}

// uncertain is the standard deviation of the next ratio: the width, and what is not known of the bias. With n pairs
// that count it is wider by sqrt(1 + 1/n), and, since a width from few is itself uncertain, by 1 + 1/n (as Student's
// t is wider than the normal distribution), but by no more than a half, which it is where nothing was seen.
func (c Calibration) uncertain() float64 {
	wider := 1.5
	if len(c.Pairs) > 0 {
		n := ratiosOf(c.Pairs, 0).count()
		wider = min(wider, math.Sqrt(1+1/n)*(1+1/n))
	}
	return orPriorWidth(c.Width) * wider
}

// Pace is the standard deviation of how many times as long as learnt computing takes, by its logarithm: by the cores that
// were predicted and used, beside four pairs with the width of no knowledge. What is always off counts as what comes and
// goes. One pair counts as three such widths at most: the first was predicted before the server was seen at work. Pairs of
// less than paceCores say nothing: what they use is mostly probes and scrapes.
//
//	no pair: 0.05    one that used 8 % more: sqrt((4 × 0.05² + 0.077²)/5) = 0.056
func (c Calibration) Pace() float64 {
	const before, most = 4, 3 * priorPace
	sum, n := before*priorPace*priorPace, float64(before)
	for i, p := range c.Pairs {
		if p.Cores[0] >= paceCores && p.Cores[1] > 0 {
			weight := math.Exp2(-float64(len(c.Pairs)-1-i) / pairsHalfLife)
			log := min(max(math.Log(p.Cores[1]/p.Cores[0]), -most), most)
			sum, n = sum+weight*log*log, n+weight
		}
	}
	return math.Sqrt(sum / n)
}

// orPriorWidth is a width that can be divided by: where there is none, that of no knowledge.
func orPriorWidth(width float64) float64 {
	if !(width > 0) {
		return priorWidth
	}
	return max(width, leastWidth)
}
