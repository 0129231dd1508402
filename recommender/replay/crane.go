package replay

import "math"

// What gocrane/crane's resource recommender asks for (pkg/recommendation/recommender/resource and
// pkg/prediction/percentile): the 99th percentile of 7 days and 15 % more, from a histogram of ranges of 0.1
// cores, read as VPA's at the upper end. A sample weighs what it used, at least 1e-5; the half-life that its
// settings name is not given to the histogram.
const (
	craneSpan   = 7 * day
	craneShare  = 0.99
	craneMargin = 1.15
	craneRange  = 0.1
	craneRanges = 1000 // to 100 cores
	craneWeight = 1e-5
)

// Crane is gocrane/crane's CPU request, asked for once a day.
func Crane() Maker {
	return Maker{"crane", "Crane, run daily: p99 of 7 d in ranges of 0.1 cores weighed by use, +15 %", func(s Series) Rule {
		return newDecided(day, craneSpan, func(w *window) float64 {
			_, used := w.held()
			return max(cranePercentile(used)*craneMargin, s.Floor)
		})
	}}
}

// cranePercentile is NaN without samples.
//
//	99 samples of 0.05 and 1 of 0.95: weights 4.95 and 0.95, so p99 is in the range to 1.0
func cranePercentile(used []float64) float64 {
	var weights [craneRanges]float64
	total, sum := 0.0, 0.0
	for _, v := range used {
		weight := max(craneWeight, v)
		weights[min(craneRanges-1, int(v/craneRange))] += weight
		total += weight
	}
	for i, weight := range weights {
		if sum += weight; weight > 0 && sum >= craneShare*total {
			return float64(i+1) * craneRange
		}
	}
	return math.NaN()
}
