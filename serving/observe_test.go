package serving

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// TestFailedBatchIsNoWork: a batch of 3 rows takes 1 s and fails, then each of its rows takes 1 s, and one fails
// again. That is 4 s of computing for 2 answers, and one batch that went when it was full.
func TestFailedBatchIsNoWork(t *testing.T) {
	reg := NewRegistry()
	v := newMetrics(reg, testConfig()).of("m", "v1")
	bad := errors.New("no such house")
	for _, b := range []engine.BatchSeen{{Rows: 3, Err: bad}, {Rows: 1, Again: true}, {Rows: 1, Again: true, Err: bad}, {Rows: 1, Again: true}} {
		b.Wall, b.CPU, b.Why = time.Second, time.Second/2, batch.Full
		v.Batch(b)
	}
	got := metricsOf(&Server{registry: reg})
	for _, want := range []string{
		`modelserver_inferences_total{model="m",version="v1"} 2`,
		`modelserver_executions_total{model="m",version="v1"} 2`,
		`modelserver_batch_rows_sum{model="m",version="v1"} 2`,
		`modelserver_compute_seconds_count{model="m",version="v1"} 2`,
		`modelserver_busy_seconds_total{model="m",version="v1"} 4`,
		`modelserver_compute_cpu_seconds_total{model="m",version="v1"} 2`,
		`modelserver_departures_total{model="m",reason="full",version="v1"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
}

// TestProbesTakeNoTurn: clients that ask whether a model is ready, and what it is, before each of their
// requests still get both versions.
func TestProbesTakeNoTurn(t *testing.T) {
	r := serves(t, `{"models": [{"name": "m", "versions": [
	  {"version": "v1", "file": "sim:linear:0s+0s", "weight": 50}, {"version": "v2", "file": "sim:linear:0s+0s", "weight": 50}]}]}`)
	for _, probes := range [][]string{{"/v2/models/m/ready"}, {"/v2/models/m"}} {
		got := map[bool]int{}
		for range 10 {
			for _, path := range probes {
				r.is(path, r.does("GET", path, ""), 200, `"name":"m"`)
			}
			answer := r.does("POST", "/v2/models/m/infer", infer("[1,1]", "FP32", "[2]"))
			got[strings.Contains(answer.body, `"model_version":"v1"`)]++
		}
		if got[true] != 5 || got[false] != 5 {
			t.Errorf("after %s: v1 and others %v, want 5 each", probes, got)
		}
	}
	r.is("all versions", r.does("GET", "/v2/models/m", ""), 200, `"versions":["v1","v2"]`)
}

// TestInstancesShown: 8 instances with a pool of 2 are 2, wherever somebody looks.
func TestInstancesShown(t *testing.T) {
	r := serves(t, `{"instances": 8, "models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:0s+0s"}]}]}`)
	r.s.pool.SetSize(2)
	r.shows(`modelserver_instances{model="m",version="v1"} 2`)
	r.is("curve", r.does("GET", "/v2/models/m/curve", ""), 200, `"instances": 2`)
	r.is("config", r.does("GET", "/v2/models/m/config", ""), 200, `"count":2`)
}

// TestMachineMemory: half of the memory limit is for models. Two of 300 bytes are too many for 1000 bytes, so
// that the old one goes.
func TestMachineMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off")
	t.Setenv("GOMAXPROCS", "1")
	config := func(version string) string {
		return fmt.Sprintf(`{"models": [{"name": "a", "versions": [{"version": %q, "file": "sim:"}]}]}`, version)
	}
	r := serves(t, config("1"), func(c *Config, _ *Server) {
		c.Open = func(string, string, []byte) (runtime.Model, error) {
			in := []runtime.Spec{{Name: "x", Type: runtime.FP32, Shape: []int{1}}}
			return sim.New(sim.Spec{Inputs: in, Outputs: in, Held: 300}), nil
		}
	})
	old := func() string { return fmt.Sprint(r.s.router.Models()[0].Old) }
	r.text.says(config("2"))
	for range 500 {
		if old() == "[1]" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, tt := range []struct{ limit, want string }{{"max", "[1]"}, {"1200", "[1]"}, {"1199", "[]"}} {
		m := machine{server: r.s, root: fstest.MapFS{"sys/fs/cgroup/memory.max": {Data: []byte(tt.limit)}}}
		if m.look(); old() != tt.want {
			t.Errorf("memory.max %s: kept %s, want %s", tt.limit, old(), tt.want)
		}
	}
}

// TestArrivalsShown: with room for one request, which waits, a second one is refused at the door: 2 came. A model
// with room for any number of rows says 0, one whose batch axis is fixed says 1.
func TestArrivalsShown(t *testing.T) {
	r := serves(t, waits, func(c *Config, _ *Server) { c.MaxInflight = 1 })
	go r.tries("POST", "/v2/models/m/infer", pair) // is answered in the drain
	for range 500 {
		if r.s.inside() == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.is("a second", r.does("POST", "/v2/models/m/infer", pair, "X-Priority", "interactive"), 429, "")
	var got struct {
		MaxRows  *int `json:"max_batch_rows"`
		Arrivals *arrivals
	}
	for range 500 {
		answer := r.does("GET", "/v2/models/m/curve", "")
		if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
			t.Fatal(err)
		}
		if a := got.Arrivals; a != nil && a.Rate*float64(a.Seconds) > 1.999 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	a := got.Arrivals
	if a == nil || a.Peak < 1 || math.Abs(a.Rate*float64(a.Seconds)-2) > 0.001 || a.Rows == nil || *a.Rows != 1 || a.Burst != nil {
		t.Errorf("arrivals are %+v", a)
	}
	if a != nil && (len(a.BySecond) != a.Seconds || math.Abs(a.Until-float64(time.Now().Unix())) > 60) {
		t.Errorf("seconds are %v until %v", a.BySecond, a.Until)
	}
	if got.MaxRows == nil || *got.MaxRows != 0 {
		t.Errorf("max_batch_rows is %v, want 0", got.MaxRows)
	}
	text := metricsOf(r.s)
	for _, want := range []string{MetricArrivalRate, MetricArrivalPeak} {
		if !strings.Contains(text, want+`{model="m",version="v1"} `) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(text, MetricArrivalBurst+"{") {
		t.Error("two requests have a burst")
	}
	fixed := serves(t, `{"models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3,max=1"}]}]}`)
	fixed.is("curve", fixed.does("GET", "/v2/models/m/curve", ""), 200, `"max_batch_rows": 1`)
}

// TestArrivalsAsJSON: what is not known is not there, so that nobody takes it for zero.
func TestArrivalsAsJSON(t *testing.T) {
	for _, tt := range []struct {
		of   engine.Arrivals
		want string
	}{
		{engine.Arrivals{}, `null`},
		{engine.Arrivals{Seconds: 3, BySecond: make([]int, 3)}, `{"seconds":3,"rate":0,"peak":0,"by_second":[0,0,0],"until":1795262400.5,"interactive":0,"bulk":0}`},
		{engine.Arrivals{Seconds: 2, Rate: 20, Peak: 35, BySecond: []int{5, 35}, Ago: 250 * time.Millisecond, Burst: 1.5, BurstKnown: true, Rows: 4, Interactive: 0.25, Bulk: 0.5},
			`{"seconds":2,"rate":20,"burst":1.5,"peak":35,"by_second":[5,35],"until":1795262400.25,"rows":4,"interactive":0.25,"bulk":0.5}`},
	} {
		if got, err := json.Marshal(arrivalsOf(tt.of, time.UnixMilli(1795262400500))); err != nil || string(got) != tt.want {
			t.Errorf("%+v is %s, want %s (%v)", tt.of, got, tt.want, err)
		}
	}
}

// TestMissedIsOfItsModel: who is refused at the door, before his model is known, came to the server's own model
// or to the only one; a request that is refused for another reason was counted, or is none of the model's.
func TestMissedIsOfItsModel(t *testing.T) {
	r := serves(t, `{"models": [{"name": "a", "versions": [{"version": "v1", "file": "sim:linear:0s+0s"}]}, {"name": "b", "versions": [{"version": "v1", "file": "sim:linear:0s+0s"}]}]}`)
	to, release, err := r.s.router.Pick("a", "v1", router.Hint{Header: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	full := shed(ShedInflight, 0)
	r.s.missed(&asked{model: "a", version: "v1"}, full) // of the flags' model, which is not served beside two others
	r.s.missed(&asked{target: to, model: "a", version: "v1", class: batch.Bulk}, full)
	r.s.missed(&asked{target: to, model: "a", version: "v1"}, shed(ShedQueueFull, 0))
	r.s.missed(&asked{target: to, model: "a", version: "v1"}, nil)
	came := func(name string) float64 {
		for range 500 {
			for _, e := range r.s.router.Entries() {
				if a := e.Engine.Stats().Arrivals; e.Name == name && a.Seconds > 1 {
					return a.Rate * float64(a.Seconds)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return -1
	}
	if n := came("a"); n < 0.999 || n > 1.001 {
		t.Errorf("%v came to a, want 1", n)
	}
	if n := came("b"); n != 0 {
		t.Errorf("%v came to b, want none", n)
	}
}
