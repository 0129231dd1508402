package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
)

var may = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// fewer is a change of ml/name from 3 replicas to 2.
func fewer(id, name string) optimizer.Change {
	w := fleet.Workload{Ref: fleet.Deployment("ml", name), UID: "u", Replicas: 3}
	return optimizer.Change{ID: id, Ref: w.Ref, From: w, To: w.With(fleet.Target{Replicas: 2}), Reasons: []fleet.Reason{fleet.FewRequests}}
}

// told is what a person sees of one verb.
func told(verb func(context.Context, []string, io.Writer) error, args ...string) (out, fault string, code int) {
	var stdout, stderr bytes.Buffer
	code = exit(verb(context.Background(), args, &stdout), &stderr)
	return stdout.String(), stderr.String(), code
}

// apiserver is as much of an API server as a person who orders meets: the daemon behind its Service, who the person is,
// and the orders ConfigMap, which the daemon answers at once.
type apiserver struct {
	t      *testing.T
	plan   optimizer.Plan
	book   ledger.Memory
	orders *corev1.ConfigMap // nil: there is none
	given  optimizer.Order   // the last order
	says   string            // the answer to orders; empty: "begun as x"
}

func (s *apiserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const proxy, orders = "/api/v1/namespaces/trimtab/services/http:trimtab:http/proxy", "/api/v1/namespaces/trimtab/configmaps/trimtab-orders"
	switch path := strings.TrimPrefix(r.URL.Path, proxy); {
	case path == "/api/v1/plan":
		_ = sendJSON(w, planAnswer{Version: "v", Plan: s.plan})
	case path == "/api/v1/history":
		historyHandler(&s.book)(w, r)
	case path == "/apis/authentication.k8s.io/v1/selfsubjectreviews":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"ann"}}}`)
	case path == orders && s.orders == nil:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"configmaps \"trimtab-orders\" not found"}`)
	case path == orders:
		if r.Method == http.MethodPatch {
			s.patch(r)
		}
		s.orders.TypeMeta.Kind, s.orders.TypeMeta.APIVersion = "ConfigMap", "v1"
		_ = sendJSON(w, s.orders)
	default:
		s.t.Errorf("%s %s", r.Method, r.URL.Path)
	}
}

func (s *apiserver) patch(r *http.Request) {
	var p struct{ Data map[string]*string }
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.Header.Get("Content-Type") != "application/merge-patch+json" {
		s.t.Error(r.Header, err)
	}
	for key, text := range p.Data { // the older answer goes before the new one comes
		if text == nil {
			delete(s.orders.Data, key)
		}
	}
	for key, text := range p.Data {
		if text == nil {
			continue
		}
		if err := json.Unmarshal([]byte(*text), &s.given); err != nil {
			s.t.Error(err)
		}
		at, _ := json.Marshal(s.given.At)
		s.orders.Data["answer."+key] = fmt.Sprintf(`{"at":%s,"ordered":%s,"text":%q}`, at, at, cmp.Or(s.says, "begun as x"))
	}
}

