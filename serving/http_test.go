package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/examples"
)

// doubler is a model of one value in and one out that takes a fixed time a batch.
type doubler struct {
	takes time.Duration
	fails error
	later *atomic.Int64 // nanoseconds that it takes more; nil: none
}

func (d doubler) Meta() runtime.Meta {
	one := func(name string) runtime.Spec { return runtime.Spec{Name: name, Type: runtime.FP32, Shape: []int{1}} }
	return runtime.Meta{Platform: "trimtab_doubler", Inputs: []runtime.Spec{one("x")}, Features: []string{"x"},
		Outputs: []runtime.Spec{one("y"), one(runtime.Confidence)}, Accuracy: 0.75, Measure: "r2"}
}

func (d doubler) Bytes() int64                      { return 8 }
func (d doubler) Session() (runtime.Session, error) { return d, nil }
func (d doubler) Close() error                      { return nil }

func (d doubler) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	time.Sleep(d.takes)
	if d.later != nil {
		time.Sleep(time.Duration(d.later.Load()))
	}
	y, sure := make([]float32, rows), make([]float32, rows)
	for i, v := range runtime.Values[float32](in[0].Data)[:rows] {
		y[i], sure[i] = 2*v, 0.5
	}
	shape := []int{rows, 1}
	return []runtime.Tensor{{Type: runtime.FP32, Shape: shape, Data: runtime.Data(y)}, {Type: runtime.FP32, Shape: shape, Data: runtime.Data(sure)}}, d.fails
}

func testConfig() Config {
	return Config{Name: "m", Version: "v1", MaxBody: 1 << 16, MaxInflight: 8, RequestTimeout: 10 * time.Second, DrainTimeout: 10 * time.Second}
}

// standing is one model under name and version with batches of 4 rows, and 10 that may wait.
func standing(cfg Config) router.Standing {
	return router.Standing{
		Models: []router.ModelConfig{{Name: cfg.Name, Versions: []router.VersionConfig{{Version: cfg.Version, File: "it", Runtime: "auto"}}}},
		Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 10},
	}
}

