package policies

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies/admission"
)

// The types of a LimitRange's item.
const (
	perContainer = "Container"
	perPod       = "Pod"
)

const unlessMeant = ", or mustState: true if that is meant"

// lintTraps faults what admission finds in any quota and LimitRange, here before it is written: lines
// that are never enforced, GPUs handed to whoever asks for none, a quota that refuses whoever states nothing.
func lintTraps(w *walk, g Governance) {
	for _, f := range admission.Lint(g.bounds()) {
		if !strings.HasPrefix(f.Object, "ResourceQuota ") {
			_, name, _ := strings.Cut(f.Item, " ")
			w.fault(w.limit(g, name), "%s", f.Text)
			continue
		}
		text := f.Text
		if !strings.Contains(f.Item, "/") { // cpu or memory, which containers must state
			if g.MustState {
				continue
			}
			text += unlessMeant
		}
		w.fault(w.at("spec.resourceQuota.hard."+f.Item), "%s", text)
	}
}

// limit is where a LimitRange says the most about a resource.
func (w *walk) limit(g Governance, name string) place {
	for i := range g.Limits {
		for _, part := range []string{"default", "defaultRequest", "max", "min"} {
			path := fmt.Sprintf("spec.limitRange.limits[%d].%s.%s", i, part, name)
			if _, ok := w.lines[path]; ok {
				return w.at(path)
			}
		}
	}
	return w.at("spec.limitRange")
}

// bounds is what admission judges.
func (g Governance) bounds() fleet.Bounds {
	b := fleet.Bounds{Namespace: strings.Join(g.Namespaces, ", ")}
	for _, i := range g.Limits {
		b.LimitRanges = append(b.LimitRanges, fleet.LimitRange{
			Name: g.LimitName, Type: i.Type,
			Default: amountsOf(i.Default), DefaultRequest: amountsOf(i.DefaultRequest), Min: amountsOf(i.Min), Max: amountsOf(i.Max),
		})
	}
	if len(g.Quota) > 0 {
		q := fleet.Quota{Name: g.QuotaName}
		for _, a := range g.Quota {
			q.Items = append(q.Items, fleet.QuotaItem{Name: a.Name})
		}
		b.Quotas = []fleet.Quota{q}
	}
	return b
}

// amountsOf keeps extended resources of zero: a default of no GPU is a default.
func amountsOf(all []Amount) fleet.Resources {
	var r fleet.Resources
	for _, a := range all {
		q := a.value()
		switch {
		case a.Name == "cpu":
			r.MilliCPU = q.MilliValue()
		case a.Name == "memory":
			r.Memory = q.Value()
		case strings.Contains(a.Name, "/"):
			r.Extended = append(r.Extended, fleet.Extended{Name: a.Name, Count: q.Value()})
		}
	}
	return r
}

func (a Amount) value() resource.Quantity {
	q, err := resource.ParseQuantity(a.Quantity)
	if err != nil {
		panic(err) // unreachable unless bug: it was read as one
	}
	return q
}

// trap is a part of a LimitRange's item that does harm where nobody meant it.
type trap struct{ part, name, text string }

func limitTraps(w *walk, g Governance) {
	var container LimitItem
	for _, i := range g.Limits {
		if i.Type == perContainer {
			container = i
		}
	}
	for n, i := range g.Limits {
		all := slices.Concat(i.crossed(), i.ratios(container))
		if i.Type == perPod {
			all = append(all, i.ofPods()...)
		}
		if !g.MustState {
			all = append(all, i.unstated(container)...)
		}
		for _, t := range all {
			w.fault(w.at(fmt.Sprintf("spec.limitRange.limits[%d].%s.%s", n, t.part, t.name)), "%s", t.text)
		}
	}
}

func (i LimitItem) part(name string) []Amount {
	return map[string][]Amount{
		"default": i.Default, "defaultRequest": i.DefaultRequest, "min": i.Min, "max": i.Max, "maxLimitRequestRatio": i.MaxLimitRequestRatio,
	}[name]
}

// of is the quantity of a resource; false where there is none, or zero.
func of(all []Amount, name string) (resource.Quantity, bool) {
	for _, a := range all {
		if a.Name == name {
			q := a.value()
			return q, !q.IsZero()
		}
	}
	return resource.Quantity{}, false
}

