package recommender

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

func TestPaceOfTimes(t *testing.T) {
	for _, c := range []struct {
		pace         Pace
		at, planned  int64
		minute, late time.Duration
	}{
		{0, 7200, 7200, time.Minute, 2 * time.Minute},
		{Pace(time.Hour), 7200, 7200, time.Minute, 2 * time.Minute},
		{Pace(20 * time.Second), 7200, 1296000, time.Second, 2 * time.Second}, // 180 times as fast
		{Pace(25 * time.Second), 25, 3600, time.Second, 2 * time.Second},
		{Pace(10 * time.Minute), 600, 3600, 10 * time.Second, 20 * time.Second},
	} {
		if got := c.pace.planned(c.at); got != c.planned {
			t.Errorf("%s: %d is %d, not %d", time.Duration(c.pace), c.at, got, c.planned)
		}
		if got := c.pace.real(time.Unix(c.planned, 0)); got.Unix() != c.at {
			t.Errorf("%s: %d comes at %s", time.Duration(c.pace), c.planned, got)
		}
		if got := time.Duration(c.pace.minute()); got != c.minute || time.Duration(c.pace.lateness()) != c.late {
			t.Errorf("%s: a minute of %s", time.Duration(c.pace), got)
		}
	}
	// 20 minutes before an hour of 20 s are 6 2/3 s: nothing is lost to whole seconds.
	if got := Pace(20 * time.Second).real(time.Unix(3600*90-1200, 0)); got.UnixMilli() != 1800_000-6667 && got.UnixMilli() != 1800_000-6666 {
		t.Errorf("20 minutes before 1800 s are at %d ms", got.UnixMilli())
	}
}

func TestPaceCheck(t *testing.T) {
	for d, sound := range map[time.Duration]bool{
		0: true, 10 * time.Second: true, 37 * time.Second: true, time.Hour: true,
		-time.Second: false, time.Second: false, 20500 * time.Millisecond: false, 2 * time.Hour: false,
	} {
		if err := Pace(d).Check(); (err == nil) != sound {
			t.Errorf("an hour of %s: %v", d, err)
		}
	}
}

// TestPaceOfBusiestMinute: 5 s with a mean of 1 and a reading of 2 are less than a minute, or five of them.
func TestPaceOfBusiestMinute(t *testing.T) {
	b := bucket{span: 5, weight: 5, sum: 5, peak: 2}
	if usual, fast := b.busiest(0), b.busiest(Pace(time.Minute)); usual != 1 || fast != 2 {
		t.Errorf("%g and %g", usual, fast)
	}
	s := series{open: []reading{{window: 5000, mean: 1, peak: 2}}}
	usual := s.latest()
	if s.hour = 60; usual != 1 || s.latest() != 2 {
		t.Errorf("latest %g and %g", usual, s.latest())
	}
}

// TestPaceMakesTheSamePlan: what was used in two weeks of the plan, in hours of a minute, leaves the same profile as
// in earnest, and asks for the same at the same times.
func TestPaceMakesTheSamePlan(t *testing.T) {
	const pace = Pace(time.Minute)
	for _, c := range []struct {
		at   time.Time
		live int64
	}{{day(8, 40), 105}, {day(8, 52), 105}, {day(9, 30), 840}, {day(11, 0), 840}, {day(11, 20), 840}} {
		at := pace.real(c.at)
		usual, fast := daily(t, "a", c.at), dailyAt(t, pace, "a", c.at)
		o := priced()
		w := server(1)
		w.Pods[0].Shape.Containers[0].Requests.MilliCPU = c.live
		want, _ := Recommend(w, usual, o, c.at)
		o.MinHistory /= 60
		w.Pods[0].Created = pace.real(w.Pods[0].Created)
		got, holds := Recommend(w, fast, o, at)
		if len(got) != len(want) || len(holds) != 0 {
			t.Fatalf("%s: %d recommendations, not %d; %v", c.at, len(got), len(want), holds)
		}
		if len(got) == 1 && !reflect.DeepEqual(got[0].Target, want[0].Target) {
			t.Errorf("%s: %+v, not %+v", c.at, got[0].Target, want[0].Target)
		}
		if !slices.Equal(profileOf(usual), profileOf(fast)) {
			t.Errorf("%s: another profile", c.at)
		}
		if a, b := stepsOf(w, usual, priced(), c.at), stepsOf(w, fast, o, at); !slices.Equal(pace.steps(a), b) || len(b) == 0 {
			t.Errorf("%s: steps %v, not %v", c.at, b, a)
		}
	}
}

