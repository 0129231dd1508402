package managed

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

var _ optimizer.Keeper = (*Keeper)(nil)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// quotes is the document of the tests.
func quotes() policies.Server {
	return policies.Server{
		Name: "quotes", Source: "server/quotes.yaml", Mode: policies.Enforce, Namespace: "a", Image: "m:1", Model: "valuation", Version: "v1",
		Class: fleet.Online, SLO: fleet.SLO{Latency: 50 * time.Millisecond, Percentile: 0.99}, Replicas: 1,
		Requests: fleet.Resources{MilliCPU: 50, Memory: 64 << 20}, Limits: fleet.Resources{MilliCPU: 1000, Memory: 256 << 20},
		Batch: policies.Batching{Size: 1, MaxDelay: 5 * time.Millisecond, Sizes: []int{1, 8, 32}, Trial: 15 * time.Second},
	}
}

// rig is a Keeper on a fake API server, whose pods are played by the rig.
type rig struct {
	*testing.T
	client *fake.Clientset
	ledger optimizer.Ledger
	keeper *Keeper
	set    policies.Set
	pods   map[string]*server // by IP
	now    time.Time
	owners []fleet.Owner
	bounds []fleet.Bounds
	web    *httptest.Server
}

func newRig(t *testing.T, servers ...policies.Server) *rig {
	r := &rig{T: t, client: fake.NewClientset(), ledger: &ledger.Memory{}, set: policies.Set{Servers: servers}, pods: map[string]*server{}, now: noon}
	r.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		ip, about, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/")
		p, ok := r.pods[ip]
		switch {
		case !ok:
			http.NotFound(w, q)
		case about == "":
			fmt.Fprint(w, p.metrics(r.now))
		case about == "v2/models/m/curve" && p.curve != "":
			fmt.Fprint(w, p.curve)
		default:
			http.NotFound(w, q)
		}
	}))
	t.Cleanup(r.web.Close)
	r.restart()
	return r
}

// restart makes a new Keeper, which knows nothing of the last.
func (r *rig) restart() {
	r.keeper = New(r.client, r.ledger, cost.Builtin(), slog.New(slog.DiscardHandler))
	r.keeper.url = func(ip string) string { return r.web.URL + "/" + ip }
}

// server plays a model server: what it takes for a request depends on the batch size.
type server struct {
	settings
	since   time.Time // the settings are in force
	slow    bool      // answers take 80 ms
	cold    bool      // its settings are never in force for long
	stuck   bool      // it takes up no settings
	counts  [3]int64  // up to 10 ms, 50 ms, 100 ms
	refused int64
	batches int64
	cpu     float64
	curve   string // what it answers when it is asked for its curve; empty: it does not know the question
	lies    int64  // rows that it says it computed and did not
}

// steady is a curve of 1.6 ms a batch and 0.4 ms a row, and 400 requests a second that come.
const steady = `{"model":"m","version":"v1","curve":{"wall":{"form":"linear","fixed_seconds":0.0016,"per_row_seconds":0.0004},
"cpu":{"form":"linear","fixed_seconds":0.0016,"per_row_seconds":0.0004},"error":0.02,"samples":500,"updated":"2026-11-21T12:00:00Z","largest_rows":64},
"age_seconds":1,"instances":1,"max_batch_rows":0,"arrivals":{"seconds":60,"rate":400,"burst":1,"peak":460,"rows":1,"interactive":0,"bulk":0}}`

// serve answers n requests of one row each under the settings in force, 2 rows a batch where it may: 2 ms of
// CPU a request with batches of one row, 1.2 otherwise.
func (s *server) serve(n int64) {
	bucket := 0
	if s.slow {
		bucket = 2
	}
	s.counts[bucket] += n
	rows := int64(min(max(s.BatchSize, 1), 2))
	s.batches += n / rows
	s.cpu += float64(n/rows) * (0.0016 + 0.0004*float64(rows))
}

