package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/policies"
)

func policyMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: name, UID: "uid-1", ResourceVersion: "7"}}
}

func badDocument(source string, faults ...string) policies.Bad {
	return policies.Bad{Source: source, Faults: faults}
}

// events is every Event in the namespace.
func events(t *testing.T, client *fake.Clientset) []corev1.Event {
	t.Helper()
	list, err := client.CoreV1().Events("trimtab").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestBadPolicyEventOncePerChange(t *testing.T) {
	client := fake.NewClientset(policyMap("ours"))
	e, now := NewEvents(client, "trimtab", "trimtab-0"), time.Unix(1_800_000_000, 0)
	for i, row := range []struct {
		bad  []policies.Bad
		want int // Events in all
	}{
		{nil, 0},
		{[]policies.Bad{badDocument("ours/a.yaml", "ours/a.yaml:3: budget: write a number")}, 1},
		{[]policies.Bad{badDocument("ours/a.yaml", "ours/a.yaml:3: budget: write a number")}, 1}, // the next pass
		{[]policies.Bad{badDocument("ours/a.yaml", "ours/a.yaml:4: mode: unknown")}, 2},          // other faults
		{[]policies.Bad{badDocument("ours/a.yaml", "ours/a.yaml:4: mode: unknown"), badDocument("ours/b.yaml", "x")}, 3},
		{[]policies.Bad{badDocument("gone/a.yaml", "x")}, 3}, // its ConfigMap was removed
	} {
		if err := e.BadPolicies(t.Context(), row.bad, now); err != nil {
			t.Error(err)
		}
		if got := len(events(t, client)); got != row.want {
			t.Errorf("call %d: %d Events, want %d", i, got, row.want)
		}
	}
	again := NewEvents(client, "trimtab", "trimtab-1") // a new leader
	if err := again.BadPolicies(t.Context(), []policies.Bad{badDocument("ours/b.yaml", "x")}, now); err != nil || len(events(t, client)) != 3 {
		t.Errorf("a new leader repeats it: %v, %d Events", err, len(events(t, client)))
	}
}

func TestBadPolicyEventText(t *testing.T) {
	client := fake.NewClientset(policyMap("ours"))
	bad := badDocument("ours/a.yaml", "ours/a.yaml:3: budget: write a number", strings.Repeat("é", 1000))
	if err := NewEvents(client, "trimtab", "trimtab-0").BadPolicies(t.Context(), []policies.Bad{bad}, time.Now()); err != nil {
		t.Fatal(err)
	}
	got := events(t, client)[0]
	if got.Type != "Warning" || got.Reason != "BadPolicy" || got.InvolvedObject.Name != "ours" || got.InvolvedObject.UID != "uid-1" {
		t.Errorf("%+v", got)
	}
	if !strings.HasPrefix(got.Message, "not in force: ours/a.yaml:3: budget") || len(got.Message) > maxMessage || !strings.HasSuffix(got.Message, "é...") {
		t.Errorf("%d bytes: %s", len(got.Message), got.Message)
	}
	if m := message(policies.Bad{Kept: true, Faults: []string{"x"}}); m != "its last good version stays in force, in recommend mode: x" {
		t.Error(m)
	}
}

func TestBadPolicyEventRefused(t *testing.T) {
	client := fake.NewClientset(policyMap("ours"))
	refuse(client, "create", "events", always(), errors.New("events is forbidden"))
	e, bad := NewEvents(client, "trimtab", "trimtab-0"), []policies.Bad{badDocument("ours/a.yaml", "x")}
	contains(t, e.BadPolicies(t.Context(), bad, time.Now()), "write an Event on ConfigMap ours", "forbidden")
	if err := e.BadPolicies(t.Context(), bad, time.Now()); err != nil {
		t.Errorf("said again: %v", err)
	}
}
