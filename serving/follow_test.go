package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/router"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func standingNothing() (router.Standing, error) {
	st := standing(testConfig())
	st.Models = nil
	return st, nil
}

// following is a server that follows f, looking every second, and its log. It must be called in a bubble,
// and stop before the bubble ends. The flags say a batch of 4, a delay of 5 ms, and sim as the model.
func following(t *testing.T, f *file) (s *Server, log *lines, stop func()) {
	t.Helper()
	log = new(lines)
	cfg := testConfig()
	cfg.Open, cfg.Named = openSim, func(string) bool { return true }
	s, err := New(cfg, NewRegistry(), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	st := standing(cfg)
	st.Models[0].Versions[0].File = "sim:linear:10ms+0s"
	ctx, cancel := context.WithCancel(context.Background())
	looked, done := make(chan error, 1), make(chan bool)
	go func() {
		defer close(done)
		s.follow(ctx, Source{Name: "model_config.json", Read: f.read, Standing: func() (router.Standing, error) { return st, nil }, Every: time.Second}, looked)
	}()
	if err := <-looked; err != nil {
		t.Fatal(err)
	}
	return s, log, func() {
		cancel()
		<-done
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// metricsOf is what /metrics says.
func metricsOf(s *Server) string {
	w := httptest.NewRecorder()
	MetricsHandler(s.registry).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// shown is the lines of /metrics whose names begin with modelserver_config, without their labels.
func shown(s *Server) string {
	var out []string
	for line := range strings.Lines(metricsOf(s)) {
		if rest, ok := strings.CutPrefix(line, "modelserver_config_"); ok {
			out = append(out, strings.TrimSpace(strings.Replace(rest, `{model="m",version="v1"}`, "", 1)))
		}
	}
	return strings.Join(out, ", ")
}

// TestFollow walks through what can happen to a settings file, second by second.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{text: `{"batch_size": 2, "generation": 1, "temperature": 0.7}`}
		s, log, stop := following(t, f)
		defer stop()
		const second = `{"batch_size": 8, "generation": 2, "temperature": 0.8}`
		const v2 = `{"generation": 6, "models": [{"name": "m", "versions": [{"version": "v2", "file": "sim:linear:0s+0s"}]}]}`
		steps := []struct {
			name   string
			change func()
			after  int // seconds
			shows  string
			size   int
			says   string // new in the log; empty: nothing new
		}{
			{"in force at once", func() {}, 0, "generation 1, last_reload_successful 1, reload_failures_total 0", 2, "generation=1 models=m/v1"},
			{"unchanged", func() {}, 3, "generation 1, last_reload_successful 1, reload_failures_total 0", 2, ""},
			{"changed", func() { f.says(second) }, 1, "generation 2, last_reload_successful 1, reload_failures_total 0", 8, "generation=2 "},
			{"broken: the old stay", func() { f.says(`{"batch_size": 0, "generation": 3}`) }, 1, "generation 2, last_reload_successful 0, reload_failures_total 1", 8, "batch_size"},
			{"still broken: told once", func() {}, 5, "generation 2, last_reload_successful 0, reload_failures_total 1", 8, ""},
			{"broken otherwise", func() { f.says(`{"batch`) }, 1, "generation 2, last_reload_successful 0, reload_failures_total 2", 8, "settings stay as they were"},
			{"gone", func() { f.fails(errors.New("read settings: no such file")) }, 2, "generation 2, last_reload_successful 0, reload_failures_total 3", 8, "no such file"},
			{"back as it was: nothing begins anew", func() { f.says(second) }, 1, "generation 2, last_reload_successful 1, reload_failures_total 3", 8, "as the file says again"},
			{"a key less: the flag holds", func() { f.says(`{"generation": 4}`) }, 1, "generation 4, last_reload_successful 1, reload_failures_total 3", 4, "generation=4 "},
			{"a model that cannot be opened: all stays", func() { f.says(strings.Replace(v2, "sim:", "some:", 1)) }, 1, "generation 4, last_reload_successful 0, reload_failures_total 4", 4, "no model"},
			{"a model swapped", func() { f.says(v2) }, 1, "generation 6, last_reload_successful 1, reload_failures_total 4", 4, "models=m/v2"},
		}
		for _, step := range steps {
			written := len(log.String())
			if step.name == "in force at once" {
				written = 0
			}
			step.change()
			time.Sleep(time.Duration(step.after)*time.Second + time.Millisecond)
			synctest.Wait()
			if got := shown(s); !strings.HasSuffix(got, step.shows) {
				t.Errorf("%s: shows %s, want %s", step.name, got, step.shows)
			}
			if got := log.String()[written:]; !strings.Contains(got, step.says) || step.says == "" && got != "" {
				t.Errorf("%s: the log says %q, want %q in it", step.name, got, step.says)
			}
			if got := s.router.Entries()[0].Engine.Limits().MaxBatchSize; got != step.size {
				t.Errorf("%s: batches of %d rows, want %d", step.name, got, step.size)
			}
		}
	})
}

// TestConfigAge: it begins anew when settings come in force, and not when they fail.
func TestConfigAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{text: `{"generation": 1}`}
		s, _, stop := following(t, f)
		defer stop()
		for _, step := range []struct{ text, want string }{
			{`{"generation": 1}`, "age_seconds 2.5"},
			{`{"generation"`, "age_seconds 5"},
			{`{"generation": 2}`, "age_seconds 1.5"}, // said at 5 s, seen at 6, asked at 7.5
		} {
			f.says(step.text)
			time.Sleep(2500 * time.Millisecond)
			synctest.Wait()
			if got, _, _ := strings.Cut(shown(s), ","); got != step.want {
				t.Errorf("%s: %s, want %s", step.text, got, step.want)
			}
		}
	})
}

