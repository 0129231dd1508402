package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// double is a server whose model answers 2x for each of 4 values, in every protocol that bench speaks.
func double(t *testing.T, around func(http.ResponseWriter) (done bool)) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/m", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],"outputs":[]}`)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(q.Body)
		if around == nil || !around(w) {
			doubled(w, q, text)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func doubled(w http.ResponseWriter, q *http.Request, text []byte) {
	values := []float64{}
	if n, err := strconv.Atoi(q.Header.Get("Inference-Header-Content-Length")); err == nil {
		for _, v := range unpack("FP32", text[n:]) {
			values = append(values, 2*v)
		}
		head := fmt.Sprintf(`{"outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":%d}}]}`, 4*len(values))
		w.Header().Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
		out := []byte(head)
		for _, v := range values {
			out = packers()["FP32"](out, v)
		}
		w.Write(out)
		return
	}
	var doc struct {
		Inputs    []struct{ Data []float64 }
		Instances [][]float64
	}
	if json.Unmarshal(text, &doc) != nil {
		w.WriteHeader(400)
		return
	}
	for _, in := range doc.Inputs {
		doc.Instances = append(doc.Instances, in.Data)
	}
	for _, row := range doc.Instances {
		for _, v := range row {
			values = append(values, 2*v)
		}
	}
	out, _ := json.Marshal(values)
	if doc.Inputs != nil {
		fmt.Fprintf(w, `{"outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"data":%s}]}`, out)
		return
	}
	fmt.Fprintf(w, `{"predictions":%s}`, out)
}

// TestBenchSendsAllBodies: 64 of them, in turn.
func TestBenchSendsAllBodies(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	s := double(t, nil)
	count := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(q.Body)
		mu.Lock()
		defer mu.Unlock()
		seen[string(text)]++
		doubled(w, q, text)
	}))
	defer count.Close()
	measured(t, count.URL, "--shape", "4", "--requests", "128", "--same-as", s.URL)
	for text, n := range seen {
		if n != 2 || len(seen) != mostBodies {
			t.Fatalf("%d bodies, one %d times: %s", len(seen), n, text)
		}
	}
}

// measured runs bench --json.
func measured(t *testing.T, target string, args ...string) benchResult {
	t.Helper()
	code, out, faults := try(nil, append([]string{"bench", "--target", target, "--model", "m", "--warmup", "0s", "--json"}, args...)...)
	var r benchResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit %d: %v\n%s%s", code, err, out, faults)
	}
	return r
}

