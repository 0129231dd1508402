package cost

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func node(name, typ string, c fleet.Capacity) fleet.Node {
	r, _ := Builtin().Find(typ, "us-east-1", fleet.OnDemand)
	a := fleet.Resources{MilliCPU: r.MilliCPU - 70, Memory: r.Memory - gib/2}
	if r.GPUs > 0 {
		a.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: r.GPUs}}
	}
	return fleet.Node{Name: name, InstanceType: typ, Region: "us-east-1", Capacity: c, Allocatable: a, Ready: true}
}

// model has one pod on every named node ("" is not scheduled), each asking for the same.
func model(milliCPU, memory, gpus int64, on ...string) fleet.Workload {
	r := fleet.Resources{MilliCPU: milliCPU, Memory: memory}
	if gpus > 0 {
		r.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: gpus}}
	}
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "model-server", Role: fleet.Main, Requests: r}}}
	w := fleet.Workload{Ref: fleet.Deployment("ml", "m"), Template: shape, Replicas: int32(len(on))}
	for i, n := range on {
		w.Pods = append(w.Pods, fleet.Pod{Name: fmt.Sprintf("m-%d", i), Node: n, Shape: shape})
	}
	return w
}

var someNodes = []fleet.Node{
	node("big", "m5.2xlarge", fleet.OnDemand),
	node("gpu", "g4dn.xlarge", fleet.OnDemand),
	node("od", "m5.large", fleet.OnDemand),
	node("spot", "m5.large", fleet.Spot),
	{Name: "spot-down", InstanceType: "m5.2xlarge", Region: "us-east-1", Capacity: fleet.Spot, Allocatable: fleet.Resources{MilliCPU: 8000, Memory: gib}},
	{Name: "strange", InstanceType: "x9.huge", Region: "mars-1", Ready: true, Allocatable: fleet.Resources{MilliCPU: 8000, Memory: 32 * gib}},
}

// TestMonthly: 500m and 1 GiB are 0.0158055 + 0.004237 = 0.0200425 at default rates. m5.large is
// 0.097118 for $0.096, so a pod is 0.096 × 0.0200425 / 0.097118 × 730 = $14.462596. m5.2xlarge is
// four times both and costs the same; spot at 0.0382 is $5.754908. On g4dn.xlarge (1.144236 for
// $0.526) 2 cores, 4 GiB and the GPU are 1.03017: 0.526 × 1.03017 / 1.144236 × 730 = $345.702003.
func TestMonthly(t *testing.T) {
	as := func(w fleet.Workload, c fleet.Capacity) fleet.Workload { w.Capacity = c; return w }
	three := model(500, gib, 0, "od", "od", "od")
	for _, c := range []struct {
		name string
		w    fleet.Workload
		want Money
		gap  string
	}{
		{"three pods on one node", three, 43_387_788, ""},
		{"one replica fewer", three.With(fleet.Target{Replicas: 2}), 28_925_192, ""},
		{"on two types", model(500, gib, 0, "od", "big"), 28_925_192, ""},
		{"a pod without a node pays like the others", model(500, gib, 0, "od", "", "big"), 43_387_788, ""},
		{"spot", as(model(500, gib, 0, "spot", "spot"), fleet.Spot), 11_509_816, ""},
		{"mixed", model(500, gib, 0, "od", "spot"), 20_217_504, ""},
		{"moved to spot", as(three, fleet.OnDemand).With(fleet.Target{Capacity: fleet.Spot}), 17_264_724, ""},
		{"gpu", model(2000, 4*gib, 1, "gpu", "gpu"), 691_404_006, ""},
		{"nothing asked", model(0, 0, 0, "od"), 0, ""},
		{"no replicas", fleet.Workload{Template: three.Template}, 0, ""},
		{"no price", model(500, gib, 0, "strange"), 0, "x9.huge in mars-1"},
		{"half has a price", model(500, gib, 0, "od", "strange"), 14_462_596, "x9.huge in mars-1"},
		{"no node at all", as(model(64_000, gib, 0, ""), fleet.Spot), 0, "spot capacity (no ready node)"},
		{"not placed: on the one spot node that is ready", as(model(500, gib, 0, "", ""), fleet.Spot), 11_509_816, ""},
	} {
		got := Builtin().Monthly(c.w, someNodes)
		if got.Amount != c.want {
			t.Errorf("%s: %d, want %d", c.name, got.Amount, c.want)
		}
		if gap := fmt.Sprint(got.Unpriced); c.gap != "" && gap != "["+c.gap+"]" || c.gap == "" && got.Unpriced != nil {
			t.Errorf("%s: unpriced %s, want %q", c.name, gap, c.gap)
		}
	}
}

