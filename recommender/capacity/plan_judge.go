package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// judged is a candidate with what is against it, kept apart: bounds are the operator's, misses are the promise's.
type judged struct {
	Candidate
	bounds  []string
	misses  []string
	full    bool // it could not answer all, with the replicas lost that may be lost
	changes int  // against what is in force
}

// try is a setting with its gaps filled, judged.
func (p *planner) try(at Setting) judged {
	if at.Replicas < 1 {
		at.Replicas = p.Now.Replicas
	}
	if at.Batch < 1 {
		at.Batch = p.Now.Batch
	}
	if at.Memory == 0 {
		at.Memory = p.memory()
	}
	if at.CPU == 0 && (p.Now.CPU > 0 || p.Room.CPU[1] > 0) && p.unknown() == "" {
		at = p.sized(at)
	}
	return p.judge(at)
}

// judge says what a setting would do, what it costs and what is against it.
func (p *planner) judge(at Setting) judged {
	if held := p.unknown(); held != "" {
		return judged{Candidate: Candidate{Setting: at, Month: p.month(at), Why: held}, bounds: []string{held}}
	}
	j := judged{Candidate: Candidate{Setting: at, Prediction: p.predict(at), Month: p.month(at)}, changes: p.changes(at)}
	less := p.without(at)
	lost := p.predict(less)
	j.Degraded = lost.Tail
	j.full = j.Prediction.Full || lost.Full
	if !j.full {
		j.Slowed = p.slowed(less)
		j.Chance = p.keeps(j.bears(), p.SLO.Latency)
	}
	j.Unit = p.unit(j.Candidate)
	j.bounds = p.breaks(at, j.Prediction)
	j.misses = p.missed(j)
	j.Meets = len(j.bounds)+len(j.misses) == 0
	j.Why = strings.Join(slices.Concat(j.misses, j.bounds), "; ")
	return j
}

// without is a setting with the replicas lost that may be lost; where it has no more it is as it is.
func (p *planner) without(at Setting) Setting {
	if at.Replicas > p.Room.Redundancy {
		at.Replicas -= p.Room.Redundancy
	}
	return at
}

// Paces are told by three: as learnt, and as far to either side as counts for all that are beside (Gauss and Hermite's
// three points of a normal distribution, which count 2/3, 1/6 and 1/6).
const (
	paceAway  = 1.7320508 // of its standard deviations
	paceShare = 1.0 / 6
)

// slowBy is how many times as long as learnt computing takes at the slower of these paces.
func slowBy(pace float64) float64 { return math.Exp(paceAway * pace) }

// slowed is what becomes of a setting where computing takes longer.
func (p *planner) slowed(at Setting) Slowed {
	times := slowBy(p.pace)
	return slowed(times, p.paced(at, times))
}

// borne is what a promise must bear: the tail latency at the pace that was learnt, and at a slower one.
type borne struct{ usual, slow time.Duration }

// bears is what a candidate's promise must.
func (c Candidate) bears() borne {
	b := borne{c.slowest(), max(c.slowest(), c.Slowed.Tail)}
	if c.Slowed.Full {
		b.slow = forever
	}
	return b
}

const forever = time.Duration(math.MaxInt64)

// slowest is the tail latency that a promise must bear: with the replicas lost that may be lost.
func (c Candidate) slowest() time.Duration { return max(c.Prediction.Tail.Value, c.Degraded.Value) }

// keeps is the chance that a latency is at most most. Where computing is quicker than learnt it is kept as surely as at the
// pace that was learnt: that it would be kept more surely is not counted.
func (p *planner) keeps(b borne, most time.Duration) float64 {
	return (1-paceShare)*p.within(b.usual, most) + paceShare*p.within(b.slow, most)
}

// within is the chance that a latency predicted as d is at most most.
func (p *planner) within(d, most time.Duration) float64 {
	switch {
	case d <= 0:
		return 1
	case d == forever:
		return 0
	}
	return p.chance(d, most)
}

// month is what a setting's pods request, in money.
//
//	2 replicas of 500m and 1 GiB at $20 a core and $2 a GiB: 2 × ($10 + $2) = $24
func (p *planner) month(at Setting) cost.Money {
	price := p.Price
	if at.Spot && p.Spot != nil {
		price = *p.Spot
	}
	pods := int64(at.Replicas)
	return price.Core.Times(pods*at.CPU, 1000) + price.GiB.Times(pods*at.Memory, 1<<30)
}

// unit is a candidate's month over the requests that it answers within the SLO: as many as come on average,
// less the share that is lost in the busiest minute, which is more than is lost at other times.
//
//	$26.28 for a mean of 10 a second, all within the SLO: 26.28 million requests, $0.001 per 1,000
func (p *planner) unit(c Candidate) UnitCost {
	met := p.Load.Mean * (1 - c.Prediction.Lost) * cost.MonthHours * 3600
	if met < 1 || p.proxy != "" {
		return 0
	}
	const perThousand, billionths = 1000, 1000 // of millionths
	return UnitCost(math.Round(float64(c.Month) / met * perThousand * billionths))
}

