package capacity

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

var bounds = []time.Duration{10 * ms, 20 * ms, 50 * ms, 100 * ms}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// start is what the document of the tests begins with: $105.12 a month for the cores of four pods.
var start = Setting{Batch: 1, Delay: 2 * ms, Replicas: 4, CPU: 1000, Memory: 0}

func goal() Goal {
	return Goal{
		Of: "v1", Start: start, SLO: fleet.SLO{Latency: 50 * ms, Percentile: 0.99}, Trial: 20 * time.Second, Changes: 6,
		Room: Room{Batches: []int{1, 8, 32}, Replicas: [2]int{1, 4}, CPU: [2]int64{50, 1000}},
	}
}

// plant is a server as it is in these tests: what it does at a setting, in closed form. A request takes
// 1 ms of CPU and 4 ms shared by its batch; an answer takes 2 ms, the delay and 12 ms over what is idle of a pod.
type plant struct{ rate, slow float64 }

func (p plant) cpu(at Setting) float64 { return 1 + 4/float64(at.Batch) } // ms of a request

func (p plant) predict(at Setting, rate float64) Prediction {
	cores := rate * p.cpu(at) / 1000
	busy := cores / float64(at.Replicas)
	if busy >= 1 {
		return Prediction{Full: true, Cores: cores, Lost: 1}
	}
	tail := time.Duration((2+12/(1-busy))*p.slow*float64(ms)) + at.Delay
	out := Prediction{Tail: Estimate{tail, tail, tail}, Cores: cores, Busy: busy}
	if tail > 50*ms {
		out.Lost = 0.02
	}
	return out
}

// advice is of somebody who knows the plant exactly, but for slow.
func (p plant) advice() advice {
	exact := plant{slow: 1}
	try := func(q Question, at Setting) Candidate {
		c := Candidate{Setting: at, Prediction: exact.predict(at, q.Load.Rate)}
		c.Month = q.Price.Core.Times(int64(at.Replicas)*at.CPU, 1000)
		if !c.Prediction.Full && c.Prediction.Tail.Value <= q.SLO.Latency {
			c.Chance = 1
		}
		needs := c.Prediction.Cores / float64(at.Replicas) * 1000
		c.Meets = c.Chance == 1 && float64(at.CPU) >= needs
		return c
	}
	return advice{
		best: func(q Question) Plan {
			out := Plan{Now: try(q, q.Now)}
			out.Best = out.Now
			for _, b := range q.Room.Batches {
				least, most := q.Room.Replicas[0], q.Room.Replicas[1]
				if most == 0 {
					least, most = q.Now.Replicas, q.Now.Replicas
				}
				for n := least; n <= most; n++ {
					at := q.Now
					at.Batch, at.Replicas = b, n
					if q.Room.CPU[1] > 0 {
						needs := exact.predict(at, q.Load.Rate).Cores / float64(at.Replicas) * 1200
						at.CPU = min(max(int64(math.Ceil(needs/10)*10), q.Room.CPU[0]), q.Room.CPU[1])
					}
					c := try(q, at)
					if c.Meets {
						out.Alternatives = append(out.Alternatives, c)
					}
					if c.Meets && (c.Month < out.Best.Month || !out.Best.Meets) {
						out.Best = c
					}
				}
			}
			return out
		},
		try:     try,
		predict: func(_ Service, l Load, at Setting, _ fleet.SLO) Prediction { return exact.predict(at, l.Rate) },
		fits: func(q Question, at Setting) bool {
			return q.Room.Quota.MilliCPU == 0 || int64(at.Replicas)*at.CPU <= q.Room.Quota.MilliCPU
		},
	}
}

// window is what a window of 20 s shows of the plant at a setting.
func (p plant) window(at Setting) Window {
	return of(p.rate*20, p.predict(at, p.rate).Tail.Value, p.cpu(at), at)
}

// of is a window of 20 s with n requests that took a latency, of above all bounds at 0, and so many ms of CPU.
func of(n float64, latency time.Duration, cpu float64, at Setting) Window {
	count := int64(n)
	w := Window{Elapsed: 20 * time.Second, Replicas: at.Replicas, Latency: Histogram{bounds, make([]int64, len(bounds)+1)}}
	w.CPUSeconds = float64(count) * cpu / 1000
	w.Compute, w.Busy = w.CPUSeconds/2, w.CPUSeconds/2
	w.Answered, w.Came, w.Rows, w.Batches = count, count, count, count/int64(max(at.Batch, 1))
	i := 0
	for i < len(bounds) && (latency == 0 || latency > bounds[i]) {
		i++
	}
	w.Latency.Counts[i] = count
	return w
}

