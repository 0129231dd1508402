package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

// madeUp is a grid with made-up use: 0.3 of the limit and 0.3 of it for batches of one, less for larger ones; settings
// with a delay of 12 ms break the promise.
func madeUp(s scenario) []outcome {
	var all []outcome
	for _, p := range grid() {
		o := outcome{scenario: s, place: p, P99: 5e-3, Used: p.Cores * (0.3 + 0.3/float64(p.Batch))}
		if p.Delay > 10*time.Millisecond {
			o.P99, o.Used = 30e-3, o.Used/2
		}
		o.AsRun = o.Used
		all = append(all, o)
	}
	return all
}

func TestCheapest(t *testing.T) {
	s := scenario{SLO: 10 * time.Millisecond, Window: 2500 * time.Millisecond}
	points := madeUp(s)
	best := cheapest(points, s)
	if got := points[best].place; got != (place{64, time.Millisecond, 0.5}) {
		t.Errorf("%v, want batches of 64 on half a core, and the first of equals", got)
	}
	if cheapest(points, scenario{SLO: time.Millisecond, Window: s.Window}) != -1 {
		t.Error("something keeps 1 ms")
	}
	free := searched{scenario: s, points: points, best: found{at: best}}
	dear := slices.IndexFunc(points, func(o outcome) bool { return o.place == place{8, time.Millisecond, 1} })
	// 0.3 + 0.3/8 = 0.3375 cores instead of half of 0.3 + 0.3/64, 0.1523: 121.5 % more
	if got := free.over(found{at: dear}); math.Abs(got-1.2154) > 1e-4 {
		t.Errorf("%g over, want 1.2154", got)
	}
	late := slices.IndexFunc(points, func(o outcome) bool { return o.Delay == 12*time.Millisecond })
	if !math.IsInf(free.over(found{at: late}), 1) {
		t.Error("a broken promise is cheap")
	}
}

func TestClimb(t *testing.T) {
	s := scenario{SLO: 10 * time.Millisecond, Window: 2500 * time.Millisecond}
	points := madeUp(s)
	asked := map[int]bool{}
	f := climb(grid(), func(i int) (float64, bool) { asked[i] = true; return points[i].rank(s) })
	if got := points[f.at].place; got != (place{64, time.Millisecond, 0.5}) {
		t.Errorf("it ends at %v", got)
	}
	// From batch 1: three quarters of a core, and batch 8 (3 points). From batch 8, 1 ms: three quarters, 4 ms, batch 64 (6). From batch
	// 64, 1 ms: three quarters, 4 ms (8 points).
	if f.measured != 8 || len(asked) != 8 {
		t.Errorf("%d measured, %d asked for, want 8", f.measured, len(asked))
	}
	// A valley: batches of 8 are dearer than none, so that it never comes to 64.
	f = climb(grid(), func(i int) (float64, bool) { return map[int]float64{1: 1, 8: 3, 64: 0.5}[grid()[i].Batch], true })
	if got := grid()[f.at]; got.Batch != 1 {
		t.Errorf("it ends at %v behind a valley", got)
	}
}

func TestChosen(t *testing.T) {
	c := func(cores, chance float64, meets bool) capacity.Candidate {
		return capacity.Candidate{Prediction: capacity.Prediction{Cores: cores}, Chance: chance, Meets: meets}
	}
	if got := chosen([]capacity.Candidate{c(1, 0.99, true), c(0.2, 0.5, false), c(0.5, 0.96, true)}); got != 2 {
		t.Errorf("%d, want the cheapest of those that keep the promise", got)
	}
	if got := chosen([]capacity.Candidate{c(1, 0.3, false), c(0.2, 0.1, false), c(5, 0.5, false)}); got != 2 {
		t.Errorf("%d, want the likeliest", got)
	}
	quick := c(0.504, 0.99, true)
	quick.Prediction.P99.Value = -1 // quicker than the others, which take 0
	if got := chosen([]capacity.Candidate{c(0.5, 0.96, true), c(0.5, 0.96, true), quick}); got != 2 {
		t.Errorf("%d, want the quickest of those that cost the same but for 0.8 %%", got)
	}
}

