package managed

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/serving"
	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/examples"
)

// good is the least that a server shows.
const good = `modelserver_config_generation{model="m",version="v1"} 3
modelserver_config_age_seconds{model="m",version="v1"} 2.5
process_cpu_seconds_total 12.25
process_resident_memory_bytes 3.3554432e+07
modelserver_inferences_total{model="m",version="v1"} 130
modelserver_inferences_total{model="other",version="v1"} 20
modelserver_executions_total{model="m",version="v1"} 40
modelserver_busy_seconds_total{model="m",version="v1"} 1.5
modelserver_compute_cpu_seconds_total{model="m",version="v1"} 1.25
modelserver_requests_total{code="200",model="m",version="v1"} 100
modelserver_requests_total{code="400",model="m",version="v1"} 5
modelserver_requests_total{code="429",model="m",version="v1"} 4
modelserver_requests_total{code="499",model="m",version="v1"} 2
modelserver_requests_total{code="503",model="m",version="v1"} 1
# TYPE model_prediction_latency_seconds histogram
model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="0.001"} 10
model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="0.0025"} 60
model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="+Inf"} 65
model_prediction_latency_seconds_count{endpoint="infer",model_version="v1"} 65
model_prediction_latency_seconds_bucket{endpoint="predict",model_version="v1",le="0.001"} 1
model_prediction_latency_seconds_bucket{endpoint="predict",model_version="v1",le="0.0025"} 1
model_prediction_latency_seconds_bucket{endpoint="predict",model_version="v1",le="+Inf"} 2
model_prediction_latency_seconds_count{endpoint="predict",model_version="v1"} 2
`

func TestParse(t *testing.T) {
	s, err := parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if s.model != "m" || s.Answered != 100 || s.Came != 112 || s.Rows != 150 || s.Batches != 40 || s.Busy != 1.5 || s.Compute != 1.25 {
		t.Errorf("%+v; want 100 answered of 112, 130 + 20 rows in 40 batches, busy for 1.5 s, 1.25 s of CPU", s)
	}
	// 4 × 429, 2 × 499 and 1 × 503; 10+1 up to 1 ms, 50+0 up to 2.5 ms, 5+1 above.
	if s.generation != 3 || s.age != 2500*time.Millisecond || s.CPUSeconds != 12.25 || s.Memory != 32<<20 || s.Errors != 7 ||
		!slices.Equal(s.Latency.Counts, []int64{11, 50, 6}) || !slices.Equal(s.Latency.Bounds, []time.Duration{time.Millisecond, 2500 * time.Microsecond}) {
		t.Errorf("%+v", s)
	}
}

// TestParseFaults: a metric that is missing, or is no measurement, is never taken for zero.
func TestParseFaults(t *testing.T) {
	without := func(part string) string {
		var out []string
		for line := range strings.Lines(good) {
			if !strings.Contains(line, part) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "")
	}
	for _, tt := range []struct{ text, fault string }{
		{without("config_generation"), "0 series of modelserver_config_generation"},
		{without("age_seconds"), "0 series of modelserver_config_age_seconds"},
		{without("process_cpu"), "0 series of process_cpu_seconds_total"},
		{without("resident"), "0 series of process_resident_memory_bytes"},
		{without("requests_total"), "no modelserver_requests_total"},
		{without("inferences"), "no modelserver_inferences_total"},
		{without("executions"), "no modelserver_executions_total"},
		{without("busy"), "no modelserver_busy_seconds_total"},
		{without("compute_cpu"), "no modelserver_compute_cpu_seconds_total"},
		{strings.Replace(good, "} 20", "} -20", 1), "modelserver_inferences_total is -20"},
		{without("latency"), "no model_prediction_latency_seconds with buckets"},
		{good + "modelserver_config_generation{model=\"other\"} 1\n", "2 series of modelserver_config_generation"},
		{strings.Replace(good, "12.25", "NaN", 1), "process_cpu_seconds_total is NaN"},
		{strings.Replace(good, "12.25", "-1", 1), "process_cpu_seconds_total is -1"},
		{strings.Replace(good, `le="0.0025"} 60`, `le="0.0025"} 6`, 1), "do not add up"},
		{strings.Replace(good, `code="429",model="m",version="v1"} 4`, `code="429",model="m",version="v1"} +Inf`, 1), "modelserver_requests_total is +Inf"},
		{strings.ReplaceAll(good, `le="0.001"`, `le="-1"`), "a bucket ends at -1 seconds"},
		{"{", "parse metrics"},
	} {
		if s, err := parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("want %q: %+v, %v", tt.fault, s, err)
		}
	}
	if s, err := parse([]byte("")); err == nil || strings.Count(err.Error(), "\n") != 9 {
		t.Errorf("nothing at all: %+v, %v; want ten faults", s, err)
	}
}

// FuzzParse: whatever a pod says, what is taken from it can be counted with.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`model_prediction_latency_seconds_bucket{le="NaN"} 1`))
	f.Add([]byte("process_cpu_seconds_total 1e300\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse(data)
		if err != nil {
			return
		}
		if min(s.Answered, s.Came, s.Rows, s.Batches) < 0 || !(min(s.Busy, s.Compute) >= 0) || s.Came < s.Answered+s.Errors {
			t.Errorf("%q: %+v", data, s)
		}
		if s.generation < 0 || s.age < 0 || !(s.CPUSeconds >= 0) || s.Memory < 0 || s.Errors < 0 || len(s.Latency.Counts) != len(s.Latency.Bounds)+1 {
			t.Errorf("%q: %+v", data, s)
		}
		for _, c := range s.Latency.Counts {
			if c < 0 {
				t.Errorf("%q: %+v", data, s)
			}
		}
	})
}

func TestScrapeRefusesOtherAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"elsewhere": func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/other", http.StatusFound) },
		"broken":    func(w http.ResponseWriter, q *http.Request) { http.Error(w, good, http.StatusInternalServerError) },
	} {
		web := httptest.NewServer(answer)
		if s, err := scrape(t.Context(), newClient(), web.URL+"/metrics"); err == nil || !strings.Contains(err.Error(), " answers ") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		web.Close()
	}
}

// TestTheRealServer is the contract with the model server: the Keeper writes a ConfigMap on a fake API
// server, a real model server follows it, and the Keeper reads that server's own metrics until it knows
// that its settings are in force and what answering took.
func TestTheRealServer(t *testing.T) {
	spec := quotes()
	spec.SLO.Latency = 10 * time.Second // in time on any machine
	r := newRig(t, spec)
	r.keep()
	real, stop := r.realServer()
	defer stop()
	r.pod("quotes", "quotes-1", "10.0.0.1")
	r.keeper.url = func(string) string { return real.URL + "/metrics" }
	ask := func(n int) {
		for range n {
			body := `{"area_m2":80,"rooms":3,"bathrooms":1,"age_years":20,"centre_km":2,"floor":3,"energy_class":3,"property_type":0}`
			res, err := http.Post(real.URL+"/predict", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Fatalf("the server answers %s", res.Status)
			}
		}
	}
	for range 200 {
		r.now = r.now.Add(5 * time.Second) // the window's time passes here, the settings' age on the server's clock
		ask(20)
		r.keep()
		if s, _ := r.keeper.Standing("a", "quotes"); s.Known {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	s, _ := r.keeper.Standing("a", "quotes")
	q, b := s.Question, r.state().Baseline
	if !s.Known || !q.Service.Curve.Known() || q.Service.Path <= 0 || q.Service.Memory < 1<<20 || q.Load.Rate <= 0 {
		t.Fatalf("nothing was learnt of it: %+v", s)
	}
	if b.Requests < 200 || b.Errors != 0 || b.CPU <= 0 || b.Latency.At <= 0 || b.Latency.To == 0 || b.Met != 1 {
		t.Errorf("measured %+v", b)
	}
	got, err := scrape(t.Context(), newClient(), real.URL+"/metrics")
	if err != nil || got.model != "valuation" || got.generation < 1 || got.account.Instances < 1 || !got.account.Curve.Known() {
		t.Errorf("%+v, %v", got, err)
	}
}

// realServer serves the valuation model under the settings of the server's ConfigMap.
func (r *rig) realServer() (web *httptest.Server, stop func()) {
	r.Helper()
	standing := router.Standing{
		Models: []router.ModelConfig{{Name: "valuation", Versions: []router.VersionConfig{{Version: "v1", File: "valuation", Runtime: "builtin"}}}},
		Limits: batch.Limits{MaxBatchSize: 32, MaxQueueDelay: time.Millisecond, MaxQueueRows: 1024},
	}
	s, err := serving.New(serving.Config{
		Name: "valuation", Version: "v1", MaxBody: 1 << 20, MaxInflight: 64, RequestTimeout: time.Minute, DrainTimeout: time.Second,
		Named: func(string) bool { return true }, Open: openExample,
	}, serving.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	src := serving.Source{Name: "model_config.json", Every: 10 * time.Millisecond,
		Standing: func() (router.Standing, error) { return standing, nil },
		Read: func() ([]byte, error) {
			m, err := r.client.CoreV1().ConfigMaps("a").Get(ctx, "quotes"+ConfigSuffix, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			return []byte(m.Data[configKey]), nil
		}}
	web = httptest.NewUnstartedServer(s.Handler())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, web.Listener, nil, src) }()
	web.URL = "http://" + web.Listener.Addr().String()
	r.untilReady(web.URL)
	return web, func() { cancel(); <-done }
}

func openExample(_, name string, _ []byte) (runtime.Model, error) {
	data, err := examples.Export(name)
	if err != nil {
		return nil, err
	}
	return builtin.Open(data)
}

func (r *rig) untilReady(url string) {
	r.Helper()
	for range 6000 {
		res, err := http.Get(url + "/v2/health/ready")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Fatal("the server is not ready after a minute")
}

// TestSettingsAreTheServers: what the Keeper writes is what the server reads, key by key.
func TestSettingsAreTheServers(t *testing.T) {
	r := newRig(t, quotes())
	r.keep()
	m, err := r.client.CoreV1().ConfigMaps("a").Get(t.Context(), "quotes"+ConfigSuffix, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	standing := router.Standing{
		Models: []router.ModelConfig{{Name: "m", Versions: []router.VersionConfig{{Version: "v1", File: "f", Runtime: "auto"}}}},
		Limits: batch.Limits{MaxBatchSize: 99, MaxQueueDelay: time.Hour, MaxQueueRows: 100},
	}
	c, ignored, err := router.ParseConfig([]byte(m.Data[configKey]), standing)
	if err != nil || len(ignored) > 0 || c.Generation != 1 {
		t.Fatalf("generation %d, ignored %v, %v", c.Generation, ignored, err)
	}
	want := batch.Limits{MaxBatchSize: 1, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100}
	if got := c.Models[0].Versions[0].Limits; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for a, b := range map[string]string{
		metricLatency: serving.MetricLatency, metricRequests: serving.MetricRequests,
		metricGeneration: serving.MetricConfigGeneration, metricAge: serving.MetricConfigAge,
		metricRows: serving.MetricInferences, metricBatches: serving.MetricExecutions,
		metricBusy: serving.MetricBusy, metricCompute: serving.MetricComputeCPU,
	} {
		if a != b {
			t.Errorf("the metric %s is called %s by the server", a, b)
		}
	}
}
