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

// cluster is a world whose workloads change when they are told to, a write at a time, and whose kubelet
// carries a resize out by the next pass.
type cluster struct {
	world
	wanted map[string]fleet.PodShape // by pod name: what its spec asks, until the kubelet has done it
	writes []string                  // in order: "rec replicas", "rec-a requests"
	die    int                       // the write before which the process ends; 0: it lives
	full   bool                      // the kubelet has no room for any resize
	orders []optimizer.Order
	said   map[string]string // answers by key
}

// errKilled is how a killed process looks to the test.
var errKilled = errors.New("killed")

func newCluster(ws ...fleet.Workload) *cluster {
	return &cluster{world: world{workloads: ws, raw: []policies.Raw{policy("p", enforced+"  cooldown: 1s\n")}}, wanted: map[string]fleet.PodShape{}, said: map[string]string{}}
}

func (c *cluster) write(what string) {
	if c.die > 0 && len(c.writes)+1 == c.die {
		panic(errKilled)
	}
	c.writes = append(c.writes, what)
}

// Apply writes field by field what is not there yet.
func (c *cluster) Apply(_ context.Context, ch optimizer.Change) error {
	i := slices.IndexFunc(c.workloads, func(w fleet.Workload) bool { return w.Ref == ch.Ref && w.UID == ch.From.UID })
	if i < 0 {
		return optimizer.ErrGone
	}
	w, t := &c.workloads[i], ch.Target()
	if t.Replicas != 0 && w.Replicas != t.Replicas && w.Replicas != ch.From.Replicas {
		return fmt.Errorf("%w: replicas", optimizer.ErrMoved)
	}
	for _, p := range w.Pods {
		spec, asked := c.wanted[p.Name]
		if !asked {
			spec = p.Shape
		}
		want := fleet.Workload{Template: spec}.With(t).Template
		if reflect.DeepEqual(spec, want) || len(ch.Pods) > 0 && !slices.Contains(ch.Pods, p.Name) {
			continue
		}
		c.write(p.Name + " requests")
		c.wanted[p.Name] = want
	}
	if t.Replicas != 0 && w.Replicas != t.Replicas {
		c.write(w.Ref.Name + " replicas")
		w.Replicas = t.Replicas
	}
	return c.refuse
}

// live lets the kubelet and the controllers do what was asked.
func (c *cluster) live() {
	for i := range c.workloads {
		w := &c.workloads[i]
		w.Pods = slices.Clone(w.Pods[:min(len(w.Pods), int(w.Replicas))])
		for k := range w.Pods {
			p := &w.Pods[k]
			want, asked := c.wanted[p.Name]
			switch {
			case asked && c.full:
				p.Resize = fleet.Resize{State: fleet.ResizeDeferred, Detail: "no room"}
			case asked:
				p.Shape, p.Resize = want, fleet.Resize{}
			}
		}
		for len(w.Pods) < int(w.Replicas) {
			w.Pods = append(w.Pods, fleet.Pod{Name: fmt.Sprintf("%s-new%d", w.Ref.Name, len(w.Pods)), Node: "od", Ready: true, Created: c.now, Shape: w.Template})
		}
	}
}

func (c *cluster) Pending(context.Context) ([]optimizer.Order, error) {
	return slices.Clone(c.orders), nil
}

func (c *cluster) Answer(_ context.Context, o optimizer.Order, text string) error {
	c.said[o.Key] = text
	c.orders = slices.DeleteFunc(c.orders, func(p optimizer.Order) bool { return p.Key == o.Key })
	return nil
}

func (c *cluster) acting() *optimizer.Cycle {
	cycle := c.world.cycle()
	cycle.Cluster, cycle.Usage, cycle.Actuator, cycle.Orders = c, c, c, c
	return cycle
}

