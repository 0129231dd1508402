package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	metricsfake "k8s.io/metrics/pkg/client/clientset/versioned/fake"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/policies"
)

// articleObjects is the article's namespace, whose label asks for recommendations.
func articleObjects(t *testing.T) []runtime.Object {
	t.Helper()
	return objectsOf(t, "../../optimizer/kube/testdata/article.yaml")
}

// objectsOf reads every object of a YAML file.
func objectsOf(t *testing.T, file string) []runtime.Object {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []runtime.Object
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		var raw runtime.RawExtension
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw.Raw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// wired is a whole daemon on a fake API server, with a store of its own. Its passes are 20 ms apart.
func wired(t *testing.T, client *fake.Clientset) *parts {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := settings{
		namespace: "trimtab", identity: "trimtab-0", store: filepath.Join(t.TempDir(), "store"), storeMaxBytes: defaultStoreMaxBytes,
		interval: 20 * time.Millisecond, resolution: time.Second, sampleEvery: time.Second,
		checkpointEvery: time.Hour, stopWithin: 10 * time.Second, elect: true,
	}
	if err := os.Mkdir(s.store, 0o700); err != nil {
		t.Fatal(err)
	}
	return assemble(s, slog.New(slog.DiscardHandler), client, metricsfake.NewSimpleClientset(), listener)
}

// begin runs p; the function it gives stops it as SIGTERM does and gives run's error. It has ended before the
// test's folders are removed, however the test ends.
func begin(t *testing.T, p *parts) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("it did not end")
		}
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// eventually waits for what must come.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

func (p *parts) passes() float64 {
	return testutil.ToFloat64(p.daemon.metrics.passes.WithLabelValues("ok"))
}

func (p *parts) leads() bool {
	_, leading := p.daemon.leads()
	return leading
}

// TestFailedReadAtStartErasesNothing: while the saved history is not read no pass is made and nothing
// is written; then it is taken up, and the last checkpoint has it still.
func TestFailedReadAtStartErasesNothing(t *testing.T) {
	client := fake.NewClientset(articleObjects(t)...)
	now := time.Now().Truncate(time.Minute)
	saved(t, client, now.Add(-3*time.Hour), now, rec)
	client.ClearActions()
	refused := make(chan int, 10)
	unanswered(client, func(n int) bool { refused <- n; return n <= 2 })
	p := wired(t, client)
	stop := begin(t, p)
	<-refused
	eventually(t, "what it waits for", func() bool {
		_, body := get(t, "http://"+p.listener.Addr().String()+"/readyz")
		return strings.Contains(body, "the saved history is not read yet") && strings.Contains(body, "no route to host")
	})
	if code, _ := get(t, "http://"+p.listener.Addr().String()+"/livez"); code != http.StatusOK {
		t.Errorf("/livez is %d while it waits", code)
	}
	if n := p.passes(); n != 0 {
		t.Errorf("%v passes without the saved history", n)
	}
	eventually(t, "a pass of the leader", func() bool { return p.passes() > 0 && p.leads() })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := span(loaded(t, client), rec, now); got != 3*time.Hour {
		t.Errorf("saved are %s, want 3h", got)
	}
}

