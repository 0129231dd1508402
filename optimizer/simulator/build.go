package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The limits of a fleet file: what still simulates in seconds.
const (
	mostNodes    = 1000
	mostReplicas = 500
	mostWeeks    = 12
)

func build(c *checker, d document, data []byte) spec {
	s := spec{name: d.Metadata.Name, weeks: cmp.Or(d.Weeks, 4), dice: dice(d.Seed), pools: map[string]pool{}}
	if d.APIVersion != "trimtab.dev/v1alpha1" || d.Kind != "Fleet" {
		c.at("a fleet file begins with apiVersion: trimtab.dev/v1alpha1 and kind: Fleet", "apiVersion")
	}
	if d.Metadata.Name == "" {
		c.at("metadata.name is missing", "metadata")
	}
	if s.weeks < 1 || s.weeks > mostWeeks {
		c.at(fmt.Sprintf("weeks is 1 to %d", mostWeeks), "weeks")
	}
	s.start = startOf(c, d.Start)
	buildNodes(c, d.Nodes, &s)
	s.bounds = buildBounds(c, d.Namespaces)
	s.policies = inlinePolicies(c, d.Policies, data)
	buildModels(c, d, &s)
	return s
}

// startOf is the first moment of the simulation: unless said, a Monday.
func startOf(c *checker, text string) time.Time {
	if text == "" {
		return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !t.Equal(t.Truncate(Step)) {
		c.at(fmt.Sprintf("start %q is not a time such as 2026-06-01T00:00:00Z, on a full five minutes", text), "start")
	}
	return t.UTC()
}

func buildNodes(c *checker, docs []nodeDoc, s *spec) {
	for i, d := range docs {
		fault := func(key, text string) { c.at(text, "nodes", i, key) }
		if d.Name == "" {
			fault("name", "a node pool needs a name")
		}
		if !(d.Count >= 1 && d.Count <= mostNodes) {
			fault("count", fmt.Sprintf("count is 1 to %d", mostNodes))
			d.Count = 1
		}
		capacity := oneOf(d.Capacity, fault, "capacity", fleet.OnDemand, fleet.Spot)
		room := resources(d.Allocatable, func(key, text string) { c.at(text, "nodes", i, "allocatable", key) })
		if room.MilliCPU == 0 || room.Memory == 0 {
			fault("allocatable", "allocatable needs cpu and memory")
		}
		if _, twice := s.pools[d.Name]; twice {
			fault("name", fmt.Sprintf("two node pools are called %q", d.Name))
		}
		s.pools[d.Name] = pool{len(s.nodes), d.Count}
		for n := range d.Count {
			s.nodes = append(s.nodes, fleet.Node{
				Name: fmt.Sprintf("%s-%02d", d.Name, n+1), InstanceType: d.InstanceType, Region: d.Region, Zone: d.Zone,
				Capacity: capacity, Allocatable: room, Ready: true, Simulated: true,
			})
		}
	}
}

// oneOf is text as one of the allowed values; the first where it is empty.
func oneOf[T ~string](text string, fault func(key, text string), key string, allowed ...T) T {
	if text == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, T(text)) {
		fault(key, fmt.Sprintf("%s is one of %v, not %q", key, allowed, text))
	}
	return T(text)
}

func buildBounds(c *checker, docs []namespaceDoc) []fleet.Bounds {
	var out []fleet.Bounds
	for i, d := range docs {
		if d.Name == "" {
			c.at("a namespace needs a name", "namespaces", i)
		}
		if slices.ContainsFunc(docs[:i], func(o namespaceDoc) bool { return o.Name == d.Name }) {
			c.at(fmt.Sprintf("two namespaces are called %q", d.Name), "namespaces", i, "name")
		}
		b := fleet.Bounds{Namespace: d.Name, Labels: d.Labels}
		for j, l := range d.LimitRanges {
			b.LimitRanges = append(b.LimitRanges, buildLimitRange(c, l, "namespaces", i, "limitRanges", j))
		}
		for j, q := range d.Quotas {
			b.Quotas = append(b.Quotas, buildQuota(c, q, "namespaces", i, "quotas", j))
		}
		slices.SortFunc(b.LimitRanges, func(x, y fleet.LimitRange) int { return cmp.Compare(x.Name, y.Name) })
		slices.SortFunc(b.Quotas, func(x, y fleet.Quota) int { return cmp.Compare(x.Name, y.Name) })
		if !d.Unreadable {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(x, y fleet.Bounds) int { return cmp.Compare(x.Namespace, y.Namespace) })
	return out
}

func buildLimitRange(c *checker, d limitRangeDoc, path ...any) fleet.LimitRange {
	at := func(text string, more ...any) { c.at(text, append(slices.Clone(path), more...)...) }
	read := func(in map[string]string, field string) fleet.Resources {
		return resources(in, func(key, text string) { at(text, field, key) })
	}
	kind := oneOf(d.Type, func(key, text string) { at(text, key) }, "type", "Container", "Pod")
	ratio := read(d.MaxLimitRequestRatio, "maxLimitRequestRatio")
	return fleet.LimitRange{
		Name: cmp.Or(d.Name, "limits"), Type: kind,
		Default: read(d.Default, "default"), DefaultRequest: read(d.DefaultRequest, "defaultRequest"),
		Min: read(d.Min, "min"), Max: read(d.Max, "max"),
		MaxLimitRequestRatio: fleet.Ratio{CPU: ratio.MilliCPU, Memory: ratio.Memory * 1000},
	}
}

func buildQuota(c *checker, d quotaDoc, path ...any) fleet.Quota {
	q := fleet.Quota{Name: cmp.Or(d.Name, "quota")}
	for _, key := range sortedKeys(d.Hard) {
		read := whole
		if isCPU(key) {
			read = quantity
		}
		hard, err := read(d.Hard[key])
		if err != nil {
			c.at(err.Error(), append(slices.Clone(path), "hard", key)...)
		}
		q.Items = append(q.Items, fleet.QuotaItem{Name: key, Hard: hard})
	}
	return q
}

func isCPU(item string) bool {
	return item == "cpu" || item == "requests.cpu" || item == "limits.cpu"
}
