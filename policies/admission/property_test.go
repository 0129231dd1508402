package admission

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The twin: admission told again from the sources of Kubernetes, one pod after the other, without a
// thought for speed or for what to change.

// admits is LimitRanger's validation of a pod.
func admits(p fleet.PodShape, b fleet.Bounds) bool {
	for _, c := range p.Containers {
		if c.Limits.MilliCPU > 0 && c.Requests.MilliCPU > c.Limits.MilliCPU || c.Limits.Memory > 0 && c.Requests.Memory > c.Limits.Memory {
			return false
		}
	}
	for _, r := range b.LimitRanges {
		var reqs, lims []fleet.Resources
		if r.Type == "Container" {
			for _, c := range p.Containers {
				reqs, lims = append(reqs, c.Requests), append(lims, c.Limits)
			}
		} else {
			q, l := twinSum(p)
			reqs, lims = []fleet.Resources{q}, []fleet.Resources{l}
		}
		for i := range reqs {
			if !twinOK(reqs[i].MilliCPU, lims[i].MilliCPU, r.Min.MilliCPU, r.Max.MilliCPU, r.MaxLimitRequestRatio.CPU) ||
				!twinOK(reqs[i].Memory, lims[i].Memory, r.Min.Memory, r.Max.Memory, r.MaxLimitRequestRatio.Memory) {
				return false
			}
		}
	}
	return true
}

func twinOK(req, lim, min, max, ratio int64) bool {
	if min > 0 && (req < min || lim > 0 && lim < min) {
		return false
	}
	if max > 0 && (lim == 0 || lim > max || req > max) {
		return false
	}
	return ratio == 0 || req > 0 && lim > 0 && float64(lim)/float64(req)*1000 <= float64(ratio)
}

// twinSum is podRequests and podLimits of limitranger/admission.go.
func twinSum(p fleet.PodShape) (reqs, lims fleet.Resources) {
	sum := func(of func(fleet.Container) int64) int64 {
		var total, sidecars, peak int64
		for _, c := range p.Containers {
			if c.Role != fleet.Init {
				total += of(c)
			}
		}
		for _, c := range p.Containers {
			switch c.Role {
			case fleet.Sidecar:
				sidecars += of(c)
				peak = max(peak, sidecars)
			case fleet.Init:
				peak = max(peak, sidecars+of(c))
			}
		}
		return max(total, peak)
	}
	reqs = res(sum(func(c fleet.Container) int64 { return c.Requests.MilliCPU }), sum(func(c fleet.Container) int64 { return c.Requests.Memory }))
	lims = res(sum(func(c fleet.Container) int64 { return c.Limits.MilliCPU }), sum(func(c fleet.Container) int64 { return c.Limits.Memory }))
	return reqs, lims
}

// passes asks the quotas for one resize after the other, growing pods first, then for every new pod.
func passes(w, after fleet.Workload, t fleet.Target, b fleet.Bounds) bool {
	used := map[string]int64{}
	take := func(old, new fleet.PodShape, created bool) bool {
		for _, q := range b.Quotas {
			for _, it := range q.Items {
				delta := twinCharge(new, it.Name, created) - twinCharge(old, it.Name, created)
				if delta <= 0 {
					continue
				}
				key := q.Name + " " + it.Name
				if it.Used+used[key]+delta > it.Hard {
					return false
				}
				used[key] += delta
			}
		}
		return true
	}
	for i, p := range w.Pods {
		if !take(p.Shape, after.Pods[i].Shape, false) {
			return false
		}
	}
	created := int(max(t.Replicas-w.Replicas, 0))
	if t.Capacity != "" && t.Capacity != w.Capacity {
		for n := max(w.Replicas, t.Replicas); n > 0; n -= 4 {
			created++
		}
	}
	for range created {
		if !take(fleet.PodShape{}, Default(after.Template, b), true) {
			return false
		}
	}
	return true
}

func twinCharge(p fleet.PodShape, line string, pods bool) int64 {
	reqs, lims := twinSum(p)
	switch line {
	case "requests.cpu":
		return reqs.MilliCPU
	case "memory":
		return reqs.Memory
	case "limits.cpu":
		return lims.MilliCPU
	case "pods":
		if pods && len(p.Containers) > 0 {
			return 1
		}
	}
	return 0
}

