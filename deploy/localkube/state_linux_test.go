package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

// deadCluster writes the state directory of a cluster whose supervisor is gone.
func deadCluster(t *testing.T) (state, out string) {
	dir := t.TempDir()
	state, out = filepath.Join(dir, "state"), filepath.Join(dir, "kubeconfig")
	write := func(name, text string) {
		path := filepath.Join(state, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(markFile, "")
	write("spec.json", `{"level":2,"out":"`+out+`"}`)
	write("supervisor.json", fmt.Sprintf(`{"pid":%d,"start":1}`, os.Getpid())) // this number lives, but started at another time
	write("pki/public.kubeconfig", "ours")
	return state, out
}

func TestClearRemovesADeadCluster(t *testing.T) {
	state, out := deadCluster(t)
	os.WriteFile(out, []byte("ours"), 0o600)
	if _, err := running(state); !errors.Is(err, errDown) {
		t.Errorf("a dead cluster runs: %v", err)
	}
	for range 2 {
		if err := clear(state); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{state, state + ".removing", out} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestClearKeepsAForeignKubeconfig(t *testing.T) {
	state, out := deadCluster(t)
	os.WriteFile(out, []byte("another cluster's"), 0o600)
	if err := clear(state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
}

func TestClearRefusesForeignDirectories(t *testing.T) {
	home := t.TempDir()
	os.Mkdir(filepath.Join(home, "log"), 0o755)
	os.WriteFile(filepath.Join(home, "thesis.txt"), nil, 0o644)
	if err := clear(home); err == nil {
		t.Error("a directory of others was cleared")
	}
	if _, err := os.Stat(filepath.Join(home, "thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestParseUp(t *testing.T) {
	w, err := parseUp([]string{"--level", "3", "--forward", "8080=10.96.0.80:80", "--forward", "8081=10.96.0.81:80"})
	if err != nil || len(w.forwards) != 2 || !w.anyPort || w.apiPort != defaultAPIPort {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := parseUp([]string{"--api-port", "7000"}); err != nil || w.anyPort {
		t.Errorf("an asked port may be changed: %+v, %v", w, err)
	}
	for _, bad := range [][]string{{"--level", "4"}, {"--kwok", "-1"}, {"--forward", "x"}, {"now"}, {"--nodes", "/does/not/exist"}} {
		if _, err := parseUp(bad); !errors.As(err, new(remedy)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAPIPortBusy(t *testing.T) {
	first, err := openAPI(wishes{apiPort: 0})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	s := cluster.Spec{Level: 3}
	busy := portOf(first)
	if _, err := openPorts(&s, wishes{apiPort: busy}); !errors.As(err, new(remedy)) {
		t.Errorf("a busy port that was asked for: %v", err)
	}
	open, err := openPorts(&s, wishes{apiPort: busy, anyPort: true})
	if err != nil || s.APIPort == busy || len(open) != 1 {
		t.Fatalf("a busy default port: %d, %v", s.APIPort, err)
	}
	open[0].Close()
}
