package admission

import (
	"reflect"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

const (
	mi = 1 << 20
	gi = 1 << 30
)

func res(milli, bytes int64) fleet.Resources { return fleet.Resources{MilliCPU: milli, Memory: bytes} }

func gpus(n int64) fleet.Resources {
	return fleet.Resources{Extended: fleet.SortExtended([]fleet.Extended{{Name: "nvidia.com/gpu", Count: n}})}
}

// model is the article's recommendation-model: three replicas of one container, requests 500m and 1Gi,
// limits 1 and 2Gi.
func model() fleet.Workload {
	return workload(3, container("model-server", res(500, gi), res(1000, 2*gi)))
}

func container(name string, requests, limits fleet.Resources) fleet.Container {
	return fleet.Container{Name: name, Role: fleet.Main, Requests: requests, Limits: limits}
}

func workload(replicas int, cs ...fleet.Container) fleet.Workload {
	w := fleet.Workload{
		Ref: fleet.Deployment("ml-production", "recommendation-model"), Replicas: int32(replicas),
		Template: fleet.PodShape{Containers: cs}, Capacity: fleet.OnDemand,
	}
	for range replicas {
		w.Pods = append(w.Pods, fleet.Pod{Shape: w.Template})
	}
	return w
}

// bounds is the article's LimitRange and ResourceQuota, the quota used by n pods of model.
func bounds(n int64) fleet.Bounds {
	return fleet.Bounds{
		Namespace: "ml-production",
		LimitRanges: []fleet.LimitRange{{
			Name: "ml-models-limits", Type: "Container", Default: res(1000, 2*gi), DefaultRequest: res(500, gi),
		}},
		Quotas: []fleet.Quota{{Name: "ml-models-quota", Items: []fleet.QuotaItem{
			{Name: "limits.cpu", Hard: 100_000, Used: 1000 * n, Tracked: true},
			{Name: "limits.memory", Hard: 200 * gi, Used: 2 * gi * n, Tracked: true},
			{Name: "limits.nvidia.com/gpu", Hard: 10},
			{Name: "pods", Hard: 100, Used: n, Tracked: true},
			{Name: "requests.cpu", Hard: 50_000, Used: 500 * n, Tracked: true},
			{Name: "requests.memory", Hard: 100 * gi, Used: gi * n, Tracked: true},
			{Name: "requests.nvidia.com/gpu", Hard: 10, Tracked: true},
		}}},
	}
}

func ask(milli, bytes int64) fleet.Target {
	return fleet.Target{Requests: []fleet.ContainerRequests{{Container: "model-server", Requests: res(milli, bytes)}}}
}

func ranged(rs ...fleet.LimitRange) fleet.Bounds {
	return fleet.Bounds{Namespace: "ml", LimitRanges: rs}
}

func verdict(trims []Trim, holds []fleet.Hold) string {
	var all []string
	for _, t := range trims {
		all = append(all, t.String())
	}
	for _, h := range holds {
		all = append(all, string(h.Reason)+": "+h.Detail)
	}
	return strings.Join(all, "\n")
}

func TestJudge(t *testing.T) {
	min10 := fleet.LimitRange{Name: "lr", Type: "Container", Min: res(10, 64*mi)}
	ratio := func(name string, r int64) fleet.LimitRange {
		return fleet.LimitRange{Name: name, Type: "Container", MaxLimitRequestRatio: fleet.Ratio{CPU: r}}
	}
	guaranteed := workload(1, container("model-server", res(1000, gi), res(1000, gi)))
	bare := workload(1, container("model-server", res(500, gi), fleet.Resources{}))
	two := workload(1, container("model-server", res(500, gi), res(1000, 2*gi)), container("proxy", res(100, 64*mi), res(200, 128*mi)))
	heavy := two
	heavy.Template.Overhead, heavy.Pods = res(1000, gi), nil
	pod := func(min, max int64) fleet.LimitRange {
		return fleet.LimitRange{Name: "pods", Type: "Pod", Min: res(min, 0), Max: res(max, 0)}
	}

	for _, c := range []struct {
		name  string
		w     fleet.Workload
		t     fleet.Target
		b     fleet.Bounds
		milli int64 // of the judged request
		want  string
	}{
		{"the article's namespace lets a shrink through", model(), ask(60, 200*mi), bounds(3), 60, ""},
		{"no bounds at all", model(), ask(60, 200*mi), fleet.Bounds{}, 60, ""},
		{"min", model(), ask(5, 200*mi), ranged(min10), 10, "LimitRange lr: cpu of model-server 5m -> 10m (min)"},
		{"at min", model(), ask(10, 64*mi), ranged(min10), 10, ""},
		{"min of both", model(), ask(5, 32*mi), ranged(min10), 10,
			"LimitRange lr: cpu of model-server 5m -> 10m (min)\nLimitRange lr: memory of model-server 32Mi -> 64Mi (min)"},
		{"never above its own limit", model(), ask(1200, gi), fleet.Bounds{}, 1000,
			"limit: cpu of model-server 1.2 -> 1 (a request may not be above it)"},
		{"max is below the limit, which stays", model(), ask(700, gi), ranged(fleet.LimitRange{Name: "lr", Type: "Container", Max: res(800, 0)}), 700,
			"limit-range: LimitRange lr: container model-server has a limit of 1 of cpu, above the max of 800m"},
		// limit 1000 / ratio 2 = 500; / 4 = 250; / 1.5 = 666.7, rounded up 667
		{"ratio stops a shrink at once", model(), ask(60, gi), ranged(ratio("lr", 2000)), 500,
			"LimitRange lr: cpu of model-server 60m -> 500m (maxLimitRequestRatio 2)"},
		{"ratio leaves some", model(), ask(60, gi), ranged(ratio("lr", 4000)), 250,
			"LimitRange lr: cpu of model-server 60m -> 250m (maxLimitRequestRatio 4)"},
		{"the stricter of several", model(), ask(60, gi), ranged(ratio("a", 20000), min10, ratio("z", 4000)), 250,
			"LimitRange z: cpu of model-server 60m -> 250m (maxLimitRequestRatio 4)"},
		{"broken already, a shrink may not mend it", model(), ask(60, gi), ranged(ratio("lr", 1500)), 60,
			"limit-range: LimitRange lr: container model-server has a limit of 1 of cpu over a request of 60m, above maxLimitRequestRatio 1.5"},
		{"ratio needs a limit", bare, ask(60, gi), ranged(ratio("lr", 2000)), 60,
			"limit-range: LimitRange lr: container model-server has no limit of cpu, and maxLimitRequestRatio 2 needs one"},
		{"max gives the next pods a limit, and the living ones at their resize", bare, ask(60, gi), ranged(fleet.LimitRange{Name: "lr", Type: "Container", Max: res(800, 0)}), 60,
			"limit-range: the resize would also give container model-server a limit of 800m of cpu, by a LimitRange that is younger than the pod; restart its pods first; " +
				"LimitRange lr: container model-server has no limit of cpu, and a max of 800m needs one"},
		{"Guaranteed", guaranteed, ask(500, gi), fleet.Bounds{}, 500,
			"qos-class: the pod would change from QoS class Guaranteed to Burstable: its requests equal its limits, the two must move together; let rightSizing.limits be ratio or peaks, or lower both by hand"},
		{"into Guaranteed", workload(1, container("model-server", res(900, gi), res(1000, gi))), ask(1100, gi), fleet.Bounds{}, 1000,
			"limit: cpu of model-server 1.1 -> 1 (a request may not be above it)\nqos-class: the pod would change from QoS class Burstable to Guaranteed"},
		{"a request of zero stays as it is", model(), ask(60, 0), bounds(3), 60, ""},
		{"no such container", model(), fleet.Target{Requests: []fleet.ContainerRequests{{Container: "x", Requests: res(1, 1)}}}, fleet.Bounds{}, 1,
			"moved: its pods have no container x"},
		// proxy keeps 100m, so the model server may not go below 200m; the sum 100 + 60 is 140 short
		{"min of the pod", two, ask(60, gi), ranged(pod(300, 0)), 200, "LimitRange pods: cpu of model-server 60m -> 200m (min of the pod)"},
		{"min of the pod is out of reach", two, ask(60, gi), ranged(pod(700, 0)), 60,
			"limit-range: LimitRange pods: the pod asks for 600m of cpu, below the min of 700m"},
		// both limits are 1200; 1500 lets them be, and the requests may grow to them
		{"max of the pod", two, ask(1000, gi), ranged(pod(0, 1500)), 1000, ""},
		{"overhead is not counted", heavy, ask(1000, gi), ranged(pod(0, 1500)), 1000, ""},
		{"max of the pod is below its limits", two, ask(400, gi), ranged(pod(0, 1000)), 400,
			"limit-range: LimitRange pods: the pod has a limit of 1.2 of cpu, above the max of 1"},
		// limits 1200 / ratio 4 = 300, of which the proxy has 100
		{"ratio of the pod", two, ask(60, gi), ranged(fleet.LimitRange{Name: "pods", Type: "Pod", MaxLimitRequestRatio: fleet.Ratio{CPU: 4000}}), 200,
			"LimitRange pods: cpu of model-server 60m -> 200m (maxLimitRequestRatio 4 of the pod)"},
	} {
		got, trims, holds := Judge(c.w, c.t, c.b)
		if len(got.Requests) != 1 || got.Requests[0].Requests.MilliCPU != c.milli {
			t.Errorf("%s: judged %+v, want %dm", c.name, got.Requests, c.milli)
		}
		if v := verdict(trims, holds); v != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, v, c.want)
		}
	}
}

