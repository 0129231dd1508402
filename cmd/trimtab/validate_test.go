package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestValidateBadFiles: each of the bad files alone gives its faults, every one with its file and
// line, and exit code 2. What the faults are is held by the tests of package policies.
func TestValidateBadFiles(t *testing.T) {
	files, _ := filepath.Glob("../../policies/testdata/bad/*.yaml")
	if len(files) < 20 {
		t.Fatalf("%d bad files, want at least 20", len(files))
	}
	for _, f := range files {
		_, fault, code := run("validate", f)
		if code != 2 {
			t.Errorf("%s: exit code %d", f, code)
		}
		for _, line := range strings.Split(strings.TrimSpace(fault), "\n") {
			if !strings.HasPrefix(line, f+":") {
				t.Errorf("%s: a fault without its place: %s", f, line)
			}
		}
	}
	if _, fault, _ := run(append([]string{"validate"}, files...)...); strings.Count(fault, "\n") < len(files) {
		t.Errorf("%d files at once give only:\n%s", len(files), fault)
	}
}

func TestValidateGoodFiles(t *testing.T) {
	files, _ := filepath.Glob("../../policies/testdata/good/*.yaml")
	if len(files) == 0 {
		t.Fatal("no good files")
	}
	for _, f := range files {
		if out, fault, code := run("validate", f); code != 0 || !strings.Contains(out, "no faults") {
			t.Errorf("%s: exit code %d\n%s", f, code, fault)
		}
	}
}

// What is in the files is counted in words; what there is none of is left out.
func TestValidateCounts(t *testing.T) {
	good := "../../policies/testdata/good/"
	for args, want := range map[string]string{
		"minimal.yaml": "1 file: 1 policy, no faults\n",
		"minimal.yaml batch-spot.yaml report.yaml governance.yaml server-tuned.yaml": "5 files: 2 policies, 1 governance, 1 server, 1 report, no faults\n",
	} {
		names := []string{"validate"}
		for _, name := range strings.Fields(args) {
			names = append(names, good+name)
		}
		if out, fault, code := run(names...); code != 0 || out != want {
			t.Errorf("%s: exit code %d\n%s%s", args, code, out, fault)
		}
	}
	if _, fault, code := run("validate", good, "no.yaml"); code != 2 || fault != good+": cannot be read: it is a folder; name the files in it\nno.yaml: cannot be read: no such file or directory\n" {
		t.Errorf("exit code %d\n%s", code, fault)
	}
}
