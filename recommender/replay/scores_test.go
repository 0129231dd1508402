package replay

import (
	"math"
	"testing"
	"time"
)

// all scores every sample.
func all() ScoreOptions {
	return ScoreOptions{Every: 24 * time.Hour, Window: 24 * time.Hour, Price: 20_000}
}

// TestScore: six samples of 10 minutes over two days, by hand.
func TestScore(t *testing.T) {
	s := Series{
		Unit: Cores, Granted: 4,
		At:   []int64{0, 600, 1200, 86400, 87000, 87600},
		Used: []float64{1, 2, 3, 0.5, 1, 0},
	}
	line := []float64{math.NaN(), 2, 2, 1, 1.005, 2}
	got := Score(s, line, all())
	// Scored are five: use 2 3 0.5 1 0 under 2 2 1 1.005 2. Above: the second by 1.
	want := map[string][2]float64{
		"samples":  {float64(got.Samples), 5},
		"without":  {float64(got.Without), 1},
		"over":     {got.Over, 1.0 / 5},
		"ratio":    {got.Ratio, 8.005 / 20},
		"unmet":    {got.Unmet, 1 / 6.5},
		"slack":    {got.Slack, (0 - 0.5 + 0.5 + (1 - 1/1.005) + 1) / 5},
		"request":  {got.Request, 8.005 / 5},
		"unused":   {got.SlackUse, (0 + 0 + 0.5 + 0.005 + 2) / 5},
		"resizes":  {float64(got.Resizes), 2}, // 2 to 1, 1.005 to 2; half a percent is none
		"days":     {float64(got.Days), 2},
		"excess":   {float64(got.Excess), 1},
		"missed":   {got.MissedMinutes, 10},
		"peak":     {got.PeakMinutes, 20}, // above 1.5: 2 and 3
		"peakmiss": {got.PeakMissed, 10},
		"weeks":    {got.Weeks, 87000.0 / 604800},
		"cost":     {float64(got.Cost), math.Round(8.005 / 5 * 168 * 20_000)},
	}
	for name, w := range want {
		if math.Abs(w[0]-w[1]) > 1e-12 {
			t.Errorf("%s: %g, want %g", name, w[0], w[1])
		}
	}
}

// TestCreep: a request that creeps by less than 1 % a sample is resized whenever it has come 1 % from the last resize.
func TestCreep(t *testing.T) {
	s := made(300, 1, flat(0.1))
	line := make([]float64, len(s.At))
	for i := range line {
		line[i] = 1 + 0.004*float64(i%6) // 1 1.004 1.008 1.012 ...: one resize up, one back in each six
	}
	got := Score(s, line, all())
	if want := 288/6*2 - 1; got.Resizes != want {
		t.Errorf("%d resizes, want %d", got.Resizes, want)
	}
}

func TestScoredSamples(t *testing.T) {
	s := made(300, 20, flat(1))
	gap := Series{Unit: Cores}
	for i, at := range s.At { // nothing from day 4 to day 19
		if d := (at - s.At[0]) / day; d < 4 || d >= 19 {
			gap.At, gap.Used = append(gap.At, at), append(gap.Used, s.Used[i])
		}
	}
	for _, tt := range []struct {
		name string
		s    Series
		want int
	}{
		{"all after three days", s, 17 * 288},
		{"not the day before which 14 days hold nothing", gap, 288},
		{"nothing", Series{}, 0},
	} {
		n := 0
		eachScored(tt.s, Standard(0), func(int) { n++ })
		if n != tt.want {
			t.Errorf("%s: %d samples, want %d", tt.name, n, tt.want)
		}
	}
}

func TestScoreOfNothing(t *testing.T) {
	if got := Score(Series{}, nil, Standard(0)); got != (Scores{}) {
		t.Errorf("%+v, want zero", got)
	}
	idle := made(300, 5, flat(0))
	got := Score(idle, make([]float64, len(idle.At)), Standard(0))
	for name, v := range map[string]float64{"over": got.Over, "ratio": got.Ratio, "unmet": got.Unmet, "slack": got.Slack} {
		if v != 0 {
			t.Errorf("no use, no request: %s %g", name, v)
		}
	}
}

