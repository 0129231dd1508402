package recommender

import (
	"cmp"
	"math"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// A histogram's ranges grow by 5 %: the first ends at floorOf(signal), the next at 1.05 times that,
// and so on; the last of the 1,024 ends above every reading there is.
//
//	range   0     1        2        48      95      142      189
//	cpu to  1m  1.05m  1.1025m   10.4m    103m   1.021   10.12 cores
const (
	growth = 1.05
	ranges = 1024
)

var logGrowth = math.Log(growth)

// rangeEnds is where each range ends, in floors.
var rangeEnds = func() (ends [ranges]float64) {
	for r := range ends {
		ends[r] = math.Pow(growth, float64(r))
	}
	return ends
}()

// cell is the weight of the values of one range, with a bound of them: the largest, or where the range ends.
type cell struct {
	top, weight float32
	in          uint16 // the range
}

// histogram is the cells that hold anything, by ascending range unless it is said otherwise.
type histogram []cell

// floorOf is the end of the first range, in the signal's unit: 0.001 cores, requests and so on, 1 MiB.
func floorOf(s fleet.Signal) float64 {
	if s == fleet.Memory || s == fleet.GPUMemory {
		return 1 << 20
	}
	return 0.001
}

// cellOf is the cell of one value.
func cellOf(v, weight float32, floor float64) cell { return cell{v, weight, rangeOf(v, floor)} }

func rangeOf(v float32, floor float64) uint16 {
	if float64(v) <= floor {
		return 0
	}
	return uint16(min(ranges-1, int(math.Ceil(math.Log(float64(v)/floor)/logGrowth))))
}

// newHistogram sorts the cells and joins those of the same range, in their own place.
func newHistogram(cells []cell) histogram {
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.top, b.top), cmp.Compare(a.weight, b.weight))
	})
	out := cells[:0]
	for _, c := range cells {
		if last := len(out) - 1; last >= 0 && out[last].in == c.in {
			out[last] = cell{c.top, out[last].weight + c.weight, c.in}
			continue
		}
		out = append(out, c)
	}
	return out
}

// widths is how many ranges of a histogram become one where values are common, in the upper third of the time, and in
// its last hundredth. Ranges become one only with those of the same multiple, as the highest of them: so no percentile
// gets smaller, and joining again and again makes none larger than joining once.
type widths struct {
	common, upper, rare uint16
	values              int // so few cells are kept by their values, and not by their ranges
}

func (w widths) doubled() widths { return widths{2 * w.common, 2 * w.upper, 2 * w.rare, w.values} }

// The shares of time that are told apart.
const (
	upperShare = 0.3
	rareShare  = 0.01
)

// thinned is h with ranges joined by widths, in its own place.
func (h histogram) thinned(w widths) histogram {
	total, above := h.weight(), 0.0
	n := len(h)
	for i := len(h) - 1; i >= 0; i-- {
		c, width := h[i], w.upper
		switch {
		case above >= upperShare*total:
			width = w.common
		case above+float64(c.weight) <= rareShare*total:
			width = w.rare
		}
		above += float64(c.weight)
		if n < len(h) && h[n].in/width == c.in/width {
			h[n].weight += c.weight
			continue
		}
		n--
		h[n] = c
	}
	return h[n:]
}

// weight is that of all cells.
func (h histogram) weight() (total float64) {
	for _, c := range h {
		total += float64(c.weight)
	}
	return total
}

// percentile is the smallest top that at least a share q of the weight is not above; 0 when empty.
func (h histogram) percentile(q float64) float64 {
	sum, want := 0.0, q*h.weight()*(1-tolerance)
	for _, c := range h {
		if sum += float64(c.weight); sum >= want {
			return float64(c.top)
		}
	}
	return 0
}

// dense adds up histograms by range.
type dense struct {
	weights  [ranges]float64
	tops     [ranges]float32
	from, to int // the ranges that hold anything are among these
}

// add counts one in, whose cells ascend or descend.
func (d *dense) add(h histogram) {
	if len(h) == 0 {
		return
	}
	if d.to == 0 {
		d.from = ranges
	}
	first, last := int(h[0].in), int(h[len(h)-1].in)
	d.from, d.to = min(d.from, first, last), max(d.to, first+1, last+1)
	for _, c := range h {
		d.tops[c.in] = max(d.tops[c.in], c.top)
		d.weights[c.in] += float64(c.weight)
	}
}

// histogram is the sum; no value is above most.
func (d *dense) histogram(most float32) histogram {
	n := 0
	for _, w := range d.weights[d.from:d.to] {
		if w > 0 {
			n++
		}
	}
	out := make(histogram, 0, n)
	for r := d.from; r < d.to; r++ {
		if w := d.weights[r]; w > 0 {
			out = append(out, cell{min(d.tops[r], most), float32(w), uint16(r)})
		}
	}
	return out
}
