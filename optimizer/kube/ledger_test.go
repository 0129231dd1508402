package kube

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
)

var ledgerNoon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// store is the ConfigMaps of an API server, which refuses to update what was written since it was read.
type store struct {
	tracker k8stesting.ObjectTracker
	mu      sync.Mutex
	version int
}

// versioned is a client of a store of its own.
func versioned(objects ...runtime.Object) *fake.Clientset {
	return (&store{tracker: fake.NewClientset(objects...).Tracker()}).client()
}

// client is one more client of the store.
func (s *store) client() *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("*", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.stamp(a); err != nil {
			return true, nil, err
		}
		return k8stesting.ObjectReaction(s.tracker)(a)
	})
	return client
}

func (s *store) stamp(a k8stesting.Action) error {
	w, ok := a.(k8stesting.CreateAction) // an update has the same methods
	if !ok || a.GetVerb() != "create" && a.GetVerb() != "update" {
		return nil
	}
	m := w.GetObject().(*corev1.ConfigMap)
	held, err := s.tracker.Get(a.GetResource(), a.GetNamespace(), m.Name)
	if a.GetVerb() == "update" && err == nil && held.(*corev1.ConfigMap).ResourceVersion != m.ResourceVersion {
		return apierrors.NewConflict(group("", "configmaps"), m.Name, errors.New("the object has been modified"))
	}
	s.version++
	m.ResourceVersion = strconv.Itoa(s.version)
	return nil
}

// once makes f run before the client's first write of a ConfigMap, as another writer would.
func once(client *fake.Clientset, f func()) {
	done := false
	client.PrependReactor("*", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
		if v := a.GetVerb(); (v == "create" || v == "update" || v == "patch") && !done {
			done = true
			f()
		}
		return false, nil, nil
	})
}

// fewer is a change of ml/name from 3 replicas to 2.
func fewer(name string) optimizer.Change {
	w := fleet.Workload{Ref: fleet.Deployment("ml", name), UID: "u-" + name, Replicas: 3}
	for i := range 3 {
		w.Pods = append(w.Pods, fleet.Pod{Name: fmt.Sprintf("%s-%d", name, i), UID: fmt.Sprintf("u-%s-%d", name, i), Node: "n"})
	}
	return optimizer.Change{Ref: w.Ref, From: w, To: w.With(fleet.Target{Replicas: 2}), Reasons: []fleet.Reason{fleet.FewRequests}}
}