// TestApart: a choice that used 10, 20 and 30 % more than the best in three repeats: 20 % on average, with a standard
// error of 10/sqrt(3) = 5.7735 %, 2.920 of which are 16.86 %.
func TestApart(t *testing.T) {
	s := searched{best: found{at: 0}, points: []outcome{{Uses: []float64{1, 2, 1}}, {Uses: []float64{1.1, 2.4, 1.3}}, {Uses: []float64{0.9, 2.2, 1.1}}}}
	if low, high := s.apart(found{at: 1}); math.Abs(low-0.0314) > 1e-4 || math.Abs(high-0.3686) > 1e-4 {
		t.Errorf("%g to %g", low, high)
	}
	if low, _ := s.apart(found{at: 2}); low > 0 { // 10 % less once
		t.Errorf("%g: repeats that contradict each other tell", low)
	}
	if low, high := s.apart(found{at: 0}); low != 0 || high != 0 {
		t.Errorf("the best is apart from itself: %g to %g", low, high)
	}
}

// TestOverAgain: the middle of the turns' ratios to the best, which the sweep chose, and not what would be the best now.
func TestOverAgain(t *testing.T) {
	one := func(p99 float64, uses ...float64) outcome {
		return outcome{place: place{Cores: 1}, P99: p99, Uses: uses}
	}
	odd := place{16, 1500 * time.Microsecond, 0.5}
	s := searched{scenario: scenario{SLO: 10 * time.Millisecond}, best: found{at: 2}, again: map[place]outcome{
		grid()[2]: one(5e-3, 0.2, 0.4, 0.5), grid()[5]: one(5e-3, 0.22, 0.38, 0.6), grid()[7]: one(5e-3, 0.1, 0.2, 0.3), grid()[9]: one(11e-3, 0.1, 0.1, 0.1),
		odd: one(5e-3, 0.19, 0.36, 0.5),
	}}
	for _, tt := range []struct {
		at   int
		want float64
		ok   bool
	}{
		{2, 0, true}, {5, 0.1, true}, {7, -0.5, true}, {9, math.Inf(1), true}, // ratios of 5: 1.1, 0.95 and 1.2; of 7: 0.5, 0.5 and 0.6
		{3, 0, false}, // did not run
	} {
		if got, ok := s.overAgain(found{at: tt.at}, evenly); ok != tt.ok || !(math.Abs(got-tt.want) < 1e-9) && got != tt.want {
			t.Errorf("%d: %g, %v", tt.at, got, ok)
		}
	}
	if got, ok := s.overAgain(foundAt(odd), evenly); !ok || math.Abs(got+0.05) > 1e-9 { // 0.95, 0.9 and 1
		t.Errorf("beyond the grid: %g, %v", got, ok)
	}
	disturbed := one(5e-3, 0.19, 9, 0.51)
	disturbed.Counts = []bool{true, false, true}
	s.again[odd] = disturbed
	if got, ok := s.overAgain(foundAt(odd), evenly); !ok || math.Abs(got+0.015) > 1e-9 { // 0.95 and 1.02
		t.Errorf("a turn that somebody disturbed: %g, %v", got, ok)
	}
	disturbed.Counts = []bool{false, false, false}
	s.again[odd] = disturbed
	if _, ok := s.overAgain(foundAt(odd), evenly); ok {
		t.Error("no turn is without disturbance, and something is compared")
	}
	s.best.at = 9
	if _, ok := s.overAgain(found{at: 5}, evenly); ok {
		t.Error("it is compared with a best that breaks its SLO")
	}
}

