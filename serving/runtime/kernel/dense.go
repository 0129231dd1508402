// Package kernel is the arithmetic of the builtin runtime: dense layers and forests of decision trees
// over rows of float32. It knows no model formats, starts no goroutines and keeps nothing between calls,
// so that everything here is safe for concurrent use.
package kernel

import (
	"math"
	"unsafe"
)

//go:generate go -C gen run . -out ../panel_amd64.s -stubs ../panel_amd64.go -pkg kernel

// level is what the processor can do. Portable is Go without assembly.
type level uint8

const (
	portable level = iota
	avx2
	avx512
)

// size is the rows and columns whose sums the level's registers hold.
func (l level) size() (rows, columns int) {
	switch l {
	case avx512:
		return 8, 32
	case avx2:
		return 6, 16
	}
	return 2, 4
}

const (
	block = 64   // rows that go through a panel together: their values stay in the cache
	depth = 2048 // values of a row that one call of the assembly takes, a few microseconds: it cannot be interrupted
	ahead = 512  // weights between those in use and those fetched from memory
)

// Dense is a fully connected layer: each row's out values are bias + row * weight. It never changes.
type Dense struct {
	level   level
	in, out int
	weight  []float32 // panels of columns; in a panel the columns' first weights, their second ones, ...
	bias    []float32 // as many as there are columns in all panels
}

// NewDense lays out weight, in rows of out values (Gemm's B, not transposed), and bias, nil for none, for
// this processor. It copies both; weight must have in*out values and bias out.
func NewDense(weight, bias []float32, in, out int) *Dense {
	return newDense(best(), weight, bias, in, out)
}

func newDense(l level, weight, bias []float32, in, out int) *Dense {
	d := &Dense{level: l, in: in, out: out}
	last, wide := 0, 0
	for at := 0; at < out; at += wide {
		wide = d.width(at)
		last = at + wide
	}
	d.weight, d.bias = aligned(last*in), aligned(last)
	copy(d.bias, bias)
	for at := 0; at < out; at += wide {
		wide = d.width(at)
		panel := d.weight[at*in:]
		for i := range in {
			copy(panel[i*wide:(i+1)*wide], weight[i*out+at:i*out+min(at+wide, out)])
		}
	}
	return d
}

// aligned returns n zeros that begin on a cache line.
func aligned(n int) []float32 {
	const line = 16
	all := make([]float32, n+line-1)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(all)))/4) & (line - 1)
	return all[skip : skip+n : skip+n]
}

// width is the columns of the panel that begins at column at: the last panel is half as wide if that is
// enough.
func (d *Dense) width(at int) int {
	_, wide := d.level.size()
	if d.level != portable && d.out-at <= wide/2 {
		return wide / 2
	}
	return wide
}

// Bytes is the memory of the weights as they are laid out.
func (d *Dense) Bytes() int64 { return 4 * int64(len(d.weight)+len(d.bias)) }

// Apply computes rows rows: in values each in x, out values each in y, which must not overlap. With relu
// negative results become 0; a NaN stays.
func (d *Dense) Apply(x, y []float32, rows int, relu bool) {
	d.ApplyStrided(x, d.in, y, d.out, rows, relu)
}

// ApplyStrided is Apply for rows that begin xs values apart in x, and ys (at least out) apart in y. Rows
// of x may overlap.
func (d *Dense) ApplyStrided(x []float32, xs int, y []float32, ys, rows int, relu bool) {
	if rows == 0 {
		return
	}
	x, y = x[:(rows-1)*xs+d.in], y[:(rows-1)*ys+d.out]
	for at := 0; at < rows; at += block {
		d.block(x[at*xs:], xs, y[at*ys:], ys, min(block, rows-at), relu)
	}
}

// block sends a few rows through all panels: a panel is fetched once for all of them.
func (d *Dense) block(x []float32, xs int, y []float32, ys, rows int, relu bool) {
	wide := 0
	for at := 0; at < d.out; at += wide {
		wide = d.width(at)
		if at+wide > d.out {
			d.edge(at, wide, x, xs, y[at:], ys, rows, relu)
			return
		}
		d.panel(at, wide, x, xs, y[at:], ys, rows, relu)
	}
}

// edge computes a panel with more columns than y has room for.
func (d *Dense) edge(at, wide int, x []float32, xs int, y []float32, ys, rows int, relu bool) {
	var sums [8 * 32]float32
	most, _ := d.level.size()
	for r := 0; r < rows; r += most {
		n := min(most, rows-r)
		d.panel(at, wide, x[r*xs:], xs, sums[:], wide, n, relu)
		for i := range n {
			copy(y[(r+i)*ys:(r+i)*ys+d.out-at], sums[i*wide:])
		}
	}
}

// panel computes the wide columns that begin at column at.
func (d *Dense) panel(at, wide int, x []float32, xs int, y []float32, ys, rows int, relu bool) {
	most, _ := d.level.size()
	tiles := (rows + most - 1) / most
	t := tile{xs: xs, from: d.bias[at : at+wide], ys: ys, floor: float32(math.Inf(-1))}
	for i := 0; i == 0 || i < d.in; i += depth {
		t.k = min(depth, d.in-i)
		if relu && i+t.k == d.in {
			t.floor = 0
		}
		left := rows
		for n := tiles; n > 0; n-- {
			r := rows - left
			t.rows = (left + n - 1) / n // tiles of nearly equal size: a small one costs half a large one
			t.x, t.y = x[r*xs+i:], y[r*ys:]
			if i > 0 {
				t.from, t.fs = t.y, ys
			}
			d.weights(&t, at, wide, i, tiles-n, tiles)
			t.run(d.level, wide)
			left -= t.rows
		}
	}
}

// weights gives a tile its weights from value i on, and says what to fetch while it computes: the only
// tile of a panel those a little ahead, each of several its part of the panel after this one.
func (d *Dense) weights(t *tile, at, wide, i, n, tiles int) {
	all := d.weight[at*d.in:]
	t.w = all[i*wide:][:t.k*wide]
	t.pace = 4 * wide / tiles
	if tiles == 1 {
		t.next = t.w[min(len(t.w), ahead):]
		return
	}
	if at+wide < d.out {
		all = all[wide*d.in:]
	}
	t.next = all[min(len(all), i*wide+n*t.k*wide/tiles):]
}

// tile is one call of the arithmetic: from + x * w, at least the floor, for a few rows and one panel's
// columns.
type tile struct {
	rows  int
	x     []float32
	xs    int // from row to row, as fs and ys
	w     []float32
	k     int       // values of a row, weights of a column
	next  []float32 // what the next tiles take, to be fetched meanwhile
	pace  int       // bytes of it for each of the k values
	from  []float32
	fs    int
	y     []float32
	ys    int
	floor float32
}
