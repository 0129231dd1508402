package capacity

import (
	"math"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// loadedCurve is a server's whose batches take twice as much under load as in the middle.
func loadedCurve() curve.Curve {
	c := straight(0.001, 0.0005)
	c.Loaded = curve.Loaded{Wall: c.Wall.Times(2), CPU: c.CPU.Times(2)}
	return c
}

// TestFollows: batches follow the means, the server goes by the middles.
func TestFollows(t *testing.T) {
	c := loadedCurve()
	plain := c
	plain.Loaded = curve.Loaded{}
	s := Service{MaxBatch: 7}.Follows(c)
	if s.Curve.CPU.At(4) != 2*c.CPU.At(4) || s.Curve.Loaded != plain.Loaded || s.Published != plain || s.MaxBatch != 7 {
		t.Errorf("%+v", s)
	}
	if s = s.Follows(plain); s.Curve != plain || s.Published != (curve.Curve{}) {
		t.Errorf("of a server that does not tell its means: %+v", s)
	}
	e := honest()
	e.Curve = c
	got := Begin(goal(), noon).service(e)
	if got.Curve.CPU.At(4) != 2*c.CPU.At(4) || got.Published != plain || got.PerWake != wakeUsual {
		t.Errorf("as evidence has it: %+v", got)
	}
	words := strings.Join(got.words(), "\n")
	for _, want := range []string{"a batch takes 1.0 ms + 500 us a row", "on average 3.0 ms with one row, 10 ms with 8 and 34 ms with 32", "50 us more where a timer begins it"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q is not in %s", want, words)
		}
	}
	if got.MaxBatch = 1; strings.Contains(strings.Join(got.words(), "\n"), "with 32") {
		t.Errorf("of a model that takes one row: %q", got.words())
	}
}

// TestMoodyUnderLoad: what batches take under load is told some time after a start; the plan was made without.
func TestMoodyUnderLoad(t *testing.T) {
	e := honest()
	s := Begin(goal(), noon)
	s.Question.Service = s.service(e)
	if s.moody(e) {
		t.Error("nothing has changed")
	}
	e.Curve = loadedCurve()
	if !s.moody(e) {
		t.Error("batches take twice as much as the plan was made for")
	}
	if s.Question.Service = s.service(e); s.moody(e) {
		t.Error("the plan knows it")
	}
}