// served is how many requests it answered.
func (s *server) served() int64 { return s.counts[0] + s.counts[1] + s.counts[2] }

func (s *server) metrics(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "modelserver_config_generation{model=\"m\"} %d\nmodelserver_config_age_seconds{model=\"m\"} %g\n", s.Generation, s.age(now))
	fmt.Fprintf(&b, "process_cpu_seconds_total %g\nprocess_resident_memory_bytes %d\n", 1.1*s.cpu, 32<<20)
	fmt.Fprintf(&b, "modelserver_requests_total{code=\"200\"} %d\nmodelserver_requests_total{code=\"400\"} 7\nmodelserver_requests_total{code=\"503\"} %d\n", s.served(), s.refused)
	fmt.Fprintf(&b, "modelserver_inferences_total{model=\"m\"} %d\nmodelserver_executions_total{model=\"m\"} %d\n", s.served()+s.lies, s.batches)
	fmt.Fprintf(&b, "modelserver_busy_seconds_total{model=\"m\"} %g\nmodelserver_compute_cpu_seconds_total{model=\"m\"} %g\n", s.cpu, s.cpu)
	fmt.Fprint(&b, "# TYPE model_prediction_latency_seconds histogram\n")
	for _, endpoint := range []string{"infer", "predict"} {
		sum := int64(0)
		for i, bound := range []string{"0.01", "0.05", "0.1"} {
			if endpoint == "infer" {
				sum += s.counts[i]
			}
			fmt.Fprintf(&b, "model_prediction_latency_seconds_bucket{endpoint=%q,le=%q} %d\n", endpoint, bound, sum)
		}
		fmt.Fprintf(&b, "model_prediction_latency_seconds_bucket{endpoint=%q,le=\"+Inf\"} %d\nmodel_prediction_latency_seconds_count{endpoint=%q} %d\n", endpoint, sum, endpoint, sum)
	}
	return b.String()
}

// pod adds a ready pod of the server called name, on the node od-1.
func (r *rig) pod(name, pod, ip string) *server {
	r.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: pod, UID: types.UID("uid-" + pod), Labels: map[string]string{policies.ServerLabel: name}}}
	p.Spec.NodeName = "od-1"
	s := quotes()
	for _, asked := range r.set.Servers {
		if asked.Name == name {
			s = asked
		}
	}
	p.Spec.Containers = []corev1.Container{{Name: container, Resources: corev1.ResourceRequirements{Requests: quantities(s.Requests), Limits: quantities(s.Limits)}}}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: container}},
	}
	if _, err := r.client.CoreV1().Pods("a").Create(r.Context(), p, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
	r.pods[ip] = &server{curve: steady}
	return r.pods[ip]
}

// kubelet brings the ConfigMap's settings to every pod.
func (r *rig) kubelet() {
	r.Helper()
	for _, p := range r.pods {
		if s := r.settings("quotes"); s != p.settings && !p.stuck {
			p.settings, p.since = s, r.now
		}
	}
}

