package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	inf = float32(math.Inf(1))
	nan = float32(math.NaN())
)

// walk is the naive twin: one row through one tree, with the comparisons as they are written.
func (t Tree) walk(row, sums []float32) {
	at := int32(0)
	for t[at].Mode != Leaf {
		n := &t[at]
		v := row[n.Feature]
		if n.Mode.holds(v, n.Threshold) || n.MissingTrue && v != v {
			at = n.True
		} else {
			at = n.False
		}
	}
	for _, w := range t[at].Weights {
		sums[w.Target] += w.Value
	}
}

func (m Mode) holds(v, threshold float32) bool {
	switch m {
	case LEQ:
		return v <= threshold
	case LT:
		return v < threshold
	case GTE:
		return v >= threshold
	case GT:
		return v > threshold
	case EQ:
		return v == threshold
	}
	return v != threshold
}

// grow makes a random tree: shape says how likely a node at a depth is a decision, one sets the target of
// its leaves, -1 any number of weights for any targets. Weights are whole, so that sums are exact.
func grow(r *rand.Rand, shape func(depth int) float64, width, targets, one int, modes []Mode, missing bool) Tree {
	t := Tree{{}}
	depths := []int{0}
	for i := 0; i < len(t); i++ {
		if r.Float64() >= shape(depths[i]) {
			t[i].Weights = weights(r, targets, one)
			continue
		}
		t[i] = Node{Mode: modes[r.IntN(len(modes))], Feature: int32(r.IntN(width)), Threshold: number(r, false),
			True: int32(len(t)), False: int32(len(t) + 1), MissingTrue: missing && r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			t[i].True, t[i].False = t[i].False, t[i].True
		}
		t = append(t, Node{}, Node{})
		depths = append(depths, depths[i]+1, depths[i]+1)
	}
	return t
}

func weights(r *rand.Rand, targets, one int) (all []Weight) {
	if one >= 0 {
		return []Weight{{int32(one), float32(r.IntN(100) - 50)}}
	}
	for range r.IntN(targets + 1) {
		all = append(all, Weight{int32(r.IntN(targets)), float32(r.IntN(100) - 50)})
	}
	return all
}

// number draws from few, so that values meet thresholds, and from the ends of what there is.
func number(r *rand.Rand, anything bool) float32 {
	few := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 2, 0.5, math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, inf, -inf, nan, nan}
	if !anything {
		few = few[:len(few)-2]
	}
	if r.IntN(3) == 0 {
		return float32(r.NormFloat64())
	}
	return few[r.IntN(len(few))]
}

func sums(t *testing.T, trees []Tree, targets int, x []float32, width, rows int) []float32 {
	t.Helper()
	f, err := NewForest(trees, targets)
	if err != nil {
		t.Fatal(err)
	}
	y := make([]float32, rows*targets)
	f.Apply(x, width, y, rows)
	return y
}