// Quotas: the article's has 50 cores and 100Gi of requests, 100 cores and 200Gi of limits, 100 pods.
func TestJudgeQuota(t *testing.T) {
	// 98 pods of 500m would need 49 cores: 1 core is left for the growth of 3 pods.
	full := bounds(98)
	untracked := bounds(3)
	untracked.Quotas[0].Items[4].Tracked = false
	over := bounds(120) // 60 of 50 cores, 120 of 100 pods
	spot := fleet.Target{Capacity: fleet.Spot}
	unlimited := workload(3, container("model-server", res(500, gi), res(1000, 0)))
	unlimited.Pods = nil
	noRange := bounds(3)
	noRange.LimitRanges = nil

	for _, c := range []struct {
		name string
		w    fleet.Workload
		t    fleet.Target
		b    fleet.Bounds
		want string
	}{
		{"grow by 3 x 300m of 1 core", model(), ask(800, gi), full, ""},
		{"grow by 3 x 333m of 1 core", model(), ask(833, gi), full, ""},
		{"grow by 3 x 334m of 1 core", model(), ask(834, gi), full,
			"quota: ResourceQuota ml-models-quota: requests.cpu needs 1.002 more to grow 3 pods, and 1 of 50 is left; raise the quota or free some of it"},
		// memory: 2 of 100Gi are left, 3 x 700Mi = 2100Mi
		{"grow of memory", model(), ask(500, gi+700*mi), full,
			"quota: ResourceQuota ml-models-quota: requests.memory needs 2100Mi more to grow 3 pods, and 2Gi of 100Gi is left; raise the quota or free some of it"},
		{"a shrink of one pays for nothing of the other", model(), ask(60, gi+700*mi), full,
			"quota: ResourceQuota ml-models-quota: requests.memory needs 2100Mi more to grow 3 pods, and 2Gi of 100Gi is left; raise the quota or free some of it"},
		{"shrink over quota", model(), ask(60, 200*mi), over, ""},
		{"fewer replicas over quota", model(), fleet.Target{Replicas: 1}, over, ""},
		{"shrink with an unknown status", model(), ask(60, 200*mi), untracked, ""},
		{"grow with an unknown status", model(), ask(600, gi), untracked,
			"unknown-bounds: ResourceQuota ml-models-quota: status unknown, its controller has not counted requests.cpu yet"},
		{"spot: surge of 1 of 3", model(), spot, bounds(3), ""},
		{"spot: no pod is left", model(), spot, bounds(100),
			"quota: ResourceQuota ml-models-quota: limits.cpu needs 1 more for a surge of 1 pod while it moves, and 0 of 100 is left; raise the quota or free some of it\n" +
				"quota: ResourceQuota ml-models-quota: limits.memory needs 2Gi more for a surge of 1 pod while it moves, and 0 of 200Gi is left; raise the quota or free some of it\n" +
				"quota: ResourceQuota ml-models-quota: pods needs 1 more for a surge of 1 pod while it moves, and 0 of 100 is left; raise the quota or free some of it\n" +
				"quota: ResourceQuota ml-models-quota: requests.cpu needs 500m more for a surge of 1 pod while it moves, and 0 of 50 is left; raise the quota or free some of it\n" +
				"quota: ResourceQuota ml-models-quota: requests.memory needs 1Gi more for a surge of 1 pod while it moves, and 0 of 100Gi is left; raise the quota or free some of it"},
		{"spot already", model(), fleet.Target{Capacity: fleet.OnDemand}, bounds(100), ""},
		{"one replica more", model(), fleet.Target{Replicas: 4}, bounds(99), ""},
		{"two replicas more", model(), fleet.Target{Replicas: 5}, func() fleet.Bounds {
			b := bounds(99) // one pod is left
			b.Quotas[0].Items = b.Quotas[0].Items[3:4]
			return b
		}(), "quota: ResourceQuota ml-models-quota: pods needs 2 more to add 2 pods, and 1 of 100 is left; raise the quota or free some of it"},
		{"a GPU pod more, over requests.nvidia.com/gpu", workload(10, container("model-server", res(500, gi).Add(gpus(1)), res(1000, 2*gi).Add(gpus(1)))),
			spot, func() fleet.Bounds {
				b := bounds(10)
				b.Quotas[0].Items[6].Used = 10
				return b
			}(), // surge 10 -> 3
			"quota: ResourceQuota ml-models-quota: requests.nvidia.com/gpu needs 3 more for a surge of 3 pods while it moves, and 0 of 10 is left; raise the quota or free some of it"},
		{"a limit that nobody states", unlimited, ask(60, gi), noRange,
			"quota: ResourceQuota ml-models-quota counts limits.memory, and container model-server states none, so its pods are refused; add one to it"},
		{"a limit that the LimitRange states", unlimited, ask(60, gi), bounds(3), ""},
	} {
		_, trims, holds := Judge(c.w, c.t, c.b)
		if v := verdict(trims, holds); v != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, v, c.want)
		}
	}
}

