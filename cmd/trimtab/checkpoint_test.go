package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/sizing"
)

// rec is the workload of testdata that every test of saved history is about.
var rec = fleet.Deployment("ml-production", "recommendation-model")

// measured adds a CPU sample a minute for ref, from begin to end.
func measured(t *testing.T, h *recommender.History, ref fleet.Ref, begin, end time.Time) {
	t.Helper()
	for at := begin.Add(time.Minute); !at.After(end); at = at.Add(time.Minute) {
		s := fleet.Sample{Ref: ref, Pod: "p", Container: "c", Signal: fleet.CPU, At: at, Window: time.Minute, Mean: 0.1, Max: 0.2, N: 4}
		if err := h.Add(s, at); err != nil {
			t.Fatal(err)
		}
	}
}

func planOf(refs ...fleet.Ref) optimizer.Plan {
	p := optimizer.Plan{At: time.Now()}
	for _, ref := range refs {
		p.Assessments = append(p.Assessments, optimizer.Assessment{Ref: ref})
	}
	return p
}

// newKeeper saves every five minutes through client.
func newKeeper(client *fake.Clientset) *keeper {
	return &keeper{
		maps: kube.NewCheckpoints(client, "trimtab", checkpointName), history: recommender.NewHistory(), plans: recommender.NewPlans(),
		every: 5 * time.Minute, log: slog.New(slog.DiscardHandler), metrics: newMetrics(prometheus.NewRegistry()),
	}
}

// saved writes a history of refs from begin to end, as an earlier leader would.
func saved(t *testing.T, client *fake.Clientset, begin, end time.Time, refs ...fleet.Ref) {
	t.Helper()
	k := newKeeper(client)
	for _, ref := range refs {
		measured(t, k.history, ref, begin, end)
	}
	if err := k.maps.Save(t.Context(), partsOf(k.history, k.plans, k.history.Refs())); err != nil {
		t.Fatal(err)
	}
}

// loaded is what a daemon that starts now would have.
func loaded(t *testing.T, client *fake.Clientset) *recommender.History {
	t.Helper()
	k := newKeeper(client)
	if err := k.merge(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return k.history
}

func load(t *testing.T, k *keeper) {
	t.Helper()
	if err := k.load(t.Context(), func(error) {}); err != nil {
		t.Fatal(err)
	}
}

// unanswered makes every list of checkpoints fail while down is true; it counts them.
func unanswered(client *fake.Clientset, down func(n int) bool) {
	n := 0
	client.PrependReactor("list", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
		if !ofCheckpoints(a) {
			return false, nil, nil
		}
		n++
		return down(n), nil, errors.New("no route to host")
	})
}

// ofCheckpoints tells the keeper's calls from those of the policies' informer.
func ofCheckpoints(a k8stesting.Action) bool {
	switch a := a.(type) {
	case k8stesting.ListAction:
		return strings.Contains(a.GetListRestrictions().Labels.String(), kube.CheckpointLabel)
	case k8stesting.WatchAction:
		return false
	}
	return a.GetResource().Resource == "configmaps"
}

// checkpointWrites counts what was created, updated and deleted of checkpoints.
func checkpointWrites(client *fake.Clientset) (n int) {
	for _, a := range client.Actions() {
		if ofCheckpoints(a) && slices.Contains([]string{"create", "update", "delete"}, a.GetVerb()) {
			n++
		}
	}
	return n
}

