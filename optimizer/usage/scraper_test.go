package usage

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// page is a server's /metrics; the test changes it.
type page struct {
	text  string
	code  int
	hits  atomic.Int64
	serve http.HandlerFunc // nil: the text
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.hits.Add(1)
	if p.serve != nil {
		p.serve(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if p.code != 0 {
		w.WriteHeader(p.code)
	}
	fmt.Fprint(w, p.text)
}

type scraperBench struct {
	*Scraper
	page  *page
	url   string
	pods  *pods
	store *Store
	clock atomic.Int64 // seconds after t0
	log   bytes.Buffer
}

// newScraperBench scrapes pod a of web from a real HTTP server.
func newScraperBench(t *testing.T, o ScraperOptions) *scraperBench {
	t.Helper()
	b := &scraperBench{page: &page{}}
	store, err := OpenStore(StoreOptions{Now: func() time.Time { return t0.Add(time.Duration(b.clock.Load()) * time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	server := httptest.NewServer(b.page)
	t.Cleanup(server.Close)
	b.store, b.url = store, server.URL+"/metrics"
	b.pods = &pods{list: []Pod{{Ref: web, Name: "a", Ready: true, ScrapeURL: b.url}, {Ref: web, Name: "unscraped"}}}
	o.Owners, o.Store, o.Log = b.pods, store, logTo(&b.log)
	b.Scraper = NewScraper(o)
	return b
}

func (b *scraperBench) scrape(t *testing.T, second int, text string) {
	t.Helper()
	b.clock.Store(int64(second))
	b.page.text = text
	if err := b.Scrape(context.Background()); err != nil {
		t.Fatal(err)
	}
}

const exposition = `# HELP modelserver_requests_total Requests answered.
# TYPE modelserver_requests_total counter
modelserver_requests_total{model="iris",version="1",code="200"} 40
modelserver_requests_total{model="iris",version="1",code="503"} 2
# TYPE model_prediction_latency_seconds histogram
model_prediction_latency_seconds_bucket{model_version="1",endpoint="infer",le="0.1"} 39
model_prediction_latency_seconds_bucket{model_version="1",endpoint="infer",le="+Inf"} 42
model_prediction_latency_seconds_sum{model_version="1",endpoint="infer"} 1.5
model_prediction_latency_seconds_count{model_version="1",endpoint="infer"} 42
# TYPE modelserver_queue_rows gauge
modelserver_queue_rows{model="iris",version="1",pod="liar",namespace="elsewhere"} 3 1
vllm:request_success_total{finished_reason="stop"} 9
# TYPE request_predict_seconds histogram
request_predict_seconds_bucket{le="+Inf"} 5
request_predict_seconds_sum 6
request_predict_seconds_count 5
go_goroutines 12
process_cpu_seconds_total 1.25
`

func TestScraperKeepsTheKnownFamilies(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.scrape(t, 15, exposition)
	got := raw(t, b.store, `{__name__!=""}`)
	want := []string{"a/ 15=39", "a/ 15=42", "a/ 15=42", "a/ 15=1.5", "a/ 15=3", "a/ 15=40", "a/ 15=2", "a/ 15=1", "a/ 15=9", "a/ 15=5", "a/ 15=6"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("kept %q\nwant %q", got, want)
	}
	all := `{namespace="shop",kind="Deployment",workload="web",pod="a"`
	wantRaw(t, b.store, `modelserver_requests_total`+all+`,model="iris",version="1",code="503"}`, "a/ 15=2")
	wantRaw(t, b.store, `model_prediction_latency_seconds_bucket`+all+`,le="0.1"}`, "a/ 15=39")
	wantRaw(t, b.store, `modelserver_queue_rows`+all+`,exported_pod="liar",exported_namespace="elsewhere"}`, "a/ 15=3")
	wantRaw(t, b.store, seriesScrapeUp+all+"}", "a/ 15=1")
	wantRaw(t, b.store, `{__name__=~"go_goroutines|request_predict_seconds_bucket"}`)
	if n := testutil.ToFloat64(b.store.targets); n != 1 {
		t.Errorf("%v targets", n)
	}
}

// A page that is scraped, restarted and read: 30 requests each 15 s, the third reading anew from zero.
func TestScrapedRequestsAreRead(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	for i, n := range []int{1000, 1030, 1060, 10, 40} {
		b.scrape(t, 15*i, fmt.Sprintf("modelserver_requests_total{code=\"200\"} %d\n", n))
	}
	got := lines(samples(t, NewReader(b.store, now), t0, t0.Add(time.Hour)))
	if want := []string{"60 a/ requests 1.66667 1.66667 5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScraperEndsWhatHasGone(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	two := "modelserver_queue_rows{model=\"x\"} 1\nmodelserver_queue_rows{model=\"y\"} 1\n"
	check := func(when string, second float64, series, up int) {
		t.Helper()
		if n := live(t, b.store, "modelserver_queue_rows", second); n != series {
			t.Errorf("%s: %d live series, want %d", when, n, series)
		}
		if n := live(t, b.store, seriesScrapeUp+" == 1", second); n != up {
			t.Errorf("%s: %d up, want %d", when, n, up)
		}
	}
	b.scrape(t, 0, two)
	check("both", 1, 2, 1)
	b.scrape(t, 15, two[:strings.Index(two, "\n")+1])
	check("one vanished", 16, 1, 1)
	b.page.code = 500
	b.scrape(t, 30, "")
	check("down", 31, 0, 0)
	wantRaw(t, b.store, seriesScrapeUp, "a/ 0=1", "a/ 15=1", "a/ 30=0")
	b.page.code = 0
	b.scrape(t, 45, two)
	check("up again", 46, 2, 1)
	b.pods.list = nil
	b.scrape(t, 60, two)
	check("pod gone", 61, 0, 0)
	if n := live(t, b.store, seriesScrapeUp, 61); n != 0 {
		t.Errorf("the gone pod's up is still there")
	}
}

func TestScraperRefusals(t *testing.T) {
	row := "modelserver_queue_rows{model=\"x\"} 1\n"
	long, limit := strings.Repeat(row, 200), int64(20*len(row)-1) // cut off there, it would still be whole rows
	cases := []struct {
		name  string
		o     ScraperOptions
		serve http.HandlerFunc
	}{
		{"status", ScraperOptions{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }},
		{"redirect", ScraperOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				http.Redirect(w, r, "/other", http.StatusFound)
			}
		}},
		{"no metrics", ScraperOptions{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
		{"too long", ScraperOptions{MaxBody: limit}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, long) }},
		{"too long when unpacked", ScraperOptions{MaxBody: limit}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, long)
			z.Close()
		}},
		{"too many series", ScraperOptions{MaxSeries: 1}, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "modelserver_queue_rows{model=\"x\"} 1\nmodelserver_queue_rows{model=\"y\"} 1\n")
		}},
		{"too slow", ScraperOptions{Timeout: 20 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"slow body", ScraperOptions{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, row)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
		{"cut short", ScraperOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "modelserver_queue_rows 1\n")
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newScraperBench(t, c.o)
			b.page.serve = c.serve
			for i := range 3 {
				b.scrape(t, i, "")
			}
			wantRaw(t, b.store, `{__name__!=""}`, "a/ 0=0", "a/ 1=0", "a/ 2=0") // up, and nothing else
			if n := testutil.ToFloat64(b.store.errors.WithLabelValues(sourceScrape)); n != 3 {
				t.Errorf("%v errors, want 3", n)
			}
			if n := strings.Count(b.log.String(), "cannot be read"); n != 1 {
				t.Errorf("%d warnings, want 1: %s", n, b.log.String())
			}
		})
	}
}

func TestScraperFansOutWithALimit(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{Concurrency: 3})
	var at, most, dialled atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(2 * time.Millisecond)
		at.Add(-1)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			dialled.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	b.pods.list = nil
	for i := range 20 {
		b.pods.list = append(b.pods.list, Pod{Ref: web, Name: fmt.Sprint(i), ScrapeURL: server.URL})
	}
	b.scrape(t, 0, "")
	if n := live(t, b.store, seriesScrapeUp+" == 1", 1); n != 20 {
		t.Errorf("%d of 20 scraped", n)
	}
	if most.Load() > 3 || dialled.Load() > 19 {
		t.Errorf("%d at once, %d connections for 20 scrapes", most.Load(), dialled.Load())
	}
}

// A pod that is not ready may fail without a warning; it is still counted.
func TestScraperIsQuietAboutStartingPods(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.pods.list[0].Ready = false
	b.page.code = 503
	b.scrape(t, 0, "")
	if b.log.Len() > 0 || testutil.ToFloat64(b.store.errors.WithLabelValues(sourceScrape)) != 1 {
		t.Errorf("logged %q", b.log.String())
	}
}

func TestScraperFaults(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.scrape(t, 0, exposition)
	b.pods.err = errors.New("caches not synced")
	if b.Scrape(context.Background()) == nil || b.page.hits.Load() != 1 {
		t.Error("scraped without owners")
	}
	b.pods.err = nil
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Scrape(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if n := live(t, b.store, "modelserver_queue_rows", 1); n != 1 {
		t.Errorf("%d live series, want 1: neither fault is an end", n)
	}
	if n := testutil.ToFloat64(b.store.errors.WithLabelValues(sourceScrape)); n != 0 {
		t.Errorf("%v scrape errors for a scrape that was called off", n)
	}
}

func TestScraperRunEnds(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.page.text = exposition
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	for live(t, b.store, seriesScrapeUp, 0) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestFamilies(t *testing.T) {
	got := Families()
	for _, f := range []string{"modelserver_requests_total", "modelserver_inferences_total", "modelserver_executions_total",
		"modelserver_queue_rows", "modelserver_shed_total", "model_prediction_latency_seconds_bucket",
		"model_prediction_latency_seconds_sum", "model_prediction_latency_seconds_count"} {
		if !slices.Contains(got, f) {
			t.Errorf("%s is not kept", f)
		}
	}
	if !slices.IsSorted(got) || slices.Contains(got, "") || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("not a sorted set: %q", got)
	}
}
