package sharing

import (
	"math"
	"time"
)

// KruizeCost and KruizePerformance are the percentiles of Kruize's two recommendations for accelerators.
const (
	KruizeCost        = 0.60
	KruizePerformance = 0.98
)

// kruizeData is how much Kruize asks for before it recommends anything (its short term), kruizeInterval how
// long the intervals are of which it looks at the largest value.
const (
	kruizeData     = 30 * time.Minute
	kruizeInterval = 15 * time.Minute
)

// PlanKruize packs the pods by the MIG rule of Kruize (github.com/kruize/autotune, AcceleratorMetaDataService
// and the two recommendation models, read in 2026), to compare with: busy share and frame buffer as parts of
// the card, the largest of each 15 minutes, zeros left out, at percentile q; more than all is all; and of
// that the first profile in its table with as large a part of the compute and of the memory slices. It adds no
// margin. Kruize only names a profile; packing the profiles onto cards is ours, and as good as for our own.
func PlanKruize(before Sharing, pods []Pod, slot time.Duration, q float64) Sharing {
	o := Options{Way: MIG, Percentile: 0.99, Busy: 1, MinSlots: int(kruizeData / slot), MaxPods: 7}
	n := longest(pods)
	return pack(before, pods, o, func(p Pod) load {
		l := load{Pod: p, alone: unmeasured(p, o)}
		if l.alone == "" {
			l = newLoad(p, n, Options{Percentile: o.Percentile})
			l.kruize(int(kruizeInterval/slot), q)
		}
		return l
	})
}

func (l *load) kruize(every int, q float64) {
	duty := min(1, Percentile(largest(l.Pod.Duty, every), q))
	memory := min(1, Percentile(largest(l.Pod.Memory, every), q)/float64(l.Card.Memory))
	for _, p := range l.Card.Profiles {
		if float64(p.Compute)/float64(l.Card.Compute) >= duty && float64(p.Size)/float64(l.Card.Slots) >= memory {
			l.profile = p
			return
		}
	}
	l.alone = TooBig // it has no MIG
}

// largest is the largest value of each stretch of that many slots, without those that are zero or unmeasured.
func largest(series []float64, every int) []float64 {
	var out []float64
	for from := 0; from < len(series); from += max(1, every) {
		if v := highest(series[from:min(from+max(1, every), len(series))]); v > 0 && !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}
