package runtime

// node is one decision: rows whose feature is above the threshold go right.
type node struct {
	feature   int32
	threshold float32
}

// tree is a complete binary tree laid out as a heap: the children of node i are 2i+1 (left) and
// 2i+2 (right); leaf k is what is left of the index after the last level.
type tree struct {
	nodes []node    // 2^depth - 1
	leaf  []float32 // 2^depth
}

// forest is a sum of trees: gradient boosting for squared loss.
type forest struct {
	base  float32
	depth int
	trees []tree
}

// apply returns the sum for each row of x. Trees are the outer loop: one tree stays in the cache
// while all rows of the batch go through it.
func (f forest) apply(x []float32, rows, width int) []float32 {
	y := make([]float32, rows)
	for i := range y {
		y[i] = f.base
	}
	for _, t := range f.trees {
		for i := range y {
			y[i] += t.at(x[i*width:(i+1)*width], f.depth)
		}
	}
	return y
}

func (t tree) at(row []float32, depth int) float32 {
	i := 0
	for range depth {
		n := t.nodes[i]
		i = 2*i + 1 + above(row[n.feature], n.threshold)
	}
	return t.leaf[i-len(t.nodes)]
}

// above is 1 or 0 and not a branch: which way a row goes is a coin to the processor's predictor.
func above(v, threshold float32) int {
	var one uint8
	if v > threshold {
		one = 1
	}
	return int(one)
}
