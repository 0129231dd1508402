package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// Bytes is the memory of the trees as they are laid out.
func (f *Forest) Bytes() int64 {
	return 8*int64(len(f.heap)) + 4*int64(len(f.leaf)+len(f.values)) + int64(nodeBytes)*int64(len(f.nodes))
}

// words are, for each row, what stands in the leaves of a group's trees.
type words [block][4]uint32

// Apply adds to each row's targets sums in y what the trees give for its width values in x. Sums do not
// depend on what else is in the batch.
func (f *Forest) Apply(x []float32, width int, y []float32, rows int) {
	if width < f.width {
		panic(fmt.Sprintf("rows of %d values for trees that ask for %d", width, f.width)) // unreachable unless bug
	}
	x, y = x[:rows*width], y[:rows*f.targets]
	if f.missing {
		f.applyMissing(x, width, y, rows)
		return
	}
	for at := 0; at < rows; at += block {
		f.apply(x[at*width:], width, y[at*f.targets:], min(block, rows-at))
	}
}

// applyMissing works on copies of a few rows, each followed by one in which -Inf, which is at or below
// every threshold, stands for a NaN.
func (f *Forest) applyMissing(x []float32, width int, y []float32, rows int) {
	var few [4096]float32
	copies := few[:]
	if 2*f.width > len(copies) {
		copies = make([]float32, 2*f.width)
	}
	most := min(block, len(copies)/(2*f.width))
	for at := 0; at < rows; at += most {
		n := min(most, rows-at)
		for r := range n {
			f.double(x[(at+r)*width:], copies[2*r*f.width:])
		}
		f.apply(copies, 2*f.width, y[at*f.targets:], n)
	}
}

func (f *Forest) double(row, out []float32) {
	row, first, second := row[:f.width], out[:f.width], out[f.width:2*f.width]
	low := float32(math.Inf(-1))
	for i, v := range row {
		first[i], second[i] = v, v
		if v != v {
			second[i] = low
		}
	}
}

// apply computes at most block rows. Groups are the outer loop: one stays in the cache while the rows go
// through it.
func (f *Forest) apply(x []float32, width int, y []float32, rows int) {
	var w words
	for i := range f.groups {
		g := &f.groups[i]
		if g.heap {
			f.walkHeap(g, x, width, w[:rows])
		} else {
			f.walkNodes(g, x, width, w[:rows])
		}
		if g.vector {
			f.addVectors(w[:rows], y)
		} else {
			f.addValues(g, w[:rows], y)
		}
	}
}

// walkHeap and walkNodes do without bounds checks, which would be a third of their time: every way in
// heap and nodes was laid out by NewForest, and Apply compares the width of the rows.
func (f *Forest) walkHeap(g *group, x []float32, width int, w [][4]uint32) {
	size := 1 << g.steps
	from := g.start[0]
	heap, leaf := unsafe.Pointer(unsafe.SliceData(f.heap[from:])), f.leaf[from:][:4*size]
	for r := range w {
		i, j, k, l := fourDown(heap, unsafe.Pointer(unsafe.SliceData(x[r*width:])), size)
		w[r] = [4]uint32{leaf[i-size], leaf[j], leaf[k+size], leaf[l+2*size]}
	}
}

// fourDown walks a row through four complete trees of size splits each, one behind the other. It is a
// function of its own, and keeps no counter, so that all it has stays in registers.
func fourDown(heap, row unsafe.Pointer, size int) (i, j, k, l int) {
	second, third, fourth := unsafe.Add(heap, 8*size), unsafe.Add(heap, 16*size), unsafe.Add(heap, 24*size)
	i, j, k, l = 1, 1, 1, 1
	for i < size {
		i, j, k, l = down(heap, i, row), down(second, j, row), down(third, k, row), down(fourth, l, row)
	}
	return i, j, k, l
}

// down is the step from node i of the complete tree at heap.
func down(heap unsafe.Pointer, i int, row unsafe.Pointer) int {
	s := (*split)(unsafe.Add(heap, 8*i))
	return 2*i + int(atMost(*(*float32)(unsafe.Add(row, 4*uintptr(s.feature))), s.threshold))
}

// atMost is 1 or 0 and not a branch.
func atMost(v, threshold float32) uint8 {
	var one uint8
	if v <= threshold {
		one = 1
	}
	return one
}

func (f *Forest) walkNodes(g *group, x []float32, width int, w [][4]uint32) {
	nodes := unsafe.Pointer(unsafe.SliceData(f.nodes))
	for r := range w {
		at := fourAlong(nodes, unsafe.Pointer(unsafe.SliceData(x[r*width:])), g.start, g.steps)
		for i, n := range at {
			w[r][i] = f.nodes[n/nodeBytes].word
		}
	}
}

// fourAlong walks a row from four roots. It looks after every four steps whether all have come to their
// leaves, which stay where they are.
func fourAlong(nodes, row unsafe.Pointer, roots [4]uint32, steps int) [4]uint32 {
	i, j, k, l := roots[0], roots[1], roots[2], roots[3]
	for n := 1; n <= steps; n++ {
		a, b, c, d := i, j, k, l
		i, j, k, l = along(nodes, i, row), along(nodes, j, row), along(nodes, k, row), along(nodes, l, row)
		if n%4 == 0 && (a^i)|(b^j)|(c^k)|(d^l) == 0 {
			break
		}
	}
	return [4]uint32{i, j, k, l}
}

// along is the step from the node that has i bytes before it.
func along(nodes unsafe.Pointer, i uint32, row unsafe.Pointer) uint32 {
	n := (*node)(unsafe.Add(nodes, uintptr(i)))
	return n.no + nodeBytes*uint32(atMost(*(*float32)(unsafe.Add(row, 4*uintptr(n.feature))), n.threshold))
}

func (f *Forest) addValues(g *group, w [][4]uint32, y []float32) {
	a, b, c, d := g.target[0], g.target[1], g.target[2], g.target[3]
	if a == b && b == c && c == d { // one sum for the four, not each waiting for the one before
		for r := range w {
			v := &w[r]
			y[r*f.targets+int(a)] += math.Float32frombits(v[0]) + math.Float32frombits(v[1]) + (math.Float32frombits(v[2]) + math.Float32frombits(v[3]))
		}
		return
	}
	for r := range w {
		v, sums := &w[r], y[r*f.targets:(r+1)*f.targets]
		for i, bits := range v {
			sums[g.target[i]] += math.Float32frombits(bits)
		}
	}
}

func (f *Forest) addVectors(w [][4]uint32, y []float32) {
	for r := range w {
		sums := y[r*f.targets : (r+1)*f.targets]
		for _, at := range w[r] {
			for i, v := range f.values[at : int(at)+f.targets] {
				sums[i] += v
			}
		}
	}
}
