package capacity

import (
	"cmp"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Estimate is a latency with the interval in which it is with a probability of 90 %.
type Estimate struct {
	Value time.Duration `json:"value"`
	Low   time.Duration `json:"low"`
	High  time.Duration `json:"high"`
}

// Prediction is what a server would do under a load.
type Prediction struct {
	P50       Estimate `json:"p50"`       // latency from request to answer, as a client in the same cluster sees it
	P99       Estimate `json:"p99"`       //
	Tail      Estimate `json:"tail"`      // at the SLO's percentile
	Cores     float64  `json:"cores"`     // used by all pods together
	Busy      float64  `json:"busy"`      // share of the time that an instance computes
	MeanBatch float64  `json:"meanBatch"` // rows
	Woken     float64  `json:"woken"`     // batches a second, of all pods together, that a timer begins
	Memory    int64    `json:"memory"`    // bytes held by all pods together
	Goodput   float64  `json:"goodput"`   // requests a second answered within the SLO
	Lost      float64  `json:"lost"`      // share of requests refused, or answered after the SLO
	Full      bool     `json:"full"`      // more comes than can be answered: latency grows without end
	Closed    bool     `json:"closed"`    // by closed form; otherwise simulated
}

// Predict says what a server of a service does under a load when it is run at a setting. The same
// arguments give the same prediction. Of a service without a curve nothing is known, which is said as Full.
//
// The replicas are alike and get their requests by chance, so that one of them is looked at. Where nobody waits
// for others and requests come one by one, what happens is a queue that is solved; where each row is computed
// alone it is followed request by request; the rest is simulated with the batcher's own code.
func Predict(s Service, l Load, at Setting, slo fleet.SLO) Prediction {
	if !s.Curve.Known() || !(s.Curve.Wall.At(1) > 0) {
		return Prediction{Full: true, Lost: 1}
	}
	p := podOf(s, l, at)
	var seen view
	switch {
	case !(p.offered() < 1):
		return p.full(slo)
	case p.single():
		seen = p.solve()
	case p.unbatched():
		seen = p.follow()
	default:
		seen = p.simulate()
	}
	return p.prediction(seen, slo)
}

// view is what became of one pod's requests.
type view struct {
	latency   latencies
	cpu       float64 // seconds of a request, with its share of its batch
	busy      float64 // seconds of an instance that a request takes
	meanBatch float64
	woken     float64 // batches of a request that a timer began
	shed      float64 // share of the requests that were refused
	closed    bool
}

// latencies are a distribution of latencies.
type latencies interface {
	estimate(p, curveError float64) Estimate
	within(d time.Duration) float64
}

func (p pod) prediction(v view, slo fleet.SLO) Prediction {
	off := finite(p.service.Curve.Error)
	all := p.stream.rate * float64(p.replicas)
	out := Prediction{
		P50: v.latency.estimate(0.5, off), P99: v.latency.estimate(0.99, off), Tail: v.latency.estimate(percentile(slo), off),
		Cores: v.cpu*all + p.idle(), Busy: min(1, v.busy*p.stream.rate/float64(p.instances)), MeanBatch: v.meanBatch, Woken: v.woken * all,
		Memory: p.memory(), Closed: v.closed,
	}
	kept := 1 - v.shed
	if slo.Latency > 0 {
		kept *= v.latency.within(slo.Latency)
	}
	out.Goodput, out.Lost = all*kept, 1-kept
	return out
}

func percentile(slo fleet.SLO) float64 {
	return min(max(cmp.Or(finite(slo.Percentile), 0.99), 0.01), 0.9999)
}

// overloaded is the time for which too much comes: the busy minute that is planned for.
const overloaded = 60.0 // seconds

// uncertainOverload is how far off such a latency may be: a little more or less load makes it another one.
const uncertainOverload = 0.5

// full is what becomes of a pod to which more comes than it can do: after t seconds an answer takes as much of t
// as was not done meanwhile. At 1.25 of what can be done, and 0.2 of the minute behind: 6 s after 30 s.
func (p pod) full(slo fleet.SLO) Prediction {
	behind := 1 - 1/p.offered()
	least := min(p.alone(p.batch)+p.service.Reach, aDay)
	after := func(part float64) Estimate {
		t := least + part*overloaded*behind
		return estimateAround(t, t*max(finite(p.service.Curve.Error), uncertainOverload))
	}
	all := p.stream.rate * float64(p.replicas)
	kept := 1 / p.offered()
	if slo.Latency > 0 {
		kept = min(kept, max(0, slo.Latency.Seconds()-least)/(overloaded*max(behind, 1e-6)))
	}
	return Prediction{
		P50: after(0.5), P99: after(0.99), Tail: after(percentile(slo)), Cores: p.atMost(p.most()*all/p.offered()) + p.idle(), Busy: 1,
		MeanBatch: float64(p.batch), Memory: p.memory(), Goodput: all * kept, Lost: 1 - kept, Full: true,
	}
}
