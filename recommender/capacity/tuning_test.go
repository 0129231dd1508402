package capacity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// TestRelief: a settled server that breaks the SLO, and has no step to take back, is planned for anew and
// given more. Here 4 requests a ms come where 1 was planned for.
func TestRelief(t *testing.T) {
	p := plant{rate: 100, slow: 1}
	s, _ := p.run(Begin(goal(), noon), noon, 5)
	s.Past, s.Refuted, s.Changed = nil, nil, nil // long ago
	if s.Phase != Settled || s.Setting.Replicas != 1 {
		t.Fatalf("%s at %+v", s.Phase, s.Setting)
	}
	p.rate = 800 // 0.9 cores on one pod
	busy, trail := p.run(s, noon.Add(time.Hour), 12)
	if busy.Phase != Settled || busy.Setting.Replicas < 2 || !busy.Past[0].Relief {
		t.Errorf("%s at %+v by %+v", busy.Phase, busy.Setting, trail)
	}
}

// TestDrift: three windows in a row with a clearly different rate or curve are looked at anew.
func TestDrift(t *testing.T) {
	settled := step(nil)
	settled.Question.Service.Curve = straight(0.001, 0.0005)
	settled.Phase, settled.Step = Settled, nil
	settled.Past = []Step{{To: Setting{Batch: 2}}}
	settled.Refuted = []Refuted{{Setting: Setting{Batch: 2}, At: noon}, {Setting: Setting{Batch: 3}, At: noon}}
	for _, tt := range []struct {
		name    string
		n       float64 // requests in 20 s; the plan saw 2,000
		fixed   float64 // of the curve; the plan saw 0.001
		minutes time.Duration
		want    Phase
		refuted int
	}{
		{"the same", 2000, 0.001, 60, Settled, 2},
		{"29 % more", 2580, 0.001, 60, Settled, 2},
		{"31 % more", 2620, 0.001, 60, Observing, 2},
		{"31 % fewer", 1380, 0.001, 60, Observing, 2},
		{"31 % more, but soon after the plan", 2620, 0.001, 2, Settled, 2},
		{"a row takes 1.8 ms for 1.5: 20 % more", 2000, 0.0013, 60, Settled, 2},
		{"a row takes 1.9 ms: 27 % more, so that what was too slow may not be", 2000, 0.0014, 60, Observing, 1},
		{"the same for a day", 2000, 0.001, 24 * 60, Observing, 2},
	} {
		s, at := settled, noon.Add(tt.minutes*time.Minute)
		for i := range 3 {
			e := seen(at.Add(time.Duration(i)*20*time.Second), of(tt.n, 20*ms, 4, start))
			e.Curve = straight(tt.fixed, 0.0005)
			e.Window.Compute = float64(e.Window.Batches) * e.Curve.CPU.At(1)
			next, done := s.judgedBy(e, hold())
			if !done {
				t.Fatal("not judged")
			}
			if s = next; s.Phase != Settled {
				break
			}
		}
		if s.Phase != tt.want || len(s.Refuted) != tt.refuted {
			t.Errorf("%s: %s, refuted %+v, %s; want %s with %d", tt.name, s.Phase, s.Refuted, s.Lies, tt.want, tt.refuted)
		}
	}
}

// TestChangesADay: of six changes a day the seventh waits until the first is a day old.
func TestChangesADay(t *testing.T) {
	s := Begin(goal(), noon)
	for i := range 6 {
		s.Changed = append(s.Changed, noon.Add(time.Duration(i)*time.Hour-20*time.Hour).Unix())
	}
	p := plant{rate: 200, slow: 1}
	next, _ := s.judgedBy(seen(noon, p.window(start)), p.advice())
	if next.Phase != Settled || next.Why != "6 changes were made in 24h0m0s; the next one is made after 2026-11-21 16:00 UTC" {
		t.Errorf("%s, %q", next.Phase, next.Why)
	}
	next, _ = s.judgedBy(seen(noon.Add(4*time.Hour), p.window(start)), p.advice())
	if next.Phase != Changing || len(next.Changed) != 6 {
		t.Errorf("once one is a day old: %s, %v", next.Phase, next.Changed)
	}
}