func profileOf(h *History) []byte {
	s, _ := h.series(ref, "model-server", fleet.CPU)
	text, _ := s.profile().AppendBinary(nil)
	return text
}

func stepsOf(w fleet.Workload, h *History, o Options, at time.Time) []sizing.Step {
	k := w.Pods[0].Shape.Containers[0]
	s, _ := h.series(ref, k.Name, fleet.CPU)
	asked := *o.Priced
	asked.Floor, asked.Warm = float64(o.MinMilliCPU)/1000, o.MinHistory
	e := NewPlans().plan(new(standing), s, asked, at, float64(k.Requests.MilliCPU)/1000).advise()
	return e.Steps
}

// TestPaceCountsBursts: of windows that are longer than a minute the largest reading counts, at any pace.
func TestPaceCountsBursts(t *testing.T) {
	var profiles [2][]byte
	for i, p := range []Pace{0, Pace(time.Minute)} {
		h := NewHistory()
		h.Hurry(p)
		for n := range 6 {
			feed(t, h, fleet.Sample{Ref: ref, Pod: "a", Container: "model-server", Signal: fleet.CPU, N: 5,
				At: p.real(day(8, 5*n)), Window: 5 * time.Minute * time.Duration(p.hour()) / 3600, Mean: 0.1, Max: 0.5})
		}
		profiles[i] = profileOf(h)
	}
	if !slices.Equal(profiles[0], profiles[1]) {
		t.Error("another profile")
	}
}

// TestPaceOfMemory: three days at 100 MiB and a kill thirty days ago, whose floor has become lower since.
func TestPaceOfMemory(t *testing.T) {
	var advice [2]sizing.MemoryAdvice
	for i, p := range []Pace{0, Pace(time.Minute)} {
		h := NewHistory()
		h.Hurry(p)
		sample := fleet.Sample{Ref: ref, Pod: "a", Container: "model-server", Signal: fleet.Memory, N: 5, Window: time.Hour * time.Duration(p.hour()) / 3600, Mean: 100 << 20, Max: 100 << 20}
		for n := range 72 {
			sample.At = p.real(day(n, 0))
			feed(t, h, sample)
		}
		sample.Signal, sample.Mean = fleet.OOM, 1
		feed(t, h, sample)
		s, _ := h.series(ref, "model-server", fleet.Memory)
		advice[i] = new(standing).advised(s, sizing.MemoryOptions{InPlace: true}, p.real(day(33*24, 0)), 500<<20)
	}
	if advice[0] != advice[1] || advice[0].Floor < 1 {
		t.Errorf("%+v, not %+v", advice[1], advice[0])
	}
}

