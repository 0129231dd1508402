package optimizer_test

import (
	"reflect"
	"testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

func shapeOf(cpus ...int64) fleet.PodShape {
	var s fleet.PodShape
	for i, milli := range cpus {
		s.Containers = append(s.Containers, fleet.Container{Name: string(rune('a' + i)), Requests: fleet.Resources{MilliCPU: milli}})
	}
	return s
}

// podsOf is a workload with a template and one pod for each of shapes.
func podsOf(template fleet.PodShape, shapes ...fleet.PodShape) fleet.Workload {
	w := fleet.Workload{Template: template, Replicas: int32(len(shapes)), Capacity: fleet.OnDemand}
	for i, s := range shapes {
		name := string(rune('1' + i))
		w.Pods = append(w.Pods, fleet.Pod{Name: name, UID: "uid-" + name, Shape: s})
	}
	return w
}

func TestTarget(t *testing.T) {
	asks := func(container string, milli int64) []fleet.ContainerRequests {
		return []fleet.ContainerRequests{{Container: container, Requests: fleet.Resources{MilliCPU: milli}}}
	}
	mixed := podsOf(shapeOf(500), shapeOf(20), shapeOf(500)) // the second pod is new and not resized yet
	for _, row := range []struct {
		name string
		from fleet.Workload
		with fleet.Target
	}{
		{"nothing", mixed, fleet.Target{}},
		{"capacity alone leaves mixed pods as they are", mixed, fleet.Target{Capacity: fleet.Spot}},
		{"replicas alone too", mixed, fleet.Target{Replicas: 1}},
		{"the new pod follows", mixed, fleet.Target{Requests: asks("a", 20)}},
		{"all go back to the template", mixed, fleet.Target{Requests: asks("a", 500)}},
		{"one of two containers", podsOf(shapeOf(500, 100), shapeOf(500, 100)), fleet.Target{Requests: asks("b", 50), Replicas: 3}},
		{"no pods", podsOf(shapeOf(500)), fleet.Target{Requests: asks("a", 20)}},
	} {
		c := optimizer.Change{From: row.from, To: row.from.With(row.with)}
		if got := c.Target(); !reflect.DeepEqual(got, row.with) {
			t.Errorf("%s: %+v, want %+v", row.name, got, row.with)
		}
	}
}

// limitedTo is a workload with pods of 500m and 1Gi under limits.
func limitedTo(cpu, memory int64, pods int) fleet.Workload {
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "s", Requests: fleet.Resources{MilliCPU: 500, Memory: 1 << 30},
		Limits: fleet.Resources{MilliCPU: cpu, Memory: memory}}}}
	shapes := make([]fleet.PodShape, pods)
	for i := range shapes {
		shapes[i] = shape.Clone()
	}
	return podsOf(shape, shapes...)
}

func TestTargetOfLimits(t *testing.T) {
	ask := func(milli, memory, cpuLimit, memoryLimit int64) fleet.Target {
		return fleet.Target{Requests: []fleet.ContainerRequests{{Container: "s", Requests: fleet.Resources{MilliCPU: milli, Memory: memory},
			Limits: fleet.Resources{MilliCPU: cpuLimit, Memory: memoryLimit}}}}
	}
	for _, c := range []struct {
		name  string
		from  fleet.Workload
		with  fleet.Target
		want  fleet.Target // the zero one: as with
		words string
	}{
		{"requests alone carry no limits", limitedTo(1000, 2<<30, 2), ask(100, 1<<30, 0, 0), fleet.Target{}, "s cpu 500m -> 100m"},
		{"both", limitedTo(1000, 2<<30, 2), ask(100, 256<<20, 200, 512<<20), fleet.Target{},
			"s cpu 500m -> 100m, memory 1Gi -> 256Mi, cpu limit 1 -> 200m, memory limit 2Gi -> 512Mi"},
		{"a limit alone", limitedTo(1000, 2<<30, 1), ask(500, 1<<30, 700, 0), fleet.Target{}, "s cpu limit 1 -> 700m"},
		{"the limits that are there", limitedTo(1000, 2<<30, 1), ask(100, 1<<30, 1000, 2<<30), ask(100, 1<<30, 0, 0), "s cpu 500m -> 100m"},
		{"none is added", limitedTo(0, 2<<30, 1), ask(100, 1<<30, 200, 512<<20), ask(100, 1<<30, 0, 512<<20), "s cpu 500m -> 100m, memory limit 2Gi -> 512Mi"},
	} {
		if c.want.Requests == nil {
			c.want = c.with
		}
		ch := optimizer.Change{From: c.from, To: c.from.With(c.with)}
		if got := ch.Target(); !reflect.DeepEqual(got, c.want) || ch.Words() != c.words {
			t.Errorf("%s: %+v, want %+v; %q", c.name, got, c.want, ch.Words())
		}
		if !ch.To.Has(c.with) || c.from.Has(c.with) {
			t.Errorf("%s: Has does not tell before from after", c.name)
		}
	}
}
