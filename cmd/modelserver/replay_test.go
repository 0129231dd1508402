package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// traceFile writes a made-up trace.
func traceFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReplayFaults(t *testing.T) {
	name := traceFile(t, "t,requests\n0,60\n60,6\n")
	tests := []struct{ args, want string }{
		{"--rate 5", "--trace has its own rate; leave out --rate (or RATE)"},
		{"--poisson", "leave out --rate (or RATE), --poisson"},
		{"--diurnal 24h:0.8", "--trace has its own rate"},
		{"--scale 2 --peak 3", "--scale and --peak both say how much"},
		{"--speed 0", "--speed: \"0\" is not a number above 0"},
		{"--from 2m", "--from: 2m0s is beyond the trace's end; " + name + " is 2m0s long"},
		{"--scale 0.01", "asks for 0.66 requests in all; try a higher --scale"},
		{"--speed 60 --scale 10000", "its busiest second asks for 6e+05 requests, more than 100000; try a lower --scale or --speed, or --peak"},
	}
	for _, tt := range tests {
		args := append([]string{"load", "--target", "http://127.0.0.1:1", "--duration", "1ms", "--trace", name}, strings.Fields(tt.args)...)
		if code, _, got := try(nil, args...); code != 2 || !strings.Contains(got, tt.want) {
			t.Errorf("%s: exit %d with %q, want %q", tt.args, code, got, tt.want)
		}
	}
	bad := traceFile(t, "t,requests\n0,x\n60\n")
	code, _, got := try(map[string]string{"RATE": "5"}, "load", "--trace", bad, "--speed", "x")
	want := `modelserver: --speed: "x" is not a number above 0, at most 1e+06
modelserver: --target is missing
modelserver: --trace has its own rate; leave out --rate (or RATE), --poisson and --diurnal (or DIURNAL)
modelserver: --trace: ` + bad + `: line 2: the count is "x"; a number from 0 to 1e+09 is expected
modelserver: --trace: ` + bad + `: line 3: has 1 columns; 2 were expected
`
	if code != 2 || got != want {
		t.Errorf("exit %d with\n%s\nwant\n%s", code, got, want)
	}
	if code, _, got := try(nil, "load", "--target", "http://x", "--peak", "3"); code != 2 || !strings.Contains(got, "are of a trace; give one with --trace") {
		t.Errorf("without a trace: exit %d with %q", code, got)
	}
	if code, _, got := try(nil, "load", "--target", "http://127.0.0.1:1", "--duration", "1ms", "--trace", ""); code != 2 || !strings.HasPrefix(got, "modelserver: --trace: \"\" names no file; is a variable unset?") {
		t.Errorf("an empty name: exit %d with %q", code, got)
	}
	if code, _, got := try(nil, "load", "--target", "http://x", "--trace", "nowhere.csv"); code != 2 || got != "modelserver: --trace: nowhere.csv: no such file or directory\n" {
		t.Errorf("no file: exit %d with %q", code, got)
	}
}

// TestReplayFits: 60 requests in the first minute, 6 in the second. At a speed of 60 a minute is a second.
func TestReplayFits(t *testing.T) {
	name := traceFile(t, "t,requests\n0,60\n60,6\n")
	tests := []struct {
		name        string
		o           replayOptions
		scale, most float64
		took        time.Duration
		asked       float64 // in that time
	}{
		{"as it is", replayOptions{}, 1, 1, time.Minute, 60},
		{"60 times as fast", replayOptions{speed: 60}, 1, 60, time.Second, 60},
		{"half of it, and it is over", replayOptions{speed: 60, scale: 0.5}, 0.5, 30, time.Hour, 33},
		{"scaled to a peak of 15", replayOptions{speed: 60, peak: 15}, 0.25, 15, 2 * time.Second, 16.5},
		// A second is 600 s of the trace, which is not as long: all 66 come in it.
		{"faster than its rows", replayOptions{speed: 600, peak: 33}, 0.5, 33, time.Second, 33},
		{"the second minute", replayOptions{speed: 60, from: time.Minute}, 1, 6, time.Second, 6},
		{"two rounds and a half", replayOptions{speed: 60, repeat: true}, 1, 60, 5 * time.Second, 192},
	}
	for _, tt := range tests {
		tt.o.file = name
		r, bad := tt.o.open()
		if len(bad) > 0 {
			t.Errorf("%s: %v", tt.name, bad)
			continue
		}
		if math.Abs(r.scale-tt.scale) > 1e-9 || math.Abs(r.most-tt.most) > 1e-9 || math.Abs(r.asked(tt.took)-tt.asked) > 1e-6 {
			t.Errorf("%s: scale %v, at most %v, %v asked in %s; want %v, %v, %v", tt.name, r.scale, r.most, r.asked(tt.took), tt.took, tt.scale, tt.most, tt.asked)
		}
	}
}

