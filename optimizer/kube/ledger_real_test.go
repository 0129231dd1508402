package kube

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// realServer is an API server that a person started for this: TRIMTAB_TEST_KUBECONFIG=FILE, with a namespace trimtab.
func realServer(t *testing.T) kubernetes.Interface {
	t.Helper()
	file := os.Getenv("TRIMTAB_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("SKIPPED, no API server is given by TRIMTAB_TEST_KUBECONFIG")
	}
	cfg, err := Client(file, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestLedgerOnRealServer: the API server refuses the later of two writers, and takes the largest pages that
// the ledger makes.
func TestLedgerOnRealServer(t *testing.T) {
	client := realServer(t)
	maps := client.CoreV1().ConfigMaps("trimtab")
	clear := func() {
		if err := maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: LedgerLabel}); err != nil {
			t.Fatal(err)
		}
	}
	clear()
	manyWriters(t, func() kubernetes.Interface { return client })
	clear()
	l := NewLedger(client, "trimtab")
	var err error
	n := 0
	for ; err == nil; n++ {
		_, err = l.Begin(t.Context(), big(fmt.Sprintf("w%d", n)), ledgerNoon)
	}
	contains(t, err, "the ledger is full")
	list, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: LedgerLabel})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d open entries of 400 pods in %d ConfigMaps of %d bytes, then: full", n-1, len(list.Items), list.Items[0].Size())
	for _, e := range mustEntries(t, l) {
		if err := l.Finish(t.Context(), e.ID, optimizer.Failed, strings.Repeat("x", 2000), ledgerNoon); err != nil {
			t.Fatal(err)
		}
	}
	for range 150 { // more than all pages have room for
		id, err := l.Begin(t.Context(), big("one"), ledgerNoon)
		if err == nil {
			err = l.Finish(t.Context(), id, optimizer.Done, "", ledgerNoon)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err = maps.List(t.Context(), metav1.ListOptions{LabelSelector: LedgerLabel})
	if err != nil || len(list.Items) != 16 {
		t.Errorf("%v: %d ConfigMaps, want 16", err, len(list.Items))
	}
	over := corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "too-large"}, Data: map[string]string{"a": strings.Repeat("x", 1<<20+1)}}
	if _, err = maps.Create(t.Context(), &over, metav1.CreateOptions{}); err == nil {
		t.Error("it takes more than 1 MiB: is the limit of a page still right?")
	}
	t.Logf("%d entries in %d ConfigMaps at the end; over 1 MiB: %v", len(mustEntries(t, l)), len(list.Items), err)
	clear()
}

// big is a change of ml/name with 400 pods: 37 KiB.
func big(name string) optimizer.Change {
	c := fewer(name)
	for i := range 400 {
		c.From.Pods = append(c.From.Pods, fleet.Pod{Name: fmt.Sprintf("%s-7d9f8b6c5d-%05d", name, i), UID: fmt.Sprintf("0b7e1c52-6d0a-4b0e-9d6b-%012d", i), Node: "n"})
	}
	c.To = c.From.With(fleet.Target{Replicas: 2})
	return c
}