func seen(at time.Time, w Window) Evidence {
	return Evidence{At: at, Window: w, Instances: 1, Price: round}
}

// run lets the tuner go on with a plant: acknowledges what is to be in force and hands in windows, so many
// times, and gives every setting that was in force.
func (p plant) run(s State, at time.Time, times int) (State, []Setting) {
	trail := []Setting{s.Setting}
	for range times {
		at = at.Add(20 * time.Second)
		s = s.Rested(at).InForce(at)
		s, _ = s.judgedBy(seen(at, p.window(s.Setting)), p.advice())
		if trail[len(trail)-1] != s.Setting {
			trail = append(trail, s.Setting)
		}
	}
	return s, trail
}

// TestWalk by hand, at 200 requests a second. Batch 32 takes 1.125 ms of CPU a request: 0.225 cores, which
// one pod with a request of 270m answers, 1.2 times of it. The batch comes first, as it is taken up while
// serving; then the request, from 1000m down to 270m; then the replicas. On four pods of 0.056 cores each latency is
// 2 + 12/0.944 ms and the delay of 2 ms; on one 2 + 12/0.775 + 2 = 19.5 ms.
func TestWalk(t *testing.T) {
	s, trail := plant{rate: 200, slow: 1}.run(Begin(goal(), noon), noon, 5)
	hot := start
	hot.Batch = 32
	small := hot
	small.CPU = 270
	both := small
	both.Replicas = 1
	if want := []Setting{start, hot, small, both}; !reflect.DeepEqual(trail, want) || s.Phase != Settled || len(s.Past) != 3 {
		t.Fatalf("went %+v and is %s after %d steps; want %+v, settled after 3", trail, s.Phase, len(s.Past), want)
	}
	// $105.12 for 200 a second, all within the SLO: 525.6 million in a month. $0.0002 per 1,000; with 270m $0.000054,
	// and on one pod $0.0000135.
	says := []string{
		"batch 1 -> 32: p99 20 ms -> 20 ms, CPU a request 5.0 ms -> 1.1 ms, $0.0002 -> predicted $0.0002, realised $0.0002 per 1,000 requests within the SLO (predicted at 200 a second, realised at 200): kept",
		"cpu 1 -> 270m: p99 20 ms -> 20 ms, CPU a request 1.1 ms -> 1.1 ms, $0.0002 -> predicted $0.000054, realised $0.000054 per 1,000 requests within the SLO (predicted at 200 a second, realised at 200): kept",
		"replicas 4 -> 1: p99 20 ms -> 20 ms, CPU a request 1.1 ms -> 1.1 ms, $0.000054 -> predicted $0.0000135, realised $0.0000135 per 1,000 requests within the SLO (predicted at 200 a second, realised at 200): kept",
		"batch 32, delay 2ms, 1 replica of 270m and 0: p99 20 ms (between 10 ms and 20 ms), 1.1 ms of CPU a request (4,000 requests in 20 s); nothing that keeps the SLO of 50 ms at p99 is cheaper by 5 %",
	}
	for i, got := range s.Trail() {
		if i >= len(says) || got != says[i] {
			t.Errorf("says %q", got)
		}
	}
}

// TestShort: rows of a report tell the last step only.
func TestShort(t *testing.T) {
	s, _ := plant{rate: 200, slow: 1}.run(Begin(goal(), noon), noon, 5)
	if short, long := s.Steps(), s.Trail(); len(short) != 2 || len(long) != 4 || short[0] != long[2] || short[1] != long[3] {
		t.Errorf("%q of %q", short, long)
	}
}

// step is a state in which a step is compared: cheaper, or with its change.
func step(change func(from, to *Setting)) State {
	s := Begin(goal(), noon)
	from, to := start, start
	to.CPU = 500
	if change != nil {
		from, to = start, start
		change(&from, &to)
	}
	s.Phase, s.Setting, s.Anchor = Comparing, to, &Anchor{from, true}
	s.Question = Question{Price: round, Load: Load{Rate: 100}}
	before := seen(noon, of(2000, 20*ms, 4, from)).measure(s.Goal)
	s.Step, s.Baseline, s.Planned = &Step{From: from, To: to, Begun: noon, Before: before}, before, noon
	return s
}

// hold is advice that nothing is better.
func hold() advice {
	a := plant{}.advice()
	a.best = func(q Question) Plan {
		now := Candidate{Setting: q.Now, Meets: true}
		return Plan{Now: now, Best: now}
	}
	return a
}

