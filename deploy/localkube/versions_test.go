package main

import (
	"os"
	"strings"
	"testing"
)

// TestSharedModulesAgree: a module that the product needs too has the same version there, else the
// Kubernetes packages would be compiled twice, several minutes longer.
func TestSharedModulesAgree(t *testing.T) {
	ours := required(t, "go.mod")
	for _, file := range []string{"../../go.mod", "../upstream/go.mod", "../helm/go.mod"} {
		theirs, shared := required(t, file), 0
		for module, version := range ours {
			if other, ok := theirs[module]; ok {
				shared++
				if other != version {
					t.Errorf("%s is %s here and %s in %s; raise the lower one", module, version, other, file)
				}
			}
		}
		if shared < 20 {
			t.Errorf("only %d modules are shared with %s, so this test reads the files wrongly", shared, file)
		}
	}
}

// required reads the require lines of a go.mod; a replacement's version counts.
func required(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) >= 4 && f[1] == "=>":
			out[f[0]] = f[3]
		case len(f) >= 2 && strings.HasPrefix(f[1], "v") && strings.Contains(f[0], "."):
			if out[f[0]] == "" {
				out[f[0]] = f[1]
			}
		}
	}
	return out
}