// TestChoices: what several searches chose runs once, and nothing where no setting keeps the SLO.
func TestChoices(t *testing.T) {
	s, hopeless := scenario{Model: "a"}, scenario{Model: "b"}
	odd := place{16, 1500 * time.Microsecond, 0.5}
	b := &tuner{sweep: []scenario{hopeless, s}}
	chosen := b.choices([]searched{
		{scenario: hopeless, best: found{at: -1}, plans: plans{sure: []found{{at: 3}}}},
		{scenario: s, best: found{at: 4}, plans: plans{free: []found{foundAt(odd), foundAt(odd)}, sure: []found{{at: 6}, {at: 4}, {at: 6}}}, hill: found{at: 5}},
	})
	n := len(grid())
	want := []combination{{s, grid()[4], 1, n + 4}, {s, odd, 1, -1}, {s, grid()[6], 1, n + 6}, {s, grid()[5], 1, n + 5}}
	if !slices.Equal(chosen, want) {
		t.Errorf("%v, want %v", chosen, want)
	}
}

// TestOverSure: the cheapest point kept its promise by its median only; beside the cheapest that kept it in every window a choice
// may cost less.
func TestOverSure(t *testing.T) {
	one := func(used float64, p99s ...float64) outcome {
		return outcome{place: place{Cores: 1}, P99: p99s[1], P99s: p99s, Used: used}
	}
	s := searched{scenario: scenario{SLO: 10 * time.Millisecond}, best: found{at: 0}, points: []outcome{
		one(0.1, 5e-3, 9e-3, 11e-3), one(0.2, 5e-3, 6e-3, 7e-3), one(0.3, 1e-3, 1e-3, 1e-3), one(0.05, 5e-3, 12e-3, 13e-3),
	}}
	for at, want := range []float64{-0.5, 0, 0.5, math.Inf(1)} {
		if got, ok := s.overSure(found{at: at}); !ok || math.Abs(got-want) > 1e-9 && got != want {
			t.Errorf("%d: %g, want %g", at, got, want)
		}
	}
	s.points = s.points[:1]
	if _, ok := s.overSure(found{at: 0}); ok {
		t.Error("nothing kept it in every window, and something is compared with")
	}
}

