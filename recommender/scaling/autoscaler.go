package scaling

import "math"

const leastTarget = .1 // of an autoscaler's target, so that a wild server does not get a hundredfold

// Autoscaler is what a HorizontalPodAutoscaler should be set to, so that it follows what no forecast
// sees and never starts from too little.
type Autoscaler struct {
	Min, Max int
	// Target is the requests per second for each replica (AverageValue) that it should aim at.
	Target float64
	// Share is Target as a share of Capacity.
	Share float64
}

// Autoscaler is the setting for the window that begins at at; false where there is nothing to go by.
//
// Min is the Replicas of that window. Max serves the highest hour of the calendar, or the highest rate
// foreseen, with the errors of an autoscaler on top, plus redundancy. An autoscaler follows the newest
// window, so its target leaves room for that way's errors: all but one in Risk of the rises within the
// lead time fit into what runs. It is never above Options.Target.
func (t *Track) Autoscaler(at int64) (Autoscaler, bool) {
	if !t.able() || t.s.Seen == 0 {
		return Autoscaler{}, false
	}
	a := t.Replicas(at)
	now, _ := t.outlook(0, at)
	share := t.o.Target
	if high := now.quantile(1 - 1/max(t.o.Risk, 1)); high > 0 {
		share = min(share, now.root*now.root/high)
	}
	share = max(share, min(leastTarget, t.o.Target))
	most := need(t.peak(&now), t.o.Capacity) + t.o.Redundancy
	return Autoscaler{
		Min:    a.Replicas,
		Max:    max(min(most, t.o.Max), a.Replicas),
		Target: share * t.o.Capacity,
		Share:  share,
	}, true
}

// peak is the highest rate to be ready for: the highest that an hour of the week or a recent window
// had, times what the newest outlook holds possible above its root.
func (t *Track) peak(now *outlook) float64 {
	root := 0.
	for _, r := range t.s.Recent {
		root = max(root, math.Sqrt(float64(r)))
	}
	for h := range t.s.Hours.Hours {
		v, _ := t.s.Hours.week(h)
		root = max(root, v)
	}
	if now.root > 0 {
		root *= math.Sqrt(now.quantile(1-1/(4*max(t.o.Risk, 1)))) / now.root
	}
	return root * root
}
