package serving

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// pairs is a config of one model of two values in and three out: y[j] = x[0] + 2·x[1] + j.
const pairs = `{"models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3"}]}]}`

func TestBinaryTensors(t *testing.T) {
	r := serves(t, pairs)
	const plain = `{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}`
	const raw = `{"name":"x","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}}`
	const head = `{"model_name":"m","model_version":"v1","outputs":[{"name":"y","shape":[2,3],"datatype":"FP32"`
	// Row 1: 1+4 = 5, 6, 7; row 2: 3+8 = 11, 12, 13.
	values, bytes := floats(1, 2, 3, 4), string(floats(5, 6, 7, 11, 12, 13))
	inJSON := head + `,"data":[5,6,7,11,12,13]}]}`
	inBytes := head + `,"parameters":{"binary_data_size":24}}]}`
	for _, tt := range []struct{ name, in, out, data, want, tail string }{
		{"json, json", plain, ``, "", inJSON, ""},
		{"binary in", raw, ``, string(values), inJSON, ""},
		{"one output binary", plain, `,"outputs":[{"name":"y","parameters":{"binary_data":true}}]`, "", inBytes, bytes},
		{"all binary", raw, `,"parameters":{"binary_data_output":true}`, string(values), inBytes, bytes},
		{"all binary but this", raw, `,"parameters":{"binary_data_output":true},"outputs":[{"name":"y","parameters":{"binary_data":false}}]`, string(values), inJSON, ""},
	} {
		header := `{"inputs":[` + tt.in + `]` + tt.out + `}`
		var headers []string
		if tt.data != "" {
			headers = []string{"Inference-Header-Content-Length", strconv.Itoa(len(header)), "Content-Type", "application/octet-stream"}
		}
		got := r.does("POST", "/v2/models/m/infer", header+tt.data, headers...)
		if got.code != 200 || got.body != tt.want+tt.tail {
			t.Errorf("%s: %d %q, want %q", tt.name, got.code, got.body, tt.want+tt.tail)
		}
		kind, length := "application/json", ""
		if tt.tail != "" {
			kind, length = "application/octet-stream", strconv.Itoa(len(tt.want))
		}
		if got.header.Get("Content-Type") != kind || got.header.Get("Inference-Header-Content-Length") != length ||
			got.header.Get("Content-Length") != strconv.Itoa(len(tt.want+tt.tail)) {
			t.Errorf("%s: header %v, want %s and %q", tt.name, got.header, kind, length)
		}
	}
	for length, want := range map[string]string{"x": "write a number of bytes", "-1": "write a number of bytes", "99999": "99999"} {
		r.is("header length "+length, r.does("POST", "/v2/models/m/infer", `{}`, "Inference-Header-Content-Length", length), 400, want)
	}
	// A header length of 0: the body is the row, nothing else.
	r.is("raw", r.does("POST", "/v2/models/m/infer", string(floats(1, 2)), "Inference-Header-Content-Length", "0"), 200, "model_name")
}

func TestV1(t *testing.T) {
	r := serves(t, pairs)
	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/v1/models", "", 200, `{"models":["m"]}`},
		{"GET", "/v1/models/m", "", 200, `{"name":"m","ready":true}`},
		{"GET", "/v1/models/n", "", 404, "no such model"},
		{"POST", "/v1/models/m:predict", `{"instances":[[1,2],[3,4]]}`, 200, `{"predictions":[[5,6,7],[11,12,13]]}`},
		{"POST", "/v1/models/m:predict", `{"inputs":[[1,2]]}`, 200, `{"predictions":[[5,6,7]]}`},
		{"POST", "/v1/models/m:predict", `{"instances":[{"x":[1,2]}]}`, 200, `{"predictions":[[5,6,7]]}`},
		{"POST", "/v1/models/n:predict", `{"instances":[[1,2]]}`, 404, "no such model"},
		{"POST", "/v1/models/m:predict", `{}`, 400, "instances"},
		{"POST", "/v1/models/m:explain", `{}`, 404, ":predict"},
	} {
		r.is(tt.method+" "+tt.path, r.does(tt.method, tt.path, tt.body), tt.code, tt.want)
	}
}

