//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// nobody is an account without any rights of its own.
const nobody = 65534

// TestControlPlaneWithoutRoot is level 2, run as an unprivileged user: the real control plane with
// simulated nodes, model servers and the daemon as ordinary processes.
func TestControlPlaneWithoutRoot(t *testing.T) {
	r := newRig(t)
	if strings.HasPrefix(r.must("localkube", "level"), "1 ") {
		if os.Getenv("CI") != "" {
			t.Fatal("this machine has lost level 2")
		}
		t.Skip("this machine carries no control plane")
	}
	if os.Getuid() == 0 {
		r.becomeNobody()
	}
	t.Cleanup(func() {
		if out, code := r.run("demo", "--out", r.out, "--root", r.root, "down"); code != 0 {
			t.Errorf("demo down: exit code %d\n%s", code, out)
		}
	})
	text := r.must("demo", "--out", r.out, "--root", r.root, "--port", r.port, "--level", "2", "--no-build", "up")
	a, ok := r.plan("--server", "http://127.0.0.1:"+r.port)
	if !ok || !recommended(a) || a.of("image-batch").reasons() != "batch-on-demand" || a.of("property-valuation").reasons() != "" {
		t.Errorf("the plan of level 2: %+v", a.Plan.Changes)
	}
	if !strings.Contains(text, "SIMULATED") || !strings.Contains(text, "Not shown at level 2") {
		t.Errorf("what is simulated is not said:\n%s", text)
	}
	for _, pid := range processes("modelserver", "serve", "127.10.") {
		if info, err := os.Stat("/proc/" + itoa(pid)); err == nil && os.Getuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("process %d of level 2 runs as root", pid)
		}
	}
}

// becomeNobody copies what the level needs to where everybody may read it, and runs as nobody from
// then on. The binaries were built by the account that runs the tests.
func (r *rig) becomeNobody() {
	r.t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		r.t.Fatal(err)
	}
	home, err := os.MkdirTemp("/var/tmp", "trimtab-e2e-")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { os.RemoveAll(home) })
	copies := map[string]string{filepath.Join(r.root, "bin"): "repo/bin", filepath.Join(r.root, "deploy/demo"): "repo/deploy/demo"}
	built, _ := filepath.Glob(filepath.Join(cache, "trimtab/localkube-*/kube")) // not the state of a cluster that is up
	for _, kube := range built {
		dir := filepath.Dir(kube)
		copies[dir] = filepath.Join(".cache/trimtab", filepath.Base(dir))
	}
	for from, to := range copies {
		if err := os.CopyFS(filepath.Join(home, to), os.DirFS(from)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.out = filepath.Join(home, "out")
	r.root = filepath.Join(home, "repo")
	r.must("chown", "-R", itoa(nobody)+":"+itoa(nobody), home)
	r.env = []string{"HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, ".cache"), "LOCALKUBE_STATE=" + filepath.Join(home, "state")}
	r.as = []string{"setpriv", "--reuid", itoa(nobody), "--regid", itoa(nobody), "--clear-groups"}
}

// TestSimulatedFleet is level 1, where nothing but the program itself is there: no network, no cluster.
func TestSimulatedFleet(t *testing.T) {
	r := newRig(t)
	if os.Getuid() == 0 {
		r.as = []string{"unshare", "--net"}
	}
	text := r.must("demo", "--out", r.out, "--level", "1", "up")
	for _, want := range []string{"SIMULATED", "a week", "GPU", "Not shown on this machine"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	page, err := os.ReadFile(filepath.Join(r.out, "simulated.html"))
	if err != nil || !strings.Contains(string(page), "SIMULATED") {
		t.Errorf("the page: %v", err)
	}
}
