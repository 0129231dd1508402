package managed

import (
	"fmt"
	"math"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies/admission"
	"trimtab.dev/trimtab/recommender/capacity"
)

// gate is what the LimitRanges and ResourceQuotas of its namespace say to settings of a server, so that no step is
// begun that the API server would refuse.
type gate struct {
	seen      fleet.Workload
	container string
	count     int            // pods
	pods      []pod          // of each kind that asks for something else one
	fresh     fleet.PodShape // of a pod that comes: what its template says, which is resized later
	ranges    fleet.Bounds   // with quotas of endless room: whether they have any is counted over all pods together
	lines     []quotaLine
}

// quotaLine is a line of a ResourceQuota that pods are charged to.
type quotaLine struct {
	quota, name string
	counted     bool  // its use is known
	own, left   int64 // charged for the server's pods as they are, and the most that may be
}

// gate is false where the namespace or the Deployment was not seen: what is refused then shows when it is tried.
func (j *job) gate() (gate, bool) {
	b, known := j.snapshot.BoundsOf(j.server.Namespace)
	if !known || j.seen.Ref.Name == "" || len(j.pods) == 0 {
		return gate{}, false
	}
	g := gate{seen: j.seen, container: j.adopted.container(), count: len(j.pods), pods: distinct(j.pods), fresh: admission.Default(j.seen.Template, b), ranges: endless(b)}
	for _, q := range b.Quotas {
		for _, item := range q.Items {
			if !admission.Counted(item.Name) {
				continue
			}
			l := quotaLine{quota: q.Name, name: item.Name, counted: item.Tracked}
			for _, p := range j.pods {
				l.own += admission.Charge(g.shape(p.requests, p.limits), l.name)
			}
			l.left = item.Hard - item.Used + l.own
			g.lines = append(g.lines, l)
		}
	}
	return g, true
}

// distinct is pods of which no two ask for the same. A plan asks for hundreds of settings, and most pods are alike.
func distinct(pods []pod) (all []pod) {
	for _, p := range pods {
		if !slices.ContainsFunc(all, func(k pod) bool { return k.requests.Equal(p.requests) && k.limits.Equal(p.limits) }) {
			all = append(all, p)
		}
	}
	return all
}

// endless is bounds whose quotas ask for the same to be stated, and always have room.
func endless(b fleet.Bounds) fleet.Bounds {
	b.Quotas = slices.Clone(b.Quotas)
	for i, q := range b.Quotas {
		items := slices.Clone(q.Items)
		for k := range items {
			items[k].Hard, items[k].Used, items[k].Tracked = math.MaxInt64, 0, true
		}
		b.Quotas[i].Items = items
	}
	return b
}

// asks is what a pod would ask for at a setting.
func asks(p pod, at capacity.Setting) (requests, limits fleet.Resources) {
	return record{Resized: true, State: capacity.State{Setting: at}}.asks(p)
}

// shape is a pod whose server's container asks for this.
func (g gate) shape(requests, limits fleet.Resources) fleet.PodShape {
	return fleet.Workload{Template: g.fresh}.With(g.target(requests, limits)).Template
}

func (g gate) target(requests, limits fleet.Resources) fleet.Target {
	return fleet.Target{Requests: []fleet.ContainerRequests{{Container: g.container, Requests: requests, Limits: limits}}}
}

// refuses is why the API server would not let the server's pods become what a setting asks for; none: it would. What
// a LimitRange would only let through as something else is refused too: that is not what was planned.
func (g gate) refuses(at capacity.Setting) []string {
	var out []string
	grows, resizes := at.Replicas > max(int(g.seen.Replicas), g.count), g.resizes(at)
	if grows {
		out = append(out, g.ranged(fleet.Target{Replicas: int32(at.Replicas)})...)
	}
	if resizes {
		out = append(out, g.ranged(g.target(asks(g.pods[0], at)))...)
	}
	if grows || resizes {
		out = append(out, g.short(at)...)
	}
	return out
}

// resizes tells whether a pod would ask for something else than it does.
func (g gate) resizes(at capacity.Setting) bool {
	return slices.ContainsFunc(g.pods, func(p pod) bool {
		requests, limits := asks(p, at)
		return !requests.Equal(p.requests) || !limits.Equal(p.limits)
	})
}

// ranged is what LimitRanges, and what quotas ask to be stated, say to a change.
func (g gate) ranged(t fleet.Target) []string {
	var out []string
	_, trims, holds := admission.Judge(g.seen, t, g.ranges)
	for _, trim := range trims {
		out = append(out, "it would only be let through otherwise: "+trim.String())
	}
	for _, h := range holds {
		out = append(out, h.Detail)
	}
	return out
}

// short is the lines of quotas that have no room for all pods of a setting. Those that come have what their template
// says before they have what the setting does; the larger counts. What takes no more than now is never refused.
func (g gate) short(at capacity.Setting) []string {
	var out []string
	asked := g.shape(asks(g.pods[0], at))
	stay := int64(min(g.count, at.Replicas))
	come := int64(at.Replicas) - stay
	for _, l := range g.lines {
		each := admission.Charge(asked, l.name)
		need := stay*each + come*max(each, admission.Charge(g.fresh, l.name))
		switch {
		case need <= l.own:
		case !l.counted:
			out = append(out, fmt.Sprintf("ResourceQuota %s: its controller has not counted %s yet", l.quota, l.name))
		case need > l.left:
			out = append(out, fmt.Sprintf("ResourceQuota %s: all pods together would take %s of %s; it leaves %s",
				l.quota, admission.Amount(l.name, need), l.name, admission.Amount(l.name, max(l.left, 0))))
		}
	}
	return out
}

// least is the smallest requests that LimitRanges let a pod of the server have; 0: they let it have any, or would
// refuse it as it is. What is asked for is next to nothing, and what it is trimmed to is told.
func (g gate) least() fleet.Resources {
	none := capacity.Setting{CPU: 1}
	if p := g.pods[0]; p.limits.MilliCPU == p.requests.MilliCPU {
		none.Limit = 1 // it follows the request
	}
	var out fleet.Resources
	for _, at := range []capacity.Setting{none, {Memory: 1}} {
		_, trims, _ := admission.Judge(g.seen, g.target(asks(g.pods[0], at)), g.ranges)
		for _, t := range trims {
			switch t.Resource {
			case "cpu":
				out.MilliCPU = t.To
			case "memory":
				out.Memory = t.To
			}
		}
	}
	return out
}