// listen serves what open gives on loopback until the test ends and returns its address and a stop.
func listen(t *testing.T, cfg Config, open func() (runtime.Model, error), change ...func(*router.Standing)) (url string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Open = func(string, string, []byte) (runtime.Model, error) { return open() }
	cfg.Named = func(string) bool { return true }
	s, err := New(cfg, NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	st := standing(cfg)
	for _, c := range change {
		c(&st)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	src := Source{Name: "flags", Standing: func() (router.Standing, error) { return st, nil }, Every: time.Second}
	go func() { done <- s.Serve(ctx, ln, nil, src) }()
	stop = func() error { cancel(); return <-done }
	t.Cleanup(func() { cancel() })
	return "http://" + ln.Addr().String(), stop
}

func openDoubler() (runtime.Model, error) { return doubler{}, nil }

func openExample(name string) func() (runtime.Model, error) {
	return func() (runtime.Model, error) {
		data, err := examples.Export(name)
		if err != nil {
			return nil, err
		}
		return builtin.Open(data)
	}
}

// ask sends one request and returns the status, the body and the header.
func ask(t *testing.T, method, url, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// untilReady waits for the model: long, for the race detector makes its training 20 times slower.
func untilReady(t *testing.T, url string) {
	t.Helper()
	for range 6000 {
		if code, _, _ := ask(t, "GET", url+"/v2/health/ready", ""); code == 200 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server is not ready after a minute")
}

func infer(shape, datatype, data string) string {
	return fmt.Sprintf(`{"id":"7","inputs":[{"name":"x","shape":%s,"datatype":%q,"data":%s}]}`, shape, datatype, data)
}

func TestProtocol(t *testing.T) {
	url, _ := listen(t, testConfig(), openDoubler)
	untilReady(t, url)
	const model = "/v2/models/m"
	tests := []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/v2", "", 200, `{"name":"trimtab-modelserver","version":"","extensions":["binary_tensor_data",`},
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"HEAD", "/v2/health/live", "", 200, ``},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", model, "", 200, `{"name":"m","versions":["v1"],"platform":"trimtab_doubler","inputs":[{"name":"x","datatype":"FP32","shape":[-1,1]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]},{"name":"confidence","datatype":"FP32","shape":[-1,1]}]}`},
		{"GET", model + "/ready", "", 200, `{"name":"m","ready":true}`},
		{"GET", model + "/versions/v1/ready", "", 200, `{"name":"m","ready":true}`},
		{"GET", model + "/versions/v2", "", 404, `no version`},
		{"GET", "/v2/models/other", "", 404, `no such model`},
		{"GET", "/nothing", "", 404, `nothing at`},
		{"GET", model + "/infer", "", 405, `use POST`},
		{"POST", "/v2/health/live", "", 405, `use GET`},

		{"POST", model + "/infer", infer("[2,1]", "FP32", "[1.5,2]"), 200, `{"model_name":"m","model_version":"v1","id":"7","outputs":[{"name":"y","shape":[2,1],"datatype":"FP32","data":[3,4]},{"name":"confidence","shape":[2,1],"datatype":"FP32","data":[0.5,0.5]}]}`},
		{"POST", model + "/versions/v1/infer", infer("[2,1]", "INT64", "[[1],[2]]"), 200, `"data":[2,4]`},
		{"POST", model + "/infer", infer("[9,1]", "FP64", "[1,2,3,4,5,6,7,8,9]"), 200, `"data":[2,4,6,8,10,12,14,16,18]`},
		{"POST", model + "/infer", `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"confidence"}]}`, 200, `"outputs":[{"name":"confidence","shape":[1,1],"datatype":"FP32","data":[0.5]}]}`},
		{"POST", model + "/infer", `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"z"}]}`, 400, `not one of the model's`},
		{"POST", model + "/infer", infer("[1,1]", "INT64", "[1.5]"), 400, `not an integer`},
		{"POST", model + "/infer", infer("[1,1]", "BYTES", "[1]"), 400, `datatype`},
		{"POST", model + "/infer", infer("[2,1]", "FP32", "[1]"), 400, `shape [2 1] and 1 values`},
		{"POST", model + "/infer", infer("[2]", "FP32", "[1,2]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[-1,1]", "FP32", "[1]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[0,1]", "FP32", "[]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[9223372036854775807,1]", "FP32", "[1]"), 400, `whole number of elements`},
		{"POST", model + "/infer", infer("[2,1]", "FP32", "[[1,2]]"), 400, `nested as [1 2]`},
		{"POST", model + "/infer", infer("[11,1]", "FP32", "[1,1,1,1,1,1,1,1,1,1,1]"), 413, `request has 11 rows`},
		{"POST", model + "/infer", `{"inputs":[]}`, 400, `0 inputs`},
		{"POST", model + "/infer", `{`, 400, `as JSON`},
		{"POST", model + "/infer", strings.Repeat(" ", 1<<16+1), 413, `larger than 65536`},

		{"POST", "/predict", `{"instances":[[1],[2]]}`, 200, `{"prediction":[2,4],"model_version":"v1","confidence":[0.5,0.5]}`},
		{"POST", "/predict", `{"x":21}`, 200, `{"prediction":42,"model_version":"v1","confidence":0.5}`},
		{"POST", "/predict", `{"y":1}`, 400, `\"y\" is not a feature; x is missing`},
		{"POST", "/predict", `{"x":null}`, 400, `x is not a number`},
		{"POST", "/predict", `{"instances":[[1,2]]}`, 400, `the model takes [rows]`},
		{"POST", "/predict", `{"instances":[]}`, 400, `the model takes [rows]`},
		{"POST", "/predict", `{"instances":3}`, 400, `not an array`},
		{"POST", "/predict", `[]`, 400, `as JSON`},
	}
	for _, tt := range tests {
		code, body, _ := ask(t, tt.method, url+tt.path, tt.body)
		if code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s %.60s: %d %s; want %d %s", tt.method, tt.path, tt.body, code, body, tt.code, tt.want)
		}
		var e struct{ Error string }
		if code >= 400 && (json.Unmarshal([]byte(body), &e) != nil || e.Error == "") {
			t.Errorf("%s %s: the body %q is not an error of the protocol", tt.method, tt.path, body)
		}
	}
}

func TestBuiltinModelOverHTTP(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Name = "property-valuation"
	url, _ := listen(t, cfg, openExample("valuation"))
	untilReady(t, url)
	_, near, _ := ask(t, "POST", url+"/predict", `{"area_m2":80,"rooms":3,"bathrooms":1,"age_years":20,"centre_km":2,"floor":3,"energy_class":3,"property_type":0}`)
	_, far, _ := ask(t, "POST", url+"/predict", `{"area_m2":80,"rooms":3,"bathrooms":1,"age_years":20,"centre_km":20,"floor":3,"energy_class":3,"property_type":0}`)
	var a, b struct{ Prediction, Confidence float64 }
	if json.Unmarshal([]byte(near), &a) != nil || json.Unmarshal([]byte(far), &b) != nil {
		t.Fatalf("answers %s and %s", near, far)
	}
	if !(a.Prediction > 1.5*b.Prediction && b.Prediction > 50_000 && a.Confidence > 0.5) { // the truth differs by 2.7
		t.Errorf("2 km out: %s; 20 km out: %s", near, far)
	}
}

func TestLoadingAndShedding(t *testing.T) {
	cfg := testConfig()
	cfg.MaxInflight = 1
	cfg.RequestTimeout = time.Second
	load, later := make(chan bool), new(atomic.Int64)
	url, _ := listen(t, cfg, func() (runtime.Model, error) { <-load; return doubler{later: later}, nil })
	for path, want := range map[string]int{"/v2/health/live": 200, "/v2/health/ready": 503, "/v2/models/m/ready": 503, "/v2/models/m": 503} {
		if code, body, _ := ask(t, "GET", url+path, ""); code != want {
			t.Errorf("%s while loading: %d %s, want %d", path, code, body, want)
		}
	}
	code, _, header := ask(t, "POST", url+"/predict", `{"x":1}`)
	if code != 503 || header.Get("Retry-After") == "" {
		t.Errorf("a request while loading: %d, retry after %q", code, header.Get("Retry-After"))
	}
	close(load)
	untilReady(t, url)
	later.Store(int64(2 * time.Second)) // the server has learnt that it is quick, and takes what it cannot do
	first := make(chan int)
	go func() { code, _, _ := ask(t, "POST", url+"/predict", `{"x":1}`); first <- code }()
	waitForMetric(t, url, `modelserver_inflight_requests{model="m",version="v1"} 1`)
	code, _, header = ask(t, "POST", url+"/predict", `{"x":1}`)
	if code != 429 || header.Get("Retry-After") == "" {
		t.Errorf("a second request where one may be: %d, retry after %q", code, header.Get("Retry-After"))
	}
	if code := <-first; code != 503 { // 2 s of work, 1 s of time
		t.Errorf("a request out of time: %d, want 503", code)
	}
	for _, reason := range []string{"loading", "inflight", "timeout"} {
		waitForMetric(t, url, fmt.Sprintf(`modelserver_shed_total{model="m",reason=%q,version="v1"} 1`, reason))
	}
}

func TestClientGoesAway(t *testing.T) {
	cfg := testConfig()
	cfg.RequestTimeout = 20 * time.Second
	url, _ := listen(t, cfg, openDoubler, func(st *router.Standing) { st.Limits.MaxQueueDelay, st.Batching = 10*time.Second, router.Static })
	untilReady(t, url)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "POST", url+"/predict", strings.NewReader(`{"x":1}`))
	gone := make(chan error)
	go func() { _, err := http.DefaultClient.Do(req); gone <- err }()
	waitForMetric(t, url, `modelserver_queue_rows{model="m",version="v1"} 1`)
	cancel()
	<-gone
	waitForMetric(t, url, `modelserver_queue_rows{model="m",version="v1"} 0`)
	waitForMetric(t, url, `modelserver_shed_total{model="m",reason="cancelled",version="v1"} 1`)
	waitForMetric(t, url, `modelserver_executions_total{model="m",version="v1"} 0`)
}