// TestRefuted: what was taken back, what hardly differs and what is less of what was too slow is not tried
// for a day.
func TestRefuted(t *testing.T) {
	at := func(change func(*Setting)) Setting { s := start; change(&s); return s }
	s := State{Planned: noon, Refuted: []Refuted{
		{at(func(s *Setting) { s.Batch = 8 }), noon.Add(-23 * time.Hour), false},
		{at(func(s *Setting) { s.Batch = 32; s.CPU = 500 }), noon, true},
		{at(func(s *Setting) { s.Batch = 64 }), noon.Add(-24 * time.Hour), true},
	}}
	for _, tt := range []struct {
		to   Setting
		want bool
	}{
		{at(func(s *Setting) { s.Batch = 8 }), true},
		{at(func(s *Setting) { s.Batch = 8; s.CPU = 900 }), true},
		{at(func(s *Setting) { s.Batch = 8; s.CPU = 890 }), false},
		{at(func(s *Setting) { s.Batch = 8; s.Delay = 9 * ms }), false},
		{at(func(s *Setting) { s.Batch = 32; s.CPU = 200; s.Replicas = 2 }), true},
		{at(func(s *Setting) { s.Batch = 32; s.CPU = 600 }), false},
		{at(func(s *Setting) { s.Batch = 64 }), false},
	} {
		if got := s.refutes(tt.to); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.to, got, tt.want)
		}
	}
}

// TestParts: the order of the steps from one setting to another. What grows comes before what shrinks; else it is
// batches, requests, replicas.
func TestParts(t *testing.T) {
	from := Setting{Batch: 1, Replicas: 2, CPU: 500}
	for _, tt := range []struct {
		to   Setting
		want string
	}{
		{Setting{Batch: 8, Replicas: 1, CPU: 200}, "batch 1 -> 8 | cpu 500m -> 200m | replicas 2 -> 1"},
		{Setting{Batch: 8, Replicas: 3, CPU: 900}, "batch 1 -> 8 | cpu 500m -> 900m | replicas 2 -> 3"},
		{Setting{Batch: 1, Replicas: 4, CPU: 200}, "replicas 2 -> 4 | cpu 500m -> 200m"},
		{Setting{Batch: 1, Replicas: 1, CPU: 900}, "cpu 500m -> 900m | replicas 2 -> 1"},
		{from, ""},
	} {
		var got []string
		for _, p := range parts(from, tt.to) {
			got = append(got, from.Changes(p))
		}
		if text := strings.Join(got, " | "); text != tt.want {
			t.Errorf("to %s: %s, want %s", inWords(tt.to), text, tt.want)
		}
	}
}

// TestOnlyBatches: a document that leaves requests and replicas as they are still has its batch size tuned,
// by the cores that are used.
func TestOnlyBatches(t *testing.T) {
	g := goal()
	g.Room = Room{Batches: []int{1, 8, 32}}
	s, trail := plant{rate: 200, slow: 1}.run(Begin(g, noon), noon, 6)
	want := start
	want.Batch = 32
	if s.Phase != Settled || s.Setting != want || len(trail) != 2 {
		t.Errorf("%s at %+v by %+v", s.Phase, s.Setting, trail)
	}
	g.Room = Room{}
	if s := Begin(g, noon); s.Phase != Settled || g.Tunes() {
		t.Errorf("nothing may be chosen: %s", s.Phase)
	}
}

// TestQuota: a step that needs more than there is for a while is not taken, though the plan would fit.
func TestQuota(t *testing.T) {
	e := seen(noon, plant{rate: 100, slow: 1}.window(start))
	e.Quota = fleet.Resources{MilliCPU: 2400}
	few := Setting{Batch: 1, Replicas: 2, CPU: 1000}
	many := Setting{Batch: 1, Replicas: 4, CPU: 200}
	a := plant{slow: 1}.advice()
	a.best = func(q Question) Plan { return Plan{Now: a.try(q, q.Now), Best: a.try(q, many)} }
	s := Begin(goal(), noon)
	s.Setting = few
	next, _ := s.judgedBy(e, a)
	if size := (Setting{Batch: 1, Replicas: 2, CPU: 200}); next.Setting != size && next.Phase == Changing {
		t.Errorf("goes to %+v, which is over the quota", next.Setting)
	}
	if next.Phase == Changing && next.Setting.Replicas == 4 {
		t.Errorf("four pods of a core: %+v", next.Setting)
	}
}

