package optimizer_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
)

// world is a small cluster with what was measured in it. Every workload uses 20 thousandths of a
// core and 50 MiB a pod, and answers one request a second.
type world struct {
	workloads []fleet.Workload
	raw       []policies.Raw
	noBounds  bool
	least     fleet.Resources // of a container, by LimitRange
	quotas    []fleet.Quota
	broken    string // which read fails
	now       time.Time
	applied   []string // what Apply was called for, in order
	refuse    error
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func (w *world) Observe(context.Context) (fleet.Snapshot, error) {
	if w.broken == "cluster" {
		return fleet.Snapshot{}, errors.New("no answer")
	}
	s := fleet.Snapshot{At: w.now, Workloads: w.workloads, Nodes: []fleet.Node{
		{Name: "od", InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.OnDemand, Ready: true, Allocatable: fleet.Resources{MilliCPU: 2000, Memory: 8 << 30}},
		{Name: "sp", InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.Spot, Ready: true, Allocatable: fleet.Resources{MilliCPU: 2000, Memory: 8 << 30}},
	}}
	if !w.noBounds {
		s.Bounds = []fleet.Bounds{{Namespace: "ml", LimitRanges: []fleet.LimitRange{{Name: "least", Type: "Container", Min: w.least}}, Quotas: w.quotas}}
	}
	return s, nil
}

func (w *world) Policies(context.Context) ([]policies.Raw, error) { return w.raw, nil }

func (w *world) Each(_ context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	if w.broken == "usage" {
		return errors.New("store is gone")
	}
	var out []fleet.Sample
	for at := until.Add(-2 * time.Hour).Truncate(time.Minute); !at.After(until); at = at.Add(time.Minute) {
		if !at.After(since) {
			continue
		}
		for _, wl := range w.workloads {
			for _, p := range wl.Pods {
				add := func(container string, s fleet.Signal, v float64) {
					out = append(out, fleet.Sample{Ref: wl.Ref, Pod: p.Name, Container: container, Signal: s, At: at, Window: time.Minute, Mean: v, Max: v, N: 4})
				}
				add("s", fleet.CPU, 0.020)
				add("s", fleet.Memory, 50<<20)
				add("", fleet.Requests, 1)
			}
		}
	}
	return do(out)
}

func (w *world) Apply(_ context.Context, c optimizer.Change) error {
	w.applied = append(w.applied, c.Ref.Name)
	return w.refuse
}

// deployment has replicas pods of 500m and 1Gi on the on-demand node.
func deployment(name string, replicas int32) fleet.Workload {
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "s", Role: fleet.Main,
		Requests: fleet.Resources{MilliCPU: 500, Memory: 1 << 30}, Limits: fleet.Resources{MilliCPU: 1000, Memory: 2 << 30}}}}
	w := fleet.Workload{Ref: fleet.Deployment("ml", name), UID: name, Class: fleet.Online, Template: shape, Replicas: replicas,
		Capacity: fleet.OnDemand, Labels: map[string]string{"app": name}}
	for i := range replicas {
		w.Pods = append(w.Pods, fleet.Pod{Name: name + "-" + string('a'+i), UID: name, Node: "od", Ready: true, Created: noon.Add(-24 * time.Hour), Shape: shape})
	}
	return w
}

func policy(name, spec string) policies.Raw {
	return policies.Raw{Source: name + ".yaml", Data: []byte("apiVersion: trimtab.dev/v1alpha1\nkind: Policy\nmetadata: {name: " + name + "}\nspec:\n" + spec)}
}

const hour = "  selector: {namespaces: [ml]}\n  window: 1h\n  minHistory: 30m\n"

func (w *world) cycle() *optimizer.Cycle {
	if w.raw == nil {
		w.raw = []policies.Raw{policy("p", hour)}
	}
	w.now = noon
	return &optimizer.Cycle{Cluster: w, Usage: w, Ledger: &ledger.Memory{}, Prices: cost.Builtin(), History: recommender.NewHistory()}
}

