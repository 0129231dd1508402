package examples

import (
	"math"
	"slices"
	"testing"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// summed runs a forest as the graph that it is exported as.
func summed(t *testing.T, f forest, in []float32, width int) []float32 {
	t.Helper()
	var g onnx.Graph
	g.Inputs = []onnx.Value{onnx.Rows("x", onnx.Float, width)}
	g.Outputs = []onnx.Value{onnx.Rows("y", onnx.Float, 1)}
	addForest(&g, f, "x", "y")
	out, err := answers(g, in)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func near(a float32, b float64) bool { return math.Abs(float64(a)-b) <= 1e-4*(1+math.Abs(b)) }

// TestDenseStep: loss y²/2 for y = 2*3 + 1 = 7, so grad is 7; with rate 0.1 the weight goes to
// 2 - 0.1*7*3 = -0.1, the bias to 1 - 0.1*7 = 0.3, and the slope by x is 7*2 = 14.
func TestDenseStep(t *testing.T) {
	d := dense{in: 1, out: 1, weight: []float32{2}, bias: []float32{1}}
	back := d.step([]float32{3}, []float32{7}, 0.1)
	if !near(d.weight[0], -0.1) || !near(d.bias[0], 0.3) || !near(back[0], 14) {
		t.Errorf("weight %v bias %v back %v, want -0.1 0.3 14", d.weight[0], d.bias[0], back[0])
	}
}

func TestSoftmax(t *testing.T) {
	x := []float32{1000, 1000 + float32(math.Log(3)), -1000} // weights 1, 3, 0: no overflow
	softmax(x)
	if !near(x[0], 0.25) || !near(x[1], 0.75) || x[2] != 0 {
		t.Errorf("softmax is %v, want 0.25 0.75 0", x)
	}
}

// TestTreeByHand walks a tree of depth 2: the root asks x0 > 1, its left child x1 > 2, its right x1 > 5.
func TestTreeByHand(t *testing.T) {
	tr := tree{nodes: []node{{0, 1}, {1, 2}, {1, 5}}, leaf: []float32{10, 20, 30, 40}}
	tests := []struct {
		x0, x1, want float32
	}{
		{1, 2, 10}, // not above 1: left; not above 2: left
		{0, 3, 20},
		{2, 5, 30},
		{2, 6, 40},
	}
	for _, tt := range tests {
		f := forest{base: 1, trees: []tree{tr, tr}}
		if got := summed(t, f, []float32{tt.x0, tt.x1}, 2)[0]; got != 1+2*tt.want {
			t.Errorf("(%v, %v) gives %v, want %v", tt.x0, tt.x1, got, 1+2*tt.want)
		}
	}
}

// TestFitFindsAStep: y is 0 where x is below 50 and 8 from there on. One tree of depth 1 without
// shrinking has to cut between them; 50 rows and 1 of ridge leave 4 ± 4*50/51 = 0.08 and 7.92.
func TestFitFindsAStep(t *testing.T) {
	x, y := make([]float32, 100), make([]float32, 100)
	for i := range x {
		x[i] = float32(i)
		if i >= 50 {
			y[i] = 8
		}
	}
	f := fit(x, y, 1, 1, 1, 1)
	got := summed(t, f, []float32{0, 49, 50, 99}, 1)
	for i, want := range []float64{0.08, 0.08, 7.92, 7.92} {
		if math.Abs(float64(got[i])-want) > 0.01 {
			t.Errorf("answer %d is %v, want %v", i, got[i], want)
		}
	}
}

// TestBestCut: residuals of 3 over 3 rows, 1 over 3 and -4 over 6, in bins 0, 1 and 2 of the second
// feature; the first has all rows in one bin. A cut after bin 0 gains 3²/3 + 3²/9 = 4, one after
// bin 1 gains 4²/6 + 4²/6 = 5.33.
func TestBestCut(t *testing.T) {
	h := make([]bucket, 2*bins)
	h[5] = bucket{0, 12}
	h[bins], h[bins+1], h[bins+2] = bucket{3, 3}, bucket{1, 3}, bucket{-4, 6}
	f := &fitting{width: 2, ridge: 1e-6} // so that an empty side is not 0/0
	if feature, bin := f.best(h); feature != 1 || bin != 1 {
		t.Errorf("the best cut is after bin %d of feature %d, want bin 1 of feature 1", bin, feature)
	}
}

// TestFitOnlyImproves: each tree more lowers the squared error on what it was fitted to.
func TestFitOnlyImproves(t *testing.T) {
	in, price := properties(seedTrain, 300)
	last := 0.0 // of the mean
	for n := range 12 {
		f := fit(in, price, valuationWidth, n+1, 3, 0.3)
		got := r2(summed(t, f, in, valuationWidth), price)
		if got <= last {
			t.Fatalf("%d trees have r2 %.4f, %d had %.4f", n+1, got, n, last)
		}
		last = got
	}
}

// TestHistograms: those of each level hold the sums of the rows that came to each node.
func TestHistograms(t *testing.T) {
	in, price := properties(seedTrain, 300)
	for i, p := range price {
		price[i] = float32(math.Log(float64(p)))
	}
	f, _ := begun(in, price, valuationWidth, 4, 0.3)
	f.restart()
	for level := range 4 {
		nodes := make([]node, 1<<level)
		f.split(nodes)
		for i := range nodes {
			want := make([]bucket, valuationWidth*bins)
			for _, row := range f.rows[f.start[2*i]:f.start[2*i+2]] { // by now its children's
				for c := range valuationWidth {
					h := &want[c*bins+int(f.binned[int(row)*valuationWidth+c])]
					h.sum += f.residual[row]
					h.count++
				}
			}
			for k, got := range f.of(f.hist, i) {
				if got.count != want[k].count || math.Abs(float64(got.sum-want[k].sum)) > 1e-4 {
					t.Fatalf("level %d, node %d, bucket %d is %v, want %v", level, i, k, got, want[k])
				}
			}
		}
	}
}

// TestBandTree: a price at the end of a band is in it, one above it in the next, and the last has no end.
func TestBandTree(t *testing.T) {
	var bands []band
	for i := range priceBands {
		bands = append(bands, band{upTo: float32(10 * (i + 1)), right: float32(i) / 10})
	}
	f := forest{trees: []tree{bandTree(bands)}}
	var in, want []float32
	for i := range priceBands {
		in, want = append(in, float32(10*i)+0.5, float32(10*i)+10), append(want, float32(i)/10, float32(i)/10)
	}
	in, want = append(in, -1, 1e9), append(want, 0, 0.9)
	if got := summed(t, f, in, 1); !slices.Equal(got, want) {
		t.Errorf("prices %v are in bands\n%v, want\n%v", in, got, want)
	}
}
