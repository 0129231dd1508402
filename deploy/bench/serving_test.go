package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestRounded(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 8.6349: 8.635, 7961.4: 7961, 0.29249: 0.2925, 123456: 123500, -0.0123456: -0.01235} {
		if got := rounded(in); got != want {
			t.Errorf("%g becomes %g, want %g", in, got, want)
		}
	}
}

func TestParseMachine(t *testing.T) {
	// user nice system idle iowait irq softirq steal, in hundredths: busy is 1+2+3 s, stolen 8 s, all 36 s
	m, err := parseMachine("cpu  100 200 300 400 500 600 700 800 0 0\ncpu0 1 1\n")
	if err != nil || m != (machineTime{busy: 6, stolen: 8, all: 36}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, text := range []string{"", "cpu 1 2", "cpu a b c d e f g h", "intr 1 2 3 4 5 6 7 8"} {
		if _, err := parseMachine(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestDisturbance(t *testing.T) {
	before := machineTime{busy: 10, stolen: 1, all: 100}
	after := machineTime{busy: 13.5, stolen: 1.08, all: 104} // 2 cores for 2 s
	// 0.08 of 4 s are stolen; of 3.5 s busy, 3 are our own: 0.5 s in 2 s are 0.25 cores
	if stolen, others := disturbance(before, after, 3, 2); math.Abs(stolen-0.02) > 1e-9 || math.Abs(others-0.25) > 1e-9 {
		t.Errorf("%g stolen, %g cores of others", stolen, others)
	}
	if _, others := disturbance(before, after, 5, 2); others != 0 {
		t.Errorf("%g cores of others, though all were our own", others)
	}
}

func TestCalmMeasuresAgain(t *testing.T) {
	for _, quick := range []bool{false, true} {
		tr, n := &trial{quick: quick, weather: weather{discarded: mostDiscarded - 1}}, 0
		// -1000 s of our own: the others used more cores than there are
		if err := tr.calm("x", func() (float64, error) { n++; return -1000, nil }); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 2, true: 1}[quick]; n != want || tr.weather.kept != 1 || tr.weather.windows != want {
			t.Errorf("quick %v: measured %d times, %+v", quick, n, tr.weather)
		}
	}
}

func TestOfProcess(t *testing.T) {
	if got, err := cpuOfStat("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0"); err != nil || got != 1.75 {
		t.Errorf("%g s of CPU, %v, want 1.75", got, err)
	}
	if _, err := cpuOfStat("7 (a) S 1"); err == nil {
		t.Error("a short line is taken")
	}
	if got, ok := residentOf("VmPeak:\t  9 kB\nVmRSS:\t   24576 kB\n"); !ok || got != 24576 {
		t.Errorf("%g kB, %v", got, ok)
	}
	if _, ok := residentOf("Name: x\n"); ok {
		t.Error("memory of a process without any")
	}
}

func TestMetric(t *testing.T) {
	text := []byte("# HELP m_total x\nm_total{a=\"1}\"} 3\nm_total{a=\"2\"} 4.5 17000\nm_total_more 9\nm_total 1\n")
	if got := metric(text, "m_total"); got != 8.5 {
		t.Errorf("%g, want 3+4.5+1", got)
	}
}

func TestSampleOf(t *testing.T) {
	// 2000 answers in 2 s, 500 of them refusals, with 1.5 s of CPU, 1.2 s of it inside the model
	w := wrkOutput{Requests: 2000, Micros: 2e6, Bad: 500, P50: 1500, P99: 9000}
	s := sampleOf(w, 1.5, counters{rows: 100, batches: 10, compute: 1}, counters{rows: 1600, batches: 60, compute: 2.2})
	want := sample{rps: 750, cpu: 1000, cores: 0.75, p50: 1.5, p99: 9, bad: 0.25, batch: 30, share: 0.8}
	if math.Abs(s.share-want.share) < 1e-9 {
		s.share = want.share
	}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if s := sampleOf(w, 1.5, counters{}, counters{}); !math.IsNaN(s.batch) || !math.IsNaN(s.share) {
		t.Errorf("without metrics: %+v", s)
	}
}

func TestParseWrk(t *testing.T) {
	out := "Running 1s test\n...\n" + `{"requests":10,"micros":1000000,"bad":1,"broken":2,"p50":5,"p99":7}` + "\n"
	if w, err := parseWrk([]byte(out)); err != nil || w != (wrkOutput{10, 1e6, 1, 2, 5, 7}) {
		t.Errorf("%+v, %v", w, err)
	}
	for _, out := range []string{"", "unable to connect", `{"requests":0,"micros":1}`, `{"requests":5,"bad":5,"micros":1}`} {
		if _, err := parseWrk([]byte(out)); err == nil {
			t.Errorf("%q is taken", out)
		}
	}
}

func TestMedianSample(t *testing.T) {
	m := medianSample([]sample{{rps: 1, cpu: 30}, {rps: 3, cpu: 10}, {rps: 2, cpu: 20}})
	if m.rps != 2 || m.cpu != 20 {
		t.Errorf("%+v", m)
	}
}

func TestTurned(t *testing.T) {
	all := []int{1, 2, 3}
	if a, b := turned(all, 4), turned(all, 0); !slices.Equal(a, []int{2, 3, 1}) || !slices.Equal(b, all) {
		t.Errorf("%v, %v", a, b)
	}
}

func TestBestStatic(t *testing.T) {
	tests := []struct {
		name  string
		cells []openCell
		want  int // -1: none
	}{
		{"fewest cores", []openCell{{cores: 0.8, p99: 4}, {cores: 0.3, p99: 16}, {cores: 0.4, p99: 10}}, 1},
		{"too late", []openCell{{cores: 0.8, p99: 4}, {cores: 0.3, p99: 20.1}}, 0},
		{"refuses", []openCell{{cores: 0.8, p99: 4}, {cores: 0.3, p99: 10, bad: 0.01}}, 0},
		{"none", []openCell{{cores: 0.8, p99: 40}}, -1},
	}
	for _, tt := range tests {
		if i, ok := bestStatic(tt.cells); ok != (tt.want >= 0) || ok && i != tt.want {
			t.Errorf("%s: %d, %v", tt.name, i, ok)
		}
	}
}

func TestTreesGain(t *testing.T) {
	all, err := parseCompared(`{"model":"trees-500x6","rows":1,"onnxruntime":"1.24.3","median_ratio":1.5}
{"model":"trees-500x6","rows":4,"onnxruntime":"1.24.3","onnxruntime_us":60,"builtin_us":15,"median_ratio":4}
{"model":"trees-500x6","rows":64,"onnxruntime":"1.24.3","median_ratio":3.5}
{"model":"mlp-mid","rows":8,"onnxruntime":"1.24.3","median_ratio":0.9}
`)
	if err != nil || all[1].Theirs != 60 || all[1].Ours != 15 {
		t.Fatalf("%+v, %v", all, err)
	}
	if least, ok := treesGain(all); !ok || least.Rows != 64 || least.Gain != 3.5 || least.Version != "1.24.3" {
		t.Errorf("%+v, %v", least, ok)
	}
	if _, ok := treesGain(all[3:]); ok {
		t.Error("a gain without trees")
	}
	if _, err := parseCompared("panic: x\n"); err == nil {
		t.Error("no JSON is taken")
	}
}

func TestTookOver(t *testing.T) {
	const log = `{"level":"INFO","msg":"limits","cores":2}
{"level":"INFO","msg":"settings are in force","generation":1}
{"level":"INFO","msg":"ready"}
{"level":"INFO","msg":"limits","cores":1}
{"level":"INFO","msg":"settings are in force","generation":2}
{"level":"INFO","msg":"settings are in force","generation":2}
`
	if changes, limits := tookOver(log); changes != 2 || limits != 1 {
		t.Errorf("%d changes, %d limits, want 2 and 1", changes, limits)
	}
	if changes, limits := tookOver(""); changes != 0 || limits != 0 {
		t.Errorf("%d changes, %d limits in an empty log", changes, limits)
	}
}

// TestDocString: field 6, length-delimited: 0x32, the length, the text.
func TestDocString(t *testing.T) {
	if got := string(docString("swap 7")); got != "\x32\x06swap 7" {
		t.Errorf("%q", got)
	}
}

// TestWrkScript runs wrk, where it is installed, against a server that looks at what comes.
func TestWrkScript(t *testing.T) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		t.Skip("no wrk here; make bench BENCH=serving installs it")
	}
	for _, body := range []string{"json", "binary", "v1"} {
		var mu sync.Mutex
		seen := map[string]bool{}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			text, _ := io.ReadAll(q.Body)
			values, ok := valuesOf(q, text)
			mu.Lock()
			defer mu.Unlock()
			seen[string(text)] = true
			if !ok || len(values) != 5 || slices.ContainsFunc(values, func(v float64) bool { return v < -1 || v > 1 }) {
				w.WriteHeader(400)
			}
		}))
		tr := &trial{window: time.Second, dir: t.TempDir(), rivals: rivals{wrk: path}}
		out, _, err := tr.wrk(row{&server{url: s.URL, model: "m"}, body}, input{"x", []int{-1, 5}}, 2)
		s.Close()
		if err != nil || out.Bad != 0 || out.Broken != 0 || out.P50 == 0 || len(seen) != 64 {
			t.Errorf("%s: %+v, %v, %d different bodies", body, out, err, len(seen))
		}
	}
}

// valuesOf reads a request of any form, false where it is none.
func valuesOf(q *http.Request, text []byte) (values []float64, ok bool) {
	if n, err := strconv.Atoi(q.Header.Get("Inference-Header-Content-Length")); err == nil && q.URL.Path == "/v2/models/m/infer" {
		for c := range slices.Chunk(text[n:], 4) {
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(c))))
		}
		return values, json.Valid(text[:n])
	}
	var doc struct {
		Inputs []struct {
			Shape []int
			Data  []float64
		}
		Instances [][]float64
	}
	if json.Unmarshal(text, &doc) != nil {
		return nil, false
	}
	if len(doc.Inputs) == 1 && q.URL.Path == "/v2/models/m/infer" {
		return doc.Inputs[0].Data, slices.Equal(doc.Inputs[0].Shape, []int{1, 5})
	}
	if len(doc.Instances) == 1 && q.URL.Path == "/v1/models/m:predict" {
		return doc.Instances[0], true
	}
	return nil, false
}
