//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/audit"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

const daemonUser = "system:serviceaccount:trimtab:trimtab"

// writes is what user wrote outside the daemon's own namespace since a moment, as the API server noted it.
func (r *rig) writes(user string, since time.Time) []audit.Write {
	r.t.Helper()
	all, err := audit.File(filepath.Join(r.state, cluster.AuditLog))
	if err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(w audit.Write) bool {
		return w.User != user || !w.Done() || w.Namespace == "trimtab" || w.Resource == "events" || w.At.Before(since)
	})
}

// silent: while its policy only recommends, the daemon writes nothing outside its own namespace, though
// it was started with --enforce.
func silent(t *testing.T, r *rig) {
	all, err := audit.File(filepath.Join(r.state, cluster.AuditLog))
	if err != nil || !slices.ContainsFunc(all, func(w audit.Write) bool { return w.User == daemonUser && w.Namespace == "trimtab" }) {
		t.Errorf("the audit log has no write of the daemon's at all: %d writes, %v", len(all), err)
	}
	for _, w := range r.writes(daemonUser, time.Time{}) {
		t.Errorf("in recommend mode: %s", w)
	}
}

// livePod is a pod as far as these tests read it.
type livePod struct {
	Metadata struct {
		Name, UID  string
		Generation int64
		Labels     map[string]string
	}
	Spec struct {
		NodeName   string
		Containers []struct {
			Resources struct{ Requests map[string]string }
		}
	}
	Status struct {
		ContainerStatuses []struct {
			RestartCount int
			Ready        bool
			Resources    struct{ Requests, Limits map[string]string }
		}
	}
}

// pods of one app that run, in a namespace.
func (r *rig) pods(namespace, app string) []livePod {
	r.t.Helper()
	return r.labelled(namespace, "app="+app)
}

// labelled are the pods with a label that run, in a namespace.
func (r *rig) labelled(namespace, label string) []livePod {
	r.t.Helper()
	var list struct{ Items []livePod }
	r.get(&list, "pods", "-n", namespace, "-l", label, "--field-selector=status.phase=Running")
	return slices.DeleteFunc(list.Items, func(p livePod) bool { return len(p.Status.ContainerStatuses) == 0 })
}

// entry is a change of the ledger as `trimtab history -o json` gives it.
type entry struct {
	ID     string `json:"id"`
	Change struct {
		ID      string   `json:"id"`
		Ref     ref      `json:"ref"`
		Reasons []string `json:"reasons"`
		By      string   `json:"by"`
		Reverts string   `json:"reverts"`
		Keeper  string   `json:"keeper"`
	} `json:"change"`
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail"`
}

// history is what the ledger has of one workload, oldest first.
func (r *rig) history(workload string) []entry {
	r.t.Helper()
	var a struct {
		Entries []entry `json:"entries"`
	}
	out := r.must("trimtab", "history", workload, "-o", "json", "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		r.t.Fatalf("trimtab history %s: %v\n%s", workload, err, out)
	}
	slices.SortFunc(a.Entries, func(a, b entry) int { return a.Begun.Compare(b.Begun) })
	return a.Entries
}

// acts: `demo act` sets the second switch, and the cluster's own objects show what was promised.
func acts(t *testing.T, r *rig) {
	pods := r.pods("ml-production", "recommendation-model")
	was := map[string]bool{}
	for _, p := range pods {
		was[p.Metadata.UID] = true
	}
	text := r.must("demo", "--out", r.out, "--port", r.port, "act")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the demo printed:\n%s", text)
		}
	})
	resized(t, r, was)
	moved(t, r)
	tuned(t, r)
	governed(t, r)
	noLosses(t, r)
	mailed(t, r)
	if !strings.Contains(text, "limits.nvidia.com/gpu") && !strings.Contains(r.must("trimtab", "plan", "--kubeconfig", filepath.Join(r.out, "kubeconfig")), "limits.nvidia.com/gpu") {
		t.Error("the quota line that nothing enforces is not named")
	}
	if a, ok := r.plan(); !ok || len(a.of("image-analysis-model").Advice) == 0 || a.of("image-analysis-model").Advice[0].Saving.Amount <= 0 {
		t.Error("no advice with its dollars on the GPUs of image-analysis-model")
	}
}

