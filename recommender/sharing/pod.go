package sharing

import (
	"math"
	"slices"
)

// Pod is one pod with one GPU, and what was measured of it. Slots are of one length; the i-th is the same
// time for all pods, the last the newest. A slot that was not measured is NaN, as is all after a shorter series.
type Pod struct {
	Name   string
	Duty   []float64 // share of the slot in which anything ran on the GPU, 0 to 1
	Memory []float64 // bytes of GPU memory in use, the most in the slot
	Card   Card
}

// Options say how far sharing may go. The zero value shares nothing.
type Options struct {
	Way          Way
	Percentile   float64 // of the slots, 0.99 for p99
	Busy         float64 // as busy as a card, or a slice, may be at the percentile, a share of time
	DutyMargin   float64 // added to the summed duty, a share of it
	MemoryMargin float64 // added to memory, a share of it
	Risk         float64 // the chance a slot that memory may be taken to run out with TimeSlice; 0: the card holds all peaks at once
	MinSlots     int     // measured slots that a pod needs before it shares
	MinCoverage  float64 // share of the slots, from a pod's first to its last, that must be measured
	MaxPods      int     // on one card
}

// DefaultOptions are those of the project: a card at most 80 % busy at p99, and memory with a tenth to spare,
// because peaks keep growing: on a day of 71 serving pods planned again each hour, 5 % let memory run out in one
// of twelve random subsets of 50, 10 % in none (A100-80GB). Risk stays 0: pods fed by the same traffic do peak together.
func DefaultOptions() Options {
	return Options{
		Way: TimeSlice, Percentile: 0.99, Busy: 0.8, DutyMargin: 0.1, MemoryMargin: 0.1,
		MinSlots: 60, MinCoverage: 0.5, MaxPods: 8,
	}
}

// Way is how pods share a card.
type Way string

// The ways of sharing.
const (
	TimeSlice Way = "time-slice" // all by turns on the whole card; memory is not kept apart
	MIG       Way = "mig"        // each in its own instance
)

// Reason is why a pod has a card alone.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	NoCard       Reason = "card-unknown"   // nobody said what card it is
	NoDuty       Reason = "duty-unknown"   // DCGM_FI_PROF_GR_ENGINE_ACTIVE or DCGM_FI_DEV_GPU_UTIL is missing
	NoMemory     Reason = "memory-unknown" // DCGM_FI_DEV_FB_USED is missing
	TooShort     Reason = "too-short"      // measured for less than MinSlots
	TooSparse    Reason = "too-sparse"     // measured for less than MinCoverage of its time
	TooBig       Reason = "too-big"        // it needs a card for itself: no slice, and no card beside another pod, would hold it
	NoCompanions Reason = "no-companion"   // none of the others fits beside it
)

// load is a pod as it is packed: its series without holes.
type load struct {
	Pod
	place   int       // among all pods, the largest first
	duty    []float64 // a slot that was not measured counts as the pod's own percentile
	high    float64   // that percentile
	peak    float64   // bytes
	mean    float64   // bytes
	chances *chances  // of its memory, where Risk is not 0
	profile Profile   // where it has a slice
	alone   Reason    // why it may not share; empty: it may
}

// newLoad fills the holes of a pod's series over n slots, on the safe side: what was not measured counts as
// much as the pod's percentile, also before it was there.
func newLoad(p Pod, n int, o Options) load {
	l := load{Pod: p, alone: unmeasured(p, o)}
	if l.alone != "" {
		return l
	}
	l.high, l.peak, l.mean = Percentile(p.Duty, o.Percentile), highest(p.Memory), average(p.Memory)
	l.duty = make([]float64, n)
	for i := range l.duty {
		if l.duty[i] = l.high; i < len(p.Duty) && !math.IsNaN(p.Duty[i]) {
			l.duty[i] = p.Duty[i]
		}
	}
	if o.Way == MIG {
		l.fitSlice(o)
	}
	if o.Risk > 0 {
		l.chances = newChances(p.Memory, p.Card.Memory, o.MemoryMargin)
	}
	return l
}

func (l *load) fitSlice(o Options) {
	p, ok := l.Card.Smallest(l.high*(1+o.DutyMargin), int64(math.Ceil(l.peak*(1+o.MemoryMargin))), o.Busy)
	if l.profile = p; !ok {
		l.alone = TooBig
	}
}

// unmeasured is why too little is known of the pod to let it share.
func unmeasured(p Pod, o Options) Reason {
	duty, dutySpan := coverage(p.Duty)
	memory, memorySpan := coverage(p.Memory)
	switch {
	case p.Card.Name == "" || p.Card.Memory <= 0:
		return NoCard
	case duty == 0:
		return NoDuty
	case memory == 0:
		return NoMemory
	case min(duty, memory) < o.MinSlots:
		return TooShort
	case float64(duty) < o.MinCoverage*float64(dutySpan) || float64(memory) < o.MinCoverage*float64(memorySpan):
		return TooSparse
	}
	return ""
}

// coverage is how many slots were measured, and how many there are from the first to the last of them.
func coverage(series []float64) (measured, span int) {
	first, last := -1, -1
	for i, v := range series {
		if math.IsNaN(v) {
			continue
		}
		if measured++; first < 0 {
			first = i
		}
		last = i
	}
	if measured > 0 {
		span = last - first + 1
	}
	return measured, span
}

// Percentile is the smallest measured value that a share q of the measured slots is not above; 0 of none.
//
//	p50 of 1, 2, 3, 4 is 2; p99 of 1 to 100 is 99; p100 the largest
func Percentile(series []float64, q float64) float64 {
	values := slices.DeleteFunc(slices.Clone(series), math.IsNaN)
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[rank(len(values), q)]
}

// rank is the place of the percentile among n sorted values.
func rank(n int, q float64) int {
	return min(n-1, max(0, int(math.Ceil(q*float64(n)-1e-9))-1)) // 0.99 × 100 is a little above 99
}

func highest(series []float64) float64 {
	var out float64
	for _, v := range series {
		if v > out { // NaN is not
			out = v
		}
	}
	return out
}

// longest is how many slots the pods were measured for.
func longest(pods []Pod) int {
	n := 0
	for _, p := range pods {
		n = max(n, len(p.Duty))
	}
	return n
}

// average is of what was measured; 0 of nothing.
func average(series []float64) float64 {
	var sum, n float64
	for _, v := range series {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / max(n, 1)
}
