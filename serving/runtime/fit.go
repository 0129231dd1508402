package runtime

import "slices"

// fitting is gradient boosting with histograms: each feature is cut into bins once, and a split is
// searched over bins instead of rows (Friedman 2001; the histogram is LightGBM's, Ke et al. 2017).
type fitting struct {
	width, depth int
	rate         float32   // share of each tree's answer that is kept
	ridge        float32   // rows of zero residual added to each leaf, against chance
	edges        []float32 // width * bins; the upper edge of each bin
	binned       []uint8   // rows * width
	residual     []float32
	at           []int // heap index of each row's node in the tree that grows
}

const bins = 32

// bucket is what a node knows about the rows of one bin.
type bucket struct{ sum, count float32 }

// fit returns a forest of n trees that approximates y from the rows of x.
func fit(x, y []float32, width, n, depth int, rate float32) forest {
	f := &fitting{width: width, depth: depth, rate: rate, ridge: 1, at: make([]int, len(y))}
	f.bin(x, len(y))
	out := forest{base: mean(y), depth: depth}
	f.residual = make([]float32, len(y))
	for i, v := range y {
		f.residual[i] = v - out.base
	}
	for range n {
		out.trees = append(out.trees, f.grow())
	}
	return out
}

// bin cuts each feature at its quantiles, so that each bin has about the same number of rows.
func (f *fitting) bin(x []float32, rows int) {
	f.edges, f.binned = make([]float32, f.width*bins), make([]uint8, rows*f.width)
	column := make([]float32, rows)
	for c := range f.width {
		for i := range rows {
			column[i] = x[i*f.width+c]
		}
		slices.Sort(column)
		edges := f.edges[c*bins : (c+1)*bins]
		for b := range edges {
			edges[b] = column[(b+1)*rows/bins-1]
		}
		for i := range rows {
			b, _ := slices.BinarySearch(edges, x[i*f.width+c])
			f.binned[i*f.width+c] = uint8(min(b, bins-1))
		}
	}
}

// grow fits one tree to the residuals, level by level, and takes its answers off them.
func (f *fitting) grow() tree {
	t := tree{nodes: make([]node, 1<<f.depth-1), leaf: make([]float32, 1<<f.depth)}
	clear(f.at)
	for level := range f.depth {
		first := 1<<level - 1
		f.split(t.nodes[first:2*first+1], first)
	}
	f.leaves(t)
	return t
}

// split chooses the best decision for each node of one level and sends the rows on.
func (f *fitting) split(nodes []node, first int) {
	hist := f.histograms(len(nodes), first)
	cut := make([]uint8, len(nodes))
	for i := range nodes {
		h := hist[i*f.width*bins : (i+1)*f.width*bins]
		feature, b := f.best(h)
		cut[i] = uint8(b)
		nodes[i] = node{feature: int32(feature), threshold: f.edges[feature*bins+b]}
	}
	for i, at := range f.at {
		f.at[i] = 2*at + 1
		if f.binned[i*f.width+int(nodes[at-first].feature)] > cut[at-first] {
			f.at[i]++
		}
	}
}

// histograms sums the residuals by node, feature and bin.
func (f *fitting) histograms(nodes, first int) []bucket {
	hist := make([]bucket, nodes*f.width*bins)
	for i, res := range f.residual {
		base := (f.at[i] - first) * f.width * bins
		for c, b := range f.binned[i*f.width : (i+1)*f.width] {
			h := &hist[base+c*bins+int(b)]
			h.sum += res
			h.count++
		}
	}
	return hist
}

// best finds the feature and the bin after which a cut lowers the squared error most. The gain of a
// cut is left²/n + right²/m, with sums and counts of both sides; without any gain all rows go left.
func (f *fitting) best(h []bucket) (feature, bin int) {
	var all bucket
	for _, b := range h[:bins] { // each feature holds all rows
		all.sum += b.sum
		all.count += b.count
	}
	bin, top := bins-1, all.sum*all.sum/(all.count+f.ridge)
	for c := range f.width {
		var left bucket
		for b, v := range h[c*bins : (c+1)*bins-1] {
			left.sum += v.sum
			left.count += v.count
			right := all.sum - left.sum
			gain := left.sum*left.sum/(left.count+f.ridge) + right*right/(all.count-left.count+f.ridge)
			if gain > top {
				feature, bin, top = c, b, gain
			}
		}
	}
	return feature, bin
}

// leaves gives each leaf its share of the mean residual of its rows.
func (f *fitting) leaves(t tree) {
	sums := make([]bucket, len(t.leaf))
	for i, at := range f.at {
		s := &sums[at-len(t.nodes)]
		s.sum += f.residual[i]
		s.count++
	}
	for k, s := range sums {
		t.leaf[k] = f.rate * s.sum / (s.count + f.ridge)
	}
	for i, at := range f.at {
		f.residual[i] -= t.leaf[at-len(t.nodes)]
	}
}

func mean(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum / float64(len(x)))
}
