//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRealNodes is level 3: what `make demo` shows, what is held and why, and what the daemon
// survives. The steps share one cluster and run in order.
func TestRealNodes(t *testing.T) {
	r := newRig(t)
	if level := r.must("localkube", "level"); !strings.HasPrefix(level, "3 ") {
		t.Skipf("real nodes are not carried by this machine: %s", level)
	}
	before := traces()
	t.Cleanup(func() {
		if out, code := r.run("demo", "--out", r.out, "down"); code != 0 {
			t.Errorf("demo down: exit code %d\n%s", code, out)
		}
		leftovers(t, before)
	})
	text := r.must("demo", "--out", r.out, "--port", r.port, "up")
	steps := []struct {
		name string
		do   func(*testing.T, *rig)
	}{
		{"Nodes", nodes}, {"DaemonIsConfined", confined}, {"Recommends", recommends}, {"NothingWasChanged", unchanged},
		{"AnswersAgree", agree}, {"Held", held}, {"MetricsServerStops", metricsStop}, {"DaemonIsKilled", killed},
		{"PodIsDeleted", deleted}, {"StartTwice", twice},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) { s.do(t, &rig{t: t, root: r.root, out: r.out, state: r.state, env: r.env}) })
	}
	if t.Failed() {
		t.Logf("what the demo printed:\n%s", text)
	}
}

func nodes(t *testing.T, r *rig) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string            `json:"name"`
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
			Spec struct {
				Taints []struct{ Key string } `json:"taints"`
			} `json:"spec"`
			Status struct {
				NodeInfo struct {
					KubeletVersion          string `json:"kubeletVersion"`
					ContainerRuntimeVersion string `json:"containerRuntimeVersion"`
				} `json:"nodeInfo"`
			} `json:"status"`
		} `json:"items"`
	}
	r.get(&list, "nodes")
	capacity := map[string]bool{}
	for _, n := range list.Items {
		capacity[n.Metadata.Labels["karpenter.sh/capacity-type"]] = len(n.Spec.Taints) > 0
		if n.Status.NodeInfo.KubeletVersion != "v1.36.3" || !strings.HasPrefix(n.Status.NodeInfo.ContainerRuntimeVersion, "containerd://") {
			t.Errorf("node %s runs %+v", n.Metadata.Name, n.Status.NodeInfo)
		}
		for _, label := range []string{"node.kubernetes.io/instance-type", "topology.kubernetes.io/region", "topology.kubernetes.io/zone"} {
			if n.Metadata.Labels[label] == "" {
				t.Errorf("node %s has no label %s", n.Metadata.Name, label)
			}
		}
	}
	if tainted, ok := capacity["spot"]; len(list.Items) != 2 || !ok || !tainted || capacity["on-demand"] {
		t.Errorf("nodes by capacity, with whether they are tainted: %v", capacity)
	}
}

// confined: the daemon runs as the manifest promises, and may not write outside its own namespace.
func confined(t *testing.T, r *rig) {
	var list struct {
		Items []struct {
			Spec struct {
				SecurityContext struct {
					RunAsNonRoot   bool
					SeccompProfile struct{ Type string }
				}
				Containers []struct {
					SecurityContext struct {
						ReadOnlyRootFilesystem, AllowPrivilegeEscalation bool
						Capabilities                                     struct{ Drop []string }
					}
				}
			}
			Status struct {
				ContainerStatuses []struct{ RestartCount int }
			}
		}
	}
	r.get(&list, "pods", "-n", "trimtab")
	if len(list.Items) != 1 {
		t.Fatalf("%d daemon pods", len(list.Items))
	}
	pod := list.Items[0]
	c := pod.Spec.Containers[0].SecurityContext
	if s := pod.Spec.SecurityContext; !s.RunAsNonRoot || s.SeccompProfile.Type != "RuntimeDefault" ||
		!c.ReadOnlyRootFilesystem || c.AllowPrivilegeEscalation || !slices.Equal(c.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("security context: %+v %+v", s, c)
	}
	if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 {
		t.Errorf("the daemon restarted %d times", n)
	}
	for _, may := range []string{"patch deployments.apps", "patch pods", "update resourcequotas", "create events"} {
		verb, resource, _ := strings.Cut(may, " ")
		out, code := r.run("localkube", "kubectl", "--out", r.out, "auth", "can-i", verb, resource, "-n", "ml-production",
			"--as=system:serviceaccount:trimtab:trimtab")
		if code == 0 || strings.TrimSpace(out) != "no" {
			t.Errorf("the daemon may %s: %s", may, out)
		}
	}
}