// TestNothingToServe: a server without a model says why and ends.
func TestNothingToServe(t *testing.T) {
	r := starts(t, `{}`, func(c *Config, _ *Server) { c.Open = nil })
	_ = r.stop()
	cfg := testConfig()
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		t.Fatal(err)
	}
	f := &file{text: `{"batch_size": "many"}`}
	err = s.Serve(t.Context(), loopback(t), nil, Source{Read: f.read, Standing: standingNothing, Every: time.Second})
	if !errors.Is(err, errNothing) || !strings.Contains(err.Error(), "batch_size") {
		t.Errorf("serve: %v", err)
	}
}

// TestSeriesOfGoneVersions: a version that can come back keeps its series, one that cannot loses them, and
// one that comes back has them anew.
func TestSeriesOfGoneVersions(t *testing.T) {
	config := func(version, chained string) string {
		return fmt.Sprintf(`{"feature_columns": ["x"], "models": [
		  {"name": "a", "default": true, "versions": [{"version": %q, "file": "sim:linear:0s+0s"}]}, {"name": "b", "versions": [{"version": %q, "file": "sim:linear:0s+0s"}]}],
		  "chains": [{"name": "c", "steps": ["a", "b"]}]}`, version, chained)
	}
	r := serves(t, config("1", "x"))
	ask := func(version string) {
		t.Helper()
		for range 500 {
			if e := r.s.router.Entries(); len(e) == 2 && e[0].Version == version {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		r.is("chain", r.does("POST", "/v2/models/c/infer", infer("[1,1]", "FP32", "[2]")), 200, "")
		r.is("predict", r.does("POST", "/predict", `{"x":1}`), 200, "")
	}
	series := func() (out []string) {
		for line := range strings.Lines(metricsOf(r.s)) {
			for _, name := range []string{"modelserver_requests_total", "modelserver_executions_total", `model_prediction_latency_seconds_count{endpoint="predict"`} {
				if strings.HasPrefix(line, name) && !strings.Contains(line, `model="m"`) {
					_, labels, _ := strings.Cut(line, "{")
					out = append(out, strings.NewReplacer(`code="200",`, "", `endpoint="predict",`, "", `model=`, "", `version=`, "", `model_`, "", `"`, "", "\n", "").Replace(labels))
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	want := func(what, lines string) {
		t.Helper()
		got := strings.Join(series(), ", ")
		for range 500 { // a batch is counted after its answers are on their way
			if got == lines {
				return
			}
			time.Sleep(5 * time.Millisecond)
			got = strings.Join(series(), ", ")
		}
		t.Errorf("%s:\n%s, want\n%s", what, got, lines)
	}
	ask("1")
	want("at first", "1} 1, a,1} 1, a,1} 2, b,x} 0, b,x} 1, c,1+x} 1, x} 0")
	r.text.says(config("2", "x"))
	ask("2")
	r.text.says(config("3", "x"))
	ask("3")
	want("2 is kept for a rollback, 1 is gone", "2} 1, 3} 1, a,2} 1, a,2} 2, a,3} 1, a,3} 2, b,x} 0, b,x} 3, c,2+x} 1, c,3+x} 1, x} 0")
	r.text.says(`{"models": [{"name": "b", "versions": [{"version": "x", "file": "sim:linear:0s+0s"}]}]}`)
	for range 500 {
		if len(r.s.router.Entries()) == 1 && !strings.Contains(metricsOf(r.s), `model="a"`) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	want("only b is left", "b,x} 0, b,x} 3, x} 0")
	r.text.says(config("3", "x"))
	ask("3")
	want("3 came back, with the engine that it had", "3} 1, a,3} 1, a,3} 2, b,x} 0, b,x} 4, c,3+x} 1, x} 0")
}

// TestMachine: instances follow the limits of the control group as they change.
func TestMachine(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off") // a test changes nothing of the process, or puts it back
	t.Setenv("GOMAXPROCS", "")
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
	r := serves(t, pairs)
	root := fstest.MapFS{"sys/fs/cgroup/cpu.max": {Data: []byte("100000 100000")}, "sys/fs/cgroup/memory.max": {Data: []byte("1000")}}
	m := machine{server: r.s, root: root}
	all := runtime.NumCPU()
	for _, tt := range []struct {
		quota string
		want  int
	}{{"many 100000", 1}, {"100000 100000", 1}, {"50000 100000", 1}, {"200000 100000", min(2, all)}, {"max 100000", all}, {"nonsense", all}, {"100000 100000", 1}, {"nonsense", 1}} {
		root["sys/fs/cgroup/cpu.max"].Data = []byte(tt.quota)
		m.look()
		if got := r.s.router.Entries()[0].Engine.Stats().Instances; got != tt.want {
			t.Errorf("cpu.max %s: %d instances, want %d", tt.quota, got, tt.want)
		}
		if got := runtime.GOMAXPROCS(0); m.known && got != tt.want+1 {
			t.Errorf("cpu.max %s: GOMAXPROCS %d, want %d", tt.quota, got, tt.want+1)
		}
	}
	if !strings.Contains(r.log.String(), "limits of the control group are not understood") {
		t.Error("nonsense is not in the log")
	}
	if heapOf(m.last) != 900 {
		t.Errorf("heap limit %d of 1000, want 900", heapOf(m.last))
	}
}

// TestMemoryLimit: bodies may have a quarter of it and never more than the flag says; when it cannot be read,
// what was before holds.
func TestMemoryLimit(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off")
	t.Setenv("GOMAXPROCS", "1")
	cfg := testConfig()
	cfg.MaxBodies = 1 << 20
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		t.Fatal(err)
	}
	root := fstest.MapFS{"sys/fs/cgroup/memory.max": {}}
	m := machine{server: s, root: root}
	for _, tt := range []struct {
		limit string
		want  int64
	}{{"lots", 1 << 20}, {"400000", 100000}, {"lots", 100000}, {"200000", 50000}, {"1000000000", 1 << 20}, {"400000", 100000}, {"max", 1 << 20}} {
		root["sys/fs/cgroup/memory.max"].Data = []byte(tt.limit)
		m.look()
		if got := s.mostBodies.Load(); got != tt.want {
			t.Errorf("memory.max %s: bodies may have %d bytes, want %d", tt.limit, got, tt.want)
		}
	}
}

// TestReloadUnderLoad: 64 clients ask on every way in for a second while settings change all the time and
// models are swapped. Each is answered with its own rows.
func TestReloadUnderLoad(t *testing.T) {
	r := serves(t, several)
	conns := []string{r.url, r.own}
	stop := time.Now().Add(time.Second)
	var all sync.WaitGroup
	for c := range 64 {
		conn := dial(t, conns[c%2])
		all.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				if err := r.once(conn, c, i); err != nil {
					t.Errorf("client %d, request %d: %v", c, i, err)
					return
				}
			}
		})
	}
	for i := 0; time.Now().Before(stop); i++ {
		text := strings.ReplaceAll(several, `"1"`, fmt.Sprintf(`"%d"`, 1+i%3))
		r.text.says(strings.Replace(text, "{", fmt.Sprintf(`{"generation": %d, "batch_size": %d, "max_delay": "%dus",`, i+1, 1+i%9, 500*(i%3)), 1))
		time.Sleep(20 * time.Millisecond)
	}
	all.Wait()
	r.shows(`modelserver_inflight_requests{model="m",version="v1"} 0`, `modelserver_config_reload_failures_total{model="m",version="v1"} 0`)
	_ = r.stop()
	leftNothing(t, r.s)
}
