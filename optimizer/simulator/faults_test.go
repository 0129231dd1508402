package simulator

import (
	"errors"
	"os"
	"strings"
	"testing"

	"trimtab.dev/trimtab/deploy/golden"
)

func TestEveryFaultOfAFileIsToldAtOnce(t *testing.T) {
	file, err := os.ReadFile("testdata/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(file)
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("New gave %v, want Faults", err)
	}
	golden.Check(t, "bad.golden", err.Error()+"\n")
}

func TestFaultsOfWholeFiles(t *testing.T) {
	const head = "apiVersion: trimtab.dev/v1alpha1\nkind: Fleet\nmetadata: {name: x}\n"
	const rest = "namespaces: [{name: ml}]\nworkloads:\n- {name: a, namespace: ml, nodes: n, replicas: 3, requests: {cpu: 1, memory: 1Gi}}\n"
	const nodes = "nodes: [{name: n, count: 1, allocatable: {cpu: 4, memory: 8Gi}}]\n"
	for _, c := range []struct{ name, file, want string }{
		{"whole", head + nodes + rest, ""},
		{"empty", "", "line 1: not a fleet file"},
		{"a list", "- 1\n", "line 1: not a fleet file"},
		{"no YAML", "a: b: c\n", "line 1: "},
		{"two documents", head + nodes + rest + "---\na: 1\n", "line 8: a fleet file is one document"},
		{"unknown field", head + nodes + rest + "wokloads: []\n", `line 8: unknown field "wokloads"`},
		{"no workloads", head + nodes, "line 1: a fleet needs workloads"},
		{"no room", head + strings.Replace(nodes, "cpu: 4", "cpu: 2", 1) + rest, `line 6: the pods of ml/a do not fit on node pool "n"`},
		{"twins", head + nodes + rest + "- {name: a, namespace: ml, nodes: n}\n", "line 6: ml/a is there twice"},
		{"flow policies", head + nodes + rest + "policies: [{kind: Policy}]\n", "line 8: policies is a list of documents"},
	} {
		_, err := New([]byte(c.file))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// A fault inside a policy has the line that it has in the fleet file.
func TestPolicyKeepsItsLines(t *testing.T) {
	file := string(Builtin())
	before, _, _ := strings.Cut(file, "      matchLabels: {team: payments}")
	line := strings.Count(before, "\n") + 1
	c, err := New([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	raws, _ := c.Policies(t.Context())
	if len(raws) != 3 || raws[1].Source != "policies[1]" {
		t.Fatalf("policies %+v", raws)
	}
	lines := strings.Split(string(raws[1].Data), "\n")
	if got := lines[line-1]; strings.TrimSpace(got) != "matchLabels: {team: payments}" {
		t.Errorf("line %d is %q", line, got)
	}
	for i, l := range lines {
		if want := strings.Split(file, "\n")[i]; l != "" && l != strings.Replace(want, "- ", "  ", 1) {
			t.Errorf("line %d is %q, in the file %q", i+1, l, want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
	}{
		{"500m", 500}, {"2", 2000}, {"0.5", 500}, {"1e3", 1_000_000}, {"1Gi", 1 << 30 * 1000}, {"1.5Mi", 3 << 19 * 1000}, {"2k", 2_000_000}, {"0", 0},
		{"", -1}, {"two", -1}, {"-1", -1}, {"NaN", -1}, {"Inf", -1}, {"0x10", -1}, {"1P", -1}, {"99999Ti", -1}, {"1 Gi", -1},
	} {
		got, err := quantity(c.in)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("quantity(%q) = %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func FuzzNew(f *testing.F) {
	file, err := os.ReadFile("testdata/bad.yaml") // a small one: the fuzzer is slow on large inputs
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := New(file)
		if (c == nil) == (err == nil) {
			t.Fatalf("cluster %v, error %v", c, err)
		}
	})
}
