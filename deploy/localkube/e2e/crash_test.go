//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// trials starts what the later steps need measured, all at once.
func trials(_ *testing.T, r *rig) {
	for _, name := range []string{"asked", "refused", "granted", "unwritten", "victim", "heir", "idle"} {
		r.trial(name)
	}
	r.limitedTrial()
}

// trialHolds is the memory that a trial's pods ask for before they are changed. The steps look at memory: how much CPU is
// asked for afterwards is a matter of how long a start takes on the machine at hand, up to no change at all.
const trialHolds = "96Mi"

// holds is the memory request of the pod's container, as the kubelet has it.
func (p livePod) holds() string { return p.Status.ContainerStatuses[0].Resources.Requests["memory"] }

// trial puts an over-provisioned server, and a policy that recommends, into a namespace of its own.
func (r *rig) trial(name string) {
	r.t.Helper()
	r.template("trial.yaml", "NAME", name)
	r.mode(name, "recommend")
}

// mode sets how far the policy of a trial goes.
func (r *rig) mode(name, mode string) {
	r.t.Helper()
	r.template("trial-policy.yaml", "NAME", name, "MODE", mode)
}

func (r *rig) template(file string, words ...string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, "deploy/localkube/e2e/testdata", file))
	if err != nil {
		r.t.Fatal(err)
	}
	r.kubectl("apply", "-f", r.file(file, strings.NewReplacer(words...).Replace(string(text))))
}

// measured waits until something is proposed for each of the trials.
func (r *rig) measured(names ...string) {
	r.t.Helper()
	r.until(strings.Join(names, " and ")+" are measured", 3*time.Minute, func(a answer) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return a.of(name).reasons() != "cpu-underused few-requests" })
	})
}

// asDaemon is a kubeconfig, for a program inside the cluster's network, with the daemon's own rights.
func (r *rig) asDaemon() string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.state, "pki", "admin.kubeconfig"))
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(r.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
	token := strings.TrimSpace(r.kubectl("-n", "trimtab", "create", "token", "trimtab"))
	config := func(args ...string) {
		r.must("localkube", append([]string{"kubectl", "--out", r.out, "--kubeconfig", file, "config"}, args...)...)
	}
	config("set-credentials", "daemon", "--token="+token)
	config("set-context", "--current", "--user=daemon")
	return file
}

// process is a daemon that runs inside the cluster's network, outside its pods.
func (r *rig) process(identity, port, crashDir string, flags ...string) (wait func() int) {
	r.t.Helper()
	line := append([]string{"exec", "/usr/bin/env", "TRIMTAB_CRASH_DIR=" + crashDir, filepath.Join(r.root, "bin", "trimtab-crash"), "run",
		"--kubeconfig=" + r.asDaemon(), "--identity=" + identity, "--listen=127.0.0.1:" + port,
		"--interval=2s", "--sample-every=5s", "--resolution=10s", "--settle=15s", "--checkpoint-every=0"}, flags...)
	ended := make(chan int, 1)
	go func() {
		_, code := r.run("localkube", line...)
		ended <- code
	}()
	return func() int { return <-ended }
}

// standby takes the daemon in the cluster away for as long as a test runs its own.
func (r *rig) standby() {
	r.t.Helper()
	r.kubectl("-n", "trimtab", "scale", "deployment/trimtab", "--replicas=0")
	r.kubectl("-n", "trimtab", "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=trimtab", "--timeout=180s")
	r.t.Cleanup(func() {
		r.kubectl("-n", "trimtab", "scale", "deployment/trimtab", "--replicas=1")
		r.kubectl("-n", "trimtab", "rollout", "status", "deployment/trimtab", "--timeout=180s")
	})
}

// killedAtEveryWrite: a daemon that dies by SIGKILL after every single write, the ledger's included,
// brings the workload to the same end as one that lives: each pod resized once, the Deployment written
// once, one entry, done.
func killedAtEveryWrite(t *testing.T, r *rig) {
	r.measured("victim")
	r.standby()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "limit"), []byte("40"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"granted", "unwritten"} {
		r.mode(other, "recommend")
	}
	r.mode("victim", "enforce")
	deaths := func() int {
		files, _ := filepath.Glob(filepath.Join(dir, "write-*"))
		return len(files)
	}
	r.untilSettled("victim", dir)
	t.Logf("SIGKILL after each of %d writes: %s", deaths(), written(dir))
	if deaths() < 5 {
		t.Errorf("it died only %d times", deaths())
	}
	r.asserts("victim")
}

