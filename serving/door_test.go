package serving

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const pair = `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}`

func TestKeys(t *testing.T) {
	keys := []string{"first", "second", ""}
	r := serves(t, pairs, func(c *Config, _ *Server) { c.Keys = func() []string { return keys } })
	for _, tt := range []struct {
		header, value string
		code          int
	}{
		{"X-Other", "first", 401}, {"X-Api-Key", "", 401}, {"X-Api-Key", "wrong", 401}, {"X-Api-Key", "first ", 200}, // a header's value has no spaces around it
		{"X-Api-Key", "second", 200}, {"Authorization", "Bearer first", 200}, {"Authorization", "bearer second", 200},
		{"Authorization", "Basic first", 401}, {"Authorization", "first", 401}, {"Authorization", "Bearer", 401}, {"Authorization", "Bearer firs", 401},
	} {
		for _, path := range []string{"POST /v2/models/m/infer", "POST /v1/models/m:predict", "POST /predict", "GET /v2", "GET /v2/models/m", "GET /v2/models/m/stats",
			"GET /v2/models/m/config", "GET /v2/models/m/curve", "GET /v1/models", "POST /v2/repository/index"} {
			method, path, _ := strings.Cut(path, " ")
			body := map[string]string{"/predict": `{"instances":[[1,2]]}`, "/v1/models/m:predict": `{"instances":[[1,2]]}`, "/v2/models/m/infer": pair}[path]
			got := r.does(method, path, body, tt.header, tt.value)
			if got.code != tt.code || (got.code == 401) != (got.header.Get("WWW-Authenticate") == "Bearer") {
				t.Errorf("%s %s with %s %q: %d %s", method, path, tt.header, tt.value, got.code, got.body)
			}
		}
	}
	// A token for somebody else, a gateway perhaps, hides no key; nor the other way round.
	for _, tt := range [][3]string{{"Bearer other", "first", "200"}, {"Bearer first", "other", "200"}, {"Bearer other", "another", "401"}, {"Basic first", "second", "200"}} {
		if got := r.does("GET", "/v2", "", "Authorization", tt[0], "X-Api-Key", tt[1]); fmt.Sprint(got.code) != tt[2] {
			t.Errorf("%s and the key %s: %d, want %s", tt[0], tt[1], got.code, tt[2])
		}
	}
	for _, path := range []string{"/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v1/models/m", "/metrics"} {
		if got := r.does("GET", path, ""); got.code != 200 {
			t.Errorf("%s without a key: %d", path, got.code)
		}
	}
	if got := r.does("POST", "/drain", ""); got.code != 401 {
		t.Errorf("drain without the key: %d", got.code)
	}
}

// TestTraceparent has the examples of https://www.w3.org/TR/trace-context/ and their faults.
func TestTraceparent(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for header, want := range map[string]string{
		"00-" + id + "-" + span + "-01":                         id + " true",
		"00-" + id + "-" + span + "-00":                         id + " false",
		"00-" + id + "-" + span + "-03":                         id + " true",
		"00-" + id + "-" + span + "-02":                         id + " false",
		"cc-" + id + "-" + span + "-01-what-the-future-will-be": id + " true",
		"cc-" + id + "-" + span + "-01":                         id + " true",
		"00-" + id + "-" + span + "-01-more":                    " false",
		"ff-" + id + "-" + span + "-01":                         " false",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":    " false",
		"00-" + id + "-0000000000000000-01":                     " false",
		"00-" + strings.ToUpper(id) + "-" + span + "-01":        " false",
		"00-" + id[1:] + "-" + span + "-01":                     " false",
		"00-" + id + "-" + span + "-1":                          " false",
		"00-" + id + "-" + span:                                 " false",
		"0-" + id + "-" + span + "-01":                          " false",
		"00-" + id[1:] + "g-" + span + "-01":                    " false",
		"":                                                      " false",
		"---":                                                   " false",
	} {
		if got, sampled := traceOf(header); fmt.Sprint(got, " ", sampled) != want {
			t.Errorf("%q: %s %v, want %s", header, got, sampled, want)
		}
	}
}

