package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube/managed"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// servers is what a Keeper would tell of them.
type servers []capacity.Standing

func (k servers) Standing(namespace, name string) (capacity.Standing, bool) {
	for _, s := range k {
		if s.Ref() == namespace+"/"+name {
			return s, true
		}
	}
	return capacity.Standing{}, false
}

func (k servers) Standings() []capacity.Standing { return k }

const (
	tuneDocument = "testdata/tune/server.yaml"
	tuneCurve    = "testdata/tune/curve.json"
)

// tuned is what testdata/tune comes to under 400 requests a second.
var tuned = sync.OnceValues(func() (capacity.Standing, error) {
	a := sketch{document: tuneDocument, curve: tuneCurve, rate: 400, burst: 1, rows: 1}
	doc, wrongDoc := a.server()
	service, wrongCurve := a.service(context.Background(), doc)
	return a.standing(doc, service), errors.Join(wrongDoc, wrongCurve)
})

// serveKept serves a server with a plan and one of which nothing is known.
func serveKept(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(keptMux(t))
	t.Cleanup(srv.Close)
	return srv.URL
}

func keptMux(t *testing.T) *http.ServeMux {
	t.Helper()
	s, err := tuned()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	serversAPI(servers{s, {Namespace: "ml", Name: "young", Model: "image", Version: "v1", Missing: "no pod is ready"}})(mux)
	return mux
}

func TestServersAPI(t *testing.T) {
	base := serveKept(t)
	seventeen := "?what-if=" + strings.Repeat("batch=1%3B", 16) + "batch=1"
	for _, tt := range []struct {
		path string
		code int
		want string
	}{
		{"/api/v1/servers", 200, `"name":"young"`},
		{"/api/v1/servers/ml/scorer", 200, `"alternatives":[{`},
		{"/api/v1/servers/ml/young", 200, `"missing":"no pod is ready"`},
		{"/api/v1/servers/ml/scorer?what-if=replicas%3D2", 200, `"asked":"replicas=2"`},
		{"/api/v1/servers/ml/other", 404, "there is no inference server ml/other; there are ml/scorer, ml/young\n"},
		{"/api/v1/servers/ml/scorer?what-if=replicas%3D0,bach%3D2", 400, `what-if "replicas=0,bach=2": replicas=0 is not understood; write pods from 1 to 1000` + "\n" + `what-if "replicas=0,bach=2": there is no "bach" to set`},
		{"/api/v1/servers/ml/scorer?what-if=", 400, `"" is not KEY=VALUE`},
		{"/api/v1/servers/ml/scorer" + seventeen, 400, "17 what-ifs are too many; ask for at most 16 at once"},
		{"/api/v1/servers/ml/young?what-if=batch%3D1", 400, "no what-if of ml/young can be computed yet: no pod is ready"},
		{"/api/v1/servers/ml", 404, "not found"},
	} {
		if code, body := get(t, base+tt.path); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("GET %s is %d, want %d with %q:\n%.400s", tt.path, code, tt.code, tt.want, body)
		}
	}
	resp, err := http.Post(base+"/api/v1/servers/ml/scorer", "application/json", nil)
	if err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered with %v, %v", resp, err)
	}
}

// TestServersAreBrief: the list says what is in force and best, and leaves the rest to each server's own answer.
func TestServersAreBrief(t *testing.T) {
	_, body := get(t, serveKept(t)+"/api/v1/servers")
	var a serversAnswer
	if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Servers) != 2 {
		t.Fatal(err, body)
	}
	if p := a.Servers[0].Plan; p.Alternatives != nil || p.Frontier != nil || p.Now.Setting.Batch != 8 || p.Best.Setting.Batch == 0 {
		t.Errorf("%+v", p)
	}
	if len(body) > 10_000 {
		t.Errorf("two servers are %d bytes", len(body))
	}
}

