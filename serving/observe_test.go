package serving

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
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
