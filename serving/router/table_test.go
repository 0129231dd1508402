package router

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

type atomicTurn = atomic.Uint64

func TestTurned(t *testing.T) {
	for _, tt := range []struct {
		weights []int64
		want    string
	}{
		{[]int64{1}, "0000"},
		{[]int64{1, 1}, "0101"},
		{[]int64{2, 1, 1}, "01020102"},
		{[]int64{0, 1, 2}, "122122"},
		{[]int64{3, 1}, "0001"},
		{[]int64{1, 0, 3}, "0222"},
	} {
		got, sum := "", int64(0)
		for _, w := range tt.weights {
			sum += w
		}
		for i := range len(tt.want) {
			got += fmt.Sprint(turned(uint64(i), tt.weights, sum))
		}
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.weights, got, tt.want)
		}
	}
}

// TestTurnedExact: any window as long as the sum of the weights has exactly the weights, wherever it begins,
// and no shorter one is far from its part.
func TestTurnedExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, weights := range [][]int64{{95, 5}, {1, 1, 1}, {7, 2, 1}, {1, 2, 3, 4, 5}, {0, 9, 1}, {1, 999}, {33, 33, 34}} {
		sum := int64(0)
		for _, w := range weights {
			sum += w
		}
		for range 20 {
			from, length := random.Uint64N(1<<63), 1+random.Int64N(sum)
			counts, early := make([]int64, len(weights)), make([]int64, len(weights))
			for i := range sum {
				who := turned(from+uint64(i), weights, sum)
				counts[who]++
				if i < length {
					early[who]++
				}
			}
			for i, w := range weights {
				part := float64(w) * float64(length) / float64(sum)
				if counts[i] != w || math.Abs(float64(early[i])-part) > float64(len(weights)) {
					t.Errorf("%v from %d: %v in %d turns, %v in %d", weights, from, counts, sum, early, length)
				}
			}
		}
	}
}

// TestKeyed: one key stays with one version; shares are kept; when the last version grows only keys that it
// takes over move.
func TestKeyed(t *testing.T) {
	const keys = 20_000
	before, after := make([]int, 3), make([]int, 3)
	for i := range keys {
		h := hash(fmt.Sprintf("customer-%d", i))
		a, b := keyed(h, []int64{60, 30, 10}, 100), keyed(h, []int64{50, 25, 25}, 100)
		before[a]++
		after[b]++
		if c := keyed(h, []int64{60, 20, 20}, 100); c != a && c != 2 {
			t.Fatalf("key %d moved from %d to %d, which did not grow", i, a, c)
		}
	}
	for i, want := range [][2]int{{60, 50}, {30, 25}, {10, 25}} {
		for j, got := range []int{before[i], after[i]} {
			if math.Abs(float64(got)/keys-float64(want[j])/100) > 0.01 { // 3 standard deviations of 50 % in 20,000
				t.Errorf("version %d has %d of %d keys; want %d %%", i, got, keys, want[j])
			}
		}
	}
	if keyed(math.MaxUint64, []int64{1, 1}, 2) != 1 || keyed(0, []int64{0, 1}, 1) != 1 {
		t.Error("the ends of the line are wrong")
	}
}

