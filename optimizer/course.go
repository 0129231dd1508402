package optimizer

import (
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// course is what a verdict makes of the workload's bill: what it targets, or, for a plan that goes up and down
// through the day, what that requests on average. Where admission trimmed the plan, what it may have now counts.
func (v Verdict) course() fleet.Target {
	if len(v.Recommendation.Course) == 0 || len(v.Trims) > 0 {
		return v.Target
	}
	t := v.Target
	t.Requests = v.Recommendation.Course
	return t
}

// follows tells whether the workload goes by a plan already, because the last change of it was a plan's. What
// the plan saves was counted when it began: a request that rises costs nothing more then, and one that falls
// saves nothing again.
func (j judge) follows(w fleet.Workload) bool {
	last, ok := lastEnded(w.Ref, j.entries)
	return ok && last.Outcome == Done && last.Change.Reverts == "" && last.Change.From.UID == w.UID &&
		slices.Contains(last.Change.Reasons, fleet.CPUPlan)
}

// before is the workload with which a verdict's saving is compared.
func (j judge) before(w fleet.Workload, v Verdict) fleet.Workload {
	if v.Recommendation.Reason == fleet.CPUPlan && j.follows(w) {
		return w.With(fleet.Target{Requests: v.course().Requests})
	}
	return w
}

// going is a workload as its bill goes now: one that follows a plan with what that requests on average, though it
// may be anywhere on its way.
func (j judge) going(a Assessment) fleet.Workload {
	if !j.follows(a.Workload) {
		return a.Workload
	}
	for _, v := range a.Verdicts {
		if !v.Held() && v.Recommendation.Reason == fleet.CPUPlan {
			return j.before(a.Workload, v)
		}
	}
	for _, f := range a.Fine {
		if len(f.Course) > 0 {
			return a.Workload.With(fleet.Target{Requests: f.Course})
		}
	}
	return a.Workload
}

// courses is Target with plans by what they request on average.
func (a Assessment) courses() fleet.Target {
	t := a.Target()
	for _, v := range a.Verdicts {
		if !v.Held() && v.Target.Requests != nil {
			t.Requests = v.course().Requests
		}
	}
	return t
}
