package admission

import (
	"strconv"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The resources that a target may move. Extended ones are named as Kubernetes names them.
const (
	cpu    = "cpu"
	memory = "memory"
)

// compute is the resources that a target may move, in their fixed order.
func compute() []string { return []string{cpu, memory} }

// of is the amount of one resource: thousandths of a core, bytes or a count.
func of(r fleet.Resources, name string) int64 {
	switch name {
	case cpu:
		return r.MilliCPU
	case memory:
		return r.Memory
	}
	return r.Of(name)
}

// with is r with another amount of one resource.
func with(r fleet.Resources, name string, n int64) fleet.Resources {
	switch name {
	case cpu:
		r.MilliCPU = n
	case memory:
		r.Memory = n
	default:
		ext := append([]fleet.Extended{{Name: name, Count: n - r.Of(name)}}, r.Extended...)
		r.Extended = fleet.SortExtended(ext)
	}
	return r
}

// named is the resources that have an amount in any of all, in a fixed order.
func named(all ...fleet.Resources) []string {
	names := compute()
	var ext []fleet.Extended
	for _, r := range all {
		for _, e := range r.Extended {
			ext = append(ext, fleet.Extended{Name: e.Name, Count: 1})
		}
	}
	for _, e := range fleet.SortExtended(ext) {
		names = append(names, e.Name)
	}
	return names
}

// Amount writes what a line of a quota counts for people: "1.5" of limits.cpu, "2Gi" of memory, "3" of pods.
func Amount(line string, n int64) string { return format(line, n) }

// format writes an amount of a resource, or of a line of a quota, for people.
func format(name string, n int64) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "requests."), "limits.")
	switch {
	case name == cpu:
		return fleet.FormatCPU(n)
	case name == memory, strings.HasSuffix(name, "storage"), strings.HasPrefix(name, "hugepages-"):
		return fleet.FormatMemory(n)
	}
	return strconv.FormatInt(n, 10)
}
