package sharing

import (
	"cmp"
	"math"
	"slices"
)

// Need is what one pod of a workload needs of its card.
type Need struct {
	Card   Card
	Duty   float64 // share of time busy at the percentile that Busy is about
	Memory int64   // bytes, the peak
}

// Choice is what a pod could be given instead of a card of its own.
type Choice struct {
	Way     Way    // empty: keep the whole card
	Profile string // of MIG
	Pods    int    // how many pods like it then have one card
	Milli   int64  // thousandths of the card that each of them takes
}

// Choices is all that the pod could be given, the cheapest first; of equals MIG, which keeps memory apart,
// then time-slicing. Keeping the card is always among them. All cost a part of the same card's price, so the
// order is that of money whatever the card costs.
//
// Pods of one workload are busy at the same time, since one balancer feeds them, so time-slicing adds up
// their percentiles here; with other workloads, Plan knows better.
//
//	A100-80GB, duty 0.10, 9 GiB, margins 0, busy 0.8: 1g.10gb 143, time-slice 8 pods 125 → time-slice first
//	A100-80GB, duty 0.30, 30 GiB: time-slice 2 pods 500, 3g.40gb 500 → MIG first
func (n Need) Choices(o Options) []Choice {
	out := []Choice{{Pods: 1, Milli: 1000}}
	memory, duty := math.Ceil(float64(n.Memory)*(1+o.MemoryMargin)), n.Duty*(1+o.DutyMargin)
	if k := n.copies(memory, duty, o); k > 1 {
		out = append(out, Choice{Way: TimeSlice, Pods: k, Milli: share(1, k)})
	}
	if p, ok := n.Card.Smallest(duty, int64(memory), o.Busy); ok && p.Share(n.Card) < 1000 {
		milli := p.Share(n.Card)
		out = append(out, Choice{Way: MIG, Profile: p.Name, Pods: len(p.Starts), Milli: milli})
	}
	slices.SortStableFunc(out, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(a.Milli, b.Milli), cmp.Compare(order(a.Way), order(b.Way)))
	})
	return out
}

// copies is how many pods like it the card holds by turns.
func (n Need) copies(memory, duty float64, o Options) int {
	k := o.MaxPods
	if memory > 0 {
		k = min(k, int(float64(n.Card.Memory)/memory))
	}
	if duty > 0 {
		k = min(k, int(o.Busy/duty+1e-9))
	}
	return k
}

func order(w Way) int { return slices.Index([]Way{MIG, TimeSlice, ""}, w) }