func recommends(t *testing.T, r *rig) {
	a, ok := r.plan()
	if !ok {
		t.Fatal("no plan")
	}
	rec := a.of("recommendation-model")
	if rec.reasons() != "cpu-underused few-requests" || rec.held() != "" {
		t.Fatalf("recommendation-model: %s, held %q", rec.reasons(), rec.held())
	}
	cpu := rec.Verdicts[0].Target.Requests[0].Requests
	if cpu.MilliCPU < 5 || cpu.MilliCPU > 150 || cpu.Memory < 8<<20 || cpu.Memory > 256<<20 {
		t.Errorf("recommendation-model needs %+v of 500m and 1Gi", cpu)
	}
	if n := rec.Verdicts[1].Target.Replicas; n != 2 {
		t.Errorf("recommendation-model: %d replicas, want one step down to 2", n)
	}
	if w := a.of("property-valuation"); w.Ref.Name == "" || w.reasons() != "" || w.held() != "" || len(w.Use) < 3 {
		t.Errorf("property-valuation is sized rightly, but: %s, held %q, use %v", w.reasons(), w.held(), w.Use)
	}
	if w := a.of("image-batch"); w.reasons() != "batch-on-demand" || w.Verdicts[0].Target.Capacity != "spot" {
		t.Errorf("image-batch: %+v", w.Verdicts)
	}
	if p := a.Plan; p.Now.Amount <= p.After.Amount || p.After.Amount <= 0 || len(p.Now.Unpriced) > 0 {
		t.Errorf("a month costs %+v now and %+v after", p.Now, p.After)
	}
	if len(a.Plan.Lint) == 0 || a.Plan.Lint[0].Item != "limits.nvidia.com/gpu" {
		t.Errorf("the quota line that nothing enforces is not named: %+v", a.Plan.Lint)
	}
}

// unchanged: in recommend mode the workloads are as they were applied.
func unchanged(t *testing.T, r *rig) {
	for name, want := range map[string]string{"recommendation-model": "3 500m 1Gi 1 1", "image-batch": "1 150m 64Mi 1 1"} {
		got := r.kubectl("-n", "ml-production", "get", "deployment", name, "-o",
			"jsonpath={.spec.replicas} {.spec.template.spec.containers[0].resources.requests.cpu} {.spec.template.spec.containers[0].resources.requests.memory} {.metadata.generation} {.status.observedGeneration}")
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// agree: of one pass, the CLI, asked by a person with the viewer's rights alone, prints the plan that
// the daemon decided, and the daemon's own metrics count the same changes and dollars.
func agree(t *testing.T, r *rig) {
	viewer := r.viewer()
	r.eventually("the CLI and the API answer with the same pass", 30*time.Second, func() bool {
		var daemon, cli map[string]any
		raw := r.kubectl("get", "--raw", proxied+"/api/v1/plan")
		out := r.must("trimtab", "plan", "-o", "json", "--kubeconfig", viewer)
		metrics := r.kubectl("get", "--raw", proxied+"/metrics")
		for text, into := range map[string]any{raw: &daemon, out: &cli} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatal(err)
			}
		}
		a, b := daemon["plan"].(map[string]any), cli["plan"].(map[string]any)
		if a["at"] != b["at"] {
			return false
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("the daemon decided\n%s\nand the CLI says\n%s", raw, out)
		}
		if n := len(a["changes"].([]any)); !strings.Contains(metrics, "\ntrimtab_changes_proposed "+itoa(n)+"\n") {
			t.Errorf("the plan has %d changes, the metrics say otherwise", n)
		}
		return true
	})
	if text := r.must("trimtab", "plan", "--kubeconfig", filepath.Join(r.out, "kubeconfig")); !strings.Contains(text, "recommendation-model") {
		t.Errorf("trimtab plan:\n%s", text)
	}
	if _, code := r.run("trimtab", "explain", "ml-production/absent", "--kubeconfig", filepath.Join(r.out, "kubeconfig")); code != 2 {
		t.Errorf("explain of an unknown workload: exit code %d, want 2", code)
	}
}