// TestExemplar: the latency of a sampled request leads to its trace, where the scraper can read that.
func TestExemplar(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.LogRequests = true })
	const sampled, not = "11f92f3577b34da6a3ce929d0e0e4736", "22f92f3577b34da6a3ce929d0e0e4736"
	r.does("POST", "/v2/models/m/infer", pair, "Traceparent", "00-"+sampled+"-00f067aa0ba902b7-01")
	r.does("POST", "/v2/models/m/infer", pair, "Traceparent", "00-"+not+"-00f067aa0ba902b7-00")
	open := r.does("GET", "/metrics", "", "Accept", "application/openmetrics-text; version=1.0.0")
	if !strings.Contains(open.body, `# {trace_id="`+sampled+`"}`) || strings.Contains(open.body, not) {
		t.Errorf("exemplars of a sampled request and of one that is not: %v %v", strings.Contains(open.body, sampled), strings.Contains(open.body, not))
	}
	if plain := r.does("GET", "/metrics", ""); strings.Contains(plain.body, sampled) {
		t.Error("an exemplar where the format has none")
	}
	if log := r.log.String(); !strings.Contains(log, "trace_id="+sampled) || !strings.Contains(log, "trace_id="+not) || !strings.Contains(log, "rows=1 code=200") {
		t.Errorf("the log has not both requests:\n%s", log)
	}
}

// TestLogHasNoValues: neither good nor bad requests leave what is in them in the log.
func TestLogHasNoValues(t *testing.T) {
	r := serves(t, `{"models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,fail=31337"}]}]}`, func(c *Config, _ *Server) { c.LogRequests = true })
	for _, body := range []string{infer("[1,1]", "FP32", "[31338]"), infer("[1,1]", "FP32", "[31338,31339]"), infer("[1,1]", "INT8", "[31338]"), `{"inputs":31338}`} {
		r.does("POST", "/v2/models/m/infer", body)
	}
	if log := r.log.String(); strings.Contains(log, "31338") || strings.Contains(log, "31339") || !strings.Contains(log, "code=400") || !strings.Contains(log, "code=200") {
		t.Errorf("the log:\n%s", log)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody = 1000 })
	for _, tt := range []struct {
		method, path, body string
		headers            []string
		code               int
		header, value      string
	}{
		{"PUT", "/v2/models/m/infer", "", nil, 405, "Allow", "POST"},
		{"DELETE", "/v2/models/m", "", nil, 405, "Allow", "GET"},
		{"GET", "/drain", "", nil, 405, "Allow", "POST"},
		{"PUT", "/v1/models/m", "", nil, 405, "Allow", "GET, POST"},
		{"GET", "/", "", nil, 404, "Content-Type", "application/json"},
		{"POST", "/v2/models/m/infer", strings.Repeat(" ", 1001), nil, 413, "Content-Type", "application/json"},
		{"POST", "/v2/models/m/infer", pair, []string{"Content-Encoding", "gzip"}, 415, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"Content-Encoding", "identity"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Priority", "interactive"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Priority", "3"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Priority", "at once"}, 400, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Request-Timeout", "5s"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Request-Timeout", "5"}, 400, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Request-Timeout", "-5s"}, 400, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Request-Timeout", "1ns"}, 429, "Retry-After", "1"},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Envoy-Expected-Rq-Timeout-Ms", "5000"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", pair, []string{"X-Envoy-Expected-Rq-Timeout-Ms", "soon"}, 200, "", ""},
		{"POST", "/v2/models/m/infer", `{"parameters":{"priority":"none"},` + pair[1:], nil, 400, "", ""},
		{"POST", "/v2/models/m/infer", `{"parameters":{"priority":1,"timeout":5000000},` + pair[1:], nil, 200, "", ""},
		{"POST", "/v2/models/m/infer", `{"parameters":{"timeout":1},` + pair[1:], nil, 429, "Retry-After", "1"},
	} {
		got := r.does(tt.method, tt.path, tt.body, tt.headers...)
		if got.code != tt.code || tt.header != "" && got.header.Get(tt.header) != tt.value {
			t.Errorf("%s %s %v: %d %s %v, want %d %s %s", tt.method, tt.path, tt.headers, got.code, got.body, got.header, tt.code, tt.header, tt.value)
		}
	}
	r.shows(`modelserver_requests_total{code="413",model="m",version="v1"} 1`)
	if strings.Contains(metricsOf(r.s), `code="405"`) {
		t.Error("a wrong method is counted as an inference request")
	}
	// 1 byte too much, of a length that nobody said.
	req := httptest.NewRequest("POST", r.url+"/v2/models/m/infer", io.MultiReader(strings.NewReader(strings.Repeat(" ", 1001))))
	req.RequestURI, req.ContentLength = "", -1
	if res, err := r.transport.RoundTrip(req); err != nil || res.StatusCode != 413 {
		t.Errorf("a body that is too large: %v %v", res, err)
	}
}

