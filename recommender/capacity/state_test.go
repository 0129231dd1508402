package capacity

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

var bounds = []time.Duration{10 * ms, 20 * ms, 50 * ms, 100 * ms}

// seen is a window of 20 s with n requests, all in the bucket that ends with bound (0: above all), and
// a CPU time in thousandths of a second each.
func seen(n int64, bound time.Duration, cpu float64) Window {
	at := slices.Index(bounds, bound)
	if at < 0 {
		at = len(bounds)
	}
	w := Window{Elapsed: 20 * time.Second, Replicas: 1, Latency: Histogram{bounds, make([]int64, len(bounds)+1)}, CPUSeconds: float64(n) * cpu / 1000}
	w.Latency.Counts[at] = n
	return w
}

func goal() Goal {
	return Goal{Of: "v1", Start: 1, Sizes: []int{1, 8, 32}, SLO: fleet.SLO{Latency: 50 * ms, Percentile: 0.99}, Trial: 20 * time.Second}
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// settle runs every trial, each with what a size's window is, to the choice.
func settle(t *testing.T, g Goal, of func(size int) Window, p Price) State {
	t.Helper()
	s := Begin(g)
	for range len(g.Sizes) + 1 {
		if s.Phase != Trying {
			return s
		}
		next, done := s.Measured(of(s.Size), p, noon)
		if !done {
			t.Fatalf("the window of size %d was not judged", s.Size)
		}
		s = next
	}
	return s
}

// TestChoice: three sizes, each with the bucket that all its 400 requests are in and its CPU in ms.
// Without memory, 1 ms of CPU is $0.00001 per 1,000 requests.
func TestChoice(t *testing.T) {
	type m struct {
		bound time.Duration
		cpu   float64
	}
	unpriced := Price{Unpriced: []string{"x9.huge in mars-1"}}
	tests := []struct {
		name  string
		price Price
		of    map[int]m
		size  int
		met   bool
		says  string
	}{
		{"the cheapest", round, map[int]m{1: {10 * ms, 4}, 8: {20 * ms, 3}, 32: {50 * ms, 2}}, 32, true,
			"of those that keep the SLO of 50 ms at p99, batch size 32 is the cheapest"},
		{"the cheapest within the SLO", round, map[int]m{1: {10 * ms, 4}, 8: {20 * ms, 3}, 32: {100 * ms, 2}}, 8, true,
			"of those that keep the SLO of 50 ms at p99, batch size 8 is the cheapest"},
		{"the first stays", round, map[int]m{1: {10 * ms, 2}, 8: {10 * ms, 3}, 32: {10 * ms, 4}}, 1, true, "batch size 1 is the cheapest"},
		{"5 % apart is the same: the quicker", round, map[int]m{1: {50 * ms, 4}, 8: {10 * ms, 2.1}, 32: {20 * ms, 2}}, 8, true,
			"batch size 8 is the quickest of 2 that cost the same but for 5 %"},
		{"6 % apart is not", round, map[int]m{1: {50 * ms, 4}, 8: {10 * ms, 2.12}, 32: {20 * ms, 2}}, 32, true, "batch size 32 is the cheapest"},
		{"as cheap and as quick: the smaller", round, map[int]m{1: {50 * ms, 4}, 8: {20 * ms, 2}, 32: {20 * ms, 2}}, 8, true, "quickest of 2"},
		{"none within: the quickest", round, map[int]m{1: {100 * ms, 1}, 8: {100 * ms, 1}, 32: {0, 1}}, 1, false,
			"no size keeps the SLO of 50 ms at p99; batch size 1 comes closest"},
		{"none within and one unbounded", round, map[int]m{1: {0, 1}, 8: {0, 1}, 32: {100 * ms, 9}}, 32, false, "batch size 32 comes closest"},
		{"no prices: CPU decides", unpriced, map[int]m{1: {10 * ms, 4}, 8: {20 * ms, 3}, 32: {50 * ms, 2}}, 32, true, "batch size 32 is the cheapest"},
	}
	for _, tt := range tests {
		s := settle(t, goal(), func(size int) Window { return seen(400, tt.of[size].bound, tt.of[size].cpu) }, tt.price)
		steps := s.Steps()
		if s.Phase != Adopting || s.Size != tt.size || s.Met != tt.met || s.Before != 1 || !strings.Contains(steps[len(steps)-1], tt.says) {
			t.Errorf("%s: %s %d, met %v, before %d, %q; want adopting %d, met %v, %q", tt.name, s.Phase, s.Size, s.Met, s.Before, steps, tt.size, tt.met, tt.says)
		}
	}
}

func TestOrderOfTrials(t *testing.T) {
	for _, tt := range []struct {
		start int
		sizes []int
		want  []int
	}{
		{1, []int{1, 8, 32}, []int{1, 8, 32}},
		{8, []int{1, 8, 32}, []int{8, 1, 32}},
		{4, []int{8, 32}, []int{4, 8, 32}},
		{4, []int{4}, []int{4}},
	} {
		g := goal()
		g.Start, g.Sizes = tt.start, tt.sizes
		var order []int
		s := settle(t, g, func(size int) Window { order = append(order, size); return seen(400, 10*ms, 1) }, round)
		if !slices.Equal(order, tt.want) || s.Phase != Adopting || g.count() != len(tt.want) {
			t.Errorf("from %d over %v: %v and then %s; want %v (%d of them)", tt.start, tt.sizes, order, s.Phase, tt.want, g.count())
		}
	}
}

// TestNotJudgedTooEarly: neither time nor requests alone are enough, but a size that is surely twice
// over the SLO is not kept in force for longer.
func TestNotJudgedTooEarly(t *testing.T) {
	first := Begin(goal())
	second, _ := first.Measured(seen(400, 10*ms, 1), round, noon)
	short := func(w Window) Window { w.Elapsed = 19 * time.Second; return w }
	p999 := goal()
	p999.SLO.Percentile = 0.999
	tests := []struct {
		name string
		s    State
		w    Window
		done bool
	}{
		{"200 in 20 s", first, seen(200, 10*ms, 1), true},
		{"199 in 20 s", first, seen(199, 10*ms, 1), false},
		{"many in 19 s", first, short(seen(9000, 10*ms, 1)), false},
		{"p99.9 of 1,999", Begin(p999), seen(1999, 10*ms, 1), false},
		{"p99.9 of 2,000", Begin(p999), seen(2000, 10*ms, 1), true},
		{"the first is measured to the end, however bad", first, short(seen(400, 0, 1)), false},
		{"another is not: above 100 ms, twice the SLO", second, short(seen(200, 0, 1)), true},
		{"unless by too few", second, short(seen(199, 0, 1)), false},
		{"or it may be within twice", second, short(seen(400, 100*ms, 1)), false},
	}
	for _, tt := range tests {
		next, done := tt.s.Measured(tt.w, round, noon)
		if done != tt.done || !done && !reflect.DeepEqual(next, tt.s) {
			t.Errorf("%s: judged %v, want %v; %+v", tt.name, done, tt.done, next)
		}
	}
}

// TestWatch: after the choice, windows keep (k) or break (b) the SLO.
func TestWatch(t *testing.T) {
	settled := settle(t, goal(), func(size int) Window { return seen(400, 20*ms, 9/float64(size)) }, round).InForce(noon)
	if settled.Phase != Settled || settled.Size != 32 {
		t.Fatalf("settled is %+v", settled)
	}
	unmet, same := settled, settled
	unmet.Met, same.Size = false, 1
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
		{"three in a row", settled, "kbbb", TakingBack, 3},
		{"it never kept it", unmet, "bbbb", Settled, 3},
		{"it replaced nothing", same, "bbbb", Settled, 3},
	}
	for _, tt := range tests {
		s := tt.s
		for _, w := range tt.windows {
			bound := 20 * ms
			if w == 'b' {
				bound = 100 * ms
			}
			s, _ = s.Measured(seen(400, bound, 1), round, noon)
		}
		if s.Phase != tt.phase || s.Over != tt.over {
			t.Errorf("%s: %s after %d, want %s after %d", tt.name, s.Phase, s.Over, tt.phase, tt.over)
		}
		if s.Phase == TakingBack && (s.Size != 1 || s.Before != 32) {
			t.Errorf("%s: back to %d from %d", tt.name, s.Size, s.Before)
		}
	}
	if _, done := settled.Measured(seen(199, 100*ms, 1), round, noon); done {
		t.Error("a window of 199 requests was judged")
	}
}