func mustEntries(t *testing.T, l *Ledger) []optimizer.Entry {
	t.Helper()
	entries, err := l.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestLedgerSurvivesAProcess(t *testing.T) {
	client := versioned()
	l := NewLedger(client, "trimtab")
	if n := len(mustEntries(t, l)); n != 0 {
		t.Errorf("%d entries at the beginning", n)
	}
	a, err := l.Begin(t.Context(), fewer("a"), ledgerNoon)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewLedger(client, "trimtab").Begin(t.Context(), fewer("b"), ledgerNoon) // the next process
	if err != nil || a == b {
		t.Fatal(a, b, err)
	}
	last := NewLedger(client, "trimtab")
	if err := errors.Join(last.Note(t.Context(), a, "half way"), last.Finish(t.Context(), a, optimizer.Done, "there", ledgerNoon.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	want := []optimizer.Entry{
		{ID: a, Change: ledger.Compact(fewer("a")), Begun: ledgerNoon, Ended: ledgerNoon.Add(time.Minute), Outcome: optimizer.Done, Detail: "there"},
		{ID: b, Change: ledger.Compact(fewer("b")), Begun: ledgerNoon},
	}
	for _, each := range []*Ledger{l, last} {
		same(t, "entries", mustEntries(t, each), want)
	}
	m, err := client.CoreV1().ConfigMaps("trimtab").Get(t.Context(), "trimtab-ledger-0", metav1.GetOptions{})
	if _, labelled := m.Labels[LedgerLabel]; err != nil || !labelled || len(m.Data) != 2 {
		t.Errorf("%v: %+v", err, m)
	}
	if _, err := last.Begin(t.Context(), fewer("b"), ledgerNoon); !errors.Is(err, optimizer.ErrOpen) {
		t.Errorf("begun twice: %v", err)
	}
}

// TestLedgerLeavesTheRestAlone: what others put on the ConfigMap stays.
func TestLedgerLeavesTheRestAlone(t *testing.T) {
	client := versioned(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "trimtab-ledger-0", Labels: map[string]string{LedgerLabel: "", "team": "ml"}, Annotations: map[string]string{"note": "ours"}},
		BinaryData: map[string][]byte{"b": {1}},
	})
	if _, err := NewLedger(client, "trimtab").Begin(t.Context(), fewer("a"), ledgerNoon); err != nil {
		t.Fatal(err)
	}
	m, err := client.CoreV1().ConfigMaps("trimtab").Get(t.Context(), "trimtab-ledger-0", metav1.GetOptions{})
	if err != nil || m.Labels["team"] != "ml" || m.Annotations["note"] != "ours" || len(m.BinaryData) != 1 || len(m.Data) != 1 {
		t.Errorf("%v: %+v", err, m)
	}
}

// TestLedgerTwoLeaders: another leader writes between this one's reading and writing.
func TestLedgerTwoLeaders(t *testing.T) {
	for _, begun := range []bool{false, true} { // the ConfigMap is not there yet; it is
		for _, other := range []string{"a", "b"} {
			s := store{tracker: fake.NewClientset().Tracker()}
			client := s.client()
			l := NewLedger(client, "trimtab")
			if begun {
				if _, err := l.Begin(t.Context(), fewer("first"), ledgerNoon); err != nil {
					t.Fatal(err)
				}
			}
			once(client, func() {
				if _, err := NewLedger(s.client(), "trimtab").Begin(t.Context(), fewer(other), ledgerNoon); err != nil {
					t.Error(err)
				}
			})
			_, err := l.Begin(t.Context(), fewer("a"), ledgerNoon)
			if errors.Is(err, optimizer.ErrOpen) != (other == "a") || other == "b" && err != nil {
				t.Errorf("ConfigMap there %v, the other leader began %s: %v", begun, other, err)
			}
			open := map[string]int{}
			for _, e := range mustEntries(t, l) {
				open[e.Change.Ref.Name]++
			}
			if open["a"] != 1 || open[other] != 1 {
				t.Errorf("open entries: %v", open)
			}
		}
	}
}

// TestLedgerManyWriters: whatever the order in which they run, no workload is begun twice and no word lost.
func TestLedgerManyWriters(t *testing.T) {
	s := store{tracker: fake.NewClientset().Tracker()}
	manyWriters(t, func() kubernetes.Interface { return s.client() })
}

func manyWriters(t *testing.T, client func() kubernetes.Interface) {
	t.Helper()
	const leaders, workloads = 4, 12
	var begun, refused, outrun atomic.Int32
	var all sync.WaitGroup
	for range leaders {
		l := NewLedger(client(), "trimtab")
		all.Go(func() {
			for n := range workloads {
				switch _, err := l.Begin(t.Context(), fewer(fmt.Sprintf("w%d", n)), ledgerNoon); {
				case err == nil:
					begun.Add(1)
				case errors.Is(err, optimizer.ErrOpen):
					refused.Add(1)
				case strings.Contains(err.Error(), "another writer was faster"):
					outrun.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	open := map[fleet.Ref]int{}
	for _, e := range mustEntries(t, NewLedger(client(), "trimtab")) {
		if open[e.Change.Ref]++; open[e.Change.Ref] > 1 {
			t.Errorf("%s is begun twice", e.Change.Ref)
		}
	}
	if int(begun.Load()) != len(open) || begun.Load()+refused.Load()+outrun.Load() != leaders*workloads {
		t.Errorf("%d begun, %d refused, %d outrun, %d open", begun.Load(), refused.Load(), outrun.Load(), len(open))
	}
	t.Logf("%d begun, %d refused as open, %d gave up after %d tries", begun.Load(), refused.Load(), outrun.Load(), writeTries)
}

// TestLedgerCrash: whichever call of an operation fails, and whether or not it took effect, what was there
// before is there still, and what was begun is begun once.
func TestLedgerCrash(t *testing.T) {
	crash := errors.New("the pod was killed")
	for _, effect := range []bool{false, true} {
		for k := 1; k <= 2; k++ { // the list, the update
			s := store{tracker: fake.NewClientset().Tracker()}
			client := s.client()
			l := NewLedger(client, "trimtab")
			before, err := l.Begin(t.Context(), fewer("before"), ledgerNoon)
			if err != nil {
				t.Fatal(err)
			}
			calls := 0
			client.PrependReactor("*", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
				if calls++; calls != k {
					return false, nil, nil
				}
				if effect && a.GetVerb() == "update" {
					return true, nil, errors.Join(crash, s.tracker.Update(a.GetResource(), a.(k8stesting.UpdateAction).GetObject(), a.GetNamespace()))
				}
				return true, nil, crash
			})
			if _, err := l.Begin(t.Context(), fewer("a"), ledgerNoon); !errors.Is(err, crash) {
				t.Fatal(err)
			}
			entries := mustEntries(t, NewLedger(client, "trimtab"))
			want := 1
			if effect && k == 2 {
				want = 2
			}
			if len(entries) != want || entries[0].ID != before || entries[want-1].Outcome != "" {
				t.Errorf("call %d, effect %v: %+v", k, effect, entries)
			}
		}
	}
}

func TestLedgerErrors(t *testing.T) {
	denied := apierrors.NewForbidden(group("", "configmaps"), "", errors.New("no"))
	conflict := apierrors.NewConflict(group("", "configmaps"), "trimtab-ledger-0", errors.New("modified"))
	for _, tt := range []struct {
		verb  string
		err   error
		lists int
		want  []string
	}{
		{"list", denied, 1, []string{"list the ledger's ConfigMaps in trimtab", "forbidden"}},
		{"create", denied, 1, []string{"write ConfigMap trimtab/trimtab-ledger-0", "forbidden"}},
		{"create", conflict, writeTries, []string{"5 times another writer was faster", "does more than one daemon lead?", "trimtab-ledger-0"}},
	} {
		client := versioned()
		refuse(client, tt.verb, "configmaps", always(), tt.err)
		id, err := NewLedger(client, "trimtab").Begin(t.Context(), fewer("a"), ledgerNoon)
		contains(t, err, tt.want...)
		lists := 0
		for _, a := range client.Actions() {
			if a.GetVerb() == "list" {
				lists++
			}
		}
		if id != "" || lists != tt.lists {
			t.Errorf("%s: ID %q, %d lists, want %d", tt.verb, id, lists, tt.lists)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client := versioned()
	refuse(client, "list", "configmaps", always(), context.Canceled)
	if _, err := NewLedger(client, "trimtab").Entries(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLedgerDamage: a key that cannot be read is named with what to do; nothing begins, nothing is written over.
func TestLedgerDamage(t *testing.T) {
	client := versioned()
	l := NewLedger(client, "trimtab")
	id, err := l.Begin(t.Context(), fewer("a"), ledgerNoon)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.CoreV1().ConfigMaps("trimtab")
	m, _ := maps.Get(t.Context(), "trimtab-ledger-0", metav1.GetOptions{})
	m.Data["20261121t120001-abcdef"] = m.Data[id][:100]
	if _, err := maps.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	entries, err := l.Entries(t.Context())
	contains(t, err, "key 20261121t120001-abcdef of trimtab-ledger-0", "no change begins until that is mended", "kubectl -n trimtab edit configmap")
	if !errors.Is(err, ledger.ErrDamaged) || len(entries) != 1 {
		t.Errorf("%v, %d sound entries", err, len(entries))
	}
	_, err = l.Begin(t.Context(), fewer("b"), ledgerNoon)
	contains(t, err, "key 20261121t120001-abcdef", "kubectl")
	if err := l.Finish(t.Context(), id, optimizer.Done, "", ledgerNoon); err != nil {
		t.Errorf("a sound entry is not finished: %v", err)
	}
	if m, _ = maps.Get(t.Context(), "trimtab-ledger-0", metav1.GetOptions{}); len(m.Data["20261121t120001-abcdef"]) != 100 {
		t.Errorf("the damaged key has %q", m.Data["20261121t120001-abcdef"])
	}
}