// several is a config with all that a request can be led by. Each model answers with what it was asked: the
// name and the version in the answer say which one it was.
const several = `{
  "feature_columns": ["x"],
  "models": [
    {"name": "small", "versions": [{"version": "1", "file": "sim:linear:0s+0s"}]},
    {"name": "large", "versions": [
      {"version": "v1", "file": "sim:linear:0s+0s,in=1,out=1", "weight": 3},
      {"version": "v2", "file": "sim:linear:0s+1us", "weight": 1}]}
  ],
  "routes": [
    {"model": "appraise", "default": true, "field": "propertyType", "is": {"commercial": "large/v1", "residential": "small"}, "otherwise": "large/v2"},
    {"model": "pinned", "header": "X-Model-Version", "otherwise": "large"}
  ],
  "chains": [{"name": "line", "steps": ["small", "large/v1", "large/v2"], "slo": "5s"}]
}`

func TestRoutes(t *testing.T) {
	r := serves(t, several)
	for _, tt := range []struct {
		path, body, header string
		code               int
		want               string
	}{
		{"/predict", `{"propertyType":"commercial","x":2}`, "", 200, `"model_version":"v1"`},
		{"/predict", `{"x":2,"propertyType":"residential"}`, "", 200, `"model_version":"1"`},
		{"/predict", `{"propertyType":"castle","x":2}`, "", 200, `"model_version":"v2"`},
		{"/predict", `{"x":2}`, "", 200, `{"prediction":2,"model_version":"v2"`},
		{"/predict", `{"propertyType":"castle","z":2}`, "", 400, `\"z\" is not a feature`},
		{"/v2/models/appraise/infer", `{"propertyType":"residential",` + infer("[1,1]", "FP32", "[2]")[1:], "", 200, `"model_name":"small"`},
		{"/v2/models/pinned/infer", infer("[1,1]", "FP32", "[2]"), "v2", 200, `"model_version":"v2"`},
		{"/v2/models/pinned/infer", infer("[1,1]", "FP32", "[2]"), "v1", 200, `"model_version":"v1"`},
		{"/v2/models/pinned/infer", infer("[1,1]", "FP32", "[2]"), "v9", 404, `no such version`},
		{"/v2/models/large/versions/v1/infer", infer("[1,1]", "FP32", "[2]"), "", 200, `"model_version":"v1"`},
		{"/v2/models/large/versions/v3/infer", infer("[1,1]", "FP32", "[2]"), "", 404, `no such version`},
		{"/v2/models/line/infer", infer("[2,1]", "FP32", "[2,3]"), "", 200, `"model_name":"line","model_version":"1+v1+v2","id":"7","outputs":[{"name":"y","shape":[2,1],"datatype":"FP32","data":[2,3]}]`},
	} {
		r.is(tt.path+" "+tt.body, r.does("POST", tt.path, tt.body, "X-Model-Version", tt.header), tt.code, tt.want)
	}
	r.is("metadata of a chain", r.does("GET", "/v2/models/line", ""), 200, `"name":"line"`)
	r.shows(`modelserver_requests_total{code="200",model="line",version="1+v1+v2"} 1`,
		`modelserver_requests_total{code="200",model="small",version="1"} 2`)
}

// TestChainDeadline: three models of 30 ms have one deadline between them.
func TestChainDeadline(t *testing.T) {
	t.Parallel()
	step := func(name string) string {
		return fmt.Sprintf(`{"name": %q, "versions": [{"version": "1", "file": "sim:linear:30ms+0s"}]}`, name)
	}
	r := serves(t, `{"max_delay": "0s", "models": [`+step("pre")+`,`+step("model")+`,`+step("post")+`], "chains": [{"name": "line", "default": true, "steps": ["pre", "model", "post"]}]}`)
	for timeout, code := range map[string]int{"": 200, "5s": 200, "45ms": 429, "1ms": 429} {
		got := r.does("POST", "/v2/models/line/infer", infer("[1,1]", "FP32", "[2]"), "X-Request-Timeout", timeout)
		if got.code != code {
			t.Errorf("timeout %s: %d %s, want %d", timeout, got.code, got.body, code)
		}
	}
	r.is("one of its models alone", r.does("POST", "/v2/models/post/infer", infer("[1,1]", "FP32", "[2]"), "X-Request-Timeout", "1s"), 200, `"model_name":"post"`)
	r.shows(`modelserver_shed_total{model="line",reason="too-late",version="1+1+1"} 2`)
}

