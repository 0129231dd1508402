package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
)

// lists is an API server that lists objects and nothing else, and notes what it was asked.
type lists struct {
	objects map[string][]runtime.Object // by resource
	forbid  []string                    // paths
	mu      sync.Mutex
	asked   []string
}

func (l *lists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.asked = append(l.asked, r.Method+" "+r.URL.Path)
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet || r.URL.Query().Has("watch") || slices.Contains(l.forbid, r.URL.Path) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"%s is forbidden"}`, path.Base(r.URL.Path))
		return
	}
	what := path.Base(r.URL.Path)
	if path.Base(path.Dir(r.URL.Path)) == "namespaces" { // one of them
		json.NewEncoder(w).Encode(l.objects["namespaces"][0])
		return
	}
	items, _ := json.Marshal(l.objects[what])
	if len(l.objects[what]) == 0 {
		items = []byte("[]")
	}
	fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7"},"items":%s}`, items)
}

// articleLists sorts the article's objects by resource, with a node and a pod of its first Deployment.
func articleLists(t *testing.T) *lists {
	t.Helper()
	l := &lists{objects: map[string][]runtime.Object{}}
	for _, o := range articleObjects(t) {
		resource := map[string]string{"Namespace": "namespaces", "Deployment": "deployments", "LimitRange": "limitranges", "ResourceQuota": "resourcequotas",
			"Pod": "pods", "ReplicaSet": "replicasets", "Node": "nodes", "StatefulSet": "statefulsets", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
			"Service": "services"}[o.GetObjectKind().GroupVersionKind().Kind]
		if resource != "" {
			l.objects[resource] = append(l.objects[resource], o)
		}
	}
	if len(l.objects["deployments"]) == 0 || len(l.objects["namespaces"]) == 0 {
		t.Fatal("the article has no Deployment or no Namespace")
	}
	return l
}