func (w *world) pass(t *testing.T) optimizer.Plan {
	t.Helper()
	p, err := w.cycle().Run(context.Background(), noon, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func holdReasons(a optimizer.Assessment) (out []fleet.HoldReason) {
	for _, h := range a.Holds {
		out = append(out, h.Reason)
	}
	for _, v := range a.Verdicts {
		for _, h := range v.Holds {
			out = append(out, h.Reason)
		}
	}
	return out
}

func TestOneWorkload(t *testing.T) {
	p := (&world{workloads: []fleet.Workload{deployment("rec", 3)}}).pass(t)
	if len(p.Changes) != 1 {
		t.Fatalf("%d changes, holds %v", len(p.Changes), holdReasons(p.Assessments[0]))
	}
	c := p.Changes[0]
	if want := []fleet.Reason{fleet.CPUUnderused, fleet.FewRequests}; !reflect.DeepEqual(c.Reasons, want) {
		t.Errorf("reasons %v, want %v", c.Reasons, want)
	}
	if c.From.Replicas != 3 || c.To.Replicas != 2 || len(c.To.Pods) != 2 {
		t.Errorf("replicas %d -> %d with %d pods", c.From.Replicas, c.To.Replicas, len(c.To.Pods))
	}
	// Two pods will do the work of three: 20m × 1.5 + 15 % is 34.5m, 50 MiB + 15 % is 57.5 MiB; both rounded up.
	if r := c.To.Current().Requests(); r.MilliCPU != 35 || r.Memory != 58<<20 {
		t.Errorf("requests after: %+v", r)
	}
	if c.Saving.Amount != p.Now.Amount-p.After.Amount || c.Saving.Amount <= 0 {
		t.Errorf("saving %s, now %s, after %s", c.Saving, p.Now, p.After)
	}
}

// TestSavingsAreJoined: the two verdicts' own savings overlap and are more together than the change saves.
func TestSavingsAreJoined(t *testing.T) {
	p := (&world{workloads: []fleet.Workload{deployment("rec", 3)}}).pass(t)
	alone := p.Assessments[0].Verdicts[0].Saving.Amount + p.Assessments[0].Verdicts[1].Saving.Amount
	if together := p.Changes[0].Saving.Amount; together >= alone || together > p.Now.Amount {
		t.Errorf("together %s, added up %s, all of it %s", together, alone, p.Now.Amount)
	}
}

func TestHolds(t *testing.T) {
	batch := "  selector: {matchLabels: {app: rec}}\n"
	stateful, classless, rolling := deployment("rec", 3), deployment("rec", 3), deployment("rec", 3)
	stateful.Ref.Kind, classless.Class, rolling.RollingOut = "StatefulSet", "", true
	for _, tt := range []struct {
		name string
		w    world
		want fleet.HoldReason
	}{
		{"two policies", world{raw: []policies.Raw{policy("a", hour), policy("b", batch)}}, fleet.HoldTwoPolicies},
		{"a StatefulSet", world{workloads: []fleet.Workload{stateful}}, fleet.HoldKind},
		{"no class", world{workloads: []fleet.Workload{classless}}, fleet.HoldClass},
		{"bounds not read", world{noBounds: true}, fleet.HoldBounds},
		{"a rollout", world{workloads: []fleet.Workload{rolling}}, fleet.HoldRollout},
		{"a broken policy", world{raw: []policies.Raw{policy("p", "  selector: {namespaces: [ml]}\n  window: soon\n")}}, fleet.HoldBadPolicy},
		{"a broken policy beside a good one", world{raw: []policies.Raw{policy("p", hour), policy("q", batch+"  window: soon\n")}}, fleet.HoldBadPolicy},
		{"little history", world{raw: []policies.Raw{policy("p", "  selector: {namespaces: [ml]}\n")}}, fleet.HoldShortHistory},
	} {
		if tt.w.workloads == nil {
			tt.w.workloads = []fleet.Workload{deployment("rec", 3)}
		}
		p := tt.w.pass(t)
		if len(p.Assessments) != 1 || len(p.Changes) != 0 {
			t.Errorf("%s: %d assessments, %d changes", tt.name, len(p.Assessments), len(p.Changes))
			continue
		}
		if got := holdReasons(p.Assessments[0]); len(got) == 0 || got[0] != tt.want {
			t.Errorf("%s: held for %v, want %s", tt.name, got, tt.want)
		}
	}
}

// TestSpotNeedsANodeItMayGoTo: the cluster has one spot node; a move is proposed only where it is allowed
// and a pod fits on it.
func TestSpotNeedsANodeItMayGoTo(t *testing.T) {
	for _, tt := range []struct {
		name  string
		may   []string
		cores int64
		want  bool
	}{
		{"allowed", []string{"sp"}, 2, true},
		{"none allowed", nil, 2, false},
		{"another, which is not there", []string{"gone"}, 2, false},
		{"too large", []string{"sp"}, 3, false},
	} {
		rec := deployment("rec", 1)
		rec.Class, rec.SpotNodes = fleet.Batch, tt.may
		rec.Pods[0].Shape = fleet.PodShape{Containers: []fleet.Container{{Name: "s", Role: fleet.Main, Requests: fleet.Resources{MilliCPU: tt.cores * 1000, Memory: 1 << 30}}}}
		p := (&world{workloads: []fleet.Workload{rec}, raw: []policies.Raw{policy("p", hour+"  rightSizing: {enabled: false}\n")}}).pass(t)
		if moves := len(p.Changes) == 1 && p.Changes[0].To.Capacity == fleet.Spot; moves != tt.want {
			t.Errorf("%s: it moves: %v, want %v", tt.name, moves, tt.want)
		}
		if held := slices.Contains(holdReasons(p.Assessments[0]), fleet.HoldNoSpotNode); held == tt.want {
			t.Errorf("%s: held for %v", tt.name, holdReasons(p.Assessments[0]))
		}
	}
}

// TestAtTarget: what a LimitRange trims back to what is there already is no change.
func TestAtTarget(t *testing.T) {
	w := &world{workloads: []fleet.Workload{deployment("rec", 2)}, least: fleet.Resources{MilliCPU: 500, Memory: 1 << 30}}
	p := w.pass(t)
	if len(p.Changes) != 0 || len(p.Assessments[0].Verdicts) != 1 {
		t.Fatalf("%d changes, %d verdicts", len(p.Changes), len(p.Assessments[0].Verdicts))
	}
	v := p.Assessments[0].Verdicts[0]
	if len(v.Trims) != 2 || len(v.Holds) != 1 || v.Holds[0].Reason != fleet.HoldAtTarget || v.Saving.Amount != 0 {
		t.Errorf("trims %v, holds %v, saving %s", v.Trims, v.Holds, v.Saving)
	}
}

func TestUnselectedIsNotOurs(t *testing.T) {
	w := &world{workloads: []fleet.Workload{deployment("rec", 3)}, raw: []policies.Raw{policy("p", "  selector: {namespaces: [elsewhere]}\n")}}
	if p := w.pass(t); len(p.Assessments) != 0 {
		t.Errorf("a workload that no policy selects is in the plan: %+v", p.Assessments[0].Ref)
	}
}

// TestBudget: where a policy enforces, the largest savings come first; what is only recommended is all shown.
func TestBudget(t *testing.T) {
	three := []fleet.Workload{deployment("a", 3), deployment("b", 3), deployment("c", 4)} // c saves most
	w := &world{workloads: three, raw: []policies.Raw{policy("p", enforced+"  budget: 2\n")}}
	p := w.pass(t)
	if len(p.Changes) != 2 || p.Changes[0].Ref.Name != "a" || p.Changes[1].Ref.Name != "c" {
		t.Fatalf("%d changes", len(p.Changes))
	}
	if b := p.Assessments[1]; !b.Verdicts[0].Held() || b.After.Amount != b.Now.Amount {
		t.Errorf("b is beyond the budget, yet held for %v and saves %s", holdReasons(b), b.Now.Sub(b.After))
	}
	w.raw = []policies.Raw{policy("p", hour+"  budget: 2\n")}
	if p := w.pass(t); len(p.Changes) != 3 {
		t.Errorf("recommend mode shows %d of 3 changes", len(p.Changes))
	}
}

// TestPlanIsTheSameAgain: the same input gives the same plan, and a second pass without news too.
func TestPlanIsTheSameAgain(t *testing.T) {
	w := &world{workloads: []fleet.Workload{deployment("a", 3), deployment("b", 2)}}
	c := w.cycle()
	first, err := c.Run(context.Background(), noon, true)
	second, err2 := c.Run(context.Background(), noon, true)
	if err != nil || err2 != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("the plans differ: %v %v", err, err2)
	}
}

func TestFailedReadEndsThePass(t *testing.T) {
	for _, broken := range []string{"cluster", "usage"} {
		w := &world{workloads: []fleet.Workload{deployment("rec", 3)}, broken: broken}
		c := w.cycle()
		c.Actuator = w
		p, err := c.Run(context.Background(), noon, true)
		if err == nil || len(p.Changes) > 0 || len(w.applied) > 0 {
			t.Errorf("%s unreadable: error %v, %d changes, applied %v", broken, err, len(p.Changes), w.applied)
		}
	}
}

const enforced = hour + "  mode: enforce\n"

func TestTwoSwitches(t *testing.T) {
	for _, tt := range []struct {
		spec     string
		actuator bool
		want     int
	}{{enforced, true, 1}, {enforced, false, 0}, {hour, true, 0}} {
		w := &world{workloads: []fleet.Workload{deployment("rec", 3)}, raw: []policies.Raw{policy("p", tt.spec)}}
		c := w.cycle()
		if tt.actuator {
			c.Actuator = w
		}
		if _, err := c.Run(context.Background(), noon, true); err != nil || len(w.applied) != tt.want {
			t.Errorf("%s actuator %v: applied %v, error %v", tt.spec, tt.actuator, w.applied, err)
		}
	}
}

// unwritable is a ledger on a full disk.
type unwritable struct{ ledger.Memory }

func (*unwritable) Begin(context.Context, optimizer.Change, time.Time) (string, error) {
	return "", errors.New("no space")
}

// unreadable is a ledger that was damaged.
type unreadable struct{ ledger.Memory }

func (*unreadable) Entries(context.Context) ([]optimizer.Entry, error) {
	return nil, errors.New("key x is damaged")
}

func TestUnreadableLedger(t *testing.T) {
	w := &world{workloads: []fleet.Workload{deployment("a", 3)}, raw: []policies.Raw{policy("p", enforced)}}
	c := w.cycle()
	c.Actuator, c.Ledger = w, &unreadable{}
	p, err := c.Run(context.Background(), noon, true)
	if err != nil || len(w.applied) > 0 || len(p.Changes) != 1 || len(p.Troubles) != 1 || !strings.Contains(p.Troubles[0], "key x is damaged") {
		t.Errorf("%v, applied %v, %d proposed, troubles %q", err, w.applied, len(p.Changes), p.Troubles)
	}
}

func TestLedger(t *testing.T) {
	w := &world{workloads: []fleet.Workload{deployment("a", 3), deployment("b", 3)}, raw: []policies.Raw{policy("p", enforced)}}
	c := w.cycle()
	c.Actuator, c.Ledger = w, &unwritable{}
	p, err := c.Run(context.Background(), noon, true)
	if err != nil || len(w.applied) > 0 || len(p.Troubles) != 2 {
		t.Errorf("the ledger is not writable: applied %v, error %v, troubles %q", w.applied, err, p.Troubles)
	}

	c.Ledger, w.refuse = &ledger.Memory{}, errors.New("a webhook says no")
	p, err = c.Run(context.Background(), noon, true)
	said := strings.Join(p.Troubles, "\n")
	if err != nil || !strings.Contains(said, "ml/a") || !strings.Contains(said, "ml/b") {
		t.Errorf("both refusals are told: %v, %s", err, said)
	}
	entries, _ := c.Ledger.Entries(context.Background())
	if len(entries) != 2 || entries[0].Outcome != optimizer.Failed || entries[1].Ended.IsZero() {
		t.Errorf("ledger: %+v", entries)
	}
}