func TestPick(t *testing.T) {
	r := newRig(t, nil)
	if _, _, err := r.Pick("a", "", Hint{}); !errors.Is(err, ErrLoading) || r.Ready() {
		t.Errorf("before the first Apply: %v", err)
	}
	for i, name := range []string{"a1", "a2", "b", "c"} {
		r.adds(name, 10*(i+1))
	}
	r.applies(`{"models": [
		{"name": "a", "versions": [{"version": "1", "file": "$/a1"}, {"version": "2", "file": "$/a2"}]},
		{"name": "commercial-valuation-model", "versions": [{"version": "1", "file": "$/b"}]},
		{"name": "general-valuation-model", "versions": [{"version": "1", "file": "$/c"}]}],
	"routes": [
		{"model": "valuation", "header": "X-Tier", "is": {"gold": "a/1"}},
		{"model": "valuation", "field": "propertyType", "is": {"commercial": "commercial-valuation-model"}, "otherwise": "general-valuation-model"},
		{"model": "a", "header": "X-Model-Version"},
		{"model": "commercial-valuation-model", "header": "X-Tier", "is": {"gold": "a"}, "otherwise": "commercial-valuation-model"},
		{"model": "strict", "field": "kind", "is": {"x": "a"}},
		{"model": "picky", "header": "X-A", "is": {"x": "a"}}]}`)
	header := func(name, value string) Hint {
		return Hint{Header: func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}}
	}
	field := func(name, value string) Hint {
		return Hint{Field: func(asked string) (string, bool) { return value, asked == name }}
	}
	for _, tt := range []struct {
		name, version string
		hint          Hint
		want          string
		err           error
	}{
		{"a", "", Hint{}, "a 2", nil}, // the last, for there are no weights
		{"a", "1", Hint{}, "a 1", nil},
		{"a", "3", Hint{}, "", ErrUnknownVersion},
		{"x", "", Hint{}, "", ErrUnknownModel},
		{"a", "", header("X-Model-Version", "1"), "a 1", nil},
		{"a", "2", header("X-Model-Version", "1"), "a 2", nil}, // the path says it
		{"a", "", header("X-Model-Version", "7"), "", ErrUnknownVersion},
		{"valuation", "", Hint{}, "general-valuation-model 1", nil},
		{"valuation", "", field("propertyType", "commercial"), "commercial-valuation-model 1", nil},
		{"valuation", "", field("propertyType", "castle"), "general-valuation-model 1", nil},
		{"valuation", "", field("other", "commercial"), "general-valuation-model 1", nil},
		{"", "", field("propertyType", "commercial"), "commercial-valuation-model 1", nil}, // the first alias is the default
		{"valuation", "", header("X-Tier", "gold"), "a 1", nil},
		{"valuation", "2", header("X-Tier", "gold"), "a 2", nil},
		{"valuation", "", header("X-Tier", "tin"), "general-valuation-model 1", nil},
		{"valuation", "9", Hint{}, "", ErrUnknownVersion},
		{"commercial-valuation-model", "", header("X-Tier", "gold"), "a 2", nil},
		{"commercial-valuation-model", "1", header("X-Tier", "gold"), "commercial-valuation-model 1", nil},
		{"commercial-valuation-model", "", header("X-Tier", "tin"), "commercial-valuation-model 1", nil},
		{"strict", "", Hint{}, "", ErrNoRule},
		{"strict", "", field("kind", "x"), "a 2", nil},
		{"picky", "", header("X-A", "y"), "", ErrNoRule},
	} {
		_, by, err := r.asks(tt.name, tt.version, tt.hint, 1)
		if by != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s/%s: by %s, %v; want %s, %v", tt.name, tt.version, by, err, tt.want, tt.err)
		}
	}
	if got := fmt.Sprint(r.Fields()); got != "[propertyType kind]" {
		t.Errorf("fields %s", got)
	}
	want := "[{a model [1 2] [] false} {commercial-valuation-model model [1] [] false} {general-valuation-model model [1] [] false} {picky alias [] [] false} {strict alias [] [] false} {valuation alias [] [] true}]"
	if got := fmt.Sprint(r.Models()); got != want {
		t.Errorf("models %s\nwant %s", got, want)
	}
}