// start serves s and gives the kubeconfig to reach it.
func (s *apiserver) start(t *testing.T) string {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n", server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestApply: what a person approves is what the plan shows, in that person's name; the answer is printed.
func TestApply(t *testing.T) {
	s := &apiserver{plan: samplePlan(), orders: &corev1.ConfigMap{Data: map[string]string{"answer.apply.6277a818": `{"at":"2026-05-01T00:00:00Z","ordered":"2026-05-01T00:00:00Z","text":"old"}`}}}
	s.plan.Changes = []optimizer.Change{fewer("12345678", "other"), fewer("6277a818", "rec")}
	file := s.start(t)
	out, fault, code := told(applyVerb, "6277a818", "--kubeconfig", file)
	if code != 0 || out != "ordering: ml/rec: replicas 3 -> 2\nbegun as x\n" {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
	if o := s.given; o.Key != "apply.6277a818" || o.Verb != optimizer.Approve || o.ID != "6277a818" || o.By != "ann" || o.Seen.Replicas != 2 || time.Since(o.At) > time.Hour {
		t.Errorf("ordered %+v", o)
	}
	_, fault, code = told(applyVerb, "6277a881", "--kubeconfig", file)
	if code != 2 || !strings.Contains(fault, "proposes no 6277a881; did you mean one of these? 6277a818 (ml/rec), 12345678 (ml/other)") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
	s.plan.Changes = nil
	if _, fault, code = told(applyVerb, "6277a818", "--kubeconfig", file); code != 2 || !strings.Contains(fault, "it proposes nothing") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}

// TestOrderRefused: what the daemon did not do, be it a part, is a failure to whoever ordered it.
func TestOrderRefused(t *testing.T) {
	for _, says := range []string{
		"not done: the daemon was started without --enforce, so it may change nothing",
		"not done: resize pod m-1: refused by ResourceQuota q: exceeded quota",
		"not sent: there is no Report document monthly without faults; there are: weekly",
		"sent the report of week 47 of 2026 to a@example.com; not sent to b@example.com: 451 busy",
	} {
		s := &apiserver{orders: &corev1.ConfigMap{Data: map[string]string{}}, says: says}
		out, fault, code := told(reportVerb, "--send", "monthly", "--kubeconfig", s.start(t))
		if code != 1 || out != "" || fault != "trimtab: "+says+"\n" {
			t.Errorf("exit code %d\n%s%s", code, out, fault)
		}
	}
}

// TestWrongKubeconfig: a kubeconfig or an address that cannot be meant is bad input.
func TestWrongKubeconfig(t *testing.T) {
	file := (&apiserver{}).start(t)
	for args, want := range map[string]string{
		"--kubeconfig /nowhere/config":             "trimtab: kubeconfig /nowhere/config cannot be read: no such file or directory; name a file",
		"--kubeconfig " + file + " --context else": `trimtab: kubeconfig has no context "else"; there are: c`,
		"--server 127.0.0.1:8080":                  "write it with its scheme, such as http://localhost:8080",
		"--server daemon":                          "write it with its scheme",
		"--server ftp://daemon":                    "write it with its scheme",
	} {
		if out, fault, code := told(planVerb, strings.Fields(args)...); code != 2 || out != "" || !strings.Contains(fault, want) {
			t.Errorf("%s: exit code %d\n%s%s", args, code, out, fault)
		}
	}
}

func TestRevertVerb(t *testing.T) {
	s := &apiserver{orders: &corev1.ConfigMap{Data: map[string]string{}}}
	file := s.start(t)
	if _, fault, code := told(revertVerb, "x", "--kubeconfig", file); code != 2 || !strings.Contains(fault, "the ledger has no x; it is empty") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
	var all []string
	for n := range 5 {
		id, err := s.book.Begin(t.Context(), fewer("", fmt.Sprintf("w%d", n)), may.Add(time.Duration(n)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	out, fault, code := told(revertVerb, all[1], "--kubeconfig", file)
	if code != 0 || out != "ordering: ml/w1: take back replicas 3 -> 2\nbegun as x\n" || s.given.Verb != optimizer.Revert || s.given.ID != all[1] {
		t.Errorf("exit code %d, %+v\n%s%s", code, s.given, out, fault)
	}
	_, fault, code = told(revertVerb, all[3][:len(all[3])-1], "--kubeconfig", file)
	if code != 2 || !strings.Contains(fault, "did you mean one of these? "+all[3]+" (ml/w3), ") || strings.Count(fault, "ml/") != 3 {
		t.Errorf("exit code %d\n%s", code, fault)
	}
	s.orders = nil
	if _, fault, code := told(revertVerb, all[0], "--kubeconfig", file); code != 1 || !strings.Contains(fault, "install or upgrade it") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}

func TestOrderBadInput(t *testing.T) {
	for _, tt := range []struct {
		verb       func(context.Context, []string, io.Writer) error
		args, want string
	}{
		{applyVerb, "", "the form is: trimtab apply ID"},
		{revertVerb, "a b", "the form is: trimtab revert ID"},
		{revertVerb, "a --server http://127.0.0.1:1", "--server only reads; to order, leave it out and use a kubeconfig"},
		{applyVerb, "a --wait 0s", "--wait 0s: give a time such as 2m"},
		{historyVerb, "a/b c", "the form is: trimtab history [NAMESPACE/NAME]"},
		{historyVerb, "rec", "rec: write NAMESPACE/NAME"},
		{historyVerb, "a/b/c", "a/b/c: write NAMESPACE/NAME"},
		{historyVerb, "-o yaml", "-o yaml: choose text or json"},
	} {
		if out, fault, code := told(tt.verb, strings.Fields(tt.args)...); code != 2 || !strings.Contains(fault, tt.want) || out != "" {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s%s", tt.args, code, tt.want, out, fault)
		}
	}
}

// damaged is a ledger in which one key cannot be read.
type damaged struct{ ledger.Memory }

func (d *damaged) Entries(ctx context.Context) ([]optimizer.Entry, error) {
	entries, _ := d.Memory.Entries(ctx)
	return entries, fmt.Errorf("%w: key x", ledger.ErrDamaged)
}

// gone is a ledger behind an API server that does not answer.
type gone struct{ ledger.Memory }

func (*gone) Entries(context.Context) ([]optimizer.Entry, error) { return nil, errors.New("no route") }

func TestHistory(t *testing.T) {
	book := &damaged{}
	server := httptest.NewServer(historyHandler(&book.Memory))
	defer server.Close()
	if out, fault, code := told(historyVerb, "--server", server.URL); code != 0 || !strings.Contains(out, "changed nothing yet") {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
	for _, name := range []string{"rec", "web"} {
		if _, err := book.Begin(t.Context(), fewer("", name), may); err != nil {
			t.Fatal(err)
		}
	}
	for of, want := range map[string]int{"": 2, "ml/web": 1, "ml/none": 0} {
		args := []string{"--server", server.URL}
		if of != "" {
			args = append(args, of)
		}
		out, fault, code := told(historyVerb, args...)
		if code != 0 || strings.Count(out, "replicas 3 -> 2") != want {
			t.Errorf("history %s: exit code %d, want %d entries\n%s%s", of, code, want, out, fault)
		}
		var a historyAnswer
		out, _, _ = told(historyVerb, append(args, "-o", "json")...)
		if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.Entries) != want || want > 0 && a.Entries[0].Change.From.Replicas != 3 {
			t.Errorf("history %s -o json: %v\n%s", of, err, out)
		}
	}
	hurt := httptest.NewServer(historyHandler(book))
	defer hurt.Close()
	if out, _, code := told(historyVerb, "--server", hurt.URL); code != 0 || !strings.HasPrefix(out, "FAULT: the ledger is damaged: key x\n") || !strings.Contains(out, "ml/rec") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	away := httptest.NewServer(historyHandler(&gone{}))
	defer away.Close()
	if _, fault, code := told(historyVerb, "--server", away.URL); code != 1 || !strings.Contains(fault, "503 Service Unavailable: read the ledger: no route") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}

// TestDistance against its definition: the fewest letters to change, add or drop.
func TestDistance(t *testing.T) {
	var naive func(a, b string) int
	naive = func(a, b string) int {
		switch {
		case a == "" || b == "":
			return len(a) + len(b)
		case a[0] == b[0]:
			return naive(a[1:], b[1:])
		}
		return 1 + min(naive(a[1:], b[1:]), naive(a[1:], b), naive(a, b[1:]))
	}
	words := []string{"", "a", "ab", "ba", "abc", "acb", "xabcy", "3f9a2c", "3fa92c", "f9a2c"}
	for _, a := range words {
		for _, b := range words {
			if got, want := policies.Distance(a, b), naive(a, b); got != want {
				t.Errorf("%q to %q is %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestOrdersName: the verbs and the manifest mean the same ConfigMap.
func TestOrdersName(t *testing.T) {
	for _, o := range objectsOf(t, plainManifest) {
		if m, ok := o.(*corev1.ConfigMap); ok && m.Name == kube.OrdersName && m.Namespace == "trimtab" && len(m.Data) == 0 {
			return
		}
	}
	t.Errorf("install.yaml has no empty ConfigMap %s", kube.OrdersName)
}
