package recommender

import (
	"fmt"
	"math"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// crowding is by how much the use of a pod grows when the replicas rule has done its work, step by
// step: now / enough replicas, 1 where it does nothing. CPU follows the requests that a pod answers,
// and right-sizing never raises a request, so it leaves room for the end of that way at once.
func (c judge) crowding() float64 {
	rec, _ := c.replicas()
	if rec == nil {
		return 1
	}
	d, _ := c.measured("", fleet.Requests, "")
	return float64(c.w.Replicas) / float64(Enough(d.Total, c.o.PerReplica, max(c.o.Floor, 1)))
}

// replicas takes one replica away where they answer few requests. N, named in the evidence, is the
// most replicas that would each answer PerReplica; a measured zero is a zero, and no measurement
// holds the rule.
func (c judge) replicas() (*Recommendation, []fleet.Hold) {
	floor := max(c.o.Floor, 1)
	if !c.o.ReduceReplicas || c.w.Replicas <= floor {
		return nil, nil
	}
	if o, ok := autoscaler(c.w, "replicas"); ok {
		return nil, []fleet.Hold{held(fleet.HoldAutoscaler,
			fmt.Sprintf("%s %s sets the replicas; lower its least replicas instead", o.Kind, o.Name))}
	}
	if _, ok := c.h.series(c.w.Ref, "", fleet.Requests); !ok {
		return nil, []fleet.Hold{held(fleet.HoldNoMetrics,
			"requests were never measured; annotate the pods with prometheus.io/scrape: \"true\"")}
	}
	d, hold := c.measured("", fleet.Requests, "requests per second")
	if hold != nil {
		return nil, []fleet.Hold{*hold}
	}
	ready := c.w.Ready()
	if ready == 0 {
		return nil, []fleet.Hold{held(fleet.HoldNoMetrics, "no replica is ready, so none can be judged by its requests")}
	}
	each := d.Total / float64(ready)
	enough := Enough(d.Total, c.o.PerReplica, floor)
	if !below(each, c.o.PerReplica) || enough >= c.w.Replicas {
		return nil, nil
	}
	target := c.w.Replicas - 1
	steps := []Step{
		{"replicas", "requests/s", decimal(d.Total)},
		{"replicas", "ready", fmt.Sprint(ready)},
		{"replicas", "requests/s each", decimal(each)},
		{"replicas", "enough", fmt.Sprint(enough)},
		{"replicas", "floor", fmt.Sprint(floor)},
		{"replicas", "one at a time", fmt.Sprint(target)},
	}
	return &Recommendation{
		Ref: c.w.Ref, Reason: fleet.FewRequests, Target: fleet.Target{Replicas: target}, Confidence: days(d.Spent),
		Evidence: fmt.Sprintf("%s requests/s over %s, %s for each of %s, below %s; %d would be enough, one is taken away at a time",
			decimal(d.Total), spell(d.To.Sub(d.From)), decimal(each), count(ready, "ready replica"), decimal(c.o.PerReplica), enough),
		Steps: steps,
	}, nil
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
