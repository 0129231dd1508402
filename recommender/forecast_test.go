package recommender

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// serving is so many days until at of the pods of w that share the requests of each five minutes evenly; a mean latency
// of 10 ms up to 30 requests/s a pod, of 200 ms above.
func serving(t testing.TB, w fleet.Workload, at time.Time, days int, total func(time.Time) float64) *History {
	t.Helper()
	return servingAt(t, 0, w, at, days, total)
}

// servingAt is serving at a pace: at and total go by the plan's time.
func servingAt(t testing.TB, pace Pace, w fleet.Workload, at time.Time, days int, total func(time.Time) float64) *History {
	t.Helper()
	h := NewHistory()
	h.Hurry(pace)
	const window = 5 * time.Minute
	for end := at.Truncate(window).AddDate(0, 0, -days); !end.After(at); end = end.Add(window) {
		each := total(end.Add(-window)) / float64(len(w.Pods))
		latency := 0.01
		if each > 30 {
			latency = 0.2
		}
		for _, p := range w.Pods {
			s := fleet.Sample{Ref: ref, Pod: p.Name, Signal: fleet.Latency, At: pace.real(end), Window: time.Duration(pace.shortened(int64(window))), Mean: latency, Max: latency, N: 5}
			feed(t, h, s)
			s.Signal, s.Mean, s.Max = fleet.Requests, each, each
			feed(t, h, s)
			s.Container, s.Signal, s.Mean, s.Max = "model-server", fleet.CPU, 0.05+0.01*each, 0.05+0.01*each
			feed(t, h, s)
		}
	}
	return h
}

// flat is the same rate at all times; diurnal is 100 from 9 to 17 and 20 else.
func flat(rate float64) func(time.Time) float64 { return func(time.Time) float64 { return rate } }

func diurnal(t time.Time) float64 {
	if h := t.Hour(); h >= 9 && h < 17 {
		return 100
	}
	return 20
}

func foreseeing(f Forecast) Options {
	o := only(options(), fleet.FewRequests)
	o.Window, o.Forecast, o.Floor = 7*24*time.Hour, &f, 1
	if f.Lead == 0 {
		f.Lead = 10 * time.Minute
	}
	return o
}

// TestForecastByHand. 60 requests/s are 61.2 at half the least spread, see scaling; the newest window fills 0.85 of
// what a replica answers: 60 / 34 is 2, 60 / 17 is 4.
func TestForecastByHand(t *testing.T) {
	const slo = 50 * time.Millisecond
	for _, c := range []struct {
		name  string
		pods  int
		floor int32
		rate  float64
		f     Forecast
		want  int32
		says  string
	}{
		{"two do, none to lose", 3, 1, 60, Forecast{Capacity: 40}, 2, "a replica answers 40 requests/s, as the policy says"},
		{"one to lose", 3, 1, 60, Forecast{Capacity: 40, Redundancy: 1}, 3, "; 1 may be lost"},
		{"up at once", 2, 1, 60, Forecast{Capacity: 20, Redundancy: 1}, 4, ""}, // 5, and twice what served is 4
		{"up to the ceiling", 2, 1, 60, Forecast{Capacity: 20, Redundancy: 1, Ceiling: 3}, 3, ""},
		{"with a ceiling more than twice", 2, 1, 60, Forecast{Capacity: 10, Ceiling: 20}, 8, ""}, // 60 / 8.5
		{"the floor", 3, 2, 4, Forecast{Capacity: 40}, 2, ""},
		{"half at once", 8, 1, 60, Forecast{Capacity: 40}, 4, ""},
		{"measured, and nothing was slow", 3, 1, 60, Forecast{Latency: slo}, 3, "at least 20 requests/s"}, // 4 / 0.85, but 3 served it
		{"measured, the ceiling", 3, 1, 60, Forecast{Latency: slo, Ceiling: 2}, 2, ""},
		{"the policy before what was measured", 3, 1, 60, Forecast{Capacity: 40, Latency: slo}, 2, "as the policy says"},
	} {
		w, o := server(c.pods), foreseeing(c.f)
		o.Floor = c.floor
		h := serving(t, w, noon, 1, flat(c.rate))
		recs, holds := Recommend(w, h, o, noon)
		got, said := w.Replicas, ""
		if len(recs) == 1 && recs[0].Reason == fleet.ReplicaForecast {
			got, said = recs[0].Target.Replicas, recs[0].Evidence
		}
		fine := Fine(w, h, o, noon)
		if (got == w.Replicas) != hasFinding(fine, fleet.ReplicaForecast) {
			t.Errorf("%s: %d replicas and fine is %+v", c.name, got, fine)
		}
		for _, f := range fine {
			said += f.Why
		}
		if got != c.want || len(holds) != 0 || !strings.Contains(said, c.says) {
			t.Errorf("%s: got %d, want %d: %q, %v", c.name, got, c.want, said, holds)
		}
	}
}