// TestRows: looks from which a plan chooses alike share a line, and where no setting kept its SLO in every window, the
// figures are told without what would be compared with one.
func TestRows(t *testing.T) {
	s := scenario{SLO: 10 * time.Millisecond, Window: time.Second}
	one := outcome{place: place{Cores: 1}, P99: 5e-3, P99s: []float64{5e-3, 11e-3}, Used: 0.1, Uses: []float64{0.1, 0.1}, Runs: []float64{0.1, 0.1}}
	all := searched{scenario: s, points: []outcome{one, one}, plans: plans{told: []found{{at: 1}, {at: 0}, {at: 1}}}}
	var names []string
	for _, r := range all.rows() {
		names = append(names, r.name)
	}
	if want := []string{"whole sweep", "plan on the grid, look 1, 3", "plan on the grid, look 2", "hill climbing"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "figures"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := &tuner{trial: &trial{bench: bench{file: file}}}
	b.survey.Rounds = make([]round, 2)
	b.outcomes = all.points
	if err := b.optimumFigures([]searched{all}); err != nil {
		t.Error(err)
	}
	text, _ := os.ReadFile(file.Name())
	if !strings.Contains(string(text), "cost_over_optimum_grid_pct") || strings.Contains(string(text), "over_sure") {
		t.Errorf("%s", text)
	}
}

// TestTurns: plans of three scenarios: one whose best kept its SLO, one whose best broke it, and one whose best did not run.
func TestTurns(t *testing.T) {
	one := func(p99, used, run float64) outcome {
		return outcome{place: place{Cores: 1}, P99: p99, Uses: []float64{used}, Runs: []float64{run}}
	}
	odd := place{16, 1500 * time.Microsecond, 0.5}
	s := scenario{SLO: 10 * time.Millisecond, Window: time.Second}
	grids := []outcome{{}, {}}
	chose := plans{free: []found{foundAt(odd), {at: 1}, {at: 2}}}
	ran := map[place]outcome{grid()[0]: one(5e-3, 0.2, 0.2), odd: one(5e-3, 0.3, 0.4), grid()[1]: one(12e-3, 0.1, 0.1)}
	lost := map[place]outcome{grid()[0]: one(11e-3, 0.2, 0.2), odd: one(5e-3, 0.3, 0.3)}
	all := []searched{
		{scenario: s, points: grids, best: found{at: 0}, plans: chose, again: ran},
		{scenario: s, points: grids, best: found{at: 0}, plans: chose, again: lost},
		{scenario: s, points: grids, best: found{at: 1}, plans: chose, again: map[place]outcome{odd: one(5e-3, 0.3, 0.3)}},
		{scenario: s, points: grids, best: found{at: -1}, plans: chose},
	}
	// Run: two of the first, of which one broke its SLO, and one of the second. Not run: one of the first, two of the second, all of the third.
	got := turnsOf(all, planOf, evenly)
	if len(got.costs) != 2 || math.Abs(got.costs[0]-50) > 1e-9 || got.costs[1] != brokenCost || got.ran != 3 || got.broken != 1 || got.absent != 6 {
		t.Errorf("%+v", got)
	}
	want := "of 2 plans, of which 1 broke their SLO; both run in turns; 1 more are of scenarios whose best broke its SLO then; 6 did not run"
	if got.String() != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := turnsOf(all, planOf, asRun).costs[0]; math.Abs(got-100) > 1e-9 {
		t.Errorf("%g %% as run", got)
	}
}

// TestFree: the plan takes a delay that the grid lacks, a limit of the grid as it is, and keeps its promise.
func TestFree(t *testing.T) {
	s := scenario{Model: "m", Rate: 800, Burst: 1, SLO: 10 * time.Millisecond}
	k := knowledge{
		services: []capacity.Service{{Curve: curve.Curve{Samples: 100,
			Wall: curve.Line{Fixed: 300e-6, PerRow: 20e-6}, CPU: curve.Line{Fixed: 300e-6, PerRow: 20e-6}, Largest: largest,
			Spread: curve.Spread{P10: 1, P50: 1, P99: 1}}, Path: 100e-6, Memory: 50 << 20}},
		records: make([]capacity.Calibration, 1),
	}
	b := &tuner{sweep: []scenario{s}}
	got := b.free(0, k)
	p := got.place()
	does := capacity.Try(b.question(0, k, p.Cores), p.setting())
	if got.at >= 0 || p.Batch == 1 || p.Delay == 0 || p.Delay > 12*time.Millisecond || !slices.Contains(coresOf(grid()), p.Cores) || !does.Meets {
		t.Errorf("%v, %+v", p, does)
	}
	if best := b.planned(0, k, 0); capacity.Try(b.question(0, k, grid()[best.at].Cores), grid()[best.at].setting()).Prediction.Cores <= does.Prediction.Cores {
		t.Errorf("%v costs no less than %v of the grid", p, grid()[best.at])
	}
	k.services[0].Curve.Wall, k.services[0].Curve.CPU = curve.Line{PerRow: 400e-6}, curve.Line{PerRow: 400e-6}
	if got := b.free(0, k); got.at < 0 || grid()[got.at].Batch != 1 {
		t.Errorf("%v, where batches save nothing", got.place())
	}
}

// TestNothingKeepsTheSLO: there is no optimum then, which is said.
func TestNothingKeepsTheSLO(t *testing.T) {
	s := scenario{SLO: time.Millisecond, Window: time.Second}
	none := []searched{{scenario: s, points: madeUp(s), best: found{at: -1}}}
	if err := (&tuner{trial: &trial{}}).optimumFigures(none); err == nil {
		t.Error("nothing is said")
	}
}
