package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

// TestGaps: mean and variation of many gaps. The mean of n gaps of variation c is off by c/sqrt(n), 0.6 % for
// c = 2 and n = 100,000; the variation of a heavy tail is known less well.
func TestGaps(t *testing.T) {
	const n = 100_000
	for _, burst := range []float64{0, 0.5, 1, 2} {
		g := gaps{time.Millisecond, burst, rand.New(rand.NewPCG(1, 2))}
		sum, squares := 0.0, 0.0
		for range n {
			x := g.next().Seconds() * 1000
			if x < 0 {
				t.Fatalf("burst %g: a gap of %g ms", burst, x)
			}
			sum, squares = sum+x, squares+x*x
		}
		mean := sum / n
		variation := math.Sqrt(squares/n-mean*mean) / mean
		if math.Abs(mean-1) > 0.02 || math.Abs(variation-burst) > 0.05 && burst > 0 || burst == 0 && variation > 1e-3 {
			t.Errorf("burst %g: mean %g ms, variation %g", burst, mean, variation)
		}
	}
}

// TestGapsWithin: as many requests as the rate says, in order and within the span, whatever chance says; even ones by hand.
func TestGapsWithin(t *testing.T) {
	even := gaps{250 * time.Millisecond, 0, nil}.within(time.Second)
	if want := []time.Duration{125e6, 375e6, 625e6, 875e6}; !slices.Equal(even, want) {
		t.Errorf("%v, want %v", even, want)
	}
	for _, burst := range []float64{0.5, 1, 2} {
		got := gaps{time.Millisecond, burst, rand.New(rand.NewPCG(1, 2))}.within(2 * time.Second)
		if len(got) != 2000 || !slices.IsSorted(got) || got[0] < 0 || got[1999] >= 2*time.Second {
			t.Errorf("burst %g: %d times, from %s to %s", burst, len(got), got[0], got[len(got)-1])
		}
	}
	if got := (gaps{time.Second, 1, rand.New(rand.NewPCG(1, 2))}).within(time.Millisecond); len(got) != 0 {
		t.Errorf("%v in a thousandth of a gap", got)
	}
}

func TestWaitMD1(t *testing.T) {
	// Half busy, service 1 s: 0.5(e^x - 1) = x at x = 1.25643, as e^1.25643 = 3.51286 = 1 + 2x. The factor is
	// 0.5/(0.5*3.51286 - 1) = 0.66103, and ln(66.103)/1.25643 = 3.3363 s.
	if got := waitMD1(0.5, 1, 0.99); math.Abs(got-3.3363) > 0.001 {
		t.Errorf("%g s, want 3.3363", got)
	}
	if got := waitMD1(0.005, 1, 0.99); got != 0 {
		t.Errorf("%g s, though only one in 200 waits", got)
	}
	if got := waitMD1(1, 1, 0.99); !math.IsInf(got, 1) {
		t.Errorf("%g s, though as much comes as is done", got)
	}
}

// TestWaitMD1IsTheQueues: the waits of a queue that is followed (Lindley).
func TestWaitMD1IsTheQueues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, busy := range []float64{0.3, 0.6, 0.8} {
		waits := make([]float64, 1_000_000)
		for i := 1; i < len(waits); i++ {
			waits[i] = max(0, waits[i-1]+1-r.ExpFloat64()/busy)
		}
		slices.Sort(waits)
		if want, got := quantile(waits, 0.99), waitMD1(busy, 1, 0.99); math.Abs(got/want-1) > 0.04 {
			t.Errorf("%g busy: %g, the queue says %g", busy, got, want)
		}
	}
}

func TestChain(t *testing.T) {
	// M/M/1, half busy: 0.5/(1-0.5) = 1 inside, 0.5 in service.
	inside, serving, ok := chain(1, 1, func(int) float64 { return 0.5 })
	if !ok || math.Abs(inside-1) > 1e-9 || math.Abs(serving-0.5) > 1e-9 {
		t.Errorf("M/M/1: %g inside, %g in service, %v", inside, serving, ok)
	}
	// n at a time in 1 s whatever n is: each leaves at rate 1, so that there are as many as a Poisson number of mean 3.
	inside, serving, ok = chain(3, 1000, func(int) float64 { return 1 })
	if !ok || math.Abs(inside-3) > 1e-9 || math.Abs(serving-3) > 1e-9 {
		t.Errorf("M/M/infinity: %g inside, %g in service, %v", inside, serving, ok)
	}
	if _, _, ok := chain(2, 1, func(int) float64 { return 0.5 }); ok {
		t.Error("a queue that grows without end has a mean")
	}
}

