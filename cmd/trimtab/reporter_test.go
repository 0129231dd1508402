package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/reports"
)

// costing is the plan of a pass at which rec costs 7.30 dollars a month, a cent an hour.
func costing(at time.Time) optimizer.Plan {
	now := cost.Line{Amount: 730 * cost.Dollar / 100}
	return optimizer.Plan{At: at, Now: now, Assessments: []optimizer.Assessment{{Ref: rec, Workload: fleet.Workload{Ref: rec}, Now: now, After: now}}}
}

func aReporter(client *fake.Clientset) *reporter {
	return &reporter{
		maps: kube.NewCheckpoints(client, "trimtab", spendName), interval: time.Minute, every: 5 * time.Minute,
		plan:    func() (optimizer.Plan, error) { return costing(time.Now()), nil },
		entries: func(context.Context) ([]optimizer.Entry, error) { return nil, nil }, log: slog.New(slog.DiscardHandler),
	}
}

// passes makes one a minute in [from, to].
func passes(t *testing.T, r *reporter, from, to time.Time) {
	t.Helper()
	for at := from; !at.After(to); at = at.Add(time.Minute) {
		r.passed(t.Context(), costing(at), nil)
	}
}

func covered(t *testing.T, r *reporter, from, to time.Time) string {
	t.Helper()
	report, err := r.build(reports.Between(from, to, time.UTC), "", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	return report.Spend.Covered.String() + " " + report.Spend.Total.String()
}

// TestSpendOutlivesTheProcess: what is saved is taken up by the next process and the next leader, and
// counted once, whoever looked at the same minutes.
func TestSpendOutlivesTheProcess(t *testing.T) {
	client := fake.NewClientset()
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	first, standby := aReporter(client), aReporter(client)
	passes(t, first, start, start.Add(2*time.Hour))
	passes(t, standby, start.Add(time.Hour), start.Add(2*time.Hour)) // it came later and looked too
	first.save(t.Context(), t.Context(), start.Add(2*time.Hour), true)
	passes(t, standby, start.Add(2*time.Hour), start.Add(3*time.Hour))
	term, end := context.WithCancel(t.Context())
	standby.save(t.Context(), term, start.Add(3*time.Hour), false) // it leads now
	end()
	if got := covered(t, standby, start, start.Add(3*time.Hour)); got != "3 h $0.03" {
		t.Errorf("the new leader has %s", got)
	}
	next := aReporter(client)
	passes(t, next, start.Add(4*time.Hour), start.Add(5*time.Hour)) // an hour of downtime
	if got := covered(t, next, start, start.Add(5*time.Hour)); got != "4 h $0.04" {
		t.Errorf("after a restart there is %s", got)
	}
}

// TestUnreadSpendIsNotSavedOver: until what is saved is read nothing is saved, and what cannot be read
// is never replaced.
func TestUnreadSpendIsNotSavedOver(t *testing.T) {
	client := fake.NewClientset()
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	old := aReporter(client)
	passes(t, old, start, start.Add(time.Hour))
	old.save(t.Context(), t.Context(), start, true)
	down := true
	client.PrependReactor("list", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return down, nil, errors.New("no route to host")
	})
	r := aReporter(client)
	passes(t, r, start.Add(2*time.Hour), start.Add(3*time.Hour))
	r.save(t.Context(), t.Context(), start.Add(3*time.Hour), true)
	down = false
	again := aReporter(client)
	passes(t, again, start.Add(9*time.Hour), start.Add(9*time.Hour))
	if got := covered(t, again, start, start.Add(9*time.Hour)); got != "1 h $0.01" {
		t.Errorf("after an outage there is %s", got)
	}
	r.save(t.Context(), t.Context(), start.Add(4*time.Hour), false)
	again = aReporter(client)
	passes(t, again, start.Add(9*time.Hour), start.Add(9*time.Hour))
	if got := covered(t, again, start, start.Add(9*time.Hour)); got != "2 h $0.02" {
		t.Errorf("when it is over there is %s", got)
	}
	damage(t, client)
	broken := aReporter(client)
	passes(t, broken, start.Add(2*time.Hour), start.Add(3*time.Hour))
	before := writes(client)
	broken.save(t.Context(), t.Context(), start.Add(3*time.Hour), true)
	if after := writes(client); after != before || !broken.off {
		t.Errorf("%d writes over what cannot be read", after-before)
	}
	if got := covered(t, broken, start, start.Add(3*time.Hour)); got != "1 h $0.01" {
		t.Errorf("it reports %s of its own", got)
	}
}