// waitForMetric waits up to half a minute for a line of /metrics.
func waitForMetric(t *testing.T, url, line string) {
	t.Helper()
	var body string
	for range 1500 {
		_, body, _ = ask(t, "GET", url+"/metrics", "")
		if strings.Contains(body, line+"\n") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	name, _, _ := strings.Cut(line, "{")
	var near []string
	for l := range strings.Lines(body) {
		if strings.HasPrefix(l, name) {
			near = append(near, l)
		}
	}
	t.Fatalf("no line %s in\n%s", line, strings.Join(near, ""))
}

func TestMetrics(t *testing.T) {
	url, _ := listen(t, testConfig(), openDoubler)
	untilReady(t, url)
	ask(t, "POST", url+"/v2/models/m/infer", infer("[9,1]", "FP32", "[1,2,3,4,5,6,7,8,9]")) // 4 + 4 + 1 rows
	ask(t, "POST", url+"/predict", `{"x":1}`)
	ask(t, "POST", url+"/predict", `{"y":1}`)
	for _, line := range []string{
		`model_prediction_latency_seconds_count{endpoint="infer",model_version="v1"} 1`,
		`model_prediction_latency_seconds_count{endpoint="predict",model_version="v1"} 1`,
		`model_prediction_accuracy{model_version="v1"} 0.75`,
		`modelserver_requests_total{code="200",model="m",version="v1"} 2`,
		`modelserver_requests_total{code="400",model="m",version="v1"} 1`,
		`modelserver_inferences_total{model="m",version="v1"} 10`,
		`modelserver_executions_total{model="m",version="v1"} 4`,
		`modelserver_batch_rows_bucket{model="m",version="v1",le="1"} 2`,
		`modelserver_batch_rows_sum{model="m",version="v1"} 10`,
		`modelserver_compute_seconds_count{model="m",version="v1"} 4`,
		`modelserver_queue_rows{model="m",version="v1"} 0`,
		`modelserver_inflight_requests{model="m",version="v1"} 0`,
		`modelserver_shed_total{model="m",reason="queue-full",version="v1"} 0`,
	} {
		waitForMetric(t, url, line)
	}
	if _, body, _ := ask(t, "GET", url+"/metrics", ""); !strings.Contains(body, "process_cpu_seconds_total ") || !strings.Contains(body, "go_goroutines ") {
		t.Error("the process and go collectors are missing")
	}
}

func TestConfigFaultsAllAtOnce(t *testing.T) {
	_, err := New(Config{}, NewRegistry(), slog.New(slog.DiscardHandler))
	for _, want := range []string{"name", "version", "max body", "max inflight", "request timeout", "drain timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %s in: %v", want, err)
		}
	}
}