// TestJudge: whether a step is kept. Before it, at 100 requests a second, p99 was 20 ms and a request took 4 ms.
func TestJudge(t *testing.T) {
	hot := func(_, to *Setting) { to.Batch = 8 }
	grow := func(_, to *Setting) { to.Replicas, to.CPU = 5, 1000 }
	relief := func(s State) State {
		s.Step.Relief = true
		s.Step.Before.Latency = Quantile{80 * ms, 50 * ms, 100 * ms}
		return s
	}
	same := func(s State) State { return s }
	tests := []struct {
		name   string
		change func(from, to *Setting)
		with   func(State) State
		w      Window
		why    string // empty: kept
	}{
		{"cheaper and quick", nil, same, of(2000, 20*ms, 4, start), ""},
		{"cheaper and too slow", nil, same, of(2000, 100*ms, 4, start), "p99 100 ms, over the SLO of 50 ms at p99"},
		{"as many requests, less CPU each", hot, same, of(2000, 20*ms, 3, start), ""},
		{"15 % more CPU is the same", hot, same, of(2000, 20*ms, 4.59, start), ""},
		{"16 % more is not", hot, same, of(2000, 20*ms, 4.64, start), "a request takes 4.6 ms of CPU, 4.0 ms before"},
		{"it asks for more, as was planned", grow, same, of(2000, 20*ms, 4, start), ""},
		{"relief that helps", grow, relief, of(2000, 20*ms, 9, start), ""},
		{"relief by settings that take more CPU", hot, relief, of(2000, 20*ms, 9, start), ""},
		{"relief that helps a little", grow, relief, of(2000, 51*ms, 9, start), "p99 100 ms, over"},
		{"relief that makes it worse", grow, relief, of(2000, 0, 9, start), "p99 above 100 ms, over"},
	}
	for _, tt := range tests {
		s := tt.with(step(tt.change))
		next, done := s.judgedBy(seen(noon.Add(time.Minute), tt.w), hold())
		kept := next.Phase == Settled && next.Setting == s.Setting && len(next.Past) == 1 && next.Past[0].Kept
		back := next.Phase == TakingBack && next.Setting == s.Step.From && strings.HasPrefix(next.Why, tt.why) && !next.Past[0].Kept
		if !done || tt.why == "" && !kept || tt.why != "" && !back {
			t.Errorf("%s: %v %s, at %+v, %q; want %q", tt.name, done, next.Phase, next.Setting, next.Why, tt.why)
		}
	}
}

// TestFewerInTime: half of the money for each of which half as many are in time is no saving.
func TestFewerInTime(t *testing.T) {
	s := step(nil)
	s.Goal.SLO.Percentile = 0.3 // so that the SLO is kept all the same
	w := of(2000, 20*ms, 4, start)
	w.Latency.Counts = []int64{0, 900, 0, 0, 1100} // 45 % are; $52.56 / 0.45 is more than $105.12 by 11 %
	next, _ := s.judgedBy(seen(noon.Add(time.Minute), w), hold())
	if next.Phase != TakingBack || next.Why != "45.0 % of the requests are within the SLO, 100.0 % before: they cost more" {
		t.Errorf("%s, %q", next.Phase, next.Why)
	}
}

// TestFullerBatches: at half the rate a batch is emptier, so that a request takes more CPU whatever the
// setting: by the model 5 ms at 50 a second against 4 at 100, so that 5.7 ms after it
// are no more but for 15 %.
func TestFullerBatches(t *testing.T) {
	a := hold()
	a.predict = func(_ Service, l Load, _ Setting, _ fleet.SLO) Prediction {
		return Prediction{Cores: l.Rate * (6 - l.Rate/50) / 1000}
	}
	s := step(func(_, to *Setting) { to.Batch = 8 })
	for cpu, want := range map[float64]Phase{5.7: Settled, 5.8: TakingBack} {
		if next, _ := s.judgedBy(seen(noon.Add(time.Minute), of(1000, 20*ms, cpu, start)), a); next.Phase != want {
			t.Errorf("%v ms: %s, %q; want %s", cpu, next.Phase, next.Why, want)
		}
	}
}