// TestForecastGrowsBeforeTheRise: at night two of 30 requests/s with none to lose; 100 from 9 on is four at 30 each,
// and the newest window of 100 fills 0.85 of them. The hour of the calendar has soft edges, so the way up is
// judged by what is there at 9 and at night.
func TestForecastGrowsBeforeTheRise(t *testing.T) {
	f := Forecast{Capacity: 30, Lead: 10 * time.Minute, Ceiling: 9}
	ask := func(at time.Time, live int) int32 {
		w := server(live)
		recs, holds := Recommend(w, serving(t, w, at, 8, diurnal), foreseeing(f), at)
		if len(holds) > 0 {
			t.Fatalf("%s: %v", at, holds)
		}
		if len(recs) == 0 {
			return int32(live)
		}
		return recs[0].Target.Replicas
	}
	for _, c := range []struct {
		at          time.Time
		live        int
		most, least int32
	}{
		{day(3, 0), 5, 3, 1},  // half at once
		{day(3, 0), 1, 2, 1},  // enough for 20
		{day(8, 52), 1, 9, 3}, // ahead of 9:00
		{day(12, 0), 4, 5, 4},
		{day(16, 30), 4, 5, 4}, // the last half hour of the peak
		{day(18, 30), 4, 2, 1},
	} {
		if got := ask(c.at, c.live); got < c.least || got > c.most {
			t.Errorf("%s with %d: %d replicas, want %d to %d", c.at.Format("15:04"), c.live, got, c.least, c.most)
		}
	}
}

// TestForecastLetsGoAfterASpike: one window of 200 requests/s half an hour ago keeps nothing that is there beside 60; two
// do, of which the lower, of 100, takes four replicas of 40 that are filled less.
func TestForecastLetsGoAfterASpike(t *testing.T) {
	for _, tt := range []struct {
		second float64
		want   int32
	}{{60, 2}, {100, 4}} {
		course := func(at time.Time) float64 {
			switch noon.Sub(at) {
			case 30 * time.Minute:
				return 200
			case 20 * time.Minute:
				return tt.second
			}
			return 60
		}
		w := server(4)
		got := w.Replicas
		if recs, _ := Recommend(w, serving(t, w, noon, 3, course), foreseeing(Forecast{Capacity: 40}), noon); len(recs) == 1 {
			got = recs[0].Target.Replicas
		}
		if got != tt.want {
			t.Errorf("%g in the second window: %d replicas, want %d", tt.second, got, tt.want)
		}
	}
}

// TestForecastKeepsWhatABudgetAsksFor: so that one of its pods can be evicted.
func TestForecastKeepsWhatABudgetAsksFor(t *testing.T) {
	w, o := server(6), foreseeing(Forecast{Capacity: 40})
	w.Budgeted = 4
	recs, _ := Recommend(w, serving(t, w, noon, 1, flat(60)), o, noon)
	if len(recs) != 1 || recs[0].Target.Replicas != 4 {
		t.Errorf("%+v", recs)
	}
}

// TestForecastHolds: nothing is guessed.
func TestForecastHolds(t *testing.T) {
	slow := func(w fleet.Workload) *History { return serving(t, w, noon, 1, flat(200)) } // 67 a pod: 200 ms
	for _, c := range []struct {
		name   string
		f      Forecast
		h      func(fleet.Workload) *History
		reason fleet.HoldReason
		says   string
	}{
		{"no requests", Forecast{Capacity: 40}, func(w fleet.Workload) *History { return measured(t, w, 0.1, mib, -1) }, fleet.HoldNoMetrics, "never measured"},
		{"neither capacity nor latency", Forecast{}, func(w fleet.Workload) *History { return serving(t, w, noon, 1, flat(9)) }, fleet.HoldNoMetrics, "replicas.latency"},
		{"never in time", Forecast{Latency: 50 * time.Millisecond}, slow, fleet.HoldNoMetrics, "no replica was seen to keep a mean latency of 50ms"},
		{"too short", Forecast{Capacity: 40}, func(w fleet.Workload) *History { return measured(t, w, 0.1, mib, 5) }, fleet.HoldShortHistory, "five whole minutes"},
	} {
		w := server(3)
		recs, holds := Recommend(w, c.h(w), foreseeing(c.f), noon)
		if len(recs) != 0 || len(holds) != 1 || holds[0].Reason != c.reason || !strings.Contains(holds[0].Detail, c.says) {
			t.Errorf("%s: %+v, %v", c.name, recs, holds)
		}
	}
	w := server(3)
	w.Owners = []fleet.Owner{{Field: "replicas", Kind: "Rollout", Name: "r"}}
	if _, holds := Recommend(w, slow(w), foreseeing(Forecast{Capacity: 40}), noon); !hasHold(holds, fleet.HoldAutoscaler) {
		t.Errorf("replicas that somebody else sets: %v", holds)
	}
	w = server(3)
	for i := range w.Pods {
		w.Pods[i].Ready = false
	}
	if _, holds := Recommend(w, slow(w), foreseeing(Forecast{Capacity: 40}), noon); !hasHold(holds, fleet.HoldNoMetrics) {
		t.Errorf("none is ready: %v", holds)
	}
}