// TestDrain: readiness goes at once, requests are still answered and told to close, and one that
// runs when the listener closes is finished.
func TestDrain(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.DrainDelay = time.Second
	later := new(atomic.Int64)
	url, stop := listen(t, cfg, func() (runtime.Model, error) { return doubler{later: later}, nil })
	untilReady(t, url)
	later.Store(int64(1200 * time.Millisecond))
	if _, _, header := ask(t, "GET", url+"/v2", ""); header.Get("Connection") == "close" {
		t.Error("connections are closed before the drain")
	}
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	var code int
	for range 900 {
		if code, _, _ = ask(t, "GET", url+"/v2/health/ready", ""); code == 503 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if code != 503 {
		t.Fatalf("ready while draining: %d", code)
	}
	if quick, err := http.Get(url + "/v2"); err != nil || quick.StatusCode != 200 || !quick.Close {
		t.Errorf("a quick request while draining: %+v, %v; want 200 and a closed connection", quick, err)
	}
	res, err := http.Post(url+"/predict", "application/json", bytes.NewBufferString(`{"x":1}`)) // ends 1.2 s on, after the delay
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || !res.Close {
		t.Errorf("a request while draining: %d, close %v; want 200, true", res.StatusCode, res.Close)
	}
	if err := <-stopped; err != nil {
		t.Errorf("drain: %v", err)
	}
	if _, err := http.Get(url + "/v2"); err == nil {
		t.Error("the listener is open after the drain")
	}
}

func TestModelThatDoesNotLoad(t *testing.T) {
	url, stop := listen(t, testConfig(), func() (runtime.Model, error) { return nil, fmt.Errorf("no such weights") })
	for range 1000 { // until it has given up, by itself
		res, err := http.Get(url + "/v2/health/live")
		if err != nil {
			break
		}
		res.Body.Close()
		time.Sleep(10 * time.Millisecond)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "no such weights") {
		t.Errorf("serve ended with %v", err)
	}
}
