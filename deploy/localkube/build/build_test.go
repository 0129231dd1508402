package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestVersionIsTheModules(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "k8s.io/kubernetes "+KubernetesVersion+"\n") {
		t.Errorf("go.mod does not require k8s.io/kubernetes %s", KubernetesVersion)
	}
}

func TestKeyFollowsTheSource(t *testing.T) {
	key := func(text string) string {
		k, err := Source{fstest.MapFS{"go.sum": {Data: []byte(text)}}}.Key()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if once, again := key("a"), key("a"); once != again || once == key("b") {
		t.Error("the key does not follow the content")
	}
}

func TestUnfinishedBuildsAreNotPresent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "localkube-abc")
	half := dir + partial + "1"
	if err := os.MkdirAll(filepath.Join(half, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(half, "out", "kube"), nil, 0o755)
	if Present(dir) {
		t.Error("a half build counts")
	}
	if err := finish(filepath.Join(half, "out"), dir); err != nil || !Present(dir) {
		t.Errorf("a finished build does not count: %v", err)
	}
	if err := dropStale(dir); err != nil || Present(half) || !Present(dir) {
		t.Errorf("clearing unfinished builds: %v", err)
	}
}

func TestCount(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, false, time.Now)
	log := "go: downloading k8s.io/api v0.36.3\nk8s.io/api/core/v1\n# k8s.io/x\n./a.go:3:1: broken\nmain\n"
	notes := count(strings.NewReader(log), p)
	if p.done != 2 || !strings.Contains(notes, "broken") || strings.Contains(notes, "core/v1") {
		t.Errorf("counted %d, notes %q", p.done, notes)
	}
}

func TestProgressLines(t *testing.T) {
	now := time.Unix(0, 0)
	var out bytes.Buffer
	p := NewProgress(&out, false, func() time.Time { return now })
	p.Begin("kubernetes")
	defer p.Stop()
	p.Total(3)
	p.Step()
	now = now.Add(9 * time.Second)
	p.show() // too early for a log
	now = now.Add(55 * time.Second)
	p.show()
	if got, want := out.String(), "kubernetes: 1 of 3 packages, 64 s\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Step()
	p.Step()
	if got := p.line(); got != "kubernetes: 3 of 3 packages, linking, 64 s" {
		t.Errorf("got %q", got)
	}
	p.Step() // more than was foreseen
	if got := p.line(); !strings.Contains(got, "4 of 4") {
		t.Errorf("got %q", got)
	}
}
