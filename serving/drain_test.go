package serving

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"trimtab.dev/trimtab/serving/runtime"
)

// slowPairs takes 100 ms for a batch, which waits until it is told to go: requests are inside for as long as a test
// looks.
const slowPairs = `{"batch_size": 8, "models": [{"name": "m", "batching": "static", "max_delay": "30s", "versions": [{"version": "v1", "file": "sim:linear:100ms+0s,in=2,out=3"}]}]}`

// TestDrainLosesNobody: requests on all four ways in are under way when the server is told to stop.
func TestDrainLosesNobody(t *testing.T) {
	t.Parallel()
	r := serves(t, slowPairs)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{Protocols: p}
	defer h2.CloseIdleConnections()
	in := wire(t, "ModelInferRequest", typedPair)
	overGRPC := func(c *grpc.ClientConn) func() error {
		return func() error {
			_, code, text := invoke(context.Background(), c, "ModelInfer", in)
			if code != codes.OK {
				return errors.New(text)
			}
			return nil
		}
	}
	overHTTP := func(transport http.RoundTripper) func() error {
		return func() error {
			req, _ := http.NewRequest("POST", r.url+"/v2/models/m/infer", strings.NewReader(pair))
			res, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if res.StatusCode != 200 {
				return errors.New(res.Status)
			}
			return nil
		}
	}
	ways := map[string]func() error{"HTTP/1.1": overHTTP(r.transport), "HTTP/2": overHTTP(h2), "gRPC, shared": overGRPC(dial(t, r.url)), "gRPC, own": overGRPC(dial(t, r.own))}
	var all sync.WaitGroup
	for name, ask := range ways {
		all.Go(func() {
			if err := ask(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	waitForMetric(t, r.url, `modelserver_inflight_requests{model="m",version="v1"} 4`)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
	for name, ask := range ways {
		if ask() == nil {
			t.Errorf("%s: answered after the end", name)
		}
	}
}

// TestDrainNow: POST /drain takes the server out of service and answers when nobody is inside; others are
// still served. SIGTERM does not wait its delay again.
func TestDrainNow(t *testing.T) {
	t.Parallel()
	r := serves(t, slowPairs, func(c *Config, _ *Server) { c.DrainDelay = time.Minute })
	first := make(chan reply)
	go func() {
		got, err := r.tries("POST", "/v2/models/m/infer", pair)
		if err != nil {
			t.Error(err)
		}
		first <- got
	}()
	waitForMetric(t, r.url, `modelserver_inflight_requests{model="m",version="v1"} 1`)
	got := r.does("POST", "/drain", "")
	var told struct {
		Draining bool
		Inflight int
	}
	parse(t, got.body, &told)
	if got.code != 200 || !told.Draining || told.Inflight != 0 {
		t.Errorf("drain: %d %s", got.code, got.body)
	}
	select {
	case got := <-first:
		r.is("the request that was inside", got, 200, "[5,6,7]")
	case <-time.After(30 * time.Second):
		t.Fatal("drain answered with a request inside")
	}
	if got := r.does("GET", "/v2/health/ready", ""); got.code != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "draining") {
		t.Errorf("ready: %+v", got)
	}
	r.is("live", r.does("GET", "/v2/health/live", ""), 200, "true")
	r.is("a request after the drain", r.does("POST", "/v2/models/m/infer", pair), 200, "[5,6,7]")
	r.s.draining.Store(&drainOrder{since: time.Now().Add(-time.Minute)})
	told.Draining = false
	parse(t, r.does("POST", "/drain", "").body, &told)
	again := time.Now()
	if err := r.stop(); err != nil || !told.Draining {
		t.Error(err, told)
	}
	if took := time.Since(again); took > 30*time.Second {
		t.Errorf("the end took %s: the delay was waited for twice", took)
	}
}

// TestWhoMayDrain: who is on this machine, or has the key.
func TestWhoMayDrain(t *testing.T) {
	for _, tt := range []struct {
		from, proxy, key string
		keys             []string
		code             int
	}{
		{"127.0.0.1:9", "", "", nil, 200}, {"[::1]:9", "", "", nil, 200},
		{"10.0.0.1:9", "", "", nil, 403}, {"nonsense", "", "", nil, 403},
		{"127.0.0.6:9", "", "", nil, 403}, {"127.0.0.2:9", "", "", nil, 403}, // a mesh's sidecar
		{"127.0.0.1:9", "X-Forwarded-For", "", nil, 403}, {"127.0.0.1:9", "Forwarded", "", nil, 403}, // a proxy on this machine
		{"[::1]:9", "X-Forwarded-Client-Cert", "", nil, 403}, {"127.0.0.1:9", "X-Envoy-External-Address", "", nil, 403},
		{"127.0.0.1:9", "X-Envoy-Internal", "k", []string{"k"}, 200},
		{"127.0.0.1:9", "", "", []string{"k"}, 401}, {"10.0.0.1:9", "", "k", []string{"k"}, 200},
	} {
		cfg := testConfig()
		cfg.Keys = func() []string { return tt.keys }
		s, err := New(cfg, NewRegistry(), discard())
		if err != nil {
			t.Fatal(err)
		}
		q, w := httptest.NewRequest("POST", "/drain", nil), httptest.NewRecorder()
		q.RemoteAddr = tt.from
		if tt.proxy != "" {
			q.Header.Set(tt.proxy, "")
		}
		q.Header.Set("X-Api-Key", tt.key)
		s.Handler().ServeHTTP(w, q)
		if w.Code != tt.code || (s.draining.Load() != nil) != (tt.code == 200) {
			t.Errorf("%+v: %d %s, draining %v", tt, w.Code, w.Body, s.draining.Load())
		}
	}
}

// TestDrainWhileLoading: readiness never comes, no delay is waited for, and the end does not wait longer for
// a load than for requests.
func TestDrainWhileLoading(t *testing.T) {
	t.Parallel()
	begun, load := make(chan bool, 1), make(chan bool)
	r := starts(t, slowPairs, func(c *Config, _ *Server) {
		c.Open = func(_, file string, data []byte) (runtime.Model, error) {
			begun <- true
			<-load
			return openSim("", file, data)
		}
		c.DrainDelay, c.DrainTimeout = time.Hour, 100*time.Millisecond
	})
	<-begun
	got := r.does("GET", "/v2/health/ready", "")
	r.is("ready while loading", got, 503, "loading")
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "close models") {
		t.Errorf("the end during a load: %v", err)
	}
	close(load)
}

// TestListenerDies: the server says so and ends, and what is inside is finished.
func TestListenerDies(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Open, cfg.Named, cfg.DrainDelay = openSim, func(string) bool { return true }, 0
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		t.Fatal(err)
	}
	ln, f := loopback(t), &file{text: slowPairs}
	done := make(chan error, 1)
	src := Source{Read: f.read, Standing: standingNothing, Every: time.Second}
	go func() { done <- s.Serve(context.Background(), ln, nil, src) }()
	url := "http://" + ln.Addr().String()
	untilReady(t, url)
	answered := make(chan error, 1)
	go func() {
		res, err := http.Post(url+"/v2/models/m/infer", "application/json", strings.NewReader(pair))
		if err == nil && res.StatusCode != 200 {
			err = errors.New(res.Status)
		}
		answered <- err
	}()
	waitForMetric(t, url, `modelserver_inflight_requests{model="m",version="v1"} 1`)
	ln.Close()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "serve on "+ln.Addr().String()) {
		t.Errorf("serve: %v", err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the request inside: %v", err)
	}
}

// TestDrainUnderLoad: while load comes in, the server is told to stop; clients that do as they are told, and
// go away when a connection is closed, lose nothing until its listener is gone.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(c *Config, _ *Server) { c.DrainDelay = 2 * time.Second })
	var gone atomic.Bool // load balancers have seen that it is not ready
	var all sync.WaitGroup
	var sent atomic.Int64
	for range 16 {
		all.Go(func() {
			for !gone.Load() {
				if got, err := r.tries("POST", "/v2/models/m/infer", pair); err != nil || got.code != 200 {
					t.Errorf("%v %+v", err, got)
					return
				}
				sent.Add(1)
			}
		})
	}
	reach := func(n int64) {
		for range 3000 {
			if sent.Load() >= n {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	stopped := make(chan error)
	reach(100)
	go func() { r.ended = true; r.cancel(); stopped <- <-r.done }()
	for r.does("GET", "/v2/health/ready", "").code == 200 {
		time.Sleep(time.Millisecond)
	}
	reach(sent.Load() + 16)
	gone.Store(true)
	all.Wait()
	if err := <-stopped; err != nil || sent.Load() < 100 {
		t.Errorf("after %d requests: %v", sent.Load(), err)
	}
	r.transport.CloseIdleConnections()
	leftNothing(t, r.s)
}
