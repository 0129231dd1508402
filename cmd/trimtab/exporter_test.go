package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/usage"
)

// TestExporterIsFoundAndRead: a dcgm-exporter in a namespace that nobody opted in is found by its label, asked
// over HTTP, and what it tells of our pod's GPUs, and of no other pod's, comes out of the named query.
func TestExporterIsFoundAndRead(t *testing.T) {
	var ours string
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, pod := range []string{ours, "alien"} {
			for i := range 2 {
				fmt.Fprintf(w, "DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu=%q,UUID=\"GPU-%d\",namespace=\"ml-production\",pod=%q} 0.08\n", fmt.Sprint(i), i, pod)
			}
		}
	}))
	defer page.Close()
	ip, port, _ := net.SplitHostPort(page.Listener.Addr().String())
	exporter := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "gpu-operator", Name: "dcgm", Labels: map[string]string{"app": "nvidia-dcgm-exporter"},
		Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": port}}}
	exporter.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip}
	cluster := kube.New(fake.NewClientset(append(articleObjects(t), exporter)...), "trimtab", slog.New(slog.DiscardHandler))
	o := &owners{cluster: cluster, keep: time.Hour}
	if _, err := o.Exporters(t.Context()); err == nil {
		t.Error("before the first list it is not known whether there is an exporter")
	}
	t.Cleanup(cluster.Wait)
	cluster.Start(t.Context())
	if err := cluster.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	pods, err := o.Pods(t.Context())
	if err != nil || len(pods) == 0 {
		t.Fatalf("%d pods, %v", len(pods), err)
	}
	ours = pods[0].Name
	at := time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)
	store, err := usage.OpenStore(usage.StoreOptions{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := usage.NewScraper(usage.ScraperOptions{Owners: o, Store: store}).Scrape(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = usage.NewReader(store, usage.ReaderOptions{Settle: -1}).Each(t.Context(), at.Add(-time.Hour), at.Add(time.Hour), func(all []fleet.Sample) error {
		for _, s := range all {
			got = append(got, fmt.Sprintf("%s %s %s=%g", s.Ref, s.Pod, s.Container, s.Mean))
		}
		return nil
	})
	want := fmt.Sprintf("%[1]s %[2]s gpu 0=0.08, %[1]s %[2]s gpu 1=0.08", pods[0].Ref, ours)
	if err != nil || strings.Join(got, ", ") != want {
		t.Errorf("%v, got %q, want %s", err, got, want)
	}
}
