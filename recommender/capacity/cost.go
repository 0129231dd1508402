package capacity

import (
	"fmt"
	"math"
	"slices"
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

// UnitCost is billionths of a US dollar per 1,000 answered requests: millionths, which Money counts,
// are too coarse for requests of a few milliseconds.
type UnitCost int64

// unitCost prices what answering took: the CPU time that was used at the price of a core, and the memory
// that was held at the price of memory. It is the part of the machines that the requests used, not what
// the pods reserve. Memory is held whether requests come or not, so it is spread over the requests of a
// given rate a second, the same for all sizes: a busier minute must not make a size look cheaper.
//
//	400 requests took 2 core seconds, 64 MiB were held, at 10 requests a second, with a core at
//	$26.28 a month ($0.00001 a second) and a GiB at $2.628 ($0.000001 a second):
//	CPU     2 s / 400 × 1,000 × $0.00001          $0.00005
//	memory  1/16 GiB × 1,000 / 10 s × $0.000001   $0.00000625
//	        together 56,250 billionths per 1,000 requests
func unitCost(w Window, rate float64, p Price) UnitCost {
	answered := float64(w.Latency.Total())
	if answered == 0 || rate <= 0 {
		return 0
	}
	const monthSeconds, gib = cost.MonthHours * 3600, 1 << 30
	cpu := w.CPUSeconds / answered * float64(p.Core)
	memory := float64(w.Memory) / gib / rate * float64(p.GiB)
	const perThousand, billionths = 1000, 1000 // of millionths
	return UnitCost(math.Round((cpu + memory) / monthSeconds * perThousand * billionths))
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

// unpriced is every name that any of the trials lacks a price for, sorted.
func unpriced(trials []Trial) []string {
	var all []string
	for _, t := range trials {
		all = append(all, t.Unpriced...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