// TestInstances: a server that says how many batches it computes at once is believed.
func TestInstances(t *testing.T) {
	p := plant{rate: 200, slow: 1}
	for _, tt := range []struct {
		limit       int64
		says, after int
	}{{2500, 2, 0}, {2500, 4, 4}, {0, 1, 0}, {500, 1, 0}, {500, 2, 2}, {2500, 0, 0}} {
		s := Begin(goal(), noon)
		s.Setting.Limit = tt.limit
		e := seen(noon.Add(time.Minute), p.window(start))
		e.Instances = tt.says
		next, _ := s.judgedBy(e, hold())
		if next.Setting.Instances != tt.after {
			t.Errorf("a limit of %d and %d instances: %d, want %d", tt.limit, tt.says, next.Setting.Instances, tt.after)
		}
	}
}

// TestNothingKeepsIt: a plan that cannot keep the SLO is not followed, and what is missing is said.
func TestNothingKeepsIt(t *testing.T) {
	a := hold()
	a.best = func(q Question) Plan {
		best, now := Candidate{Setting: Setting{Batch: 8, Replicas: 4, CPU: 100}, Chance: 0.5}, Candidate{Setting: q.Now}
		best.Prediction.Tail.Value, now.Prediction.Tail.Value = 60*ms, 100*ms
		return Plan{Now: now, Best: best, Held: "no setting keeps p99 <= 50 ms; raise slo.latency"}
	}
	s, _ := Begin(goal(), noon).judgedBy(seen(noon.Add(time.Minute), of(2000, 100*ms, 4, start)), a)
	if s.Phase != Settled || s.Setting != start || s.Why != "no setting keeps p99 <= 50 ms; raise slo.latency" {
		t.Errorf("%s at %s, %q", s.Phase, inWords(s.Setting), s.Why)
	}
}

// TestScaled: where an autoscaler says the replicas, the setting follows it and they are not chosen.
func TestScaled(t *testing.T) {
	e := seen(noon, plant{rate: 200, slow: 1}.window(start))
	e.Scaled = true
	s := Begin(goal(), noon).Scaled(3)
	next, _ := s.judgedBy(e, plant{slow: 1}.advice())
	if s.Setting.Replicas != 3 || next.Question.Room.Replicas != [2]int{} || next.Setting.Replicas != 3 || next.Phase != Changing {
		t.Errorf("%s at %s of %+v", next.Phase, inWords(next.Setting), next.Question.Room)
	}
	if open := next.Scaled(2); open.Setting.Replicas != 3 {
		t.Errorf("in the middle of a step: %d replicas", open.Setting.Replicas)
	}
}

