package examples

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
	rows, spare  []int32  // the rows, those of one node of the level that grows together
	start        []int    // where each node's rows begin, and the end
	hist, before []bucket // of this level's nodes, and of the level's before
}

const bins = 32

// bucket is what a node knows about the rows of one bin.
type bucket struct{ sum, count float32 }

// fit returns a forest of n trees that approximates y from the rows of x.
func fit(x, y []float32, width, n, depth int, rate float32) forest {
	f, base := begun(x, y, width, depth, rate)
	out := forest{base: base}
	for range n {
		out.trees = append(out.trees, f.grow())
	}
	return out
}

// begun is a fitting before its first tree, and the mean of y, which the trees start from.
func begun(x, y []float32, width, depth int, rate float32) (*fitting, float32) {
	f := &fitting{width: width, depth: depth, rate: rate, ridge: 1, rows: make([]int32, len(y)), spare: make([]int32, len(y)),
		hist: make([]bucket, width*bins<<depth), before: make([]bucket, width*bins<<depth)}
	f.bin(x, len(y))
	base := mean(y)
	f.residual = make([]float32, len(y))
	for i, v := range y {
		f.residual[i] = v - base
	}
	return f, base
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
	f.restart()
	for level := range f.depth {
		first := 1<<level - 1
		f.split(t.nodes[first : 2*first+1])
	}
	f.leaves(t)
	return t
}

// restart brings all rows to the root.
func (f *fitting) restart() {
	for i := range f.rows {
		f.rows[i] = int32(i)
	}
	f.start = append(f.start[:0], 0, len(f.rows))
}

// split chooses the best decision for each node of one level and sends the rows on.
func (f *fitting) split(nodes []node) {
	f.histograms(len(nodes))
	start := make([]int, 0, 2*len(nodes)+1)
	for i := range nodes {
		feature, b := f.best(f.of(f.hist, i))
		nodes[i] = node{feature: int32(feature), threshold: f.edges[feature*bins+b]}
		middle := f.part(f.start[i], f.start[i+1], feature, uint8(b))
		start = append(start, f.start[i], middle)
	}
	f.start = append(start, len(f.rows))
}

// of is node i's part of the histograms of a level.
func (f *fitting) of(hist []bucket, i int) []bucket { return hist[i*f.width*bins : (i+1)*f.width*bins] }

// part puts the rows from..to whose bin is at most cut before the others, both in their order, and
// returns where the others begin. It has no branch, for which side a row is on is a coin.
func (f *fitting) part(from, to, feature int, cut uint8) int {
	left, right := from, 0
	for _, row := range f.rows[from:to] {
		f.rows[left], f.spare[right] = row, row
		over := above(f.binned[int(row)*f.width+feature], cut)
		left, right = left+1-over, right+over
	}
	copy(f.rows[left:to], f.spare[:right])
	return left
}

// above is 1 or 0.
func above(a, b uint8) int {
	var one uint8
	if a > b {
		one = 1
	}
	return int(one)
}

// histograms sums the residuals by node, feature and bin. Of two children only the one with fewer rows
// is summed: the other is what it leaves of the parent.
func (f *fitting) histograms(nodes int) {
	f.hist, f.before = f.before, f.hist
	if nodes == 1 {
		f.sum(0)
		return
	}
	for i := 0; i < nodes; i += 2 {
		few, many := i, i+1
		if f.start[i+1]-f.start[i] > f.start[i+2]-f.start[i+1] {
			few, many = many, few
		}
		f.sum(few)
		less, rest := f.of(f.hist, few), f.of(f.hist, many)
		for k, p := range f.of(f.before, i/2) {
			rest[k] = bucket{p.sum - less[k].sum, p.count - less[k].count}
		}
	}
}

func (f *fitting) sum(node int) {
	hist := f.of(f.hist, node)
	clear(hist)
	for _, row := range f.rows[f.start[node]:f.start[node+1]] {
		res := f.residual[row]
		for c, b := range f.binned[int(row)*f.width : (int(row)+1)*f.width] {
			h := &hist[c*bins+int(b)]
			h.sum += res
			h.count++
		}
	}
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
	for k := range t.leaf {
		rows, sum := f.rows[f.start[k]:f.start[k+1]], float32(0)
		for _, row := range rows {
			sum += f.residual[row]
		}
		t.leaf[k] = f.rate * sum / (float32(len(rows)) + f.ridge)
		for _, row := range rows {
			f.residual[row] -= t.leaf[k]
		}
	}
}

func mean(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum / float64(len(x)))
}
