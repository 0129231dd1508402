package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/sharing"
)

// peakMinutes are those that count, and those before.
func peakMinutes(c madeCalendar) (judged, before int) {
	for i, p := range c.peaks {
		switch {
		case p && i >= c.judged:
			judged++
		case p:
			before++
		}
	}
	return judged, before
}

func TestCalendarsHaveTheirPeaks(t *testing.T) {
	hard, err := hardCalendars()
	if err != nil {
		t.Fatal(err)
	}
	// 5 weeks: of 7 days of 120 minutes; of 5 days of 540; of one day of 240. A holiday takes one day's away.
	want := map[string][2]int{"2 h daily": {5 * 7 * 120, 120}, "business hours": {5 * 5 * 540, 540}, "4 h weekly": {5 * 240, 240}}
	for _, c := range append(plainCalendars(), hard...) {
		got, _ := peakMinutes(c.made())
		peak := want[c.name][0]
		if c.holiday {
			peak -= want[c.name][1]
		}
		switch {
		case c.gaps == 0 && got != peak:
			t.Errorf("%s %s: %d minutes, want %d", c.name, c.variant, got, peak)
		case c.gaps > 0 && (got >= peak || got < peak*7/10):
			t.Errorf("%s %s: %d minutes of %d, a tenth is missing", c.name, c.variant, got, peak)
		}
	}
}

func TestCalendarsAreTheSameEachTime(t *testing.T) {
	hard, _ := hardCalendars()
	for _, c := range hard {
		a, b := c.made(), c.made()
		if !slices.Equal(a.series.Used, b.series.Used) || !slices.Equal(a.series.At, b.series.At) || !slices.Equal(a.peaks, b.peaks) {
			t.Errorf("%s %s differs from itself", c.name, c.variant)
		}
	}
}

// firstPeak is the time of day, in UTC, at which the peak of a day begins.
func firstPeak(c madeCalendar, day time.Time) string {
	for i, p := range c.peaks {
		if at := time.Unix(c.series.At[i], 0).UTC(); p && at.YearDay() == day.YearDay() {
			return at.Format("15:04")
		}
	}
	return "none"
}

func TestCalendarsAreHard(t *testing.T) {
	hard, _ := hardCalendars()
	by := map[string]madeCalendar{}
	for _, c := range hard {
		if c.name == "2 h daily" {
			by[c.variant] = c.made()
		}
	}
	day := func(month time.Month, d int) time.Time { return time.Date(2024, month, d, 0, 0, 0, 0, time.UTC) }
	for _, row := range []struct {
		variant string
		day     time.Time
		want    string
	}{
		{"clock change", day(3, 30), "08:00"}, {"clock change", day(3, 31), "07:00"}, // 9:00 in Berlin, an hour and then two before UTC
		{"moved", day(3, 17), "09:00"}, {"moved", day(3, 18), "12:00"}, // the fourth Monday
		{"holiday", day(3, 19), "09:00"}, {"holiday", day(3, 20), "none"}, // the Wednesday of that week
	} {
		if got := firstPeak(by[row.variant], row.day); got != row.want {
			t.Errorf("%s on %s: the peak begins at %s, want %s", row.variant, row.day.Format("2 January"), got, row.want)
		}
	}
	if used := by["growth"].series.Used; math.Abs(used[weekMinutes]-0.2*1.05) > 1e-9 {
		t.Errorf("after a week %g, want 0.21", used[weekMinutes])
	}
	share := 1 - float64(len(by["gaps"].series.At))/(calendarWeeks*weekMinutes)
	if share < 0.07 || share > 0.13 {
		t.Errorf("%.3f of the minutes are missing, want about 0.1", share)
	}
}