// The vectors that were measured against an API server: its defaults for a container that leaves out.
func TestDefault(t *testing.T) {
	article := bounds(0).LimitRanges[0]
	maxGPU := fleet.LimitRange{Name: "lr", Type: "Container", Max: gpus(1)}
	zeroGPU := maxGPU
	zeroGPU.Default = fleet.Resources{Extended: []fleet.Extended{{Name: "nvidia.com/gpu"}}}
	for _, c := range []struct {
		name                 string
		r                    fleet.LimitRange
		requests, limits     fleet.Resources
		wantRequest, wantLim fleet.Resources
	}{
		{"bare", article, res(0, 0), res(0, 0), res(500, gi), res(1000, 2*gi)},
		{"request above the default limit", article, res(4000, 0), res(0, 0), res(4000, gi), res(1000, 2*gi)},
		{"a limit alone is its request first", article, res(0, 0), res(200, 0), res(200, gi), res(200, 2*gi)},
		{"all said", article, res(1, 2), res(3, 4), res(1, 2), res(3, 4)},
		{"max is the default", fleet.LimitRange{Name: "lr", Type: "Container", Max: res(800, 0)}, res(0, 0), res(0, 0), res(800, 0), res(800, 0)},
		{"default goes before max", fleet.LimitRange{Name: "lr", Type: "Container", Max: res(800, 0), Default: res(300, 0)}, res(0, 0), res(0, 0), res(300, 0), res(300, 0)},
		{"min is the request", fleet.LimitRange{Name: "lr", Type: "Container", Min: res(10, 0)}, res(0, 0), res(0, 0), res(10, 0), res(0, 0)},
		{"max hands out GPUs", maxGPU, res(0, 0), res(0, 0), gpus(1), gpus(1)},
		{"a default of none does not", zeroGPU, res(0, 0), res(0, 0), res(0, 0), res(0, 0)},
		{"a Pod item has no defaults", fleet.LimitRange{Name: "lr", Type: "Pod", Max: res(800, 0)}, res(0, 0), res(0, 0), res(0, 0), res(0, 0)},
	} {
		got := Default(fleet.PodShape{Containers: []fleet.Container{container("c", c.requests, c.limits)}}, ranged(c.r)).Containers[0]
		if !got.Requests.Equal(c.wantRequest) || !got.Limits.Equal(c.wantLim) {
			t.Errorf("%s: request %+v, limit %+v; want %+v, %+v", c.name, got.Requests, got.Limits, c.wantRequest, c.wantLim)
		}
	}
}

