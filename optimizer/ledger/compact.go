package ledger

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// The most that an entry keeps of the words on how it stands, in bytes, and of the nodes that a move to spot
// was decided on: with any of them it can be gone on with.
const (
	maxDetail    = 1000
	maxSpotNodes = 32
)

// Compact is the part of a change that the ledger keeps: who, what, why, by whom, and of both states what
// is needed to go on, to take it back and to report it. Target and Words are those of the whole change.
//
// It leaves out labels, owners, images, resize policies, priorities and how pods were doing, which are looked
// at anew before anything is written, and spot nodes but for a change that moves to them. Both states are
// of the one object that the change names. A pod's age is kept to the second, and only where pods differ,
// because it then tells which of them is the newest.
func Compact(c optimizer.Change) optimizer.Change {
	ages := mixed(c.From.Pods) || mixed(c.To.Pods)
	uid, nodes := c.From.UID, c.From.SpotNodes
	c.From, c.To = state(c.From, ages), state(c.To, ages)
	if c.To.Capacity == fleet.Spot && c.From.Capacity != fleet.Spot {
		c.From.SpotNodes = list(nodes[:min(len(nodes), maxSpotNodes)])
	}
	c.From.Ref, c.To.Ref, c.From.UID, c.To.UID = c.Ref, c.Ref, uid, uid
	c.Pods, c.Reasons = list(c.Pods), list(c.Reasons)
	c.Saving = cost.Line{Amount: c.Saving.Amount, Unpriced: list(c.Saving.Unpriced)}
	return c
}

// mixed tells whether pods ask for different things.
func mixed(pods []fleet.Pod) bool {
	return slices.ContainsFunc(pods, func(p fleet.Pod) bool {
		return !reflect.DeepEqual(shape(p.Shape), shape(pods[0].Shape))
	})
}

func state(w fleet.Workload, ages bool) fleet.Workload {
	pods := make([]fleet.Pod, 0, len(w.Pods))
	for _, p := range w.Pods {
		kept := fleet.Pod{Name: p.Name, UID: p.UID, Node: p.Node, Shape: shape(p.Shape)}
		if ages && !p.Created.IsZero() {
			kept.Created = second(p.Created)
		}
		pods = append(pods, kept)
	}
	slices.SortStableFunc(pods, comparePods)
	return fleet.Workload{
		Class: w.Class, Template: shape(w.Template), Pods: list(pods), Replicas: w.Replicas, Capacity: w.Capacity,
		TolerateSpot: w.TolerateSpot, BatchSize: w.BatchSize,
	}
}

func shape(s fleet.PodShape) fleet.PodShape {
	kept := fleet.PodShape{Overhead: resources(s.Overhead)}
	for _, c := range s.Containers {
		kept.Containers = append(kept.Containers, fleet.Container{
			Name: c.Name, Role: cmp.Or(c.Role, fleet.Main), Requests: resources(c.Requests), Limits: resources(c.Limits),
		})
	}
	return kept
}

func resources(r fleet.Resources) fleet.Resources {
	r.Extended = list(r.Extended)
	return r
}

// list is a copy; nothing is nil.
func list[T any](in []T) []T {
	if len(in) == 0 {
		return nil
	}
	return slices.Clone(in)
}

func comparePods(a, b fleet.Pod) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID), cmp.Compare(a.Node, b.Node), a.Created.Compare(b.Created))
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// moment is a time as it comes back from its text.
func moment(t time.Time) time.Time { return t.UTC().Round(0) }

// words is a detail that fits.
func words(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxDetail {
		return s
	}
	const more = "..."
	return strings.ToValidUTF8(s[:maxDetail-len(more)], "") + more
}