// TestLimitSeenLetsItGrow: where a replica was seen to be too slow, its capacity is known from both sides, and more
// may run than ever served.
func TestLimitSeenLetsItGrow(t *testing.T) {
	w := server(2)
	h := serving(t, w, noon, 1, func(at time.Time) float64 {
		if noon.Sub(at) < 2*time.Hour {
			return 80 // 40 a pod, 200 ms
		}
		return 50 // 25 a pod, 10 ms
	})
	recs, holds := Recommend(w, h, foreseeing(Forecast{Latency: 50 * time.Millisecond}), noon)
	if len(recs) != 1 || recs[0].Target.Replicas != 4 || !strings.Contains(recs[0].Evidence, "25 requests/s, with a mean latency up to 10 ms; slower than promised at 40") {
		t.Errorf("%+v, %v", recs, holds)
	}
}

// TestForecastIsMonotone: more requests never ask for fewer replicas, and scaling rate and capacity alike changes nothing.
func TestForecastIsMonotone(t *testing.T) {
	last := int32(0)
	for _, rate := range []float64{0, 1, 5, 20, 60, 90, 200, 500} {
		w := server(4)
		ask := func(k float64) int32 {
			recs, _ := Recommend(w, serving(t, w, noon, 1, flat(k*rate)), foreseeing(Forecast{Capacity: 20 * k, Redundancy: 1, Ceiling: 100}), noon)
			if len(recs) == 0 {
				return w.Replicas
			}
			return recs[0].Target.Replicas
		}
		n := ask(1)
		if m := ask(1000); m != n || n < last {
			t.Errorf("%v requests/s: %d replicas, %d a thousandfold, %d for fewer", rate, n, m, last)
		}
		last = n
	}
}

// A load survives a checkpoint, and those that knew none are read.
func TestLoadCheckpoint(t *testing.T) {
	w := server(2)
	h, back := serving(t, w, noon.Add(2*time.Minute), 1, diurnal), NewHistory()
	data, _ := h.MarshalBinary()
	if err := back.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	o := foreseeing(Forecast{Latency: 50 * time.Millisecond})
	a, holds := Recommend(w, h, o, noon.Add(2*time.Minute))
	b, _ := Recommend(w, back, o, noon.Add(2*time.Minute))
	if len(a) != 1 || !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, %v\nrestored %+v", a, holds, b)
	}
	loadless, at := restored(t, "testdata/history-3.bin"), noon.Add(2*time.Minute)
	if got, want := loadless.Use(ref, 24*time.Hour, at, 0.95), h.Use(ref, 24*time.Hour, at, 0.95); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("version 3: %+v, want %+v", got, want)
	}
	if s, ok := loadless.series(ref, "", fleet.Requests); !ok || s.load() == nil || s.load().track.Windows() != 0 {
		t.Error("version 3: a load that nobody wrote")
	}
}

// TestSlotsBecomeWindows: slots of a minute and of a quarter of an hour, by hand.
func TestSlotsBecomeWindows(t *testing.T) {
	l := newLoad()
	slot := func(to uint32, span uint32, rate float64) {
		l.add(bucket{to: to, span: span, weight: 60, total: 60 * rate}, 0)
	}
	for m := range uint32(5) {
		slot(60*(m+1), 60, float64(10*(m+1))) // 10 to 50: 30
	}
	if l.track.Windows() != 0 || math.Abs(l.sum/float64(l.weight)-30) > 1e-9 {
		t.Errorf("%d windows, open %v over %d s", l.track.Windows(), l.sum, l.weight)
	}
	slot(1200, 900, 7) // 300 to 1200: three windows, the last of them open
	if l.track.Windows() != 3 || l.from != 900 || math.Abs(l.sum-2100) > 1e-9 {
		t.Errorf("%d windows, open from %d with %v", l.track.Windows(), l.from, l.sum)
	}
	slot(600, 60, 1000) // of the past
	if l.track.Windows() != 3 || l.from != 900 || math.Abs(l.sum-2100) > 1e-9 {
		t.Errorf("a slot of the past counts: %d windows, open from %d with %v", l.track.Windows(), l.from, l.sum)
	}
}
