package replay

import "math"

// What Robusta KRR's "simple" strategy asks for (robusta-dev/krr, robusta_krr/strategies/simple.py): of 14 days
// and at least 100 samples, the 95th percentile for CPU, the maximum and 15 % more for memory.
const (
	krrSpan         = 14 * day
	krrLeast        = 100
	krrShare        = 0.95
	krrMemoryMargin = 1.15
)

// KRR is Robusta KRR's CPU request, asked for once a day: the 95th percentile of 14 days.
func KRR() Maker {
	return Maker{"krr", "KRR simple, run daily: p95 of 14 d", quantile(day, krrShare, 1)}
}

// KRRHourly is KRR, run every hour.
func KRRHourly() Maker {
	return Maker{"krr-hourly", "KRR simple, run every hour", quantile(3600, krrShare, 1)}
}

// KRRMemory is Robusta KRR's memory request, asked for once a day: the maximum of 14 days and 15 % more.
func KRRMemory() Maker {
	return Maker{"krr", "KRR simple, run daily: maximum of 14 d, +15 %", quantile(day, 1, krrMemoryMargin)}
}

// P99 is the 99th percentile of 14 days, once a day.
func P99() Maker {
	return Maker{"p99", "p99 of 14 d, daily", quantile(day, 0.99, 1)}
}

// FlatMax is the maximum of 14 days, once a day: what holds every peak all day. Margin multiplies it: 1 for none.
func FlatMax(margin float64) Maker {
	name, about := "max", "maximum of 14 d, daily"
	if margin != 1 {
		name, about = "max-margin", "maximum of 14 d with a margin, daily"
	}
	return Maker{name, about, quantile(day, 1, margin)}
}

// quantile is a rule that every so often asks for a quantile of the last krrSpan, times a margin; as KRR does, for
// nothing new while there are fewer than 100 samples.
func quantile(every int64, share, margin float64) func(Series) Rule {
	return func(s Series) Rule {
		return newDecided(every, krrSpan, func(w *window) float64 {
			if len(w.sorted) < krrLeast {
				return math.NaN()
			}
			return max(w.percentile(share)*margin, s.Floor)
		})
	}
}