// TestRivals: a service of 1 ms, 0.2 ms beside it for each request, 0.5 ms of reach, at 200/s: busy 0.24.
func TestRivals(t *testing.T) {
	line := curve.Line{Fixed: 0.9e-3, PerRow: 0.1e-3}
	s := capacity.Service{Curve: curve.Curve{Wall: line, CPU: line, Samples: 1}, Path: 0.2e-3, Reach: 0.5e-3, Idle: 0.01}
	l := capacity.Load{Rate: 200, Burst: 1}
	md1 := single(s, l, 1)
	if want := 1.5e-3 + waitMD1(200, 1.2e-3, 0.99); math.Abs(md1.p99-want) > 1e-12 || math.Abs(md1.cores-0.25) > 1e-12 {
		t.Errorf("M/D/1: %+v, want %g s and 200 * 1.2 ms + 0.01 = 0.25 cores", md1, want)
	}
	// Unbatched the chain is M/M/1, 0.2 busy: 0.25 inside, 1.25 ms on average, times ln 100 = 4.60517.
	mean := meanValue(s, l, capacity.Setting{Batch: 1, Delay: time.Second, Instances: 1})
	if want := 0.5e-3 + 1.25e-3*4.60517; math.Abs(mean.p99-want) > 1e-8 || math.Abs(mean.cores-0.25) > 1e-12 {
		t.Errorf("mean values: %+v, want %g s and 0.25 cores", mean, want)
	}
	// With batches of up to 2, 2 in 1.1 ms: weights 1, 0.2, 0.2*0.11, and 0.11 times the one before from there on. Sum
	// 1.2 + 0.022/0.89 = 1.224719; inside 0.2 + 0.022*(2/0.89 + 0.11/0.7921) = 0.252493, ÷ 1.224719 ÷ 200/s = 1.030822 ms.
	mean = meanValue(s, l, capacity.Setting{Batch: 2, Delay: 4 * time.Millisecond, Instances: 1})
	if want := 0.5e-3 + (1.030822e-3+2e-3)*4.60517; math.Abs(mean.p99-want) > 1e-8 {
		t.Errorf("mean values of batches: %g s, want %g", mean.p99, want)
	}
}

