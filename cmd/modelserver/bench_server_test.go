package main

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestTicksOf(t *testing.T) {
	tests := []struct {
		stat string
		want time.Duration // -1: an error
	}{ // utime and stime are the 14th and 15th field
		{"7 (a) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20", 1750 * time.Millisecond},
		{"7 (a) b (c d)) S 1 2 3 4 5 6 7 8 9 10 1 2 0 0 20", 30 * time.Millisecond},
		{"7 (a) S 1 2 3", -1},
		{"", -1},
	}
	for _, tt := range tests {
		if got, err := ticksOf([]byte(tt.stat)); (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("%q: %s, %v, want %s", tt.stat, got, err, tt.want)
		}
	}
}

func TestCPUSince(t *testing.T) {
	ms := time.Millisecond
	before := cpuClock{100 * ms, map[string]time.Duration{"a": 61 * ms, "b": 42 * ms}}
	tests := []struct {
		name  string
		after cpuClock
		want  time.Duration
	}{
		{"exact: 64+42+5 - 103", cpuClock{110 * ms, map[string]time.Duration{"a": 64 * ms, "b": 42 * ms, "new": 5 * ms}}, 8 * ms},
		{"b has ended: ticks", cpuClock{120 * ms, map[string]time.Duration{"a": 64 * ms}}, 20 * ms},
		{"no threads to see: ticks", cpuClock{130 * ms, nil}, 30 * ms},
	}
	for _, tt := range tests {
		if got := tt.after.since(before); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestCPUOfThisProcess: what a loop used is seen.
func TestCPUOfThisProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("no /proc/self/schedstat here")
	}
	before, err := cpuOf([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	used := time.Duration(0)
	for used < 5*time.Millisecond { // by a clock of its own work, not of the wall
		x := 0
		for i := range 10_000_000 {
			x ^= i
		}
		after, err := cpuOf([]int{os.Getpid()})
		if err != nil || x < 0 {
			t.Fatal(err)
		}
		if used = after.since(before); used < 0 {
			t.Fatalf("%s of CPU", used)
		}
	}
}

const metricsText = `# HELP modelserver_executions_total Batches.
# TYPE modelserver_executions_total counter
modelserver_executions_total{model="m",version="1"} 10
modelserver_executions_total{model="m",version="2"} 5
modelserver_executions_total{model="n",version="1"} 1000
modelserver_inferences_total{model="m",version="1"} 100 1700000000000
modelserver_compute_cpu_seconds_total{model="m",version="1"} 1.5e-1
go_goroutines 12
`

func TestCountersOf(t *testing.T) {
	tests := []struct {
		name, text string
		want       counters
	}{
		{"ours, one model of two", metricsText, counters{100, 15, 0.15, true, true}},
		{"without labels", "modelserver_executions_total 4\nmodelserver_inferences_total 8\n", counters{8, 4, 0, true, false}},
		{"Triton's", `nv_inference_count{model="m",version="1"} 30` + "\n" + `nv_inference_exec_count{model="m",version="1"} 6`, counters{30, 6, 0, true, false}},
		{"another server's", "go_goroutines 12\nbroken{\n x", counters{}},
	}
	for _, tt := range tests {
		if got := countersOf([]byte(tt.text), "m"); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestNear(t *testing.T) {
	tests := []struct {
		got, want []float64
		near      bool
	}{
		{[]float64{1, 1000.09}, []float64{1, 1000}, true}, // 9e-5 of 1000
		{[]float64{1, 1000.2}, []float64{1, 1000}, false}, // 2e-4
		{[]float64{0.00005}, []float64{0}, true},          // below 1 it is absolute
		{[]float64{0.0002}, []float64{0}, false},
		{[]float64{1}, []float64{1, 1}, false},
	}
	for _, tt := range tests {
		if near(tt.got, tt.want, 1e-4) != tt.near {
			t.Errorf("%v and %v: want %v", tt.got, tt.want, tt.near)
		}
	}
}

func TestNumbers(t *testing.T) {
	binary := `{"outputs":[{"datatype":"FP32","parameters":{"binary_data_size":4}},{"datatype":"UINT8","parameters":{"binary_data_size":1}},{"datatype":"FP64","data":[3]}]}`
	tests := []struct {
		name string
		a    answer
		want []float64
	}{
		{"nested", answer{body: []byte(`{"outputs":[{"data":[[1,2],[3,4]]},{"data":[true]}]}`)}, []float64{1, 2, 3, 4, 1}},
		{"objects by name", answer{body: []byte(`{"predictions":[{"b":1,"a":2}]}`)}, []float64{2, 1}},
		{"one number", answer{body: []byte(`{"prediction":7,"model_version":"v1"}`)}, []float64{7}},
		{"binary", answer{header: len(binary), body: append([]byte(binary), 0, 0, 0, 0x40, 9)}, []float64{2, 9, 3}},
	}
	for _, tt := range tests {
		got, err := tt.a.numbers()
		if err != nil || !near(got, tt.want, 1e-9) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestBenchTable(t *testing.T) {
	r := benchResult{
		Loop: "open", Rate: 700, Arrivals: "poisson", Connections: 512, Endpoint: "infer", Body: "json", BodyBytes: 4600, Rows: 1, Seconds: 2,
		Requests: 1400, OK: 1390, Different: 1, Refused: 8, Failed: 1, TimedOut: 1, Why: "status 503: full", PerSecond: 695, SLO: 20, Goodput: 690.5,
		P50: new(1.0), P90: new(2.0), P99: new(3.0), P999: new(4.5), Max: new(5.0), Cores: new(0.292), CPUMicros: new(417.13), MeanBatch: new(9.234), Runtime: new(0.615),
	}
	const want = `open loop   700 requests/s, poisson arrivals, at most 512 connections, 2.0 s
request     infer, json, 1 rows, 4600 bytes
sent        1400: 1389 ok, 8 refused, 1 failed, 1 timed out, 1 not the same
first fault status 503: full
answers     695.0/s, of them 690.5/s within 20 ms
latency     p50 1.00  p90 2.00  p99 3.00  p99.9 4.50  max 5.00 ms
server CPU  0.292 cores, 417.1 us an answer
batch       9.23 rows on average
runtime     61.5 % of the server's CPU
`
	if got := r.table(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	if got := (benchResult{Loop: "closed", Connections: 3}).table(); !strings.Contains(got, "p50 -  p90 -") || strings.Contains(got, "runtime") {
		t.Errorf("an empty result is\n%s", got)
	}
}
