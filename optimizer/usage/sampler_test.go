package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/rest"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
)

// pods is an Owners that a test changes as it likes.
type pods struct {
	mu        sync.Mutex
	list      []Pod
	exporters []Exporter
	err       error
}

func (p *pods) Pods(context.Context) ([]Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.err
}

func (p *pods) Exporters(context.Context) ([]Exporter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exporters, p.err
}

// api answers as the API server does for metrics.k8s.io.
type api struct {
	mu    sync.Mutex
	items []string
	code  int
	paths []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paths = append(a.paths, r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if a.code != 0 {
		w.WriteHeader(a.code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the server is currently unable to handle the request","code":%d}`, a.code)
		return
	}
	fmt.Fprintf(w, `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","items":[%s]}`, strings.Join(a.items, ","))
}

// measured is one PodMetrics as metrics-server writes it, for containers "name cpu memory".
func measured(pod string, second int, containers ...string) string {
	var cs []string
	for _, c := range containers {
		f := strings.Fields(c)
		cs = append(cs, fmt.Sprintf(`{"name":%q,"usage":{"cpu":%q,"memory":%q}}`, f[0], f[1], f[2]))
	}
	return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"shop"},"timestamp":%q,"window":"14.6s","containers":[%s]}`,
		pod, t0.Add(time.Duration(second)*time.Second).Format(time.RFC3339), strings.Join(cs, ","))
}

type samplerBench struct {
	*Sampler
	api   *api
	pods  *pods
	store *Store
	log   bytes.Buffer
}

func newSamplerBench(t *testing.T, namespaces ...string) *samplerBench {
	t.Helper()
	b := &samplerBench{api: &api{}, store: openAt(t, "", nil), pods: &pods{list: []Pod{
		{Ref: web, Name: "a", Images: map[string]string{"main": "web:1"}},
		{Ref: web, Name: "b"},
	}}}
	server := httptest.NewServer(b.api)
	t.Cleanup(server.Close)
	client, err := metrics.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	b.Sampler = NewSampler(SamplerOptions{Client: client, Namespaces: namespaces, Owners: b.pods, Store: b.store, Log: logTo(&b.log)})
	return b
}

func (b *samplerBench) sample(t *testing.T, items ...string) {
	t.Helper()
	b.api.items = items
	if err := b.Sample(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// raw dumps a series as "second=value", markers as "second=end".
func raw(t *testing.T, s *Store, text string) []string {
	t.Helper()
	q, err := s.engine.NewInstantQuery(context.Background(), s.db, nil, text+"[1001h]", clock())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(context.Background()).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range m {
		for _, p := range s.Floats {
			out = append(out, fmt.Sprintf("%s/%s %g=%.6g", s.Metric.Get(labelPod), s.Metric.Get(labelContainer), float64(p.T-t0.UnixMilli())/1000, p.F))
		}
	}
	return out
}

func wantRaw(t *testing.T, s *Store, text string, want ...string) {
	t.Helper()
	if got := raw(t, s, text); !slices.Equal(got, want) {
		t.Errorf("%s is %q\nwant %q", text, got, want)
	}
}

func TestSamplerWritesWhatWasMeasured(t *testing.T) {
	b := newSamplerBench(t)
	b.sample(t, measured("a", 10, "main 250m 512Mi", "side 1234568n 1000Ki"), measured("stranger", 10, "main 1 1Gi"))
	b.sample(t, measured("a", 25, "main 1500u 0", "side 0 1"))
	if want := []string{"/apis/metrics.k8s.io/v1beta1/pods", "/apis/metrics.k8s.io/v1beta1/pods"}; !slices.Equal(b.api.paths, want) {
		t.Errorf("asked for %q", b.api.paths)
	}
	wantRaw(t, b.store, seriesCPU, "a/main 10=0.25", "a/main 25=0.0015", "a/side 10=0.00123457", "a/side 25=0")
	wantRaw(t, b.store, seriesMemory, "a/main 10=5.36871e+08", "a/main 25=0", "a/side 10=1.024e+06", "a/side 25=1")
	wantRaw(t, b.store, seriesWindow+`{container="main"}`, "a/main 10=15", "a/main 25=15")
	wantRaw(t, b.store, seriesCPU+`{namespace="shop",kind="Deployment",workload="web",image="web:1"}`, "a/main 10=0.25", "a/main 25=0.0015")
	got := samples(t, NewReader(b.store, now), t0, clock())
	want := []string{"60 a/main cpu 0.12575 0.25 2", "60 a/main memory 2.68435e+08 5.36871e+08 2",
		"60 a/side cpu 0.000617284 0.00123457 2", "60 a/side memory 512000 1.024e+06 2"}
	if !slices.Equal(lines(got), want) {
		t.Errorf("got %q\nwant %q", lines(got), want)
	}
}

func TestSamplerNamespaces(t *testing.T) {
	b := newSamplerBench(t, "shop", "bank")
	b.sample(t)
	if want := []string{"/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods", "/apis/metrics.k8s.io/v1beta1/namespaces/bank/pods"}; !slices.Equal(b.api.paths, want) {
		t.Errorf("asked for %q", b.api.paths)
	}
}

// When metrics-server stops it repeats its last answer, and then has none: nothing new is written.
func TestSamplerSkipsRepeats(t *testing.T) {
	b := newSamplerBench(t)
	for range 3 {
		b.sample(t, measured("a", 10, "main 250m 1"))
	}
	b.sample(t, measured("a", 5, "main 300m 1")) // and never goes back
	wantRaw(t, b.store, seriesCPU, "a/main 10=0.25")
	if n := testutil.ToFloat64(b.store.skipped.WithLabelValues(skipRepeat)); n != 3 {
		t.Errorf("%v repeats, want 3", n)
	}
}

// live is what an instant query sees at a time: no series that has ended.
func live(t *testing.T, s *Store, text string, second float64) int {
	t.Helper()
	at := t0.Add(time.Duration(second * float64(time.Second)))
	m, done, err := s.query(context.Background(), text, at, at, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	return len(m)
}

func TestSamplerEndsWhatHasGone(t *testing.T) {
	b := newSamplerBench(t)
	b.sample(t, measured("a", 10, "main 1 1", "side 1 1"), measured("b", 10, "main 1 1"))
	if n := live(t, b.store, seriesCPU, 11); n != 3 {
		t.Errorf("%d live, want 3", n)
	}
	b.sample(t, measured("a", 25, "main 1 1"), measured("b", 25, "main 1 1")) // the side container goes
	if n := live(t, b.store, seriesCPU, 26); n != 2 {
		t.Errorf("%d live without side, want 2", n)
	}
	b.pods.list = b.pods.list[:1] // b is nobody's any more
	b.sample(t, measured("a", 40, "main 1 1"), measured("b", 40, "main 1 1"))
	if n := live(t, b.store, seriesCPU, 41); n != 1 {
		t.Errorf("%d live without b, want 1", n)
	}
	b.sample(t)                                  // metrics-server lost a for once,
	b.sample(t, measured("a", 42, "main 1 1"))   // and had measured it meanwhile
	b.sample(t, measured("a", 55, "main 0.5 1")) // its series goes on
	for _, name := range []string{seriesCPU, seriesMemory, seriesWindow} {
		if n := live(t, b.store, name, 41); n != 0 {
			t.Errorf("%d live of %s in a's gap, want 0", n, name)
		}
	}
	wantRaw(t, b.store, seriesCPU+`{pod="a",container="main"}`, "a/main 10=1", "a/main 25=1", "a/main 40=1", "a/main 42=1", "a/main 55=0.5")
}

func TestSamplerFaultsAreCountedAndLoggedOnce(t *testing.T) {
	b := newSamplerBench(t)
	b.sample(t, measured("a", 10, "main 1 1"))
	errs := func(source string) float64 { return testutil.ToFloat64(b.store.errors.WithLabelValues(source)) }
	b.api.code = http.StatusServiceUnavailable
	for range 3 {
		if b.Sample(context.Background()) == nil {
			t.Error("no error")
		}
	}
	if n := live(t, b.store, seriesCPU, 30); n != 1 {
		t.Errorf("%d live while the API is down, want 1: silence is no end", n)
	}
	b.api.code = 0
	b.pods.err = errors.New("caches not synced")
	for range 2 {
		if b.Sample(context.Background()) == nil {
			t.Error("no error")
		}
	}
	b.pods.err = nil
	b.sample(t, measured("a", 25, "main 1 1"))
	if errs(sourceMetricsAPI) != 3 || errs(sourceOwners) != 2 || errs(sourceStore) != 0 {
		t.Errorf("counted %v, %v, %v", errs(sourceMetricsAPI), errs(sourceOwners), errs(sourceStore))
	}
	log := b.log.String()
	if n := strings.Count(log, "cannot be read"); n != 2 {
		t.Errorf("%d warnings, want 2:\n%s", n, log)
	}
	if n := strings.Count(log, "can be read again"); n != 2 {
		t.Errorf("%d all-clears, want 2:\n%s", n, log)
	}
}

func TestRunSamplesAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var at []time.Duration
		begin := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			every(ctx, 15*time.Second, func() { at = append(at, time.Since(begin)) })
		}()
		time.Sleep(31 * time.Second)
		cancel()
		<-done
		if want := []time.Duration{0, 15 * time.Second, 30 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("at %v, want %v", at, want)
		}
	})
}

func TestSamplerRunEnds(t *testing.T) {
	b := newSamplerBench(t)
	b.api.items = []string{measured("a", 10, "main 1 1")}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	for live(t, b.store, seriesCPU, 11) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if b.log.Len() > 0 {
		t.Errorf("logged %s", b.log.String())
	}
}

// TestKillsAreRead: each kill for want of memory is one sample at its own time, though it is told of at every
// reading; without a kill there is no sample.
func TestKillsAreRead(t *testing.T) {
	b := newSamplerBench(t)
	killed := func(seconds ...int) {
		b.pods.list[0].Killed = nil
		for _, s := range seconds {
			b.pods.list[0].Killed = map[string]time.Time{"main": t0.Add(time.Duration(s) * time.Second)}
		}
		b.sample(t)
	}
	killed()
	killed(20)
	killed(20)
	killed(50)
	killed(130)
	killed(130)
	wantRaw(t, b.store, seriesOOM+`{workload="web",image="web:1"}`, "a/main 20=1", "a/main 50=1", "a/main 130=1")
	if n := testutil.ToFloat64(b.store.appended); n != 3 {
		t.Errorf("%v samples were written", n)
	}
	got := lines(samples(t, NewReader(b.store, now), t0, clock()))
	if want := []string{"60 a/main oom 2 2 2", "180 a/main oom 1 1 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