// passes makes n passes, ten seconds apart from the first, each with a living cluster after it. A
// process that is killed comes back with the next pass, with the same ledger and nothing else.
func (c *cluster) passes(t *testing.T, book optimizer.Ledger, n int) optimizer.Plan {
	t.Helper()
	var plan optimizer.Plan
	cycle := c.acting()
	cycle.Ledger = book
	for i := range n {
		func() {
			defer func() {
				if r := recover(); r != nil {
					if r != errKilled {
						panic(r)
					}
					c.die, cycle = 0, c.acting()
					cycle.Ledger = book
				}
			}()
			var err error
			if plan, err = cycle.Run(context.Background(), noon.Add(time.Duration(i)*10*time.Second), true); err != nil {
				t.Fatal(err)
			}
		}()
		c.live()
	}
	return plan
}

func entries(t *testing.T, book optimizer.Ledger) []optimizer.Entry {
	t.Helper()
	all, err := book.Entries(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestActs(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.passes(t, book, 6)
	w := c.workloads[0]
	if w.Replicas != 2 || len(w.Pods) != 2 || w.Pods[0].Shape.Containers[0].Requests.MilliCPU != 35 || w.Pods[1].Shape.Containers[0].Requests.MilliCPU != 35 {
		t.Errorf("replicas %d, requests %+v", w.Replicas, w.Current().Requests())
	}
	if w.Template.Containers[0].Requests.MilliCPU != 500 {
		t.Error("in place means that the template stays")
	}
	if all := entries(t, book); len(all) != 1 || all[0].Outcome != optimizer.Done || all[0].Ended.IsZero() {
		t.Errorf("ledger: %+v", all)
	}
	if len(c.writes) != 4 { // three pods, for which pod would go was not known, and the replicas
		t.Errorf("writes: %v", c.writes)
	}
}

// TestKilledAtEveryWrite: wherever a process dies, the next one brings the cluster to the same end, and
// nothing is written twice.
func TestKilledAtEveryWrite(t *testing.T) {
	clean := newCluster(deployment("rec", 3), deployment("web", 4))
	clean.passes(t, &ledger.Memory{}, 30)
	if len(clean.writes) < 8 {
		t.Fatalf("only %d writes to die before: %v", len(clean.writes), clean.writes)
	}
	for at := 1; at <= len(clean.writes); at++ {
		c, book := newCluster(deployment("rec", 3), deployment("web", 4)), &ledger.Memory{}
		c.die = at
		c.passes(t, book, 40)
		if !reflect.DeepEqual(c.workloads, clean.workloads) {
			t.Errorf("killed before write %d (%s): it ends with %+v", at, clean.writes[at-1], c.workloads)
		}
		seen := map[string]bool{}
		for _, w := range c.writes {
			if seen[w] && strings.HasSuffix(w, "requests") {
				t.Errorf("killed before write %d: %s is written twice: %v", at, w, c.writes)
			}
			seen[w] = true
		}
		if len(c.writes) != len(clean.writes) {
			t.Errorf("killed before write %d: %d writes, without it %d", at, len(c.writes), len(clean.writes))
		}
		for _, e := range entries(t, book) {
			if e.Outcome != optimizer.Done {
				t.Errorf("killed before write %d: %s is %q", at, e.ID, e.Outcome)
			}
		}
	}
}

// TestStandbyWritesNothing: neither to workloads nor to the ledger, though it sees what is open.
func TestStandbyWritesNothing(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	cycle := c.acting()
	cycle.Ledger = book
	p, err := cycle.Run(context.Background(), noon, false)
	if err != nil || len(c.writes) > 0 || len(entries(t, book)) > 0 || len(p.Changes) != 1 {
		t.Errorf("writes %v, ledger %v, %d changes, %v", c.writes, entries(t, book), len(p.Changes), err)
	}
}

// TestStandbySettlesNothing: an open entry is the leader's to finish.
func TestStandbySettlesNothing(t *testing.T) {
	c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
	from := deployment("rec", 3)
	if _, err := book.Begin(context.Background(), optimizer.Change{Ref: from.Ref, From: from, To: from.With(fleet.Target{Replicas: 2}), Policy: "p"}, noon); err != nil {
		t.Fatal(err)
	}
	cycle := c.acting()
	cycle.Ledger = book
	if _, err := cycle.Run(context.Background(), noon, false); err != nil {
		t.Fatal(err)
	}
	if e := entries(t, book)[0]; e.Outcome != "" || len(c.writes) > 0 {
		t.Errorf("a standby closed it as %s; writes %v", e.Outcome, c.writes)
	}
}

// TestPodWithoutNode: a pod that waits for a node does not keep a change open, nor is it resized before.
func TestPodWithoutNode(t *testing.T) {
	rec := deployment("rec", 2)
	from := deployment("rec", 2)
	c, book := newCluster(rec), &ledger.Memory{}
	to := from.With(fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: 25, Memory: 58 << 20}}}})
	if _, err := book.Begin(context.Background(), optimizer.Change{Ref: from.Ref, From: from, To: to, Policy: "p"}, noon); err != nil {
		t.Fatal(err)
	}
	c.workloads[0].Pods = slices.Clone(to.Pods)
	c.workloads[0].Pods[1] = fleet.Pod{Name: "rec-waits", Created: noon, Shape: rec.Template}
	c.passes(t, book, 1)
	if e := entries(t, book)[0]; e.Outcome != optimizer.Done || len(c.writes) > 0 {
		t.Errorf("outcome %q (%s), writes %v", e.Outcome, e.Detail, c.writes)
	}
}

