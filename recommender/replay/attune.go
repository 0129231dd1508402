package replay

import (
	"math"
	"slices"
)

// What attune-io/attune asks for (internal/recommendation: percentile.go, margin.go): of 7 days and at least 48
// samples, the largest of the 95th percentiles of the whole and of each hour of the day, and 20 % more. Left out:
// its burst boost, its confidence factor (1 with days of data), its cap of 4 cores and its filter of small changes.
const (
	attuneSpan   = 7 * day
	attuneLeast  = 48
	attuneShare  = 0.95
	attuneMargin = 1.20
	hours        = 24
)

// Attune is attune's CPU request, asked for once a day. Its hours are of UTC.
func Attune() Maker {
	return Maker{"attune", "Attune, run daily: largest hourly p95 of 7 d, +20 %", func(s Series) Rule {
		return newDecided(day, attuneSpan, func(w *window) float64 {
			if len(w.sorted) < attuneLeast {
				return math.NaN()
			}
			return max(max(w.percentile(attuneShare), busiestHour(w.held()))*attuneMargin, s.Floor)
		})
	}}
}

// busiestHour is the largest 95th percentile of any hour of the day.
func busiestHour(at []int64, used []float64) float64 {
	var byHour [hours][]float64
	for i, t := range at {
		h := t % day / 3600
		byHour[h] = append(byHour[h], used[i])
	}
	most := 0.0
	for _, values := range byHour {
		if len(values) > 0 {
			slices.Sort(values)
			most = max(most, percentileOf(values, attuneShare))
		}
	}
	return most
}
