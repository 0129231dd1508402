package sharing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var nan = math.NaN()

// pod is steady over n slots.
func pod(name string, c Card, duty, gibs float64, n int) Pod {
	return Pod{Name: name, Card: c, Duty: slices.Repeat([]float64{duty}, n), Memory: slices.Repeat([]float64{gibs * gib}, n)}
}

// show is a plan in short: "a+b c" for two cards.
func show(s Sharing) string {
	var out []string
	for _, g := range s.Groups {
		out = append(out, strings.Join(g.Pods, "+"))
	}
	return strings.Join(out, " ")
}

// TestPlan. The card has 79 GiB: with a margin of 5 % it holds peaks of 75.2 GiB together; with 10 % on the
// duty, pods busy for 72.7 % together fill it to 80 %.
func TestPlan(t *testing.T) {
	c := card(t, "A100-80GB")
	half := func(first, second float64) []float64 {
		return append(slices.Repeat([]float64{first}, 50), slices.Repeat([]float64{second}, 50)...)
	}
	busy := func(name string, duty []float64) Pod {
		p := pod(name, c, 0, 10, 100)
		p.Duty = duty
		return p
	}
	for _, k := range []struct {
		name string
		pods []Pod
		want string
	}{
		{"nobody", nil, ""},
		{"one", []Pod{pod("a", c, 0.1, 10, 100)}, "a"},
		{"memory fits", []Pod{pod("a", c, 0.1, 37, 100), pod("b", c, 0.1, 38, 100)}, "a+b"},
		{"memory does not", []Pod{pod("a", c, 0.1, 38, 100), pod("b", c, 0.1, 38, 100)}, "a b"},
		{"duty fits", []Pod{pod("a", c, 0.36, 10, 100), pod("b", c, 0.36, 10, 100)}, "a+b"},
		{"duty does not", []Pod{pod("a", c, 0.37, 10, 100), pod("b", c, 0.37, 10, 100)}, "a b"},
		{"busy by turns", []Pod{busy("a", half(0.7, 0)), busy("b", half(0, 0.7))}, "a+b"},
		{"busy at once", []Pod{busy("a", half(0.7, 0)), busy("b", half(0.7, 0))}, "a b"},
		{"largest first", []Pod{pod("s", c, 0, 15, 100), pod("m", c, 0, 35, 100), pod("l", c, 0, 60, 100), pod("x", c, 0, 40, 100)}, "l+s m+x"},
		{"at most eight", []Pod{pod("a", c, 0, 1, 99), pod("b", c, 0, 1, 99), pod("c", c, 0, 1, 99), pod("d", c, 0, 1, 99), pod("e", c, 0, 1, 99),
			pod("f", c, 0, 1, 99), pod("g", c, 0, 1, 99), pod("h", c, 0, 1, 99), pod("i", c, 0, 1, 99)}, "a+b+c+d+e+f+g+h i"},
		{"other cards", []Pod{pod("a", c, 0, 1, 99), pod("b", card(t, "H200"), 0, 1, 99)}, "a b"},
	} {
		if got := show(Plan(k.pods, five())); got != k.want {
			t.Errorf("%s: got %q, want %q", k.name, got, k.want)
		}
	}
}

// TestAlone: every reason, beside a pod that would take anyone.
func TestAlone(t *testing.T) {
	c := card(t, "A100-80GB")
	for want, p := range map[Reason]Pod{
		NoCard:       {Name: "p", Duty: []float64{0.1}, Memory: []float64{gib}},
		NoDuty:       {Name: "p", Card: c, Duty: []float64{nan, nan}, Memory: slices.Repeat([]float64{gib}, 100)},
		NoMemory:     {Name: "p", Card: c, Duty: slices.Repeat([]float64{0.1}, 100)},
		TooShort:     pod("p", c, 0.1, 1, 59),
		TooSparse:    {Name: "p", Card: c, Duty: slices.Repeat([]float64{0.1, nan, nan}, 60), Memory: slices.Repeat([]float64{gib}, 180)},
		NoCompanions: pod("p", c, 0.1, 78, 100),
	} {
		s := Plan([]Pod{pod("q", c, 0.01, 1, 180), p}, five())
		if len(s.Groups) != 2 {
			t.Fatalf("%s: %s", want, show(s))
		}
		for _, g := range s.Groups {
			if g.Pods[0] == "p" && (g.Why != want || g.Way != "") {
				t.Errorf("%s: got %+v", want, g)
			}
		}
	}
	o := five()
	if o.Way = MIG; Plan([]Pod{pod("p", card(t, "T4"), 0.1, 1, 99)}, o).Groups[0].Why != TooBig {
		t.Error("a slice of a card that has no MIG")
	}
	if s := Plan([]Pod{pod("p", c, 0, 1, 99), pod("q", c, 0, 1, 99)}, Options{}); len(s.Groups) != 2 {
		t.Errorf("the zero options share: %s", show(s))
	}
}

