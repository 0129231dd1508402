//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// metricsStop: while metrics-server does not answer, nothing is recommended out of old data: no
// right-sizing. The replica rule stands on the model servers' own fresh counters and goes on. How old is too old is the
// policy's to say; half of what the demo's says is enough where a measurement is never older without that.
func metricsStop(t *testing.T, r *rig) {
	const file, patience, less = "ml-production.yaml", "staleAfter: 90s", "staleAfter: 45s"
	policy := r.kubectl("-n", "trimtab", "get", "configmap", "demo-policy", "-o", `jsonpath={.data.ml-production\.yaml}`)
	if !strings.Contains(policy, patience) {
		t.Fatalf("the demo's policy is not as patient as it was:\n%s", policy)
	}
	says := func(text string) {
		patch, _ := json.Marshal(map[string]any{"data": map[string]string{file: text}})
		r.kubectl("-n", "trimtab", "patch", "configmap", "demo-policy", "--type=merge", "-p", string(patch))
	}
	t.Cleanup(func() { says(policy) })
	says(strings.Replace(policy, patience, less, 1))
	r.onePass()
	r.until("it recommends with less patience as well", 2*time.Minute, recommended)
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
	before := r.until("it recommends", 2*time.Minute, recommended)
	gone := time.Now()
	if err := syscall.Kill(r.inside("/trimtab", "run", "--store"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.eventually("the container was restarted", 2*time.Minute, func() bool {
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
	before := r.until("it recommends", 2*time.Minute, recommended)
	old, gone := before.of("recommendation-model"), time.Now()
	name := func() string {
		return r.kubectl("-n", "trimtab", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
	}
	was := name()
	r.kubectl("-n", "trimtab", "delete", "pod", "-l", "app.kubernetes.io/name=trimtab")
	r.kubectl("-n", "trimtab", "rollout", "status", "deployment/trimtab", "--timeout=180s")
	if name() == was {
		t.Fatalf("%s is still there", was)
	}
	after := r.until("the new pod recommends", 2*time.Minute, recommended)
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