func TestPartForm(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 300) // its length takes two bytes
	for _, want := range [][][]byte{nil, {{1}}, {{}, {1, 2}, long}} {
		var part []byte
		for _, blob := range want {
			part = join(part, blob)
		}
		got, err := split(part)
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	for _, row := range []struct {
		part   []byte
		before int // blobs
	}{
		{[]byte{2, 1}, 0},
		{[]byte{0x80}, 0},
		{append(join(nil, []byte{1}), 9), 1},
		{bytes.Repeat([]byte{0xff}, 9), 0},
		{append(bytes.Repeat([]byte{0xff}, 9), 1), 0}, // 2^64-1
	} {
		if got, err := split(row.part); err == nil || len(got) != row.before {
			t.Errorf("%v: %v, %v", row.part, got, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(join(join(nil, []byte("a")), []byte("bc")))
	f.Fuzz(func(t *testing.T, part []byte) {
		blobs, _ := split(part)
		n := 0
		for _, b := range blobs {
			n += len(b) + 1
		}
		if n > len(part) {
			t.Errorf("%d bytes out of %d", n, len(part))
		}
	})
}

// TestPartForEachNamespace: only the plan's workloads, each namespace for itself.
func TestPartForEachNamespace(t *testing.T) {
	h, now := recommender.NewHistory(), time.Now().Truncate(time.Minute)
	a1, a2, b, c := fleet.Deployment("a", "1"), fleet.Deployment("a", "2"), fleet.Deployment("b", "1"), fleet.Deployment("c", "gone")
	for _, ref := range []fleet.Ref{a1, a2, b, c} {
		measured(t, h, ref, now.Add(-5*time.Minute), now)
	}
	plan := planOf(a1, a2, b, fleet.Deployment("d", "never measured"))
	parts := partsOf(h, recommender.NewPlans(), kept(h, plan))
	var names []string
	for _, p := range parts {
		blobs, err := split(p.Data)
		names = append(names, fmt.Sprint(p.Name, len(blobs), err))
	}
	if got := strings.Join(names, ", "); got != "a2 <nil>, b1 <nil>" {
		t.Error(got)
	}
	for _, row := range []struct {
		bad policies.Bad
		all bool
	}{
		{policies.Bad{}, true}, // it may be for anyone
		{policies.Bad{Kept: true}, false},
		{policies.Bad{Selector: &policies.Selector{}}, false},
	} {
		plan.BadPolicies = []policies.Bad{row.bad}
		if got := kept(h, plan); slices.Contains(got, c) != row.all {
			t.Errorf("%+v: %v", row.bad, got)
		}
	}
}

// TestPlansAreSavedBesideTheHistory: what stands of a workload comes back with its history, and is not put in the
// place of what stands here where the history here is as long.
func TestPlansAreSavedBesideTheHistory(t *testing.T) {
	client, now := fake.NewClientset(), time.Now().Truncate(time.Minute)
	k := newKeeper(client)
	measured(t, k.history, rec, now.Add(-3*time.Hour), now)
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "c", Requests: fleet.Resources{MilliCPU: 500}}}}
	w := fleet.Workload{Ref: rec, Template: shape, Replicas: 1, Pods: []fleet.Pod{{Name: "p", Ready: true, Shape: shape, Created: now.Add(-3 * time.Hour)}}}
	o := recommender.Options{Window: 24 * time.Hour, MinHistory: time.Hour, StaleAfter: 24 * time.Hour, RightSize: true, Priced: &sizing.Options{}}
	recommender.Judge(w, k.history, k.plans, o, now)
	stands := k.plans.Checkpoint(rec)
	if stands == nil {
		t.Fatal("nothing stands")
	}
	k.save(t.Context(), t.Context(), now, planOf(rec), true)
	fresh := newKeeper(client)
	load(t, fresh)
	if got := fresh.plans.Checkpoint(rec); !bytes.Equal(got, stands) {
		t.Errorf("restored are %d bytes, not the %d that stood", len(got), len(stands))
	}
	recommender.Judge(w, fresh.history, fresh.plans, o, now.Add(2*time.Hour)) // an hour has turned
	later := fresh.plans.Checkpoint(rec)
	if load(t, fresh); bytes.Equal(later, stands) || !bytes.Equal(fresh.plans.Checkpoint(rec), later) {
		t.Error("what stands here was replaced by what was saved before")
	}
}