// TestNewerPods: a pod that appears later has the template's requests and is given the others'; once the
// template itself asks for something else, that stands.
func TestNewerPods(t *testing.T) {
	c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
	c.passes(t, book, 3)
	w := &c.workloads[0]
	w.Pods = slices.Clone(w.Pods)
	w.Pods[1] = fleet.Pod{Name: "rec-later", Node: "od", Ready: true, Created: noon, Shape: w.Template}
	p := c.passes(t, book, 1)
	if a, b := c.workloads[0].Pods[0].Shape, c.workloads[0].Pods[1].Shape; !reflect.DeepEqual(a, b) {
		t.Errorf("the later pod has %+v, the other %+v", b.Requests(), a.Requests())
	}
	if got := holdReasons(p.Assessments[0]); len(got) != 1 || got[0] != fleet.HoldOpen {
		t.Errorf("meanwhile it is held for %v", got)
	}
	if all := entries(t, book); len(all) != 1 || !strings.Contains(all[0].Detail, "newer pods") {
		t.Errorf("ledger: %+v", all)
	}
	said := len(c.writes)
	c.passes(t, book, 1)
	if len(c.writes) != said {
		t.Errorf("written again: %v", c.writes[said:])
	}
	w.Template = w.Template.Clone()
	w.Template.Containers[0].Requests.MilliCPU = 300
	w.Pods[1] = fleet.Pod{Name: "rec-rolled", Node: "od", Ready: true, Created: noon.Add(time.Minute), Shape: w.Template}
	c.world.raw = []policies.Raw{policy("p", enforced+"  rightSizing: {enabled: false}\n  replicas: {enabled: false}\n")}
	c.passes(t, book, 1)
	if len(c.writes) != said {
		t.Errorf("its owner asks for 300m, yet written: %v", c.writes[said:])
	}
}

// TestDeferred: a resize that waits for room stays open with the kubelet's words, holds the workload,
// and is taken back when it takes too long.
func TestDeferred(t *testing.T) {
	c, book := newCluster(deployment("rec", 2)), &ledger.Memory{}
	c.full = true
	p := c.passes(t, book, 3)
	if e := entries(t, book); len(e) != 1 || e[0].Outcome != "" || !strings.Contains(e[0].Detail, "2 of 2 pods wait for room on their nodes: no room") {
		t.Fatalf("ledger: %+v", e)
	}
	if got := holdReasons(p.Assessments[0]); len(got) != 1 || got[0] != fleet.HoldOpen {
		t.Errorf("held for %v", got)
	}
	cycle := c.acting()
	cycle.Ledger = book
	late, err := cycle.Run(context.Background(), noon.Add(16*time.Minute), true)
	if err != nil || len(late.Troubles) != 1 {
		t.Fatalf("%v %q", err, late.Troubles)
	}
	e := entries(t, book)[0]
	if e.Outcome != optimizer.Failed || !strings.Contains(e.Detail, "not reached within 15m0s") {
		t.Errorf("ledger: %+v", e)
	}
	if got := c.wanted["rec-a"].Containers[0].Requests.MilliCPU; got != 500 {
		t.Errorf("taken back to %dm, want 500m", got)
	}
}