// TestSlowClients: who sends a header or a body drop by drop is cut, and keeps no place.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(_ *Config, s *Server) {
		if s != nil {
			s.patience.header, s.patience.body = 500*time.Millisecond, time.Second
		}
	})
	for name, tt := range map[string]struct{ sends, want string }{
		"header": {"POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nX-Slow: ", ""},
		"body":   {"POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 1000\r\n\r\n{", "HTTP/1.1 408 "},
		"h2c":    {"PRI * HTTP/2.0\r\n", ""},
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, tt.sends)
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		got, err := io.ReadAll(bufio.NewReader(c))
		if err != nil || !strings.HasPrefix(string(got), tt.want) {
			t.Errorf("%s: %q %v, want %q and the end of the connection", name, got, err, tt.want)
		}
	}
	r.shows(`modelserver_inflight_requests{model="m",version="v1"} 0`, `modelserver_requests_total{code="408",model="m",version="v1"} 1`)
}

// TestLongRequest: the time for the body has nothing to do with the time for the answer.
func TestLongRequest(t *testing.T) {
	t.Parallel()
	r := serves(t, `{"models": [{"name": "m", "batching": "static", "max_delay": "800ms", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3"}]}]}`, func(_ *Config, s *Server) {
		if s != nil {
			s.patience.body = 500 * time.Millisecond
		}
	})
	for range 2 { // the second on the same connection
		r.is("a request that waits longer than a body may take", r.does("POST", "/v2/models/m/infer", pair), 200, "[5,6,7]")
	}
}

// TestSLO: it holds for requests that say nothing, whatever the server's own patience is, and what would be
// later is refused.
func TestSLO(t *testing.T) {
	r := serves(t, `{"slo": "750ms", "batch_size": 1, "instances": 1, "models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:300ms+0s,in=2,out=3"}]}]}`)
	codes := make(chan int)
	for range 8 {
		go func() {
			got, err := r.tries("POST", "/v2/models/m/infer", pair)
			if err == nil && got.code == 429 && (got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "too late")) {
				err = fmt.Errorf("refused with %v %s", got.header, got.body)
			}
			if err != nil {
				t.Error(err)
			}
			codes <- got.code
		}()
	}
	count := map[int]int{}
	for range 8 {
		count[<-codes]++
	}
	// 300 ms each and 750 ms: of 8 at once the first two can be in time.
	if count[200] == 0 || count[429] < 5 || count[200]+count[429]+count[503] != 8 {
		t.Errorf("answers %v", count)
	}
	r.shows(fmt.Sprintf(`modelserver_shed_total{model="m",reason="too-late",version="v1"} %d`, count[429]), `modelserver_slo_seconds{model="m",version="v1"} 0.75`)
	// What is left is of the SLO's time, not of the 10 s that the server would bear with a request.
	r.shows(fmt.Sprintf(`modelserver_slack_seconds_count{model="m",version="v1"} %d`, count[200]),
		fmt.Sprintf(`modelserver_slack_seconds_bucket{model="m",version="v1",le="0.5"} %d`, count[200]))
}

