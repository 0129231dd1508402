package recommender

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// feedGPU measures the i-th GPU of every pod of w for three minutes; several shares take turns.
func feedGPU(t testing.TB, h *History, w fleet.Workload, i int64, shares ...float64) {
	t.Helper()
	var all [][]fleet.Sample
	for _, p := range w.Pods {
		s := steady(fleet.GPU, p.Name, noon, 3*time.Minute, 0)
		for k := range s {
			s[k].Container = fleet.GPUName(i)
			s[k].Mean, s[k].Max = shares[k%len(shares)], shares[k%len(shares)]
		}
		all = append(all, s)
	}
	feed(t, h, merged(all...)...)
}

// vision is two pods with n GPUs each, 3 % of whose CPU is used.
func vision(t testing.TB, n int64) (fleet.Workload, *History) {
	w := server(2)
	gpu(n)(&w, nil)
	return w, measured(t, w, 0.015, 100*mib, 50)
}

// turns is one reading of twelve at v for each time, the others at rest.
func turns(v, rest float64, times int) []float64 {
	out := make([]float64, 12)
	for i := range out {
		if out[i] = rest; i < times {
			out[i] = v
		}
	}
	return out
}

// TestAdvise. Enough is the sum of the p95 of all GPUs / 0.7, rounded up: 0.08 + 0.08 is 0.23 → 1 of 2;
// 4 × 0.2 is 1.14 → 2 of 4; two of twelve readings at 0.9 make a p95 of 0.9 and a mean of
// (2 × 0.9 + 10 × 0.05) / 12 = 0.19, and 1.8 / 0.7 → 3, so all are needed.
func TestAdvise(t *testing.T) {
	same := func(v float64, n int) (out [][]float64) {
		for range n {
			out = append(out, []float64{v})
		}
		return out
	}
	each := func(v ...float64) (out [][]float64) {
		for _, v := range v {
			out = append(out, []float64{v})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		shares [][]float64 // a GPU each
		text   string      // before the caveat; empty: no advice
		freed  int64
	}{
		{"one of two idle", each(0.5, 0.01), "gpu 1 of 2 idle: remove it", 1000},
		{"the first of two idle", each(0.04, 0.9), "gpu 0 of 2 idle: remove it", 1000},
		{"two of four idle", each(0.5, 0.01, 0.6, 0), "gpu 1, gpu 3 of 4 idle: remove them", 2000},
		{"both idle", same(0.001, 2), "both GPUs idle: remove them, or the workload", 2000},
		{"the only one idle", same(0, 1), "its GPU idle: remove it, or the workload", 1000},
		{"a single peak is not idle", [][]float64{{0.5}, turns(0.9, 0, 1)}, "both GPUs busy 29 %, but up to 90 % (p95): share (time-slicing or MIG) only with work that is busy at other times", 0},
		{"a little on average, with a peak", [][]float64{{0.5}, turns(0.5, 0, 1)}, "both GPUs busy 27 %, but up to 50 % (p95): share (time-slicing or MIG) only with work that is busy at other times", 0},
		{"both hardly busy", same(0.08, 2), "both GPUs busy 8 %: share (time-slicing or MIG) or remove one", 1000},
		{"5 % is not idle", same(0.05, 2), "both GPUs busy 5 %: share (time-slicing or MIG) or remove one", 1000},
		{"one could stand in", same(0.29, 2), "both GPUs busy 29 %: share (time-slicing or MIG) or remove one", 1000},
		{"30 % is busy", same(0.3, 2), "", 0},
		{"busy", same(0.9, 2), "", 0},
		{"four hardly busy", same(0.2, 4), "all 4 GPUs busy 20 %: share (time-slicing or MIG) or remove 2", 2000},
		{"the only one hardly busy", same(0.2, 1), "its GPU busy 20 %: share with a second pod like it (time-slicing or MIG)", 500},
		{"two of it fill it to 70 %", [][]float64{turns(0.35, 0.06, 2)}, "its GPU busy 11 %: share with a second pod like it (time-slicing or MIG)", 500},
		{"two of it would collide", [][]float64{turns(0.36, 0.06, 2)}, "its GPU busy 11 %, but up to 36 % (p95): share (time-slicing or MIG) only with work that is busy at other times", 0},
		{"both needed at times", [][]float64{turns(0.9, 0.05, 2), turns(0.9, 0.05, 2)}, "both GPUs busy 19 %, but up to 90 % (p95): share (time-slicing or MIG) only with work that is busy at other times", 0},
	} {
		w, h := vision(t, int64(len(c.shares)))
		for i, s := range c.shares {
			feedGPU(t, h, w, int64(i), s...)
		}
		got, fine := Advise(w, h, options(), Device{}, noon), Fine(w, h, options(), noon)
		if _, holds := Recommend(w, h, options(), noon); hasHold(holds, fleet.HoldGPU) {
			t.Errorf("%s: held as unknown", c.name)
		}
		if c.text == "" {
			if len(got) != 0 || !hasFinding(fine, fleet.GPUUnderused) {
				t.Errorf("%s: got %+v, fine %+v", c.name, got, fine)
			}
			continue
		}
		if len(got) != 1 || got[0].Text != c.text || got[0].MilliGPU != c.freed || got[0].Reason != fleet.GPUUnderused || hasFinding(fine, fleet.GPUUnderused) {
			t.Errorf("%s: got %+v, fine %+v", c.name, got, fine)
		}
	}
}

func hasHold(holds []fleet.Hold, r fleet.HoldReason) bool {
	for _, h := range holds {
		if h.Reason == r {
			return true
		}
	}
	return false
}

func hasFinding(all []Finding, r fleet.Reason) bool {
	for _, f := range all {
		if f.Reason == r {
			return true
		}
	}
	return false
}

// TestAdviceExplained: p95 of readings 0.06, 0.1 and so on is 0.1, their mean 0.08.
func TestAdviceExplained(t *testing.T) {
	w, h := vision(t, 2)
	feedGPU(t, h, w, 0, 0.06, 0.1)
	feedGPU(t, h, w, 1, 0.08)
	got := Advise(w, h, options(), Device{}, noon)
	want := []Advice{{
		Reason: fleet.GPUUnderused, Text: "both GPUs busy 8 %: share (time-slicing or MIG) or remove one", Before: gpuCaveat, MilliGPU: 1000, Confidence: 3. / (24 * 60),
		Evidence: "gpu 0 busy 8 % on average, p95 10 %, 10 % at most; gpu 1 busy 8 % on average, p95 8 %, 8 % at most; in the hottest of 2 replicas over 3m; not judged by CPU",
		Steps: []Step{
			{"gpu 0", "mean", "8 %"}, {"gpu 0", "p95", "10 %"}, {"gpu 0", "peak", "10 %"},
			{"gpu 1", "mean", "8 %"}, {"gpu 1", "p95", "8 %"}, {"gpu 1", "peak", "8 %"},
			{"gpus", "asked for", "2"}, {"gpus", "enough to 70 %", "1"},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestSlicesAreNotShared again: a part of a GPU is made smaller.
func TestSlicesAreNotShared(t *testing.T) {
	for resource, want := range map[string]string{
		"nvidia.com/mig-2g.10gb": "its GPU busy 20 %: ask for smaller slices",
		"nvidia.com/gpu.shared":  "its GPU busy 20 %: ask for less of the card (a smaller slice, or more pods by turns)",
		"nvidia.com/gpu":         "its GPU busy 20 %: share with a second pod like it (time-slicing or MIG)",
	} {
		w := server(2)
		edit(&w, func(k *fleet.Container) { k.Limits.Extended = []fleet.Extended{{Name: resource, Count: 1}} })
		h := measured(t, w, 0.015, 100*mib, 50)
		feedGPU(t, h, w, 0, 0.2)
		if got := Advise(w, h, options(), Device{}, noon); len(got) != 1 || got[0].Text != want || got[0].Before != gpuCaveat {
			t.Errorf("%s: %+v", resource, got)
		}
	}
}

// TestGPUsThatAreNotKnown are held, and never called idle.
func TestGPUsThatAreNotKnown(t *testing.T) {
	const prefix = "2 GPUs a pod: not judged by CPU; "
	badly := prefix + "whether they are busy is not known well enough: "
	for _, c := range []struct {
		name   string
		change func(*fleet.Workload, *History, *Options)
		want   string
	}{
		{"no exporter", func(*fleet.Workload, *History, *Options) {}, prefix + "connect dcgm-exporter to see whether they are busy"},
		{"one of two", func(w *fleet.Workload, h *History, _ *Options) { feedGPU(t, h, *w, 0, 0) },
			badly + "busy share of gpu 1 was not measured in the last 10m"},
		{"one of two pods", func(w *fleet.Workload, h *History, _ *Options) {
			one := *w
			one.Pods = w.Pods[:1]
			feedGPU(t, h, one, 0, 0)
			feedGPU(t, h, one, 1, 0)
		}, badly + "busy share of gpu 0 was lately measured in 1 of 2 ready pods"},
		{"too short", func(w *fleet.Workload, h *History, o *Options) {
			feedGPU(t, h, *w, 0, 0)
			feedGPU(t, h, *w, 1, 0)
			o.MinHistory = 4 * time.Minute
		}, badly + "busy share of gpu 0 measured for 3m of the 4m the policy asks"},
	} {
		w, h := vision(t, 2)
		o := options()
		c.change(&w, h, &o)
		_, holds := Recommend(w, h, o, noon)
		if len(holds) == 0 || holds[0] != held(fleet.HoldGPU, c.want) {
			t.Errorf("%s: %+v\nwant %s", c.name, holds, c.want)
		}
		if got := Advise(w, h, o, Device{}, noon); len(got) != 0 {
			t.Errorf("%s: advised %+v", c.name, got)
		}
	}
}

// TestAdviseOnlyWhereJudged: nothing of a workload without GPUs, of a rule that is off, or in a rollout.
func TestAdviseOnlyWhereJudged(t *testing.T) {
	for name, change := range map[string]func(*fleet.Workload, *Options){
		"no GPU":      func(w *fleet.Workload, _ *Options) { *w = server(2) },
		"rule off":    func(_ *fleet.Workload, o *Options) { o.RightSize = false },
		"rolling out": func(w *fleet.Workload, _ *Options) { w.RollingOut = true },
	} {
		w, h := vision(t, 2)
		feedGPU(t, h, w, 0, 0)
		feedGPU(t, h, w, 1, 0)
		o := options()
		if len(Advise(w, h, o, Device{}, noon)) != 1 {
			t.Fatal("there should be something to take away")
		}
		change(&w, &o)
		if got := Advise(w, h, o, Device{}, noon); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestGPUWorkload is open to the rules that do not look at CPU.
func TestGPUWorkload(t *testing.T) {
	w, o := server(3), options()
	gpu(1)(&w, nil)
	o.Class = fleet.Batch
	h := measured(t, w, 0.01, mib, 1)
	feedGPU(t, h, w, 0, 0.37)
	recs, holds := Recommend(w, h, o, noon)
	if len(recs) != 2 || recs[0].Reason != fleet.FewRequests || recs[1].Reason != fleet.BatchOnDemand || len(holds) != 0 {
		t.Errorf("got %+v, %+v", recs, holds)
	}
}

// TestGPUIsNeverJudgedByCPU: whatever was measured, no request of a GPU workload is touched, what its GPUs
// come to is said in exactly one of three ways, and other CPU changes nothing in any answer.
func TestGPUIsNeverJudgedByCPU(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	ways := map[string]int{}
	for range 500 {
		w, h, o := random(t, r, true)
		recs, holds := Recommend(w, h, o, noon)
		advice, fine := Advise(w, h, o, Device{}, noon), Fine(w, h, o, noon)
		for _, rec := range recs {
			if len(rec.Target.Requests) != 0 || rec.Reason == fleet.CPUUnderused {
				t.Fatalf("got %+v", rec)
			}
		}
		if hasFinding(fine, fleet.CPUUnderused) {
			t.Fatalf("judged by CPU: %+v", fine)
		}
		n := 0
		for way, yes := range map[string]bool{"unknown": hasHold(holds, fleet.HoldGPU), "advice": len(advice) > 0, "fine": hasFinding(fine, fleet.GPUUnderused)} {
			if yes {
				n++
				ways[way]++
			}
		}
		c := newJudge(w, h, o, noon)
		if _, gated := c.gate(); n != 1 && !gated {
			t.Fatalf("%d answers: %+v, %+v, %+v", n, holds, advice, fine)
		}
		if len(h.of(ref)) == 0 {
			continue
		}
		withoutCPU(h)
		feed(t, h, steady(fleet.CPU, "zz", noon, 3*time.Minute, 0.03*0.5)...) // 3 % of the request
		again, _ := Recommend(w, h, o, noon)
		if !reflect.DeepEqual(recs, again) || !reflect.DeepEqual(advice, Advise(w, h, o, Device{}, noon)) {
			t.Fatalf("other CPU, another answer: %+v and %+v", recs, again)
		}
	}
	if len(ways) != 3 {
		t.Errorf("only %v were tried", ways)
	}
}

// withoutCPU takes what is known of CPU out of h.
func withoutCPU(h *History) {
	list := h.of(ref)
	out := list[:0]
	for _, s := range list {
		if s.signal() != fleet.CPU {
			out = append(out, s)
		}
	}
	h.workloads[keyOf(ref)] = out
}

// TestAdviceNeverFreesWhatIsNotThere, whatever was measured; and it names what it frees.
func TestAdviceNeverFreesWhatIsNotThere(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	for range 1000 {
		w, h, o := random(t, r, true)
		for _, a := range Advise(w, h, o, Device{}, noon) {
			if a.MilliGPU < 0 || a.MilliGPU > 1000*w.GPUs() || a.Text == "" || a.Before == "" || a.Evidence == "" || a.Confidence <= 0 {
				t.Fatalf("%d GPUs: %+v", w.GPUs(), a)
			}
		}
	}
}