// TestNotJudgedTooEarly: neither time nor requests alone are enough, but a step that is surely twice over
// the SLO is not kept in force for longer.
func TestNotJudgedTooEarly(t *testing.T) {
	short := func(w Window) Window { w.Elapsed = 19 * time.Second; return w }
	begun := Begin(goal(), noon)
	p999 := begun
	p999.Goal.SLO.Percentile = 0.999
	tests := []struct {
		name string
		s    State
		w    Window
		done bool
	}{
		{"200 in 20 s", begun, of(200, 10*ms, 1, start), true},
		{"199 in 20 s", begun, of(199, 10*ms, 1, start), false},
		{"many in 19 s", begun, short(of(1900, 10*ms, 1, start)), false},
		{"p99.9 of 1,999", p999, of(1999, 10*ms, 1, start), false},
		{"p99.9 of 2,000", p999, of(2000, 10*ms, 1, start), true},
		{"what was there before is measured to the end, however bad", begun, short(of(400, 0, 1, start)), false},
		{"a step is not: above 100 ms, twice the SLO", step(nil), short(of(200, 0, 1, start)), true},
		{"unless by too few", step(nil), short(of(199, 0, 1, start)), false},
		{"or it may be within twice", step(nil), short(of(400, 100*ms, 1, start)), false},
	}
	for _, tt := range tests {
		next, done := tt.s.judgedBy(seen(noon.Add(20*time.Second), tt.w), hold())
		if done != tt.done || !done && !reflect.DeepEqual(next, tt.s) {
			t.Errorf("%s: judged %v, want %v; %+v", tt.name, done, tt.done, next)
		}
	}
}

// TestTooLittleToGoOn: windows of a trial of 20 s are given up after 100 s.
func TestTooLittleToGoOn(t *testing.T) {
	few := func(elapsed time.Duration) Window {
		w := of(12, 10*ms, 1, start)
		w.Elapsed = elapsed
		return w
	}
	s, done := Begin(goal(), noon).judgedBy(seen(noon.Add(100*time.Second), few(100*time.Second)), hold())
	if !done || s.Phase != Observing || s.Why != "12 requests in 100 s; 200 are needed to judge a setting: nothing is tried" {
		t.Errorf("observing: %v %s %q", done, s.Phase, s.Why)
	}
	if _, done := Begin(goal(), noon).judgedBy(seen(noon.Add(99*time.Second), few(99*time.Second)), hold()); done {
		t.Error("a window was given up too early")
	}
	s = step(nil)
	s.Since = noon
	if next, done := s.judgedBy(seen(noon.Add(99*time.Second), few(50*time.Second)), hold()); done || next.Phase != Comparing {
		t.Errorf("a step was given up too early: %s", next.Phase)
	}
	if next, done := s.judgedBy(seen(noon.Add(100*time.Second), few(50*time.Second)), hold()); !done || next.Phase != TakingBack || next.Setting != start {
		t.Errorf("a step that nothing can be said of: %s at %+v", next.Phase, next.Setting)
	}
	if next := s.Unseen("read pod a: refused", noon.Add(99*time.Second)); next.Phase != Comparing {
		t.Errorf("given up too early: %s", next.Phase)
	}
	next := s.Unseen("read pod a: refused", noon.Add(100*time.Second))
	if next.Phase != TakingBack || next.Why != "nothing was seen of it for 100 s: read pod a: refused" {
		t.Errorf("a step that nothing is seen of: %s, %q", next.Phase, next.Why)
	}
	if watched := Begin(goal(), noon).Unseen("x", noon.Add(time.Hour)); watched.Phase != Observing {
		t.Errorf("without a step: %s", watched.Phase)
	}
}

// TestSpike: a window of a step with more than twice the rate of 100 that was planned for is void; the
// fourth one ends the step.
func TestSpike(t *testing.T) {
	s := step(nil)
	for i := range 4 {
		at := noon.Add(time.Duration(i+1) * 30 * time.Second)
		next, done := s.judgedBy(seen(at, of(4100, 0, 4, start)), hold())
		if want := []Phase{Comparing, Comparing, Comparing, TakingBack}[i]; !done || next.Phase != want || want == Comparing && !next.Since.Equal(at) {
			t.Errorf("window %d: %v, %s since %s", i, done, next.Phase, next.Since)
		}
		s = next
	}
	if s.Why != "more than 2 times the traffic that was planned for came in 4 windows" {
		t.Errorf("says %q", s.Why)
	}
	minute := seen(noon.Add(time.Minute), of(2000, 100*ms, 4, start))
	minute.Arrivals.Rate = 201
	if next, _ := step(nil).judgedBy(minute, hold()); next.Phase != Comparing || next.Voids != 1 {
		t.Errorf("by the server's gauge: %s", next.Phase)
	}
}

