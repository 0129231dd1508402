package recommender

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func options() Options {
	return Options{
		Class: fleet.Online, Window: 10 * time.Minute, MinHistory: 90 * time.Second, StaleAfter: 5 * time.Minute,
		RightSize: true, UnderusedBelow: 0.3, Percentile: 0.95, Margin: 0.15, MemoryMargin: 0.15, MinMilliCPU: 10, MinMemory: 32 * mib,
		ReduceReplicas: true, PerReplica: 10, Floor: 2, MoveToSpot: true, SpotNodes: 1,
	}
}

// server is the article's workload: model-server with 500m and 1Gi, limits 1 and 2Gi, and pods a, b, c.
func server(pods int) fleet.Workload {
	shape := fleet.PodShape{Containers: []fleet.Container{{
		Name: "model-server", Role: fleet.Main,
		Requests: fleet.Resources{MilliCPU: 500, Memory: 1024 * mib},
		Limits:   fleet.Resources{MilliCPU: 1000, Memory: 2048 * mib},
	}}}
	w := fleet.Workload{Ref: ref, Template: shape, Replicas: int32(pods), Capacity: fleet.OnDemand}
	for i := range pods {
		w.Pods = append(w.Pods, fleet.Pod{Name: string(rune('a' + i)), Ready: true, Created: noon.Add(-time.Hour), Shape: shape})
	}
	return w
}

// measured is three minutes of use of every pod of w: CPU in cores, memory in bytes, requests per
// second; below zero is not measured.
func measured(t testing.TB, w fleet.Workload, cpu, memory, rps float64) *History {
	var all []fleet.Sample
	for _, p := range w.Pods {
		for _, s := range []struct {
			signal fleet.Signal
			value  float64
		}{{fleet.CPU, cpu}, {fleet.Memory, memory}, {fleet.Requests, rps}} {
			if s.value >= 0 {
				all = append(all, steady(s.signal, p.Name, noon, 3*time.Minute, s.value)...)
			}
		}
	}
	h := NewHistory()
	feed(t, h, merged(all)...)
	return h
}

func only(o Options, rule fleet.Reason) Options {
	o.RightSize, o.ReduceReplicas, o.MoveToSpot = rule == fleet.CPUUnderused, rule == fleet.FewRequests, rule == fleet.BatchOnDemand
	return o
}

// TestRightSizeExplained: 11 of 12 samples of each pod at 14m and one at 16m: mean 14.17m of 500m is
// 2.8 %; p95 is the twelfth, 16m; 16 × 1.15 = 18.4, rounded up 20m. Memory 31Mi × 1.15 = 35.65,
// rounded up 36Mi.
func TestRightSizeExplained(t *testing.T) {
	w, h := server(3), NewHistory()
	var all []fleet.Sample
	for _, p := range w.Pods {
		cpu := steady(fleet.CPU, p.Name, noon, 3*time.Minute, 0.014)
		cpu[7].Mean, cpu[7].Max = 0.016, 0.016
		all = append(append(all, cpu...), steady(fleet.Memory, p.Name, noon, 3*time.Minute, 31*mib)...)
	}
	feed(t, h, merged(all)...)
	recs, holds := Recommend(w, h, only(options(), fleet.CPUUnderused), noon)
	if len(recs) != 1 || len(holds) != 0 {
		t.Fatalf("got %+v, %+v", recs, holds)
	}
	want := Recommendation{
		Ref: ref, Reason: fleet.CPUUnderused,
		Target: fleet.Target{Requests: ask("model-server", 20, 36*mib)}, Lower: ask("model-server", 20, 36*mib), Upper: ask("model-server", 20, 36*mib),
		Confidence: 3. / (24 * 60),
		Evidence:   "used 14m of 500m requested (2.8 %) in the hottest of 3 replicas over 3m; p95 16m, peak memory 31Mi",
		Steps: []Step{
			{"model-server cpu", "mean", "14m"}, {"model-server cpu", "request", "500m"}, {"model-server cpu", "utilization", "2.8 %"},
			{"model-server cpu", "p95", "16m"}, {"model-server cpu", "margin 15 %", "18m"}, {"model-server cpu", "rounded up", "20m"},
			{"model-server memory", "peak", "31Mi"}, {"model-server memory", "margin 15 %", "35.6Mi"}, {"model-server memory", "rounded up", "36Mi"},
		},
	}
	if !reflect.DeepEqual(recs[0], want) {
		t.Errorf("got  %+v\nwant %+v", recs[0], want)
	}
}