// TestPaceForeseesTheSame: a day's requests in hours of a minute ask for the same replicas at the same times, and an
// autoscaler is advised the same.
func TestPaceForeseesTheSame(t *testing.T) {
	const pace = Pace(time.Minute)
	for _, c := range []struct {
		at   time.Time
		live int
	}{{day(3, 0), 5}, {day(3, 0), 1}, {day(8, 40), 1}, {day(8, 52), 1}, {day(9, 30), 1}, {day(12, 0), 4}, {day(16, 30), 4}, {day(18, 30), 4}} {
		w, o, at := server(c.live), foreseeing(Forecast{Capacity: 30, Redundancy: 1, Ceiling: 9}), pace.real(c.at)
		usual, fast := serving(t, w, c.at, 8, diurnal), servingAt(t, pace, w, c.at, 8, diurnal)
		want, wantHolds := Recommend(w, usual, o, c.at)
		advised := Advise(underHPA(w, 1, 20, 80), usual, o, Device{}, c.at)
		o.MinHistory /= 60
		got, holds := Recommend(w, fast, o, at)
		if len(wantHolds)+len(holds) != 0 || len(got) != len(want) || len(got) == 1 && (got[0].Target.Replicas != want[0].Target.Replicas || got[0].Replicas != want[0].Replicas) {
			t.Errorf("%s with %d: %+v, not %+v; %v", c.at.Format("15:04"), c.live, got, want, holds)
		}
		if a := Advise(underHPA(w, 1, 20, 80), fast, o, Device{}, at); len(a) != 1 || len(advised) != 1 || a[0].Text != advised[0].Text {
			t.Errorf("%s with %d: %+v, not %+v", c.at.Format("15:04"), c.live, a, advised)
		}
	}
}

// TestPaceKnowsWhatComesNow: at a quick pace minutes of the past are hours of the plan, and do not count as now.
func TestPaceKnowsWhatComesNow(t *testing.T) {
	const pace = Pace(10 * time.Second)
	h := NewHistory()
	h.Hurry(pace)
	end := day(12, 0)
	for n := range 30 { // 2 s each
		rate := map[bool]float64{true: 50, false: 6}[n < 24]
		feed(t, h, fleet.Sample{Ref: ref, Pod: "a", Signal: fleet.Requests, At: end.Add(time.Duration(n-29) * 2 * time.Second), Window: 2 * time.Second, Mean: rate, N: 2})
	}
	s, _ := h.series(ref, "", fleet.Requests)
	if got := s.lately(end); got != 6 {
		t.Errorf("%g requests/s", got)
	}
	if s.hour = 0; s.lately(end) <= 6 {
		t.Error("in earnest five minutes count")
	}
}

// TestPaceIsAheadOfARise: hours of ten seconds, samples of two that come twelve late, and a rise on the second
// day: 60 requests/s are three of 25 and one to lose, 6 are one and one. Five hours ahead six of the first 240 windows
// still count as surprises, one in 40, against which a third replica is worth half an hour.
func TestPaceIsAheadOfARise(t *testing.T) {
	const pace, late = Pace(10 * time.Second), 12 * time.Second
	w, o := server(2), foreseeing(Forecast{Capacity: 25, Redundancy: 1, Lead: time.Hour, Ceiling: 4})
	o.MinHistory = 30 * time.Second
	h := NewHistory()
	h.Hurry(pace)
	midnight := time.Unix(noon.Unix()/240*240, 0)
	rise := midnight.Add((24 + 16) * 10 * time.Second)
	end := midnight.Add(14 * 10 * time.Second)
	for now := end; now.Before(rise.Add(5 * time.Second)); now = now.Add(time.Second) {
		for ; !end.After(now.Add(-late)); end = end.Add(2 * time.Second) {
			rate := 6.
			if hour := end.Add(-time.Second).Unix() / 10 % 12; hour >= 4 && hour < 7 {
				rate = 60
			}
			for _, p := range w.Pods {
				feed(t, h, fleet.Sample{Ref: ref, Pod: p.Name, Signal: fleet.Requests, At: end, Window: 2 * time.Second, Mean: rate / 2, Max: rate / 2, N: 2})
			}
		}
		n := w.Replicas
		if recs, _ := Recommend(w, h, o, now); len(recs) == 1 {
			n = recs[0].Target.Replicas
		}
		ahead := rise.Sub(now)
		if ahead <= 10*time.Second && n != 4 || ahead > 20*time.Second && ahead <= 40*time.Second && n != 2 ||
			ahead > 40*time.Second && ahead < time.Minute && n != 2 && n != 3 {
			t.Errorf("%s before the rise: %d replicas", ahead, n)
		}
	}
}