// TestWhatIfsByName: a name again and a semicolon mean the same.
func TestWhatIfsByName(t *testing.T) {
	base := serveKept(t) + "/api/v1/servers/ml/scorer?"
	_, twice := get(t, base+url.Values{"what-if": {"replicas=2", "batch=16,cpu=400m"}}.Encode())
	_, joined := get(t, base+url.Values{"what-if": {"replicas=2;batch=16,cpu=400m"}}.Encode())
	if twice != joined {
		t.Errorf("%s\n%s", twice, joined)
	}
	var a serverAnswer
	if err := json.Unmarshal([]byte(joined), &a); err != nil || len(a.WhatIfs) != 2 {
		t.Fatal(err, joined)
	}
	if at := a.WhatIfs[1].Candidate.Setting; at.Batch != 16 || at.CPU != 400 || at.Replicas != 3 {
		t.Errorf("%+v; what is not named stays as it is in force", at)
	}
}

func TestTune(t *testing.T) {
	base := serveKept(t)
	for _, tt := range []struct {
		args string
		code int
		want []string
	}{
		{"", 0, []string{"ml/scorer  recommendation v2.1.0  3 x 500m, batch 8", "no pod is ready"}},
		{"-o json", 0, []string{`"version": "dev"`, `"name": "young"`}},
		{"ml/scorer", 0, []string{"PLAN ", "MODEL ", "LOAD ", "a month"}},
		{"ml/scorer --what-if replicas=2 --what-if batch=16,delay=0", 0, []string{"what if", "      replicas=2\n", "      batch=16,delay=0\n"}},
		{"ml/scorer --what-if replicas=2 -o json", 0, []string{`"asked": "replicas=2"`}},
		{"ml/young", 0, []string{"none yet: no pod is ready"}},
		{"ml/young --what-if batch=1", 1, []string{"no what-if of ml/young can be computed yet: no pod is ready"}},
		{"ml/other", 2, []string{"there is no inference server ml/other; there are ml/scorer, ml/young"}},
		{"ml/scorer --what-if cpu=2", 2, []string{`trimtab tune: what-if "cpu=2": limit 1 is below cpu 2`}},
	} {
		out, fault, code := told(tuneVerb, append(strings.Fields(tt.args), "--server", base)...)
		for _, want := range tt.want {
			if code != tt.code || !strings.Contains(out+fault, want) {
				t.Errorf("trimtab tune %s: exit code %d, want %d and %q\n%s%s", tt.args, code, tt.code, want, out, fault)
			}
		}
	}
}