// TestPoisonedRequest: one that the model fails at, or panics at, fails alone, though it shares batches.
func TestPoisonedRequest(t *testing.T) {
	r := serves(t, `{"batch_size": 16, "batching": "static", "max_delay": "20ms", "models": [
	  {"name": "fails", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,fail=13"}]}, {"name": "panics", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,panic=13"}]}]}`)
	for _, model := range []string{"fails", "panics"} {
		faults := make(chan error)
		for i := range 16 {
			go func() {
				got, err := r.tries("POST", "/v2/models/"+model+"/infer", infer("[1,1]", "FP32", fmt.Sprintf("[%d]", i)))
				code, want := 200, fmt.Sprintf("[%d]", i)
				if i == 13 {
					code, want = 500, "error"
				}
				if err == nil && (got.code != code || !strings.Contains(got.body, want)) {
					err = fmt.Errorf("%s: row %d: %d %s", model, i, got.code, got.body)
				}
				faults <- err
			}()
		}
		for range 16 {
			if err := <-faults; err != nil {
				t.Error(err)
			}
		}
		r.shows(fmt.Sprintf(`modelserver_requests_total{code="500",model=%q,version="v1"} 1`, model),
			fmt.Sprintf(`modelserver_inferences_total{model=%q,version="v1"} 15`, model))
	}
}

// TestPanics: what one request brings about costs the server nothing but that answer.
func TestPanics(t *testing.T) {
	r := serves(t, pairs)
	oh := route{method: "POST", path: "/oh", endpoint: EndpointInfer, infer: func(http.ResponseWriter, *http.Request, *asked) error { panic("oh") }}
	w := httptest.NewRecorder()
	r.s.wrap([]route{oh}).ServeHTTP(w, httptest.NewRequest("POST", "/oh", nil))
	if w.Code != 500 || r.s.inside() != 0 {
		t.Errorf("%d %s, %d inside", w.Code, w.Body, r.s.inside())
	}
	oh = route{method: "GET", path: "/oh", handle: func(http.ResponseWriter, *http.Request) error { panic("oh") }}
	w = httptest.NewRecorder()
	r.s.wrap([]route{oh}).ServeHTTP(w, httptest.NewRequest("GET", "/oh", nil))
	if w.Code != 500 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	_, err := r.s.grpcInfer(t.Context(), func() ([]byte, error) { panic("oh") })
	if statusOf(err) != 500 || r.s.inside() != 0 {
		t.Errorf("gRPC: %v, %d inside", err, r.s.inside())
	}
	err = r.s.aside(aside{call: func(context.Context, []byte) ([]byte, error) { panic("oh") }})(nil, &oneMessage{ctx: t.Context()})
	if status.Code(err) != codes.Internal {
		t.Errorf("gRPC: %v", err)
	}
	if n := strings.Count(r.log.String(), "cause=oh"); n != 4 {
		t.Errorf("%d of 4 panics are in the log", n)
	}
	r.shows(`modelserver_requests_total{code="500",model="m",version="v1"} 2`)
}

// TestBodiesTogether: two bodies of 40 MB do not fit into 64 MiB; the second is told to come again.
func TestBodiesTogether(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody, c.MaxBodies = 64<<20, 64<<20 })
	var answer string
	for i := range 2 {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 40000000\r\n\r\n{")
		if i == 0 {
			r.shows(`modelserver_inflight_requests{model="m",version="v1"} 1`)
			continue
		}
		line := make([]byte, 12)
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatal(err)
		}
		answer = string(line)
	}
	if answer != "HTTP/1.1 429" {
		t.Errorf("the second body: %q, want 429", answer)
	}
}

// TestClaimedLength: who says that a large body comes gets no memory for it before it does.
func TestClaimedLength(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody, c.MaxBodies = 64<<20, 1<<30 })
	before := allocated()
	var clients []net.Conn
	for range 8 {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 7000000\r\n\r\n{")
		clients = append(clients, c)
	}
	r.shows(fmt.Sprintf(`modelserver_inflight_requests{model="m",version="v1"} %d`, len(clients)))
	if used := allocated() - before; used > 32<<20 {
		t.Errorf("8 empty bodies took %d MiB", used>>20)
	}
}
