package optimizer

import (
	"cmp"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// decide turns assessments into a plan: at most each policy's budget of changes, shrinks before
// grows so that the quota a grow needs is free by then, otherwise in the order of Refs.
func decide(all []Assessment) Plan {
	plan := Plan{Assessments: all}
	made := map[string]int{} // changes by policy
	for i, a := range all {
		if !a.proposes() {
			continue
		}
		if made[a.Policy] >= a.budget {
			plan.Assessments[i] = a.overBudget()
			continue
		}
		made[a.Policy]++
		plan.Changes = append(plan.Changes, a.change())
	}
	slices.SortStableFunc(plan.Changes, func(a, b Change) int {
		return cmp.Compare(a.grows(), b.grows())
	})
	for _, a := range plan.Assessments {
		plan.Now, plan.After = plan.Now.Add(a.Now), plan.After.Add(a.After)
	}
	return plan
}

func (a Assessment) proposes() bool {
	return slices.ContainsFunc(a.Verdicts, func(v Verdict) bool { return !v.Held() })
}

// overBudget holds every verdict of a workload whose policy has made its changes for this pass.
func (a Assessment) overBudget() Assessment {
	hold := fleet.Hold{Reason: fleet.HoldBudget,
		Detail: fmt.Sprintf("policy %s makes at most %d changes a pass; it is looked at again in the next", a.Policy, a.budget)}
	a.Verdicts = slices.Clone(a.Verdicts)
	for i := range a.Verdicts {
		a.Verdicts[i].Holds = append(slices.Clone(a.Verdicts[i].Holds), hold)
	}
	a.After = a.Now
	return a
}

func (a Assessment) change() Change {
	c := Change{Ref: a.Ref, From: a.Workload, To: a.Workload.With(a.Target()), Policy: a.Policy, Mode: a.Mode, Saving: a.Now.Sub(a.After)}
	for _, v := range a.Verdicts {
		if !v.Held() {
			c.Reasons = append(c.Reasons, v.Recommendation.Reason)
		}
	}
	return c
}

// grows is 1 where a change asks for more of any resource in total, else 0.
func (c Change) grows() int {
	from := c.From.Current().Requests().Times(int64(c.From.Replicas))
	to := c.To.Current().Requests().Times(int64(c.To.Replicas))
	if to.Fits(from) {
		return 0
	}
	return 1
}