// TestHolesAreFilled: in a slot in which b was not measured it counts as much as its p99, 0.4: with the 0.4 of
// a that is 0.8, 0.88 with the margin.
func TestHolesAreFilled(t *testing.T) {
	c := card(t, "A100-80GB")
	a, b := pod("a", c, 0.4, 10, 200), pod("b", c, 0.4, 10, 200)
	for i := range 100 {
		a.Duty[i], b.Duty[100+i] = 0, 0 // by turns
	}
	if got := show(Plan([]Pod{a, b}, five())); got != "a+b" {
		t.Fatalf("got %s", got)
	}
	for i := 150; i < 160; i++ {
		b.Duty[i] = nan
	}
	if got := show(Plan([]Pod{a, b}, five())); got != "a b" {
		t.Errorf("got %s", got)
	}
}

// TestSlices: 1g.10gb has 9.5 GiB, 3g.40gb 39.25; with the margins 9 GiB need 9.45, and a duty of 0.1 keeps
// one slice of seven busy for 0.77.
func TestSlices(t *testing.T) {
	c, o := card(t, "A100-80GB"), five()
	o.Way = MIG
	s := Plan([]Pod{pod("a", c, 0.1, 9, 99), pod("b", c, 0.1, 30, 99), pod("c", c, 0.1, 9, 99), pod("d", c, 0.1, 30, 99), pod("e", c, 0.1, 18, 99)}, o)
	if got := show(s); got != "b+d a+c+e" {
		t.Fatalf("got %s", got)
	}
	if g := s.Groups[1]; !slices.Equal(g.Profiles, []string{"1g.10gb", "1g.10gb", "1g.20gb"}) || !slices.Equal(g.Starts, []int{0, 1, 2}) || g.Way != MIG {
		t.Errorf("got %+v", g)
	}
	if g := s.Groups[0]; math.Abs(g.Duty-0.2) > 1e-9 || g.Memory != 60*gib {
		t.Errorf("got %+v, want 20 %% busy and 60 GiB", g)
	}
}

func TestReplan(t *testing.T) {
	c, o := card(t, "A100-80GB"), five()
	before := Sharing{Groups: []Group{{Number: 1, Pods: []string{"a", "b"}}, {Number: 4, Pods: []string{"c", "d"}}}}
	all := []Pod{pod("a", c, 0, 35, 99), pod("b", c, 0, 30, 99), pod("c", c, 0, 40, 99), pod("d", c, 0, 10, 99)}
	for _, k := range []struct {
		name  string
		pods  []Pod
		want  string
		moved string
	}{
		{"all stay", all, "a+b c+d", ""},
		{"one comes", append(slices.Clone(all), pod("e", c, 0, 20, 99)), "a+b c+d+e", ""},
		{"one comes for whom another moves", append(slices.Clone(all), pod("e", c, 0, 35, 99)), "a+b+d c+e", "d"},
		{"one comes that is too big", append(slices.Clone(all), pod("e", c, 0, 50, 99)), "a+b e c+d", ""},
		{"one goes", all[:3], "a+b c", ""},
		{"two go and a card is saved", []Pod{all[1], all[2]}, "b+c", "b"},
		{"within half of the margin", append(slices.Clone(all[:3]), pod("d", c, 0, 36.5, 99)), "a+b c+d", ""}, // 76.5 × 1.025 = 78.4
		{"one has grown, and two that move save a card", append(slices.Clone(all[:3]), pod("d", c, 0, 38, 99)), "b+d a+c", "a d"},
	} {
		s := Replan(before, k.pods, o)
		if got := show(s); got != k.want || strings.Join(s.Moved, " ") != k.moved {
			t.Errorf("%s: got %q, moved %v, want %q, %q", k.name, got, s.Moved, k.want, k.moved)
		}
	}
}