// TestRefusal: one that is refused is written down with the words, taken back, and rests before it is
// tried again; the others go on.
func TestRefusal(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.refuse = errors.New("exceeded quota: ml-quota")
	c.world.raw = []policies.Raw{policy("p", enforced+"  cooldown: 10m\n")}
	p := c.passes(t, book, 3)
	all := entries(t, book)
	if len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "exceeded quota: ml-quota") {
		t.Fatalf("ledger: %+v", all)
	}
	if got := holdReasons(p.Assessments[0]); !slices.Contains(got, fleet.HoldCooldown) || len(p.Changes) != 0 {
		t.Errorf("held for %v with %d changes", got, len(p.Changes))
	}
	if w := c.workloads[0]; w.Replicas != 3 || w.Current().Requests().MilliCPU != 500 {
		t.Errorf("what was written of it stays: %d replicas of %+v", w.Replicas, w.Current().Requests())
	}
}

// TestNoAnswer: an API server that does not answer refuses nothing: the change stays open and goes on.
func TestNoAnswer(t *testing.T) {
	c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
	c.refuse = fmt.Errorf("resize pod: %w", optimizer.ErrUnavailable)
	p := c.passes(t, book, 1)
	if e := entries(t, book); len(e) != 1 || e[0].Outcome != "" || len(p.Troubles) != 1 {
		t.Fatalf("ledger %+v, troubles %q", e, p.Troubles)
	}
	c.refuse = nil
	c.passes(t, book, 3)
	if e := entries(t, book); len(e) != 1 || e[0].Outcome != optimizer.Done {
		t.Errorf("ledger: %+v", e)
	}
}

func TestMovedAndGone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		touch func(c *cluster)
		want  optimizer.Outcome
	}{
		{"another hand scaled it", func(c *cluster) { c.workloads[0].Replicas = 5 }, optimizer.Moved},
		{"it was deleted", func(c *cluster) { c.workloads = nil }, optimizer.Failed},
		{"it was deleted and made again", func(c *cluster) { c.workloads[0].UID = "other" }, optimizer.Failed},
	} {
		c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
		from := c.workloads[0]
		if _, err := book.Begin(context.Background(), optimizer.Change{Ref: from.Ref, From: from, To: from.With(fleet.Target{Replicas: 2}), Policy: "p"}, noon); err != nil {
			t.Fatal(err)
		}
		tt.touch(c)
		c.passes(t, book, 1)
		if e := entries(t, book)[0]; e.Outcome != tt.want || e.Detail == "" {
			t.Errorf("%s: %q (%s), want %s", tt.name, e.Outcome, e.Detail, tt.want)
		}
	}
}

// TestSwitchedOff: with either switch off nothing is written, not even to finish what was begun, and
// the ledger says so.
func TestSwitchedOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy string
		daemon bool
	}{{"the policy", hour, true}, {"the daemon", enforced, false}} {
		c, book := newCluster(deployment("rec", 3)), &ledger.Memory{}
		from := c.workloads[0]
		if _, err := book.Begin(context.Background(), optimizer.Change{Ref: from.Ref, From: from, To: from.With(fleet.Target{Replicas: 2}), Policy: "p"}, noon); err != nil {
			t.Fatal(err)
		}
		c.world.raw = []policies.Raw{policy("p", tt.policy)}
		cycle := c.acting()
		cycle.Ledger = book
		if !tt.daemon {
			cycle.Actuator = nil
		}
		if _, err := cycle.Run(context.Background(), noon, true); err != nil {
			t.Fatal(err)
		}
		if e := entries(t, book)[0]; len(c.writes) > 0 || e.Outcome != optimizer.Failed || !strings.Contains(e.Detail, "switched off") {
			t.Errorf("%s is off: writes %v, ledger %s %s", tt.name, c.writes, e.Outcome, e.Detail)
		}
	}
}