// TestTakenBack: the size before is in force again, for a day; then everything is measured anew.
func TestTakenBack(t *testing.T) {
	s := settle(t, goal(), func(size int) Window { return seen(400, 20*ms, 9/float64(size)) }, round).InForce(noon)
	for range patience {
		s, _ = s.Measured(seen(400, 100*ms, 1), round, noon)
	}
	if next, done := s.Measured(seen(400, 100*ms, 1), round, noon); done || !reflect.DeepEqual(next, s) {
		t.Error("what was measured before the size is back was judged")
	}
	s = s.InForce(noon)
	if s.Phase != Resting || s.Size != 1 || !s.Rest.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("taken back: %+v", s)
	}
	steps := s.Steps()
	want := "back to batch size 1: p99 100 ms, over the SLO of 50 ms at p99 in 3 windows in a row; nothing is tried before 2026-11-22 12:00 UTC"
	if got := steps[len(steps)-1]; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	if r := s.Rested(noon.Add(24*time.Hour - 1)); !reflect.DeepEqual(r, s) {
		t.Error("it does not rest to the end")
	}
	if r := s.Rested(noon.Add(24 * time.Hour)); !reflect.DeepEqual(r, Begin(goal())) {
		t.Errorf("after the rest: %+v", r)
	}
	if r := Begin(goal()).Rested(noon); r.Phase != Trying {
		t.Errorf("what does not rest was changed: %+v", r)
	}
}

