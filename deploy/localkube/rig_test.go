//go:build cluster && linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cgroup"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/proc"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

// rig is a driver of its own with a state directory of its own: it runs beside
// any other cluster of this machine.
type rig struct {
	*testing.T
	driver, state, out string
}

func newRig(t *testing.T) *rig {
	dir, err := os.MkdirTemp("", "lk") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, driver: filepath.Join(dir, "localkube"), state: filepath.Join(dir, "state"), out: filepath.Join(dir, "out")}
	r.compile(r.driver, ".")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("supervisor said:\n%s", read(filepath.Join(r.state, "log", "supervisor.log")))
		}
		r.try("down")
		os.RemoveAll(dir)
	})
	return r
}

func (r *rig) compile(out, pkg string) {
	r.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}

func (r *rig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.driver, args...)
	cmd.Env = append(os.Environ(), "LOCALKUBE_STATE="+r.state)
	return cmd
}

func (r *rig) try(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := r.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (r *rig) must(args ...string) string {
	r.Helper()
	begin := time.Now()
	out, err := r.try(args...)
	if err != nil {
		r.Fatalf("localkube %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if args[0] != "kubectl" {
		r.Logf("localkube %s: %.1f s", strings.Join(args, " "), time.Since(begin).Seconds())
	}
	return out
}

func (r *rig) kubectl(args ...string) string {
	r.Helper()
	return r.must(append([]string{"kubectl"}, args...)...)
}

// eventually repeats what until it holds.
func (r *rig) eventually(what string, limit time.Duration, holds func() bool) {
	r.Helper()
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > limit {
			r.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.Logf("%s: %.1f s", what, time.Since(begin).Seconds())
}

func (r *rig) supervisor() proc.Identity {
	r.Helper()
	id, ok := supervisor.ReadIdentity(r.state)
	if !ok {
		r.Fatal("no supervisor is noted")
	}
	return id
}

// nothingLeft checks everything that a cluster could leave on the machine.
func (r *rig) nothingLeft() {
	r.Helper()
	if _, err := os.Stat(r.state); err == nil {
		r.Errorf("the state directory %s is left", r.state)
	}
	// At level 2 no control group tells when the last one that was killed has gone.
	r.eventually("no process is left", 5*time.Second, func() bool { return len(r.processes()) == 0 })
	if h, err := cgroup.Detect(cgroup.Mount); err == nil {
		if left := h.Left(cluster.CgroupName(cluster.IDOf(r.state))); len(left) > 0 {
			r.Errorf("control groups are left: %v", left)
		}
	}
	for _, file := range []string{"/proc/self/mounts", "/proc/net/dev"} {
		for _, mark := range []string{r.state, cluster.Inside + " ", "lk1:", "lk2:"} {
			if strings.Contains(read(file), mark) {
				r.Errorf("%s still has %s", file, mark)
			}
		}
	}
}

// processes finds whatever was started for this state directory: it is named
// on the command line or mounted where the process lives.
func (r *rig) processes() []string {
	var found []string
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line := strings.ReplaceAll(read(name), "\x00", " ")
		mounts := read(filepath.Join(filepath.Dir(name), "mountinfo"))
		if strings.Contains(line, r.state) || strings.Contains(mounts, r.state) {
			found = append(found, line[:min(len(line), 80)])
		}
	}
	return found
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func names(dir string) []string {
	all, _ := filepath.Glob(dir + "/*")
	return all
}
