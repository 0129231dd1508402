//go:build cluster && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/audit"
	"trimtab.dev/trimtab/deploy/localkube/cgroup"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

// Run with: go test -tags cluster -count=1 -v .

func TestRealNodes(t *testing.T) {
	r := newRig(t)
	if out, err := r.try("level"); err != nil || !strings.HasPrefix(out, "3") {
		if os.Getenv("CI") != "" {
			t.Fatalf("this machine has lost level 3: %s", out)
		}
		t.Skipf("SKIPPED, no level 3 here: %s", out)
	}
	overcommit, lib := read("/proc/sys/vm/overcommit_memory"), names("/var/lib")
	r.must("up", "--level", "3", "--out", r.out, "--kwok", "5", "--nodes", "testdata/nodes.yaml", "--forward", "127.0.0.1:18099=10.96.0.82:80")
	if again := r.must("up", "--out", r.out); !strings.Contains(again, "already up") {
		t.Errorf("the second up says:\n%s", again)
	}
	t.Logf("status:\n%s", r.must("status"))
	r.kubectl("wait", "node", "gpu-spot-1", "--for=condition=Ready", "--timeout=20s")
	r.loadsProbe()
	r.runsPods()
	r.podsTalk()
	r.measures()
	r.resizes()
	r.notesWrites()
	if now := read("/proc/sys/vm/overcommit_memory"); now != overcommit {
		t.Errorf("a kubelet changed the machine: vm.overcommit_memory is %s", now)
	}
	for _, name := range names("/var/lib") {
		if !slices.Contains(lib, name) {
			t.Errorf("%s is new on the host", name)
		}
	}
	r.survivesKill()
	r.must("down")
	r.must("down")
	r.nothingLeft()
}

func (r *rig) loadsProbe() {
	binary := filepath.Join(filepath.Dir(r.driver), "probe")
	r.compile(binary, "./testdata/probe")
	// Sixty megabytes more, as a model server has.
	f, err := os.OpenFile(binary, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		r.Fatal(err)
	}
	noise := make([]byte, 60<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	if _, err := f.Write(noise); err != nil {
		r.Fatal(err)
	}
	f.Close()
	r.must("load", "--out", r.out, "localhost/trimtab/probe:dev="+binary)
}

func (r *rig) runsPods() {
	r.Helper()
	r.kubectl("apply", "-f", "testdata/probe.yaml")
	for _, name := range []string{"ondemand", "spot"} {
		r.kubectl("rollout", "status", "deployment/"+name, "--timeout=60s")
		if got := r.proxy(name, ""); got != name+"-1" {
			r.Errorf("the pod of %s answers %q through the API server", name, got)
		}
	}
}

// proxy asks a service through the API server.
func (r *rig) proxy(service, path string) string {
	r.Helper()
	return r.kubectl("get", "--raw", "/api/v1/namespaces/default/services/"+service+"/proxy/"+path)
}

func (r *rig) podsTalk() {
	r.Helper()
	ip := r.kubectl("get", "pod", "-l", "app=spot", "-o", "jsonpath={.items[0].status.podIP}")
	for what, c := range map[string]struct{ from, url, want string }{
		"pod to pod":            {"ondemand", "http://" + ip + ":8080", "spot-1"},
		"pod to other service":  {"ondemand", "http://10.96.0.82", "spot-1"},
		"pod to its own":        {"spot", "http://10.96.0.82", "spot-1"},
		"spot pod to on-demand": {"spot", "http://10.96.0.81", "ondemand-1"},
	} {
		// kube-proxy writes its rules a moment after the pod is ready.
		r.eventually(what, 10*time.Second, func() bool {
			got, err := r.try("kubectl", "get", "--raw", "/api/v1/namespaces/default/services/"+c.from+"/proxy/get?url="+c.url)
			return err == nil && got == c.want
		})
	}
	if got := r.proxy("spot", "api"); !strings.Contains(got, "APIGroupList") {
		r.Errorf("service account at the API server: %s", got)
	}
	out, err := exec.Command("curl", "-s", "-m", "3", "http://127.0.0.1:18099").Output()
	if err == nil && string(out) != "spot-1" {
		r.Errorf("the forwarded port answers %q", out)
	}
}

func (r *rig) measures() {
	r.Helper()
	r.proxy("spot", "burn")
	r.eventually("kubectl top pod knows the burner", 60*time.Second, func() bool {
		out, err := r.try("kubectl", "top", "pod", "-l", "app=spot", "--no-headers")
		fields := strings.Fields(out)
		return err == nil && len(fields) == 3 && len(fields[1]) == len("200m") // three digits
	})
	r.eventually("kubectl top node knows both", 60*time.Second, func() bool {
		out, err := r.try("kubectl", "top", "node", "ondemand-1")
		return err == nil && !strings.Contains(out, "<unknown>")
	})
}

func (r *rig) resizes() {
	r.Helper()
	pod := r.kubectl("get", "pod", "-l", "app=spot", "-o", "jsonpath={.items[0].metadata.name}")
	r.kubectl("patch", "pod", pod, "--subresource", "resize", "--patch",
		`{"spec":{"containers":[{"name":"probe","resources":{"limits":{"cpu":"345m","memory":"96Mi"}}}]}}`)
	r.eventually("the control group is resized", 20*time.Second, func() bool { return r.quotaIs("34500") })
	if got := r.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"); got != "0" {
		r.Errorf("the resized pod was restarted %s times", got)
	}
}

