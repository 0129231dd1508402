package optimizer_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
)

func (c *cluster) order(v optimizer.Verb, id string, seen fleet.Target) {
	c.orders = append(c.orders, optimizer.Order{Key: string(v) + "." + id, Verb: v, ID: id, By: "ann", Seen: seen})
}

// TestApproval: in recommend mode nothing is made until a person approves it, and then once.
func TestApproval(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", hour)}
	p := c.passes(t, book, 2)
	if len(c.writes) > 0 || len(p.Changes) != 1 || p.Changes[0].ID == "" {
		t.Fatalf("writes %v, changes %+v", c.writes, p.Changes)
	}
	c.order(optimizer.Approve, p.Changes[0].ID, p.Changes[0].Target())
	c.full = true // what a person approved is gone on with, though the policy only recommends
	c.passes(t, book, 3)
	c.full = false
	c.passes(t, book, 4)
	all := entries(t, book)
	if len(all) != 1 || all[0].Outcome != optimizer.Done || all[0].Change.By != "ann" || c.workloads[0].Replicas != 2 {
		t.Errorf("ledger %+v, %d replicas", all, c.workloads[0].Replicas)
	}
	if text := c.said["apply."+p.Changes[0].ID]; !strings.Contains(text, "begun as "+all[0].ID) {
		t.Errorf("the answer is %q", text)
	}
}

func TestApprovalsThatAreNotCarriedOut(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", hour)}
	p := c.passes(t, book, 1)
	other := p.Changes[0].Target()
	other.Requests = slices.Clone(other.Requests)
	other.Requests[0].Requests.MilliCPU += 11
	for _, tt := range []struct {
		name, id string
		seen     fleet.Target
		actuator bool
		want     string
	}{
		{"unknown", "feedbeef", other, true, "no proposal feedbeef"},
		{"not what was seen", p.Changes[0].ID, other, true, "has changed since"},
		{"without --enforce", p.Changes[0].ID, p.Changes[0].Target(), false, "--enforce"},
	} {
		c.order(optimizer.Approve, tt.id, tt.seen)
		cycle := c.acting()
		cycle.Ledger = book
		if !tt.actuator {
			cycle.Actuator = nil
		}
		if _, err := cycle.Run(context.Background(), noon, true); err != nil {
			t.Fatal(err)
		}
		if text := c.said["apply."+tt.id]; !strings.Contains(text, tt.want) || len(c.writes) > 0 || len(entries(t, book)) > 0 {
			t.Errorf("%s: answer %q, writes %v", tt.name, text, c.writes)
		}
	}
}

// TestRevert: what a change did is undone, in the fields that it changed, and is not proposed again.
func TestRevert(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.passes(t, book, 4)
	id := entries(t, book)[0].ID
	c.order(optimizer.Revert, id, fleet.Target{})
	c.passes(t, book, 1)
	cycle := c.acting()
	cycle.Ledger = book
	var plan optimizer.Plan
	for i := range 5 {
		var err error
		if plan, err = cycle.Run(context.Background(), noon.Add(time.Duration(i+6)*time.Minute), true); err != nil {
			t.Fatal(err)
		}
		c.live()
	}
	w := c.workloads[0]
	if w.Replicas != 3 || len(w.Pods) != 3 || !slices.ContainsFunc(w.Pods, func(p fleet.Pod) bool { return reflect.DeepEqual(p.Shape, w.Template) }) {
		t.Errorf("%d replicas, pods %+v", w.Replicas, w.Pods)
	}
	for _, p := range w.Pods {
		if p.Shape.Requests().MilliCPU != 500 {
			t.Errorf("%s has %+v", p.Name, p.Shape.Requests())
		}
	}
	all := entries(t, book)
	if len(all) != 2 || all[1].Change.Reverts != id || all[1].Outcome != optimizer.Done || all[1].Change.Saving.Amount != -all[0].Change.Saving.Amount {
		t.Errorf("ledger: %+v", all)
	}
	if got := holdReasons(plan.Assessments[0]); !slices.Contains(got, fleet.HoldReverted) || len(plan.Changes) > 0 {
		t.Errorf("held for %v", got)
	}
}

