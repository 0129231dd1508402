package optimizer_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
)

// gpuWorld is the article's image-analysis-model with two GPUs a pod on a node that is not real, in a policy
// that enforces, and what an exporter of GPU metrics tells: nothing, or a busy share of each GPU, and perhaps
// the memory in use of each.
type gpuWorld struct {
	world
	busy    []float64
	used    float64 // bytes; 0: not told
	product string  // of the node
	more    []fleet.Node
}

func newGPUWorld(busy ...float64) *gpuWorld {
	g := &gpuWorld{busy: busy}
	w := deployment("image-analysis-model", 2)
	each := int64(2)
	if busy != nil {
		each = int64(len(busy))
	}
	w.Template.Containers[0].Limits.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: each}}
	w.Template.Containers[0].Requests.Extended = w.Template.Containers[0].Limits.Extended
	for i := range w.Pods {
		w.Pods[i].Node, w.Pods[i].Shape = "gpu-node", w.Template
	}
	g.workloads = append(g.workloads, w)
	g.raw = append(g.raw, policy("p", hour+"  mode: enforce\n"))
	return g
}

func (g *gpuWorld) Observe(ctx context.Context) (fleet.Snapshot, error) {
	s, err := g.world.Observe(ctx)
	s.Nodes = append(append(s.Nodes, gpuNode("gpu-node", g.product)), g.more...)
	return s, err
}

func gpuNode(name, product string) fleet.Node {
	return fleet.Node{Name: name, InstanceType: "g4dn.12xlarge", Region: "us-east-1", Capacity: fleet.OnDemand, GPUProduct: product, Ready: true, Simulated: true,
		Allocatable: fleet.Resources{MilliCPU: 48_000, Memory: 192 << 30, Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 4}}}}
}

func (g *gpuWorld) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	return g.world.Each(ctx, since, until, func(in []fleet.Sample) error {
		var out []fleet.Sample
		for _, s := range in {
			out = append(out, s)
			if s.Signal != fleet.Requests {
				continue
			}
			for i, v := range g.busy {
				s.Container, s.Signal, s.Mean, s.Max = fleet.GPUName(int64(i)), fleet.GPU, v, v
				out = append(out, s)
				if g.used > 0 {
					s.Signal, s.Mean, s.Max = fleet.GPUMemory, g.used, g.used
					out = append(out, s)
				}
			}
		}
		return do(out)
	})
}

// TestGPUStory: 4 % of its CPU is used, so by CPU it would be cut. Without an exporter its GPUs are unknown;
// with one a person is told what to do and what one of the four GPUs of a g4dn.12xlarge costs, $442.51 in each
// of two pods. It is never a change, though its policy enforces.
func TestGPUStory(t *testing.T) {
	for _, c := range []struct {
		name   string
		busy   []float64
		advice string
		saving string
	}{
		{"no exporter", nil, "", ""},
		{"one idle", []float64{0.6, 0.01}, "gpu 1 of 2 idle: remove it", "$885.03"},
		{"both hardly busy", []float64{0.08, 0.08}, "both GPUs busy 8 %: share (time-slicing or MIG) or remove one", "$885.03"},
		{"both idle", []float64{0, 0}, "both GPUs idle: remove them, or the workload", "$1,770.05"},
		{"busy", []float64{0.7, 0.6}, "", ""},
	} {
		g := newGPUWorld(c.busy...)
		cycle := g.cycle()
		cycle.Cluster, cycle.Usage, cycle.Actuator = g, g, g
		p, err := cycle.Run(context.Background(), noon, true)
		if err != nil || len(p.Assessments) != 1 {
			t.Fatalf("%s: %v, %+v", c.name, err, p.Assessments)
		}
		a := p.Assessments[0]
		if len(p.Changes) != 0 || len(g.applied) != 0 || len(a.Verdicts) != 0 || a.After.Amount != a.Now.Amount || !a.Simulated || !p.Simulated {
			t.Errorf("%s: changes %+v, applied %v, verdicts %+v, simulated %v", c.name, p.Changes, g.applied, a.Verdicts, a.Simulated)
		}
		if held := slices.Contains(holdReasons(a), fleet.HoldGPU); held != (c.busy == nil) {
			t.Errorf("%s: holds %+v", c.name, a.Holds)
		}
		if c.advice == "" {
			if len(a.Advice) != 0 {
				t.Errorf("%s: advised %+v", c.name, a.Advice)
			}
			continue
		}
		if len(a.Advice) != 1 || a.Advice[0].Text != c.advice || a.Advice[0].Saving.String() != c.saving {
			t.Errorf("%s: advised %+v", c.name, a.Advice)
		}
	}
}