// TestAnchor: a step that asks for more was to lead to one that asks for less. When that one fails, both are
// taken back.
func TestAnchor(t *testing.T) {
	from := start
	from.Replicas, from.CPU = 2, 1000
	more := from
	more.Replicas = 4
	less := more
	less.CPU = 400
	s := step(func(f, to *Setting) { *f, *to = more, less })
	s.Anchor.Setting = from
	next, _ := s.judgedBy(seen(noon.Add(time.Minute), of(2000, 100*ms, 4, start)), hold())
	if next.Setting != from {
		t.Errorf("goes back to %+v, want the two pods", next.Setting)
	}
	s.Anchor.Met = false
	if next, _ := s.judgedBy(seen(noon.Add(time.Minute), of(2000, 100*ms, 4, start)), hold()); next.Setting != more {
		t.Errorf("goes back to %+v, which broke the SLO", next.Setting)
	}
}

// TestRests: ten trials of 20 s after the first return of a day, then twenty, forty, up to 320.
func TestRests(t *testing.T) {
	s, at := step(nil), noon
	for i, want := range []time.Duration{200, 400, 800, 1600, 3200, 6400, 6400} {
		s.Phase, s.Step = Comparing, step(nil).Step
		at = at.Add(time.Minute)
		s = s.GiveUp("it was refused", at)
		if s.Phase != TakingBack || s.Setting != start {
			t.Fatalf("return %d: %s at %+v", i, s.Phase, s.Setting)
		}
		s = s.InForce(at)
		if s.Phase != Resting || !s.Rest.Equal(at.Add(want*time.Second)) {
			t.Errorf("return %d: %s until %s, want %d s after %s", i, s.Phase, s.Rest, want, at)
		}
	}
	steps := s.Steps()
	if got, want := steps[len(steps)-1], "back to "+inWords(start)+": it was refused; nothing is tried before 2026-11-21 13:53 UTC"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	if r := s.Rested(s.Rest.Add(-1)); r.Phase != Resting {
		t.Error("it does not rest to the end")
	}
	if r := s.Rested(s.Rest); r.Phase != Observing || r.Why != "" {
		t.Errorf("after the rest: %s, %q", r.Phase, r.Why)
	}
	stuck := s
	stuck.Phase = TakingBack
	if r := stuck.GiveUp("pod a did not take it up", at); r.Phase != Resting || !strings.HasSuffix(r.Why, "; pod a did not take it up") {
		t.Errorf("what cannot be taken back: %s, %q", r.Phase, r.Why)
	}
}

// TestWatch: of a settled setting, windows keep (k) or break (b) the SLO.
func TestWatch(t *testing.T) {
	settled := step(nil)
	settled, _ = settled.judgedBy(seen(noon.Add(time.Minute), of(2000, 20*ms, 4, start)), hold())
	if settled.Phase != Settled {
		t.Fatal(settled.Phase)
	}
	old, relief, first := settled, settled, Begin(goal(), noon)
	old.Past = []Step{settled.Past[0]}
	old.Past[0].Begun = noon.Add(-24 * time.Hour)
	relief.Past = []Step{settled.Past[0]}
	relief.Past[0].Relief = true
	first.Phase = Settled
	tests := []struct {
		name    string
		s       State
		windows string
		phase   Phase
		over    int
	}{
		{"kept", settled, "kkk", Settled, 0},
		{"broken twice", settled, "kbb", Settled, 2},
		{"broken twice, kept, twice", settled, "bbkbb", Settled, 2},
		{"three in a row", settled, "kbbb", TakingBack, 0},
		{"the step is older than a day", old, "bbbb", Settled, 3},
		{"the step was made against this", relief, "bbbb", Settled, 3},
		{"there was no step", first, "bbbb", Settled, 3},
	}
	for _, tt := range tests {
		s, at := tt.s, noon.Add(time.Minute)
		for _, w := range tt.windows {
			latency := 20 * ms
			if w == 'b' {
				latency = 100 * ms
			}
			at = at.Add(20 * time.Second)
			s, _ = s.judgedBy(seen(at, of(2000, latency, 4, start)), hold())
		}
		if s.Phase != tt.phase || s.Over != tt.over {
			t.Errorf("%s: %s after %d, want %s after %d", tt.name, s.Phase, s.Over, tt.phase, tt.over)
		}
		if s.Phase == TakingBack && (s.Setting != start || len(s.Past) != 1 || s.Past[0].Kept) {
			t.Errorf("%s: back to %+v, %+v", tt.name, s.Setting, s.Past)
		}
	}
}