// resized: two of the very pods that were there before run on with smaller requests, as the kubelet
// reports them and as the kernel has them, and nothing was restarted or rolled.
func resized(t *testing.T, r *rig, was map[string]bool) {
	pods := r.pods("ml-production", "recommendation-model")
	if len(pods) != 2 {
		t.Errorf("%d pods of recommendation-model, want 2", len(pods))
	}
	for _, p := range pods {
		s := p.Status.ContainerStatuses[0]
		if !was[p.Metadata.UID] || s.RestartCount != 0 || !s.Ready {
			t.Errorf("%s: one of the first pods: %v, restarts %d, ready %v", p.Metadata.Name, was[p.Metadata.UID], s.RestartCount, s.Ready)
		}
		if cpu := s.Resources.Requests["cpu"]; cpu == "500m" || cpu == "" || cpu != p.Spec.Containers[0].Resources.Requests["cpu"] {
			t.Errorf("%s has cpu %q, asks for %q", p.Metadata.Name, cpu, p.Spec.Containers[0].Resources.Requests["cpu"])
		}
		if s.Resources.Limits["cpu"] != "1" || s.Resources.Limits["memory"] != "2Gi" {
			t.Errorf("%s: its limits were touched: %v", p.Metadata.Name, s.Resources.Limits)
		}
		if got, want := r.shares(p.Metadata.UID), sharesOf(s.Resources.Requests["cpu"]); got != want {
			t.Errorf("%s: the kernel gives it cpu.shares %d, its request is worth %d", p.Metadata.Name, got, want)
		}
	}
	got := r.kubectl("-n", "ml-production", "get", "deployment", "recommendation-model", "-o",
		"jsonpath={.spec.replicas} {.spec.template.spec.containers[0].resources.requests.cpu} {.metadata.generation}")
	if got != "2 500m 2" {
		t.Errorf("recommendation-model: replicas, template's cpu and generation are %s, want 2 500m 2: one write", got)
	}
	sets := r.kubectl("-n", "ml-production", "get", "replicasets", "-l", "app=recommendation-model", "-o", "jsonpath={.items[*].status.replicas}")
	if sets != "2" {
		t.Errorf("ReplicaSets of recommendation-model: %s, want one of 2", sets)
	}
	h := r.history("ml-production/recommendation-model")
	if len(h) != 1 || h[0].Outcome != "done" || !slices.Equal(h[0].Change.Reasons, []string{"cpu-underused", "few-requests"}) {
		t.Errorf("ledger: %+v", h)
	}
}

// shares is cpu.shares of a pod's control group, as the kernel has it; cgroup v1.
func (r *rig) shares(uid string) int64 {
	r.t.Helper()
	var files []string
	for _, above := range []string{"*", "*/*", "*/*/*"} {
		found, _ := filepath.Glob("/sys/fs/cgroup/cpu/" + above + "/burstable/pod" + uid + "/cpu.shares")
		files = append(files, found...)
	}
	if len(files) == 0 {
		r.t.Fatalf("no control group of pod %s", uid)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		r.t.Fatal(err)
	}
	var n int64
	fmt.Sscan(string(text), &n)
	return n
}

// sharesOf is what the kubelet makes of a CPU request: 1024 shares a core, at least 2.
func sharesOf(cpu string) int64 {
	var milli int64
	fmt.Sscanf(cpu, "%dm", &milli)
	return max(2, milli*1024/1000)
}

// moved: the batch workload runs on the spot node, by a toleration and a preference that can be undone.
func moved(t *testing.T, r *rig) {
	for _, p := range r.pods("ml-production", "image-batch") {
		if !strings.Contains(p.Spec.NodeName, "spot") {
			t.Errorf("image-batch runs on %s", p.Spec.NodeName)
		}
	}
	required := r.kubectl("-n", "ml-production", "get", "deployment", "image-batch", "-o",
		"jsonpath={.spec.template.spec.nodeSelector}{.spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution}")
	preferred := r.kubectl("-n", "ml-production", "get", "deployment", "image-batch", "-o",
		"jsonpath={.spec.template.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].preference.matchExpressions[*].key} {.spec.template.spec.tolerations[*].key}")
	if required != "" || preferred != "karpenter.sh/capacity-type spot" {
		t.Errorf("placement of image-batch: required %q, preferred and tolerated %q", required, preferred)
	}
}