func TestBenchEveryProtocol(t *testing.T) {
	s := double(t, nil)
	for _, args := range []string{"", "--body binary", "--endpoint v1", "--endpoint predict", "--rows 3", "--rows 3 --body binary", "--shape 4", "--rate 500 --connections 3"} {
		r := measured(t, s.URL, append(strings.Fields(args), "--connections", "4", "--requests", "100", "--same-as", s.URL, "--fail-on-error")...)
		if r.Requests != 100 || r.OK != 100 || r.Different+r.Refused+r.Failed+r.TimedOut != 0 || r.P50 == nil || r.Cores != nil || r.MeanBatch != nil {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

// TestBenchCounts: of every 5 requests one is refused with 429, one with 503, one fails with 500 and two
// are right, one of them late: 20 of 100 are goodput.
func TestBenchCounts(t *testing.T) {
	var n atomic.Int64
	s := double(t, func(w http.ResponseWriter) bool {
		k := n.Add(1) % 5
		if k == 3 {
			time.Sleep(80 * time.Millisecond)
		}
		if k < 3 {
			w.WriteHeader([]int{429, 503, 500}[k])
		}
		return k < 3
	})
	r := measured(t, s.URL, "--requests", "100", "--connections", "5", "--slo", "60ms")
	within := int(math.Round(r.Goodput * r.Seconds))
	if r.OK != 40 || r.Refused != 40 || r.Failed != 20 || r.TimedOut != 0 || within > 20 || within == 0 || r.LastMiss == nil || *r.P99 < 80 || !strings.HasPrefix(r.Why, "status ") {
		t.Errorf("%d within, %+v", within, r)
	}
	if code, out, faults := try(nil, "bench", "--target", s.URL, "--model", "m", "--warmup", "0s", "--requests", "50", "--fail-on-error"); code != 1 || !strings.Contains(faults, "requests failed") || !strings.Contains(out, "20 refused") {
		t.Errorf("with --fail-on-error: exit %d, %s%s", code, out, faults)
	}
}

// TestBenchShowsAStall: the server stands still for the first 400 ms of a second of 100 requests, and
// there is one connection. About 40 requests are late; a client that waits with sending would show one.
func TestBenchShowsAStall(t *testing.T) {
	begun := sync.OnceValue(time.Now) // of the first request
	s := double(t, func(http.ResponseWriter) bool {
		time.Sleep(time.Until(begun().Add(450 * time.Millisecond)))
		return false
	})
	r := measured(t, s.URL, "--rate", "100", "--duration", "1s", "--connections", "1")
	if r.Requests < 95 || r.Requests > 101 || *r.P90 < 200 || *r.P99 < 300 {
		t.Errorf("%d requests with a p90 of %g ms and a p99 of %g ms hide the stall", r.Requests, *r.P90, *r.P99)
	}
}

// TestBenchCountsTimeouts: a server that never answers. 50 requests a second for 400 ms are 20; each
// has taken at least its timeout of 100 ms, also those that were never sent.
func TestBenchCountsTimeouts(t *testing.T) {
	end := make(chan struct{})
	s := double(t, func(http.ResponseWriter) bool { <-end; return false })
	defer close(end)
	r := measured(t, s.URL, "--rate", "50", "--duration", "400ms", "--timeout", "100ms", "--connections", "2")
	if r.TimedOut != r.Requests || r.Requests < 19 || r.Requests > 20 || *r.P50 < 100 || r.OK != 0 || r.Goodput != 0 {
		t.Errorf("%+v", r)
	}
}

func TestBenchSeesOtherAnswers(t *testing.T) {
	s := double(t, nil)
	var n atomic.Int64
	off := double(t, func(w http.ResponseWriter) bool {
		if n.Add(1)%4 != 0 {
			return false
		}
		io.WriteString(w, `{"outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"data":[0.1,0,0,0]}]}`)
		return true
	})
	r := measured(t, off.URL, "--requests", "100", "--same-as", s.URL, "--connections", "2")
	if r.Different != 25 || r.OK != 100 {
		t.Errorf("%d of %d are different, want 25 of 100", r.Different, r.OK)
	}
	if r := measured(t, s.URL, "--requests", "64", "--same-as", s.URL, "--same-as", off.URL); r.Different != 0 {
		t.Errorf("%d are like neither of two servers", r.Different)
	}
}

func TestBenchFaults(t *testing.T) {
	s := double(t, nil)
	tests := []struct {
		args string
		code int
		want string
	}{
		{"bench", 2, "--target is missing"},
		{"bench --rows x --model m", 2, "from 1 to 65536\nmodelserver: --target is missing\n"},
		{"bench --target https://x", 2, "is not a URL like http://localhost:8080\nmodelserver: --model is missing"},
		{"bench --target http://x", 2, "--model is missing"},
		{"bench --target http://x --model m --endpoint v1 --body binary", 2, "goes with --endpoint infer only"},
		{"bench --target http://x --model m --values 1:1", 2, "is not LOW:HIGH"},
		{"bench --target http://x --model m --values NaN:1", 2, "is not LOW:HIGH"},
		{"bench --target http://x --model m --pid 1,x", 2, "separated by commas"},
		{"bench --target http://x --model m --shape 2000,2000", 2, "is more than"},
		{"bench --target " + s.URL + " --model other", 1, "status 405"},
		{"bench --target " + s.URL + " --model m --pid 1073741824 --duration 50ms --warmup 0s", 1, "read the CPU time of process 1073741824"},
		{"bench --target " + s.URL + " --model m --metrics " + s.URL + "/nothing --duration 50ms --warmup 0s", 1, "status 405"},
		{"bench --target " + s.URL + " --model m --same-as nowhere", 1, "is not a URL"},
	}
	for _, tt := range tests {
		if code, _, faults := try(nil, strings.Fields(tt.args)...); code != tt.code || !strings.Contains(faults, tt.want) {
			t.Errorf("%s: exit %d with %q, want %d and %q", tt.args, code, faults, tt.code, tt.want)
		}
	}
}

func TestBenchBodies(t *testing.T) {
	ins := []input{{"a", "FP32", []int{2, 2}}, {"b", "INT64", []int{2}}, {"c", "BOOL", []int{2, 1}}}
	o := benchOptions{body: bodyBinary, endpoint: endpointInfer, low: -1, high: 1}
	b := o.makeBody(ins, fixed())
	const head = `{"inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}},` +
		`{"name":"b","shape":[2],"datatype":"INT64","parameters":{"binary_data_size":16}},` +
		`{"name":"c","shape":[2,1],"datatype":"BOOL","parameters":{"binary_data_size":2}}],"parameters":{"binary_data_output":true}}`
	if string(b.bytes[:b.header]) != head || len(b.bytes) != b.header+34 {
		t.Errorf("the binary body is %q", b.bytes)
	}
	o.body = bodyJSON
	var doc struct {
		Inputs []struct {
			Name string
			Data []any
		}
	}
	b = o.makeBody(ins, fixed())
	if err := json.Unmarshal(b.bytes, &doc); err != nil || len(doc.Inputs) != 3 || len(doc.Inputs[0].Data) != 4 || len(doc.Inputs[1].Data) != 2 {
		t.Errorf("the JSON body is %s, %v", b.bytes, err)
	}
	if _, ok := doc.Inputs[2].Data[0].(bool); !ok {
		t.Errorf("a boolean is %v", doc.Inputs[2].Data[0])
	}
}

func TestBenchBodiesDiffer(t *testing.T) {
	s := double(t, nil)
	var o benchOptions
	if bad := o.parse([]string{"--target", s.URL, "--model", "m"}, func(string) string { return "" }); len(bad) > 0 {
		t.Fatal(bad)
	}
	all, err := o.makeBodies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range all {
		seen[string(b.bytes)] = true
	}
	if len(seen) != mostBodies {
		t.Errorf("%d different bodies, want %d", len(seen), mostBodies)
	}
}

func TestRowsOf(t *testing.T) {
	tests := []struct {
		in   input
		rows int
		want []int // nil: an error
	}{
		{input{"x", "FP32", []int{-1, 4}}, 3, []int{3, 4}},
		{input{"x", "FP32", []int{-1, -1, 4}}, 1, []int{1, 1, 4}},
		{input{"x", "FP32", []int{1, 4}}, 1, []int{1, 4}},
		{input{"x", "FP32", []int{1, 4}}, 2, nil}, // a fixed batch axis
		{input{"x", "BYTES", []int{-1, 4}}, 1, nil},
		{input{"x", "FP32", nil}, 1, nil},
		{input{"x", "FP32", []int{-1, 1 << 30}}, 1, nil},
	}
	for _, tt := range tests {
		got, err := tt.in.rowsOf(tt.rows)
		if (err != nil) != (tt.want == nil) || err == nil && !slices.Equal(got.Shape, tt.want) {
			t.Errorf("%v for %d rows: %v, %v", tt.in, tt.rows, got.Shape, err)
		}
	}
}

// TestWireReadsAnyFraming: the same 5 bytes with a length, in chunks, and to the end of the connection,
// twice each on one wire.
func TestWireReadsAnyFraming(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"length": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			io.WriteString(w, "llo")
		},
		"close": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, "hello")
		},
		"HTTP/1.0": func(w http.ResponseWriter, _ *http.Request) {
			c, rw, _ := w.(http.Hijacker).Hijack()
			rw.WriteString("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
			rw.Flush()
			c.Close()
		},
		"to the end": func(w http.ResponseWriter, _ *http.Request) {
			c, rw, _ := w.(http.Hijacker).Hijack()
			rw.WriteString("HTTP/1.1 200 OK\r\n\r\nhello")
			rw.Flush()
			c.Close()
		},
	} {
		s := httptest.NewServer(handler)
		w := wire{address: s.Listener.Addr().String()}
		for range 2 {
			a, err := w.exchange([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), time.Now().Add(5*time.Second))
			if err != nil || a.status != 200 || string(a.body) != "hello" {
				t.Errorf("%s: %d %q, %v", name, a.status, a.body, err)
			}
		}
		w.close()
		s.Close()
	}
}

// FuzzAnswer: no bytes of a server make the client panic or keep more than the limit.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nT: 1\r\n\r\n",
		"HTTP/1.1 2x0", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"HTTP/1.0 200 \r\nInference-Header-Content-Length: 7\r\n\r\n{\"a\":1}", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w := wire{conn: silent{}, in: bufio.NewReader(bytes.NewReader(text))}
		a, _, err := w.try(nil, time.Time{})
		if err == nil && (a.status < 0 || len(a.body) > len(text)) {
			t.Errorf("%d and %d bytes from %q", a.status, len(a.body), text)
		}
		a.numbers() // does not panic either
	})
}

// silent is a connection that takes everything and says nothing.
type silent struct{ net.Conn }

func (silent) Write(b []byte) (int, error) { return len(b), nil }
func (silent) SetDeadline(time.Time) error { return nil }
func (silent) Read([]byte) (int, error)    { return 0, io.EOF }
func (silent) Close() error                { return nil }