func damage(t *testing.T, client *fake.Clientset) {
	t.Helper()
	m, err := client.CoreV1().ConfigMaps("trimtab").Get(t.Context(), spendName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k := range m.Data {
		m.Data[k] = "{"
	}
	if _, err := client.CoreV1().ConfigMaps("trimtab").Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func writes(client *fake.Clientset) (n int) {
	for _, a := range client.Actions() {
		if a.GetVerb() != "list" && a.GetVerb() != "get" {
			n++
		}
	}
	return n
}

// reporting is a server of the reporter's answers, with two hours of spend that end now.
func reporting(t *testing.T) *httptest.Server {
	t.Helper()
	r := aReporter(fake.NewClientset())
	now := time.Now()
	passes(t, r, now.Add(-2*time.Hour), now)
	mux := http.NewServeMux()
	r.register(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestReportAnswers(t *testing.T) {
	s := reporting(t)
	for _, c := range []struct {
		path string
		code int
		want []string
	}{
		{"/", 200, []string{"<!doctype html>", `href="plan"`, `href="api/v1/report?period=week"`, "ml-production/recommendation-model"}},
		{"/?period=90m&zone=Asia/Kolkata", 200, []string{"Asia/Kolkata", `href="?period=day&amp;zone=Asia%2FKolkata"`}},
		{"/api/v1/report?period=90m", 200, []string{`"timeZone":"UTC"`, `"covered":5400`}},
		{"/?period=soon", 400, []string{"write week, last-week"}},
		{"/?zone=Mars", 400, []string{"write an IANA name"}},
		{"/other", 404, nil},
	} {
		resp, err := http.Get(s.URL + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.code {
			t.Errorf("%s: %d %v", c.path, resp.StatusCode, err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s lacks %q:\n%.2000s", c.path, want, body)
			}
		}
	}
}

// TestReportVerb asks a running daemon and prints, or writes, the same report in each form.
func TestReportVerb(t *testing.T) {
	s := reporting(t)
	var text, value bytes.Buffer
	for out, args := range map[*bytes.Buffer][]string{&text: {"--period", "90m"}, &value: {"--period", "90m", "-o", "json"}} {
		if err := reportVerb(t.Context(), append(args, "--server", s.URL), out); err != nil {
			t.Fatal(err)
		}
	}
	var r reports.Report
	if err := json.Unmarshal(value.Bytes(), &r); err != nil || r.Spend.Total.String() != "$0.02" { // 90 minutes at a cent an hour
		t.Errorf("%v %s", err, r.Spend.Total)
	}
	if !strings.Contains(text.String(), "$0.02 spent") {
		t.Errorf("%s", &text)
	}
	dir := filepath.Join(t.TempDir(), "new")
	var said bytes.Buffer
	if err := reportVerb(t.Context(), []string{"--period", "90m", "--out", dir, "--server", s.URL}, &said); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"report.html": "$0.02", "report.txt": "$0.02 spent", "report.json": `"amount": 20000`} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(b), want) || !strings.Contains(said.String(), name) {
			t.Errorf("%s: %v, lacks %s", name, err, want)
		}
	}
	eml, err := os.ReadFile(filepath.Join(dir, "report.eml"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := netmail.ReadMessage(bytes.NewReader(eml)); err != nil || !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") {
		t.Errorf("the .eml: %v", err)
	}
}

func TestReportVerbRefuses(t *testing.T) {
	err := reportVerb(t.Context(), []string{"--period", "soon", "--zone", "UTC", "-o", "xml", "--out", "a", "--send", "b", "--server", "http://x", "--wait", "0s"}, io.Discard)
	for _, want := range []string{"-o xml: choose text or json", "--out and --send: give one of them", "--server only reads", "--wait 0s", `--period: period "soon"`} {
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if err := reportVerb(t.Context(), []string{"--zone", "Mars"}, io.Discard); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}
