package replay

import (
	"math"
	"slices"
)

// window is the samples of the last span seconds, kept in order of time and, as of the last slide, in order
// of size: any percentile is then one look.
type window struct {
	span         int64
	at           []int64
	used         []float64
	head, merged int // used[head:merged] is what sorted holds; used[merged:] came since
	sorted       []float64
	spare        []float64
}

func (w *window) add(at int64, used float64) {
	w.at = append(w.at, at)
	w.used = append(w.used, used)
}

// slide drops what is more than span older than end and sorts in what came. It costs one walk over the
// window, so a decision a day is cheap however many samples a day has.
func (w *window) slide(end int64) {
	head := w.head
	for head < len(w.at) && w.at[head] < end-w.span {
		head++
	}
	gone := slices.Clone(w.used[w.head:max(w.head, min(head, w.merged))])
	fresh := slices.Clone(w.used[max(head, w.merged):])
	slices.Sort(gone)
	slices.Sort(fresh)
	w.sorted, w.spare = merge(w.spare[:0], w.sorted, gone, fresh), w.sorted
	w.head, w.merged = head, len(w.used)
}

// merge appends to out the sorted values of from without those of gone and with those of fresh, all ascending.
// What lies between two of them is copied at once, so that a few among thousands cost little.
func merge(out, from, gone, fresh []float64) []float64 {
	for len(gone)+len(fresh) > 0 {
		if len(fresh) == 0 || len(gone) > 0 && gone[0] <= fresh[0] {
			i := before(from, gone[0])
			out, from, gone = append(out, from[:i]...), from[i+1:], gone[1:]
			continue
		}
		i := before(from, fresh[0])
		out, from, fresh = append(append(out, from[:i]...), fresh[0]), from[i:], fresh[1:]
	}
	return append(out, from...)
}

// before is how many of the ascending values are less than v: a search in steps that double, since it is near.
func before(sorted []float64, v float64) int {
	end := 1
	for end < len(sorted) && sorted[end-1] < v {
		end *= 2
	}
	i, _ := slices.BinarySearch(sorted[:min(end, len(sorted))], v)
	return i
}

// held is the samples of the window in order of time, as of the last slide.
func (w *window) held() (at []int64, used []float64) {
	return w.at[w.head:w.merged], w.used[w.head:w.merged]
}

// percentile is that of the window as of the last slide; NaN when it is empty.
func (w *window) percentile(q float64) float64 { return percentileOf(w.sorted, q) }

// percentileOf reads the q-th quantile, 0 to 1, of ascending values, on the straight line between the two
// nearest ranks: rank q*(n-1), counted from 0, as numpy.percentile does unless told otherwise.
//
//	of 1 2 3 4:  q 0 -> 1   0.5 -> 2.5   0.9 -> 3.7   1 -> 4
func percentileOf(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := q * float64(len(sorted)-1)
	i := int(rank)
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	low, high, part := sorted[i], sorted[i+1], rank-float64(i)
	if part >= 0.5 { // from the nearer end, so that two equal ends give exactly their value
		return high - (high-low)*(1-part)
	}
	return low + (high-low)*part
}