func TestForestLikeNaive(t *testing.T) {
	r := random()
	even := func(depth int) func(int) float64 {
		return func(d int) float64 { return map[bool]float64{true: 1}[d < depth] }
	}
	thin := func(d int) float64 { return map[bool]float64{true: 1, false: 0.5 - float64(d)/400}[d < 3] }
	shapes := []func(int) float64{even(0), even(1), even(6), even(9), thin,
		func(d int) float64 { return map[bool]float64{true: 0.9}[d < 7] }}
	all := []Mode{LEQ, LT, GTE, GT, EQ, NEQ}
	seen := map[string]bool{}
	for n := range 300 {
		width, targets, rows := 1+r.IntN(9), 1+r.IntN(4), 1+r.IntN(140)
		var trees []Tree
		for range 1 + r.IntN(12) {
			modes := [][]Mode{all, {LEQ}, {LT}, {all[r.IntN(6)]}}[r.IntN(4)]
			trees = append(trees, grow(r, shapes[r.IntN(len(shapes))], width, targets, r.IntN(targets+1)-1, modes, n%3 == 0))
		}
		x, want := make([]float32, rows*width), make([]float32, rows*targets)
		for i := range x {
			x[i] = number(r, true)
		}
		for i := range rows {
			for _, tree := range trees {
				tree.walk(x[i*width:], want[i*targets:])
			}
		}
		if got := sums(t, trees, targets, x, width, rows); !slices.Equal(got, want) {
			t.Fatalf("forest %d: %v, want %v", n, got, want)
		}
		f, _ := NewForest(trees, targets)
		for _, g := range f.groups {
			seen[fmt.Sprint(g.heap, g.vector, f.missing)] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("only these layouts were seen: %v", seen)
	}
}

// TestForestModes is each mode at, below and above its threshold, and without a value.
func TestForestModes(t *testing.T) {
	x := []float32{1, 2, 3, inf, -inf, nan}
	for _, c := range []struct {
		mode      Mode
		threshold float32
		missing   bool
		want      string
	}{
		{LEQ, 2, false, "TTFFTF"}, {LEQ, 2, true, "TTFFTT"}, {LT, 2, false, "TFFFTF"}, {LT, 2, true, "TFFFTT"},
		{GTE, 2, false, "FTTTFF"}, {GTE, 2, true, "FTTTFT"}, {GT, 2, false, "FFTTFF"}, {GT, 2, true, "FFTTFT"},
		{EQ, 2, false, "FTFFFF"}, {EQ, 2, true, "FTFFFT"}, {NEQ, 2, false, "TFTTTT"}, {NEQ, 2, true, "TFTTTT"},
		{LEQ, inf, false, "TTTTTF"}, {LT, inf, false, "TTTFTF"}, {GT, -inf, false, "TTTTFF"}, {EQ, inf, false, "FFFTFF"},
		{LEQ, -inf, false, "FFFFTF"}, {LT, -inf, false, "FFFFFF"}, {LT, -inf, true, "FFFFFT"}, {GTE, -inf, false, "TTTTTF"},
		{GTE, -inf, true, "TTTTTT"}, {EQ, -inf, true, "FFFFTT"}, {NEQ, -inf, false, "TTTTFT"},
	} {
		tree := Tree{{Mode: c.mode, Threshold: c.threshold, True: 1, False: 2, MissingTrue: c.missing}, {Weights: []Weight{{0, 1}}}, {}}
		got := ""
		for _, v := range sums(t, []Tree{tree}, 1, x, 1, len(x)) {
			got += map[bool]string{true: "T", false: "F"}[v == 1]
		}
		if got != c.want {
			t.Errorf("mode %d, threshold %v, missing %v: %s, want %s", c.mode, c.threshold, c.missing, got, c.want)
		}
	}
}

// TestForestLongEqual: a tree that asks for one value after the other, as categories are asked for, is
// laid out once and not once for each way into it.
func TestForestLongEqual(t *testing.T) {
	const n = 1000
	var tree Tree
	for i := range n {
		tree = append(tree, Node{Mode: EQ, Threshold: float32(i), True: int32(2*i + 1), False: int32(2*i + 2)}, Node{Weights: []Weight{{0, float32(i)}}})
	}
	tree = append(tree, Node{Weights: []Weight{{0, -1}}})
	got := sums(t, []Tree{tree}, 1, []float32{0, 1, 500, n - 1, n, 0.5}, 1, 6)
	if want := []float32{0, 1, 500, n - 1, -1, -1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if f, _ := NewForest([]Tree{tree}, 1); f.Bytes() > 10*n*int64(nodeBytes) {
		t.Errorf("%d questions take %d bytes", n, f.Bytes())
	}
}

// TestForestEveryBatch: the sums of a row are the same to the last bit whatever is beside it.
func TestForestEveryBatch(t *testing.T) {
	r := random()
	const width = 10
	var trees []Tree
	for range 50 {
		tree := grow(r, func(d int) float64 { return 1 - float64(d)/8 }, width, 1, 0, []Mode{LEQ, LT}, true)
		for i := range tree {
			for j := range tree[i].Weights {
				tree[i].Weights[j].Value = float32(r.NormFloat64())
			}
		}
		trees = append(trees, tree)
	}
	x := noise(r, 200*width, 1)
	all := sums(t, trees, 1, x, width, 200)
	for i := range 200 {
		if got := sums(t, trees, 1, x[i*width:], width, 1); got[0] != all[i] {
			t.Fatalf("row %d alone is %v, among others %v", i, got[0], all[i])
		}
	}
}

func TestForestAddsToSums(t *testing.T) {
	f, err := NewForest([]Tree{{{Weights: []Weight{{1, 2}, {1, 3}}}}}, 2)
	y := []float32{10, 20}
	if err == nil {
		f.Apply(nil, 0, y, 1)
	}
	if err != nil || f.width != 0 || !slices.Equal(y, []float32{10, 25}) {
		t.Errorf("%v, want [10 25] (%v)", y, err)
	}
}

func TestForestRefuses(t *testing.T) {
	ask := func(yes, no int32) Node { return Node{Mode: LEQ, True: yes, False: no} }
	for _, c := range []struct {
		tree Tree
		want string
	}{
		{Tree{}, "no nodes"},
		{Tree{ask(1, 2), {}}, "node 0 leads to node 2"},
		{Tree{ask(1, -1), {}}, "node 0 leads to node -1"},
		{Tree{ask(0, 1), {}}, "node 0 leads to node 0"},
		{Tree{ask(1, 2), ask(0, 3), {}, {}}, "node 1 leads to node 0"},
		{Tree{ask(1, 1), {}}, "node 0 leads to node 1"},
		{Tree{ask(1, 2), ask(2, 3), {}, {}}, "node 1 leads to node 2"},
		{Tree{{Mode: 7, True: 1, False: 2}, {}, {}}, "mode 7"},
		{Tree{{Mode: LEQ, Feature: -1, True: 1, False: 2}, {}, {}}, "feature -1"},
		{Tree{{Mode: LEQ, Feature: mostFeatures, True: 1, False: 2}, {}, {}}, "feature 16777216"},
		{Tree{{Mode: LEQ, Threshold: nan, True: 1, False: 2}, {}, {}}, "not a number"},
		{Tree{{Weights: []Weight{{2, 1}}}}, "target 2"},
		{Tree{{Weights: []Weight{{-1, 1}}}}, "target -1"},
	} {
		_, err := NewForest([]Tree{{{}}, c.tree, c.tree}, 2)
		if err == nil || strings.Count(err.Error(), c.want) != 2 || !strings.Contains(err.Error(), "tree 1") {
			t.Errorf("%v: %v, want %q for both trees", c.tree, err, c.want)
		}
	}
}

func TestForestRefusesHugeLeaves(t *testing.T) {
	two := Tree{{Weights: []Weight{{0, 1}, {1, 1}}}}
	for _, targets := range []int{1 << 27, 1 << 40, math.MaxInt} {
		if _, err := NewForest([]Tree{two}, targets); err == nil {
			t.Errorf("%d targets: no error", targets)
		}
	}
}

func TestForestRefusesShortRows(t *testing.T) {
	f, _ := NewForest([]Tree{{{Mode: LEQ, Feature: 3, True: 1, False: 2}, {}, {}}}, 1)
	defer func() {
		if recover() == nil {
			t.Error("a row of 3 values was computed; the tree asks for the fourth")
		}
	}()
	f.Apply(make([]float32, 6), 3, make([]float32, 2), 2)
}

// FuzzNewForest: whatever the nodes are, they are refused or computed as the naive twin does.
func FuzzNewForest(f *testing.F) {
	f.Add([]byte{1, 0, 1, 2, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9})
	f.Add([]byte{0x45, 2, 1, 2, 0x86, 3, 3, 4, 0, 7, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tree Tree
		for ; len(b) >= 4; b = b[4:] {
			tree = append(tree, Node{Mode: Mode(b[0] & 15), MissingTrue: b[0]&64 != 0, Feature: int32(b[1] & 3), Threshold: float32(int8(b[1])),
				True: int32(int8(b[2])), False: int32(int8(b[3])), Weights: []Weight{{int32(b[2] & 1), float32(b[3])}}})
		}
		forest, err := NewForest([]Tree{tree}, 2)
		if err != nil {
			return
		}
		x, got, want := []float32{-3, 0, 3, nan}, make([]float32, 2), make([]float32, 2)
		forest.Apply(x, 4, got, 1)
		tree.walk(x, want)
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// BenchmarkForest rotates its rows: a processor learns the ways of few.
func BenchmarkForest(b *testing.B) {
	const width, most = 50, 1024
	r := random()
	x := noise(r, most*width, 1)
	leaves := func(d int) float64 { return map[bool]float64{true: 1, false: 0.4}[d < 4] }
	for name, shape := range map[string]func(d int) float64{
		"even": func(d int) float64 { return map[bool]float64{true: 1}[d < 6] }, "uneven": leaves,
	} {
		for _, missing := range []bool{false, true} {
			var trees []Tree
			for range 500 {
				tree := grow(r, shape, width, 1, 0, []Mode{LEQ}, missing)
				for i := range tree {
					tree[i].Threshold = float32(r.NormFloat64())
				}
				trees = append(trees, tree)
			}
			f, _ := NewForest(trees, 1)
			for _, rows := range []int{1, 4, 16, 64} {
				b.Run(fmt.Sprintf("%s/missing=%v/%d", name, missing, rows), func(b *testing.B) {
					y, at, least := make([]float32, rows), 0, time.Hour
					for b.Loop() {
						begin := time.Now()
						f.Apply(x[at*width:], width, y, rows)
						least = min(least, time.Since(begin))
						at = (at + rows) % most
					}
					b.ReportMetric(least.Seconds()*1e6/float64(rows), "least-us/row")
				})
			}
		}
	}
}
