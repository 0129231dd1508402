package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/policies"
)

func TestMeant(t *testing.T) {
	seen := fleet.Snapshot{Bounds: []fleet.Bounds{
		{Namespace: "asked", Labels: map[string]string{policies.PolicyLabel: "recommend"}},
		{Namespace: "off", Labels: map[string]string{policies.PolicyLabel: "off"}}, // no value we know: not asked
		{Namespace: "other"},
	}}
	for _, name := range []string{"asked/a", "off/b", "other/c", "other/selected", "other/broken", "other/kept"} {
		ns, name, _ := strings.Cut(name, "/")
		seen.Workloads = append(seen.Workloads, fleet.Workload{Ref: fleet.Deployment(ns, name)})
	}
	names := func(n string) *policies.Selector { return &policies.Selector{Names: []string{n}} }
	set := policies.Set{
		Policies: []policies.Policy{{Selector: *names("selected")}},
		Bad:      []policies.Bad{{Selector: names("broken")}, {Kept: true, Selector: names("kept")}, {}},
	}
	var got []string
	for _, ref := range slices.SortedFunc(maps.Keys(meant(seen, set)), fleet.Ref.Compare) {
		got = append(got, ref.Namespace+"/"+ref.Name)
	}
	if want := "asked/a other/broken other/selected"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestOursOnly: the pods of a namespace that nobody opted in are not measured; once it is, they are.
func TestOursOnly(t *testing.T) {
	controller := true
	owned := func(ns string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: "alien", UID: "alien-pod", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "alien", UID: "alien", Controller: &controller},
		}}
	}
	client := fake.NewClientset(append(articleObjects(t),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "alien", UID: "alien"}},
		&corev1.Pod{ObjectMeta: owned("elsewhere"), Status: corev1.PodStatus{Phase: corev1.PodRunning}},
	)...)
	cluster := kube.New(client, "trimtab", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	defer cluster.Wait()
	defer cancel()
	o := &owners{cluster: cluster, keep: time.Hour}
	if _, err := o.Pods(ctx); err == nil {
		t.Error("before the first list ownership is unknown")
	}
	cluster.Start(ctx)
	if err := cluster.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	if got := namespaces(t, o); got != "ml-production" {
		t.Errorf("measured are pods of %q", got)
	}
	document := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "ours", Labels: map[string]string{policies.PolicyLabel: ""}},
		Data: map[string]string{"a.yaml": "apiVersion: trimtab.dev/v1alpha1\nkind: Policy\nmetadata: {name: a}\n" +
			"spec: {selector: {namespaces: [elsewhere]}}\n"},
	}
	if _, err := client.CoreV1().ConfigMaps("trimtab").Create(ctx, document, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the document", func() bool { raw, _ := cluster.Policies(ctx); return len(raw) == 1 })
	if got := namespaces(t, o); got != "ml-production" {
		t.Errorf("within a tick measured are pods of %q", got)
	}
	o.keep = 0
	if got := namespaces(t, o); got != "elsewhere ml-production" {
		t.Errorf("measured are pods of %q", got)
	}
}

// namespaces is where the measured pods are.
func namespaces(t *testing.T, o *owners) string {
	t.Helper()
	pods, err := o.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{}
	for _, p := range pods {
		in[p.Ref.Namespace] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(in)), " ")
}