// TestPool: two series by hand.
func TestPool(t *testing.T) {
	a := Series{ID: "a", Class: "x", Unit: Cores, Granted: 2}
	b := Series{ID: "b", Class: "y", Unit: Cores, Granted: 8}
	var lineA, lineB []float64
	for i := range 200 {
		at := int64(i) * 300
		a.At, b.At = append(a.At, at), append(b.At, at)
		a.Used, b.Used = append(a.Used, 0.5), append(b.Used, 4)
		lineA, lineB = append(lineA, 1), append(lineB, 3)
	}
	scored := []Scored{{"a", "x", 0, Score(a, lineA, all())}, {"b", "y", 1, Score(b, lineB, all())}}
	got := Pool("rule", scored)
	if want := (Measures{Over: 0.5, Ratio: (0.5 + 0.375) / 2, Unmet: 0.125, Slack: (0.5 - 1.0/3) / 2}); !near(got.Mean, want) {
		t.Errorf("mean %+v, want %+v", got.Mean, want)
	}
	if want := (Measures{Over: 0.5, Ratio: 0.4, Unmet: 1 / 4.5, Slack: 0.5 / 4}); !near(got.Pooled, want) {
		t.Errorf("pooled %+v, want %+v", got.Pooled, want)
	}
	if want := (Measures{Over: 1, Ratio: 0.5, Unmet: 0.25, Slack: 0.5}); !near(got.Worst, want) {
		t.Errorf("worst %+v, want %+v", got.Worst, want)
	}
	if got.ExcessDays != 0.5 || got.MissedMinutes != 1000 || got.Request != 4 || len(got.Classes) != 2 || got.Classes[1].Name != "y" {
		t.Errorf("%+v", got)
	}
	// Drawing two of two clusters gives a b, a a or b b: over is 0, 0.5 or 1.
	if got.MeanLow.Over != 0 || got.MeanHigh.Over != 1 {
		t.Errorf("interval of over: %g to %g, want 0 to 1", got.MeanLow.Over, got.MeanHigh.Over)
	}
}

func near(a, b Measures) bool {
	off := a.each(b, func(x, y float64) float64 { return math.Abs(x - y) })
	return max(off.Over, off.Ratio, off.Unmet, off.Slack) < 1e-9
}

// TestPoolOneCluster: series that move together give no interval of their own.
func TestPoolOneCluster(t *testing.T) {
	s := made(300, 10, flat(1))
	line := Run(KRR(), s)
	one := Score(s, line, Standard(0))
	got := Pool("rule", []Scored{{"a", "", 0, one}, {"b", "", 0, one}})
	if got.MeanLow != got.Mean || got.PooledHigh != got.Pooled {
		t.Errorf("%+v", got)
	}
	if none := Pool("rule", nil); none.Series != 0 || none.Mean != (Measures{}) || len(none.Classes) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
}

func TestPoolUnknownGrant(t *testing.T) {
	s := made(300, 10, flat(1))
	known := s
	known.Granted = 2
	var scored []Scored
	for i, one := range []Series{s, known} {
		scored = append(scored, Scored{Cluster: i, Scores: Score(one, Run(KRR(), one), Standard(0))})
	}
	if got := Pool("rule", scored); got.Mean.Ratio != 0 || got.Pooled.Ratio != 0 {
		t.Errorf("with an unknown grant the ratios are %g and %g, want 0", got.Mean.Ratio, got.Pooled.Ratio)
	}
}

// TestGenerator: the first numbers of splitmix64 from 0 and from 1234567, as its authors' program prints them.
func TestGenerator(t *testing.T) {
	g := generator(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := g.next(); got != want {
			t.Errorf("number %d: %d, want %d", i, got, want)
		}
	}
}