// Default leaves its argument alone.
func TestDefaultCopies(t *testing.T) {
	shape := fleet.PodShape{Containers: []fleet.Container{container("c", res(0, 0), res(0, 0))}}
	Default(shape, bounds(0))
	if !reflect.DeepEqual(shape.Containers[0], container("c", res(0, 0), res(0, 0))) {
		t.Errorf("changed to %+v", shape.Containers[0])
	}
}

func TestLeastRequest(t *testing.T) {
	for _, c := range []struct{ limit, ratio, want int64 }{
		{1000, 2000, 500}, {1000, 1500, 667}, {1000, 1000, 1000}, {0, 2000, 0}, {1, 2000, 1}, {250, 2000, 125}, {150, 1500, 100},
		{2007, 2007, 1001}, // 2007/1000*1000 is above 2007 in floating point
		{2 * gi, 3000, 715827883}, {1 << 62, 1000, 1 << 62},
	} {
		got := leastRequest(c.limit, c.ratio)
		if got != c.want {
			t.Errorf("leastRequest(%d, %d) = %d, want %d", c.limit, c.ratio, got, c.want)
		}
	}
	for limit := int64(1); limit < 3000; limit += 7 {
		for ratio := int64(1000); ratio < 5000; ratio += 13 {
			n := leastRequest(limit, ratio)
			if exceeds(limit, n, ratio) || n > 1 && !exceeds(limit, n-1, ratio) {
				t.Fatalf("leastRequest(%d, %d) = %d is not the least", limit, ratio, n)
			}
		}
	}
}

