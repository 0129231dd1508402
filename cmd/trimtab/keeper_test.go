package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
)

// TestLoadAsksUntilAnswered: a list that fails says nothing about what is saved.
func TestLoadAsksUntilAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, now := fake.NewClientset(), time.Now()
		saved(t, client, now.Add(-time.Hour), now, rec)
		unanswered(client, func(n int) bool { return n <= 10 })
		k, failures := newKeeper(client), 0
		if err := k.load(t.Context(), func(error) { failures++ }); err != nil {
			t.Fatal(err)
		}
		if refs := k.history.Refs(); !slices.Equal(refs, []fleet.Ref{rec}) || failures != 10 || k.off {
			t.Errorf("%v after %d failures, off %v", refs, failures, k.off)
		}
		// 0.25 + 0.5 + ... + 16 s, then 30 s three times
		if took := time.Since(now); took != 31750*time.Millisecond+3*30*time.Second {
			t.Errorf("asked for %s", took)
		}
	})
}

func TestLoadEndsWithItsContext(t *testing.T) {
	client := fake.NewClientset()
	unanswered(client, func(int) bool { return true })
	ctx, cancel := context.WithCancel(t.Context())
	k := newKeeper(client)
	if err := k.load(ctx, func(error) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestUnreadableIsLeftAlone: what the daemon cannot read it does not save over; the rest it takes up.
func TestUnreadableIsLeftAlone(t *testing.T) {
	other := fleet.Deployment("other", "o")
	for name, row := range map[string]struct {
		spoil    func(t *testing.T, client *fake.Clientset, maps []corev1.ConfigMap)
		restored int
	}{
		"an index of another version": {func(t *testing.T, client *fake.Clientset, _ []corev1.ConfigMap) {
			update(t, client, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: checkpointName, Labels: map[string]string{kube.CheckpointLabel: checkpointName}},
				Data:       map[string]string{"index.json": `{"version":9}`},
			})
		}, 0},
		"a chunk that is gone": {func(t *testing.T, client *fake.Clientset, maps []corev1.ConfigMap) {
			i := slices.IndexFunc(maps, func(m corev1.ConfigMap) bool { return m.Name != checkpointName })
			if err := client.CoreV1().ConfigMaps("trimtab").Delete(t.Context(), maps[i].Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, 1},
		"a part in another form": {func(t *testing.T, client *fake.Clientset, _ []corev1.ConfigMap) {
			k := newKeeper(client)
			measured(t, k.history, rec, time.Now().Add(-time.Hour), time.Now())
			parts := append(partsOf(k.history, k.plans, k.history.Refs()), kube.Part{Name: "z", Data: join(nil, []byte("of another version"))})
			if err := k.maps.Save(t.Context(), parts); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			client, now := fake.NewClientset(), time.Now()
			saved(t, client, now.Add(-time.Hour), now, rec, other)
			maps, err := client.CoreV1().ConfigMaps("trimtab").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			row.spoil(t, client, maps.Items)
			client.ClearActions()
			k := newKeeper(client)
			load(t, k)
			k.save(t.Context(), t.Context(), now.Add(time.Hour), planOf(rec), false)
			k.save(t.Context(), t.Context(), now.Add(time.Hour), planOf(rec), true)
			if n := checkpointWrites(client); n != 0 || testutil.ToFloat64(k.metrics.unsaved) != 1 {
				t.Errorf("%d writes; the metric says %v", n, testutil.ToFloat64(k.metrics.unsaved))
			}
			if tried := testutil.ToFloat64(k.metrics.saves.WithLabelValues("error")); tried != 0 {
				t.Errorf("saving was tried %v times all the same", tried)
			}
			if got := len(k.history.Refs()); got != row.restored {
				t.Errorf("%d workloads restored, want %d", got, row.restored)
			}
		})
	}
}

func update(t *testing.T, client *fake.Clientset, m *corev1.ConfigMap) {
	t.Helper()
	if _, err := client.CoreV1().ConfigMaps("trimtab").Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestSaveThatFailsWaits: it is tried again after checkpoint-every, not in each pass.
func TestSaveThatFailsWaits(t *testing.T) {
	client, now, tries := fake.NewClientset(), time.Now(), 0
	unanswered(client, func(n int) bool { tries = n; return n > 1 })
	k := newKeeper(client)
	load(t, k)
	measured(t, k.history, rec, now.Add(-time.Hour), now)
	k.next = now
	for pass := range 10 { // a minute apart: tried in the first and the sixth
		k.save(t.Context(), t.Context(), now.Add(time.Duration(pass)*time.Minute), planOf(rec), false)
	}
	if failed := testutil.ToFloat64(k.metrics.saves.WithLabelValues("error")); tries != 1+2 || failed != 2 {
		t.Errorf("%d lists, %v failures", tries, failed)
	}
}

// TestNewLeaderKeepsTheLongerHistory: what is saved is neither overwritten by a shorter history nor
// taken instead of a longer one.
func TestNewLeaderKeepsTheLongerHistory(t *testing.T) {
	now := time.Now().Truncate(time.Minute)
	for name, row := range map[string]struct{ savedFor, savedUntil, ours, want time.Duration }{
		"a young replica after an old leader": {30 * time.Hour, 5 * time.Minute, 10 * time.Minute, 30 * time.Hour},
		"an old standby":                      {30 * time.Hour, 5 * time.Minute, 30*time.Hour + 5*time.Minute, 30*time.Hour + 5*time.Minute},
		"a checkpoint of long ago":            {2 * time.Hour, 9 * time.Hour, 8 * time.Hour, 8 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			k := newKeeper(client)
			load(t, k) // nothing was saved when it started
			until := now.Add(-row.savedUntil)
			saved(t, client, until.Add(-row.savedFor), until, rec)
			measured(t, k.history, rec, now.Add(-row.ours), now)
			k.save(t.Context(), t.Context(), now, planOf(rec), true)
			if got := span(loaded(t, client), rec, now); got != row.want {
				t.Errorf("saved are %s, want %s", got, row.want)
			}
		})
	}
}

// TestSaveEndsWithTheTerm: a replica that has lost the Lease writes nothing more.
func TestSaveEndsWithTheTerm(t *testing.T) {
	d, _ := sampleDaemon()
	client := fake.NewClientset()
	d.keeper = newKeeper(client)
	d.keeper.history = d.cycle.History
	measured(t, d.cycle.History, rec, time.Now().Add(-time.Hour), time.Now())
	d.keep(planOf(rec), nil)

	d.checkpoint(t.Context(), time.Now(), true) // never a leader
	term, lost := context.WithCancel(t.Context())
	d.lead(term)
	lost()
	d.checkpoint(t.Context(), time.Now(), true)
	if n := checkpointWrites(client); n != 0 {
		t.Errorf("%d writes of a standby", n)
	}
	d.lead(t.Context())
	d.checkpoint(t.Context(), time.Now(), true)
	if n := checkpointWrites(client); n != 2 { // one part and the index
		t.Errorf("%d writes of the leader, want 2", n)
	}
	d.rest()
	if a, _ := d.current(); a.Pass.Leading {
		t.Error("it still says that it leads")
	}
}