// TestRefusedOrders: who ordered what the cluster refuses is told that it was not done, and of what it only puts off that
// it goes on.
func TestRefusedOrders(t *testing.T) {
	for _, tt := range []struct {
		why  error
		want string
	}{
		{errors.New("resize pod rec-0: refused by ResourceQuota q: exceeded quota"), "not done: resize pod rec-0: refused"},
		{fmt.Errorf("resize pod rec-0: %w", optimizer.ErrGone), "not done: resize pod rec-0: "},
		{fmt.Errorf("resize pod rec-0: %w", optimizer.ErrUnavailable), "begun as "},
	} {
		c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
		c.world.raw = []policies.Raw{policy("p", hour)}
		p := c.passes(t, book, 1)
		c.refuse = tt.why
		c.order(optimizer.Approve, p.Changes[0].ID, p.Changes[0].Target())
		c.passes(t, book, 1)
		if text := c.said["apply."+p.Changes[0].ID]; !strings.HasPrefix(text, tt.want) || !strings.Contains(text, tt.why.Error()) {
			t.Errorf("%v: the answer is %q", tt.why, text)
		}
	}
}

// TestAnswerThatWasLost: an order whose change was begun by a process that could not answer is told so, and
// not that it was not done.
func TestAnswerThatWasLost(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", hour)}
	proposal := c.passes(t, book, 1).Changes[0]
	for _, verb := range []optimizer.Verb{optimizer.Approve, optimizer.Revert} {
		id := proposal.ID
		if verb == optimizer.Revert {
			id = entries(t, book)[0].ID
		}
		c.order(verb, id, proposal.Target())
		lost := slices.Clone(c.orders)
		c.passes(t, book, 1)
		all := entries(t, book)
		for range 2 { // while it is under way, and when it was done
			c.orders = slices.Clone(lost)
			c.passes(t, book, 1)
			if text := c.said[lost[0].Key]; !strings.Contains(text, "begun as "+all[len(all)-1].ID) {
				t.Errorf("%s: the answer is %q", verb, text)
			}
		}
		if now := entries(t, book); len(now) != len(all) {
			t.Errorf("%s: carried out again: %+v", verb, now)
		}
	}
}

// TestRevertAfterNewTemplate: requests that the template's owner has given since are not replaced by older ones.
func TestRevertAfterNewTemplate(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.world.raw = []policies.Raw{policy("p", enforced+"  cooldown: 1s\n  replicas: {enabled: false}\n")}
	c.passes(t, book, 3)
	w := &c.workloads[0]
	w.Template = w.Template.Clone()
	w.Template.Containers[0].Requests.MilliCPU = 300
	for i := range w.Pods {
		w.Pods[i].Name, w.Pods[i].Shape = fmt.Sprint("rec-rolled", i), w.Template
	}
	said := len(c.writes)
	c.world.raw = []policies.Raw{policy("p", hour)}
	id := entries(t, book)[0].ID
	c.order(optimizer.Revert, id, fleet.Target{})
	c.passes(t, book, 2)
	if text := c.said["revert."+id]; !strings.Contains(text, "nothing to do") || !strings.Contains(text, "template") || len(c.writes) != said {
		t.Errorf("answer %q, writes %v", text, c.writes[said:])
	}
}

func TestRevertsThatAreNotCarriedOut(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.full = true
	c.passes(t, book, 2)
	id := entries(t, book)[0].ID
	c.order(optimizer.Revert, "none", fleet.Target{})
	c.order(optimizer.Revert, id, fleet.Target{})
	c.passes(t, book, 1)
	if a, b := c.said["revert.none"], c.said["revert."+id]; !strings.Contains(a, "no entry none") || !strings.Contains(b, "not a change that was made (under way)") {
		t.Errorf("answers %q and %q", a, b)
	}
}

// TestWordsOfUnevenPods: the newest pod has its target already, an older one has not.
func TestWordsOfUnevenPods(t *testing.T) {
	from := deployment("rec", 2)
	want := fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: 500, Memory: 1 << 30}}}}
	from.Pods[0].Shape = from.With(fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: 10, Memory: 1 << 30}}}}).Template
	from.Pods[1].Created = noon
	if got := (optimizer.Change{From: from, To: from.With(want)}).Words(); got != "s cpu 10m -> 500m" {
		t.Error(got)
	}
}

func TestWords(t *testing.T) {
	from := deployment("rec", 3)
	to := from.With(fleet.Target{Replicas: 2, Capacity: fleet.Spot, Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: 20, Memory: 96 << 20}}}})
	got := optimizer.Change{From: from, To: to}.Words()
	if want := "s cpu 500m -> 20m, memory 1Gi -> 96Mi; replicas 3 -> 2; capacity on-demand -> spot"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (optimizer.Change{From: from, To: from}).Words(); got != "nothing" {
		t.Error(got)
	}
}
