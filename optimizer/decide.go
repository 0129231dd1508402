package optimizer

import (
	"cmp"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// propose turns assessments into the changes of a plan: under policies that enforce at most each one's budget of
// changes, the largest savings first; shrinks before grows, so that the quota a grow needs is free by
// then, otherwise in the order of Refs.
func (plan *Plan) propose(all []Assessment) {
	plan.Assessments = withinBudgets(all)
	for _, a := range plan.Assessments {
		if a.proposes() {
			plan.Changes = append(plan.Changes, a.change())
		}
		plan.Now, plan.After = plan.Now.Add(a.Now.Cents()), plan.After.Add(a.After.Cents())
	}
	slices.SortStableFunc(plan.Changes, func(a, b Change) int {
		return cmp.Compare(a.grows(), b.grows())
	})
}

// withinBudgets holds what a policy that enforces has no budget for in this pass. What is only
// recommended is never cut off: nothing is changed, so a budget would hide the same savings for ever.
func withinBudgets(all []Assessment) []Assessment {
	out, made := slices.Clone(all), map[string]int{} // changes by policy
	for _, i := range bySaving(all) {
		a := all[i]
		if a.Mode != policies.Enforce || !a.proposes() {
			continue
		}
		if made[a.Policy]++; made[a.Policy] > a.budget {
			out[i] = a.overBudget()
		}
	}
	return out
}

// bySaving is the places of assessments: first those that grow by their plan, for whom the hour is near, then
// the largest saving first, equal ones in their order.
func bySaving(all []Assessment) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int {
		if all[i].rises() != all[k].rises() {
			return map[bool]int{true: -1, false: 1}[all[i].rises()]
		}
		return cmp.Compare(all[k].Now.Sub(all[k].After).Amount, all[i].Now.Sub(all[i].After).Amount)
	})
	return order
}

// rises tells whether a plan asks for more CPU or replicas now.
func (a Assessment) rises() bool {
	return slices.ContainsFunc(a.Verdicts, func(v Verdict) bool {
		return !v.Held() && winding(v.Recommendation.Reason) && (moves(a.Workload, v.Target) > 0 || adds(a.Workload, v.Target))
	})
}

// adds tells whether a target asks for more replicas.
func adds(w fleet.Workload, t fleet.Target) bool { return t.Replicas > w.Replicas }

// moves is 1 where a target asks for more CPU of some container, -1 where it asks for less of one and more of none.
func moves(w fleet.Workload, t fleet.Target) int {
	way := 0
	for _, r := range t.Requests {
		k, ok := w.Current().Container(r.Container)
		switch {
		case ok && r.Requests.MilliCPU > k.Requests.MilliCPU:
			return 1
		case ok && r.Requests.MilliCPU < k.Requests.MilliCPU:
			way = -1
		}
	}
	return way
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
	c := Change{Ref: a.Ref, From: a.Workload, To: a.Workload.With(a.Target()), Policy: a.Policy, Mode: a.Mode, Apply: a.apply, Saving: a.Now.Cents().Sub(a.After.Cents())}
	for _, v := range a.Verdicts {
		if !v.Held() {
			c.Reasons = append(c.Reasons, v.Recommendation.Reason)
		}
	}
	c.ID = proposalID(a.Workload, a.Policy, c.Reasons)
	return c
}

// grows is 1 where a change asks for more of any resource in total, as requests or limits, else 0.
func (c Change) grows() int {
	from, to := c.From.Current(), c.To.Current()
	times := func(r fleet.Resources, w fleet.Workload) fleet.Resources { return r.Times(int64(w.Replicas)) }
	if times(to.Requests(), c.To).Fits(times(from.Requests(), c.From)) && times(to.Limits(), c.To).Fits(times(from.Limits(), c.From)) {
		return 0
	}
	return 1
}