// TestLiesUnderLoad: the lines through means are looked at as the others are.
func TestLiesUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*curve.Loaded)
		want  string
	}{
		{"true", func(*curve.Loaded) {}, ""},
		{"less than nothing", func(l *curve.Loaded) { l.CPU.Fixed = -1 }, "-1 seconds in it"},
		{"endless", func(l *curve.Loaded) { l.Wall.PerRow = math.Inf(1) }, "+Inf seconds in it"},
		{"no time", func(l *curve.Loaded) { l.Wall = curve.Line{} }, "a row takes no time"},
		{"bends that are none", func(l *curve.Loaded) { l.CPU.Bends[3] = math.NaN() }, "is bent by"},
		{"doublings", func(l *curve.Loaded) { l.CPU = curve.Line{Form: curve.Doubling, Fixed: 1, PerRow: 2} }, "more than twice as long"},
		// 250 batches of 4 rows: 25 ms of each are 6.25 s, of 2 s that the process used.
		{"more than was used", func(l *curve.Loaded) { l.CPU = curve.Line{Fixed: 0.025} }, "by its curve its batches took 6.2 CPU seconds"},
	} {
		e := honest()
		e.Curve = loadedCurve()
		tt.spoil(&e.Curve.Loaded)
		if err := e.Check(200); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestTypicalTells: of three pods in order one tells what batches take under load, the slowest.
func TestTypicalTells(t *testing.T) {
	slow := straight(0.0012, 0.0005)
	slow.Loaded = loadedCurve().Loaded
	pods := []Account{{Curve: straight(0.001, 0.0005)}, {Curve: straight(0.0011, 0.0005)}, {Curve: slow}}
	if c, odd := typical(pods, Window{Rows: 40, Batches: 10}); c != slow || len(odd) > 0 {
		t.Errorf("%+v, odd %v", c, odd)
	}
	pods[2].Curve.Wall.Fixed = 0.003 // far from both, though it tells
	if c, odd := typical(pods, Window{Rows: 40, Batches: 10}); c != pods[1].Curve || len(odd) != 1 || odd[0] != 2 {
		t.Errorf("of an odd one: %+v, odd %v", c, odd)
	}
}

// TestWoken: batches that wait for others are begun by a timer, others are not; what that costs is CPU of each.
func TestWoken(t *testing.T) {
	c := straight(0.001, 0.0001)
	c.Spread = curve.Spread{P10: 0.7, P50: 1, P90: 2, P99: 3} // what a batch takes beside the model does not vary with it
	s := Service{Curve: c, Path: 100e-6, Reach: 200e-6, PerBatch: 30e-6}
	l, slo := Load{Rate: 400, Burst: 1, Rows: 1}, fleet.SLO{}
	at := func(batch int) Setting { return Setting{Batch: batch, Delay: 10 * ms, Replicas: 2, Instances: 1} }
	if p := Predict(s, l, at(1), slo); p.Woken != 0 {
		t.Errorf("%g batches a second of one row are woken", p.Woken)
	}
	p := Predict(s, l, at(64), slo)
	if batches := l.Rate / p.MeanBatch; p.Woken < 0.5*batches || p.Woken > batches {
		t.Errorf("%g of %g batches a second are woken", p.Woken, batches)
	}
	s.PerWake = 500e-6
	if more := Predict(s, l, at(64), slo); math.Abs(more.Cores-p.Cores-p.Woken*500e-6) > 0.02*p.Cores {
		t.Errorf("%g cores, %g where %g batches a second take 500 us more", p.Cores, more.Cores, p.Woken)
	}
}

// TestLearnedWoken: what is remembered of a window has the batches that a timer began, of each pod.
func TestLearnedWoken(t *testing.T) {
	o := plant{}.advice()
	o.predict = func(Service, Load, Setting, fleet.SLO) Prediction { return Prediction{Woken: 6} }
	e, s := honest(), Begin(goal(), noon)
	e.Window.Replicas, s.Setting.Replicas = 2, 3
	if got := s.learned(e, o).Beside; len(got) != 1 || got[0].Woken != 2 {
		t.Errorf("%+v", got)
	}
	e.Window.Batches = 60 // half a second of each: no more can have been woken
	if got := s.learned(e, o).Beside; len(got) != 1 || got[0].Woken != 0.5 {
		t.Errorf("%+v", got)
	}
}

// TestLearnsAnew: what was learnt from predictions by middles is forgotten when means are known, once.
func TestLearnsAnew(t *testing.T) {
	e, s := honest(), Begin(goal(), noon)
	s = s.learned(e, plant{}.advice()).learned(e, plant{}.advice())
	if len(s.Beside) != 2 || len(s.Calibration.Pairs) != 2 || s.UnderLoad {
		t.Fatalf("%d windows, %d pairs, %v", len(s.Beside), len(s.Calibration.Pairs), s.UnderLoad)
	}
	e.Curve = loadedCurve()
	for n := range 3 {
		if s = s.learned(e, plant{}.advice()); len(s.Beside) != n+1 || len(s.Calibration.Pairs) != n+1 || !s.UnderLoad {
			t.Errorf("%d windows, %d pairs, %v", len(s.Beside), len(s.Calibration.Pairs), s.UnderLoad)
		}
	}
}

// TestNone: how many settings say that none was found.
func TestNone(t *testing.T) {
	s := &planSearch{pool: []judged{{Candidate: Candidate{Setting: Setting{Batch: 8}}}, {Candidate: Candidate{Setting: Setting{Batch: 16}}}, {Candidate: Candidate{Setting: Setting{Batch: 16}}}}}
	for batch, want := range map[int]string{
		4: "no setting was predicted", 8: "the one setting that was predicted does not keep the SLO within the bounds",
		16: "none of the 2 settings that were predicted keeps the SLO within the bounds",
	} {
		of := aim{only: func(at Setting) bool { return at.Batch == batch }}
		if got := s.none(of, false); got != want {
			t.Errorf("batch %d: %q, want %q", batch, got, want)
		}
		if got := s.none(of, true); got != "" {
			t.Errorf("one was found: %q", got)
		}
	}
}