// settings are those in the server's ConfigMap.
func (r *rig) settings(name string) settings {
	r.Helper()
	m, err := r.client.CoreV1().ConfigMaps("a").Get(r.Context(), name+ConfigSuffix, metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	var s settings
	if err := json.Unmarshal([]byte(m.Data[configKey]), &s); err != nil {
		r.Fatal(err)
	}
	return s
}

// snapshot is what the cycle would have observed: the Deployment with its pods, and an m5.large.
func (r *rig) snapshot() fleet.Snapshot {
	s := fleet.Snapshot{At: r.now, Bounds: r.bounds, Nodes: []fleet.Node{{
		Name: "od-1", InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.OnDemand, Ready: true,
		Allocatable: fleet.Resources{MilliCPU: 2000, Memory: 8 << 30},
	}}}
	d, err := r.client.AppsV1().Deployments("a").Get(r.Context(), "quotes", metav1.GetOptions{})
	if err == nil {
		c := d.Spec.Template.Spec.Containers[0]
		shape := fleet.PodShape{Containers: []fleet.Container{{Name: c.Name, Role: fleet.Main, Requests: amounts(c.Resources.Requests), Limits: amounts(c.Resources.Limits)}}}
		s.Workloads = []fleet.Workload{{Ref: fleet.Deployment("a", "quotes"), UID: string(d.UID) + "uid", Replicas: *d.Spec.Replicas, Owners: r.owners, Template: shape}}
	}
	return s
}

// abandon lets the grace pass in which a document may come back.
func (r *rig) abandon() {
	r.Helper()
	if _, written := r.keep(); len(written) > 0 {
		r.Errorf("written before the grace has passed: %q", written)
	}
	r.now = r.now.Add(deletionGrace)
}

// keep makes one pass, and gives the rows and what was written meanwhile.
func (r *rig) keep() (rows []optimizer.Kept, written []string) {
	r.Helper()
	rows, written, err := r.try(true)
	if err != nil {
		r.Fatal(err)
	}
	return rows, written
}

func (r *rig) try(write bool) (rows []optimizer.Kept, written []string, err error) {
	r.Helper()
	r.client.ClearActions()
	rows, err = r.keeper.Keep(r.Context(), r.set, r.snapshot(), write, r.now)
	return rows, writes(r.client.Actions()), err
}

// pass is one pass after some seconds, in which every pod answered n requests.
func (r *rig) pass(after time.Duration, n int64) []optimizer.Kept {
	r.Helper()
	r.now = r.now.Add(after)
	for _, p := range r.pods {
		p.serve(n)
	}
	rows, _ := r.keep()
	r.kubelet()
	return rows
}

// writes lists what was written: verb, resource and name.
func writes(actions []k8stesting.Action) []string {
	var out []string
	for _, a := range actions {
		switch a := a.(type) {
		case k8stesting.PatchAction:
			out = append(out, "patch "+a.GetResource().Resource+" "+a.GetName())
		case k8stesting.DeleteAction:
			out = append(out, "delete "+a.GetResource().Resource+" "+a.GetName())
		case k8stesting.CreateAction:
			out = append(out, "create "+a.GetResource().Resource)
		}
	}
	return out
}

// row is the row of a kind.
func row(t *testing.T, rows []optimizer.Kept, kind string) optimizer.Kept {
	t.Helper()
	i := slices.IndexFunc(rows, func(k optimizer.Kept) bool { return k.Kind == kind })
	if i < 0 {
		t.Fatalf("no row of a %s in %+v", kind, rows)
	}
	return rows[i]
}

// states is kind and state of every row.
func states(rows []optimizer.Kept) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Kind+" "+string(r.State))
	}
	return strings.Join(out, ", ")
}

// state is what the ConfigMap remembers.
func (r *rig) state() capacity.State {
	r.Helper()
	l, err := r.keeper.kinds[0].get(r.Context(), "a", "quotes"+ConfigSuffix)
	if err != nil {
		r.Fatal(err)
	}
	rec, ok := readRecord(l)
	if !ok {
		r.Fatal("the ConfigMap remembers nothing")
	}
	return rec.State
}

func (r *rig) entries() []optimizer.Entry {
	r.Helper()
	all, err := r.ledger.Entries(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	return all
}

// refuse lets the API server refuse a verb on a resource until the function it returns is called.
func (r *rig) refuse(verb, resource string, err error) (stop func()) {
	on := true
	r.client.PrependReactor(verb, resource, func(k8stesting.Action) (bool, runtime.Object, error) { return on, nil, err })
	return func() { on = false }
}

// age is the seconds for which the settings are in force.
func (s *server) age(now time.Time) float64 {
	if s.cold {
		return 0
	}
	return now.Sub(s.since).Seconds()
}
