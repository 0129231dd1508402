package optimizer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
)

// TestHandMadeRequests: what somebody gave a pod by hand is not taken back behind the plan's back, whether
// the pod was there when the change was done or not.
func TestHandMadeRequests(t *testing.T) {
	c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
	c.passes(t, book, 3)
	w, said := &c.workloads[0], len(c.writes)
	w.Pods = slices.Clone(w.Pods)
	w.Pods[0].Shape = w.Pods[0].Shape.Clone()
	w.Pods[0].Shape.Containers[0].Requests.MilliCPU = 700
	delete(c.wanted, w.Pods[0].Name)
	later := w.Pods[0].Shape.Clone()
	later.Containers[0].Requests = w.Template.Containers[0].Requests
	later.Containers[0].Requests.Memory *= 2
	w.Pods[1] = fleet.Pod{Name: "rec-later", Node: "od", Ready: true, Created: noon, Shape: later}
	c.world.raw = []policies.Raw{policy("p", enforced+"  rightSizing: {enabled: false}\n  replicas: {enabled: false}\n")}
	c.passes(t, book, 1)
	if len(c.writes) != said {
		t.Errorf("written: %v", c.writes[said:])
	}
}

// later replaces the last pod of the first workload by one with the template's requests.
func (c *cluster) later() {
	w := &c.workloads[0]
	w.Pods = slices.Clone(w.Pods)
	w.Pods[len(w.Pods)-1] = fleet.Pod{Name: "rec-later", Node: "od", Ready: true, Created: noon, Shape: w.Template}
}

// TestRefusedUpkeep: newer pods that are not to be given the others' requests are tried again after a while,
// not in every pass, and do not hold their workload for ever.
func TestRefusedUpkeep(t *testing.T) {
	c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
	c.passes(t, book, 3)
	c.later()
	c.refuse = errors.New("exceeded quota: ml-quota")
	c.world.raw = []policies.Raw{policy("p", enforced+"  rightSizing: {enabled: false}\n  replicas: {enabled: false}\n")}
	cycle := c.acting()
	cycle.Ledger = book
	for _, tt := range []struct {
		after time.Duration
		tried bool
	}{{0, true}, {time.Minute, false}, {14 * time.Minute, false}, {15 * time.Minute, true}, {16 * time.Minute, false}} {
		p, err := cycle.Run(context.Background(), noon.Add(tt.after), true)
		held := slices.Contains(holdReasons(p.Assessments[0]), fleet.HoldOpen)
		if err != nil || (len(p.Troubles) == 1) != tt.tried || held != tt.tried {
			t.Errorf("after %s: %v, troubles %q, held %v", tt.after, err, p.Troubles, held)
		}
	}
}

// TestFight: replicas that somebody else sets back each time are left to them after a few passes.
func TestFight(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", enforced+"  cooldown: 1h\n")}
	cycle := c.acting()
	cycle.Ledger = book
	for i := range 60 {
		if _, err := cycle.Run(context.Background(), noon.Add(time.Duration(i)*10*time.Second), true); err != nil {
			t.Fatal(err)
		}
		c.workloads[0].Replicas = 3
		c.live()
	}
	n := len(slices.DeleteFunc(slices.Clone(c.writes), func(w string) bool { return w != "rec replicas" }))
	all := entries(t, book)
	if n != 7 || // at the start and in every pass of the first minute
		len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "3 of 2 replicas") {
		t.Errorf("%d writes of replicas, ledger %+v", n, all)
	}
}

// TestApprovalEndsWithThePolicy: what a person approved is kept up while the policy only recommends, and no
// longer once no policy means the workload.
func TestApprovalEndsWithThePolicy(t *testing.T) {
	for _, tt := range []struct {
		raw  []policies.Raw
		want bool
	}{{[]policies.Raw{policy("p", hour)}, true}, {[]policies.Raw{}, false}} {
		c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
		c.world.raw = []policies.Raw{policy("p", hour)}
		p := c.passes(t, book, 1)
		c.order(optimizer.Approve, p.Changes[0].ID, p.Changes[0].Target())
		c.passes(t, book, 3)
		c.later()
		c.world.raw = tt.raw
		said := len(c.writes)
		c.passes(t, book, 1)
		if wrote := len(c.writes) > said; wrote != tt.want {
			t.Errorf("under %d policies: written %v", len(tt.raw), c.writes[said:])
		}
	}
}
