package serving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// file stands for the settings file: tests change what it says.
type file struct {
	mu   sync.Mutex
	text string
	err  error
}

func (f *file) says(text string) { f.mu.Lock(); defer f.mu.Unlock(); f.text, f.err = text, nil }
func (f *file) fails(err error)  { f.mu.Lock(); defer f.mu.Unlock(); f.err = err }

func (f *file) read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(f.text), f.err
}

// following is a server whose engine runs m and that follows f, looking every second, and its log. It
// must be called in a bubble, and stop before the bubble ends.
func following(t *testing.T, m *doubler, f *file) (s *Server, log *bytes.Buffer, stop func()) {
	t.Helper()
	log = new(bytes.Buffer)
	s, err := New(testConfig(), NewRegistry(), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go s.engine.run(ctx, m)
	wait := s.Follow(ctx, "model_config.json", f.read, time.Second)
	return s, log, func() { cancel(); wait(); synctest.Wait() }
}

// shown is the lines of /metrics whose names begin with modelserver_config, without their labels.
func shown(s *Server) string {
	w := httptest.NewRecorder()
	MetricsHandler(s.registry).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var out []string
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "modelserver_config_"); ok {
			out = append(out, strings.TrimSpace(strings.Replace(rest, `{model="m",version="v1"}`, "", 1)))
		}
	}
	return strings.Join(out, ", ")
}

// TestFollow walks through what can happen to a settings file, second by second. The settings of the
// flags are a batch of 4 and a delay of 5 ms.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{text: `{"batch_size": 2, "generation": 1, "temperature": 0.7}`}
		s, log, stop := following(t, &doubler{}, f)
		defer stop()
		time.Sleep(time.Second / 2) // between the looks
		steps := []struct {
			name   string
			change func()
			after  int // seconds
			shows  string
			size   int
			says   string // new in the log; empty: nothing new
		}{
			{"in force at once", func() {}, 0, "age_seconds 0.5, generation 1, reload_failures_total 0", 2, "generation=1 batch_size=2 max_delay=5ms"},
			{"unchanged", func() {}, 3, "age_seconds 3.5, generation 1, reload_failures_total 0", 2, ""},
			{"changed", func() { f.says(`{"batch_size": 8, "generation": 2, "temperature": 0.8}`) }, 1, "age_seconds 0.5, generation 2, reload_failures_total 0", 8, "generation=2 batch_size=8"},
			{"broken: the old stay", func() { f.says(`{"batch_size": 0, "generation": 3}`) }, 1, "age_seconds 1.5, generation 2, reload_failures_total 1", 8, "max batch size is 0 rows"},
			{"still broken: told once", func() {}, 5, "age_seconds 6.5, generation 2, reload_failures_total 1", 8, ""},
			{"broken otherwise", func() { f.says(`{"batch`) }, 1, "age_seconds 7.5, generation 2, reload_failures_total 2", 8, "not a JSON object"},
			{"gone", func() { f.fails(errors.New("read settings: no such file")) }, 2, "age_seconds 9.5, generation 2, reload_failures_total 3", 8, "no such file"},
			{"back as it was: nothing begins anew", func() { f.says(`{"batch_size": 8, "generation": 2, "temperature": 0.8}`) }, 1, "age_seconds 10.5, generation 2, reload_failures_total 3", 8, ""},
			{"a key less: the flag holds", func() { f.says(`{"generation": 4}`) }, 1, "age_seconds 0.5, generation 4, reload_failures_total 3", 4, "generation=4 batch_size=4"},
		}
		for _, step := range steps {
			written := log.Len()
			if step.name == "in force at once" {
				written = 0
			}
			step.change()
			time.Sleep(time.Duration(step.after) * time.Second)
			synctest.Wait()
			if got := shown(s); got != step.shows {
				t.Errorf("%s: shows %s, want %s", step.name, got, step.shows)
			}
			if got := log.String()[written:]; !strings.Contains(got, step.says) || step.says == "" && got != "" {
				t.Errorf("%s: the log says %q, want %q in it", step.name, got, step.says)
			}
			if got := batchesOf(t, s, 9); got[0] != min(step.size, 9) {
				t.Errorf("%s: 9 rows ran in batches of %v, want %d in one", step.name, got, step.size)
			}
		}
		if n := strings.Count(log.String(), "keys=temperature"); n != 1 {
			t.Errorf("the ignored key is named %d times, want once:\n%s", n, log)
		}
	})
}

// batchesOf cuts rows into batches under the server's limits, without its worker.
func batchesOf(t *testing.T, s *Server, rows int) (sizes []int) {
	t.Helper()
	s.engine.mu.Lock()
	defer s.engine.mu.Unlock()
	if !s.engine.queue.Push(&call{rows: rows}, rows, time.Now()) {
		t.Fatal("the queue is not empty")
	}
	for s.engine.queue.Rows() > 0 {
		n := 0
		for _, span := range s.engine.queue.Take() {
			n += span.Rows()
		}
		sizes = append(sizes, n)
	}
	return sizes
}

// TestRequestsInFlightSurviveAReload: requests wait for a batch of 4 that only the new settings complete:
// one that asks for batches of 2, and one whose delay is over already.
func TestRequestsInFlightSurviveAReload(t *testing.T) {
	for _, tt := range []struct {
		name, to string
		answered time.Duration
	}{
		{"smaller batches", `{"batch_size": 2, "max_delay": "1h"}`, time.Second},
		{"a delay that is over", `{"batch_size": 4, "max_delay": "1ms"}`, time.Second},
		{"a delay that is not over", `{"batch_size": 4, "max_delay": "90s"}`, 90 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &file{text: `{"batch_size": 4, "max_delay": "1h"}`}
			m := &doubler{}
			s, _, stop := following(t, m, f)
			begun := time.Now()
			var all sync.WaitGroup
			for i := range 2 {
				all.Go(func() {
					out, err := s.engine.infer(t.Context(), []float32{float32(i)}, 1)
					if took := time.Since(begun); err != nil || out[0][0] != float32(2*i) || took != tt.answered {
						t.Errorf("%s: request %d: %v, %v after %s; want %d after %s", tt.name, i, out, err, took, 2*i, tt.answered)
					}
				})
			}
			f.says(tt.to)
			all.Wait()
			stop()
		})
	}
}

// TestReloadUnderTraffic changes the batch size all the time while requests of every size run through a
// real server: each is answered, and with its own rows. The race detector watches.
func TestReloadUnderTraffic(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.MaxQueueRows, cfg.MaxInflight, cfg.RequestTimeout = 4096, 64, time.Minute
	s, err := New(cfg, NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &file{text: `{"batch_size": 1}`}
	wait := s.Follow(ctx, "model_config.json", f.read, time.Millisecond/4)
	var worker sync.WaitGroup
	worker.Go(func() { s.engine.run(ctx, &doubler{takes: 50 * time.Microsecond}) })
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := range 60 {
				rows := 1 + (7*c+i)%13
				in := slices.Repeat([]float32{float32(1000*c + i)}, rows)
				out, err := s.engine.infer(ctx, in, rows)
				if err != nil || !slices.Equal(out[0], slices.Repeat([]float32{2 * in[0]}, rows)) {
					t.Errorf("client %d, request %d: %v, %v", c, i, out, err)
				}
				f.says(fmt.Sprintf(`{"batch_size": %d, "max_delay": "%dus", "generation": %d}`, 1+i%9, 100*(i%3), i))
			}
		})
	}
	clients.Wait()
	cancel()
	wait()
	worker.Wait()
	if n := s.engine.waiting(); n != 0 {
		t.Errorf("%v rows wait at the end", n)
	}
}
