package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
)

// Price is what the machines under a server cost.
type Price struct {
	Core     cost.Money // one core for a month of 730 hours
	GiB      cost.Money // one GiB of memory for as long
	Unpriced []string   // what has no price, as in a cost.Line; any: Core and GiB are not known
}

// UnitCost is billionths of a US dollar per 1,000 requests that were answered within the SLO: millionths,
// which Money counts, are too coarse for requests of a few milliseconds.
type UnitCost int64

// weight is what a setting asks for in a month, in millionths of a dollar. Without prices it is in
// thousandths of a core, of which one GiB is a seventh of a whole, as where machines are sold by parts.
func weight(at Setting, p Price) float64 {
	const coreToGiB = 7
	core, gib := float64(p.Core), float64(p.GiB)
	if len(p.Unpriced) > 0 {
		core, gib = 1000, 1000.0/coreToGiB
	}
	return float64(at.Replicas) * (float64(at.CPU)/1000*core + float64(at.Memory)/(1<<30)*gib)
}

// unitCost is what a setting asks for over the requests that are answered within the SLO, which are a
// share of those that come. 0 where there are none, or no prices.
//
//	2 pods of 500m and 512 MiB, with a core at $26.28 a month ($0.00001 a second) and a GiB at $2.628
//	($0.000001 a second), at 10 requests a second of which 80 % are within the SLO:
//	2 x (0.5 x $0.00001 + 0.5 x $0.000001) a second      $0.000011
//	1,000 of them take 125 s                              $0.001375, or 1,375,000 billionths
func unitCost(at Setting, rate, met float64, p Price) UnitCost {
	if !(rate*met > 0) || len(p.Unpriced) > 0 {
		return 0
	}
	const monthSeconds, perThousand, billionths = cost.MonthHours * 3600, 1000, 1000 // of millionths
	return UnitCost(math.Round(weight(at, p) / monthSeconds / (rate * met) * perThousand * billionths))
}

// cpuOf is the CPU time that one answered request took.
func cpuOf(w Window) time.Duration {
	if n := w.Latency.Total(); n > 0 {
		return time.Duration(w.CPUSeconds / float64(n) * float64(time.Second))
	}
	return 0
}

// String is the amount in dollars with three digits that count: "$0.0021", "$0.0000388".
func (u UnitCost) String() string {
	if u == 0 {
		return "$0"
	}
	step := int64(1)
	for int64(u)/step >= 1000 {
		step *= 10
	}
	n := (int64(u) + step/2) / step * step
	fraction := strings.TrimRight(fmt.Sprintf("%09d", n%1e9), "0")
	if len(fraction) < 2 {
		fraction += "00"[len(fraction):]
	}
	return fmt.Sprintf("$%d.%s", int64(n/1e9), fraction)
}