// random is some pods on a few cards, some of them hardly measured.
func random(t testing.TB, r *rand.Rand) []Pod {
	cards := []Card{card(t, "A100-80GB"), card(t, "H200"), {}}
	var out []Pod
	for i := range 2 + r.IntN(20) {
		n := 40 + r.IntN(160)
		p := Pod{Name: fmt.Sprintf("p%02d", i), Card: cards[min(len(cards)-1, r.IntN(12)/5)]}
		scale, gibs := r.Float64(), 40*r.Float64()
		for range n {
			p.Duty, p.Memory = append(p.Duty, scale*r.Float64()), append(p.Memory, gibs*(0.5+0.5*r.Float64())*gib)
			if r.IntN(10) == 0 {
				p.Duty[len(p.Duty)-1] = nan
			}
		}
		out = append(out, p)
	}
	return out
}

// TestPlanIsSound, whatever was measured: every pod has one card; in what was measured no shared card ever
// holds more than its memory, nor is it busier than it may be; slices do not overlap; and the order of the
// pods changes nothing.
func TestPlanIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	shared := 0
	for i := range 400 {
		pods, o := random(t, r), five()
		if i%2 == 1 {
			o.Way = MIG
		}
		s := Plan(pods, o)
		shared += len(pods) - len(s.Groups)
		check(t, s, pods, o)
		mixed := slices.Clone(pods)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if !reflect.DeepEqual(s, Plan(mixed, o)) {
			t.Fatalf("another order, another plan: %s", show(s))
		}
		if again := Replan(s, mixed, o); len(again.Moved) > 0 || show(again) != show(s) {
			t.Fatalf("planned again %v moved: %s, %s", again.Moved, show(s), show(again))
		}
	}
	if shared == 0 {
		t.Error("nothing was shared")
	}
}

func check(t *testing.T, s Sharing, pods []Pod, o Options) {
	t.Helper()
	seen, byName := map[string]int{}, map[string]Pod{}
	for _, p := range pods {
		byName[p.Name] = p
	}
	for _, g := range s.Groups {
		var profiles []Profile
		for i, name := range g.Pods {
			seen[name]++
			if p := byName[name]; g.Way == MIG {
				profiles = append(profiles, named(t, p.Card, g.Profiles[i])...)
				if busy := p.Card.slowed(Percentile(p.Duty, o.Percentile), profiles[i]); busy > o.Busy {
					t.Fatalf("%s is busy %v in %s", name, busy, g.Profiles[i])
				}
			}
			if g.Way != "" && unmeasured(byName[name], o) != "" {
				t.Fatalf("%s was not measured and shares", name)
			}
		}
		if g.Way == MIG && !apart(byName[g.Pods[0]].Card, profiles, g.Starts) {
			t.Fatalf("%+v overlap", g)
		}
		if g.Way == "" && len(g.Pods) != 1 || g.Way != "" && len(g.Pods) < 2 || (g.Why == "") != (g.Way != "") {
			t.Fatalf("%+v", g)
		}
	}
	for _, u := range Judge(s, pods, 0, longest(pods)) {
		if u.Overflow > 0 || u.Pods > 1 && o.Way == TimeSlice && Percentile(u.Duty, o.Percentile) > o.Busy {
			t.Fatalf("card %d: %d slots over, p99 %v", u.Number, u.Overflow, Percentile(u.Duty, o.Percentile))
		}
	}
	if len(seen) != len(pods) || len(s.Groups) > len(pods) {
		t.Fatalf("%d of %d pods on %d cards", len(seen), len(pods), len(s.Groups))
	}
}