func ask(container string, milliCPU, memory int64) []fleet.ContainerRequests {
	return []fleet.ContainerRequests{{Container: container, Requests: fleet.Resources{MilliCPU: milliCPU, Memory: memory}}}
}

// TestRightSizeTargets: steady use of three pods of 500m and 1Gi.
func TestRightSizeTargets(t *testing.T) {
	for _, c := range []struct {
		name        string
		cpu, memory float64
		change      func(*fleet.Workload, *Options)
		want        string // cpu and memory; empty: nothing
	}{
		{"100m and 400Mi", 0.1, 400 * mib, nil, "115m 460Mi"},
		{"just below 30 %", 0.149, 400 * mib, nil, "175m 460Mi"}, // 171.35
		{"30 % is not below 30 %", 0.15, 400 * mib, nil, ""},
		{"busy", 0.4, 400 * mib, nil, ""},
		{"idle: both floors", 0.001, mib, nil, "10m 32Mi"},
		{"zero is a measurement", 0, 0, nil, "10m 32Mi"},
		{"memory may go up", 0.1, 1200 * mib, nil, "115m 1380Mi"},
		{"memory stays within the limit", 0.1, 1900 * mib, nil, "115m 2Gi"},
		{"no memory samples", 0.1, -1, nil, "115m 1Gi"},
		{"no memory request", 0.1, 400 * mib, func(w *fleet.Workload, _ *Options) { edit(w, func(k *fleet.Container) { k.Requests.Memory = 0 }) }, "115m 0"},
		{"no CPU request", 0.1, 400 * mib, func(w *fleet.Workload, _ *Options) { edit(w, func(k *fleet.Container) { k.Requests.MilliCPU = 0 }) }, ""},
		{"no CPU samples", -1, 400 * mib, nil, ""},
		{"CPU is not raised", 0.1, 400 * mib, func(_ *fleet.Workload, o *Options) { o.Margin = 9 }, "500m 460Mi"},
		{"less than 5 % of either", 0.1, 870 * mib, func(_ *fleet.Workload, o *Options) { o.Margin, o.MemoryMargin = 3.8, 0.15 }, ""}, // 480m of 500m, 1001Mi of 1024Mi
		{"5 % of one", 0.1, 870 * mib, func(_ *fleet.Workload, o *Options) { o.Margin = 3.75 }, "475m 1001Mi"},
		{"rule off", 0.1, 400 * mib, func(_ *fleet.Workload, o *Options) { o.RightSize = false }, ""},
		{"a pod still has a smaller request", 0.1, 400 * mib, func(w *fleet.Workload, _ *Options) {
			w.Pods[0].Created = noon.Add(-2 * time.Hour) // not the newest, which is current
			w.Pods[0].Shape.Containers = []fleet.Container{{Name: "model-server", Requests: fleet.Resources{MilliCPU: 200}}}
		}, ""}, // 100m of 200m
	} {
		w, o := server(3), only(options(), fleet.CPUUnderused)
		if c.change != nil {
			c.change(&w, &o)
		}
		recs, _ := Recommend(w, measured(t, w, c.cpu, c.memory, -1), o, noon)
		got := ""
		for _, r := range recs {
			q := r.Target.Requests[0].Requests
			got = fleet.FormatCPU(q.MilliCPU) + " " + fleet.FormatMemory(q.Memory)
			after, _ := Recommend(w.With(r.Target), measured(t, w, c.cpu, c.memory, -1), o, noon)
			if len(after) != 0 {
				t.Errorf("%s: once applied, %+v is asked for", c.name, after[0].Target)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// edit changes the first container of the template and of every pod.
func edit(w *fleet.Workload, change func(*fleet.Container)) {
	change(&w.Template.Containers[0])
	for i := range w.Pods {
		k := append([]fleet.Container(nil), w.Template.Containers...)
		w.Pods[i].Shape.Containers = k
	}
}

// TestHottestReplicaDecides: two replicas at 10m and one at 200m of 500m: not under-used, though
// the mean of the three is 73m.
func TestHottestReplicaDecides(t *testing.T) {
	w, h := server(3), NewHistory()
	feed(t, h, merged(steady(fleet.CPU, "a", noon, 3*time.Minute, 0.01), steady(fleet.CPU, "b", noon, 3*time.Minute, 0.01), steady(fleet.CPU, "c", noon, 3*time.Minute, 0.2))...)
	if recs, holds := Recommend(w, h, only(options(), fleet.CPUUnderused), noon); len(recs)+len(holds) != 0 {
		t.Errorf("got %+v, %+v", recs, holds)
	}
}

// TestContainersOneByOne: a busy main container, an idle sidecar, and an init container.
func TestContainersOneByOne(t *testing.T) {
	w := server(1)
	ask := fleet.Resources{MilliCPU: 100, Memory: 100 * mib}
	w.Pods[0].Shape.Containers = append(w.Pods[0].Shape.Containers,
		fleet.Container{Name: "proxy", Role: fleet.Sidecar, Requests: ask}, fleet.Container{Name: "fetch", Role: fleet.Init, Requests: ask})
	h := measured(t, w, 0.4, 400*mib, -1)
	for _, name := range []string{"proxy", "fetch"} {
		for _, s := range merged(steady(fleet.CPU, "a", noon, 3*time.Minute, 0.01), steady(fleet.Memory, "a", noon, 3*time.Minute, 40*mib)) {
			s.Container = name
			feed(t, h, s)
		}
	}
	recs, holds := Recommend(w, h, only(options(), fleet.CPUUnderused), noon)
	if len(recs) != 1 || len(holds) != 0 || fmt.Sprint(recs[0].Target.Requests) != "[{proxy {15 48234496 []} {0 0 []}}]" { // 11.5m, 46Mi
		t.Errorf("got %+v, %+v", recs, holds)
	}
}

// TestOutOfMemoryKeepsMemory: after a kill in the window memory is not lowered.
func TestOutOfMemoryKeepsMemory(t *testing.T) {
	w := server(1)
	h := measured(t, w, 0.1, 400*mib, -1)
	feed(t, h, sample(fleet.OOM, "a", noon, 1))
	recs, _ := Recommend(w, h, only(options(), fleet.CPUUnderused), noon)
	if len(recs) != 1 || recs[0].Target.Requests[0].Requests.Memory != 1024*mib {
		t.Errorf("got %+v", recs)
	}
}

// TestReplicas: requests per second of each pod.
func TestReplicas(t *testing.T) {
	for _, c := range []struct {
		name   string
		pods   int
		rps    float64
		floor  int32
		want   int32  // 0: nothing
		saying string // in the evidence
	}{
		{"5 each of 4: 20 in all, 2 are enough", 4, 5, 1, 3, "2 would be enough"},
		{"exactly 10 each", 3, 10, 1, 0, ""},
		{"just below", 3, 9.9, 1, 2, "2 would be enough"}, // 29.7
		{"more", 3, 40, 1, 0, ""},
		{"a tenth each, 0.1 × 3 / 3", 3, 0.1, 1, 2, "1 would be enough"},
		{"measured zero goes to the floor", 5, 0, 2, 4, "2 would be enough"},
		{"at the floor", 2, 0, 2, 0, ""},
		{"below the floor", 1, 0, 2, 0, ""},
		{"floor 0 is 1", 2, 0, 0, 1, "1 would be enough"},
		{"last step", 3, 0, 2, 2, "2 would be enough"},
		{"ready pods are more than asked for", -3, 8, 1, 0, ""}, // 8 each of 3, but 2 are asked for and 2 are enough
	} {
		w, o := server(max(c.pods, -c.pods)), only(options(), fleet.FewRequests)
		if c.pods < 0 {
			w.Replicas--
		}
		o.Floor = c.floor
		recs, holds := Recommend(w, measured(t, w, -1, -1, c.rps), o, noon)
		var got int32
		said := ""
		if len(recs) == 1 {
			got, said = recs[0].Target.Replicas, recs[0].Evidence
		}
		if got != c.want || len(holds) != 0 || !strings.Contains(said, c.saying) {
			t.Errorf("%s: got %d, %q, %v", c.name, got, said, holds)
		}
	}
	if w := server(4); true {
		recs, _ := Recommend(w, measured(t, w, -1, -1, 5), only(options(), fleet.FewRequests), noon)
		want := "20 requests/s over 3m, 5 for each of 4 ready replicas, below 10; 2 would be enough, one is taken away at a time"
		if recs[0].Evidence != want {
			t.Errorf("got %q", recs[0].Evidence)
		}
	}
}

// TestHolds: what stands against which rule.
func TestHolds(t *testing.T) {
	hpa := func(field string) func(*fleet.Workload, *Options) {
		return func(w *fleet.Workload, _ *Options) {
			w.Owners = []fleet.Owner{{Field: field, Kind: "HorizontalPodAutoscaler", Name: "model-hpa"}}
		}
	}
	for _, c := range []struct {
		name          string
		cpu, mem, rps float64
		later         time.Duration
		rule          fleet.Reason
		change        func(*fleet.Workload, *Options)
		reason        fleet.HoldReason
		saying        string
	}{
		{"nothing measured", -1, -1, -1, 0, fleet.CPUUnderused, nil, fleet.HoldNoMetrics, "nothing was ever measured"},
		{"only memory", -1, mib, -1, 0, fleet.CPUUnderused, nil, fleet.HoldNoMetrics, "cpu of model-server was not measured"},
		{"no requests", 0.1, mib, -1, 0, fleet.FewRequests, nil, fleet.HoldNoMetrics, "prometheus.io/scrape"},
		{"stale", 0.1, mib, 1, 5*time.Minute + time.Second, fleet.CPUUnderused, nil, fleet.HoldStaleMetrics, "last measured 5m1s ago, the policy allows 5m"},
		{"stale for a day", 0.1, mib, 1, 49 * time.Hour, fleet.BatchOnDemand, nil, fleet.HoldStaleMetrics, "last measured 2d1h ago"},
		{"short", 0.1, mib, 1, 0, fleet.CPUUnderused, func(_ *fleet.Workload, o *Options) { o.MinHistory = time.Hour + 30*time.Second }, fleet.HoldShortHistory, "measured for 3m of the 1h0m30s the policy asks"},
		{"rollout", 0.1, mib, 1, 0, fleet.CPUUnderused, func(w *fleet.Workload, _ *Options) { w.RollingOut = true }, fleet.HoldRollout, "two templates"},
		{"no CPU request", 0.1, mib, 1, 0, fleet.CPUUnderused, func(w *fleet.Workload, _ *Options) { edit(w, func(k *fleet.Container) { k.Requests.MilliCPU = 0 }) }, fleet.HoldNoRequest, "model-server has no CPU request"},
		{"HPA sets replicas", 0.1, mib, 1, 0, fleet.FewRequests, hpa("replicas"), fleet.HoldAutoscaler, "HorizontalPodAutoscaler model-hpa sets the replicas"},
		{"HPA goes by requests", 0.1, mib, 1, 0, fleet.CPUUnderused, hpa("requests"), fleet.HoldAutoscaler, "model-hpa goes by the requests"},
		{"KEDA", 0.1, mib, 1, 0, fleet.FewRequests, func(w *fleet.Workload, _ *Options) {
			w.Owners = []fleet.Owner{{Field: "replicas", Kind: "ScaledObject", Name: "s"}}
		}, fleet.HoldAutoscaler, "ScaledObject s"},
		{"not ready", 0.1, mib, 1, 0, fleet.FewRequests, func(w *fleet.Workload, _ *Options) { clear(w.Pods) }, fleet.HoldNoMetrics, "no replica is ready"},
		{"one pod is not measured", 0.1, mib, 1, 0, fleet.FewRequests, func(w *fleet.Workload, _ *Options) { w.Pods[1].Name = "z" }, fleet.HoldNoMetrics, "requests per second was lately measured in 2 of 3 ready pods"},
		{"no spot node", 0.1, mib, 1, 0, fleet.BatchOnDemand, func(_ *fleet.Workload, o *Options) { o.SpotNodes = 0 }, fleet.HoldNoSpotNode, "no ready spot node that its nodeSelector"},
		{"capacity not known", 0.1, mib, 1, 0, fleet.BatchOnDemand, func(w *fleet.Workload, _ *Options) { w.Capacity = "" }, fleet.HoldCapacity, "karpenter.sh/capacity-type"},
		{"GPU", 0.1, mib, 1, 0, fleet.CPUUnderused, gpu(1), fleet.HoldGPU, "1 GPU a pod: not judged by CPU; connect dcgm-exporter to see whether they are busy"},
		{"GPUs", 0.1, mib, 1, 0, fleet.CPUUnderused, gpu(2), fleet.HoldGPU, "2 GPUs a pod"},
	} {
		w, o := server(3), only(options(), c.rule)
		o.Class = fleet.Batch
		h := measured(t, w, c.cpu, c.mem, c.rps)
		if c.change != nil {
			c.change(&w, &o)
		}
		recs, holds := Recommend(w, h, o, noon.Add(c.later))
		if len(recs) != 0 || len(holds) != 1 || holds[0].Reason != c.reason || !strings.Contains(holds[0].Detail, c.saying) {
			t.Errorf("%s: got %+v, %+v", c.name, recs, holds)
		}
	}
}

func gpu(n int64) func(*fleet.Workload, *Options) {
	return func(w *fleet.Workload, _ *Options) {
		edit(w, func(k *fleet.Container) { k.Limits.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: n}} })
	}
}

// TestEverySignalHasItsOwnGate: requests are fresh and long known; CPU ended six minutes ago, or
// began a minute ago.
func TestEverySignalHasItsOwnGate(t *testing.T) {
	for _, c := range []struct {
		name   string
		cpu    []fleet.Sample
		reason fleet.HoldReason
		saying string
	}{
		{"stale", steady(fleet.CPU, "a", noon.Add(-6*time.Minute), 3*time.Minute, 0.1), fleet.HoldStaleMetrics, "cpu of model-server last measured 6m ago"},
		{"short", steady(fleet.CPU, "a", noon, time.Minute, 0.1), fleet.HoldShortHistory, "cpu of model-server measured for 1m of the 1m30s"},
	} {
		w, h := server(1), NewHistory()
		feed(t, h, merged(c.cpu, steady(fleet.Requests, "a", noon, 9*time.Minute, 1))...)
		recs, holds := Recommend(w, h, only(options(), fleet.CPUUnderused), noon)
		if len(recs) != 0 || len(holds) != 1 || holds[0].Reason != c.reason || !strings.Contains(holds[0].Detail, c.saying) {
			t.Errorf("%s: got %+v, %+v", c.name, recs, holds)
		}
	}
}

// TestYoungPodIsNotWaitedFor: a pod that started a minute ago may be without samples.
func TestYoungPodIsNotWaitedFor(t *testing.T) {
	w := server(3)
	h := measured(t, w, 0.1, 400*mib, -1)
	w.Pods[2].Name, w.Pods[2].Created = "young", noon.Add(-time.Minute)
	if recs, holds := Recommend(w, h, only(options(), fleet.CPUUnderused), noon); len(recs) != 1 || len(holds) != 0 {
		t.Errorf("got %+v, %+v", recs, holds)
	}
}

// TestFieldManagerIsNoAutoscaler: who only wrote a field once does not own its purpose.
func TestFieldManagerIsNoAutoscaler(t *testing.T) {
	w := server(3)
	w.Owners = []fleet.Owner{{Field: "replicas", Kind: "FieldManager", Name: "argocd"}}
	if recs, _ := Recommend(w, measured(t, w, -1, -1, 1), only(options(), fleet.FewRequests), noon); len(recs) != 1 {
		t.Errorf("got %+v", recs)
	}
}

func TestSpot(t *testing.T) {
	for _, c := range []struct {
		name     string
		class    fleet.Class
		capacity fleet.Capacity
		want     bool
	}{
		{"batch on on-demand", fleet.Batch, fleet.OnDemand, true},
		{"batch on spot", fleet.Batch, fleet.Spot, false},
		{"online on on-demand", fleet.Online, fleet.OnDemand, false},
		{"no class", "", fleet.OnDemand, false},
	} {
		w, o := server(3), only(options(), fleet.BatchOnDemand)
		w.Capacity, o.Class = c.capacity, c.class
		recs, holds := Recommend(w, measured(t, w, 0.1, mib, 1), o, noon)
		if len(holds) != 0 || (len(recs) == 1 && recs[0].Target.Capacity == fleet.Spot) != c.want {
			t.Errorf("%s: got %+v, %+v", c.name, recs, holds)
		}
	}
}

// random is a workload with any shape and history, for properties.
func random(t testing.TB, r *rand.Rand, gpus bool) (fleet.Workload, *History, Options) {
	w, o := server(1+r.IntN(4)), options()
	if gpus {
		gpu(1+r.Int64N(4))(&w, nil)
	}
	if r.IntN(2) == 0 {
		o.Class = fleet.Batch
	}
	o.Floor, o.SpotNodes = int32(r.IntN(4)), r.IntN(2)
	o.Percentile, o.Margin, o.UnderusedBelow = r.Float64(), r.Float64(), r.Float64()
	pick := func(most float64) float64 {
		if r.IntN(4) == 0 {
			return -1
		}
		return r.Float64() * most
	}
	h := measured(t, w, pick(1), pick(2048*mib), pick(30))
	for i := range 4 {
		if v := pick(1); v >= 0 {
			feedGPU(t, h, w, int64(i), v)
		}
	}
	return w, h, o
}

// TestRecommendProperties: bounds hold the target, CPU is never raised nor memory put above its
// limit, replicas fall by one and not below the floor, and asking twice changes nothing.
func TestRecommendProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	seen := map[fleet.Reason]int{}
	for range 1000 {
		w, h, o := random(t, r, false)
		recs, holds := Recommend(w, h, o, noon)
		again, heldAgain := Recommend(w, h, o, noon)
		if !reflect.DeepEqual(recs, again) || !reflect.DeepEqual(holds, heldAgain) {
			t.Fatal("asked twice, it answers differently")
		}
		for _, rec := range recs {
			seen[rec.Reason]++
			for i, q := range rec.Target.Requests {
				low, high, q := rec.Lower[i].Requests, rec.Upper[i].Requests, q.Requests
				if low.MilliCPU > q.MilliCPU || q.MilliCPU > high.MilliCPU || low.Memory > q.Memory || q.Memory > high.Memory {
					t.Fatalf("%+v is not within its bounds", rec)
				}
				if q.MilliCPU > 500 || q.MilliCPU < 10 || q.Memory > 2048*mib || q.Memory < 32*mib {
					t.Fatalf("%+v asks for too much or too little", rec)
				}
			}
			if n := rec.Target.Replicas; n != 0 && (n != w.Replicas-1 || n < o.Floor) {
				t.Fatalf("from %d, floor %d: %+v", w.Replicas, o.Floor, rec)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("the rules were tried %v", seen)
	}
}

// TestScale: all use times k gives all targets times k, within a histogram's range and a rounding step.
func TestScale(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		w, k := server(1), 0.2+r.Float64()*3
		one, other := NewHistory(), NewHistory()
		for i := range 20 {
			s := sample(fleet.CPU, "a", noon.Add(time.Duration(i-20)*15*time.Second), 0.02+r.Float64()*0.05)
			feed(t, one, s)
			s.Mean, s.Max = s.Mean*k, s.Max*k
			feed(t, other, s)
		}
		o := only(options(), fleet.CPUUnderused)
		o.UnderusedBelow, o.MinMilliCPU = 9, 1
		a, _ := Recommend(w, one, o, noon)
		b, _ := Recommend(w, other, o, noon)
		x, y := float64(a[0].Target.Requests[0].Requests.MilliCPU), float64(b[0].Target.Requests[0].Requests.MilliCPU)
		if y < (x-5)*k/1.05-1e-6 || y > x*k*1.05+5+1e-6 {
			t.Fatalf("times %v: %vm became %vm", k, x, y)
		}
	}
}

// TestRestoredHistoryRecommendsTheSame, to the last digit, for every rule.
func TestRestoredHistoryRecommendsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 300 {
		w, h, o := random(t, r, r.IntN(3) == 0)
		data, _ := h.MarshalBinary()
		back := NewHistory()
		if err := back.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		recs, holds := Recommend(w, h, o, noon)
		recs2, holds2 := Recommend(w, back, o, noon)
		if !reflect.DeepEqual(recs, recs2) || !reflect.DeepEqual(holds, holds2) {
			t.Fatalf("%+v %+v\n%+v %+v", recs, holds, recs2, holds2)
		}
	}
}

func BenchmarkRecommend(b *testing.B) {
	w, h, o := server(3), fiveWeeks(b, 3), options()
	o.Window, o.MinHistory, o.UnderusedBelow = 7*24*time.Hour, 24*time.Hour, 0.9
	for i := range w.Pods {
		w.Pods[i].Name = fmt.Sprint("recommendation-model-7d4b9c6f5-abcd", i)
	}
	if recs, holds := Recommend(w, h, o, noon); len(recs) != 1 {
		b.Fatalf("got %+v, %+v", recs, holds)
	}
	b.ReportAllocs()
	for b.Loop() {
		Recommend(w, h, o, noon)
	}
}
