package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

const container = "model-server"

func buildModels(c *checker, d document, s *spec) {
	if len(d.Workloads) == 0 {
		c.at("a fleet needs workloads", "workloads")
	}
	for i, w := range d.Workloads {
		s.models = append(s.models, buildModel(c, d, w, s, i))
	}
	slices.SortStableFunc(s.models, func(a, b model) int { return a.Ref.Compare(b.Ref) })
	for i := 1; i < len(s.models); i++ {
		if s.models[i].Ref == s.models[i-1].Ref {
			c.at(fmt.Sprintf("%s is there twice", s.models[i].Ref), "workloads")
		}
	}
	place(c, s)
}

func buildModel(c *checker, d document, w workloadDoc, s *spec, i int) model {
	at := func(text string, path ...any) { c.at(text, append([]any{"workloads", i}, path...)...) }
	fault := func(key, text string) { at(text, key) }
	if w.Name == "" {
		fault("name", "a workload needs a name")
	}
	if !slices.ContainsFunc(d.Namespaces, func(n namespaceDoc) bool { return n.Name == w.Namespace }) {
		fault("namespace", fmt.Sprintf("namespace %q is not under namespaces", w.Namespace))
	}
	if _, known := s.pools[w.Nodes]; !known {
		fault("nodes", fmt.Sprintf("no node pool is called %q", w.Nodes))
	}
	if !(w.Replicas >= 0 && w.Replicas <= mostReplicas) {
		fault("replicas", fmt.Sprintf("replicas is 0 to %d", mostReplicas))
		w.Replicas = 0
	}
	m := model{pool: w.Nodes, load: buildLoad(c, w, i)}
	m.Workload = fleet.Workload{
		Ref:    fleet.Ref{Namespace: w.Namespace, Kind: cmp.Or(w.Kind, "Deployment"), Name: w.Name},
		Labels: w.Labels, RollingOut: w.RollingOut, TolerateSpot: w.TolerateSpot, Replicas: int32(w.Replicas),
	}
	if w.Class != "" {
		m.Class = oneOf(w.Class, fault, "class", fleet.Online, fleet.Batch)
	}
	if w.HPA != "" {
		m.Owners = []fleet.Owner{{Field: "replicas", Kind: "HorizontalPodAutoscaler", Name: w.HPA}}
	}
	m.UID = fmt.Sprintf("%016x", uint64(s.dice.of(m.Ref.String())))
	m.load.since = s.start
	if w.Age != "" {
		m.load.since = s.end().Add(-duration(w.Age, "age", fault)).Truncate(Step)
	}
	m.load.until = m.load.untilBefore(s.end())
	m.Template = fleet.PodShape{Containers: []fleet.Container{{
		Name: container, Image: cmp.Or(w.Image, w.Name+":v1"), Role: fleet.Main,
		Requests: resources(w.Requests, func(k, text string) { at(text, "requests", k) }),
		Limits:   resources(w.Limits, func(k, text string) { at(text, "limits", k) }),
	}}}
	return m
}

func duration(text, key string, fault func(key, text string)) time.Duration {
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		fault(key, fmt.Sprintf("%s %q is not a duration such as 36h or 8ms", key, text))
	}
	return v
}

func buildLoad(c *checker, w workloadDoc, i int) load {
	u := w.Usage
	if u == nil {
		return load{}
	}
	fault := func(key, text string) { c.at(text, "workloads", i, "usage", key) }
	l := load{measured: true}
	l.requests, l.hasRequests = buildCurve(u.Requests, "requests", fault), u.Requests != nil
	l.work = buildCurve(u.Work, "work", fault)
	l.gpu, l.hasGPU = buildCurve(u.GPU, "gpu", fault), u.GPU != nil
	if u.CPUPerRequest != "" {
		l.perRequest = duration(u.CPUPerRequest, "cpuPerRequest", fault).Seconds()
	}
	idle := resources(present("cpu", u.IdleCPU), func(_, text string) { fault("idleCPU", text) })
	l.idle = float64(idle.MilliCPU) / 1000
	if u.Stopped != "" {
		l.stopped = duration(u.Stopped, "stopped", fault)
	}
	if u.Startup != "" {
		l.startup = duration(u.Startup, "startup", fault)
	}
	if u.Latency != nil {
		l.latency = latency{duration(u.Latency.Base, "latency", fault).Seconds(), u.Latency.Limit}
		if !(l.latency.base > 0 && l.latency.limit > 0 && l.latency.limit <= 1e6) {
			fault("latency", "latency is like {base: 10ms, limit: 40}, the limit in requests a second of one pod")
		}
	}
	if u.Memory == nil {
		fault("memory", "usage needs memory")
		return l
	}
	l.memory = buildMemory(u.Memory, fault, func(key, text string) { c.at(text, "workloads", i, "usage", "memory", key) })
	return l
}

func buildMemory(m *memoryDoc, fault, inside func(key, text string)) memory {
	bytes := func(key, text string) float64 {
		r := resources(present("memory", text), func(_, bad string) { inside(key, bad) })
		return float64(r.Memory)
	}
	out := memory{base: bytes("base", m.Base), perWeek: bytes("perWeek", m.PerWeek), noise: m.Noise}
	out.peak = max(out.base, bytes("peak", m.Peak))
	if out.base == 0 {
		fault("memory", "memory needs a base such as 600Mi")
	}
	return out
}

func present(key, text string) map[string]string {
	if text == "" {
		return nil
	}
	return map[string]string{key: text}
}

func buildCurve(d *curveDoc, field string, fault func(key, text string)) curve {
	if d == nil {
		return curve{}
	}
	c := curve{base: d.Base, peak: d.Base, weekend: 1, noise: d.Noise, growth: d.Growth, bursts: d.Bursts, times: cmp.Or(d.BurstTimes, 1)}
	if d.Peak != nil {
		c.peak = *d.Peak
	}
	if d.Weekend != nil {
		c.weekend = *d.Weekend
	}
	if bad := outside(c); bad != "" {
		fault(field, field+": "+bad)
	}
	if d.Hours == "" {
		return c
	}
	from, to, ok := strings.Cut(d.Hours, "-")
	var e1, e2 error
	c.from, e1 = strconv.ParseFloat(from, 64)
	c.to, e2 = strconv.ParseFloat(to, 64)
	if !ok || e1 != nil || e2 != nil || !(c.from >= 0 && c.from < 24 && c.to > c.from && c.to <= c.from+24) {
		fault(field, fmt.Sprintf("%s: hours %q is not like 9-18, or 22-26 over midnight", field, d.Hours))
	}
	return c
}

// outside says which part of a curve has no sense; a NaN has none anywhere.
func outside(c curve) string {
	for _, p := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"base", c.base, 0, 1e6}, {"peak", c.peak, 0, 1e6}, {"weekend", c.weekend, 0, 10}, {"noise", c.noise, 0, 1},
		{"growth", c.growth, -0.2, 1}, {"bursts", c.bursts, 0, 1}, {"burstTimes", c.times, 0, 100},
	} {
		if !(p.v >= p.lo && p.v <= p.hi) {
			return fmt.Sprintf("%s is from %g to %g", p.name, p.lo, p.hi)
		}
	}
	return ""
}
