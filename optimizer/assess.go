package optimizer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/sizing"
)

// judge holds what every workload of one pass is judged by.
type judge struct {
	fleet.Snapshot
	set     policies.Set
	history *recommender.History
	plans   *recommender.Plans
	prices  cost.Prices
	now     time.Time
	entries []Entry            // of the ledger, oldest first
	kept    map[fleet.Ref]bool // workloads whose newer pods are being given the requests that stand
	zone    func(name string) *time.Location
}

// assessAll looks at every workload that some policy means; the others are not Trimtab's.
func assessAll(j judge) []Assessment {
	var out []Assessment
	for _, w := range j.Workloads {
		if a, ours := j.assess(w); ours {
			out = append(out, a)
		}
	}
	return out
}

func (j judge) assess(w fleet.Workload) (Assessment, bool) {
	a := Assessment{Ref: w.Ref, Class: w.Class, Workload: w, Now: j.prices.Monthly(w, j.Nodes), Simulated: j.simulated(w)}
	a.After = a.Now
	bounds, known := j.BoundsOf(w.Ref.Namespace)
	if hold, held := j.badPolicy(w, bounds); held {
		return a.hold(hold), true
	}
	matched := j.set.For(w, bounds.Labels)
	if len(matched) != 1 {
		return a.unclaimed(matched)
	}
	p := matched[0]
	a.Policy, a.Mode, a.budget, a.apply = p.Name, p.Mode, p.Budget, p.RightSizing.Apply
	if a.Class == "" {
		a.Class = p.Class
	}
	o := j.options(p, a.Class, w)
	j.history.Follow(w.Ref, o)
	a.Use = j.history.Use(w.Ref, p.Window, j.now, p.RightSizing.Percentile)
	if hold, held := refuse(w, a.Class, known); held {
		return a.hold(hold), true
	}
	if hold, held := j.underWay(w); held {
		return a.hold(hold), true
	}
	said := recommender.Judge(w, j.history, j.plans, o, j.now)
	a.Holds, a.Fine, a.Advice = said.Holds, said.Fine, j.advice(w, o)
	resting := rest(w, j.entries, p.Mode == policies.Enforce, p.Cooldown, j.now)
	for _, r := range said.Recommendations {
		v := j.verdict(w, r, bounds)
		v.Holds = append(v.Holds, unapplied(w, v.Target, a.apply)...)
		v.Holds = append(v.Holds, bound(w, r, resting)...)
		a.Verdicts = append(a.Verdicts, v)
	}
	return j.settlePrice(a), true
}

// bound is the holds of a workload that rests which bind a recommendation. A plan has a budget of changes of CPU
// of its own and must grow when its hour comes, so the policy's cooldown is not for those; nor is it for replicas
// that are about to be needed.
func bound(w fleet.Workload, r recommender.Recommendation, resting []fleet.Hold) []fleet.Hold {
	free := r.Reason == fleet.CPUPlan && moves(w, r.Target) != 0 || r.Reason == fleet.ReplicaForecast && adds(w, r.Target)
	if !free {
		return resting
	}
	return slices.DeleteFunc(slices.Clone(resting), func(h fleet.Hold) bool { return h.Reason == fleet.HoldCooldown })
}

// underWay holds a workload while something that was begun for it is not at its end.
func (j judge) underWay(w fleet.Workload) (fleet.Hold, bool) {
	if e, ok := open(w.Ref, j.entries); ok {
		return fleet.Hold{Reason: fleet.HoldOpen, Detail: strings.TrimSuffix(fmt.Sprintf("change %s (%s) is under way: %s", e.ID, e.Change.Words(), e.Detail), ": ")}, true
	}
	for _, p := range w.Pods {
		if p.Resize.State != "" && !j.kept[w.Ref] {
			return fleet.Hold{Reason: fleet.HoldOpen, Detail: strings.TrimSuffix(fmt.Sprintf("a resize that no change under way asked for is not at its end, of pod %s (%s): %s", p.Name, p.Resize.State, p.Resize.Detail), ": ")}, true
		}
	}
	return fleet.Hold{Reason: fleet.HoldOpen, Detail: "newer pods are being given the requests that the others have"}, j.kept[w.Ref]
}