// TestTuneThroughTheAPIServer: several what-ifs reach the daemon by its Service too, whose proxy is asked
// with one value of each name.
func TestTuneThroughTheAPIServer(t *testing.T) {
	const proxy = "/api/v1/namespaces/trimtab/services/http:trimtab:http/proxy"
	srv := httptest.NewServer(http.StripPrefix(proxy, keptMux(t)))
	defer srv.Close()
	file := kubeconfigFor(t, srv.URL)
	out, fault, code := told(tuneVerb, "ml/scorer", "--what-if", "replicas=2", "--what-if", "batch=16", "--kubeconfig", file)
	if code != 0 || strings.Count(out, "what if") != 2 {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
}

// kubeconfigFor is a file by which an API server at base is reached.
func kubeconfigFor(t *testing.T, base string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n", base)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTuneWithoutDaemon(t *testing.T) {
	if _, fault, code := told(tuneVerb, "ml/scorer", "--server", "http://127.0.0.1:1"); code != 1 || !strings.Contains(fault, "is it running there?") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}

func TestTuneBadInput(t *testing.T) {
	for _, tt := range []struct {
		args string
		want []string
	}{
		{"a b", []string{"the form is: trimtab tune [NAMESPACE/NAME]"}},
		{"scorer -o yaml", []string{"-o yaml: choose text or json", "scorer: write NAMESPACE/NAME"}},
		{"ml/scorer --what-if cores=1 --what-if batch=x", []string{`what-if "cores=1": there is no "cores" to set`, `what-if "batch=x": batch=x is not understood`}},
		{"--what-if batch=1", []string{"--what-if needs a server"}},
		{"ml/scorer --rate 5", []string{"--rate: for a plan without the daemon, but ml/scorer is a server of the daemon", "name its file with --document", "--curve is missing"}},
		{"--document x.yaml", []string{"--curve is missing", "--rate 0: give the requests", "x.yaml: cannot be read"}},
		{"--document testdata/tune/server.yaml --curve absent.json --rate 0 -o yaml --what-if cpu=8", []string{"-o yaml", "--rate 0", "limit 1 is below cpu 8", "absent.json: cannot be read"}},
		{"--document testdata/tune/curve.json --curve http://127.0.0.1:1 --rows 0 --what-if cores=1", []string{"--rate 0", "--rows 0", `there is no "cores" to set`, "testdata/tune/curve.json:"}},
		{"--document - --curve - --rate NaN", []string{"cannot both be standard input", "--rate NaN"}},
		{"--document x --curve y --rate 5 --burst -1 --peak 4 --rows 0 --core-month 3", []string{"--burst -1", "--peak 4", "--rows 0", "go together"}},
		{"--document absent.yaml --curve absent.json --rate 5", []string{"absent.yaml: cannot be read", "--curve absent.json: cannot be read"}},
		{"--document testdata/tune/curve.json --curve testdata/tune/server.yaml --rate 5", []string{"testdata/tune/curve.json:", "server.yaml: is not the answer of GET /v2/models/NAME/curve"}},
		{"--document ../../policies/testdata/good/minimal.yaml --curve testdata/tune/curve.json --rate 5", []string{"is a Policy; write an InferenceServer document"}},
		{"--document testdata/tune/server.yaml --curve testdata/tune/curve.json --rate 5 --what-if cpu=8", []string{"limit 1 is below cpu 8"}},
	} {
		out, fault, code := told(tuneVerb, strings.Fields(tt.args)...)
		for _, want := range tt.want {
			if code != 2 || !strings.Contains(fault, want) || out != "" {
				t.Errorf("trimtab tune %s: exit code %d, want 2 and %q\n%s%s", tt.args, code, want, out, fault)
			}
		}
	}
}

func TestTuneBadCurve(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		`{}`: "no batch of the model was seen yet",
		`{"curve":{"samples":3,"wall":{"fixed_seconds":-1}}}`: "are no times of batches",
		`{"curve":{"samples":3,"largest_rows":1,"wall":{"fixed_seconds":1},"cpu":{"fixed_seconds":1},"loaded":{"wall":{"fixed_seconds":-1}}}}`: "are no times of batches",
		`{"curve":{"samples":3,"wall":{"form":"cubic"}}}`: "cubic",
		`{"model":"image","curve":{"samples":3,"largest_rows":1,"wall":{"fixed_seconds":1,"per_row_seconds":1},"cpu":{"fixed_seconds":1}}}`: "it is of model image, but the document is of recommendation",
	} {
		file := filepath.Join(dir, "curve.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, fault, code := told(tuneVerb, "--document", tuneDocument, "--curve", file, "--rate", "5"); code != 2 || !strings.Contains(fault, want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", text, code, want, fault)
		}
	}
}

// TestTuneFileModel: a server has a file's name without the ending for its model, and so has its curve.
func TestTuneFileModel(t *testing.T) {
	dir := t.TempDir()
	document, curve := filepath.Join(dir, "server.yaml"), filepath.Join(dir, "curve.json")
	for file, from := range map[string]string{document: tuneDocument, curve: tuneCurve} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		mine := strings.NewReplacer("model: recommendation", "model: fraud.onnx", `"model":"recommendation"`, `"model":"fraud"`, `"model": "recommendation"`, `"model": "fraud"`).Replace(string(text))
		if err := os.WriteFile(file, []byte(mine), 0o600); err != nil || !strings.Contains(mine, "fraud") {
			t.Fatal(err, mine)
		}
	}
	out, fault, code := told(tuneVerb, "--document", document, "--curve", curve, "--rate", "400")
	if code != 0 || !strings.Contains(out, "ml/scorer: model fraud.onnx v2.1.0") {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
}

