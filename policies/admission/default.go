package admission

import (
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The types of a LimitRange's item.
const (
	perContainer = "Container"
	perPod       = "Pod"
)

// Default is the shape a pod has after the API server filled in what it leaves out: first a missing
// request becomes its limit, then each LimitRange gives its default limits and requests to every
// container. Only what is missing is filled. Where several LimitRanges give a default for one
// resource the API server takes either; here it is the first by name, and Lint says so.
//
//	range: default cpu 1, defaultRequest cpu 500m    container: nothing     -> request 500m, limit 1
//	                                                 container: limit 200m  -> request 200m, limit 200m
//	                                                 container: request 4   -> request 4, limit 1 (refused)
//	range: max nvidia.com/gpu 1                      container: nothing     -> request 1, limit 1
func Default(shape fleet.PodShape, b fleet.Bounds) fleet.PodShape {
	shape.Containers = slices.Clone(shape.Containers)
	for i := range shape.Containers {
		c := &shape.Containers[i]
		c.Requests = fill(c.Requests, c.Limits)
		for _, r := range b.LimitRanges {
			if r.Type == perContainer {
				limits, requests := defaults(r)
				c.Limits = fill(c.Limits, limits)
				c.Requests = fill(c.Requests, requests)
			}
		}
	}
	return shape
}

// defaults is what a LimitRange gives a container that says nothing: the limit is default, else max;
// the request is defaultRequest, else that limit, else min.
func defaults(r fleet.LimitRange) (limits, requests fleet.Resources) {
	limits = fill(r.Default, without(r.Max, r.Default))
	requests = fill(fill(r.DefaultRequest, limits), r.Min)
	return limits, requests
}

// without is r less the extended resources that explicit sets to zero: a default of 0 GPUs, where an
// adapter keeps it, is what stops a max from handing them out.
func without(r, explicit fleet.Resources) fleet.Resources {
	for _, e := range explicit.Extended {
		if e.Count == 0 {
			r = with(r, e.Name, 0)
		}
	}
	return r
}

// fill is r with what it leaves out taken from d.
func fill(r, d fleet.Resources) fleet.Resources {
	for _, name := range named(d) {
		if of(r, name) == 0 {
			r = with(r, name, of(d, name))
		}
	}
	return r
}

// fillings is what a resize would give a live pod that is older than its LimitRanges: LimitRanger fills
// in what is missing then too, and a limit that appears by itself is nothing that was asked for.
func fillings(shape fleet.PodShape, b fleet.Bounds) []string {
	var all []string
	for i, full := range Default(shape, b).Containers {
		c := shape.Containers[i]
		for _, part := range []struct {
			name     string
			was, now fleet.Resources
		}{{"request", c.Requests, full.Requests}, {"limit", c.Limits, full.Limits}} {
			for _, name := range named(part.now) {
				if n := of(part.now, name); n != of(part.was, name) {
					all = append(all, fmt.Sprintf("the resize would also give container %s a %s of %s of %s, by a LimitRange that is younger than the pod; restart its pods first",
						c.Name, part.name, format(name, n), name))
				}
			}
		}
	}
	return all
}