// untilSettled starts a daemon again whenever it has died, until the change of a trial is at its end.
func (r *rig) untilSettled(name, dir string) {
	r.t.Helper()
	store, port := r.t.TempDir(), freePort(r.t)
	start := func() chan int {
		ended := make(chan int, 1)
		wait := r.process("victims", port, dir, "--enforce", "--store="+store)
		go func() { ended <- wait() }()
		return ended
	}
	ended := start()
	for end := time.Now().Add(5 * time.Minute); !r.settledTrial(name); {
		select {
		case <-ended:
			ended = start()
		case <-time.After(time.Second):
		}
		if time.Now().After(end) {
			r.kill("--identity=victims")
			r.t.Fatalf("%s is not settled; it died after: %s", name, written(dir))
		}
	}
	select {
	case <-ended:
	default: // it lives, for nothing is left to write
		r.kill("--identity=victims")
		<-ended
	}
}

func written(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "write-*"))
	var all []string
	for _, f := range files {
		text, _ := os.ReadFile(f)
		all = append(all, strings.TrimSpace(string(text)))
	}
	return strings.Join(all, "; ")
}

// settledTrial tells whether the ledger's ConfigMaps have a finished entry of a trial.
func (r *rig) settledTrial(name string) bool {
	text := r.kubectl("-n", "trimtab", "get", "configmaps", "-l", "trimtab.dev/ledger", "-o", "jsonpath={.items[*].data}")
	return strings.Contains(text, name) && strings.Contains(text, "done") && r.resizedTrial(name)
}

func (r *rig) resizedTrial(name string) bool {
	pods := r.pods("trial-"+name, name)
	return len(pods) == 2 && !slices.ContainsFunc(pods, func(p livePod) bool {
		return p.holds() == trialHolds
	})
}

// asserts: what a trial looks like after its one change, however it came about.
func (r *rig) asserts(name string) {
	r.t.Helper()
	if got := r.kubectl("-n", "trial-"+name, "get", "deployment", name, "-o", "jsonpath={.spec.replicas} {.metadata.generation}"); got != "2 2" {
		r.t.Errorf("%s: replicas and generation are %s, want 2 2: written once", name, got)
	}
	for _, p := range r.pods("trial-"+name, name) {
		if s := p.Status.ContainerStatuses[0]; p.Metadata.Generation != 2 || s.RestartCount != 0 || p.holds() == trialHolds {
			r.t.Errorf("%s: generation %d, restarts %d, memory %s; want one resize in place", p.Metadata.Name, p.Metadata.Generation, s.RestartCount, p.holds())
		}
	}
}

// takesOver: the leader dies right after it wrote down what it is about to do; the other replica, which
// had been watching, does it once its Lease has run out.
func takesOver(t *testing.T, r *rig) {
	r.measured("heir")
	r.standby() // the one of the cluster has ended what the step before left, so that the first write is of this one
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "limit"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	first := r.process("first", freePort(t), dir, "--enforce")
	port := freePort(t)
	r.eventually("the first leads", 2*time.Minute, func() bool {
		return strings.HasPrefix(r.kubectl("-n", "trimtab", "get", "lease", "trimtab", "-o", "jsonpath={.spec.holderIdentity}"), "first")
	})
	second := r.process("second", port, t.TempDir(), "--enforce")
	time.Sleep(5 * time.Second) // it watches
	r.mode("heir", "enforce")
	if code := first(); code == 0 {
		t.Errorf("the first ended with %d, not by its own death", code)
	}
	r.eventually("the second finishes it", 2*time.Minute, func() bool { return r.settledTrial("heir") })
	r.asserts("heir")
	r.kill("--identity=second")
	second()
}

// kill ends the process of this cluster that has the word on its command line, if it lives.
func (r *rig) kill(word string) {
	r.t.Helper()
	for _, pid := range processes("trimtab-crash", word) {
		if p, err := os.FindProcess(pid); err == nil && r.ours(pid) {
			p.Kill()
		}
	}
}

// switchedOff: a daemon without --enforce writes nothing outside its namespace, though the policy enforces
// and the ledger has nothing against it.
func switchedOff(t *testing.T, r *rig) {
	r.measured("idle")
	r.standby()
	since := time.Now()
	r.mode("idle", "enforce")
	port := freePort(t)
	wait := r.process("powerless", port, t.TempDir())
	r.eventually("it leads", 2*time.Minute, func() bool {
		return strings.HasPrefix(r.kubectl("-n", "trimtab", "get", "lease", "trimtab", "-o", "jsonpath={.spec.holderIdentity}"), "powerless")
	})
	r.eventually("it would change it, if it were allowed to", 3*time.Minute, func() bool {
		out, _ := r.run("localkube", "exec", filepath.Join(r.root, "bin", "trimtab"), "plan", "-o", "json", "--server", "http://127.0.0.1:"+port)
		var a answer
		if json.Unmarshal([]byte(out), &a) != nil {
			return false
		}
		return slices.ContainsFunc(a.Plan.Changes, func(c change) bool { return c.Ref.Name == "idle" && c.Mode == "enforce" })
	})
	time.Sleep(10 * time.Second) // five passes
	for _, w := range r.writes(daemonUser, since) {
		t.Errorf("without --enforce: %s", w)
	}
	r.kill("--identity=powerless")
	wait()
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