// unapplied is why a target cannot be written to a workload without a harm that it is not worth: a
// restart, or pods replaced in a way that loses requests.
func unapplied(w fleet.Workload, t fleet.Target, apply policies.Apply) []fleet.Hold {
	rolls := t.Capacity != "" || len(t.Requests) > 0 && apply == policies.InTemplate
	if rolls && w.Unrollable != "" {
		return []fleet.Hold{{Reason: fleet.HoldUnrollable, Detail: w.Unrollable}}
	}
	for _, r := range t.Requests {
		k, ok := w.Current().Container(r.Container)
		if !ok || apply == policies.InTemplate {
			continue
		}
		cpu := k.ResizePolicy.CPU == fleet.RestartContainer && !k.SameCPU(r)
		memory := k.ResizePolicy.Memory == fleet.RestartContainer && !k.SameMemory(r)
		if cpu || memory {
			return []fleet.Hold{{Reason: fleet.HoldRestart, Detail: "the resizePolicy of container " + k.Name +
				" asks for a restart; take that away, or write rightSizing.apply: template to replace the pods"}}
		}
	}
	return nil
}

// badPolicy holds a workload that a document with faults means, whatever else selects it: mended, the
// document would be its policy or a second one.
func (j judge) badPolicy(w fleet.Workload, b fleet.Bounds) (fleet.Hold, bool) {
	for _, bad := range j.set.Bad {
		if !bad.Kept && bad.Selector != nil && bad.Selector.Matches(w, b.Labels) {
			return fleet.Hold{Reason: fleet.HoldBadPolicy,
				Detail: fmt.Sprintf("%s has faults: %s", bad.Source, strings.Join(bad.Faults, "; "))}, true
		}
	}
	fault, wrong := policies.LabelFault(b.Labels)
	return fleet.Hold{Reason: fleet.HoldBadPolicy, Detail: fault}, wrong && len(j.set.For(w, b.Labels)) == 0
}

// unclaimed is a workload without exactly one policy: held where several mean it, not ours where none does.
func (a Assessment) unclaimed(matched []policies.Policy) (Assessment, bool) {
	if len(matched) > 1 {
		names := make([]string, len(matched))
		for i, p := range matched {
			names[i] = fmt.Sprintf("%s (%s)", p.Name, p.Source)
		}
		return a.hold(fleet.Hold{Reason: fleet.HoldTwoPolicies,
			Detail: strings.Join(names, " and ") + " both select it; narrow one selector"}), true
	}
	return a, false
}

// refuse gives the first reason for which the whole workload is left alone before its history is asked.
func refuse(w fleet.Workload, class fleet.Class, boundsKnown bool) (fleet.Hold, bool) {
	switch {
	case w.Ref.Kind != "Deployment":
		return fleet.Hold{Reason: fleet.HoldKind, Detail: "a " + w.Ref.Kind + " is looked at but not changed by this version; only Deployments are"}, true
	case w.Labels[policies.ServerLabel] != "":
		return fleet.Hold{Reason: fleet.HoldManaged, Detail: "InferenceServer " + w.Labels[policies.ServerLabel] + " owns it: requests and replicas are changed in that document"}, true
	case class == "":
		return fleet.Hold{Reason: fleet.HoldClass, Detail: "say online or batch: label the Deployment " + policies.ClassLabel + "=online, or set class in its policy"}, true
	case !boundsKnown:
		return fleet.Hold{Reason: fleet.HoldBounds, Detail: "LimitRange and ResourceQuota of " + w.Ref.Namespace + " could not be read"}, true
	}
	return fleet.Hold{}, false
}

func (a Assessment) hold(h fleet.Hold) Assessment {
	a.Holds = append(a.Holds, h)
	return a
}

func (j judge) verdict(w fleet.Workload, r recommender.Recommendation, b fleet.Bounds) Verdict {
	target, trims, holds := admission.Judge(w, r.Target, b)
	if alone, limits := withoutLimits(r.Target); limits && len(holds) > 0 {
		if t, less, none := admission.Judge(w, alone, b); len(none) == 0 {
			r.Steps = append(slices.Clone(r.Steps), recommender.Step{Subject: "limits", Name: "left as they are", Value: holds[0].Detail})
			target, trims, holds = t, less, nil
		}
	}
	if len(holds) == 0 && w.Has(target) {
		holds = []fleet.Hold{{Reason: fleet.HoldAtTarget, Detail: "what it may be given is what it has"}}
	}
	v := Verdict{Recommendation: r, Target: target, Trims: trims, Holds: holds}
	now, after := j.prices.Monthly(j.before(w, v), j.Nodes), j.prices.Monthly(w.With(v.course()), j.Nodes)
	v.Saving = now.Cents().Sub(after.Cents())
	return v
}

// withoutLimits is a target of requests alone, and whether that is less: where a namespace refuses limits, requests
// can go on.
func withoutLimits(t fleet.Target) (fleet.Target, bool) {
	limits := false
	t.Requests = slices.Clone(t.Requests)
	for i := range t.Requests {
		limits = limits || !t.Requests[i].Limits.Equal(fleet.Resources{})
		t.Requests[i].Limits = fleet.Resources{}
	}
	return t, limits
}