// TestSmall: a record of all that may be remembered stays below 20 KB, and comes back as it was.
func TestSmall(t *testing.T) {
	long := strings.Repeat("x", 120)
	s, _ := plant{rate: 123.456, slow: 1}.run(Begin(goal(), noon), noon, 5)
	c := Candidate{Setting: start, Prediction: Prediction{P50: Estimate{1234567, 1234567, 1234567}, P99: Estimate{1234567, 1234567, 1234567}, Tail: Estimate{1234567, 1234567, 1234567}, Cores: 0.123456789, Busy: 0.123456789, MeanBatch: 12.3456789, Memory: 1 << 30, Goodput: 123.456789, Lost: 0.0123456789}, Month: 123456789, Unit: 123456,
		Degraded: Estimate{1234567, 1234567, 1234567}, Slowed: Slowed{1.0905077326652577, 1234567, true}}
	for range 200 {
		s.Plan.Alternatives, s.Plan.Frontier, s.Plan.Why = append(s.Plan.Alternatives, c), append(s.Plan.Frontier, c), append(s.Plan.Why, long)
		s.Past, s.Refuted = append(s.Past, s.Past[0]), append(s.Refuted, Refuted{start, noon, true})
		s.Calibration = s.Calibration.Add(Pair{At: noon, Setting: start, Rate: 123.456789, Predicted: 12345678, Realised: 12345678, Cores: [2]float64{0.123456789, 0.123456789}, Steep: 1.23456789})
		s.Calibration.Pairs = last(s.Calibration.Pairs, keptPairs)
		s.Question.Room.Nodes = append(s.Question.Room.Nodes, fleet.Resources{MilliCPU: 1})
	}
	for i := range 400 {
		s.Calendar = s.Calendar.Note(noon.Add(time.Duration(i)*time.Hour), 123.456789)
	}
	s.Plan, s.Question = s.Plan.brief(), s.Question.brief()
	s.Past, s.Refuted = last(s.Past, keptSteps), last(s.Refuted, keptRefuted)
	text, err := json.Marshal(s)
	if err != nil || len(text) > 20<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	var back State
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

// TestLearnedIsSteep: what a window teaches says how steep its latency was: 11.025 ms where computing takes 1.05 times as long, of
// 10 ms, are twice as steep.
func TestLearnedIsSteep(t *testing.T) {
	o := plant{}.advice()
	o.predict = func(s Service, _ Load, _ Setting, _ fleet.SLO) Prediction {
		tail := 10 * ms
		if s.Path > 1.01*pathUsual {
			tail = 11_025 * time.Microsecond
		}
		return Prediction{Tail: Estimate{Value: tail}, Cores: 0.5}
	}
	e := seen(noon, plant{rate: 100, slow: 1}.window(start))
	e.Curve = dense
	pairs := State{Setting: start, Goal: goal()}.learned(e, o).Calibration.Pairs
	if len(pairs) != 1 || math.Abs(pairs[0].Steep-2) > 1e-6 {
		t.Errorf("%+v", pairs)
	}
}

// TestNeverALoop hands random windows to a tuner whose advice is often wrong: good and bad ones, none, lies,
// spikes, other curves. Whatever comes, it makes no more changes a day than it may, returns from each at
// most once, goes to no setting a second time within a day but by a return, and in the end has a setting
// that kept the SLO when it was last seen, or the first, or says why it has none.
func TestNeverALoop(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		s, at := Begin(goal(), noon), noon
		entered := map[Setting]time.Time{}
		var made []time.Time
		backs, steps := 0, 0
		p := plant{rate: 100, slow: 1}
		for range 400 {
			at = at.Add(time.Duration(10+r.IntN(600)) * time.Second)
			if r.IntN(40) == 0 {
				p = plant{rate: 20 + 600*r.Float64(), slow: 0.5 + 3*r.Float64()}
			}
			before := s
			s = happens(r, s.Rested(at), p, at)
			if s.Step != nil && (before.Step == nil || !s.Step.Begun.Equal(before.Step.Begun)) {
				steps++
				made = append(made, at)
				if last, ok := entered[s.Setting]; ok && at.Sub(last) < day && !s.Step.Relief {
					t.Fatalf("seed %d: at %s back to %s, where it was at %s", seed, at, inWords(s.Setting), last)
				}
			}
			if s.Phase == TakingBack && before.Phase != TakingBack {
				backs++
			}
			entered[s.Setting] = at
			invariants(t, seed, s, at, made)
		}
		if backs > steps {
			t.Fatalf("seed %d: %d steps and %d returns", seed, steps, backs)
		}
		p = plant{rate: 100, slow: 1}
		s, _ = p.run(s, at.Add(48*time.Hour), 60)
		tail := p.predict(s.Setting, p.rate).Tail.Value
		if s.Open() || (tail == 0 || tail > 50*ms) && s.Setting != start && s.Why == "" {
			t.Fatalf("seed %d: ends %s at %s with %s, %q", seed, s.Phase, inWords(s.Setting), tail, s.Why)
		}
	}
}

// happens is one thing that may happen to a server.
func happens(r *rand.Rand, s State, p plant, at time.Time) State {
	e := seen(at, p.window(s.Setting))
	switch r.IntN(12) {
	case 0:
		return s.Unseen("no answer", at)
	case 1:
		return s.GiveUp("it was refused", at)
	case 2:
		e.Window.Answered *= 3
	case 3:
		e.Window = of(5*p.rate*20, 0, 1, s.Setting)
	case 4:
		e.Window = of(7, 10*ms, 1, s.Setting)
		e.Window.Elapsed = 10 * time.Minute
	case 5:
		e.Window = of(p.rate*20, 100*ms, 5, s.Setting)
	case 6, 7, 8:
		s = s.InForce(at)
		e.Window = p.window(s.Setting)
	}
	s, _ = s.judgedBy(e, p.advice())
	return s
}

func invariants(t *testing.T, seed uint64, s State, at time.Time, made []time.Time) {
	t.Helper()
	today := 0
	for _, m := range made {
		if at.Sub(m) < day {
			today++
		}
	}
	room := s.Goal.Room
	fine := s.Setting == start || s.Setting.Replicas >= room.Replicas[0] && s.Setting.Replicas <= room.Replicas[1] && s.Setting.CPU >= room.CPU[0] && s.Setting.CPU <= room.CPU[1]
	if today > 6 || !fine || (s.Step != nil) != (s.Phase == Changing || s.Phase == Comparing) || len(s.Past) > keptSteps || len(s.Refuted) > keptRefuted {
		t.Fatalf("seed %d at %s: %d changes in a day, %+v", seed, at, today, s)
	}
	if at.Unix()%31 != 0 {
		return // reading and writing it takes much of the test's time
	}
	text, err := json.Marshal(s)
	var back State
	if err != nil || json.Unmarshal(text, &back) != nil || fmt.Sprint(back.Phase, back.Setting, back.Steps()) != fmt.Sprint(s.Phase, s.Setting, s.Steps()) {
		t.Fatalf("seed %d: %s came back as %+v", seed, text, back)
	}
}

