package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// levels are those that this processor has.
func levels() []level { return []level{portable, avx2, avx512}[:best()+1] }

func noise(r *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64() * scale)
	}
	return v
}

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// naive is the layer in float64, with how large the terms of each sum are.
func naive(x, weight, bias []float32, in, out, rows int, relu bool) (y, size []float64) {
	for r := range rows {
		for o := range out {
			var sum, abs float64
			if bias != nil {
				sum = float64(bias[o])
			}
			for i := range in {
				v := float64(x[r*in+i]) * float64(weight[i*out+o])
				sum, abs = sum+v, abs+math.Abs(v)
			}
			if relu {
				sum = max(sum, 0)
			}
			y, size = append(y, sum), append(size, 1+abs)
		}
	}
	return y, size
}

func near(t *testing.T, what string, got []float32, want, size []float64) {
	t.Helper()
	for i, v := range got {
		if !(math.Abs(float64(v)-want[i]) <= 1e-6*size[i]) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, v, want[i])
		}
	}
}

func TestDenseByHand(t *testing.T) {
	// (1 2) * (1 2 3; 10 20 -30) + (100 200 3) = (121 242 -54); the second row is the first times -1.
	x, weight, bias := []float32{1, 2, -1, -2}, []float32{1, 2, 3, 10, 20, -30}, []float32{100, 200, 3}
	for _, l := range levels() {
		for _, c := range []struct {
			relu bool
			bias []float32
			want []float32
		}{
			{false, bias, []float32{121, 242, -54, 79, 158, 60}},
			{true, bias, []float32{121, 242, 0, 79, 158, 60}},
			{false, nil, []float32{21, 42, -57, -21, -42, 57}},
		} {
			y := make([]float32, 6)
			newDense(l, weight, c.bias, 2, 3).Apply(x, y, 2, c.relu)
			if !slices.Equal(y, c.want) {
				t.Errorf("level %d, relu %v: %v, want %v", l, c.relu, y, c.want)
			}
		}
	}
}

// TestDenseLikeNaive also looks that nothing is written where no result belongs.
func TestDenseLikeNaive(t *testing.T) {
	r := random()
	shapes := [][2]int{{0, 3}, {1, 1}, {3, 5}, {7, 4}, {16, 8}, {17, 15}, {5, 16}, {33, 17}, {64, 31}, {27, 32}, {100, 33},
		{31, 48}, {9, 49}, {12, 64}, {50, 65}, {257, 100}, {depth - 1, 5}, {depth + 1, 37}, {2*depth + 3, 18}}
	for _, s := range shapes {
		in, out := s[0], s[1]
		weight, bias := noise(r, in*out, 1), noise(r, out, 1)
		all := noise(r, 70*in, 1)
		want, size := naive(all, weight, bias, in, out, 70, false)
		relu, _ := naive(all, weight, bias, in, out, 70, true)
		for _, l := range levels() {
			d := newDense(l, weight, bias, in, out)
			for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 31, 63, 64, 65, 70} {
				if rows > 9 && in > 1000 && rows != 65 {
					continue
				}
				y := slices.Repeat([]float32{-7}, rows*out+100)
				d.Apply(all, y, rows, rows%2 == 0)
				near(t, fmt.Sprintf("level %d, %d rows %dx%d", l, rows, in, out), y[:rows*out], [][]float64{relu, want}[rows%2], size)
				if slices.ContainsFunc(y[rows*out:], func(v float32) bool { return v != -7 }) {
					t.Fatalf("level %d, %d rows %dx%d: written behind the results", l, rows, in, out)
				}
			}
		}
	}
}

// TestDenseEveryBatch: a row's answer does not depend on the rows beside it, here ones without numbers.
func TestDenseEveryBatch(t *testing.T) {
	r := random()
	const in, out = 75, 50
	weight, bias, row := noise(r, in*out, 1), noise(r, out, 1), noise(r, in, 1)
	want, size := naive(row, weight, bias, in, out, 1, false)
	for _, l := range levels() {
		d := newDense(l, weight, bias, in, out)
		for rows := 1; rows <= 70; rows++ {
			x := slices.Repeat([]float32{float32(math.NaN())}, rows*in)
			y, at := make([]float32, rows*out), r.IntN(rows)
			copy(x[at*in:], row)
			d.Apply(x, y, rows, false)
			near(t, fmt.Sprintf("level %d, row %d of %d", l, at, rows), y[at*out:(at+1)*out], want, size)
		}
	}
}

