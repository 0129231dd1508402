package optimizer

import (
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
)

// TestReplicasAreAddedInTheCooldown: what is about to be needed does not wait, what may go does.
func TestReplicasAreAddedInTheCooldown(t *testing.T) {
	resting := []fleet.Hold{{Reason: fleet.HoldCooldown}, {Reason: fleet.HoldReverted}}
	for _, c := range []struct {
		reason fleet.Reason
		to     int32
		left   int
	}{{fleet.ReplicaForecast, 4, 1}, {fleet.ReplicaForecast, 2, 2}, {fleet.FewRequests, 2, 2}} {
		r := recommender.Recommendation{Reason: c.reason, Target: fleet.Target{Replicas: c.to}}
		if got := bound(fleet.Workload{Replicas: 3}, r, resting); len(got) != c.left {
			t.Errorf("%s to %d: %v", c.reason, c.to, got)
		}
		a := Assessment{Workload: fleet.Workload{Replicas: 3}, Verdicts: []Verdict{{Recommendation: r, Target: r.Target}}}
		if a.rises() != (c.to > 3) {
			t.Errorf("%s to %d rises: %v", c.reason, c.to, a.rises())
		}
	}
}

// TestFollows: a workload goes by a plan from its first change until that is taken back or something else is changed.
func TestFollows(t *testing.T) {
	w := fleet.Workload{Ref: fleet.Deployment("ml", "m"), UID: "u", Replicas: 3}
	entry := func(o Outcome, reverts string, reasons ...fleet.Reason) Entry {
		return Entry{Outcome: o, Ended: time.Unix(1, 0), Change: Change{Ref: w.Ref, From: w, Reasons: reasons, Reverts: reverts}}
	}
	cpu, replicas := entry(Done, "", fleet.CPUPlan), entry(Done, "", fleet.ReplicaForecast)
	for _, c := range []struct {
		name          string
		entries       []Entry
		cpu, replicas bool
	}{
		{"nothing yet", nil, false, false},
		{"one", []Entry{cpu}, true, false},
		{"both, one after the other", []Entry{cpu, replicas}, true, true},
		{"both at once", []Entry{entry(Done, "", fleet.CPUPlan, fleet.ReplicaForecast)}, true, true},
		{"taken back", []Entry{replicas, entry(Done, "e1", fleet.ReplicaForecast)}, false, false},
		{"something else since", []Entry{replicas, entry(Done, "", fleet.FewRequests)}, false, false},
		{"not done", []Entry{entry(Failed, "", fleet.CPUPlan)}, false, false},
	} {
		j := judge{entries: c.entries}
		if j.follows(w, fleet.CPUPlan) != c.cpu || j.follows(w, fleet.ReplicaForecast) != c.replicas {
			t.Errorf("%s: cpu %v, replicas %v", c.name, j.follows(w, fleet.CPUPlan), j.follows(w, fleet.ReplicaForecast))
		}
	}
}

// TestForecastIsPricedByItsAverage: 3 become 2 now, and run as 4 on average: after is 4, and once it is followed so is before.
func TestForecastIsPricedByItsAverage(t *testing.T) {
	w := fleet.Workload{Ref: fleet.Deployment("ml", "m"), UID: "u", Replicas: 3}
	v := Verdict{Target: fleet.Target{Replicas: 2}, Recommendation: recommender.Recommendation{Reason: fleet.ReplicaForecast, Replicas: 4}}
	a := Assessment{Workload: w, Verdicts: []Verdict{v}}
	followed := judge{entries: []Entry{{Outcome: Done, Change: Change{Ref: w.Ref, From: w, Reasons: []fleet.Reason{fleet.ReplicaForecast}}}}}
	if a.Target().Replicas != 2 || a.courses().Replicas != 4 || (judge{}).going(a).Replicas != 3 || followed.going(a).Replicas != 4 || followed.before(w, v).Replicas != 4 {
		t.Errorf("target %v, courses %v, going %d, followed %d", a.Target(), a.courses(), (judge{}).going(a).Replicas, followed.going(a).Replicas)
	}
	fine := Assessment{Workload: w, Fine: []recommender.Finding{{Reason: fleet.ReplicaForecast, Replicas: 5}}}
	if followed.going(fine).Replicas != 5 {
		t.Errorf("with nothing to change %d", followed.going(fine).Replicas)
	}
}