// TestRestart: a container that a resize would restart is not resized in place; by its template it is.
func TestRestart(t *testing.T) {
	rec := deployment("rec", 2)
	for i := range rec.Pods {
		rec.Pods[i].Shape = rec.Pods[i].Shape.Clone()
		rec.Pods[i].Shape.Containers[0].ResizePolicy.Memory = fleet.RestartContainer
	}
	for spec, held := range map[string]bool{hour: true, hour + "  rightSizing: {apply: template}\n": false} {
		p := (&world{workloads: []fleet.Workload{rec}, raw: []policies.Raw{policy("p", spec)}}).pass(t)
		if slices.Contains(holdReasons(p.Assessments[0]), fleet.HoldRestart) != held {
			t.Errorf("held for %v under %s", holdReasons(p.Assessments[0]), spec)
		}
	}
}

// owner is a keeper that changes a batch size in each pass that may write.
type owner struct{ book optimizer.Ledger }

func (o owner) Keep(ctx context.Context, _ policies.Set, _ fleet.Snapshot, write bool, now time.Time) ([]optimizer.Kept, error) {
	kept := []optimizer.Kept{{Kind: "ConfigMap", Name: "config", State: optimizer.AsAsked}}
	if !write {
		return kept, nil
	}
	id, err := o.book.Begin(ctx, optimizer.Change{Ref: fleet.Deployment("ml", "own"), Keeper: "managed"}, now)
	return kept, errors.Join(err, o.book.Finish(ctx, id, optimizer.Done, "", now))
}

// TestKeepers: what a keeper changed is among what happened, once, and only where the pass may write.
func TestKeepers(t *testing.T) {
	for _, acting := range []bool{true, false} {
		c, book := newCluster(), &ledger.Memory{}
		cycle := c.acting()
		cycle.Ledger, cycle.Keepers = book, []optimizer.Keeper{owner{book}}
		if _, err := cycle.Run(context.Background(), noon.Add(-time.Minute), acting); err != nil {
			t.Fatal(err)
		}
		p, err := cycle.Run(context.Background(), noon, acting)
		if err != nil || len(p.Kept) != 1 || (len(p.Happened) == 1) != acting {
			t.Errorf("acting %v: kept %v, happened %+v, %v", acting, p.Kept, p.Happened, err)
		}
	}
}

// TestUnrollable: what would replace pods in a way that loses requests is held; a resize in place is not.
func TestUnrollable(t *testing.T) {
	for _, tt := range []struct {
		class fleet.Class
		spec  string
		want  bool
	}{
		{fleet.Batch, hour + "  rightSizing: {enabled: false}\n", true},
		{fleet.Online, hour, false},
		{fleet.Online, hour + "  rightSizing: {apply: template}\n", true},
	} {
		rec := deployment("rec", 2)
		rec.Class, rec.SpotNodes, rec.Unrollable = tt.class, []string{"sp"}, "its strategy is Recreate"
		p := (&world{workloads: []fleet.Workload{rec}, raw: []policies.Raw{policy("p", tt.spec)}}).pass(t)
		if slices.Contains(holdReasons(p.Assessments[0]), fleet.HoldUnrollable) != tt.want {
			t.Errorf("%s under %s: held for %v", tt.class, tt.spec, holdReasons(p.Assessments[0]))
		}
	}
}

// TestSomebodyElsesResize: while a pod is being resized by others, nothing is decided about its workload.
func TestSomebodyElsesResize(t *testing.T) {
	rec := deployment("rec", 2)
	rec.Pods[1].Resize = fleet.Resize{State: fleet.ResizeDeferred, Detail: "no room"}
	p := (&world{workloads: []fleet.Workload{rec}}).pass(t)
	if h := p.Assessments[0].Holds; len(h) != 1 || h[0].Reason != fleet.HoldOpen || !strings.Contains(h[0].Detail, "rec-b (deferred): no room") {
		t.Errorf("held: %+v", h)
	}
}

func TestManagedIsLeftToItsDocument(t *testing.T) {
	rec := deployment("rec", 3)
	rec.Labels = map[string]string{policies.ServerLabel: "rec"}
	p := (&world{workloads: []fleet.Workload{rec}}).pass(t)
	if got := holdReasons(p.Assessments[0]); len(got) != 1 || got[0] != fleet.HoldManaged {
		t.Errorf("held for %v", got)
	}
}
