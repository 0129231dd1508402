package replay

import "math"

// The histogram of the Vertical Pod Autoscaler (kubernetes/autoscaler v1.8.1, recommender/util and
// recommender/model/aggregations_config.go): 176 ranges whose widths grow by 5 %, weights that halve in 24 hours.
const (
	ranges     = 176
	growth     = 1.05
	firstCores = 0.01
	firstBytes = 10e6
	halfLife   = day
	// sampleWeight of a CPU sample; since ca812b36a3 of 2025-02 no longer the request.
	sampleWeight = 0.1
	// mostHalvings is how far weights may grow before all are scaled back.
	mostHalvings = 100
)

// decaying is a histogram in which a sample's weight halves every half-life. Weights are kept as of a
// reference time: a later sample weighs more instead of all earlier ones less.
type decaying struct {
	first     float64 // width of the first range
	weights   [ranges]float64
	total     float64
	reference int64
}

func (d *decaying) add(at int64, v, weight float64) {
	if d.total == 0 {
		d.reference = at
	}
	halvings := float64(at-d.reference) / halfLife
	if halvings > mostHalvings {
		d.scale(at)
		halvings = 0
	}
	weight *= math.Exp2(halvings)
	d.weights[rangeOf(v, d.first)] += weight
	d.total += weight
}

// scale moves the reference time to at.
func (d *decaying) scale(at int64) {
	by := math.Exp2(-float64(at-d.reference) / halfLife)
	d.total, d.reference = 0, at
	for i := range d.weights {
		d.weights[i] *= by
		d.total += d.weights[i]
	}
}

// percentiles are the upper ends of the ranges that hold the given shares of the weight, which ascend; false
// without samples.
func (d *decaying) percentiles(shares [3]float64) (out [3]float64, ok bool) {
	if d.total <= 0 {
		return out, false
	}
	sum, k := 0.0, 0
	for i := 0; i < ranges && k < len(shares); i++ {
		sum += d.weights[i]
		for k < len(shares) && (sum >= shares[k]*d.total || i == ranges-1) {
			out[k] = endOf(i, d.first)
			k++
		}
	}
	return out, true
}

// rangeOf is the range that holds v: floor(log(v/first*0.05+1)/log 1.05).
//
//	first 0.01:  v 0.005 -> 0   0.01 -> 1   0.5 -> 25   1 -> 36
func rangeOf(v, first float64) int {
	return max(0, min(ranges-1, int(math.Log(v/first*(growth-1)+1)/math.Log(growth))))
}

// endOf is where range i ends: first*(1.05^(i+1)-1)/0.05.
func endOf(i int, first float64) float64 {
	return first * (math.Pow(growth, float64(i+1)) - 1) / (growth - 1)
}