// TestToward: a pod that has 230m does with one replica, by prediction.
func TestToward(t *testing.T) {
	ask := advice{
		try: func(_ Question, at Setting) Candidate {
			at.CPU = cmp.Or(at.CPU, 230)
			return Candidate{Setting: at, Meets: at.CPU*int64(at.Replicas) >= 230, Chance: 0.99}
		},
		fits: func(q Question, at Setting) bool {
			return q.Room.Quota.MilliCPU == 0 || int64(at.Replicas)*at.CPU <= q.Room.Quota.MilliCPU
		},
	}
	q := Question{Room: Room{CPU: [2]int64{25, 300}}, Price: Price{Core: 22_810_000}}
	from := func(cpu int64) Setting { return Setting{Batch: 16, Delay: 30 * ms, Replicas: 4, CPU: cpu} }
	one := Setting{Batch: 16, Delay: 30 * ms, Replicas: 1, CPU: 230}
	longer := one
	longer.Delay = 40 * ms
	largerOne := one
	largerOne.CPU = 270
	for _, tt := range []struct {
		name  string
		now   Setting
		to    Setting
		quota int64
		want  string
	}{
		{"requests before replicas", from(300), one, 0, "cpu 300m -> 230m"},
		{"then the replicas", from(230), one, 0, "replicas 4 -> 1"},
		{"the one that stays must ask for more first", from(210), one, 0, "cpu 210m -> 230m"},
		{"where there is no room for more it would be too small", from(210), one, 900, ""},
		{"unless it does with what it asks for", from(240), largerOne, 1000, "replicas 4 -> 1"},
		{"another delay that saves nothing is no step", from(300), longer, 0, "cpu 300m -> 230m"},
		{"another batch limit that saves", Setting{Batch: 1, Delay: 30 * ms, Replicas: 1, CPU: 300}, Setting{Batch: 16, Delay: 30 * ms, Replicas: 1, CPU: 100}, 0, "batch 1 -> 16"},
	} {
		q.Room.Quota.MilliCPU = tt.quota
		s := State{Goal: Goal{SLO: fleet.SLO{Latency: 80 * ms}}, Setting: tt.now, Baseline: Measure{Latency: Quantile{At: ms, To: ms}}}
		got, ok := s.toward(Candidate{Setting: tt.to, Meets: true, Chance: 0.99}, q, Plan{Now: Candidate{Meets: true, Chance: 0.99}}, ask)
		words := ""
		if ok {
			words = tt.now.Changes(got)
		}
		if words != tt.want {
			t.Errorf("%s: %q %v, want %q", tt.name, words, ok, tt.want)
		}
	}
}

// TestLooked: what is only looked at is planned for after the first window and every ten trials, and no step of it is
// ever taken.
func TestLooked(t *testing.T) {
	plans, ask := 0, hold()
	ask.best = func(q Question) Plan {
		plans++
		better := q.Now
		better.Replicas = 1
		return Plan{Now: Candidate{Setting: q.Now, Meets: true}, Best: Candidate{Setting: better, Meets: true, Chance: 1}}
	}
	s, done := Begin(goal(), noon).lookedBy(seen(noon, of(100, 20*ms, 4, start)), ask)
	if done || plans != 0 {
		t.Errorf("of 100 requests: %v, %d plans", done, plans)
	}
	for i, want := range []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2} {
		s, done = s.lookedBy(seen(noon.Add(time.Duration(i)*20*time.Second), of(2000, 20*ms, 4, start)), ask)
		if !done || plans != want || s.Phase != Observing || s.Setting != start || s.Step != nil || s.Plan.Best.Setting.Replicas != 1 {
			t.Fatalf("window %d: %v, %d plans, want %d; %s at %+v", i, done, plans, want, s.Phase, s.Setting)
		}
	}
	lie := seen(noon.Add(time.Hour), of(2000, 20*ms, 4, start))
	lie.Window.Answered = 5
	if s, done = s.lookedBy(lie, ask); !done || s.Lies == "" || plans != 2 {
		t.Errorf("a lie: %v %q, %d plans", done, s.Lies, plans)
	}
}
