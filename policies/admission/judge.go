package admission

import (
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Judge is what the API server would make of moving w to t in a namespace with bounds b: the target
// with its requests trimmed to what LimitRanges let through, the trims, and why it must be left alone
// where nothing can be let through. It holds for an in-place resize of every live pod and for pods
// made from the template later.
//
// A trim never turns a shrink into a grow, or the other way round. Limits move only where t has some. What only
// takes away, fewer replicas or smaller requests, is never a matter of quota. Judging a judged target
// again changes nothing. A request of zero in t means that it stays as it is.
func Judge(w fleet.Workload, t fleet.Target, b fleet.Bounds) (fleet.Target, []Trim, []fleet.Hold) {
	if h, ok := strangers(w, t); ok {
		return t, nil, []fleet.Hold{h}
	}
	judged := t
	var trims []Trim
	few := distinct(w)
	if len(t.Requests) > 0 {
		judged.Requests, trims = fit(few, w.Current(), complete(w, t.Requests), b)
	}
	requests := fleet.Target{Requests: judged.Requests}
	if h, ok := refused(few, few.With(requests), judged, b); ok {
		return t, nil, []fleet.Hold{h}
	}
	holds := qos(few, few.With(requests), b)
	holds = append(holds, quotas(w, w.With(requests), judged, b)...)
	return judged, trims, holds
}

// strangers finds requests for containers that no pod has.
func strangers(w fleet.Workload, t fleet.Target) (fleet.Hold, bool) {
	for _, r := range t.Requests {
		if _, ok := w.Current().Container(r.Container); !ok {
			return fleet.Hold{Reason: fleet.HoldMoved, Detail: "its pods have no container " + r.Container}, true
		}
	}
	return fleet.Hold{}, false
}

// complete fills what a target leaves out with what the container has.
func complete(w fleet.Workload, reqs []fleet.ContainerRequests) []fleet.ContainerRequests {
	reqs = slices.Clone(reqs)
	for i, r := range reqs {
		c, _ := w.Current().Container(r.Container)
		for _, name := range compute() {
			if of(r.Requests, name) == 0 {
				reqs[i].Requests = with(reqs[i].Requests, name, of(c.Requests, name))
			}
		}
	}
	return reqs
}

// distinct is w with only one pod of each shape that its live pods have.
func distinct(w fleet.Workload) fleet.Workload {
	var few []fleet.Pod
	for _, p := range w.Pods {
		if !slices.ContainsFunc(few, func(o fleet.Pod) bool { return alike(o.Shape, p.Shape) }) {
			few = append(few, p)
		}
	}
	w.Pods = few
	return w
}

// alike tells whether two shapes are one to a LimitRange.
func alike(a, b fleet.PodShape) bool {
	return slices.EqualFunc(a.Containers, b.Containers, func(x, y fleet.Container) bool {
		return x.Name == y.Name && x.Role == y.Role && x.Requests.Equal(y.Requests) && x.Limits.Equal(y.Limits)
	})
}

// shapes is what the API server gets to see: the shape of the next pod, then those of the live ones.
func shapes(w fleet.Workload, b fleet.Bounds) []fleet.PodShape {
	all := []fleet.PodShape{Default(w.Template, b)}
	for _, p := range w.Pods {
		all = append(all, p.Shape)
	}
	return all
}

// refused holds a change whose pods a LimitRange would not let through, or that no quota could count.
// A change that makes or alters no pod is not looked at.
func refused(w, after fleet.Workload, t fleet.Target, b fleet.Bounds) (fleet.Hold, bool) {
	if len(t.Requests) == 0 && !moves(w, t) && t.Replicas <= w.Replicas {
		return fleet.Hold{}, false
	}
	affected := shapes(after, b)
	if len(t.Requests) == 0 {
		affected = affected[:1] // only new pods are looked at
	}
	var ranged, uncounted []string
	for i, s := range affected {
		if i > 0 {
			ranged = append(ranged, fillings(s, b)...)
		}
		ranged = append(ranged, refusals(s, b)...)
		uncounted = append(uncounted, unspecified(s, b)...)
	}
	switch {
	case len(ranged) > 0:
		return fleet.Hold{Reason: fleet.HoldLimitRange, Detail: sentence(ranged)}, true
	case len(uncounted) > 0:
		return fleet.Hold{Reason: fleet.HoldQuota, Detail: sentence(uncounted)}, true
	}
	return fleet.Hold{}, false
}

// sentence joins reasons, each once.
func sentence(reasons []string) string {
	var once []string
	for _, r := range reasons {
		if !slices.Contains(once, r) {
			once = append(once, r)
		}
	}
	return strings.Join(once, "; ")
}

// qos holds a change of requests that would alter the QoS class of a pod, which a resize may not.
func qos(w, after fleet.Workload, b fleet.Bounds) []fleet.Hold {
	now := shapes(after, b)
	for i, s := range shapes(w, b) {
		old, class := s.QoS(), now[i].QoS()
		if old == class {
			continue
		}
		detail := fmt.Sprintf("the pod would change from QoS class %s to %s", old, class)
		if old == "Guaranteed" {
			detail += ": its requests equal its limits, the two must move together; let rightSizing.limits be ratio or peaks, or lower both by hand"
		}
		return []fleet.Hold{{Reason: fleet.HoldQoS, Detail: detail}}
	}
	return nil
}

// moves tells whether t brings w to other nodes, which replaces its pods.
func moves(w fleet.Workload, t fleet.Target) bool {
	return t.Capacity != "" && t.Capacity != w.Capacity
}
