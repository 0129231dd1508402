package cgroup

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fake makes a version 1 tree of plain directories. The files inside a group
// are left out of those that are removed: a real kernel has them vanish.
func fake(t *testing.T) Host {
	root := t.TempDir()
	for _, name := range append([]string{"systemd", "not-one"}, needed...) {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if name != "not-one" {
			os.WriteFile(filepath.Join(root, name, "cgroup.procs"), nil, 0o644)
		}
	}
	h, err := Detect(root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCreateAndRemove(t *testing.T) {
	h := fake(t)
	os.WriteFile(filepath.Join(h.Root, "cpuset", "cpuset.cpus"), []byte("0-1"), 0o644)
	for range 2 { // what is there already is kept
		if err := h.Create("/ours/node"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(h.Root, "cpuset/ours/node/cpuset.cpus"))
	if err != nil || string(got) != "0-1" {
		t.Errorf("the new group may run on %q: %v", got, err)
	}
	if n := len(h.Left("ours")); n != len(needed)+1 {
		t.Errorf("%d groups, want one in each of %d hierarchies", n, len(needed)+1)
	}
	os.Remove(filepath.Join(h.Root, "cpuset/ours/node/cpuset.cpus"))
	os.Remove(filepath.Join(h.Root, "cpuset/ours/cpuset.cpus"))
	if err := h.Remove("ours", 0); err != nil || len(h.Left("ours")) > 0 {
		t.Errorf("left %v: %v", h.Left("ours"), err)
	}
	if err := h.Remove("ours", 0); err != nil {
		t.Errorf("the second removal: %v", err)
	}
}

func TestRemoveSparesWhatIsInUse(t *testing.T) {
	h := fake(t)
	if err := h.Create("/ours"); err != nil {
		t.Fatal(err)
	}
	busy := filepath.Join(h.Root, "memory/ours/busy")
	os.WriteFile(busy, nil, 0o644)
	if err := h.Remove("ours", 100*time.Millisecond); err == nil {
		t.Error("a group in use was removed")
	}
	if _, err := os.Stat(busy); err != nil {
		t.Error(err)
	}
}

func TestDetectSaysWhatIsMissing(t *testing.T) {
	h := fake(t)
	os.RemoveAll(filepath.Join(h.Root, "memory"))
	if _, err := Detect(h.Root); err == nil {
		t.Error("a machine without memory control groups was accepted")
	}
	unified := t.TempDir()
	os.WriteFile(filepath.Join(unified, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o644)
	if h, err := Detect(unified); err != nil || !h.Unified {
		t.Errorf("version 2: %+v, %v", h, err)
	}
}