func TestGiveUp(t *testing.T) {
	s, _ := Begin(goal()).Measured(seen(400, 10*ms, 1), round, noon)
	s = s.GiveUp("pod a did not acknowledge batch size 8", noon)
	if s.Phase != Resting || s.Size != 1 || !s.Rest.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("gave up: %+v", s)
	}
	if got := s.Steps(); len(got) != 2 || !strings.Contains(got[1], "back to batch size 1: pod a did not acknowledge batch size 8; nothing is tried before") {
		t.Errorf("says %q", got)
	}
}

func TestWords(t *testing.T) {
	g := goal()
	g.Trial = 20 * time.Second
	one := seen(1204, 50*ms, 4)
	one.Memory = 64 << 20
	s, _ := Begin(g).Measured(one, round, noon)
	// p99: 20 + 0.99 × 30 = 49.7 ms. CPU 4 ms: $0.00004. Memory: 1/16 GiB × 1000 / 60.2 × $0.000001 = $0.00000103818.
	want := "batch size 1: p99 50 ms (between 20 ms and 50 ms), $0.000041 per 1,000 requests (1,204 requests in 20 s)"
	if got := s.Steps(); len(got) != 1 || got[0] != want {
		t.Errorf("says %q, want %q", got, want)
	}
	w := seen(150, 10*ms, 1)
	w.Elapsed = 14 * time.Second
	if got, want := s.Progress(w), "measuring batch size 8 (2 of 3): 14 s of 20 s, 150 of 200 requests, p99 so far 9.9 ms"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	eight := seen(990, 100*ms, 3)
	eight.Errors, eight.Elapsed = 11, 150*time.Second
	s, _ = s.Measured(eight, Price{Unpriced: []string{"x9.huge in mars-1"}}, noon)
	want = "batch size 8: p99 above 100 ms, 3.0 ms of CPU a request, unpriced (no price for x9.huge in mars-1) (1,001 requests in 2m30s, 11 of them not answered); over the SLO of 50 ms at p99"
	if got := s.Steps(); len(got) != 2 || got[1] != want {
		t.Errorf("says %q, want %q", got, want)
	}
	s, _ = s.Measured(seen(400, 50*ms, 2), round, noon)
	s.Goal.SLO.Latency = 49900 * time.Microsecond
	if got := s.Steps()[2]; !strings.HasSuffix(got, "within the SLO of 50 ms at p99 if latencies are spread evenly over their bucket") {
		t.Errorf("says %q", got)
	}
	s = settle(t, goal(), func(size int) Window { return seen(400, 20*ms, 9/float64(size)) }, round)
	if got, want := s.Compared(), "batch size 1 -> 32: p99 20 ms -> 20 ms, $0.00009 -> $0.00000281 per 1,000 requests"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
}

// TestSpan: how durations are written.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 123 * time.Microsecond: "0.12 ms", 4100 * time.Microsecond: "4.1 ms", 38 * ms: "38 ms", 250 * ms: "250 ms",
		1250 * ms: "1.2 s", 10 * time.Second: "10 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

// TestWhateverHappens: random windows and events, in any order. What should be in force is always one
// of the sizes asked for; each is tried at most once a round; a settled size that met the SLO did so in
// its own trial and no other such trial was cheaper by more than the tie; and a state outlives JSON.
func TestWhateverHappens(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		g := goal()
		g.Start = 1 + r.IntN(9)
		s, at := Begin(g), noon
		for range 40 {
			at = at.Add(time.Duration(r.IntN(5)) * time.Hour)
			switch r.IntN(8) {
			case 0:
				s = s.InForce(at)
			case 1:
				if s.Phase == Trying && r.IntN(4) == 0 {
					s = s.GiveUp("why", at)
				}
			case 2:
				s = s.Rested(at)
			default:
				s, _ = s.Measured(seen(r.Int64N(600), append(bounds, 0)[r.IntN(5)], 1+3*r.Float64()), round, at)
			}
			check(t, s)
			text, err := json.Marshal(s)
			var back State
			if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, s) {
				t.Fatalf("%+v became %+v, %v", s, back, err)
			}
		}
	}
}

func check(t *testing.T, s State) {
	t.Helper()
	sizes := append(slices.Clone(s.Goal.Sizes), s.Goal.Start)
	if !slices.Contains(sizes, s.Size) {
		t.Fatalf("size %d is none of %v", s.Size, sizes)
	}
	tried := map[int]bool{}
	for _, tr := range s.Trials {
		if tried[tr.Size] || tr.Requests < 200 {
			t.Fatalf("trials %+v", s.Trials)
		}
		tried[tr.Size] = true
	}
	if s.Phase != Settled || !s.Met {
		return
	}
	chosen, _ := s.Trial(s.Size)
	for _, tr := range s.Trials {
		cheaper := float64(tr.Cost)*1.0501 < float64(chosen.Cost)
		if !chosen.Latency.within(50*ms) || cheaper && tr.Latency.within(50*ms) {
			t.Fatalf("%d was chosen of %+v", s.Size, s.Trials)
		}
	}
}
