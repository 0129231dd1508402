package recommender

import (
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// daily is two weeks until at of one pod that uses 0.8 cores from 9 to 11 and 0.1 else, every five minutes.
func daily(t testing.TB, pod string, at time.Time) *History { return dailyAt(t, 0, pod, at) }

// dailyAt is the same at a pace of the plan; at is in the plan's time.
func dailyAt(t testing.TB, p Pace, pod string, at time.Time) *History {
	h := NewHistory()
	h.Hurry(p)
	const window = 5 * time.Minute
	for end := at.Truncate(window).Add(-14 * 24 * time.Hour); !end.After(at); end = end.Add(window) {
		use := 0.1
		if hour := end.Add(-window).Hour(); hour == 9 || hour == 10 {
			use = 0.8
		}
		feed(t, h, fleet.Sample{Ref: ref, Pod: pod, Container: "model-server", Signal: fleet.CPU, At: p.real(end),
			Window: window * time.Duration(p.hour()) / 3600, Mean: use, Max: use, N: 5})
	}
	return h
}

// priced is the options of a policy with rule: priced.
func priced() Options {
	o := only(options(), fleet.CPUUnderused)
	o.Window, o.Priced = 7*24*time.Hour, &sizing.Options{}
	return o
}

// day is noon's day at an hour and minute.
func day(hour, minute int) time.Time {
	return noon.Add(time.Duration(hour-12)*time.Hour + time.Duration(minute)*time.Minute)
}

func TestPlanGrowsBeforeThePeakAndShrinksAfterIt(t *testing.T) {
	for _, c := range []struct {
		at        time.Time
		live      int64
		low, high int64 // of what is asked for; 0: nothing
	}{
		{day(8, 40), 105, 0, 0},
		{day(8, 52), 105, 800, 840},
		{day(9, 30), 840, 0, 0},
		{day(11, 0), 840, 0, 0}, // the last minutes of the peak are still the newest that is known
		{day(11, 20), 840, 100, 110},
	} {
		w := server(1)
		w.Pods[0].Shape.Containers[0].Requests.MilliCPU = c.live
		recs, holds := Recommend(w, daily(t, "a", c.at), priced(), c.at)
		if len(holds) != 0 {
			t.Fatalf("%s: held: %v", c.at, holds)
		}
		switch {
		case c.high == 0 && len(recs) != 0:
			t.Errorf("%s: %+v", c.at, recs[0].Target)
		case c.high == 0:
		case len(recs) != 1 || recs[0].Reason != fleet.CPUPlan:
			t.Errorf("%s: %d recommendations", c.at, len(recs))
		default:
			if cpu := recs[0].Target.Requests[0].Requests.MilliCPU; cpu < c.low || cpu > c.high {
				t.Errorf("%s: %dm of CPU, not %dm to %dm", c.at, cpu, c.low, c.high)
			}
		}
	}
}

func TestPlanSaysWhatComesNext(t *testing.T) {
	w, at := server(1), day(8, 52)
	recs, _ := Recommend(w, daily(t, "a", at), priced(), at)
	if len(recs) != 1 {
		t.Fatalf("%d recommendations", len(recs))
	}
	for _, want := range []string{"model-server ", "from 11:00", "cheaper than a flat request"} {
		if !strings.Contains(recs[0].Evidence, want) {
			t.Errorf("%q lacks %q", recs[0].Evidence, want)
		}
	}
	if fine := Fine(atRequest(w, recs[0]), daily(t, "a", at), priced(), at); len(fine) != 1 || fine[0].Reason != fleet.CPUPlan {
		t.Errorf("with what was asked for, fine is %+v", fine)
	}
}

// atRequest is w with what was asked for in every pod.
func atRequest(w fleet.Workload, r Recommendation) fleet.Workload {
	for i := range w.Pods {
		w.Pods[i].Shape.Containers[0].Requests = r.Target.Requests[0].Requests
	}
	return w
}

// A request that the plan asked for is not asked to be another one, hour after hour.
func TestPlanComesToRest(t *testing.T) {
	w, at := server(1), day(12, 30)
	h, p, o := daily(t, "a", at), NewPlans(), priced()
	recs := Judge(w, h, p, o, at).Recommendations
	if len(recs) != 1 {
		t.Fatalf("%d recommendations", len(recs))
	}
	w = atRequest(w, recs[0])
	for range 8 {
		at = at.Add(time.Minute)
		if again := Judge(w, h, p, o, at).Recommendations; len(again) != 0 {
			t.Fatalf("%s: asked for %+v again after %+v", at, again[0].Target, recs[0].Target)
		}
		if at.Sub(day(12, 30)) > 4*time.Minute {
			break
		}
	}
}

func TestPlanAnswersAnExcessAtOnce(t *testing.T) {
	w, at := server(1), day(14, 0)
	h := daily(t, "a", at)
	w.Pods[0].Shape.Containers[0].Requests.MilliCPU = 105
	now := at.Add(5 * time.Minute)
	feed(t, h, fleet.Sample{Ref: ref, Pod: "a", Container: "model-server", Signal: fleet.CPU, At: now, Window: 5 * time.Minute, Mean: 0.5, Max: 0.6, N: 5})
	recs, holds := Recommend(w, h, priced(), now)
	if len(recs) != 1 {
		t.Fatalf("nothing was asked for: %v", holds)
	}
	if cpu := recs[0].Target.Requests[0].Requests.MilliCPU; cpu < 690 || cpu > 1000 { // 0.6 x 1.15, at most the limit
		t.Errorf("%dm after 600m were used of 105m", cpu)
	}
}

func TestPlanLeavesGPUsAndAutoscalersAlone(t *testing.T) {
	w, at := server(1), day(8, 52)
	w.Owners = []fleet.Owner{{Kind: "HorizontalPodAutoscaler", Name: "hpa", Field: "requests"}}
	if recs, holds := Recommend(w, daily(t, "a", at), priced(), at); len(recs) != 0 || len(holds) != 1 {
		t.Errorf("beside an autoscaler that goes by requests: %v, %v", recs, holds)
	}
}

func TestCheckpointKeepsThePlan(t *testing.T) {
	at := day(8, 52)
	h := daily(t, "a", at)
	text, err := h.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := NewHistory()
	if err := again.UnmarshalBinary(text); err != nil {
		t.Fatal(err)
	}
	a, _ := Recommend(server(1), h, priced(), at)
	b, _ := Recommend(server(1), again, priced(), at)
	if len(a) != 1 || len(b) != 1 || a[0].Evidence != b[0].Evidence {
		t.Errorf("%+v and, restored, %+v", a, b)
	}
}

// Memory is given back in steps, asked for until it is given, and after a kill not below what was too little.
func TestPlannedMemoryComesDownInSteps(t *testing.T) {
	w, at := server(1), day(14, 0)
	h, p := daily(t, "a", at), NewPlans()
	const window = 5 * time.Minute
	for end := at.Add(-14 * 24 * time.Hour); !end.After(at); end = end.Add(window) {
		feed(t, h, fleet.Sample{Ref: ref, Pod: "a", Container: "model-server", Signal: fleet.Memory, At: end, Window: window, Mean: 300 * mib, Max: 310 * mib, N: 5})
	}
	memory := func(at time.Time) int64 {
		j := Judge(w, h, p, priced(), at)
		if len(j.Recommendations) == 0 {
			t.Logf("%s: %v", at, j.Holds)
			return 0
		}
		return j.Recommendations[0].Target.Requests[0].Requests.Memory
	}
	step := memory(at)
	if step < 600*mib || step > 900*mib {
		t.Fatalf("of 1 GiB, of which 310 MiB are used, the first step leaves %d MiB", step/mib)
	}
	for i := range 3 {
		if got := memory(at.Add(time.Duration(i) * time.Minute)); got != step {
			t.Fatalf("pass %d asks for %d MiB, not %d", i, got/mib, step/mib)
		}
	}
	w.Pods[0].Shape.Containers[0].Requests.Memory = step
	if got := memory(at.Add(3 * time.Minute)); got != 0 && got != step {
		t.Errorf("a minute after the step %d MiB are asked for", got/mib)
	}
	kill := at.Add(4 * time.Minute)
	feed(t, h, fleet.Sample{Ref: ref, Pod: "a", Container: "model-server", Signal: fleet.OOM, At: kill, Window: time.Minute, Mean: 1, Max: 1, N: 1})
	w.Pods[0].Shape.Containers[0].Requests.Memory = 320 * mib
	if got := memory(kill); got < 410*mib { // the peak of 310 MiB and the 100 MiB more of a kill
		t.Errorf("after a kill %d MiB are asked for", got/mib)
	}
}

// Replicas that go leave their work to those that stay, which may keep what they have for it; to ask for more in
// each pass because of what was asked for in the last would never end.
func TestPlanDoesNotRunAwayWhereReplicasGo(t *testing.T) {
	at := day(14, 0)
	h, p, w := NewHistory(), NewPlans(), server(6)
	for end := at.Add(-3 * time.Hour); !end.After(at); end = end.Add(time.Minute) {
		for _, p := range w.Pods {
			for signal, v := range map[fleet.Signal]float64{fleet.CPU: 0.1, fleet.Requests: 1} {
				container := "model-server"
				if signal == fleet.Requests {
					container = ""
				}
				feed(t, h, fleet.Sample{Ref: ref, Pod: p.Name, Container: container, Signal: signal, At: end, Window: time.Minute, Mean: v, Max: v, N: 4})
			}
		}
	}
	o := priced()
	o.ReduceReplicas = true
	for pass := range 4 {
		for _, r := range Judge(w, h, p, o, at).Recommendations {
			if r.Reason == fleet.CPUPlan {
				cpu := r.Target.Requests[0].Requests.MilliCPU
				if cpu > 500 {
					t.Fatalf("pass %d asks for %dm, above the 500m of the beginning", pass, cpu)
				}
				for i := range w.Pods {
					w.Pods[i].Shape.Containers[0].Requests.MilliCPU = cpu
				}
			}
		}
	}
}

// A request never becomes its limit: the pod's QoS class would change.
func TestPlanStaysUnderTheLimit(t *testing.T) {
	w, at := server(1), day(8, 52)
	w.Pods[0].Shape.Containers[0].Requests.MilliCPU = 105
	w.Pods[0].Shape.Containers[0].Limits.MilliCPU = 400
	recs, holds := Recommend(w, daily(t, "a", at), priced(), at)
	if len(recs) != 1 || recs[0].Target.Requests[0].Requests.MilliCPU != 399 {
		t.Errorf("below a limit of 400m: %+v, %v", recs, holds)
	}
}
