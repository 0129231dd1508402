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