// missed is what of the promise a candidate breaks.
func (p *planner) missed(j judged) []string {
	k := p.Room.Redundancy
	switch {
	case j.Prediction.Full:
		return []string{fmt.Sprintf("more comes (%s requests a second) than it can answer", figure(p.Load.Rate))}
	case j.full:
		return []string{fmt.Sprintf("with %s lost more comes (%s requests a second) than the rest can answer", fleet.Count(k, "replica"), figure(p.Load.Rate))}
	case j.Chance >= p.Probability:
		return nil
	}
	with := ""
	if j.Degraded.Value > j.Prediction.Tail.Value {
		with = fmt.Sprintf("with %s lost ", fleet.Count(k, "replica"))
	}
	if j.slowest() > p.SLO.Latency {
		return []string{fmt.Sprintf("%s%s is %s, over the SLO of %s", with, p.percent(), span(j.slowest()), span(p.SLO.Latency))}
	}
	return []string{fmt.Sprintf("%s%s is %s%s: the SLO of %s is kept with a probability of %s, %s are asked for",
		with, p.percent(), span(j.slowest()), p.unsure(j), span(p.SLO.Latency), chanceText(j.Chance), percentText(p.Probability))}
}

// unsure says what would become of a candidate at a slower pace, where it would break the promise.
func (p *planner) unsure(j judged) string {
	longer := percentText(j.Slowed.Times - 1)
	switch {
	case j.Slowed.Full:
		return fmt.Sprintf(", and should computing take %s longer than learnt, more comes than it can answer", longer)
	case j.Slowed.Tail > p.SLO.Latency:
		return fmt.Sprintf(", and %s should computing take %s longer than learnt", span(j.Slowed.Tail), longer)
	}
	return ""
}

// percent names the SLO's percentile.
func (p *planner) percent() string { return percentileName(p.SLO) }

// percentileName is p99, or what the SLO says: p99.9.
func percentileName(slo fleet.SLO) string {
	return "p" + strconv.FormatFloat(100*cmp.Or(slo.Percentile, 0.99), 'f', -1, 32)
}

// changes counts the parts of a setting that differ from what is in force. Where batches save next to nothing,
// to switch them off is none: it is only quicker.
func (p *planner) changes(at Setting) int {
	n, now := 0, p.Now
	if at.Batch == 1 && at.Delay == 0 && p.flat() {
		now.Batch, now.Delay = 1, 0
	}
	for _, differs := range []bool{
		at.Batch != now.Batch, at.Delay != now.Delay, at.Replicas != now.Replicas, at.Instances != now.Instances,
		at.CPU != now.CPU || at.Limit != now.Limit, at.Memory != now.Memory, at.Spot != now.Spot,
	} {
		if differs {
			n++
		}
	}
	return n
}

// sized is a setting with the CPU request that its use asks for. Where the limit is the request, less of it
// is also slower, which changes what is used; two or three steps settle that.
func (p *planner) sized(at Setting) Setting {
	if p.follows && at.Limit == 0 {
		at.Limit = p.Now.Limit
	}
	at.CPU = p.need(at)
	if !p.follows {
		return at
	}
	at.Limit = at.CPU
	for range 4 {
		need := p.need(at)
		if need <= at.CPU {
			break
		}
		at.CPU, at.Limit = need, need
	}
	return at
}

// need is the millicores that a pod of a setting should request: what it is predicted to use in the busiest
// minute and the margin, rounded up to 5m, from 100m on to 10m.
//
//	0.0703 cores and 20 %: 85m    0.41 cores and 20 %: 492m, so 500m
func (p *planner) need(at Setting) int64 { return p.request(p.predict(at).Cores, at.Replicas) }

// request is need where all pods together use so many cores.
func (p *planner) request(cores float64, replicas int) int64 {
	milli := 1000 * cores / float64(replicas) * (1 + p.Room.Margin)
	step := 5.0
	if milli > 100 {
		step = 10
	}
	return max(p.Room.CPU[0], int64(math.Ceil(milli/step-1e-9)*step))
}

// memory is the bytes that a pod should request: what it holds and 15 %, in whole MiB.
func (p *planner) memory() int64 {
	if p.Room.Memory[1] == 0 || p.Service.Memory == 0 {
		return p.Now.Memory
	}
	const mib = 1 << 20
	bytes := int64(math.Ceil(float64(p.Service.Memory)*(1+planMemory)/mib)) * mib
	return max(p.Room.Memory[0], bytes)
}

// orProxy is a price, or where it is not known the ratio by which the price of a machine is split between
// its cores and its memory, with words that say so.
func orProxy(price Price) (Price, string) {
	if len(price.Unpriced) == 0 && (price.Core > 0 || price.GiB > 0) {
		return price, ""
	}
	proxy, ratio := defaultRates()
	missing := "no price is known"
	if len(price.Unpriced) > 0 {
		missing = "no price for " + strings.Join(price.Unpriced, ", ")
	}
	return proxy, fmt.Sprintf("%s: amounts are at default rates, %s for a core and %s for a GiB a month, so that one core weighs as %.1f GiB; they compare settings and are nobody's bill",
		missing, proxy.Core, proxy.GiB, ratio)
}

// defaultRates asks package cost how it splits a machine of one core and one GiB, at the price where its
// rates are the shares. The ratio is GiB for one core.
func defaultRates() (Price, float64) {
	const name, hourly, gib = "default", 35_848, 1 << 30 // 31,611 for the core and 4,237 for the GiB
	row := cost.Row{InstanceType: name, Capacity: fleet.OnDemand, Hourly: hourly, MilliCPU: 1000, Memory: gib}
	parts, _ := cost.Prices{}.With(row).Split(fleet.Node{InstanceType: name, Capacity: fleet.OnDemand})
	price := Price{Core: parts.CPU * cost.MonthHours, GiB: parts.Memory * cost.MonthHours}
	return price, float64(parts.CPU) / float64(parts.Memory)
}
