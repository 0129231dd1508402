package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/serving"
	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/router"
	modelruntime "trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// run is what a person sees: output, error text and exit code.
func run(args ...string) (out, fault string, code int) {
	var stdout, stderr bytes.Buffer
	code = exit(dispatch(context.Background(), args, &stdout), &stderr)
	return stdout.String(), stderr.String(), code
}

func TestBadInput(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"pln", `no verb "pln"`},
		{"plan extra", "the form is: trimtab plan"},
		{"plan -o yaml", "choose text or json"},
		{"plan --nothing", "-nothing"},
		{"explain", "the form is: trimtab explain NAMESPACE/NAME"},
		{"validate", "the form is: trimtab validate FILE"},
		{"validate absent.yaml", "absent.yaml: cannot be read"},
		{"run --interval 1ms --listen 8080", "--listen 8080: write HOST:PORT"},
		{"run --interval 1ms --listen 8080", "--interval 1ms: give at least 1s"},
		{"run --interval soon", "soon"},
		{"run --hour 2h --interval 1ms", "--hour: an hour of 2h0m0s; give whole seconds from 10s to 1h"},
		{"run --hour 20s", "--hour 20s with checkpoints: what is learnt in a trial must not outlive it; give --checkpoint-every=0"},
		{"run --store-max-bytes 1Mi", "--store-max-bytes 1Mi: give at least 64Mi"},
		{"run --store-max-bytes much", "write an amount of bytes such as 1536Mi"},
	} {
		out, fault, code := run(strings.Fields(tt.args)...)
		if code != 2 || !strings.Contains(fault, tt.want) || out != "" {
			t.Errorf("trimtab %s: exit code %d, want 2 and %q\n%s%s", tt.args, code, tt.want, out, fault)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"help"}, {"--help"}} {
		if out, _, code := run(args...); code != 0 || !strings.Contains(out, "trimtab plan") {
			t.Errorf("trimtab %v: exit code %d\n%s", args, code, out)
		}
	}
	if _, fault, code := run("help", "plans"); code != 2 || !strings.Contains(fault, `no verb "plans"`) {
		t.Errorf("trimtab help plans: exit code %d\n%s", code, fault)
	}
	for _, v := range verbs() {
		said := map[string]bool{}
		for _, args := range [][]string{{"help", v.name}, {v.name, "--help"}, {v.name, "-h"}} {
			out, fault, code := run(args...)
			if code != 0 || fault != "" || !strings.Contains(out, "  trimtab "+v.name) {
				t.Errorf("trimtab %v: exit code %d\n%s%s", args, code, out, fault)
			}
			said[out] = true
		}
		if len(said) != 1 {
			t.Errorf("%s: help in %d ways", v.name, len(said))
		}
	}
}

// TestReferenceOfEachKind: fields of one name stand under the kind whose they are, and what must be given is said.
func TestReferenceOfEachKind(t *testing.T) {
	out, _, code := run("reference")
	_, ofServers, ok := strings.Cut(out, "\nInferenceServer\n\n")
	ofServers, _, ended := strings.Cut(ofServers, "\nReport\n\n")
	if code != 0 || !ok || !ended || strings.Count(out, "\n\n") != 11 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, want := range []string{"spec.image  ", "(needed)", "spec.mode  "} {
		if !strings.Contains(ofServers, want) || strings.Contains(ofServers, "spec.recipients") {
			t.Errorf("%q is not among the fields of a server:\n%s", want, ofServers)
		}
	}
}

// TestDemoPolicy: what the demo applies is a valid document.
func TestDemoPolicy(t *testing.T) {
	text, err := os.ReadFile("../../deploy/demo/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, document, ok := strings.Cut(string(text), "ml-production.yaml: |\n")
	if !ok {
		t.Fatal("the ConfigMap has no key ml-production.yaml")
	}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(document, "\n    ", "\n")[4:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, fault, code := run("validate", file); code != 0 {
		t.Error(fault)
	}
}

// TestReadmeExamples: every policy document that the README shows is valid.
func TestReadmeExamples(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		document, _, _ := strings.Cut(block, "```")
		if !strings.Contains(document, "apiVersion: trimtab.dev/") {
			continue
		}
		examples++
		file := filepath.Join(t.TempDir(), "example.yaml")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, fault, code := run("validate", file); code != 0 {
			t.Error(fault)
		}
	}
	if examples < 2 {
		t.Errorf("the README shows %d examples", examples)
	}
}

func samplePlan() optimizer.Plan {
	ref := fleet.Deployment("ml", "rec")
	return optimizer.Plan{
		At: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		Assessments: []optimizer.Assessment{{
			Ref: ref, Class: fleet.Online, Policy: "p", Workload: fleet.Workload{Ref: ref, Replicas: 2},
			Holds: []fleet.Hold{{Reason: fleet.HoldNoMetrics, Detail: "nothing was measured"}},
			Now:   cost.Line{Amount: 5_000_000}, After: cost.Line{Amount: 5_000_000},
		}},
		Now: cost.Line{Amount: 5_000_000}, After: cost.Line{Amount: 5_000_000},
	}
}

func sampleDaemon() (*daemon, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return &daemon{
		cycle: &optimizer.Cycle{History: recommender.NewHistory()}, interval: time.Minute, metrics: newMetrics(reg),
		reporter: &reporter{}, log: slog.New(slog.DiscardHandler), since: func() (time.Time, bool) { return time.Time{}, false },
	}, reg
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

func TestAPI(t *testing.T) {
	d, reg := sampleDaemon()
	notReady := errors.New("caches are empty")
	srv := httptest.NewServer(api(d, func() error { return notReady }, reg))
	defer srv.Close()

	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/api/v1/plan": 503, "/plan": 503, "/metrics": 200, "/other": 404} {
		if code, body := get(t, srv.URL+path); code != want {
			t.Errorf("before the first pass: GET %s is %d %s, want %d", path, code, body, want)
		}
	}
	if _, body := get(t, srv.URL+"/api/v1/"); !strings.HasPrefix(body, "not found: /api/v1/; there are / (the report), /plan, ") {
		t.Errorf("who asks elsewhere is told %q", body)
	}
	notReady = nil
	d.keep(samplePlan(), nil)
	for path, want := range map[string]string{"/readyz": "ok", "/api/v1/plan": `"at":"2026-11-21T12:00:00Z"`, "/api/v1/workloads": `"name":"rec"`, "/plan": "<html"} {
		if code, body := get(t, srv.URL+path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s is %d, want 200 with %q:\n%.300s", path, code, want, body)
		}
	}
	resp, err := http.Post(srv.URL+"/api/v1/plan", "application/json", nil)
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered with %v, %v", resp, err)
	}
}

