package replay

import (
	"math"
	"slices"
)

// What the Vertical Pod Autoscaler asks for (kubernetes/autoscaler v1.8.1, recommender/logic/recommender.go and
// recommender/main.go): a percentile of its histogram, 15 % more, and never under 25 m or 250 MB for a pod.
const (
	vpaMargin     = 1.15
	vpaCoresLeast = 0.025
	vpaBytesLeast = 238.4 * MiB // 250 MB
	vpaDays       = 8           // how many daily peaks of memory count
	vpaEvery      = day         // how often the baselines ask; the genuine one does every minute
)

// vpaShares are the percentiles of the lower bound, the target and the upper bound.
func vpaShares() [3]float64 { return [3]float64{0.50, 0.90, 0.95} }

// VPA is the Vertical Pod Autoscaler's CPU target, read once a day: the 90th percentile of a histogram that
// halves every 24 hours, as the upper end of its range, and 15 % more.
func VPA() Maker {
	return vpa("vpa", "VPA target, read daily: p90 of a histogram halving in 24 h, +15 %", vpaEvery)
}

// VPAHourly is VPA, read every hour.
func VPAHourly() Maker { return vpa("vpa-hourly", "VPA target, read every hour", 3600) }

func vpa(name, about string, every int64) Maker {
	return Maker{name, about, func(s Series) Rule {
		return &vpaRule{schedule: schedule{every: every}, use: decaying{first: firstCores}, floor: max(vpaCoresLeast, s.Floor), request: math.NaN()}
	}}
}

type vpaRule struct {
	schedule
	use            decaying
	floor, request float64
}

func (r *vpaRule) Request(at int64) float64 {
	if _, ok := r.due(at); ok {
		if p, ok := r.use.percentiles(vpaShares()); ok {
			r.request = max(p[1]*vpaMargin, r.floor)
		}
	}
	return r.request
}

func (r *vpaRule) Seen(at int64, used float64) { r.use.add(at, used, sampleWeight) }

// VPAMemory is the Vertical Pod Autoscaler's memory target, read once a day: the 90th percentile of the peaks of
// the last 8 days, a peak's weight halving every 24 hours, as the upper end of its range, and 15 % more.
func VPAMemory() Maker {
	return Maker{"vpa", "VPA target, read daily: p90 of 8 daily peaks halving in 24 h, +15 %", func(s Series) Rule {
		return &vpaMemory{schedule: schedule{every: vpaEvery}, floor: max(vpaBytesLeast, s.Floor), request: math.NaN()}
	}}
}

// peak is the most memory of one day, and the end of that day.
type peak struct {
	end  int64
	used float64
}

type vpaMemory struct {
	schedule
	peaks          []peak // by time
	floor, request float64
}

func (r *vpaMemory) Request(at int64) float64 {
	if edge, ok := r.due(at); ok {
		r.peaks = slices.DeleteFunc(r.peaks, func(p peak) bool { return p.end <= edge-vpaDays*day })
		r.request = max(peakPercentile(r.peaks, edge, vpaShares()[1])*vpaMargin, r.floor)
	}
	return r.request
}

func (r *vpaMemory) Seen(at int64, used float64) {
	end := at - (at-r.first)%day + day
	if n := len(r.peaks); n > 0 && r.peaks[n-1].end == end {
		r.peaks[n-1].used = max(r.peaks[n-1].used, used)
		return
	}
	r.peaks = append(r.peaks, peak{end, used})
}

// peakPercentile is the upper end of the range that holds a share of the peaks' weight; NaN without peaks.
func peakPercentile(peaks []peak, now int64, share float64) float64 {
	byUse := slices.Clone(peaks)
	slices.SortStableFunc(byUse, func(a, b peak) int { return rangeOf(a.used, firstBytes) - rangeOf(b.used, firstBytes) })
	total, sum := 0.0, 0.0
	weight := func(p peak) float64 { return math.Exp2(float64(p.end-now) / halfLife) }
	for _, p := range byUse {
		total += weight(p)
	}
	for _, p := range byUse {
		if sum += weight(p); sum >= share*total-1e-12 {
			return endOf(rangeOf(p.used, firstBytes), firstBytes)
		}
	}
	return math.NaN()
}
