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
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// listen serves m on loopback until the test ends and returns its address and a stop.
func listen(t *testing.T, cfg Config, open func() (runtime.Model, error)) (url string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln, open) }()
	stop = func() error { cancel(); return <-done }
	t.Cleanup(func() { cancel() })
	return "http://" + ln.Addr().String(), stop
}

func openDoubler() (runtime.Model, error) { return &doubler{}, nil }

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
		{"GET", "/v2", "", 200, `{"extensions":[],"name":"trimtab-modelserver","version":""}`},
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"HEAD", "/v2/health/live", "", 200, ``},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", model, "", 200, `{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,1]}],"name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]},{"name":"confidence","datatype":"FP32","shape":[-1,1]}],"platform":"trimtab_doubler","versions":["v1"]}`},
		{"GET", model + "/ready", "", 200, `{"name":"m","ready":true}`},
		{"GET", model + "/versions/v1/ready", "", 200, `{"name":"m","ready":true}`},
		{"GET", model + "/versions/v2", "", 404, `no version`},
		{"GET", "/v2/models/other", "", 404, `no model`},
		{"GET", "/nothing", "", 404, `nothing at`},
		{"GET", model + "/infer", "", 405, `use POST`},
		{"POST", "/v2/health/live", "", 405, `use GET`},

		{"POST", model + "/infer", infer("[2,1]", "FP32", "[1.5,2]"), 200, `{"model_name":"m","model_version":"v1","id":"7","outputs":[{"name":"y","shape":[2,1],"datatype":"FP32","data":[3,4]},{"name":"confidence","shape":[2,1],"datatype":"FP32","data":[0.5,0.5]}]}`},
		{"POST", model + "/versions/v1/infer", infer("[2,1]", "INT64", "[[1],[2]]"), 200, `"data":[2,4]`},
		{"POST", model + "/infer", infer("[9,1]", "FP64", "[1,2,3,4,5,6,7,8,9]"), 200, `"data":[2,4,6,8,10,12,14,16,18]`},
		{"POST", model + "/infer", `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"confidence"}]}`, 200, `"outputs":[{"name":"confidence","shape":[1,1],"datatype":"FP32","data":[0.5]}]}`},
		{"POST", model + "/infer", `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}],"outputs":[{"name":"z"}]}`, 400, `not one of the model's`},
		{"POST", model + "/infer", infer("[1,1]", "INT64", "[1.5]"), 400, `not integers`},
		{"POST", model + "/infer", infer("[1,1]", "BYTES", "[1]"), 400, `datatype`},
		{"POST", model + "/infer", infer("[2,1]", "FP32", "[1]"), 400, `shape [2 1] and 1 values`},
		{"POST", model + "/infer", infer("[2]", "FP32", "[1,2]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[-1,1]", "FP32", "[1]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[0,1]", "FP32", "[]"), 400, `the model takes [rows]`},
		{"POST", model + "/infer", infer("[9223372036854775807,1]", "FP32", "[1]"), 400, `and 1 values`},
		{"POST", model + "/infer", infer("[2,1]", "FP32", "[[1,2]]"), 400, `nested as [1 2]`},
		{"POST", model + "/infer", infer("[11,1]", "FP32", "[1,1,1,1,1,1,1,1,1,1,1]"), 413, `at most 10`},
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
	cfg := testConfig()
	cfg.Name = "property-valuation"
	url, _ := listen(t, cfg, func() (runtime.Model, error) { return runtime.Open("valuation") })
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
	cfg.RequestTimeout = 100 * time.Millisecond
	load := make(chan bool)
	url, _ := listen(t, cfg, func() (runtime.Model, error) { <-load; return &doubler{takes: 300 * time.Millisecond}, nil })
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
	first := make(chan int)
	go func() { code, _, _ := ask(t, "POST", url+"/predict", `{"x":1}`); first <- code }()
	waitForMetric(t, url, `modelserver_inflight_requests{model="m",version="v1"} 1`)
	code, _, header = ask(t, "POST", url+"/predict", `{"x":1}`)
	if code != 429 || header.Get("Retry-After") == "" {
		t.Errorf("a second request where one may be: %d, retry after %q", code, header.Get("Retry-After"))
	}
	if code := <-first; code != 503 { // 300 ms of work, 100 ms of time
		t.Errorf("a request out of time: %d, want 503", code)
	}
	for _, reason := range []string{"loading", "inflight", "timeout"} {
		waitForMetric(t, url, fmt.Sprintf(`modelserver_shed_total{model="m",reason=%q,version="v1"} 1`, reason))
	}
}

func TestClientGoesAway(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.MaxQueueDelay = 10 * time.Second
	cfg.RequestTimeout = 20 * time.Second
	url, _ := listen(t, cfg, openDoubler)
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

// waitForMetric waits up to 5 s for a line of /metrics.
func waitForMetric(t *testing.T, url, line string) {
	t.Helper()
	var body string
	for range 250 {
		_, body, _ = ask(t, "GET", url+"/metrics", "")
		if strings.Contains(body, line+"\n") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no line %s in\n%s", line, body)
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
	for _, want := range []string{"name", "version", "max batch size", "max body", "max inflight", "request timeout", "drain timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %s in: %v", want, err)
		}
	}
}

// TestDrain: readiness goes at once, requests are still answered and told to close, and one that
// runs when the listener closes is finished.
func TestDrain(t *testing.T) {
	cfg := testConfig()
	cfg.DrainDelay = 300 * time.Millisecond
	url, stop := listen(t, cfg, func() (runtime.Model, error) { return &doubler{takes: 400 * time.Millisecond}, nil })
	untilReady(t, url)
	if _, _, header := ask(t, "GET", url+"/v2", ""); header.Get("Connection") == "close" {
		t.Error("connections are closed before the drain")
	}
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	var code int
	for range 100 {
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
	res, err := http.Post(url+"/predict", "application/json", bytes.NewBufferString(`{"x":1}`)) // ends 400 ms on, after the delay
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
	_, stop := listen(t, testConfig(), func() (runtime.Model, error) { return runtime.Open("nothing") })
	if err := stop(); err == nil || !strings.Contains(err.Error(), "load model m") {
		t.Errorf("serve ended with %v", err)
	}
}