// TestMoveIsPricedWhereItMayGo: a pod of 500m and 1 GiB is $5.754908 on the m5.large. Of a c5.xlarge,
// 4 × 0.031611 + 8 × 0.004237 = 0.16034, it is an eighth: 0.0664 / 8 × 730 = $6.059. The mean is $5.906954.
func TestMoveIsPricedWhereItMayGo(t *testing.T) {
	nodes := []fleet.Node{node("od", "m5.large", fleet.OnDemand), node("spot-a", "m5.large", fleet.Spot), node("spot-b", "c5.xlarge", fleet.Spot)}
	for _, c := range []struct {
		name string
		on   string
		may  []string
		want Money
	}{
		{"not known", "od", nil, 5_906_954},
		{"anywhere", "od", []string{"spot-a", "spot-b"}, 5_906_954},
		{"the one", "od", []string{"spot-a"}, 5_754_908},
		{"the other", "od", []string{"spot-b"}, 6_059_000},
		{"there already", "spot-a", []string{"spot-b"}, 5_754_908},
	} {
		w := model(500, gib, 0, c.on)
		w.SpotNodes = c.may
		if got := Builtin().Monthly(w.With(fleet.Target{Capacity: fleet.Spot}), nodes).Amount; got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestSlicePaysItsPart: a node whose one GPU is cut into seven slices charges a slice a seventh of
// the GPU's share: 0.436711 / 7 × 730 = $45.54.
func TestSlicePaysItsPart(t *testing.T) {
	n := node("gpu", "g4dn.xlarge", fleet.OnDemand)
	n.Allocatable.Extended = []fleet.Extended{{Name: "nvidia.com/mig-1g.5gb", Count: 7}}
	w := model(0, 0, 0, "gpu")
	w.Pods[0].Shape.Containers[0].Requests.Extended = []fleet.Extended{{Name: "nvidia.com/mig-1g.5gb", Count: 1}}
	if got := Builtin().Monthly(w, []fleet.Node{n}).String(); got != "$45.54" {
		t.Errorf("a slice costs %s", got)
	}
}

// TestMovingToSpotUsesSpotRows: whatever the workload asks for, moving it from on-demand to spot of
// the same type scales its cost by the ratio of the two prices.
func TestMovingToSpotUsesSpotRows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1_000 {
		on := make([]string, 1+r.IntN(6))
		for i := range on {
			on[i] = "od"
		}
		w := model(r.Int64N(1900), r.Int64N(7*gib), 0, on...)
		w.Capacity = fleet.OnDemand
		before := Builtin().Monthly(w, someNodes).Amount
		after := Builtin().Monthly(w.With(fleet.Target{Capacity: fleet.Spot}), someNodes).Amount
		if want := before.Times(38_200, 96_000); after < want-6 || after > want+6 {
			t.Fatalf("%d on-demand became %d on spot, want %d", before, after, want)
		}
		if s := (Line{Amount: before}).Sub(Line{Amount: after}); s.Add(Line{Amount: after}).Amount != before {
			t.Fatal("the saving does not balance")
		}
	}
}
