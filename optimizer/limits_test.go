package optimizer_test

import (
	"slices"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
)

// moved is a cluster whose one workload was given other requests and limits by a policy that keeps their ratio: 20m
// used and 50Mi, so that 25m and 58Mi are asked for, under a CPU limit of twice that. Memory's stays, for no start
// was measured.
func moved(t *testing.T, pods int32) (*cluster, *ledger.Memory) {
	t.Helper()
	c, book := newCluster(deployment("rec", pods)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", enforced+"  cooldown: 1s\n  rightSizing: {limits: ratio}\n  replicas: {enabled: false}\n")}
	c.passes(t, book, 4)
	return c, book
}

func TestLimitsFollow(t *testing.T) {
	c, book := moved(t, 2)
	for _, p := range c.workloads[0].Pods {
		k := p.Shape.Containers[0]
		if k.Requests.MilliCPU != 25 || k.Limits.MilliCPU != 50 || k.Requests.Memory != 58<<20 || k.Limits.Memory != 2<<30 {
			t.Errorf("%s: %+v under %+v", p.Name, k.Requests, k.Limits)
		}
	}
	all := entries(t, book)
	if len(all) != 1 || all[0].Outcome != optimizer.Done || all[0].Change.Words() != "s cpu 500m -> 25m, memory 1Gi -> 58Mi, cpu limit 1 -> 50m" {
		t.Errorf("ledger: %+v", all)
	}
	if said := len(c.writes); said != 2 {
		t.Errorf("written: %v", c.writes)
	}
	c.order(optimizer.Revert, all[0].ID, fleet.Target{})
	c.passes(t, book, 2)
	if k := c.workloads[0].Pods[0].Shape.Containers[0]; k.Limits.MilliCPU != 1000 || k.Requests.MilliCPU != 500 {
		t.Errorf("taken back it is %+v under %+v", k.Requests, k.Limits)
	}
}

// A newer pod is given the limits that the others have, unless its owner has stated other ones since.
func TestLimitsOfNewerPods(t *testing.T) {
	c, book := moved(t, 2)
	c.later()
	c.passes(t, book, 2)
	if k := c.workloads[0].Pods[1].Shape.Containers[0]; k.Limits.MilliCPU != 50 || k.Requests.MilliCPU != 25 {
		t.Errorf("the newer pod has %+v under %+v", k.Requests, k.Limits)
	}
	c, book = moved(t, 2)
	w := &c.workloads[0]
	w.Template = w.Template.Clone()
	w.Template.Containers[0].Limits.MilliCPU = 3000
	c.later()
	c.world.raw = []policies.Raw{policy("p", enforced+"  rightSizing: {enabled: false}\n  replicas: {enabled: false}\n")}
	c.passes(t, book, 2)
	if k := c.workloads[0].Pods[1].Shape.Containers[0]; k.Limits.MilliCPU != 3000 {
		t.Errorf("the owner's later limit became %d", k.Limits.MilliCPU)
	}
}

// Where a namespace refuses the limits, the requests go on without them: 50Mi used want more than a limit of 51Mi,
// for which the quota has no room, and the request rises to that limit.
func TestRequestsWithoutTheLimits(t *testing.T) {
	w := deployment("rec", 1)
	w.Template.Containers[0].Requests.Memory, w.Template.Containers[0].Limits.Memory = 40<<20, 51<<20 // the pod's too
	c := newCluster(w)
	c.world.raw = []policies.Raw{policy("p", hour+"  rightSizing: {limits: peaks}\n  replicas: {enabled: false}\n")}
	for _, room := range []int64{1 << 30, 0} {
		c.world.quotas = []fleet.Quota{{Name: "q", Items: []fleet.QuotaItem{{Name: "limits.memory", Hard: 51<<20 + room, Used: 51 << 20, Tracked: true}}}}
		v := c.passes(t, &ledger.Memory{}, 1).Assessments[0].Verdicts[0]
		r, steps := v.Target.Requests[0], v.Recommendation.Steps
		told := slices.ContainsFunc(steps, func(s recommender.Step) bool {
			return s.Subject == "limits" && strings.Contains(s.Value, "ResourceQuota q: limits.memory needs")
		})
		free := room > 0
		if v.Held() || (r.Limits.Memory > 58<<20) != free || (r.Limits.MilliCPU == 30) != free || told == free {
			t.Errorf("with room for %d: %+v, %+v, told %v", room, v.Target, v.Holds, told)
		}
		if want := map[bool]int64{true: 58 << 20, false: 51 << 20}[free]; r.Requests.Memory != want || r.Requests.MilliCPU != 25 {
			t.Errorf("with room for %d: %+v, want memory %d", room, r.Requests, want)
		}
	}
}