// scene is a small workload in a small namespace, drawn from r. The numbers are small, so that edges
// meet often and every target can be tried.
func scene(r *rand.Rand) (fleet.Workload, fleet.Target, fleet.Bounds) {
	n := func(most int64) int64 { return r.Int64N(most + 1) }
	amounts := func(most int64) fleet.Resources { return res(n(most), n(most)) }
	b := fleet.Bounds{Namespace: "ns"}
	for i := range n(2) {
		lr := fleet.LimitRange{Name: fmt.Sprint("lr", i), Type: []string{"Container", "Pod"}[n(1)]}
		if n(1) == 0 {
			lr.Min = amounts(3)
		}
		if n(2) == 0 {
			lr.Max = res(6+n(8), 6+n(8))
		}
		if n(2) == 0 {
			lr.MaxLimitRequestRatio = fleet.Ratio{CPU: 1000 + 500*n(6), Memory: n(1) * 2000}
		}
		if n(3) == 0 && lr.Type == "Container" {
			lr.Default, lr.DefaultRequest = res(4, 4), res(2, 2)
		}
		b.LimitRanges = append(b.LimitRanges, lr)
	}
	if n(2) == 0 {
		q := fleet.Quota{Name: "q"}
		for _, line := range []string{"limits.cpu", "limits.nvidia.com/gpu", "memory", "pods", "requests.cpu"} {
			q.Items = append(q.Items, fleet.QuotaItem{Name: line, Hard: 20 + n(20), Used: 20 + n(10), Tracked: line != "limits.nvidia.com/gpu"})
		}
		b.Quotas = append(b.Quotas, q)
	}
	var cs []fleet.Container
	for i := range 1 + n(1) {
		c := container(fmt.Sprint("c", i), res(1+n(5), 1+n(5)), fleet.Resources{})
		c.Limits = res(c.Requests.MilliCPU+n(4), c.Requests.Memory+n(4))
		if n(7) == 0 {
			c.Limits = fleet.Resources{}
		}
		c.Role = []fleet.Role{fleet.Main, fleet.Main, fleet.Sidecar, fleet.Init}[n(3)]
		cs = append(cs, c)
	}
	w := workload(int(n(3)), cs...)
	if len(w.Pods) > 0 && n(4) == 0 { // a resize is under way
		w.Pods[0].Shape = w.With(fleet.Target{Requests: []fleet.ContainerRequests{{Container: "c0", Requests: res(1+n(3), 1+n(3))}}}).Pods[0].Shape
	}
	t := fleet.Target{}
	for _, c := range cs {
		if n(3) > 0 {
			r := fleet.ContainerRequests{Container: c.Name, Requests: res(1+n(7), 1+n(7))}
			if n(2) == 0 { // the limits move too
				r.Limits = res(n(1)*(r.Requests.MilliCPU+n(4)), n(1)*(r.Requests.Memory+n(4)))
			}
			t.Requests = append(t.Requests, r)
		}
	}
	if n(5) == 0 {
		t.Replicas = int32(1 + n(5))
	}
	if n(5) == 0 {
		t.Capacity = fleet.Spot
	}
	return w, t, b
}

// wouldPass is the twin's word on the whole of a change.
func wouldPass(w fleet.Workload, t fleet.Target, b fleet.Bounds) bool {
	after := w.With(fleet.Target{Requests: t.Requests})
	creates := t.Replicas > w.Replicas || t.Capacity != "" && t.Capacity != w.Capacity
	if len(t.Requests) == 0 && !creates {
		return true
	}
	next := Default(after.Template, b)
	if !admits(next, b) || !specified(next, b) {
		return false
	}
	if len(t.Requests) > 0 {
		if next.QoS() != Default(w.Template, b).QoS() {
			return false
		}
		for i, p := range after.Pods {
			if !admits(p.Shape, b) || !specified(p.Shape, b) || p.Shape.QoS() != w.Pods[i].Shape.QoS() ||
				!reflect.DeepEqual(Default(p.Shape, b), p.Shape) {
				return false
			}
		}
	}
	return passes(w, after, t, b)
}

// specified: the scene's quotas count requests of both resources and limits of cpu.
func specified(p fleet.PodShape, b fleet.Bounds) bool {
	for _, c := range p.Containers {
		if len(b.Quotas) > 0 && (c.Requests.MilliCPU == 0 || c.Requests.Memory == 0 || c.Limits.MilliCPU == 0) {
			return false
		}
	}
	return true
}

func between(v, a, b int64) bool { return v >= min(a, b) && v <= max(a, b) }

