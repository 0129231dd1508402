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
// that enforces, and what an exporter of GPU metrics tells: nothing, or a busy share of each GPU.
type gpuWorld struct {
	world
	busy []float64
}

func newGPUWorld(busy ...float64) *gpuWorld {
	g := &gpuWorld{busy: busy}
	w := deployment("image-analysis-model", 2)
	w.Template.Containers[0].Limits.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: 2}}
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
	s.Nodes = append(s.Nodes, fleet.Node{Name: "gpu-node", InstanceType: "g4dn.12xlarge", Region: "us-east-1", Capacity: fleet.OnDemand, Ready: true, Simulated: true,
		Allocatable: fleet.Resources{MilliCPU: 48_000, Memory: 192 << 30, Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 4}}}})
	return s, err
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
