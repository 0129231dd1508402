package replay

import "math"

// When the Vertical Pod Autoscaler's updater resizes a pod (kubernetes/autoscaler v1.8.1,
// updater/priority/update_priority_calculator.go and updater/main.go): at once when the request is outside the
// bounds, and a pod of 12 hours when it is a tenth or more away from the target. The bounds widen while little is
// known: lower = p50*1.15*(1+0.001/c)^-2, upper = p95*1.15*(1+1/c), c the days of samples.
//
//	c:      0.2    1     7      30
//	lower   0.990  0.998 0.9997 0.9999
//	upper   6      2     1.143  1.033
const (
	updateShare = 0.10
	updateAge   = 12 * 3600
	// aDayOfSamples is how many the recommender expects: one a minute.
	aDayOfSamples = 1440
)

// VPAUpdater is what a pod under the Vertical Pod Autoscaler really has, decided at every sample: the updater
// evicts it (recreate: its age begins anew) or resizes it in place (its age does not).
func VPAUpdater(inPlace bool) Maker {
	name, about := "vpa-recreate", "VPA with its updater, evicting: outside its bounds, or 10 % off after 12 h"
	if inPlace {
		name, about = "vpa-inplace", "VPA with its updater, in place: outside its bounds, or 10 % off"
	}
	return Maker{name, about, func(s Series) Rule {
		return &updaterRule{
			use: decaying{first: firstCores}, floor: max(vpaCoresLeast, s.Floor), inPlace: inPlace,
			minutes: max(1, s.Step().Minutes()), request: math.NaN(),
		}
	}}
}

type updaterRule struct {
	use            decaying
	floor, minutes float64 // minutes: how many of the recommender's samples one of ours stands for
	inPlace        bool
	first, last    int64 // of the samples seen
	seen           int
	started        int64 // when the pod began
	request        float64
}

func (r *updaterRule) Request(at int64) float64 {
	if r.seen == 0 || at-r.first < day { // before a day of samples no pod is sized
		return r.request
	}
	lower, target, upper, ok := r.bounds()
	if !ok {
		return r.request
	}
	if math.IsNaN(r.request) { // the webhook gives a new pod the target
		r.request, r.started = target, at
		return r.request
	}
	outside := r.request < lower || r.request > upper
	away := math.Abs(r.request-target) / r.request
	if outside || at-r.started >= updateAge && away >= updateShare {
		r.update(at, target)
	}
	return r.request
}

func (r *updaterRule) update(at int64, target float64) {
	r.request = target
	if !r.inPlace {
		r.started = at
	}
}

// bounds are the recommender's after the samples seen so far.
func (r *updaterRule) bounds() (lower, target, upper float64, ok bool) {
	p, ok := r.use.percentiles(vpaShares())
	confidence := min(float64(r.last-r.first)/day, float64(r.seen)*r.minutes/aDayOfSamples)
	if !ok || confidence <= 0 {
		return 0, 0, 0, false
	}
	lower = p[0] * vpaMargin * math.Pow(1+0.001/confidence, -2)
	upper = p[2] * vpaMargin * (1 + 1/confidence)
	return max(lower, r.floor), max(p[1]*vpaMargin, r.floor), max(upper, r.floor), true
}

func (r *updaterRule) Seen(at int64, used float64) {
	if r.seen == 0 {
		r.first = at
	}
	r.seen++
	r.last = at
	r.use.add(at, used, sampleWeight)
}