// crossed finds pairs that the API server refuses: what must not be above the other is.
func (i LimitItem) crossed() []trap {
	var all []trap
	for _, pair := range [][2]string{{"min", "defaultRequest"}, {"min", "default"}, {"min", "max"}, {"defaultRequest", "default"}, {"defaultRequest", "max"}, {"default", "max"}} {
		low, high := pair[0], pair[1]
		for _, a := range i.part(low) {
			b := slices.IndexFunc(i.part(high), func(o Amount) bool { return o.Name == a.Name })
			if b < 0 {
				continue
			}
			q, other := a.value(), i.part(high)[b]
			switch c := q.Cmp(other.value()); {
			case c > 0:
				all = append(all, trap{low, a.Name, fmt.Sprintf("%s is above %s, %s; lower it or raise %s", a.Quantity, high, other.Quantity, high)})
			case c < 0 && low == "defaultRequest" && high == "default" && strings.Contains(a.Name, "/"):
				all = append(all, trap{low, a.Name, fmt.Sprintf("%s is not default, %s; nobody can have a share of a device, write one number for both", a.Quantity, other.Quantity)})
			}
		}
	}
	return all
}

// given is what a container gets that states nothing: the limit is default, else max; the request is
// defaultRequest, else that limit, else min.
func (i LimitItem) given(name string) (limit, request resource.Quantity) {
	limit, ok := of(i.Default, name)
	if !ok {
		limit, _ = of(i.Max, name)
	}
	request, ok = of(i.DefaultRequest, name)
	if !ok {
		request = limit
	}
	if request.IsZero() {
		request, _ = of(i.Min, name)
	}
	return limit, request
}

// ratios finds ratios that refuse what the item itself gives, or that the API server refuses.
func (i LimitItem) ratios(container LimitItem) []trap {
	var all []trap
	for _, a := range i.MaxLimitRequestRatio {
		add := func(format string, args ...any) {
			all = append(all, trap{"maxLimitRequestRatio", a.Name, fmt.Sprintf(format, args...)})
		}
		q := a.value()
		ratio := q.AsApproximateFloat64()
		limit, request := container.given(a.Name)
		low, hasLow := of(i.Min, a.Name)
		high, hasHigh := of(i.Max, a.Name)
		switch {
		case ratio < 1:
			add("%v is below 1, and no limit is below its request; write 1 or more", ratio)
		case hasLow && hasHigh && ratio > over(high, low):
			add("%v is above max / min, %s / %s, so that it never decides; lower or remove it", ratio, &high, &low)
		case !limit.IsZero() && !request.IsZero() && over(limit, request) > ratio:
			add("%v refuses every container that states nothing, for it gets a limit of %s and a request of %s; raise the ratio or the request", ratio, &limit, &request)
		}
	}
	return all
}

func over(a, b resource.Quantity) float64 { return a.AsApproximateFloat64() / b.AsApproximateFloat64() }

// ofPods finds what only containers can be given.
func (i LimitItem) ofPods() []trap {
	var all []trap
	for _, part := range []string{"default", "defaultRequest"} {
		for _, a := range i.part(part) {
			all = append(all, trap{part, a.Name, "is for containers; move it to an item of type Container"})
		}
	}
	return all
}

// unstated finds parts that refuse every pod with a container that states nothing, because nothing is
// given to it. GPUs are left to admission, which wants none of them given.
func (i LimitItem) unstated(container LimitItem) []trap {
	var all []trap
	for _, part := range []string{"min", "max", "maxLimitRequestRatio"} {
		for _, a := range i.part(part) {
			if fleet.IsGPU(a.Name) {
				continue
			}
			limit, request := container.given(a.Name)
			lacks := ""
			switch {
			case part != "min" && limit.IsZero():
				lacks = "default"
			case part != "max" && request.IsZero():
				lacks = "defaultRequest"
			default:
				continue
			}
			all = append(all, trap{part, a.Name, fmt.Sprintf("refuses every pod whose containers state no %s; add %s: {%s: ...} to the item of type Container%s",
				a.Name, lacks, a.Name, unlessMeant)})
		}
	}
	return all
}