// TestTuneOffline: a plan of a document alone, at the prices that were given: 3 x 500m x $20 and 3 x 256Mi x $4
// are $33 a month.
func TestTuneOffline(t *testing.T) {
	args := []string{"--document", tuneDocument, "--curve", tuneCurve, "--rate", "400", "--core-month", "20", "--gib-month", "4", "--what-if", "replicas=2"}
	out, fault, code := told(tuneVerb, args...)
	for _, want := range []string{"Planned from " + tuneDocument, "ml/scorer: model recommendation v2.1.0", "700 us + 85 us a row (linear)", "$20.00 a core and $4.00 a GiB a month", "$33.00", "what if"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %q\n%s%s", code, want, out, fault)
		}
	}
	out, fault, code = told(tuneVerb, append(args, "-o", "json")...)
	var a serverAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != 0 || a.Server.Plan.Now.Month != 33_000_000 || len(a.WhatIfs) != 1 {
		t.Errorf("exit code %d, %v: %+v\n%s", code, err, a.Server.Plan.Now, fault)
	}
}

// TestRoomOf: what a document leaves open, but no request above its limit.
func TestRoomOf(t *testing.T) {
	doc, err := sketch{document: tuneDocument}.server()
	if err != nil {
		t.Fatal(err)
	}
	doc.Tune.CPU, doc.Tune.Memory = [2]int64{50, 4000}, [2]int64{64 << 20, 1 << 30} // limits are 1 core and 512Mi
	r := managed.Goal(doc).Room
	if r.CPU != [2]int64{50, 1000} || r.Memory != [2]int64{64 << 20, 512 << 20} || r.Replicas != [2]int{2, 6} || r.Redundancy != 1 || r.Margin != 0.2 {
		t.Errorf("%+v", r)
	}
	doc.Limits = fleet.Resources{}
	if r := managed.Goal(doc).Room; r.CPU[1] != 4000 || r.Memory[1] != 1<<30 {
		t.Errorf("without limits: %+v", r)
	}
}

// TestDaemonTellsOfServers: a running daemon has a list of them, which is empty without documents.
func TestDaemonTellsOfServers(t *testing.T) {
	p := wired(t, fake.NewClientset(articleObjects(t)...))
	stop := begin(t, p)
	base := "http://" + p.listener.Addr().String()
	eventually(t, "the list of servers, once the store is open", func() bool {
		out, _, code := told(tuneVerb, "--server", base)
		return code == 0 && strings.Contains(out, "no inference server here")
	})
	if _, fault, code := told(tuneVerb, "ml/scorer", "--server", base); code != 2 || !strings.Contains(fault, "there are none: Trimtab keeps") {
		t.Errorf("exit code %d\n%s", code, fault)
	}
	if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestTuneListPrice: m5.large is $0.096 an hour for 2 cores and 8 GiB, which weigh 2 x 31,611 and 8 x 4,237: of
// $70.08 a month 63,222/97,118 are the cores, so that one is $22.81; the rest is $3.06 a GiB.
func TestTuneListPrice(t *testing.T) {
	price, source := sketch{}.price()
	if price.Core.String() != "$22.81" || price.GiB.String() != "$3.06" || !strings.Contains(source, "m5.large") {
		t.Errorf("%s, %s: %s", price.Core, price.GiB, source)
	}
}

// TestCurveContract: what a model server answers is what is read here. The server may not import its tuner,
// so this is the one place where both are seen.
func TestCurveContract(t *testing.T) {
	base := serveModel(t)
	for _, from := range []string{base, base + "/", base + "/v2/models/m/curve"} {
		service, err := sketch{curve: from}.service(t.Context(), policies.Server{Model: "m"})
		if err != nil || !service.Curve.Known() || service.Path != assumedPath {
			t.Errorf("%s: %+v, %v", from, service, err)
		}
	}
	for from, model := range map[string]string{base: "m.onnx", base + "/v2/models/m/curve": "other"} {
		if _, err := (sketch{curve: from}).service(t.Context(), policies.Server{Model: model}); err != nil {
			t.Errorf("%s for a document of %s: %v", from, model, err)
		}
	}
	_, err := sketch{curve: base}.service(t.Context(), policies.Server{Model: "other"})
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "give the whole URL, .../v2/models/NAME/curve") {
		t.Errorf("a model that is not there: %v", err)
	}
	_, body := get(t, base+"/v2/models/m/curve")
	for _, name := range []string{`"model"`, `"curve"`, `"max_batch_rows"`, `"largest_rows"`} {
		if !strings.Contains(body, name) {
			t.Errorf("the model server does not answer %s:\n%s", name, body)
		}
	}
}
