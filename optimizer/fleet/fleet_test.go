package fleet_test

import (
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func res(cpu, mem int64, ext ...fleet.Extended) fleet.Resources {
	return fleet.Resources{MilliCPU: cpu, Memory: mem, Extended: ext}
}

func TestPodRequests(t *testing.T) {
	c := func(role fleet.Role, cpu int64) fleet.Container {
		return fleet.Container{Role: role, Requests: res(cpu, cpu)}
	}
	for _, tt := range []struct {
		name string
		pod  []fleet.Container
		want int64
	}{
		{"mains add up", []fleet.Container{c(fleet.Main, 100), c(fleet.Main, 50)}, 150},
		{"a dear init step counts alone", []fleet.Container{c(fleet.Init, 500), c(fleet.Main, 100)}, 500},
		{"a sidecar runs on", []fleet.Container{c(fleet.Sidecar, 30), c(fleet.Main, 100)}, 130},
		// The init step runs beside the sidecar started before it: 30 + 200 > 30 + 100.
		{"an init step after a sidecar", []fleet.Container{c(fleet.Sidecar, 30), c(fleet.Init, 200), c(fleet.Main, 100)}, 230},
		// A sidecar that starts after the init step does not run beside it: 200 > 30 + 100.
		{"an init step before a sidecar", []fleet.Container{c(fleet.Init, 200), c(fleet.Sidecar, 30), c(fleet.Main, 100)}, 200},
	} {
		p := fleet.PodShape{Containers: tt.pod, Overhead: res(1, 1)}
		if got := p.Requests(); got.MilliCPU != tt.want+1 || got.Memory != tt.want+1 {
			t.Errorf("%s: %+v, want %d and the overhead 1", tt.name, got, tt.want)
		}
	}
}

func TestQoS(t *testing.T) {
	pod := func(req, lim fleet.Resources) fleet.PodShape {
		return fleet.PodShape{Containers: []fleet.Container{{Requests: req, Limits: lim}}}
	}
	for _, tt := range []struct {
		shape fleet.PodShape
		want  string
	}{
		{pod(res(0, 0), res(0, 0)), "BestEffort"},
		{pod(res(100, 1), res(100, 1)), "Guaranteed"},
		{pod(res(50, 1), res(100, 1)), "Burstable"},
		{pod(res(100, 0), res(100, 0)), "Burstable"},
	} {
		if got := tt.shape.QoS(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.shape.Containers[0], got, tt.want)
		}
	}
}

func TestSortExtended(t *testing.T) {
	gpu, fpga := fleet.Extended{Name: "nvidia.com/gpu", Count: 1}, fleet.Extended{Name: "fpga", Count: 2}
	sum := res(0, 0, gpu).Add(res(0, 0, fpga)).Add(res(0, 0, gpu))
	if len(sum.Extended) != 2 || sum.Extended[0] != fpga || sum.Of("nvidia.com/gpu") != 2 {
		t.Errorf("sum is %+v", sum.Extended)
	}
	if left := sum.Sub(sum); left.Extended != nil || !left.Equal(fleet.Resources{}) {
		t.Errorf("x - x is %+v", left)
	}
	if sum.Fits(res(0, 0, gpu)) || !res(0, 0, gpu).Fits(sum) {
		t.Error("two GPUs fit into one, or one does not fit into two")
	}
}

func TestIsGPU(t *testing.T) {
	for name, want := range map[string]bool{
		"nvidia.com/gpu": true, "nvidia.com/gpu.shared": true, "nvidia.com/mig-1g.5gb": true,
		"amd.com/gpu": true, "example.com/fpga": false, "hugepages-2Mi": false,
	} {
		if fleet.IsGPU(name) != want {
			t.Errorf("IsGPU(%s) is %v", name, !want)
		}
	}
}

func workload() fleet.Workload {
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "s", Requests: res(500, 1000, fleet.Extended{Name: "nvidia.com/gpu", Count: 1})}}}
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return fleet.Workload{Ref: fleet.Deployment("ml", "m"), Template: shape, Replicas: 2, Pods: []fleet.Pod{
		{Name: "m-1", Shape: shape, Created: at, Ready: true}, {Name: "m-2", Shape: shape, Created: at.Add(time.Hour)},
	}}
}

func TestWithLeavesTheWorkloadAlone(t *testing.T) {
	w := workload()
	after := w.With(fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: res(20, 100)}}, Replicas: 1, Capacity: fleet.Spot})
	if got := w.Current().Containers[0].Requests.MilliCPU; got != 500 || w.Replicas != 2 || len(w.Pods) != 2 {
		t.Errorf("With changed its receiver: %+v", w)
	}
	c := after.Current().Containers[0]
	if c.Requests.MilliCPU != 20 || c.Requests.Memory != 100 || after.Replicas != 1 || len(after.Pods) != 1 || after.Capacity != fleet.Spot {
		t.Errorf("after: %+v", after)
	}
	if c.Requests.GPUs() != 1 {
		t.Error("a target of CPU and memory took the GPU away")
	}
}

func TestHas(t *testing.T) {
	w := workload()
	for _, tt := range []struct {
		target fleet.Target
		want   bool
	}{
		{fleet.Target{}, true},
		{fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: res(500, 1000)}}, Replicas: 2}, true},
		{fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: res(500, 999)}}}, false},
		{fleet.Target{Replicas: 1}, false},
		{fleet.Target{Capacity: fleet.Spot}, false},
	} {
		if w.Has(tt.target) != tt.want || !w.With(tt.target).Has(tt.target) {
			t.Errorf("%+v: %v, want %v; and With(t).Has(t) must hold", tt.target, !tt.want, tt.want)
		}
	}
}

func TestMayMoveTo(t *testing.T) {
	w := workload()
	if w.MayMoveTo("") || w.MayMoveTo("a") {
		t.Error("without spot nodes it may move")
	}
	w.SpotNodes = []string{"a", "c"}
	moved := w.With(fleet.Target{Capacity: fleet.Spot}) // its price depends on where it may be
	for node, want := range map[string]bool{"a": true, "b": false, "c": true, "": false} {
		if w.MayMoveTo(node) != want || moved.MayMoveTo(node) != want {
			t.Errorf("%q: want %v, before a move and after it", node, want)
		}
	}
}

func TestCurrentIsTheNewestPod(t *testing.T) {
	w := workload()
	w.Pods[1].Shape = fleet.PodShape{Containers: []fleet.Container{{Name: "s", Requests: res(70, 7)}}}
	if got := w.Current().Requests().MilliCPU; got != 70 {
		t.Errorf("current CPU is %d, want the newest pod's 70", got)
	}
	w.Pods = nil
	if got := w.Current().Requests().MilliCPU; got != 500 {
		t.Errorf("without pods it is %d, want the template's 500", got)
	}
}

func TestRefOrderAndForm(t *testing.T) {
	a, b := fleet.Deployment("a", "z"), fleet.Deployment("b", "a")
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("Refs are not ordered by namespace first")
	}
	if s := (fleet.Ref{Cluster: "c", Namespace: "ns", Kind: "StatefulSet", Name: "x"}).String(); s != "c:StatefulSet ns/x" {
		t.Error(s)
	}
}
