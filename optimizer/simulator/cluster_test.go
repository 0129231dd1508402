package simulator

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

func builtinCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := New(Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func find(t *testing.T, c *Cluster, name string) model {
	t.Helper()
	i := slices.IndexFunc(c.models, func(m model) bool { return m.Ref.Name == name })
	if i < 0 {
		t.Fatalf("no model %s", name)
	}
	return c.models[i]
}

// What is read in pieces is what is read at once, sorted, and every sample is a measurement.
func TestSamples(t *testing.T) {
	c := builtinCluster(t)
	from, to := monday(24), monday(48)
	all, err := c.Samples(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	var pieces []fleet.Sample
	for at := from; at.Before(to); at = at.Add(7 * time.Hour) {
		until := at.Add(7 * time.Hour)
		if until.After(to) {
			until = to
		}
		part, _ := builtinCluster(t).Samples(t.Context(), at, until)
		pieces = append(pieces, part...)
	}
	if !reflect.DeepEqual(all, pieces) {
		t.Errorf("%d samples at once, %d others in pieces", len(all), len(pieces))
	}
	if !slices.IsSortedFunc(all, compareSamples) {
		t.Error("samples are not sorted")
	}
	for _, s := range all {
		if !(s.Mean >= 0 && s.Max >= s.Mean) || s.N < 1 || s.Window != Step || !s.At.After(from) || s.At.After(to) {
			t.Fatalf("sample %+v", s)
		}
	}
	// 8 pods in the window of 288 steps, each with requests, CPU and memory
	n := 0
	for _, s := range all {
		if s.Ref.Name == "image-search" {
			n++
		}
	}
	if want := 8 * 288 * 3; n != want {
		t.Errorf("%d samples of image-search, want %d", n, want)
	}
}

func compareSamples(a, b fleet.Sample) int {
	return cmp.Or(a.At.Compare(b.At), a.Ref.Compare(b.Ref), strings.Compare(a.Pod, b.Pod),
		strings.Compare(a.Container, b.Container), strings.Compare(string(a.Signal), string(b.Signal)))
}

func TestSamplesStopWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := builtinCluster(t).Samples(ctx, monday(0), monday(1)); err == nil {
		t.Error("no error after the context ended")
	}
}

// A workload's demand is there whatever the number of its pods: fewer pods use more each.
func TestShareKeepsTheDemand(t *testing.T) {
	l := load{perRequest: 0.01, memory: memory{base: 100}}
	all, now := demand{rate: 120, work: 2}, monday(12)
	for _, n := range []int{1, 2, 8, 40} {
		var rate, cpu float64
		for i := range n {
			u := l.share(all, n, fleet.Resources{}, now, now, dice(1).of(string(rune('a'+i))))
			rate, cpu = rate+u.rate, cpu+u.cpu
		}
		if rate < 110 || rate > 130 || cpu < 2.7 || cpu > 3.7 { // 120 and 120 × 0.01 + 2, each pod within 8 %
			t.Errorf("%d pods: %g requests a second, %g cores", n, rate, cpu)
		}
	}
}

func TestUseStaysWithinLimits(t *testing.T) {
	u := use{cpu: 1.5, cpuMax: 3, memory: 90, memoryMax: 120}.within(fleet.Resources{MilliCPU: 1000, Memory: 100})
	if u.cpu != 1 || u.cpuMax != 1 || u.memory != 90 || u.memoryMax != 100 || !u.oom {
		t.Errorf("%+v", u)
	}
}

func TestObserve(t *testing.T) {
	c := builtinCluster(t)
	c.Advance(4 * 7 * 24 * time.Hour)
	s, _ := c.Observe(t.Context())
	if len(s.Workloads) != 12 || !slices.IsSortedFunc(s.Workloads, func(a, b fleet.Workload) int { return a.Ref.Compare(b.Ref) }) {
		t.Errorf("%d workloads", len(s.Workloads))
	}
	b, _ := s.BoundsOf("ml-production")
	used := map[string]fleet.QuotaItem{}
	for _, i := range b.Quotas[0].Items {
		used[i.Name] = i
	}
	// 4×1.5 + 8×2 + 3×1 + 2×2 + 8×1 + 2×2 + 2×1 + 2×0.5 + 3×0.5 = 45.5 cores; 34 pods; 2 GPUs
	if got := used["requests.cpu"]; got.Used != 45_500 || got.Hard != 50_000 || !got.Tracked {
		t.Errorf("requests.cpu %+v", got)
	}
	if got := used["pods"]; got.Used != 34 || !got.Tracked {
		t.Errorf("pods %+v", got)
	}
	if got := used["requests.nvidia.com/gpu"]; got.Used != 2 || !got.Tracked {
		t.Errorf("requests.nvidia.com/gpu %+v", got)
	}
	if got := used["limits.nvidia.com/gpu"]; got.Tracked {
		t.Errorf("limits.nvidia.com/gpu %+v", got)
	}
	for _, w := range s.Workloads {
		for _, p := range w.Pods {
			if n, ok := s.Node(p.Node); !ok || !n.Simulated {
				t.Errorf("%s is on %q", p.Name, p.Node)
			}
		}
	}
}

// Nothing in a fleet file keeps a Deployment off a spot node; what is not a Deployment is never moved.
func TestSpotNodes(t *testing.T) {
	s, err := builtinCluster(t).Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Workloads {
		want := []string{"spot-01", "spot-02", "spot-03", "spot-04"}
		if w.Ref.Kind != "Deployment" {
			want = nil
		}
		if !slices.Equal(w.SpotNodes, want) {
			t.Errorf("%s: %v, want %v", w.Ref, w.SpotNodes, want)
		}
	}
	if got := spotNodes([]fleet.Node{
		{Name: "b", Ready: true, Capacity: fleet.Spot}, {Name: "a", Ready: true, Capacity: fleet.Spot},
		{Name: "cordoned", Ready: true, Capacity: fleet.Spot, Unschedulable: true}, {Name: "broken", Capacity: fleet.Spot}, {Name: "od", Ready: true},
	}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("of five nodes: %v", got)
	}
}

// No node holds more than it can, before a change and after it.
func TestPlacementFits(t *testing.T) {
	c := builtinCluster(t)
	check := func() {
		t.Helper()
		free := allocatable(c.nodes)
		for _, m := range c.models {
			for _, p := range m.Pods {
				i := c.indexOf(p.Node)
				if !p.Shape.Requests().Fits(free[i]) {
					t.Fatalf("%s does not fit on %s", p.Name, p.Node)
				}
				free[i] = free[i].Sub(p.Shape.Requests())
			}
		}
	}
	check()
	m := find(t, c, "image-batch").Workload
	if err := c.Apply(t.Context(), optimizer.Change{Ref: m.Ref, From: m, To: m.With(fleet.Target{Capacity: fleet.Spot})}); err != nil {
		t.Fatal(err)
	}
	check()
	for _, p := range find(t, c, "image-batch").Pods {
		if c.nodes[c.indexOf(p.Node)].Capacity != fleet.Spot {
			t.Errorf("%s is on %s", p.Name, p.Node)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	c := builtinCluster(t)
	m := find(t, c, "image-batch").Workload
	moved := m
	moved.Replicas = 1
	huge := m
	huge.Ref.Name = "gone"
	all := find(t, c, "image-search").Workload // 16 cores and more than the spot nodes have left beside 32 GiB
	for i := range c.nodes {
		if c.nodes[i].Capacity == fleet.Spot {
			c.nodes[i].Allocatable = fleet.Resources{MilliCPU: 2500, Memory: 29 << 30}
		}
	}
	for _, tc := range []struct {
		name string
		ch   optimizer.Change
	}{
		{"moved", optimizer.Change{Ref: m.Ref, From: moved, To: m}},
		{"gone", optimizer.Change{Ref: huge.Ref, From: huge, To: huge}},
		{"no room", optimizer.Change{Ref: all.Ref, From: all, To: all.With(fleet.Target{Capacity: fleet.Spot})}},
	} {
		before := slices.Clone(c.models)
		if err := c.Apply(t.Context(), tc.ch); err == nil {
			t.Errorf("%s: applied", tc.name)
		}
		if !reflect.DeepEqual(before, c.models) {
			t.Errorf("%s: something was changed all the same", tc.name)
		}
	}
}
