package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// straight is a curve whose CPU is its wall time, in seconds.
func straight(fixed, row float64) curve.Curve {
	l := curve.Line{Fixed: fixed, PerRow: row}
	return curve.Curve{Wall: l, CPU: l, Samples: 100, Largest: 64}
}

// honest is a minute of one pod: 1,000 requests of a row each in 250 batches of 4, which take
// 0.001 + 4 x 0.0005 s each, so 0.75 CPU seconds of 2.
func honest() Evidence {
	w := Window{
		Elapsed: time.Minute, Replicas: 1, Latency: Histogram{bounds, []int64{1000, 0, 0, 0, 0}}, Answered: 1000, Came: 1000, Rows: 1000, Batches: 250,
		Busy: 0.75, Compute: 0.75, CPUSeconds: 2, Memory: 64 << 20,
	}
	return Evidence{At: noon, Window: w, Curve: straight(0.001, 0.0005), Instances: 1, Arrivals: Load{Rate: 20, Burst: 1, Peak: 35, Rows: 1}}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Evidence)
		want  string // empty: it is believed
	}{
		{"honest", func(*Evidence) {}, ""},
		{"no curve, no arrivals", func(e *Evidence) { e.Curve, e.Arrivals = curve.Curve{}, Load{} }, ""},
		{"some on their way", func(e *Evidence) { e.Window.Answered = 940 }, ""},
		{"back", func(e *Evidence) { e.Back = true }, "counts went back although no container began anew"},
		{"latencies of nobody", func(e *Evidence) { e.Window.Answered = 100 }, "1,000 latencies of 100 answered requests"},
		{"answered without latency", func(e *Evidence) { e.Window.Answered = 2000 }, "1,000 latencies of 2,000 answered requests"},
		{"answers out of nothing", func(e *Evidence) { e.Window.Rows = 900 }, "900 rows computed for 1,000 answered requests"},
		{"empty batches", func(e *Evidence) { e.Window.Batches = 1100 }, "1,100 batches of 1,000 rows"},
		{"more time than there was", func(e *Evidence) { e.Window.Busy = 70 }, "batches took 70 s of 60 s that there were"},
		{"which two instances have", func(e *Evidence) { e.Window.Busy, e.Instances = 70, 2 }, ""},
		{"batches use more than the process", func(e *Evidence) { e.Window.Compute = 5 }, "batches took 5.0 CPU seconds, the whole process 2.0"},
		{"doublings of more than there is", func(e *Evidence) { e.Curve.CPU.Form, e.Curve.CPU.PerRow = curve.Doubling, 0.0011 }, "its curve has batches of two that take more than twice as long as one row"},
		{"a curve that is far too dear", func(e *Evidence) { e.Curve = straight(0.02, 0.0005) }, "by its curve its batches took 5.5 CPU seconds, by its counters 0.8 of 2.0"},
		{"a curve that is far too cheap", func(e *Evidence) { e.Curve = straight(0.0001, 0); e.Window.Compute = 1.5 }, "by its curve its batches took 0.0 CPU seconds"},
		{"a curve of NaN", func(e *Evidence) { e.Curve.CPU.Fixed = math.NaN() }, "its curve has NaN seconds in it"},
		{"a curve below zero", func(e *Evidence) { e.Curve.Wall.PerRow = -1 }, "its curve has -1 seconds in it"},
		{"rows that take no time", func(e *Evidence) { e.Curve.Wall = curve.Line{} }, "its curve says that a row takes no time"},
		{"an error of NaN", func(e *Evidence) { e.Curve.Error = math.NaN() }, "its curve has an error of NaN"},
		{"arrivals that nobody counted", func(e *Evidence) { e.Arrivals.Rate = 40 }, "2400 requests came in the last minute by its gauge, 1000 in 60 s by its counters"},
		{"of which most were the clients' fault", func(e *Evidence) { e.Arrivals.Rate, e.Window.Came = 40, 2400 }, ""},
		{"too few to tell", func(e *Evidence) { e.Window.Latency.Counts[0], e.Window.Answered = 100, 3 }, ""},
	} {
		e := honest()
		tt.spoil(&e)
		err := e.Check(200)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestCounted: a gauge is believed as far as what was counted bears it out, also in windows that are too short or too empty to
// call it a lie. By hand: half as many more as came, and 200 in a minute.
func TestCounted(t *testing.T) {
	for _, tt := range []struct {
		elapsed time.Duration
		came    int64
		said    float64
		want    float64
	}{
		{time.Minute, 1000, 20, 20},
		{time.Minute, 1000, 40, 1700.0 / 60},
		{2 * time.Minute, 1000, 40, 1700.0 / 60},
		{20 * time.Second, 100, 40, 650.0 / 60}, // as if 300 had come in the minute
		{20 * time.Second, 0, 40, 200.0 / 60},
		{0, 0, 40, 200.0 / 60},
	} {
		e := honest()
		e.Window.Elapsed, e.Window.Came, e.Window.Latency.Counts = tt.elapsed, tt.came, []int64{tt.came, 0, 0, 0, 0}
		e.Arrivals.Rate, e.Arrivals.Peak = tt.said, 2*tt.said
		if got := e.counted().Arrivals; math.Abs(got.Rate-tt.want) > 1e-9 || math.Abs(got.Peak-2*tt.want) > 1e-9 {
			t.Errorf("%d in %s, said %g: %g and %g, want %g", tt.came, tt.elapsed, tt.said, got.Rate, got.Peak, tt.want)
		}
		s := Begin(goal(), noon)
		if got := s.Noted(e).Calendar.Now; e.Check(200) == nil && math.Abs(got-rounded(tt.want)) > 1e-9 {
			t.Errorf("%d in %s, said %g: %g is remembered", tt.came, tt.elapsed, tt.said, got)
		}
	}
	e := honest()
	e.Window = of(300, 5*ms, 4, start)
	e.Arrivals.Rate = 5000
	if next, _ := Begin(goal(), noon).Judged(e); next.Question.Load.Rate > 30 {
		t.Errorf("15 a second come, and %g are planned for", next.Question.Load.Rate)
	}
}

// TestMemory: a pod holds what it was ever seen to hold in the windows that are remembered.
func TestMemory(t *testing.T) {
	var s State
	for _, mib := range []int64{64, 96, 70} {
		e := honest()
		e.Window.Replicas, e.Window.Memory = 2, 2*mib<<20
		b, ok := e.beside()
		if !ok {
			t.Fatal("not counted")
		}
		s.Beside = noted(s.Beside, b)
	}
	if got := s.service(honest()).Memory; got != 96<<20 {
		t.Errorf("%d MiB, want 96", got>>20)
	}
}

// TestLies: nothing is concluded from numbers that do not agree, and a step is taken back.
func TestLies(t *testing.T) {
	e := honest()
	e.Window.Rows = 0
	for _, phase := range []Phase{Observing, Settled, Resting} {
		s := Begin(goal(), noon)
		s.Phase, s.Rest = phase, noon.Add(time.Hour)
		next, done := s.judgedBy(e, hold())
		says := next.Steps()
		if !done || next.Phase != phase || !strings.HasSuffix(says[len(says)-1], "its numbers do not agree: 0 rows computed for 1,000 answered requests; nothing is changed") {
			t.Errorf("%s: %v, %s, %q", phase, done, next.Phase, says)
		}
		again := e
		again.Window.Answered = 0
		if more, _ := next.judgedBy(again, hold()); more.Lies != next.Lies {
			t.Errorf("other numbers in each pass: %q", more.Lies)
		}
		if well, _ := next.judgedBy(honest(), hold()); well.Lies != "" {
			t.Errorf("%s: it is held against it for ever: %q", phase, well.Lies)
		}
	}
	if next, _ := step(nil).judgedBy(e, hold()); next.Phase != TakingBack || next.Setting != start || !strings.HasPrefix(next.Why, "its numbers do not agree") {
		t.Errorf("a step: %s, %q", next.Phase, next.Why)
	}
}

// TestEvidence by hand: 2 - 0.75 CPU seconds of 1,000 requests and 250 batches are beside the model, of a minute; 1,000 in a
// minute are 16.67 a second, in 4.17 batches, of which the busiest second would have 35 x 16.67 / 20 = 29.17.
func TestEvidence(t *testing.T) {
	e := honest()
	if b, ok := e.beside(); !ok || math.Abs(b.Cores-1.25/60) > 1e-12 || math.Abs(b.Batches-4.167) > 0.001 || math.Abs(b.Rate-16.667) > 0.001 {
		t.Errorf("beside the model %+v %v", b, ok)
	}
	if s := Begin(goal(), noon).service(e); math.Abs(s.Path-pathUsual)+math.Abs(s.PerBatch-PerBatch)+math.Abs(s.Idle-idleUsual) > 1e-9 || s.Memory != 64<<20 || s.Curve != e.Curve {
		t.Errorf("service %+v", s)
	}
	if l := e.load(); math.Abs(l.Rate-16.667) > 0.001 || math.Abs(l.Peak-29.167) > 0.001 || l.Burst != 1 || l.Rows != 1 {
		t.Errorf("load %+v", l)
	}
	// The busiest minute: the gauge's; or the calendar's 60, with three times the peak.
	if l := e.busiest(Calendar{}); l.Rate != 20 || math.Abs(l.Peak-35) > 1e-9 {
		t.Errorf("busiest %+v", l)
	}
	c := Calendar{}.Note(noon.Add(-time.Minute), 60)
	if l := e.busiest(c); l.Rate != 60 || math.Abs(l.Peak-105) > 1e-9 {
		t.Errorf("busiest by the calendar %+v", l)
	}
	e.Arrivals = Load{}
	e.Window.Rows = 2500
	if l := e.load(); l.Burst != 1 || l.Rows != 2.5 || l.Peak != 0 {
		t.Errorf("of a server that does not say: %+v", l)
	}
}

// TestCalendar: 2026-11-23 is a Monday. Its peak at 9 is 100, then 40, then 60.
func TestCalendar(t *testing.T) {
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	var c Calendar
	for i, tt := range []struct{ noted, recorded float64 }{{100, 100}, {40, 50}, {60, 60}} {
		at := monday.AddDate(0, 0, 7*i)
		c = c.Note(at.Add(10*time.Minute), tt.noted/2)
		c = c.Note(at.Add(20*time.Minute), tt.noted)
		c = c.Note(at.Add(30*time.Minute), tt.noted/3)
		if got := c.Coming(at.Add(40 * time.Minute)); got < tt.noted {
			t.Errorf("week %d: %v in the same hour", i, got)
		}
		c = c.Note(at.Add(time.Hour), 1)
		if c.Hours[9] != tt.recorded {
			t.Errorf("week %d: %v recorded, want %v", i, c.Hours[9], tt.recorded)
		}
	}
	last := monday.AddDate(0, 0, 14)
	for _, tt := range []struct {
		hours int
		want  float64
	}{
		{1, 60},        // tomorrow at 9, as today
		{27, 0},        // nothing is known of Wednesdays and Tuesdays
		{6*24 - 1, 0},  // up to Monday at 7
		{6*24 + 1, 60}, // up to Monday at 9
		{7 * 24, 60}, {7*24 + 1, 60}, {7*24 + 27, 0},
	} {
		if got := c.Coming(last.Add(time.Duration(tt.hours) * time.Hour)); got != tt.want {
			t.Errorf("%d hours later: %v comes, want %v", tt.hours, got, tt.want)
		}
	}
	if got := c.Note(last, 1000); got.Now == 1000 {
		t.Error("a moment that has gone was noted")
	}
	if got := c.Note(last.Add(2*time.Hour), math.NaN()).Now; got != 1 {
		t.Errorf("NaN was noted: %v", got)
	}
}

// TestCalendarMean: 10 for 30 minutes and 40 for 10 are 17.5 in the mean; a gap of hours counts nothing.
func TestCalendarMean(t *testing.T) {
	c := Calendar{}.Note(noon, 99)
	c = c.Note(noon.Add(30*time.Minute), 10).Note(noon.Add(40*time.Minute), 40)
	if math.Abs(c.Mean-17.5) > 1e-9 {
		t.Errorf("mean %v", c.Mean)
	}
	if later := c.Note(noon.Add(9*time.Hour), 1000); later.Mean != c.Mean {
		t.Errorf("mean %v after a gap", later.Mean)
	}
}

// TestWildNumbers: what no server can mean is said or bounded, and nothing fails on it.
func TestWildNumbers(t *testing.T) {
	wild := honest()
	wild.Curve.Spread = curve.Spread{P10: 1.7e308, P50: 1.7e308, P90: 1.7e308, P99: 1.7e308}
	if err := wild.Check(200); err == nil {
		t.Error("that spread is believed")
	}
	for _, l := range []Load{{Rate: 100, Burst: 1e5}, {Rate: 100, Burst: 9e15}, {Rate: 1e-9, Burst: 30}, {Rate: 9e15, Burst: 1}} {
		for _, spread := range []curve.Spread{{}, wild.Curve.Spread, {P10: 5, P50: 1, P90: 1, P99: 1e307}} {
			s := Service{Curve: straight(0.001, 0.0005)}
			s.Curve.Spread = spread
			for _, batch := range []int{1, 8} {
				p := Predict(s, l, Setting{Batch: batch, Delay: ms, Replicas: 2, CPU: 100}, fleet.SLO{Latency: 50 * ms})
				if !(p.Cores >= 0 && p.Cores < math.Inf(1) && p.Lost >= 0 && p.Lost <= 1 && p.Goodput >= 0) || p.P99.Value < 0 {
					t.Errorf("%+v, %+v, batch %d: %+v", l, spread, batch, p)
				}
			}
		}
	}
}

// TestShortReasons: words of a thousand pods do not fill the state.
func TestShortReasons(t *testing.T) {
	s := step(nil).GiveUp(strings.Repeat("pod a-b-c did not take it up; ", 1000), noon)
	if n := len(s.Why); n > 510 || !strings.HasSuffix(s.Why, "...") {
		t.Errorf("%d bytes: %.40q", n, s.Why)
	}
}
