package runtime

import (
	"math"
	"math/rand/v2"
	"testing"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func near(a float32, b float64) bool { return math.Abs(float64(a)-b) <= 1e-4*(1+math.Abs(b)) }

func TestDenseAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for rows := range 10 {
		d := newDense(r, 1+r.IntN(20), 1+r.IntN(20))
		copy(d.bias, random(r, d.out))
		x, y := random(r, rows*d.in), make([]float32, rows*d.out)
		d.apply(x, y, rows)
		for i := range y {
			row, o := i/d.out, i%d.out
			want := float64(d.bias[o])
			for k := range d.in {
				want += float64(d.weight[o*d.in+k]) * float64(x[row*d.in+k])
			}
			if !near(y[i], want) {
				t.Fatalf("%d rows of %dx%d: y[%d] is %v, want %v", rows, d.in, d.out, i, y[i], want)
			}
		}
	}
}

// TestDenseStep: loss y²/2 for y = 2*3 + 1 = 7, so grad is 7; with rate 0.1 the weight goes to
// 2 - 0.1*7*3 = -0.1, the bias to 1 - 0.1*7 = 0.3, and the slope by x is 7*2 = 14.
func TestDenseStep(t *testing.T) {
	d := dense{in: 1, out: 1, weight: []float32{2}, bias: []float32{1}}
	back := d.step([]float32{3}, []float32{7}, 0.1)
	if !near(d.weight[0], -0.1) || !near(d.bias[0], 0.3) || !near(back[0], 14) {
		t.Errorf("weight %v bias %v back %v, want -0.1 0.3 14", d.weight[0], d.bias[0], back[0])
	}
}

// naiveConv is the definition: out[o][y][x] = relu(bias + sum of weight * in at the nine places
// around, 0 outside).
func naiveConv(c conv, src planes, o, y, x int) float64 {
	sum := float64(c.bias[o])
	for ch := range c.in {
		for dy := range 3 {
			for dx := range 3 {
				yy, xx := y+dy-1, x+dx-1
				if yy < 0 || yy >= src.side || xx < 0 || xx >= src.side {
					continue
				}
				sum += float64(c.weight[((o*c.in+ch)*3+dy)*3+dx]) * float64(src.line(ch, yy)[xx+1])
			}
		}
	}
	return math.Max(sum, 0)
}

func TestConvAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 5 {
		side := 1 + r.IntN(9)
		c := newConv(r, 1+r.IntN(4), 1+r.IntN(4))
		copy(c.bias, random(r, c.out))
		src, dst := newPlanes(side, c.in), newPlanes(side, c.out)
		for ch := range c.in {
			for y := range side {
				copy(src.line(ch, y)[1:side+1], random(r, side))
			}
		}
		c.apply(src, dst)
		for i := range c.out * side * side {
			o, y, x := i/(side*side), i/side%side, i%side
			if got, want := dst.line(o, y)[x+1], naiveConv(c, src, o, y, x); !near(got, want) {
				t.Fatalf("side %d: out[%d][%d][%d] is %v, want %v", side, o, y, x, got, want)
			}
		}
	}
}

// TestPools: a plane of 4x4 counting 0..15 by lines. The greatest of the 2x2 squares are 5, 7, 13
// and 15; the means are (0+1+4+5)/4 = 2.5, 4.5, 10.5 and 12.5.
func TestPools(t *testing.T) {
	src, dst := newPlanes(4, 1), newPlanes(2, 1)
	for i := range 16 {
		src.line(0, i/4)[i%4+1] = float32(i)
	}
	maxPool(src, dst)
	means := make([]float32, 4)
	averages(src, 2, means)
	for i, want := range []float32{5, 7, 13, 15} {
		if got := dst.line(0, i/2)[i%2+1]; got != want {
			t.Errorf("max %d is %v, want %v", i, got, want)
		}
		if want := []float32{2.5, 4.5, 10.5, 12.5}[i]; means[i] != want {
			t.Errorf("mean %d is %v, want %v", i, means[i], want)
		}
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
		f := forest{base: 1, depth: 2, trees: []tree{tr, tr}}
		if got := f.apply([]float32{tt.x0, tt.x1}, 1, 2)[0]; got != 1+2*tt.want {
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
	got := f.apply([]float32{0, 49, 50, 99}, 4, 1)
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
	last := -1.0
	for n := range 12 {
		f := fit(in, price, valuationWidth, n, 3, 0.3)
		got := r2(f.apply(in, 300, valuationWidth), price)
		if got <= last {
			t.Fatalf("%d trees have r2 %.4f, %d had %.4f", n, got, n-1, last)
		}
		last = got
	}
}
