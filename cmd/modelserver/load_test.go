package main

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestQuantileAgainstSorting: the naive twin sorts; the buckets may be 1/32 too high, and 1 µs.
func TestQuantileAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var l latencies
		var all []time.Duration
		for range 1 + r.IntN(300) {
			d := time.Duration(math.Exp(r.Float64()*24)) * time.Nanosecond // to 26 s
			l.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.95, 0.99, 1} {
			want := all[int(math.Ceil(q*float64(len(all))))-1]
			got, ok := l.quantile(q)
			if !ok || got < want || got > want+want/32+time.Microsecond {
				t.Fatalf("quantile %v of %d is %s, want %s", q, len(all), got, want)
			}
		}
	}
	if _, ok := new(latencies).quantile(0.5); ok {
		t.Error("no latencies have a quantile")
	}
}

func TestBucketsHoldTheirDurations(t *testing.T) {
	last := -1
	for _, us := range []int64{0, 1, 31, 32, 63, 64, 65, 66, 127, 128, 131, 132, 1000, 999_999, 3_600_000_000, 1 << 50} {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		if b < last || (us < 1<<37 && (top(b) < d || b > 0 && top(b-1) >= d)) {
			t.Errorf("%s is in bucket %d, from %s to %s", d, b, top(b-1), top(b))
		}
		last = b
	}
}

func TestDiurnalShare(t *testing.T) {
	tests := []struct {
		name string
		day  diurnal
		at   time.Duration // since 1970
		want float64
	}{
		{"flat", diurnal{}, time.Hour, 1},
		{"trough: 1 - 0.8", diurnal{24 * time.Hour, 0.8}, 0, 0.2},
		{"a quarter: 1 - 0.8/2", diurnal{24 * time.Hour, 0.8}, 6 * time.Hour, 0.6},
		{"peak", diurnal{24 * time.Hour, 0.8}, 12 * time.Hour, 1},
		{"ten days later", diurnal{24 * time.Hour, 0.8}, 252 * time.Hour, 1},
	}
	for _, tt := range tests {
		if got := tt.day.share(time.Unix(0, int64(tt.at))); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestScheduleSendsItsRate: over a whole day the mean share of a depth of 0.8 is 0.6, and in the six
// hours around noon it is 1 - 0.4*(1 - sin(π/4)/(π/4)) = 0.960.
func TestScheduleSendsItsRate(t *testing.T) {
	for _, poisson := range []bool{false, true} {
		s := schedule{rate: 2, day: diurnal{24 * time.Hour, 0.8}, poisson: poisson, rand: rand.New(rand.NewPCG(1, 1))}
		day, noon := 0, 0
		last := time.Unix(0, 0)
		for at := s.next(last); at.Before(time.Unix(86400, 0)); at = s.next(at) {
			if !at.After(last) {
				t.Fatalf("%s does not come after %s", at, last)
			}
			last = at
			day++
			if h := at.Sub(time.Unix(0, 0)).Hours(); h >= 9 && h < 15 {
				noon++
			}
		}
		if want := 2 * 86400 * 0.6; math.Abs(float64(day)-want) > 0.02*want {
			t.Errorf("poisson %v: %d in a day, want %.0f", poisson, day, want)
		}
		if want := 2 * 21600 * 0.960; math.Abs(float64(noon)-want) > 0.02*want {
			t.Errorf("poisson %v: %d around noon, want %.0f", poisson, noon, want)
		}
	}
	s := schedule{rate: 4}
	if at := s.next(time.Unix(10, 0)); !at.Equal(time.Unix(10, 250_000_000)) {
		t.Errorf("4 a second: the next after 10 s is at %s", at)
	}
}

func TestBodies(t *testing.T) {
	a, err := bodies("valuation", "infer", 2, 1)
	if err != nil || len(a) != 64 || string(a[0]) == string(a[1]) || !strings.HasPrefix(string(a[0]), `{"inputs":[{"name":"property","shape":[2,8],"datatype":"FP32","data":[`) {
		t.Errorf("%d bodies, the first %s, %v", len(a), a[0], err)
	}
	b, err := bodies("image", "predict", 1, 1)
	if err != nil || !strings.HasPrefix(string(b[0]), `{"instances":[[`) || strings.Count(string(b[0]), ",") != 32*32*3-1 {
		t.Errorf("the first of %d is %.40s, %v", len(b), b[0], err)
	}
}

// TestCoordinatedOmission: a server that stands still for the first 400 ms of 100 requests in one
// second, with one request open at a time, from the first one on. About 40 of them are sent late, so the median of all is
// quick and the p95 is near 400 ms; a closed loop would see one slow request.
func TestCoordinatedOmission(t *testing.T) {
	begun := sync.OnceValue(time.Now)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(time.Until(begun().Add(400 * time.Millisecond)))
	}))
	defer server.Close()
	code, out, faults := try(nil, "load", "--target", server.URL, "--rate", "100", "--duration", "1s", "--max-inflight", "1", "--fail-on-error")
	if code != 0 || !strings.HasPrefix(out, "total sent=") {
		t.Fatalf("exit %d, %s%s", code, out, faults)
	}
	_, rest, _ := strings.Cut(out, "p95=")
	p95, err := time.ParseDuration(strings.Fields(rest)[0])
	if err != nil || p95 < 200*time.Millisecond {
		t.Errorf("p95 hides the wait: %s", out)
	}
}

func TestFailures(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(429)
		}
	}))
	defer server.Close()
	args := []string{"load", "--target", server.URL, "--rate", "100", "--duration", "200ms", "--every", "50ms", "--poisson"}
	code, out, _ := try(nil, args...)
	if code != 0 || !strings.Contains(out, "(429:") || strings.Count(out, "sent=") < 3 {
		t.Errorf("exit %d with\n%s", code, out)
	}
	if code, _, faults := try(nil, append(args, "--fail-on-error")...); code != 1 || !strings.Contains(faults, "requests failed") {
		t.Errorf("with --fail-on-error: exit %d with %q", code, faults)
	}
	server.Close()
	if _, out, _ := try(nil, args...); !strings.Contains(out, "ok=0") || !strings.Contains(out, "(error:") {
		t.Errorf("without a server: %s", out)
	}
}

// TestConnectionsAreRenewed: of 20 requests one after the other, 5 on a connection.
func TestConnectionsAreRenewed(t *testing.T) {
	clients := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { clients[q.RemoteAddr]++ }))
	defer server.Close()
	var o loadOptions
	if bad := o.parse([]string{"--target", server.URL, "--per-connection", "5"}, func(string) string { return "" }); len(bad) > 0 {
		t.Fatal(bad)
	}
	l := loader{loadOptions: o, client: server.Client(), bodies: [][]byte{nil}}
	for i := range 20 {
		l.one(i)
	}
	for client, n := range clients {
		if len(clients) != 4 || n != 5 {
			t.Errorf("%s sent %d of 20 over %d connections, want 5 over each of 4", client, n, len(clients))
		}
	}
}

func TestOwnMetrics(t *testing.T) {
	tl := newTally(0)
	tl.add(codeOK, time.Millisecond)
	tl.add("429", time.Millisecond)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tl.serve(ln)()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+ln.Addr().String()+"/metrics", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	for _, want := range []string{`modelload_requests_total{code="429"} 1`, `modelload_latency_seconds_count 1`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
}
