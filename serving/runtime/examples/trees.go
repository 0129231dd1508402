package examples

import (
	"slices"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

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
	trees []tree
}

// lists are the attributes of a TreeEnsembleRegressor: one entry for each node, and for each leaf.
type lists struct {
	tree, id, feature, yes, no []int64
	mode                       []string
	threshold                  []float32
	leafTree, leaf             []int64
	weight                     []float32
}

// add appends a tree: at or below the threshold is to the left.
func (l *lists) add(tree int64, t tree) {
	for i, n := range t.nodes {
		l.node(tree, int64(i), "BRANCH_LEQ", n, int64(2*i+1), int64(2*i+2))
	}
	for k, w := range t.leaf {
		id := int64(len(t.nodes) + k)
		l.node(tree, id, "LEAF", node{}, 0, 0)
		l.leafTree, l.leaf, l.weight = append(l.leafTree, tree), append(l.leaf, id), append(l.weight, w)
	}
}

func (l *lists) node(tree, id int64, mode string, n node, yes, no int64) {
	l.tree, l.id, l.feature = append(l.tree, tree), append(l.id, id), append(l.feature, int64(n.feature))
	l.yes, l.no, l.mode = append(l.yes, yes), append(l.no, no), append(l.mode, mode)
	l.threshold = append(l.threshold, n.threshold)
}

// grow makes room for nodes more, so that the lists are not copied while they grow.
func (l *lists) grow(nodes int) {
	for _, list := range []*[]int64{&l.tree, &l.id, &l.feature, &l.yes, &l.no, &l.leafTree, &l.leaf} {
		*list = slices.Grow(*list, nodes)
	}
	l.mode, l.threshold, l.weight = slices.Grow(l.mode, nodes), slices.Grow(l.threshold, nodes), slices.Grow(l.weight, nodes)
}

// addForest appends the node that computes the forest from one name to another.
func addForest(g *onnx.Graph, f forest, from, to string) {
	var l lists
	if len(f.trees) > 0 {
		l.grow(len(f.trees) * 2 * len(f.trees[0].leaf))
	}
	for i, t := range f.trees {
		l.add(int64(i), t)
	}
	g.Add(onnx.DomainML, "TreeEnsembleRegressor", []string{from}, []string{to},
		onnx.AttrInt("n_targets", 1), onnx.AttrText("aggregate_function", "SUM"), onnx.AttrText("post_transform", "NONE"),
		onnx.AttrFloats("base_values", f.base),
		onnx.AttrInts("nodes_treeids", l.tree...), onnx.AttrInts("nodes_nodeids", l.id...), onnx.AttrInts("nodes_featureids", l.feature...),
		onnx.AttrTexts("nodes_modes", l.mode...), onnx.AttrFloats("nodes_values", l.threshold...),
		onnx.AttrInts("nodes_truenodeids", l.yes...), onnx.AttrInts("nodes_falsenodeids", l.no...),
		onnx.AttrInts("target_treeids", l.leafTree...), onnx.AttrInts("target_nodeids", l.leaf...),
		onnx.AttrInts("target_ids", make([]int64, len(l.leaf))...), onnx.AttrFloats("target_weights", l.weight...))
}