func TestDenseStrided(t *testing.T) {
	r := random()
	const in, out, rows, xs, ys = 20, 35, 11, 3, 40 // rows of x overlap, rows of y have gaps
	weight, bias, x := noise(r, in*out, 1), noise(r, out, 1), noise(r, (rows-1)*xs+in, 1)
	for _, l := range levels() {
		d := newDense(l, weight, bias, in, out)
		y := slices.Repeat([]float32{-7}, (rows-1)*ys+out)
		d.ApplyStrided(x, xs, y, ys, rows, true)
		for i := range rows {
			want, size := naive(x[i*xs:], weight, bias, in, out, 1, true)
			near(t, fmt.Sprintf("level %d, row %d", l, i), y[i*ys:i*ys+out], want, size)
			if i < rows-1 && slices.ContainsFunc(y[i*ys+out:(i+1)*ys], func(v float32) bool { return v != -7 }) {
				t.Errorf("level %d: written between rows", l)
			}
		}
	}
}

// TestDenseNotNumbers: ReLU leaves a NaN as it is, for a 0 would hide that the model is broken.
func TestDenseNotNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, l := range levels() {
		y := make([]float32, 3)
		newDense(l, []float32{1}, nil, 1, 1).Apply([]float32{nan, -inf, inf}, y, 3, true)
		if y[0] == y[0] || y[1] != 0 || y[2] != inf {
			t.Errorf("level %d: %v, want [NaN 0 +Inf]", l, y)
		}
	}
}

func TestDenseRefusesShortSlices(t *testing.T) {
	for _, short := range []func(d *Dense){
		func(d *Dense) { d.Apply(make([]float32, 11), make([]float32, 9), 3, false) },
		func(d *Dense) { d.Apply(make([]float32, 12), make([]float32, 8), 3, false) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("computed beyond a slice")
				}
			}()
			short(NewDense(make([]float32, 12), nil, 4, 3))
		}()
	}
}

func TestDenseTogether(t *testing.T) {
	r := random()
	d, x := NewDense(noise(r, 40*50, 1), nil, 40, 50), noise(r, 10*40, 1)
	want := make([]float32, 10*50)
	d.Apply(x, want, 10, true)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			y := make([]float32, len(want))
			for range 50 {
				d.Apply(x, y, 10, true)
			}
			if !slices.Equal(y, want) {
				t.Error("another answer beside other calls")
			}
		})
	}
	all.Wait()
}

func TestDenseBytes(t *testing.T) {
	// 3 columns in a panel of 16, 8 or 4, each with 2 weights and a bias of 4 bytes.
	for _, l := range levels() {
		columns := []int64{4, 8, 16}[l]
		if got, want := newDense(l, make([]float32, 6), nil, 2, 3).Bytes(), columns*3*4; got != want {
			t.Errorf("level %d holds %d bytes, want %d", l, got, want)
		}
	}
}

// BenchmarkDense reports the least time of a batch beside the mean: other work on the machine makes
// batches slower, nothing makes them faster.
func BenchmarkDense(b *testing.B) {
	for name, wide := range map[string][]int{"small": {64, 256, 256, 1}, "mid": {256, 1024, 1024, 10}, "large": {512, 2048, 2048, 2048, 16}} {
		for _, l := range levels() {
			r := random()
			var layers []*Dense
			for i, in := range wide[:len(wide)-1] {
				layers = append(layers, newDense(l, noise(r, in*wide[i+1], math.Sqrt(2/float64(in))), noise(r, wide[i+1], 1), in, wide[i+1]))
			}
			for _, rows := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, []string{"portable", "avx2", "avx512"}[l], rows), func(b *testing.B) {
					x, y, z := noise(r, rows*wide[0], 1), make([]float32, rows*2048), make([]float32, rows*2048)
					least := time.Hour
					for b.Loop() {
						begin := time.Now()
						from, to := x, y
						for i, d := range layers {
							d.Apply(from, to, rows, i < len(layers)-1)
							from, to = to, [][]float32{z, y}[i%2]
						}
						least = min(least, time.Since(begin))
					}
					b.ReportMetric(least.Seconds()*1e6, "least-us")
				})
			}
		}
	}
}
