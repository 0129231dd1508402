package recommender

import (
	"fmt"
	"math"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// replicas takes one replica away where they answer few requests. N, named in the evidence, is the
// most replicas that would each answer PerReplica; a measured zero is a zero, and no measurement
// holds the rule.
//
// Crowding is by how much the use of a pod grows when the rule has done its work, step by step: now / enough replicas,
// 1 where it does nothing. CPU follows the requests that a pod answers, and right-sizing never raises a request, so it
// leaves room for the end of that way at once.
func (c *judge) replicas() (r ruling, crowding float64) {
	floor := max(c.o.Floor, 1)
	switch {
	case !c.o.ReduceReplicas:
		return ruling{}, 1
	case c.o.Forecast != nil:
		return c.forecast()
	}
	if o, ok := autoscaler(c.w, "replicas"); ok && c.w.Replicas > floor {
		return holding(fleet.HoldAutoscaler, fmt.Sprintf("%s %s sets the replicas; lower its least replicas instead", o.Kind, o.Name)), 1
	}
	_, ever := c.series("", fleet.Requests)
	d, hold := c.measured("", fleet.Requests, "requests per second")
	ready := c.w.Ready()
	switch enough := Enough(d.Total, c.o.PerReplica, floor); {
	case c.w.Replicas <= floor:
		return finding(c.fineReplicas(d, hold == nil)), 1
	case !ever:
		return holding(fleet.HoldNoMetrics, neverAnswered), 1
	case hold != nil:
		return ruling{Holds: []fleet.Hold{*hold}}, 1
	case ready == 0:
		return holding(fleet.HoldNoMetrics, "no replica is ready, so none can be judged by its requests"), 1
	case !below(d.Total/float64(ready), c.o.PerReplica) || enough >= c.w.Replicas:
		return finding(c.fineReplicas(d, true)), 1
	default:
		return recommending(c.oneFewer(d, ready, enough)), float64(c.w.Replicas) / float64(enough)
	}
}

// oneFewer is the recommendation to take one replica away.
func (c *judge) oneFewer(d Distribution, ready int, enough int32) Recommendation {
	target, each := c.w.Replicas-1, d.Total/float64(ready)
	return Recommendation{
		Ref: c.w.Ref, Reason: fleet.FewRequests, Target: fleet.Target{Replicas: target}, Confidence: days(d.Spent),
		Evidence: fmt.Sprintf("%s requests/s over %s, %s for each of %s, below %s; %d would be enough, one is taken away at a time",
			decimal(d.Total), spell(d.To.Sub(d.From)), decimal(each), fleet.Count(ready, "ready replica"), decimal(c.o.PerReplica), enough),
		Steps: []Step{
			{"replicas", "requests/s", decimal(d.Total)},
			{"replicas", "ready", fmt.Sprint(ready)},
			{"replicas", "requests/s each", decimal(each)},
			{"replicas", "enough", fmt.Sprint(enough)},
			{"replicas", "floor", fmt.Sprint(max(c.o.Floor, 1))},
			{"replicas", "one at a time", fmt.Sprint(target)},
		},
	}
}

// Enough is the most replicas that would each answer at least perReplica of total requests per
// second, and never fewer than floor.
//
//	total, per replica, floor   35, 10, 1: 3    30, 10, 1: 3    29, 10, 1: 2    5, 10, 1: 1    0, 10, 2: 2
func Enough(total, perReplica float64, floor int32) int32 {
	n := math.Floor(total / perReplica * (1 + tolerance))
	if !(n < math.MaxInt32) { // perReplica 0: every replica is enough
		return math.MaxInt32
	}
	return max(floor, int32(n))
}