// TestWeights: of 40 requests without a version 30 go to the one with 3 shares of 4; requests of one key stay
// together.
func TestWeights(t *testing.T) {
	r := serves(t, several)
	by := map[string]int{}
	version := func(headers ...string) string {
		got := r.does("POST", "/v2/models/large/infer", infer("[1,1]", "FP32", "[2]"), headers...)
		var answer struct {
			Version string `json:"model_version"`
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
			t.Fatal(err, got.body)
		}
		return answer.Version
	}
	for range 40 {
		by[version()]++
	}
	if by["v1"] != 30 || by["v2"] != 10 {
		t.Errorf("requests by version: %v, want 30 and 10", by)
	}
	keyed := map[string]bool{}
	for i := range 40 {
		key := fmt.Sprint("customer-", i%8)
		keyed[key+" "+version("X-Routing-Key", key)] = true
	}
	if len(keyed) != 8 {
		t.Errorf("8 keys had %d versions: %v", len(keyed), keyed)
	}
}

// TestTritonAndCurve: what planners and perf_analyzer read.
func TestTritonAndCurve(t *testing.T) {
	r := serves(t, several)
	r.does("POST", "/v2/models/large/versions/v2/infer", infer("[3,1]", "FP32", "[1,2,3]"))
	var config struct {
		Name     string
		MaxBatch int `json:"max_batch_size"`
		Input    []struct {
			Name string
			Dims []int
		}
	}
	parse(t, r.does("GET", "/v2/models/large/config", "").body, &config)
	if config.Name != "large" || config.MaxBatch != 4 || len(config.Input) != 1 || config.Input[0].Name != "x" || len(config.Input[0].Dims) != 1 {
		t.Errorf("config %+v", config)
	}
	var stats struct {
		Models []struct {
			Name, Version string
			Inferences    int                                       `json:"inference_count"`
			Executions    int                                       `json:"execution_count"`
			Stats         struct{ Success struct{ Count, NS int } } `json:"inference_stats"`
		} `json:"model_stats"`
	}
	for path, want := range map[string]string{
		"/v2/models/stats":                    "small 1 0 0, large v1 0 0, large v2 3 1, ",
		"/v2/models/large/stats":              "large v1 0 0, large v2 3 1, ",
		"/v2/models/large/versions/v2/stats":  "large v2 3 1, ",
		"/v2/models/small/versions/1/stats":   "small 1 0 0, ",
		"/v2/models/large/versions/v2/config": "",
	} {
		stats.Models = nil
		parse(t, r.does("GET", path, "").body, &stats)
		got := ""
		for _, m := range stats.Models {
			got += fmt.Sprintf("%s %s %d %d, ", m.Name, m.Version, m.Inferences, m.Stats.Success.Count)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	var curve curveOf
	parse(t, r.does("GET", "/v2/models/large/curve", "").body, &curve)
	if curve.Version != "v2" || curve.Limit != 4 || curve.Instances < 1 || !curve.Curve.Known() || curve.Age < 0 || curve.Delay != 0.005 || curve.Batcher.Last == "" {
		t.Errorf("curve of the newest version: %+v", curve)
	}
	r.is("index", r.does("POST", "/v2/repository/index", ""), 200, `[{"name":"appraise","version":"","state":"READY","reason":"alias"},{"name":"large","version":"v1","state":"READY","reason":""},{"name":"large","version":"v2"`)
	r.is("index, bad", r.does("POST", "/v2/repository/index", "{"), 400, "error")
	for _, what := range []string{"config", "stats", "curve"} {
		r.is(what+" of a chain", r.does("GET", "/v2/models/line/"+what, ""), 404, "no model of its own")
		r.is(what+" of nothing", r.does("GET", "/v2/models/nothing/"+what, ""), 404, "no such model")
	}
}

func parse(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// TestHTTP2 asks without TLS and without an upgrade, many requests at once on one connection.
func TestHTTP2(t *testing.T) {
	r := serves(t, pairs)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: p}
	defer transport.CloseIdleConnections()
	faults := make(chan error)
	for range 50 {
		go func() {
			res, err := (&http.Client{Transport: transport}).Post(r.url+"/v2/models/m/infer", "application/json",
				strings.NewReader(`{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}`))
			if err != nil {
				faults <- err
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if res.ProtoMajor != 2 || res.StatusCode != 200 || !strings.Contains(string(body), "[5,6,7]") {
				err = fmt.Errorf("%s %d %s %w", res.Proto, res.StatusCode, body, err)
			}
			faults <- err
		}()
	}
	for range 50 {
		if err := <-faults; err != nil {
			t.Error(err)
		}
	}
	r.shows(`modelserver_inferences_total{model="m",version="v1"} 50`)
}