// prometheusOf is a server that knows one container of each Deployment, which uses little and steadily.
func prometheusOf(t *testing.T, workloads []fleet.Ref) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/values") {
			fmt.Fprint(w, `{"status":"success","data":["container_cpu_usage_seconds_total","container_memory_working_set_bytes","trimtab_pod_owner"]}`)
			return
		}
		r.ParseForm()
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}}`, strings.Join(answerTo(r, workloads), ","))
	}))
	t.Cleanup(srv.Close)
	return srv
}

func answerTo(r *http.Request, workloads []fleet.Ref) (out []string) {
	q := r.Form.Get("query")
	value := map[bool]string{true: "0.02", false: "50000000"}[strings.Contains(q, "cpu")]
	if strings.Contains(q, "count_over_time") {
		value = "5"
	}
	start, _ := strconv.ParseFloat(r.Form.Get("start"), 64)
	end, _ := strconv.ParseFloat(r.Form.Get("end"), 64)
	step, _ := strconv.ParseFloat(r.Form.Get("step"), 64)
	var points []string
	for at := start; at <= end; at += step {
		points = append(points, fmt.Sprintf(`[%.3f,"%s"]`, at, value))
	}
	values := `"values":[` + strings.Join(points, ",") + `]}`
	for _, ref := range workloads {
		switch {
		case strings.Contains(q, "quantile"):
			return []string{`{"metric":{},"values":[[` + r.Form.Get("end") + `,"20"]]}`}
		case strings.Contains(q, "trimtab_pod_owner"):
			out = append(out, fmt.Sprintf(`{"metric":{"namespace":%q,"pod":"%s-7d9-b","kind":%q,"workload":%q},%s`, ref.Namespace, ref.Name, ref.Kind, ref.Name, values))
		default:
			out = append(out, fmt.Sprintf(`{"metric":{"namespace":%q,"pod":"%s-7d9-b","container":"model-server","image":"i"},%s`, ref.Namespace, ref.Name, values))
		}
	}
	return out
}

func deploymentsOf(l *lists) (refs []fleet.Ref) {
	for _, o := range l.objects["deployments"] {
		d := o.(*appsv1.Deployment)
		refs = append(refs, fleet.Deployment(d.Namespace, d.Name))
	}
	return refs
}

// TestLocalPlan: with nothing installed and by lists alone there is a plan of what the server's usage says.
func TestLocalPlan(t *testing.T) {
	l := articleLists(t)
	l.objects["pods"] = slices.DeleteFunc(l.objects["pods"], func(o runtime.Object) bool {
		return len(o.(*corev1.Pod).Status.ContainerStatuses) > 0 // it is being resized
	})
	delete(l.objects, "horizontalpodautoscalers") // which would hold the workload
	api := httptest.NewServer(l)
	defer api.Close()
	refs := deploymentsOf(l)
	prom := prometheusOf(t, refs)
	out, fault, code := run("plan", "--kubeconfig", kubeconfigFor(t, api.URL), "--context", "c", "--prometheus", prom.URL, "--lookback", "48h")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, fault)
	}
	for _, ref := range refs {
		if !strings.Contains(out, ref.String()) {
			t.Errorf("%s is not in\n%s", ref, out)
		}
	}
	if !strings.Contains(out, "CHANGE") {
		t.Errorf("nothing is proposed:\n%s", out)
	}
	for _, a := range l.asked {
		if !strings.HasPrefix(a, "GET ") || strings.Contains(a, "configmaps") || strings.Contains(a, "secrets") {
			t.Errorf("it asked %s", a)
		}
	}
}

// TestLocalPlanOfOneNamespace: a role in the namespace is enough; the nodes are done without, and said to be.
func TestLocalPlanOfOneNamespace(t *testing.T) {
	l := articleLists(t)
	ns := l.objects["namespaces"][0].(*corev1.Namespace).Name
	l.forbid = []string{"/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods", "/apis/apps/v1/deployments", "/apis/policy/v1/namespaces/" + ns + "/poddisruptionbudgets"}
	api := httptest.NewServer(l)
	defer api.Close()
	var said bytes.Buffer
	local := localPlan{outside: outside{url: prometheusOf(t, deploymentsOf(l)).URL}, only: ns, lookback: 24 * time.Hour, progress: &said}
	a, err := local.planFor(t.Context(), &rest.Config{Host: api.URL}, nil)
	if err != nil || len(a.Plan.Assessments) == 0 {
		t.Fatalf("%d workloads, %v", len(a.Plan.Assessments), err)
	}
	for _, want := range []string{"nodes may not be listed", "PodDisruptionBudgets may not be listed", "note: no requests of model servers", "read "} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q was not said:\n%s", want, said.String())
		}
	}
	local.only = ""
	if _, err := local.planFor(t.Context(), &rest.Config{Host: api.URL}, nil); err == nil || !strings.Contains(err.Error(), "is forbidden; give -n NAMESPACE") {
		t.Errorf("of all namespaces: %v", err)
	}
}

// TestLocalPlanFaults: each step that does not work is one clear line.
func TestLocalPlanFaults(t *testing.T) {
	l := articleLists(t)
	l.objects["namespaces"][0].(*corev1.Namespace).Labels = nil
	api := httptest.NewServer(l)
	defer api.Close()
	config := kubeconfigFor(t, api.URL)
	broken := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(broken, []byte("kind: Policy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(other, []byte("apiVersion: trimtab.dev/v1alpha1\nkind: Policy\nmetadata:\n  name: other\nspec:\n  selector:\n    namespaces: [elsewhere]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"status":"success","data":[]}`) }))
	defer bare.Close()
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--prometheus prometheus:9090", 2, "write it as https://"},
		{"--prometheus " + bare.URL + " --server http://x", 2, "give one of them"},
		{"--prometheus-ca x", 2, "give --prometheus URL too"},
		{"-n shop", 2, "give --prometheus URL too"},
		{"--prometheus " + bare.URL + " --lookback 5m", 2, "--lookback 5m0s: give 1h to 35d"},
		{"--prometheus " + bare.URL + " --lookback 90d", 2, "--lookback 90d: give 1h to 35d"},
		{"--prometheus " + bare.URL + " --policy " + broken, 2, "p.yaml:"},
		{"--prometheus " + bare.URL + " --kubeconfig " + config + " --context c --policy " + other, 2, "no workload is selected, of"},
		{"--prometheus " + bare.URL + " --kubeconfig " + config + " --context nowhere", 2, "nowhere"},
		{"--prometheus " + bare.URL + " --kubeconfig " + config + " --context c", 1, "no kube_pod_owner and no trimtab_pod_owner: connect kube-state-metrics"},
	} {
		out, fault, code := run(append([]string{"plan"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(fault, c.want) || out != "" {
			t.Errorf("trimtab plan %s: exit code %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, out, fault)
		}
	}
	api.Close()
	if _, fault, code := run("plan", "--prometheus", bare.URL, "--kubeconfig", config, "--context", "c"); code != 1 || !strings.Contains(fault, "read the cluster at") || !strings.Contains(fault, "refused") {
		t.Errorf("without an API server: exit code %d: %s", code, fault)
	}
}

// TestOutsideFlags: the flags and what they mean are in the help of both verbs.
func TestOutsideFlags(t *testing.T) {
	for _, verb := range []string{"run", "plan"} {
		out, _, code := run(verb, "--help")
		for _, want := range []string{"-prometheus URL", "-prometheus-header 'Name: value'", "-prometheus-token-file file", "-prometheus-ca file", "-prometheus-match matchers"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("trimtab %s --help: exit code %d, %q is not in\n%s", verb, code, want, out)
			}
		}
	}
	if _, fault, code := run("run", "--prometheus", "http://localhost:9090", "--store", "/data", "--prometheus-header", "x"); code != 2 ||
		!strings.Contains(fault, "leave one of them out") || !strings.Contains(fault, "header 1: write it as") {
		t.Errorf("exit code %d: %s", code, fault)
	}
}

// TestListerOnlyReads: whatever the client would write is not sent.
func TestListerOnlyReads(t *testing.T) {
	l := &lister{next: http.DefaultTransport, fail: func(error) {}, note: func(string) {}}
	req, _ := http.NewRequest(http.MethodPatch, "http://127.0.0.1:1/apis/apps/v1/namespaces/a/deployments/b", nil)
	if res, err := l.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "only reads") {
		t.Error(res, err)
	}
}

// calls notes what a fromOutside asks its reader for.
type calls struct {
	log  []string
	fail int // the call that fails, counted from 1, after its first chunk
}

func (c *calls) EachOf(_ context.Context, refs []fleet.Ref, since, until time.Time, do func([]fleet.Sample) error) error {
	hours := func(t time.Time) float64 { return t.Sub(then).Hours() }
	c.log = append(c.log, fmt.Sprintf("%d %v..%v", len(refs), hours(since), hours(until)))
	if err := do([]fleet.Sample{{At: since.Add(time.Hour)}}); err != nil {
		return err
	}
	if len(c.log) == c.fail {
		return fmt.Errorf("it broke")
	}
	return nil
}

var then = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// TestPastOfNewWorkloads: it is read once, before the present, goes on where it broke off, and is not read of
// workloads that have a history.
func TestPastOfNewWorkloads(t *testing.T) {
	a, b, c := fleet.Deployment("x", "a"), fleet.Deployment("x", "b"), fleet.Deployment("x", "c")
	var meant []fleet.Ref
	r := &calls{fail: 3}
	f := &fromOutside{reader: r, meant: func(context.Context) ([]fleet.Ref, error) { return meant, nil },
		known: func(ref fleet.Ref) (time.Time, bool) { return then, ref == c }}
	pass := func(since, until int, refs ...fleet.Ref) error {
		meant = refs
		return f.Each(t.Context(), then.Add(time.Duration(since)*time.Hour), then.Add(time.Duration(until)*time.Hour), func([]fleet.Sample) error { return nil })
	}
	const all = -35 * 24
	errs := []error{
		pass(all, 0, a, c),  // the first: everything is read anyway
		pass(0, 1, a, c),    // nothing is new
		pass(1, 2, a, b, c), // b is; it breaks off an hour in
		pass(1, 2, a, b, c), // and goes on
		pass(2, 3),          // nobody is meant any more
		pass(3, 4, a, b, c), // and again: all of them were read before
	}
	for i, err := range errs {
		if (err != nil) != (i == 2) {
			t.Errorf("pass %d: %v", i, err)
		}
	}
	want := []string{"2 -840..0", "2 0..1", "1 -838..1", "1 -837..1", "3 1..2", "0 2..3", "3 3..4"}
	if !slices.Equal(r.log, want) {
		t.Errorf("asked %q\nwant  %q", r.log, want)
	}
}

// TestPodOwners: every live pod is told with its workload.
func TestPodOwners(t *testing.T) {
	c := newPodOwners(func(context.Context) ([]kube.Endpoint, error) {
		return []kube.Endpoint{{Ref: fleet.Deployment("shop", "web"), Name: "web-1-a"}, {Ref: fleet.Ref{Namespace: "data", Kind: "StatefulSet", Name: "db"}, Name: "db-0"}}, nil
	})
	want := `
# HELP trimtab_pod_owner 1 for every live pod of a Deployment or StatefulSet: whose it is. It stands in for kube_pod_owner of kube-state-metrics.
# TYPE trimtab_pod_owner gauge
trimtab_pod_owner{kind="Deployment",namespace="shop",pod="web-1-a",workload="web"} 1
trimtab_pod_owner{kind="StatefulSet",namespace="data",pod="db-0",workload="db"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