// TestOldPlanIsSaid: after a pass that did not work the last plan is still given, marked as old.
func TestOldPlanIsSaid(t *testing.T) {
	d, reg := sampleDaemon()
	d.keep(samplePlan(), nil)
	d.keep(optimizer.Plan{}, errors.New("read usage: no answer"))
	srv := httptest.NewServer(api(d, func() error { return nil }, reg))
	defer srv.Close()
	out, fault, code := run("plan", "--server", srv.URL)
	if code != 0 || !strings.HasPrefix(out, "OLD  ") || !strings.Contains(out, "no answer") || !strings.Contains(out, "rec") {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
	var a planAnswer
	out, _, _ = run("plan", "-o", "json", "--server", srv.URL)
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.Pass.Error == "" || len(a.Plan.Assessments) != 1 {
		t.Errorf("plan -o json: %v %+v", err, a.Pass)
	}
}

func TestExplain(t *testing.T) {
	d, reg := sampleDaemon()
	d.keep(samplePlan(), nil)
	srv := httptest.NewServer(api(d, func() error { return nil }, reg))
	defer srv.Close()
	if out, fault, code := run("explain", "ml/rec", "--server", srv.URL); code != 0 || !strings.Contains(out, "nothing was measured") {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
	if _, fault, code := run("explain", "ml/other", "--server", srv.URL); code != 2 || !strings.Contains(fault, "it has ml/rec") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}

// serveModel serves a simulated model as m until the test ends.
func serveModel(t *testing.T) (url string) {
	t.Helper()
	server, err := serving.New(serving.Config{
		Name: "m", Version: "v1", MaxBody: 1 << 20, MaxInflight: 4, RequestTimeout: time.Second, DrainTimeout: time.Second,
		Open:  func(string, string, []byte) (modelruntime.Model, error) { return sim.Parse("linear:1us+1us") },
		Named: func(string) bool { return true },
	}, serving.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	standing := router.Standing{
		Models: []router.ModelConfig{{Name: "m", Versions: []router.VersionConfig{{Version: "v1", File: "sim", Runtime: "sim"}}}},
		Limits: batch.Limits{MaxBatchSize: 4, MaxQueueRows: 16},
	}
	go func() {
		done <- server.Serve(ctx, ln, nil, serving.Source{Standing: func() (router.Standing, error) { return standing, nil }, Every: time.Second})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	url = "http://" + ln.Addr().String()
	for range 6000 {
		if res, err := http.Get(url + "/v2/health/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return url
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the model server is not ready after a minute")
	return ""
}

// TestContract: what the model server exports is what the scraper keeps. The server may not import its
// tuner, so this is the one place where both are seen.
func TestContract(t *testing.T) {
	url := serveModel(t)
	if _, err := http.Post(url+"/v2/models/m/infer", "application/json", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	_, body := get(t, url+"/metrics")
	for name, family := range map[string]string{ // as the scraper keeps it: as the server declares it
		"modelserver_requests_total":              "modelserver_requests_total",
		"model_prediction_latency_seconds_sum":    "model_prediction_latency_seconds",
		"model_prediction_latency_seconds_count":  "model_prediction_latency_seconds",
		"model_prediction_latency_seconds_bucket": "model_prediction_latency_seconds",
		"modelserver_queue_rows":                  "modelserver_queue_rows",
		"modelserver_shed_total":                  "modelserver_shed_total",
		"modelserver_inferences_total":            "modelserver_inferences_total",
		"modelserver_executions_total":            "modelserver_executions_total",
	} {
		if !slices.Contains(usage.Families(), name) {
			t.Errorf("the scraper does not keep %s", name)
		}
		if !strings.Contains(body, "# TYPE "+family+" ") {
			t.Errorf("the model server does not export %s:\n%s", family, body)
		}
	}
}

func TestLive(t *testing.T) {
	d, _ := sampleDaemon()
	now := time.Now()
	if !d.live(now) {
		t.Error("a daemon that waits for its first lists is dead")
	}
	d.begun = now.Add(-119 * time.Second)
	if !d.live(now) {
		t.Error("a pass every minute, the last 119 s ago: still within 1.5 intervals and the grace")
	}
	d.begun = now.Add(-3 * time.Minute)
	if d.live(now) {
		t.Error("no pass for three minutes, yet alive")
	}
}
