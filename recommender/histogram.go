package recommender

import (
	"cmp"
	"math"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// A histogram's ranges grow by 5 %: the first ends at floorOf(signal), the next at 1.05 times that,
// and so on; the last of the 512 has no upper end.
//
//	range   0     1        2        48      95      142      189
//	cpu to  1m  1.05m  1.1025m   10.4m    103m   1.021   10.12 cores
const (
	growth = 1.05
	ranges = 512
)

var logGrowth = math.Log(growth)

// cell is the weight of the values of one range, with the largest of them: a percentile read from
// the cells is a value that was measured, not less than the true one and at most 5 % more.
type cell struct{ top, weight float32 }

// histogram is the cells that hold anything, by ascending top.
type histogram []cell

// floorOf is the end of the first range, in the signal's unit: 0.001 cores, requests and so on, 1 MiB.
func floorOf(s fleet.Signal) float64 {
	if s == fleet.Memory || s == fleet.GPUMemory {
		return 1 << 20
	}
	return 0.001
}

func rangeOf(v float32, floor float64) int {
	if float64(v) <= floor {
		return 0
	}
	return min(ranges-1, int(math.Ceil(math.Log(float64(v)/floor)/logGrowth)))
}

// newHistogram sorts the cells and joins those of the same range. It may reorder its argument.
func newHistogram(cells []cell, floor float64) histogram {
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.top, b.top), cmp.Compare(a.weight, b.weight))
	})
	out, last := cells[:0], -1
	for _, c := range cells {
		r := rangeOf(c.top, floor)
		if r == last {
			out[len(out)-1] = cell{c.top, out[len(out)-1].weight + c.weight}
			continue
		}
		out, last = append(out, c), r
	}
	return slices.Clone(out)
}

func (h histogram) join(o histogram, floor float64) histogram {
	return newHistogram(slices.Concat(h, o), floor)
}

// percentile is the smallest top that at least a share q of the weight is not above; 0 when empty.
func (h histogram) percentile(q float64) float64 {
	var total, sum float64
	for _, c := range h {
		total += float64(c.weight)
	}
	want := q * total * (1 - tolerance)
	for _, c := range h {
		if sum += float64(c.weight); sum >= want {
			return float64(c.top)
		}
	}
	return 0
}

// dense adds up histograms by range.
type dense struct {
	ends    [ranges]float32 // of the ranges, ascending
	tops    [ranges]float32
	weights [ranges]float64
}

func newDense(floor float64) *dense {
	d := &dense{}
	for r := range d.ends {
		d.ends[r] = float32(floor)
		floor *= growth
	}
	return d
}

// add walks cells and ranges side by side: both ascend.
func (d *dense) add(h histogram) {
	r := 0
	for _, c := range h {
		for c.top > d.ends[r] && r < ranges-1 {
			r++
		}
		d.tops[r] = max(d.tops[r], c.top)
		d.weights[r] += float64(c.weight)
	}
}

func (d *dense) histogram() histogram {
	var out histogram
	for r, w := range d.weights {
		if w > 0 {
			out = append(out, cell{d.tops[r], float32(w)})
		}
	}
	return out
}