// advice is what the rules that change nothing found, priced on the nodes under the workload's pods.
func (j judge) advice(w fleet.Workload, o recommender.Options) []Advice {
	var out []Advice
	for _, found := range recommender.Advise(w, j.history, o, j.device(w), j.now) {
		saving := j.prices.GPU(w, j.Nodes, found.MilliGPU).Add(j.prices.Replicas(w, j.Nodes, found.MilliReplicas))
		out = append(out, Advice{found, saving})
	}
	return out
}

// simulated tells whether some pod of w is on a node that is not a real one.
func (j judge) simulated(w fleet.Workload) bool {
	return slices.ContainsFunc(w.Pods, func(p fleet.Pod) bool {
		n, _ := j.Node(p.Node)
		return n.Simulated
	})
}

// settlePrice prices the workload after every verdict that stands, together: savings of single
// verdicts overlap (a smaller pod makes a removed replica cheaper) and must not be added up.
func (j judge) settlePrice(a Assessment) Assessment {
	a.Now = j.prices.Monthly(j.going(a), j.Nodes)
	a.After = j.prices.Monthly(j.going(a).With(a.courses()), j.Nodes)
	return a
}

// Target joins the targets of every verdict that is not held.
func (a Assessment) Target() fleet.Target {
	var t fleet.Target
	for _, v := range a.Verdicts {
		if v.Held() {
			continue
		}
		if v.Target.Requests != nil {
			t.Requests = v.Target.Requests
		}
		if v.Target.Replicas != 0 {
			t.Replicas = v.Target.Replicas
		}
		if v.Target.Capacity != "" {
			t.Capacity = v.Target.Capacity
		}
	}
	return t
}

// options turns a policy's values into the recommender's.
func (j judge) options(p policies.Policy, class fleet.Class, w fleet.Workload) recommender.Options {
	floor := p.Replicas.OnlineFloor
	if class == fleet.Batch {
		floor = p.Replicas.BatchFloor
	}
	r := p.RightSizing
	return recommender.Options{
		Priced: j.priced(r),
		Class:  class, Window: p.Window, MinHistory: p.MinHistory, StaleAfter: p.StaleAfter,
		RightSize: r.Enabled, UnderusedBelow: r.UnderusedBelow, Percentile: r.Percentile,
		Margin: r.Margin, MemoryMargin: r.MemoryMargin, MinMilliCPU: r.MinMilliCPU, MinMemory: r.MinMemory,
		Limits:         map[policies.Limits]recommender.LimitRule{policies.LimitsByRatio: recommender.LimitsByRatio, policies.LimitsByPeaks: recommender.LimitsByPeaks}[r.Limits],
		InPlace:        r.Apply != policies.InTemplate,
		ReduceReplicas: p.Replicas.Enabled, PerReplica: p.Replicas.RequestsPerSecond, Floor: floor,
		Forecast:   forecast(p.Replicas),
		MoveToSpot: p.Spot.Enabled, SpotNodes: j.spotNodes(w),
	}
}

// priced is what a policy's rule priced says to the planner; nil for another rule.
func (j judge) priced(r policies.RightSizing) *sizing.Options {
	if r.Rule != policies.ByPrice {
		return nil
	}
	risk := map[policies.Risk]float64{policies.RiskLow: sizing.RiskLow, policies.RiskNormal: sizing.RiskNormal, policies.RiskHigh: sizing.RiskHigh}
	return &sizing.Options{Zone: j.zone(r.TimeZone), Risk: risk[r.Risk], Changes: float64(r.ChangesPerDay), Lead: r.Lead}
}

// forecast is what a policy's rule forecast says of replicas; nil for another rule.
func forecast(r policies.Replicas) *recommender.Forecast {
	if r.Rule != policies.ByForecast {
		return nil
	}
	return &recommender.Forecast{Capacity: r.Capacity, Latency: r.Latency, Redundancy: r.Redundancy, Lead: r.Lead, Ceiling: r.Ceiling}
}

// spotNodes counts the spot nodes that w may move to and one pod of it would fit on when empty.
func (j judge) spotNodes(w fleet.Workload) int {
	n, pod := 0, w.Current().Requests()
	for _, node := range j.Nodes {
		if node.Capacity == fleet.Spot && w.MayMoveTo(node.Name) && pod.Fits(node.Allocatable) {
			n++
		}
	}
	return n
}

// lint gathers what is wrong with the quotas and LimitRanges of the namespaces that have workloads in the plan.
func lint(s fleet.Snapshot, all []Assessment) []admission.Finding {
	var out []admission.Finding
	for _, b := range s.Bounds {
		for _, a := range all {
			if a.Ref.Namespace == b.Namespace {
				out = append(out, admission.Lint(b)...)
				break
			}
		}
	}
	return out
}
