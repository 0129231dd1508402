//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRealNodes is level 3: what `make demo` shows, what is held and why, and what the daemon
// survives. The steps share one cluster and run in order.
func TestRealNodes(t *testing.T) {
	r := newRig(t)
	if level := r.must("localkube", "level"); !strings.HasPrefix(level, "3 ") {
		if os.Getenv("CI") != "" {
			t.Fatalf("this machine has lost level 3: %s", level)
		}
		t.Skipf("real nodes are not carried by this machine: %s", level)
	}
	before := traces()
	t.Cleanup(func() {
		if out, code := r.run("demo", "--out", r.out, "down"); code != 0 {
			t.Errorf("demo down: exit code %d\n%s", code, out)
		}
		leftovers(t, before)
	})
	text := r.must("demo", "--out", r.out, "--port", r.port, "--recommend-only", "up")
	steps := []struct {
		name string
		do   func(*testing.T, *rig)
	}{
		{"Nodes", nodes}, {"DaemonIsConfined", confined}, {"Recommends", recommends}, {"NothingWasChanged", unchanged},
		{"AnswersAgree", agree}, {"Onboarding", onboarding},
		{"BadPolicy", badPolicy}, {"Held", held}, {"MetricsServerStops", metricsStop}, {"DaemonIsKilled", killed},
		{"PodIsDeleted", deleted}, {"StartTwice", twice}, {"Silent", silent},
		{"Acts", acts}, {"NewerPod", newerPod},
		// Before the calendar's load begins, which would cost the pods that are tuned their time.
		{"Tuning", tuning}, {"ModelServer", modelServer},
		// The calendar's day passes while the steps up to the forecast are tested. None of them takes the cores for long: what is
		// learnt is what pods were given.
		{"Trials", trials}, {"CalendarBegins", calendarBegins}, {"Approved", approved}, {"MailFails", mailFails}, {"Refused", refused},
		{"RevertRefused", revertRefused}, {"Limits", limitsFollow}, {"LedgerUnwritable", unwritable}, {"MailRetried", mailRetried},
		{"Forecast", forecast},
		{"KilledAtEveryWrite", killedAtEveryWrite}, {"TakesOver", takesOver}, {"SwitchedOff", switchedOff},
	}
	for _, s := range steps {
		r.step(t, s.name, s.do)
	}
	if t.Failed() {
		t.Logf("what the demo printed:\n%s", text)
	}
}

// step runs a part of a test on the same cluster, with a test of its own to fail.
func (r *rig) step(t *testing.T, name string, do func(*testing.T, *rig)) {
	t.Run(name, func(t *testing.T) {
		own := *r
		own.t = t
		do(t, &own)
	})
}

// node is one machine of the cluster.
type node struct {
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
}

func nodes(t *testing.T, r *rig) {
	var list struct {
		Items []node `json:"items"`
	}
	r.get(&list, "nodes")
	capacity := map[string]bool{}
	real := slices.DeleteFunc(list.Items, func(n node) bool { return n.Metadata.Labels["type"] == "kwok" })
	for _, n := range real {
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
	if tainted, ok := capacity["spot"]; len(real) != 2 || !ok || !tainted || capacity["on-demand"] {
		t.Errorf("nodes by capacity, with whether they are tainted: %v", capacity)
	}
}

// confined: the daemon runs as the manifest promises, and may do no more than what enforcing needs.
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
	for _, may := range []string{"delete pods", "get secrets", "create pods", "patch nodes", "create clusterroles.rbac.authorization.k8s.io", "patch statefulsets.apps"} {
		verb, resource, _ := strings.Cut(may, " ")
		out, code := r.run("localkube", "kubectl", "--out", r.out, "auth", "can-i", verb, resource, "-n", "ml-production",
			"--as=system:serviceaccount:trimtab:trimtab")
		if code == 0 || !strings.HasSuffix(strings.TrimSpace(out), "no") { // before it there may be a warning

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
	r.eventually("the CLI and the API answer with the same pass", 2*time.Minute, func() bool {
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

// onboarding: a label on the namespace applies the built-in policy, which wants a day of history; in
// the first seconds nothing was measured at all.
func onboarding(t *testing.T, r *rig) {
	file := filepath.Join(r.root, "deploy/localkube/e2e/testdata/onboarded.yaml")
	r.kubectl("apply", "-f", file)
	r.until("the built-in policy holds the newcomer for want of history", 2*time.Minute, func(a answer) bool {
		w := a.of("newcomer")
		return w.Policy == "default" && (w.held() == "no-metrics" || w.held() == "too-little-history")
	})
	r.kubectl("delete", "-f", file, "--wait=false")
}

// badPolicy: every fault of a document is in the plan, an Event says so on its ConfigMap, what it means
// is held though another policy selects it, and all of that ends with it.
func badPolicy(t *testing.T, r *rig) {
	file := filepath.Join(r.root, "deploy/localkube/e2e/testdata/bad-policy.yaml")
	r.kubectl("apply", "-f", file)
	r.until("image-batch is held and both faults are named", 2*time.Minute, func(a answer) bool {
		return a.of("image-batch").held() == "bad-policy" && len(a.Plan.BadPolicies) == 1 && len(a.Plan.BadPolicies[0].Faults) == 2 &&
			recommended(a)
	})
	r.eventually("an Event on the ConfigMap", 2*time.Minute, func() bool {
		return strings.TrimSpace(r.kubectl("-n", "trimtab", "get", "events", "--field-selector", "involvedObject.name=bad-policy",
			"-o", "jsonpath={.items[*].reason}")) == "BadPolicy"
	})
	r.kubectl("delete", "-f", file)
	r.until("image-batch is free again", 2*time.Minute, func(a answer) bool {
		return a.of("image-batch").reasons() == "batch-on-demand" && len(a.Plan.BadPolicies) == 0
	})
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