// promises checks everything that Judge promises about one scene.
func promises(t *testing.T, w fleet.Workload, asked fleet.Target, b fleet.Bounds) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s\nworkload %+v\ntarget %+v\nbounds %+v", fmt.Sprintf(format, args...), w, asked, b)
	}
	got, trims, holds := Judge(w, asked, b)
	if len(holds) == 0 && !wouldPass(w, got, b) {
		fail("judged %+v, and it does not pass", got)
	}
	if wouldPass(w, asked, b) && (!reflect.DeepEqual(got, asked) || len(trims)+len(holds) > 0) {
		fail("passes as it is, and yet: %+v %v %v", got, trims, holds)
	}
	again, more, same := Judge(w, got, b)
	if !reflect.DeepEqual(again, got) || len(more) > 0 || !reflect.DeepEqual(same, holds) {
		fail("judged twice: %+v %v %v, first %+v %v %v", again, more, same, got, trims, holds)
	}
	for i, r := range asked.Requests {
		now, _ := w.Current().Container(r.Container)
		for _, name := range compute() {
			if asked, judged := of(r.Limits, name), of(got.Requests[i].Limits, name); !between(judged, asked, of(now.Limits, name)) && judged != asked {
				fail("limit of %s of %s: %d is not between %d, asked, and %d, now", name, r.Container, judged, asked, of(now.Limits, name))
			}
			from, to := of(r.Requests, name), of(got.Requests[i].Requests, name)
			if !between(to, from, of(now.Requests, name)) {
				fail("%s of %s: %d is not between %d, asked, and %d, now", name, r.Container, to, from, of(now.Requests, name))
			}
			for _, tr := range trims {
				if tr.Container == r.Container && tr.Resource == name {
					if tr.From != from {
						fail("trim %v does not follow %d", tr, from)
					}
					from = tr.To
				}
			}
			if from != to {
				fail("the trims of %s of %s end at %d, not %d: %v", name, r.Container, from, to, trims)
			}
		}
	}
}

func TestJudgePromises(t *testing.T) {
	passed, trimmed, held := 0, 0, map[fleet.HoldReason]int{}
	for seed := range uint64(5000) {
		w, target, b := scene(rand.New(rand.NewPCG(seed, 1)))
		promises(t, w, target, b)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		_, trims, holds := Judge(w, target, b)
		switch {
		case len(holds) > 0:
			held[holds[0].Reason]++
		case len(trims) > 0:
			trimmed++
		default:
			passed++
		}
	}
	t.Logf("passed %d, trimmed %d, held %v", passed, trimmed, held)
	if passed < 500 || trimmed < 500 || held[fleet.HoldLimitRange] < 500 || held[fleet.HoldQuota] < 100 || held[fleet.HoldQoS] < 100 {
		t.Error("the scenes are too much alike")
	}
}

// A LimitRange holds only what no request between the asked and the present one could mend.
func TestJudgeMendsWhatCanBe(t *testing.T) {
	for seed := range uint64(3000) {
		w, target, b := scene(rand.New(rand.NewPCG(seed, 2)))
		b.Quotas, target.Replicas, target.Capacity = nil, 0, ""
		for i := range target.Requests {
			target.Requests[i].Limits = fleet.Resources{}
		}
		_, _, holds := Judge(w, target, b)
		if len(holds) == 0 || holds[0].Reason != fleet.HoldLimitRange {
			continue
		}
		everyTarget(w, target, func(tr fleet.Target) {
			after := w.With(tr)
			ok := admits(Default(after.Template, b), b)
			for _, p := range after.Pods {
				ok = ok && admits(p.Shape, b) && reflect.DeepEqual(Default(p.Shape, b), p.Shape)
			}
			if ok {
				t.Fatalf("seed %d: held, but %+v passes\nworkload %+v\nasked %+v\nbounds %+v\n%v", seed, tr, w, target, b, holds)
			}
		})
	}
}

// everyTarget tries every combination of requests between the asked and the present ones.
func everyTarget(w fleet.Workload, asked fleet.Target, try func(fleet.Target)) {
	var rec func(i int, t fleet.Target)
	rec = func(i int, t fleet.Target) {
		if i == len(asked.Requests) {
			try(t)
			return
		}
		a := asked.Requests[i]
		now, _ := w.Current().Container(a.Container)
		for c := min(a.Requests.MilliCPU, now.Requests.MilliCPU); c <= max(a.Requests.MilliCPU, now.Requests.MilliCPU); c++ {
			for m := min(a.Requests.Memory, now.Requests.Memory); m <= max(a.Requests.Memory, now.Requests.Memory); m++ {
				next := t
				next.Requests = append(append([]fleet.ContainerRequests{}, t.Requests...), fleet.ContainerRequests{Container: a.Container, Requests: res(c, m)})
				rec(i+1, next)
			}
		}
	}
	rec(0, fleet.Target{})
}

func FuzzJudge(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		w, target, bounds := scene(rand.New(rand.NewPCG(a, b)))
		promises(t, w, target, bounds)
	})
}