// notesWrites: the audit log knows who resized the pod, and nothing of reads and heartbeats.
func (r *rig) notesWrites() {
	r.Helper()
	r.eventually("the resize is in the audit log", 10*time.Second, func() bool {
		all, err := audit.File(filepath.Join(r.state, cluster.AuditLog))
		if err != nil {
			r.Fatal(err)
		}
		return slices.ContainsFunc(all, func(w audit.Write) bool {
			return w.User == "admin" && w.Verb == "patch" && w.Resource == "pods/resize" && w.Namespace == "default" && w.Done()
		})
	})
	all, _ := audit.File(filepath.Join(r.state, cluster.AuditLog))
	for _, w := range all {
		if w.Resource == "leases" || w.Verb == "get" || w.Verb == "list" || w.Verb == "watch" {
			r.Errorf("the audit log has %s", w)
		}
	}
	if !slices.ContainsFunc(all, func(w audit.Write) bool { return w.Resource == "events" }) {
		r.Error("the audit log has no Events")
	}
}

func (r *rig) quotaIs(want string) bool {
	root := filepath.Join(cgroup.Mount, "cpu", cluster.CgroupName(cluster.IDOf(r.state)), "spot-1")
	file := "cpu.cfs_quota_us"
	if h, err := cgroup.Detect(cgroup.Mount); err == nil && h.Unified {
		root, file = filepath.Join(cgroup.Mount, cluster.CgroupName(cluster.IDOf(r.state)), "spot-1"), "cpu.max"
	}
	found := false
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == file {
			found = found || strings.HasPrefix(read(path), want)
		}
		return nil
	})
	return found
}

// survivesKill ends the supervisor of a running cluster, then supervisor and
// driver in the middle of a start, at several moments.
func (r *rig) survivesKill() {
	r.Helper()
	before := r.supervisor()
	syscall.Kill(before.PID, syscall.SIGKILL)
	r.eventually("all processes ended with the supervisor", 5*time.Second, func() bool { return len(r.processes()) == 0 })
	r.must("up", "--level", "3", "--out", r.out)
	r.kubectl("get", "nodes")
	r.must("down")
	r.nothingLeft()
	for _, delay := range []time.Duration{5, 50, 200, 1000, 3000} {
		r.killDuringUp(delay*time.Millisecond, false)
		r.killDuringUp(delay*time.Millisecond, true)
	}
	r.must("up", "--level", "3", "--out", r.out)
}

func (r *rig) killDuringUp(delay time.Duration, supervisorToo bool) {
	r.Helper()
	cmd := r.command("up", "--level", "3", "--out", r.out)
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	time.Sleep(delay)
	if supervisorToo {
		if out, err := os.ReadFile(filepath.Join(r.state, "supervisor.json")); err == nil && len(out) > 0 {
			syscall.Kill(r.supervisor().PID, syscall.SIGKILL)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	r.must("down")
	r.nothingLeft()
}

func TestFakeNodes(t *testing.T) {
	r := newRig(t)
	r.must("up", "--level", "2", "--out", r.out, "--kwok", "2")
	t.Logf("status:\n%s", r.must("status"))
	r.kubectl("create", "deployment", "a", "--image=none", "--replicas=2")
	r.kubectl("patch", "deployment", "a", "--patch", `{"spec":{"template":{"metadata":{"annotations":
		{"kwok.x-k8s.io/usage-cpu":"130m","kwok.x-k8s.io/usage-memory":"300Mi"}},"spec":{"containers":
		[{"name":"none","resources":{"requests":{"cpu":"50m"},"limits":{"cpu":"100m"}}}]}}}}`)
	r.kubectl("rollout", "status", "deployment/a", "--timeout=30s")
	pod := r.kubectl("get", "pod", "-l", "app=a", "-o", "jsonpath={.items[0].metadata.name}")
	if ip := r.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}"); !strings.HasPrefix(ip, "127.10.") {
		t.Errorf("the pod has the address %s", ip)
	}
	r.kubectl("patch", "pod", pod, "--subresource", "resize", "--patch", `{"spec":{"containers":[{"name":"none","resources":{"limits":{"cpu":"300m"}}}]}}`)
	r.eventually("the status follows the resize", 10*time.Second, func() bool {
		return r.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].resources.limits.cpu}") == "300m"
	})
	r.eventually("kubectl top shows the scripted usage", 60*time.Second, func() bool {
		out, err := r.try("kubectl", "top", "pod", pod, "--no-headers")
		return err == nil && strings.Contains(out, "300Mi")
	})
	syscall.Kill(r.supervisor().PID, syscall.SIGKILL)
	r.eventually("all processes ended with the supervisor", 5*time.Second, func() bool { return len(r.processes()) == 0 })
	r.must("up", "--level", "2", "--out", r.out)
	r.must("down")
	r.must("down")
	r.nothingLeft()
}