// TestPickByWeight: shares are exact over any window, and go on when the table changes.
func TestPickByWeight(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	const text = `{"generation": %d, "models": [{"name": "a", "versions": [{"version": "1", "file": "$/f", "weight": 0.95}, {"version": "2", "file": "$/f", "weight": 0.05}, {"version": "3", "file": "$/f", "weight": 0}]}]}`
	r.applies(fmt.Sprintf(text, 1))
	counts := map[string]int{}
	for i := range 200 {
		if i == 73 {
			r.applies(fmt.Sprintf(text, 2))
		}
		to, release, err := r.Pick("a", "", Hint{})
		if err != nil {
			t.Fatal(err)
		}
		_, version := to.About()
		counts[version]++
		release()
	}
	if counts["1"] != 190 || counts["2"] != 10 || counts["3"] != 0 {
		t.Errorf("%v of 200 by 95 : 5 : 0", counts)
	}
	first := map[string]string{}
	for i := range 400 {
		key := fmt.Sprint(i % 100)
		_, by, err := r.asks("a", "", Hint{Key: key}, 1)
		if err != nil || first[key] != "" && first[key] != by {
			t.Fatalf("key %s went to %s, then to %s, %v", key, first[key], by, err)
		}
		first[key] = by
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	r.applies(`{"models": [{"name": "a", "versions": [{"version": "1", "file": "$/f", "weight": 1}, {"version": "2", "file": "$/f", "weight": 1}]}],
		"routes": [{"model": "r", "field": "f", "is": {"x": "a/1"}, "otherwise": "a"}]}`)
	hint := Hint{Field: func(string) (string, bool) { return "x", true }, Key: ""}
	for _, name := range []string{"a", "r", ""} {
		if n := testing.AllocsPerRun(100, func() {
			_, release, err := r.Pick(name, "", hint)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}); n != 0 {
			t.Errorf("picking %q allocates %v times", name, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	t := &table{models: map[string]*family{"a": newFamily([]*Entry{{Version: "1", Weight: 95}, {Version: "2", Weight: 5}}, new(atomicTurn))}}
	for _, e := range t.models["a"].entries {
		e.held = &held{}
		e.held.release = e.held.unhold
		e.held.holders.Store(1)
	}
	r := New(Options{})
	r.table.Store(t)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			_, release, _ := r.Pick("a", "", Hint{})
			release()
		}
	})
}

// TestAboutTakesNoTurn: a client that looks before each of its requests gets the versions in their shares.
func TestAboutTakesNoTurn(t *testing.T) {
	r := newRig(t, nil)
	if err := r.Known("a", ""); !errors.Is(err, ErrLoading) {
		t.Errorf("before the first table: %v", err)
	}
	r.adds("f", 1)
	r.applies(`{"models": [{"name": "a", "versions": [{"version": "1", "file": "$/f", "weight": 50}, {"version": "2", "file": "$/f", "weight": 50}, {"version": "3", "file": "$/f", "weight": 0}]},
		{"name": "x", "versions": [{"version": "1", "file": "toy:{\"mul\": 1, \"out\": [{\"Name\": \"x\", \"Type\": 12, \"Shape\": [2]}]}"}]}],
		"routes": [{"model": "by", "header": "H", "is": {"1": "a/1"}}, {"model": "else", "header": "H", "is": {}, "otherwise": "a/1"}],
		"chains": [{"name": "c", "steps": ["x", "a"]}]}`)
	got := map[string]int{}
	for range 10 {
		for _, name := range []string{"a", "c"} {
			if err := r.Known(name, ""); err != nil {
				t.Error(err)
			}
		}
		_, by, err := r.asks("a", "", Hint{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		got[by]++
	}
	if got["a 1"] != 5 || got["a 2"] != 5 {
		t.Errorf("shares %v, want 5 and 5", got)
	}
	for _, tt := range []struct {
		name, version string
		known, err    error
		versions      string
	}{
		{"a", "", nil, nil, "[1 2 3]"},
		{"a", "3", nil, nil, "[3]"},
		{"a", "4", ErrUnknownVersion, ErrUnknownVersion, "[]"},
		{"b", "", ErrUnknownModel, ErrUnknownModel, "[]"},
		{"by", "", nil, ErrNoRule, "[]"},
		{"else", "", nil, nil, "[1]"},
		{"c", "", nil, nil, "[1+2]"},
		{"c", "1", ErrUnknownVersion, ErrUnknownVersion, "[]"},
	} {
		versions, meta, err := r.About(tt.name, tt.version)
		if known := r.Known(tt.name, tt.version); !errors.Is(known, tt.known) || !errors.Is(err, tt.err) || fmt.Sprint(versions) != tt.versions || err == nil && len(meta.Inputs) != 1 {
			t.Errorf("%s %s: known %v, %v, versions %v", tt.name, tt.version, known, err, versions)
		}
	}
}