// TestReplay: a log of 40 requests in 200 ms, of which every fourth is refused. The report has the same numbers
// as the total line, and its windows sum to them.
func TestReplay(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%4 == 0 {
			w.WriteHeader(429)
		}
	}))
	defer server.Close()
	var log strings.Builder
	log.WriteString("t_ms\n")
	for i := range 40 {
		fmt.Fprintln(&log, i*50)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	args := []string{"load", "--target", server.URL, "--trace", traceFile(t, log.String()), "--speed", "10", "--every", "50ms", "--slo", "5s"}
	code, out, faults := try(nil, append(args, "--report", report)...)
	if code != 0 || !strings.Contains(out, "a log of 1.951s, replayed in 195ms: 40 requests, 40 in the busiest second\n") ||
		!strings.Contains(out, "total sent=40 ok=30 failed=10 p50=") || !strings.HasSuffix(out, "within=30 (429:10) asked=40\n") {
		t.Fatalf("exit %d with\n%s%s", code, out, faults)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r loadReport
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.Sent != 40 || r.OK != 30 || *r.Within != 30 || r.Asked != 40 || r.Codes["429"] != 10 || len(r.Windows) != 4 || r.P99 == nil || *r.P999 < *r.P50 || r.Seconds < 0.19 || r.SLO != 5000 {
		t.Errorf("the report is %s", text)
	}
	sent, ok := 0, 0
	for i, w := range r.Windows {
		sent += w.Sent
		ok += w.OK
		if math.Abs(w.Start-float64(i)*0.05) > 1e-9 || w.Sent != 10 || *w.Within != w.OK {
			t.Errorf("window %d is %+v", i, w)
		}
	}
	if sent != 40 || ok != 30 {
		t.Errorf("the windows have %d requests, %d right", sent, ok)
	}
	if _, out, _ := try(nil, append(args, "--report", "-")...); !strings.Contains(out, "asked=40\n{\"begun\":") {
		t.Errorf("to standard output:\n%s", out)
	}
	if code, _, faults := try(nil, append(args, "--report", filepath.Join(report, "x"))...); code != 1 || !strings.Contains(faults, "write the report") {
		t.Errorf("a report that cannot be written: exit %d with %q", code, faults)
	}
}

// TestRecord: windows are of when a request was meant to be sent, and what is quick because it was refused has no
// latency. p99 of 1, 2 .. 200 ms is 198 ms.
func TestRecord(t *testing.T) {
	begun := time.Unix(100, 0)
	r := &record{begun: begun, every: 10 * sec, slo: 50 * time.Millisecond}
	all := newCounts(r.slo)
	add := func(meant time.Duration, code string, took time.Duration) {
		r.add(begun.Add(meant), code, took/2, took)
		all.add(code, took)
	}
	for i := range 200 {
		add(25*sec, codeOK, time.Duration(200-i)*time.Millisecond)
	}
	add(26*sec, "429", time.Microsecond)
	add(0, codeTimeout, time.Second)
	got := r.report(all)
	if len(got.Windows) != 3 || got.Sent != 202 || got.OK != 200 || *got.Within != 50 || *got.Max != 1000 {
		t.Fatalf("%+v", got)
	}
	if w := got.Windows[0]; w.Sent != 1 || w.OK != 0 || *w.Within != 0 || *w.P99 != 1000 {
		t.Errorf("window 0 is %+v", w)
	}
	if w := got.Windows[1]; w.Sent != 0 || w.P99 != nil {
		t.Errorf("window 1 is %+v", w)
	}
	if w := got.Windows[2]; w.Sent != 201 || w.OK != 200 || *w.Within != 50 || *w.P99 != 198 {
		t.Errorf("window 2 is %+v, p99 %v", w, *w.P99)
	}
	r.slo = 0
	if got := r.report(all); got.Within != nil || got.Windows[0].Within != nil {
		t.Error("without an SLO something is within it")
	}
}