// TestPlanIsNearTheBest that any packing by memory could be, found by trying all.
func TestPlanIsNearTheBest(t *testing.T) {
	r, c := rand.New(rand.NewPCG(3, 9)), card(t, "A100-80GB")
	best := 0
	for range 300 {
		var pods []Pod
		var sizes []float64
		for i := range 1 + r.IntN(8) {
			sizes = append(sizes, float64(5+r.IntN(45)))
			pods = append(pods, pod(fmt.Sprint("p", i), c, 0, sizes[i], 60))
		}
		got, want := len(Plan(pods, five()).Groups), fewest(sizes, nil, 79/1.05)
		if got < want || got > want+1 {
			t.Fatalf("%v: %d cards, %d would do", sizes, got, want)
		}
		if got == want {
			best++
		}
	}
	if best < 270 {
		t.Errorf("only %d of 300 plans were the best", best)
	}
}

func fewest(sizes, bins []float64, limit float64) int {
	if len(sizes) == 0 {
		return len(bins)
	}
	out := fewest(sizes[1:], append(slices.Clone(bins), sizes[0]), limit)
	for i := range bins {
		if next := slices.Clone(bins); next[i]+sizes[0] <= limit {
			next[i] += sizes[0]
			out = min(out, fewest(sizes[1:], next, limit))
		}
	}
	return out
}

// TestJudge: 50 + 40 GiB are more than 79, 50 + 20 are not.
func TestJudge(t *testing.T) {
	c := card(t, "A100-80GB")
	a, b := pod("a", c, 0.2, 50, 4), pod("b", c, 0.1, 20, 3)
	b.Memory[1], b.Duty[2] = 40*gib, nan
	both := Sharing{Groups: []Group{{Number: 3, Way: TimeSlice, Pods: []string{"a", "b"}}}}
	got, sums := Judge(both, []Pod{a, b}, 1, 4), []float64{a.Duty[0] + b.Duty[0], 0.2, 0.2}
	if want := []Use{{Number: 3, Pods: 2, Overflow: 1, Duty: sums, Slice: sums}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// In slices: a of 4g.40gb always over 39.25 GiB, b of 3g.40gb once; busy 0.2 × 7/4 and 0.1 × 7/3.
	both.Groups[0].Way, both.Groups[0].Profiles = MIG, []string{"4g.40gb", "3g.40gb"}
	if u := Judge(both, []Pod{a, b}, 0, 4)[0]; u.Overflow != 4 || math.Abs(u.Slice[0]-0.35) > 1e-12 {
		t.Errorf("got %+v", u)
	}
}

// TestPlanKruize. Fifteen slots of a minute are an interval: of four intervals with largest duties 0.1, 0.2,
// 0.3 and 0.9, p60 is the third, 0.3, and p98 the fourth. 3/7 is 0.43 and 4/8 of 79 GiB 39.5.
func TestPlanKruize(t *testing.T) {
	c := card(t, "A100-80GB")
	p := pod("a", c, 0, 30, 60)
	for i, v := range []float64{0.1, 0.2, 0.3, 0.9} {
		p.Duty[15*i+7] = v
	}
	q := p
	q.Name = "b"
	s := PlanKruize(Sharing{}, []Pod{p, q}, time.Minute, KruizeCost)
	if show(s) != "a+b" || !slices.Equal(s.Groups[0].Profiles, []string{"3g.40gb", "3g.40gb"}) {
		t.Errorf("got %+v", s)
	}
	if s := PlanKruize(Sharing{}, []Pod{p, q}, time.Minute, KruizePerformance); show(s) != "a b" {
		t.Errorf("got %+v", s)
	}
	if s := PlanKruize(Sharing{}, []Pod{pod("a", c, 0.1, 1, 29), pod("b", card(t, "T4"), 0.1, 1, 60)}, time.Minute, KruizeCost); s.Groups[0].Why != TooShort && s.Groups[1].Why != TooShort {
		t.Errorf("got %+v", s)
	}
}

// five is the options with a memory margin of 5 %, which the numbers of these tests are worked out with.
func five() Options {
	o := DefaultOptions()
	o.MemoryMargin = 0.05
	return o
}