func TestCalendarJudge(t *testing.T) {
	c := madeCalendar{judged: 1, peaks: []bool{true, true, false, true, false}, series: replay.Series{Used: []float64{9, 4, 1, 2, 3}}}
	// judged are 4 requests: 4 missed at 2, 1 in 2, 2 in 3, 3 above 2 outside of a peak
	got := c.judge([]float64{1, 2, 2, 3, 2})
	if want := (calendarScore{missed: 1, missedShare: 50, outside: 1, peak: 2, slack: 0.5, resizes: 2. / 4 * 1440}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.judge([]float64{math.NaN(), math.NaN(), 2, 3, 2}); got.missed != 1 {
		t.Errorf("without a request %v of the peak is missed, want 1", got.missed)
	}
}

func TestReactiveReplicas(t *testing.T) {
	// of capacity 10 each replica takes 7: 7 -> 1, 8 -> 2, 50 -> 8; the first window knows itself, others the six before
	got := reactiveReplicas([]float64{8, 50, 7, 7, 7, 7, 7, 7, 7}, 10)
	if want := []int{2, 2, 8, 8, 8, 8, 8, 8, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := late([]int{1, 2, 3, 4}, 1); !slices.Equal(got, []int{1, 1, 2, 3}) {
		t.Errorf("a window late: %v", got)
	}
}

func TestScoreReplicas(t *testing.T) {
	// 10 fits in 1, 21 needs 3, 30 needs 3
	got := scoreReplicas([]float64{10, 21, 30}, 10, []int{1, 2, 3})
	if want := (ratesScore{windows: 6, over: 1, measured: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if p := got.overPercent(); math.Abs(p-100./3) > 1e-9 {
		t.Errorf("%g %% over", p)
	}
}

func TestReplicasKnownAfterwards(t *testing.T) {
	needs := neededReplicas([]float64{0, 10, 41, 10.1}, 10)
	if want := []int{1, 1, 5, 2}; !slices.Equal(needs, want) {
		t.Errorf("needs %v, want %v", needs, want)
	}
	for over, want := range []int{5, 2, 1, 1, 1} { // windows that a constant may fall short of
		if got := constantReplicas(needs, over); !slices.Equal(got, []int{want, want, want, want}) {
			t.Errorf("%d over: %v, want %d", over, got, want)
		}
	}
}

func TestOurReplicasKnowOnlyThePast(t *testing.T) {
	at, calm, risen := make([]int64, 50), make([]float64, 50), make([]float64, 50)
	for i := range at {
		at[i], calm[i], risen[i] = int64(300*i), 20, 20
	}
	risen[30] = 1000
	for _, lead := range []time.Duration{0, 5 * time.Minute} {
		a, b := ourReplicas(at, calm, 10, 5*time.Minute, lead), ourReplicas(at, risen, 10, 5*time.Minute, lead)
		last := 30 + int(lead/(5*time.Minute))
		if !slices.Equal(a[:last+1], b[:last+1]) {
			t.Errorf("lead %v: a rate changes what is asked for before it is known", lead)
		}
		if b[last+1] < 100 {
			t.Errorf("lead %v: %d replicas for 100 times what one answers", lead, b[last+1])
		}
	}
}

func TestLinearPercentile(t *testing.T) {
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 0.9: 3.7, 1: 4} {
		if got := linearPercentile([]float64{4, 2, 1, 3}, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g of 1 to 4 is %g, want %g", q, got, want)
		}
	}
}

func TestReadColumns(t *testing.T) {
	at, v, err := readColumns(strings.NewReader("t,a,b\n60,1,2\n120,,4\n"), "x.csv", "b", "")
	if err != nil || !slices.Equal(at, []int64{60, 120}) || !slices.Equal(v[0], []float64{2, 4}) || v[1][0] != 1 || !math.IsNaN(v[1][1]) {
		t.Errorf("%v %v %v", at, v, err)
	}
	for text, want := range map[string]string{"t,a\n": "x.csv:1", "t,a\n1,2\n": "x.csv:1: has no column b", "t,b\n1,x\nz,1\n": "x.csv:3",
		"t,b\n2,1\n2,1\n": "x.csv:3: the time 2 is not after", "t,b\n1,-1\n": "x.csv:2", "t,b\n1,NaN\n": "x.csv:2", "t,b\n1,+Inf\n": "x.csv:2"} {
		if _, _, err := readColumns(strings.NewReader(text), "x.csv", "b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// inFolder is a run on a folder with these files.
func inFolder(t *testing.T, files map[string]string) *advised {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := &advised{traces: dir, read: map[string][]replay.Series{}}
	if err := a.open(); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestSeriesAreWhole: a step after one that could not read a file does not measure the others alone.
func TestSeriesAreWhole(t *testing.T) {
	a := inFolder(t, map[string]string{
		"index.csv": "id,kind,path,cls\na,cpu_mem,a.csv,\nb,cpu_mem,b.csv,\n", "a.csv": "t,cpu_mcores\n1,1\n2,1\n",
	})
	for step := range 2 {
		if all, err := a.series("cpu_mem", replay.Cores); err == nil {
			t.Errorf("step %d: %d series, and b.csv is not there", step, len(all))
		}
	}
}

// TestTooFewSamples: of one sample there is no step, and nothing is divided by it.
func TestTooFewSamples(t *testing.T) {
	a := inFolder(t, map[string]string{
		"index.csv": "id,kind,path,cls\nr,requests,r.csv,\ng,gpu_pod,g.csv,\n", "r.csv": "t,rate\n1,5\n", "g.csv": "t,gpu_util_pct,gpu_mem_mib\n1,5,100\n",
	})
	if _, some, err := a.ratesOf(a.of("requests")[0]); some || err != nil {
		t.Errorf("rates: %v, %v", some, err)
	}
	if f, err := a.gpuFleet(); len(f.pods) > 0 || err != nil {
		t.Errorf("GPUs: %d pods, %v", len(f.pods), err)
	}
}

func TestNamedSteps(t *testing.T) {
	all := advisedSteps()
	if got, err := namedSteps(all, nil); err != nil || len(got) != len(all) {
		t.Errorf("%d steps without a name, %v", len(got), err)
	}
	got, err := namedSteps(all, []string{"speed", "cpu"})
	if err != nil || len(got) != 2 || got[0].name != "cpu" || got[1].name != "speed" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := namedSteps(all, []string{"cpu", "speeed"}); err == nil || !strings.Contains(err.Error(), "speeed") {
		t.Errorf("a name of no step: %v", err)
	}
}

func TestGPUFleetOnOneClock(t *testing.T) {
	f := gpuFleet{pods: make([]sharing.Pod, 2), step: 57 * time.Second}
	f.place(0, []int64{1000, 1057, 1115}, [][]float64{{50, math.NaN(), 10}, {1, 2, math.NaN()}}, 1000)
	f.place(1, []int64{1114, 1171}, [][]float64{{1, 1}, {3, 4}}, 1000)
	if d := f.pods[0].Duty; d[0] != 0.5 || !math.IsNaN(d[1]) || d[2] != 0.1 || f.pods[0].Memory[1] != 2<<20 {
		t.Errorf("%v", f.pods[0])
	}
	if !slices.Equal(f.first, []int{0, 2}) || !slices.Equal(f.last, []int{1, 3}) || f.slots != 4 {
		t.Errorf("from %v to %v of %d", f.first, f.last, f.slots)
	}
	// at slot 2 the second pod is not known yet, but comes before slot 3
	if known, fresh := f.running(sharing.Card{}, 2, 3); len(known) != 1 || fresh != 1 {
		t.Errorf("%d known, %d fresh", len(known), fresh)
	}
}

func TestSpeedsOf(t *testing.T) {
	all, err := speedsOf([]byte(`{"name":"a","containers":10,"addNs":1.5,"recommendUs":2}` + "\n" + `{"name":"b","heapKB":3}` + "\n"))
	if err != nil || len(all) != 2 || all[0].AddNs != 1.5 || all[0].RecommendUs != 2 || all[1].HeapKB != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := speedsOf([]byte("fetching")); err == nil {
		t.Error("what is not JSON is taken")
	}
}

func TestBracket(t *testing.T) {
	at := func(slacks map[float64]float64) (c replay.Comparison, risks []float64) {
		for risk, slack := range slacks {
			risks = append(risks, risk)
			c.Rows = append(c.Rows, replay.Row{Summary: replay.Summary{Name: frontier(24, risk)[0].Name, Mean: replay.Measures{Slack: slack}}})
		}
		return c, risks
	}
	c, risks := at(map[float64]float64{0.2: 0.45, 0.3: 0.51, 0.4: 0.52, 1: 0.6})
	if low, high, ok := bracket(c, risks); low != 0.3 || high != 0.4 || !ok {
		t.Errorf("%g to %g, %v, want 0.3 to 0.4", low, high, ok)
	}
	for _, all := range []map[float64]float64{{0.2: 0.6, 1: 0.7}, {0.2: 0.1, 1: 0.2}} {
		c, risks := at(all)
		if low, high, ok := bracket(c, risks); ok {
			t.Errorf("%v: %g to %g", all, low, high)
		}
	}
}

func TestBetterOn(t *testing.T) {
	a := replay.Summary{Mean: replay.Measures{Over: 0.01, Ratio: 0.2}, Pooled: replay.Measures{Ratio: 0.3, Unmet: 0.02}}
	b := replay.Summary{Mean: replay.Measures{Over: 0.02, Ratio: 0.2}, Pooled: replay.Measures{Ratio: 0.2, Unmet: 0.03}}
	if got := strings.Join(betterOn(a, b), "; "); got != "over % 1 < 2; unmet % 2 < 3" {
		t.Error(got)
	}
}

// TestHistoryHeap: a container with a past holds more than its tracks alone, 1.1 KB; sized by price at most
// 1.5 KB, under half of the autoscaler's 3.39, and where percentiles are read less than its 4.39 KB.
func TestHistoryHeap(t *testing.T) {
	if testing.Short() {
		t.Skip("five weeks of minutes of forty containers")
	}
	percentiles := pricedOptions()
	percentiles.Priced = nil
	for _, c := range []struct {
		name string
		o    recommender.Options
		most float64
	}{{"priced", pricedOptions(), 1.536}, {"percentiles", percentiles, 4.39}} {
		kb, err := historyHeap(1, c.o)
		if err != nil || kb < 1.1 || kb > c.most {
			t.Errorf("%s: %.2f KB, %v", c.name, kb, err)
		}
		t.Logf("%s: %.2f KB", c.name, kb)
	}
}

// TestFewestNodes: of the settings with no more minutes than a rival the one with the fewest node-hours.
func TestFewestNodes(t *testing.T) {
	var c replay.Comparison
	for i, m := range append([]replay.Maker{replay.Trimtab(nil), replay.TrimtabInPlace(nil)}, risen()...) {
		c.Rows = append(c.Rows, replay.Row{Summary: replay.Summary{Name: m.Name}, Scaled: replay.Packing{NodeHours: float64(100 + i), Contention: float64(50 - i)}})
	}
	for _, tt := range []struct {
		minutes float64
		want    string
		hours   float64
	}{{50, ours, 100}, {49.5, oursInPlace, 101}, {0, "", 0}} {
		name, p, ok := fewestNodes(c, tt.minutes)
		if name != tt.want || p.NodeHours != tt.hours || ok != (tt.want != "") {
			t.Errorf("at most %g minutes: %s with %g node-hours, %v", tt.minutes, name, p.NodeHours, ok)
		}
	}
}
