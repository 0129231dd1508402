package capacity

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// around is an estimate with an interval of a tenth to either side.
func around(d time.Duration) Estimate { return Estimate{d, d * 9 / 10, d * 11 / 10} }

// candidate is one with made-up predictions: the page only writes them.
func candidate(at Setting, p99 time.Duration, used float64, chance float64) Candidate {
	// A core is $26.28 and a GiB $2.628: 3 x 500m + 3 x 256Mi is 39.42 + 1.971. 250 requests a second are 657 million a month.
	month := cost.Money(int64(at.Replicas) * (at.CPU*26_280 + at.Memory>>20*2_628_000>>10))
	return Candidate{
		Setting: at, Month: month, Unit: UnitCost(month * 1000 / 657_000), Chance: chance, Meets: chance >= 0.95,
		Prediction: Prediction{P50: around(p99 / 2), P99: around(p99), Tail: around(p99), Cores: used, Busy: used / 3, MeanBatch: 3.1, Memory: int64(at.Replicas) * 92 << 20, Goodput: 399.84, Lost: 0.0004},
		Degraded:   around(p99 * 5 / 4), Slowed: Slowed{Times: 1.09, Tail: p99 * 3 / 2, Full: chance < 0.5},
	}
}

// sampleStanding is a server whose plan is to batch more and to have a replica less.
func sampleStanding() Standing {
	best := Setting{Batch: 16, Delay: 8 * ms, Replicas: 2, CPU: 500, Limit: 1000, Memory: 256 << 20}
	third := Setting{Batch: 32, Delay: 8 * ms, Replicas: 2, CPU: 550, Limit: 1000, Memory: 256 << 20}
	now, then := candidate(before, 11*ms, 0.41, 0.999), candidate(best, 16*ms, 0.29, 0.98)
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	return Standing{
		Namespace: "ml", Name: "scorer", Model: "recommendation", Version: "v2.1.0", Mode: "enforce", At: at, Known: true,
		Question: Question{
			Now: before,
			Service: Service{
				Curve: curve.Curve{
					Wall: curve.Line{Fixed: 700e-6, PerRow: 85e-6}, CPU: curve.Line{Fixed: 680e-6, PerRow: 84e-6},
					Error: 0.031, Samples: 1204, Largest: 32,
				},
				Path: 120e-6, Reach: 300e-6, Idle: 0.003, Memory: 92 << 20,
			},
			Load: Load{Rate: 400, Mean: 250, Burst: 1.5, Peak: 900, Rows: 1}, SLO: fleet.SLO{Latency: 20 * ms, Percentile: 0.99},
			Room: Room{Redundancy: 1}, Price: Price{Core: 26_280_000, GiB: 2_628_000},
			Calibration: Calibration{Bias: 0.03, Width: 0.08, Pairs: []Pair{
				{At: at.Add(-30 * time.Minute), Setting: before, Rate: 390, Predicted: 11 * ms, Realised: 12 * ms, Cores: [2]float64{0.41, 0.40}},
				{At: at.Add(-10 * time.Minute), Setting: best, Rate: 402, Predicted: 16 * ms, Realised: 16 * ms, Cores: [2]float64{0.29, 0.31}},
			}},
		},
		Plan: Plan{
			SLO: fleet.SLO{Latency: 20 * ms, Percentile: 0.99}, Now: now, Best: then, Why: []string{"batch 16 instead of 8 saves $13.80 a month (33 %) at +5.0 ms p99"},
			Alternatives: []Candidate{then, candidate(third, 17*ms, 0.26, 0.96)},
		},
		Steps: []string{"batch 8 -> 16, delay 5ms -> 8ms: p99 16 ms as predicted, CPU of a request 1.0 ms -> 0.77 ms; kept"},
	}
}

func sampleWhatIfs() []WhatIf {
	small := Setting{Batch: 16, Delay: 5 * ms, Replicas: 1, CPU: 500, Limit: 2000, Memory: 256 << 20}
	c := candidate(small, 24*ms, 0.30, 0.12)
	c.Why = "p99 24 ms is over the SLO of 20 ms; 1 replica is below the 2 that redundancy 1 needs"
	return []WhatIf{{"replicas=1,batch=16,limit=2", c}}
}

func TestStandingText(t *testing.T) {
	golden.Check(t, "standing.golden", sampleStanding().Text(sampleWhatIfs()))
}

func TestStandingsText(t *testing.T) {
	stays, held := sampleStanding(), sampleStanding()
	stays.Name, stays.Plan.Best = "stays", stays.Plan.Now
	held.Name, held.Plan.Held = "held", "no setting keeps p99 within 20 ms: the model alone takes 31 ms"
	golden.Check(t, "standings.golden", StandingsText([]Standing{sampleStanding(), stays, held,
		{Namespace: "ml", Name: "new", Model: "image", Version: "v1", Missing: "no pod is ready"}}))
}