// tuned: the managed server's ConfigMap has the size that its pods acknowledge, and the ledger has p99
// and dollars of before and after.
func tuned(t *testing.T, r *rig) {
	h := r.history("ml-production/price-quotes")
	if len(h) == 0 {
		t.Fatal("the ledger has nothing of price-quotes")
	}
	last := h[len(h)-1]
	beforeAndAfter := regexp.MustCompile(`p99 \S+ m?s -> \S+ m?s, CPU a request \S+ m?s -> \S+ m?s, \$[0-9.]+ -> predicted \$[0-9.]+, realised \$[0-9.]+ per 1,000 requests within the SLO \(predicted at [0-9.,]+ a second, realised at [0-9.,]+\): kept`)
	if last.Outcome != "done" || last.Change.Keeper != "managed" || !beforeAndAfter.MatchString(last.Detail) {
		t.Errorf("ledger: %+v", last)
	}
	var config struct {
		BatchSize  int   `json:"batch_size"`
		Generation int64 `json:"generation"`
	}
	text := r.kubectl("-n", "ml-production", "get", "configmaps", "-l", "trimtab.dev/inference-server=price-quotes", "-o", `jsonpath={.items[0].data.model_config\.json}`)
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatalf("model-config: %v\n%s", err, text)
	}
	if config.BatchSize <= 1 {
		t.Errorf("batch size %d was found best; single rows at this rate are cheaper in batches", config.BatchSize)
	}
	acknowledged := regexp.MustCompile(`(?m)^modelserver_config_generation\{[^}]*\} (\d+)$`)
	for _, p := range r.pods("ml-production", "price-quotes") {
		m := acknowledged.FindStringSubmatch(r.kubectl("get", "--raw", "/api/v1/namespaces/ml-production/pods/"+p.Metadata.Name+":8080/proxy/metrics"))
		if m == nil || m[1] != fmt.Sprint(config.Generation) {
			t.Errorf("%s acknowledges %v, the ConfigMap has generation %d", p.Metadata.Name, m, config.Generation)
		}
	}
}

// governed: quota and LimitRange are there in the form that is enforced, and come back when somebody
// takes them away.
func governed(t *testing.T, r *rig) {
	quota := func() string {
		return r.kubectl("-n", "ml-research", "get", "resourcequotas", "-o", `jsonpath={.items[*].spec.hard.requests\.nvidia\.com/gpu}{.items[*].spec.hard.limits\.nvidia\.com/gpu}`)
	}
	if quota() != "10" {
		t.Errorf("GPUs in the quota of ml-research: %q, want the enforced 10", quota())
	}
	name := r.kubectl("-n", "ml-research", "get", "resourcequotas", "-o", "jsonpath={.items[0].metadata.name}")
	r.kubectl("-n", "ml-research", "patch", "resourcequota", name, "--type=merge", "-p", `{"spec":{"hard":{"requests.nvidia.com/gpu":"99"}}}`)
	r.eventually("the quota is repaired", 2*time.Minute, func() bool { return quota() == "10" })
	range_ := r.kubectl("-n", "ml-research", "get", "limitranges", "-o", "jsonpath={.items[0].metadata.name}")
	r.kubectl("-n", "ml-research", "delete", "limitrange", range_)
	r.eventually("the LimitRange is there again", 2*time.Minute, func() bool {
		return r.kubectl("-n", "ml-research", "get", "limitranges", "-o", "jsonpath={.items[*].metadata.name}") == range_
	})
}

var sums = regexp.MustCompile(`sent=(\d+) ok=\d+ failed=(\d+)`)

// noLosses: of all requests since the models began, every one was answered 200 at the first try.
func noLosses(t *testing.T, r *rig) {
	for _, name := range []string{"recommendation-service", "valuation-service", "image-batch-service", "price-quotes"} {
		text := r.kubectl("-n", "demo-load", "logs", "deployment/load-"+name, "--tail=-1")
		sent, failed := 0, 0
		for _, m := range sums.FindAllStringSubmatch(text, -1) {
			var s, f int
			fmt.Sscan(m[1], &s)
			fmt.Sscan(m[2], &f)
			sent, failed = sent+s, failed+f
		}
		if sent == 0 || failed > 0 {
			t.Errorf("load on %s: %d sent, %d failed\n%s", name, sent, failed, text)
		}
	}
}

const sink = "/api/v1/namespaces/demo-mail/services/mailsink:http/proxy"

// mailed: both recipients got the report, with the same numbers as text and as HTML.
func mailed(t *testing.T, r *rig) {
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(r.kubectl("get", "--raw", sink+"/messages")), &list); err != nil || len(list) != 2 {
		t.Fatalf("%d mails were received, want one for each of 2 recipients (%v)", len(list), err)
	}
	for _, m := range list {
		text := r.kubectl("get", "--raw", sink+"/messages/"+m.ID)
		for _, want := range []string{"Message-ID:", "Auto-Submitted: auto-generated", "text/plain", "text/html", "recommendation-model", "image-batch"} {
			if !strings.Contains(text, want) {
				t.Errorf("mail %s has no %q", m.ID, want)
			}
		}
	}
	for _, name := range []string{"report.eml", "report.html"} {
		if text, err := os.ReadFile(filepath.Join(r.out, name)); err != nil || len(text) < 1000 {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
}
