package main

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the rendered manifests anew")

// kept are the rendered manifests of the repository, for people who have kubectl and no Helm.
var kept = []struct {
	file, head string
	values     []string
}{
	{"../install.yaml", `# Trimtab in recommend mode: it reads the cluster and writes only ConfigMaps, Events and a Lease in its
# own namespace. Apply with ` + "`kubectl apply -f`" + `, then opt a namespace in:
#   kubectl label namespace NAME trimtab.dev/policy=recommend
# Rendered from deploy/chart with its own values by ` + "`make golden`" + `; change it there.
`, nil},
	{"../demo/install.yaml", `# Trimtab as the demo installs it: enforcing, and quick.
# Rendered from deploy/chart with deploy/demo/values.yaml by ` + "`make golden`" + `; change it there.
`, []string{"../demo/values.yaml"}},
}

// TestKeptManifests: each is, byte for byte, what the chart gives.
func TestKeptManifests(t *testing.T) {
	for _, k := range kept {
		text, err := run("../chart", "trimtab", k.values)
		if err != nil {
			t.Fatalf("%s: %v", k.file, err)
		}
		text = append([]byte(k.head), text...)
		if *update {
			if err := os.WriteFile(k.file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		old, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(old, text) {
			t.Errorf("%s is not what deploy/chart gives; run make golden and read the diff. From here on it differs:\n%s", k.file, firstDifference(old, text))
		}
	}
}

// firstDifference is the two lines that are the first to differ.
func firstDifference(old, fresh []byte) []byte {
	a, b := bytes.Split(old, []byte("\n")), bytes.Split(fresh, []byte("\n"))
	i := 0
	for i < min(len(a), len(b))-1 && bytes.Equal(a[i], b[i]) {
		i++
	}
	return bytes.Join([][]byte{a[i], b[i]}, []byte("\n"))
}