func TestSurge(t *testing.T) {
	for desired, want := range map[int32]int32{0: 0, 1: 1, 3: 1, 4: 1, 5: 2, 8: 2, 10: 3, 20: 5} {
		if got := surge(desired); got != want {
			t.Errorf("surge(%d) = %d, want %d", desired, got, want)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	w := workload(100, container("model-server", res(500, gi), res(1000, 2*gi)), container("proxy", res(100, 64*mi), res(200, 128*mi)))
	for b.Loop() {
		Judge(w, ask(600, gi), bounds(3))
	}
}

func TestJudgeLimits(t *testing.T) {
	asked := func(milli, bytes, limit, most int64) fleet.Target {
		return fleet.Target{Requests: []fleet.ContainerRequests{{Container: "model-server", Requests: res(milli, bytes), Limits: res(limit, most)}}}
	}
	guaranteed := workload(1, container("model-server", res(1000, gi), res(1000, gi)))
	bare := workload(1, container("model-server", res(500, gi), fleet.Resources{}))
	lr := func(r fleet.LimitRange) fleet.Bounds {
		r.Name, r.Type = "lr", "Container"
		return ranged(r)
	}
	quota := func(line string, left int64) fleet.Bounds {
		return fleet.Bounds{Quotas: []fleet.Quota{{Name: "q", Items: []fleet.QuotaItem{{Name: line, Hard: 1000 + left, Used: 1000, Tracked: true}}}}}
	}
	for _, c := range []struct {
		name string
		w    fleet.Workload
		t    fleet.Target
		b    fleet.Bounds
		want fleet.Resources // limits judged
		says string
	}{
		{"both shrink", model(), asked(60, 200*mi, 120, 400*mi), fleet.Bounds{}, res(120, 400*mi), ""},
		{"the ratio of LimitRange is kept by moving both", model(), asked(60, 200*mi, 120, 400*mi), lr(fleet.LimitRange{MaxLimitRequestRatio: fleet.Ratio{CPU: 2000}}), res(120, 400*mi), ""},
		{"max stops a limit that grows", model(), asked(500, gi, 3000, 2*gi), lr(fleet.LimitRange{Max: res(2000, 0)}), res(2000, 2*gi),
			"LimitRange lr: limits.cpu of model-server 3 -> 2 (max)"},
		{"min stops one that shrinks", model(), asked(60, 200*mi, 120, 400*mi), lr(fleet.LimitRange{Min: res(0, 512*mi)}), res(120, 512*mi),
			"LimitRange lr: limits.memory of model-server 400Mi -> 512Mi (min)\nLimitRange lr: memory of model-server 200Mi -> 512Mi (min)"},
		{"Guaranteed stays so where both move", guaranteed, asked(100, 128*mi, 100, 128*mi), fleet.Bounds{}, res(100, 128*mi), ""},
		{"and is held where they part", guaranteed, asked(100, 128*mi, 200, 128*mi), fleet.Bounds{}, res(200, 128*mi),
			"qos-class: the pod would change from QoS class Guaranteed to Burstable: its requests equal its limits, the two must move together; let rightSizing.limits be ratio or peaks, or lower both by hand"},
		{"a limit that is not there is not added", bare, asked(60, 200*mi, 120, 400*mi), fleet.Bounds{}, res(120, 400*mi), ""},
		// Three pods, each 500m of limit more: 1500m. Requests shrink meanwhile, which does not pay for it.
		{"a quota of limits", model(), asked(60, 200*mi, 1500, 2*gi), quota("limits.cpu", 1499), res(1500, 2*gi),
			"quota: ResourceQuota q: limits.cpu needs 1.5 more to grow 3 pods, and 1.499 of 2.499 is left; raise the quota or free some of it"},
		{"that is large enough", model(), asked(60, 200*mi, 1500, 2*gi), quota("limits.cpu", 1500), res(1500, 2*gi), ""},
	} {
		got, trims, holds := Judge(c.w, c.t, c.b)
		if says := verdict(trims, holds); says != c.says {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, says, c.says)
		}
		if l := got.Requests[0].Limits; !l.Equal(c.want) {
			t.Errorf("%s: limits %+v, want %+v", c.name, l, c.want)
		}
	}
}
