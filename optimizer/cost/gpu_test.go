package cost

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// TestGPU: a g4dn.12xlarge is 48 × 0.031611 + 192 × 0.004237 + 4 × 0.95 = 6.130832 at default rates, so a
// quarter of its GPUs is 3.912 × 0.95 / 6.130832 × 730 = $442.512860 a month. The one GPU of a g4dn.xlarge
// is 0.526 × 0.95 / 1.144236 × 730 = $318.798744.
func TestGPU(t *testing.T) {
	nodes := append([]fleet.Node{
		node("four", "g4dn.12xlarge", fleet.OnDemand),
		{Name: "blind", InstanceType: "m5.large", Region: "us-east-1", Allocatable: fleet.Resources{Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1}}}},
	}, someNodes...)
	for _, c := range []struct {
		name  string
		w     fleet.Workload
		milli int64
		want  Money
		gap   string
	}{
		{"one of two", model(2000, 4*gib, 2, "four"), 1000, 442_512_860, ""},
		{"both", model(2000, 4*gib, 2, "four"), 2000, 885_025_719, ""},
		{"one of two in each of two pods", model(2000, 4*gib, 2, "four", "four"), 1000, 885_025_720, ""},
		{"half of one", model(2000, 4*gib, 1, "gpu"), 500, 159_399_372, ""},
		{"on two types: their mean", model(2000, 4*gib, 1, "gpu", "four"), 1000, 761_311_604, ""},
		{"not known how much", model(2000, 4*gib, 2, "four"), 0, 0, ""},
		{"no price", model(500, gib, 1, "strange"), 1000, 0, "x9.huge in mars-1"},
		{"one of two nodes has no price", model(2000, 4*gib, 1, "gpu", "strange"), 1000, 318_798_744, "x9.huge in mars-1"},
		{"a price without GPUs", model(500, gib, 1, "blind"), 1000, 0, "the GPUs of m5.large in us-east-1"},
		{"no replicas", fleet.Workload{}, 1000, 0, ""},
	} {
		got := Builtin().GPU(c.w, nodes, c.milli)
		if got.Amount != c.want {
			t.Errorf("%s: %d, want %d", c.name, got.Amount, c.want)
		}
		if gap := fmt.Sprint(got.Unpriced); c.gap != "" && gap != "["+c.gap+"]" || c.gap == "" && got.Unpriced != nil {
			t.Errorf("%s: unpriced %s, want %q", c.name, gap, c.gap)
		}
	}
}

// TestGPUIsWhatAFewerGPUSaves: whatever else the pods ask for, asking for k GPUs less is cheaper by what k
// GPUs cost.
func TestGPUIsWhatAFewerGPUSaves(t *testing.T) {
	nodes := []fleet.Node{node("a", "g4dn.12xlarge", fleet.OnDemand), node("b", "p3.8xlarge", fleet.OnDemand)}
	r := rand.New(rand.NewPCG(9, 9))
	for range 500 {
		on := []string{"a", "b", "a"}[:1+r.IntN(3)]
		has := 1 + r.Int64N(4)
		k := 1 + r.Int64N(has)
		milliCPU, memory := r.Int64N(8000), r.Int64N(64*gib)
		before := Builtin().Monthly(model(milliCPU, memory, has, on...), nodes).Amount
		after := Builtin().Monthly(model(milliCPU, memory, has-k, on...), nodes).Amount
		if got := Builtin().GPU(model(milliCPU, memory, has, on...), nodes, k*1000).Amount; got < before-after-6 || got > before-after+6 {
			t.Fatalf("%d of %d GPUs on %v cost %d, without them it is %d cheaper", k, has, on, got, before-after)
		}
	}
}