// TestStandbySavesNothing: it makes passes, answers, and writes nothing, not even when it stops.
func TestStandbySavesNothing(t *testing.T) {
	other, seconds, now := "trimtab-1", int32(15), metav1.NowMicro()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "trimtab"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &other, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}
	broken := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "ours", Labels: map[string]string{policies.PolicyLabel: ""}},
		Data:       map[string]string{"a.yaml": "{"},
	}
	client := fake.NewClientset(append(articleObjects(t), lease, broken)...)
	p := wired(t, client)
	p.settings.checkpointEvery = time.Nanosecond
	p.daemon.keeper.every = time.Nanosecond
	measured(t, p.daemon.cycle.History, rec, time.Now().Add(-time.Hour), time.Now())
	stop := begin(t, p)
	eventually(t, "three passes", func() bool { return p.passes() >= 3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, a := range client.Actions() {
		if slices.Contains([]string{"create", "update", "patch", "delete"}, a.GetVerb()) {
			t.Errorf("a standby may not %s %s", a.GetVerb(), a.GetResource().Resource)
		}
	}
}

// TestShutdownSavesThenResigns: one checkpoint, and only then is the Lease another's to take.
func TestShutdownSavesThenResigns(t *testing.T) {
	client := fake.NewClientset(articleObjects(t)...)
	p := wired(t, client)
	measured(t, p.daemon.cycle.History, rec, time.Now().Add(-time.Hour), time.Now())
	stop := begin(t, p)
	eventually(t, "a pass of the leader", func() bool { return p.passes() > 0 && p.leads() })
	if n := checkpointWrites(client); n != 0 {
		t.Errorf("%d writes before the first checkpoint is due", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := checkpointWrites(client); n != 4 { // one part and the index, of the history and of the spend
		t.Errorf("%d writes, want one checkpoint", n)
	}
	if p.cluster.Wait(); p.leads() {
		t.Error("it still leads")
	}
	if got := holder(t, client); got != "" {
		t.Errorf("the Lease is still held by %q", got)
	}
	saved, given := 0, 0
	for i, a := range client.Actions() {
		switch {
		case ofCheckpoints(a) && a.GetVerb() == "create":
			saved = i
		case a.Matches("update", "leases"):
			given = i
		}
	}
	if saved > given {
		t.Errorf("the Lease was given back by action %d, before the checkpoint of action %d", given, saved)
	}
}

func holder(t *testing.T, client *fake.Clientset) string {
	t.Helper()
	l, err := client.CoordinationV1().Leases("trimtab").Get(t.Context(), "trimtab", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return *l.Spec.HolderIdentity
}

// TestLeaderSaysBadPolicies: once for many passes, as an Event on the ConfigMap.
func TestLeaderSaysBadPolicies(t *testing.T) {
	broken := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "ours", Labels: map[string]string{policies.PolicyLabel: ""}},
		Data:       map[string]string{"a.yaml": "{"},
	}
	client := fake.NewClientset(append(articleObjects(t), broken)...)
	p := wired(t, client)
	stop := begin(t, p)
	eventually(t, "a pass of the leader", func() bool { return p.leads() })
	before := p.passes()
	eventually(t, "three more passes", func() bool { return p.passes() >= before+3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	list, err := client.CoreV1().Events("trimtab").List(t.Context(), metav1.ListOptions{})
	said := slices.DeleteFunc(list.Items, func(e corev1.Event) bool { // the fake's watch knows no labels
		return strings.HasPrefix(e.InvolvedObject.Name, spendName)
	})
	if err != nil || len(said) != 1 || said[0].InvolvedObject.Name != "ours" || said[0].Reason != kube.ReasonBadPolicy {
		t.Errorf("%v, %+v", err, said)
	}
}

// TestStoreThatCannotOpen ends the daemon with the reason.
func TestStoreThatCannotOpen(t *testing.T) {
	p := wired(t, fake.NewClientset())
	if err := os.Remove(p.settings.store); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.settings.store, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.run(t.Context()); err == nil || !strings.Contains(err.Error(), "open usage store") {
		t.Error(err)
	}
}

// TestOutlasting: everything after SIGTERM has one deadline, which nothing but SIGTERM begins.
func TestOutlasting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stop, done := outlasting(ctx, 30*time.Millisecond)
	defer done()
	time.Sleep(50 * time.Millisecond)
	if stop.Err() != nil {
		t.Error("it ended before SIGTERM")
	}
	cancel()
	if stop.Err() != nil {
		t.Error("it ended with SIGTERM")
	}
	<-stop.Done()
}

// TestReadingIsProgress: a pass that reads for longer than passes may take is alive as long as it reads on.
func TestReadingIsProgress(t *testing.T) {
	d, _ := sampleDaemon()
	d.begun = time.Now().Add(-time.Hour)
	read := progress{chunks(3), func() {
		if d.live(time.Now()) {
			t.Error("nothing was read for an hour, yet alive")
		}
		d.moved()
	}}
	err := read.Each(t.Context(), time.Time{}, time.Time{}, func([]fleet.Sample) error {
		if !d.live(time.Now()) {
			t.Error("dead, though a chunk was read")
		}
		d.begun = time.Now().Add(-time.Hour) // the next chunk takes so long
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// chunks is a Usage of so many chunks.
type chunks int

func (c chunks) Each(_ context.Context, _, _ time.Time, do func([]fleet.Sample) error) error {
	for range int(c) {
		if err := do(nil); err != nil {
			return err
		}
	}
	return nil
}

var _ optimizer.Usage = chunks(0)

// TestMetricsFromTheStart: every series is there before the first pass, and none raises an alert.
func TestMetricsFromTheStart(t *testing.T) {
	reg, began := prometheus.NewRegistry(), time.Now()
	m := newMetrics(reg)
	for name, want := range map[string]int{"trimtab_passes_total": 2, "trimtab_checkpoints_total": 2, "trimtab_checkpoints_disabled": 1} {
		if n, err := testutil.GatherAndCount(reg, name); n != want || err != nil {
			t.Errorf("%d series of %s, want %d: %v", n, name, want, err)
		}
	}
	if age := seconds(began) - testutil.ToFloat64(m.last); age > 1 || age < -60 {
		t.Errorf("the last pass seems to have been %v s ago", age)
	}
}