const proxied = "/api/v1/namespaces/trimtab/services/trimtab:http/proxy"

// viewer is the kubeconfig of a ServiceAccount that has nothing but the Role trimtab-viewer.
func (r *rig) viewer() string {
	r.t.Helper()
	r.kubectl("-n", "trimtab", "create", "serviceaccount", "someone")
	r.kubectl("-n", "trimtab", "create", "rolebinding", "someone", "--role=trimtab-viewer", "--serviceaccount=trimtab:someone")
	token := strings.TrimSpace(r.kubectl("-n", "trimtab", "create", "token", "someone"))
	text, err := os.ReadFile(filepath.Join(r.out, "kubeconfig"))
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(r.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
	config := func(args ...string) {
		r.must("localkube", append([]string{"kubectl", "--out", r.out, "--kubeconfig", file, "config"}, args...)...)
	}
	config("set-credentials", "someone", "--token="+token)
	config("set-context", "--current", "--user=someone")
	return file
}

func held(t *testing.T, r *rig) {
	want := map[string]string{
		"unmeasured": "no-metrics", "image-analysis-model": "gpu-unknown", "contested": "two-policies", "feature-store": "unsupported-kind",
	}
	r.kubectl("apply", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/held.yaml"))
	a := r.until("every workload is held for its own reason", 3*time.Minute, func(a answer) bool {
		for name, reason := range want {
			if !strings.Contains(a.of(name).held(), reason) {
				return false
			}
		}
		return strings.Contains(a.of("autoscaled").held(), "autoscaler")
	})
	for name := range want {
		if w := a.of(name); len(w.Verdicts) > 0 {
			t.Errorf("%s is held, yet has verdicts %s", name, w.reasons())
		}
	}
	for _, c := range a.Plan.Changes {
		if _, isHeld := want[c.Ref.Name]; isHeld || c.Ref.Name == "autoscaled" {
			t.Errorf("the plan changes %s", c.Ref.Name)
		}
	}
	r.kubectl("delete", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/held.yaml"), "--wait=false")
}

// metricsStop: while metrics-server does not answer, nothing is recommended out of old data: no
// right-sizing. The replica rule stands on the model servers' own fresh counters and goes on.
func metricsStop(t *testing.T, r *rig) {
	pid := r.inside("metrics-server", "--secure-port")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	r.until("stale measurements hold recommendation-model", 4*time.Minute, func(a answer) bool {
		w := a.of("recommendation-model")
		return w.held() == "stale-metrics" && w.reasons() == "few-requests"
	})
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.until("it recovers", 3*time.Minute, recommended)
}

func recommended(a answer) bool {
	return a.of("recommendation-model").reasons() == "cpu-underused few-requests"
}

// killed: SIGKILL in the middle of its writes costs the daemon no history.
func killed(t *testing.T, r *rig) {
	before := r.until("it recommends", time.Minute, recommended)
	gone := time.Now()
	if err := syscall.Kill(r.inside("/trimtab", "run", "--store"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.eventually("the container was restarted", time.Minute, func() bool {
		return r.kubectl("-n", "trimtab", "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}") == "1"
	})
	after := r.until("it recommends again", 2*time.Minute, recommended)
	sameHistory(t, gone, after)
	// The policy looks back 10 minutes: until that has passed since the first reading, none leaves the window.
	was, is := before.of("recommendation-model").readings("cpu"), after.of("recommendation-model").readings("cpu")
	if time.Since(before.Pass.SeriesSince) < 9*time.Minute && is < was {
		t.Errorf("%d readings of CPU after the kill, %d before", is, was)
	}
	if !after.Pass.SeriesSince.Equal(before.Pass.SeriesSince) {
		t.Errorf("series since %s, before the kill %s", after.Pass.SeriesSince, before.Pass.SeriesSince)
	}
}

// deleted: the pod goes and its disk with it; the history comes back from its checkpoints.
func deleted(t *testing.T, r *rig) {
	before := r.until("it recommends", time.Minute, recommended)
	old, gone := before.of("recommendation-model"), time.Now()
	name := func() string {
		return r.kubectl("-n", "trimtab", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
	}
	was := name()
	r.kubectl("-n", "trimtab", "delete", "pod", "-l", "app.kubernetes.io/name=trimtab")
	r.kubectl("-n", "trimtab", "rollout", "status", "deployment/trimtab", "--timeout=60s")
	if name() == was {
		t.Fatalf("%s is still there", was)
	}
	after := r.until("the new pod recommends", time.Minute, recommended)
	sameHistory(t, gone, after)
	got, want := after.of("recommendation-model").Verdicts[0].Target, old.Verdicts[0].Target
	if len(got.Requests) != 1 || got.Requests[0] != want.Requests[0] {
		t.Errorf("target after the pod was deleted: %+v, before: %+v", got, want)
	}
}

// sameHistory: what was measured before the daemon went is still there: the history begins well
// before that moment, not after it. It need not begin where it did, for its window moves on.
func sameHistory(t *testing.T, gone time.Time, after answer) {
	t.Helper()
	if got := after.of("recommendation-model").since("cpu"); got.IsZero() || got.After(gone.Add(-time.Minute)) {
		t.Errorf("history of CPU since %s, the daemon went at %s", got, gone)
	}
}

// twice: a second up finds the cluster as it is.
func twice(t *testing.T, r *rig) {
	uid := func() string { return r.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}") }
	before := uid()
	r.must("localkube", "up", "--out", r.out)
	if uid() != before {
		t.Error("a second up made a new cluster")
	}
}

// inside finds the one process of this rig's cluster whose command line has the words. The
// supervisor, which names its state directory, is the first process of a pid namespace of its own;
// containers have namespaces below that.
func (r *rig) inside(words ...string) int {
	r.t.Helper()
	var found []int
	for _, pid := range processes(words...) {
		if r.ours(pid) {
			found = append(found, pid)
		}
	}
	if len(found) != 1 {
		r.t.Fatalf("%d processes %v in the cluster, want 1", len(found), words)
	}
	return found[0]
}

// ours follows a process' parents up to the supervisor of this rig's cluster.
func (r *rig) ours(pid int) bool {
	for ; pid > 1; pid = parent(pid) {
		if slices.Contains(processes("supervise", r.state), pid) {
			return true
		}
	}
	return false
}

func parent(pid int) int {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}

// traces are the marks that clusters have on this machine: supervisors and control groups.
func traces() []string {
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/trimtab-*")
	unified, _ := filepath.Glob("/sys/fs/cgroup/trimtab-*")
	out := append(groups, unified...)
	for _, pid := range processes("kube-apiserver", "--etcd-servers") {
		out = append(out, "process "+itoa(pid))
	}
	return out
}

// leftovers: after down nothing of the cluster is on the machine.
func leftovers(t *testing.T, before []string) {
	for _, mark := range traces() {
		if !slices.Contains(before, mark) {
			t.Errorf("%s stays after down", mark)
		}
	}
}
