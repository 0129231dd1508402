package simulator

import (
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// TestGPUSamples: every GPU of every pod is measured by its own name where the fleet has an exporter, and
// none where it has not.
func TestGPUSamples(t *testing.T) {
	const load = "    cpuPerRequest: 12ms\n"
	for _, c := range []struct{ gpu, want string }{{"", ""}, {"    gpu: {base: 0.08}\n", "gpu 0 gpu 1"}} {
		text := strings.ReplaceAll(string(Builtin()), "nvidia.com/gpu: 1}", "nvidia.com/gpu: 2}")
		text = strings.Replace(text, load, c.gpu+load, 1)
		cluster, err := New([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		m := find(t, cluster, "image-analysis-model")
		all, err := cluster.Samples(t.Context(), monday(24), monday(24).Add(Step))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Pods {
			var got []string
			for _, s := range all {
				if s.Signal == fleet.GPU && s.Ref == m.Ref && s.Pod == p.Name {
					got = append(got, s.Container)
					if s.Mean != 0.08 || s.Max != 0.08 {
						t.Errorf("%+v", s)
					}
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s has %q, want %s", p.Name, got, c.want)
			}
		}
	}
}