func TestOff(t *testing.T) {
	for _, tt := range []struct{ predicted, measured, want float64 }{
		{12, 10, 0.2}, {8, 10, 0.2}, {10, 10, 0}, {math.Inf(1), 10, worstError}, {math.NaN(), 10, worstError}, {1000, 10, worstError},
	} {
		if got := off(tt.predicted, tt.measured); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("%g for %g is %g off, want %g", tt.predicted, tt.measured, got, tt.want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	w := func(p99 float64, rows, batches float64) seen {
		return seen{Requests: 100, Bad: 1, Seconds: 2, P99: p99, CPU: 1, Compute: 0.4, Rows: rows, Batches: batches}
	}
	o := outcomeOf(combination{}, []seen{w(3, 100, 50), w(1, 200, 50), w(2, 100, 10)}, standard{})
	if o.P99 != 2 || o.Used != 0.5 || o.MeanBatch != 4 || math.Abs(o.PerBatch-8e-3) > 1e-12 || math.Abs(o.PerRequest-6e-3) > 1e-12 || o.Bad != 0.01 {
		t.Errorf("%+v", o) // batches of 2, 4 and 10; 8, 8 and 40 ms each; 6, 3 and 6 ms beside
	}
}

func TestGridIsLargeEnough(t *testing.T) {
	all := &tuner{sweep: scenarios(false)}
	if n := len(all.combinations()); n < 60 {
		t.Errorf("%d combinations, want 60 at least", n)
	}
	seen := map[int]bool{}
	before := combination{}
	for _, c := range all.combinations() {
		if seen[c.index] || all.sweep[c.of] != c.scenario || c.index/len(grid()) != c.of || grid()[c.index%len(grid())] != c.place {
			t.Errorf("%v has index %d", c, c.index)
		}
		if c.Model == before.Model {
			t.Errorf("%v is on the same server as %v before it", c, before)
		}
		seen[c.index], before = true, c
	}
}

func TestSweptOf(t *testing.T) {
	const printed = `    x_test.go:1: 2000 combinations, 900 closed, 1800 in the interval
    x_test.go:2: p99: median 0.8 %, 90th percentile 3.1 %, worst 22.0 %
        cores: median 0.1 %, 90th percentile 0.4 %, worst 1.0 %
        mean values: median 60.0 %, 90th percentile 200.5 %, worst 1000.0 %
        M/D/1: median 70.0 %, 90th percentile 90.0 %, worst 1000.0 %
    x_test.go:3: p99 is off by median 9.9 %, 90th percentile 9.9 %, worst 9.9 %
`
	s, err := sweptOf(printed)
	if err != nil || s.combinations != 2000 || s.errors["p99"] != (percents{0.8, 3.1, 22}) || s.errors["M/D/1"] != (percents{70, 90, 1000}) || len(s.lines) != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := sweptOf("FAIL\n"); err == nil {
		t.Error("a test that said nothing is taken")
	}
}

func TestPinned(t *testing.T) {
	server, client, err := pinned(4)
	if err != nil {
		t.Fatal(err)
	}
	if server[2] != "0" || client[2] != "1-3" {
		t.Errorf("server on %v, client on %v", server, client)
	}
	if _, _, err := pinned(1); err == nil {
		t.Error("server and client on a machine of one core")
	}
}

// answering is a server that answers requests as ours does, but each tenth with a refusal, and has made-up metrics.
func answering(t *testing.T) (*httptest.Server, *atomic.Int64) {
	var count atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/m", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2,3]}]}`)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		n := strconv.FormatInt(count.Load(), 10)
		io.WriteString(w, "modelserver_inferences_total "+n+"\nmodelserver_executions_total "+n+"\nmodelserver_compute_cpu_seconds_total 0\n")
	})
	mux.HandleFunc("POST /v2/models/m/infer", func(w http.ResponseWriter, q *http.Request) {
		text, _ := io.ReadAll(q.Body)
		if !sixValues(q, text) {
			t.Errorf("the server got %q", text)
		}
		if count.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, `{"outputs":[]}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, &count
}

// sixValues tells whether a request of either form carries one row of 2 times 3 values.
func sixValues(q *http.Request, text []byte) bool {
	var doc struct {
		Inputs []struct {
			Shape []int
			Data  []float64
		}
	}
	head := text
	n, binaries := strconv.Atoi(q.Header.Get("Inference-Header-Content-Length"))
	if binaries == nil {
		head = text[:n]
	}
	if json.Unmarshal(head, &doc) != nil || len(doc.Inputs) != 1 || !slices.Equal(doc.Inputs[0].Shape, []int{1, 2, 3}) {
		return false
	}
	if binaries != nil {
		return len(doc.Inputs[0].Data) == 6
	}
	v := math.Float32frombits(binary.LittleEndian.Uint32(text[n:]))
	return len(text)-n == 24 && v >= -1 && v <= 1
}

// TestClient counts what it sends; half of it is before the window.
func TestClient(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		s, count := answering(t)
		o := order{Host: strings.TrimPrefix(s.URL, "http://"), Model: "m", JSON: asJSON, Rate: 400, Burst: 1, Seed: 1,
			Warm: 300 * time.Millisecond, Window: 300 * time.Millisecond, SLO: time.Hour, PID: os.Getpid(), Timeout: 10 * time.Second}
		saw, err := o.do()
		if err != nil {
			t.Fatal(err)
		}
		all := int(count.Load())
		if saw.Requests < 60 || saw.Requests > all*3/4 || saw.Bad < 1 || saw.Bad > all/10 || saw.Within != saw.Requests-saw.Bad || saw.Fault != "status 503" {
			t.Errorf("of %d requests: %+v", all, saw)
		}
		if saw.P50 <= 0 || saw.P99 < saw.P50 || saw.CPU <= 0 || saw.Rows <= 0 || saw.Rows > float64(all) {
			t.Errorf("%+v", saw)
		}
	}
}

// TestClientOfADeadServer: requests without an answer are counted, and nothing hangs.
func TestClientOfADeadServer(t *testing.T) {
	s, _ := answering(t)
	hangs := make(chan struct{})
	mux := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPost {
			<-hangs
		}
		mux.ServeHTTP(w, q)
	})
	defer close(hangs)
	o := order{Host: strings.TrimPrefix(s.URL, "http://"), Model: "m", Rate: 200, Window: 200 * time.Millisecond, PID: os.Getpid(), Timeout: 100 * time.Millisecond}
	saw, err := o.do()
	if err != nil || saw.Bad != saw.Requests || saw.Bad < 20 || saw.P50 != 0 {
		t.Errorf("%+v, %v", saw, err)
	}
}