// TestCardStory: where the nodes under both pods say the same card, and its memory is measured, the advice is what
// to ask for; else it stays general and says what to look at. A GPU is $442.5125: what each of two pods frees is
// 2/3 of it (T4, a third rounded up to 334 thousandths), 5/7 (H100, 286) or a half.
func TestCardStory(t *testing.T) {
	const share, memory, which = "its GPU busy 20 %: share with a second pod like it (time-slicing or MIG)", "look at the GPU memory in use first", "say which card it is"
	const part, beside = "its GPU busy 20 %: ask for less of the card (a smaller slice, or more pods by turns)", "it has a part of a card already"
	const turns, gpuMemory, h100 = "its GPU busy 20 %, 4Gi of its T4 in use at most: let 3 pods like it share a card by turns (time-slicing)", 4 << 30, "NVIDIA-H100-80GB-HBM3"
	for _, c := range []struct {
		name, product, other string // labels of the two nodes
		place                string // of the second pod
		used                 float64
		advice, before       string
		saving               string
	}{
		{"both say it", "Tesla-T4", "Tesla-T4", "other", gpuMemory, turns, "set the server's own limit", "$589.43"},
		{"one node", "Tesla-T4", "", "gpu-node", gpuMemory, turns, "set the server's own limit", "$589.43"},
		{"two names of one card", h100, "NVIDIA-H100-PCIe", "other", gpuMemory, "its GPU busy 20 %, 4Gi of its H100-80GB in use at most: ask for nvidia.com/mig-2g.20gb, of which a card holds 3", "try it under load", "$631.91"},
		{"its memory is in use", "Tesla-T4", "Tesla-T4", "other", 12 << 30, "its GPU busy 20 %, 12Gi of its T4 in use at most: keep it whole: neither a smaller MIG profile nor half of a card holds it", "busy is the share", "$0.00"},
		{"the other is not placed yet", "Tesla-T4", "", "", gpuMemory, turns, "set the server's own limit", "$589.43"},
		{"the other is on a node that is gone", "Tesla-T4", "", "gone", gpuMemory, share, which, ""},
		{"memory is not told", "Tesla-T4", "Tesla-T4", "other", 0, share, memory, "$442.51"},
		{"no label", "", "", "other", gpuMemory, share, which, "$442.51"},
		{"one has no label", "Tesla-T4", "", "other", gpuMemory, share, which, "$442.51"},
		{"two cards", "Tesla-T4", "NVIDIA-L4", "other", gpuMemory, share, which, "$442.51"},
		{"a card that nobody knows", "NVIDIA-Future", "NVIDIA-Future", "other", gpuMemory, share, which, "$442.51"},
		{"turns on a card", "Tesla-T4-SHARED", "Tesla-T4-SHARED", "other", gpuMemory, part, beside, "$0.00"},
		{"slices of a card", "A100-SXM4-40GB-MIG-1g.5gb", "A100-SXM4-40GB-MIG-1g.5gb", "other", gpuMemory, part, beside, "$0.00"},
		{"one of them has turns", "Tesla-T4", "Tesla-T4-SHARED", "other", gpuMemory, part, beside, "$0.00"},
	} {
		g := newGPUWorld(0.2)
		g.used, g.product, g.more = c.used, c.product, []fleet.Node{gpuNode("other", c.other)}
		g.workloads[0].Pods[1].Node = c.place
		cycle := g.cycle()
		cycle.Cluster, cycle.Usage, cycle.Actuator = g, g, g
		p, err := cycle.Run(context.Background(), noon, true)
		if err != nil || len(p.Assessments) != 1 || len(p.Assessments[0].Advice) != 1 {
			t.Fatalf("%s: %v, %+v", c.name, err, p.Assessments)
		}
		got := p.Assessments[0].Advice[0]
		if got.Text != c.advice || !strings.HasPrefix(got.Before, c.before) || c.saving != "" && got.Saving.String() != c.saving {
			t.Errorf("%s: advised %q, first %q, saves %s", c.name, got.Text, got.Before, got.Saving)
		}
		if len(p.Changes) != 0 {
			t.Errorf("%s: changes %+v", c.name, p.Changes)
		}
	}
}

// TestAdviceWithoutAPrice says so, and not that it saves nothing.
func TestAdviceWithoutAPrice(t *testing.T) {
	g := newGPUWorld(0, 0)
	cycle := g.cycle()
	cycle.Cluster, cycle.Usage, cycle.Prices, cycle.History = g, g, cost.Prices{}, recommender.NewHistory()
	p, err := cycle.Run(context.Background(), noon, true)
	if err != nil {
		t.Fatal(err)
	}
	var saving cost.Line
	for _, a := range p.Assessments {
		for _, adv := range a.Advice {
			saving = adv.Saving
		}
	}
	if !strings.HasPrefix(saving.String(), "unpriced (no price for g4dn.12xlarge") {
		t.Errorf("saves %s", saving)
	}
}

var _ optimizer.Actuator = (*gpuWorld)(nil)