// TestStandingDraws: where there is something to choose, the page has the drawing and the lines to copy.
func TestStandingDraws(t *testing.T) {
	s := sampleStanding()
	quick := Setting{Batch: 4, Delay: ms, Replicas: 4, CPU: 500, Limit: 1000, Memory: 256 << 20}
	s.Plan.Frontier = []Candidate{candidate(quick, 6*ms, 0.6, 0.999), s.Plan.Best}
	text := s.Text(nil)
	for _, want := range []string{s.Plan.Curve(pageColumns, drawingHeight), indented(PolicyLines(s.Plan.Best, s.Question.Room))} {
		if want == "" || !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s.Plan.Best = s.Plan.Now
	if text := s.Text(nil); strings.Contains(text, "TO COPY") {
		t.Errorf("nothing changes, yet there are lines to copy:\n%s", text)
	}
}

func TestStandingHeadline(t *testing.T) {
	change := func(do func(*Standing)) Standing {
		s := sampleStanding()
		do(&s)
		return s
	}
	for _, tt := range []struct {
		s           Standing
		want, never string
	}{
		{change(func(s *Standing) { s.Known, s.Missing = false, "no pod is ready" }), "PLAN        none yet: no pod is ready", "MODEL"},
		{change(func(s *Standing) { s.Plan.Held = "no setting will do" }), "PLAN        none: no setting will do", "TO COPY"},
		{change(func(s *Standing) { s.Plan.Held = "no setting will do" }), "in force                   closest", "Trimtab makes it so"},
		{change(func(s *Standing) { s.Plan.Best = s.Plan.Now }), "PLAN        it stays as it is", "  plan"},
		{change(func(s *Standing) { s.Mode = "recommend" }), "mode recommend: Trimtab only shows it", "makes it so, one"},
		{change(func(s *Standing) { s.Plan.Proxy = "default rates" }), "~$41.39 -> ~$27.59 a month (-33 %)", "PRICE"},
		{change(func(s *Standing) { s.Plan.Now.Prediction.Full = true }), "endless -> 16 ms of 20 ms promised", "p99 11 ms"},
		{change(func(s *Standing) { s.Plan.Now.Why = "it is slow" }), "  - what is in force: it is slow", ""},
		{change(func(s *Standing) { s.Plan.Now.Why, s.Plan.Why = "it is slow", []string{"as it is slow"} }), "  - as it is slow", "what is in force: it"},
		{change(func(s *Standing) { s.Question.Service.MaxBatch = 1 }), "its batch axis is fixed", "in batches of"},
		{change(func(s *Standing) { s.Question.Service.Curve.Wall.Form = curve.Hinge }), "700 us, or 85 us a row where that is more (hinge)", "700 us + "},
		{change(func(s *Standing) { s.Question.Service.Curve.Wall.Form = curve.Doubling }), "700 us, and 85 us more for each doubling of its rows (doubling)", "700 us + "},
		{change(func(s *Standing) { s.Question.SLO.Percentile = 0.999 }), "  p99.9", ""},
	} {
		if text := tt.s.Text(nil); !strings.Contains(text, tt.want) || tt.never != "" && strings.Contains(strings.ReplaceAll(text, tt.want, ""), tt.never) {
			t.Errorf("want %q and not %q:\n%s", tt.want, tt.never, text)
		}
	}
}

// TestStandingOthers: larger batch limits that change nothing are counted, not shown, and so is what comes after the eighth.
func TestStandingOthers(t *testing.T) {
	s := sampleStanding()
	s.Plan.Alternatives = nil
	for i := range 12 {
		at := s.Plan.Best.Setting
		at.Batch, at.CPU = 32+i, 600+int64(i/2)*10
		s.Plan.Alternatives = append(s.Plan.Alternatives, candidate(at, 17*ms, 0.3, 0.97)) // two alike of each of six
	}
	rows := s.others()
	if len(rows) != 6 || len(rows[5].notes) != 1 || !strings.HasPrefix(rows[5].notes[0], "and 6 more") {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
}

func TestStandingWords(t *testing.T) {
	for got, want := range map[string]string{
		share(0):          "0 %",
		share(0.0004):     "under 0.1 %",
		share(0.031):      "3.1 %",
		share(0.33):       "33 %",
		share(0.9999):     "99.9 %",
		share(1):          "100 %",
		shortTime(3.8e-6): "3.8 us",
		shortTime(85e-6):  "85 us",
		shortTime(785e-6): "785 us",
		shortTime(0.031):  "31 ms",
		decimal(3.14):     "3.1",
		decimal(3):        "3",
		decimal(1204.4):   "1,204",
		signed(-0.333):    "-33 %",
		signed(0.001):     "0 %",
		beyond(0.03):      "3 % above",
		beyond(-0.03):     "3 % below",
		beyond(0):         "as",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := strings.Join(broken("about 12 % of\nall", 8), "|"); got != "about|12 % of|all" {
		t.Errorf("broken into %q", got)
	}
}

// TestPageIsNarrow: no line of any page is wider than a screen.
func TestPageIsNarrow(t *testing.T) {
	unpriced := sampleStanding()
	unpriced.Question.Price, unpriced.Plan.Proxy = Price{Unpriced: []string{"x9.huge in mars-1"}}, "no price for x9.huge in mars-1"
	full := sampleStanding()
	full.Plan.Now.Prediction.Full = true
	full.Plan.Now.Why = strings.Repeat("more comes than can be answered ", 9)
	for name, text := range map[string]string{
		"sample": sampleStanding().Text(sampleWhatIfs()), "unpriced": unpriced.Text(nil), "full": full.Text(nil),
		"unknown": Standing{Namespace: "ml", Name: "new", Missing: strings.Repeat("no pod is ready ", 20)}.Text(nil),
	} {
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > pageColumns {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}
