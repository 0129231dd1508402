package optimizer

import (
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// course is what a verdict makes of the workload's bill: what it targets, or, for a plan that goes up and down
// through the day, what that takes on average. Where admission trimmed the plan, what it may have now counts.
func (v Verdict) course() fleet.Target {
	t := v.Target
	if len(v.Recommendation.Course) > 0 && len(v.Trims) == 0 {
		t.Requests = v.Recommendation.Course
	}
	if v.Recommendation.Replicas > 0 {
		t.Replicas = v.Recommendation.Replicas
	}
	return t
}

// winding tells whether a reason is a plan's that goes up and down through the day.
func winding(r fleet.Reason) bool { return r == fleet.CPUPlan || r == fleet.ReplicaForecast }

// follows tells whether the workload goes by a plan for that reason already, because the last change of it that was
// a plan's was for it. What the plan saves was counted when it began: what rises costs nothing more then, and what
// falls saves nothing again.
func (j judge) follows(w fleet.Workload, r fleet.Reason) bool {
	for _, e := range slices.Backward(j.entries) {
		c := e.Change
		if c.Ref != w.Ref || c.From.UID != w.UID || e.Outcome != Done {
			continue
		}
		if c.Reverts != "" || !slices.ContainsFunc(c.Reasons, winding) {
			return false
		}
		if slices.Contains(c.Reasons, r) {
			return true
		}
	}
	return false
}

// before is the workload with which a verdict's saving is compared.
func (j judge) before(w fleet.Workload, v Verdict) fleet.Workload {
	if r := v.Recommendation.Reason; winding(r) && j.follows(w, r) {
		return w.With(v.on())
	}
	return w
}

// on is what a plan takes on average, of what it is for.
func (v Verdict) on() fleet.Target {
	t := v.course()
	if v.Recommendation.Reason == fleet.ReplicaForecast {
		return fleet.Target{Replicas: t.Replicas}
	}
	return fleet.Target{Requests: t.Requests}
}

// going is a workload as its bill goes now: one that follows a plan with what that takes on average, though it may
// be anywhere on its way.
func (j judge) going(a Assessment) fleet.Workload {
	w := a.Workload
	for _, v := range a.Verdicts {
		if !v.Held() && winding(v.Recommendation.Reason) && j.follows(a.Workload, v.Recommendation.Reason) {
			w = w.With(v.on())
		}
	}
	for _, f := range a.Fine {
		if (len(f.Course) > 0 || f.Replicas > 0) && j.follows(a.Workload, f.Reason) {
			w = w.With(fleet.Target{Requests: f.Course, Replicas: f.Replicas})
		}
	}
	return w
}

// courses is Target with plans by what they take on average.
func (a Assessment) courses() fleet.Target {
	t := a.Target()
	for _, v := range a.Verdicts {
		if v.Held() {
			continue
		}
		if v.Target.Requests != nil {
			t.Requests = v.course().Requests
		}
		if v.Target.Replicas != 0 {
			t.Replicas = v.course().Replicas
		}
	}
	return t
}
