package ort

import (
	"math"
	"math/rand/v2"
	"strings"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// forest is the attributes of a random ensemble over 6 features. what is target or class, the prefix of what
// a leaf adds to.
func forest(r *rand.Rand, targets int, what string) []onnx.Attribute {
	return forestOf(r, targets, what, []string{"BRANCH_LEQ"})
}

func forestOf(r *rand.Rand, targets int, what string, modes []string) []onnx.Attribute {
	f := trees{r: r, modes: modes, targets: targets}
	for f.tree = range int64(12) {
		f.nodes = 0
		f.grow(1 + r.IntN(5))
	}
	prefix := what + "_"
	return []onnx.Attribute{
		attr("nodes_treeids", f.treeIDs), attr("nodes_nodeids", f.nodeIDs), attr("nodes_featureids", f.features), attr("nodes_values", f.values),
		attr("nodes_modes", f.kinds), attr("nodes_truenodeids", f.yes), attr("nodes_falsenodeids", f.no), attr("nodes_missing_value_tracks_true", f.missing),
		attr(prefix+"treeids", f.leafTrees), attr(prefix+"nodeids", f.leafNodes), attr(prefix+"ids", f.leafTargets), attr(prefix+"weights", f.weights),
	}
}

// trees gathers the attributes of an ensemble.
type trees struct {
	r           *rand.Rand
	modes       []string
	targets     int
	tree, nodes int64

	treeIDs, nodeIDs, features, yes, no, missing []int64
	values                                       []float32
	kinds                                        []string
	leafTrees, leafNodes, leafTargets            []int64
	weights                                      []float32
}

// grow adds a node and what is below it, and returns its number in the tree.
func (f *trees) grow(depth int) int64 {
	id, at := f.nodes, len(f.nodeIDs)
	f.nodes++
	f.treeIDs, f.nodeIDs = append(f.treeIDs, f.tree), append(f.nodeIDs, id)
	f.features, f.values = append(f.features, f.r.Int64N(6)), append(f.values, float32(quarter(f.r)))
	f.kinds, f.missing = append(f.kinds, f.modes[f.r.IntN(len(f.modes))]), append(f.missing, f.r.Int64N(2))
	f.yes, f.no = append(f.yes, 0), append(f.no, 0)
	if depth > 0 && (id == 0 || f.r.IntN(5) > 0) { // some branches end early
		yes, no := f.grow(depth-1), f.grow(depth-1)
		f.yes[at], f.no[at] = yes, no
		return id
	}
	f.kinds[at], f.features[at], f.values[at], f.missing[at] = "LEAF", 0, 0, 0
	for target := range int64(f.targets) { // several targets: a leaf adds to all of them
		f.leafTrees, f.leafNodes = append(f.leafTrees, f.tree), append(f.leafNodes, id)
		f.leafTargets, f.weights = append(f.leafTargets, target), append(f.weights, float32(f.r.NormFloat64()))
	}
	return id
}

// quarter is a value on a grid, so that inputs hit thresholds exactly.
func quarter(r *rand.Rand) float64 { return float64(r.IntN(33)-16) / 4 }

// quarterOrNaN has a missing value now and then.
func quarterOrNaN(r *rand.Rand) float64 {
	if r.IntN(20) == 0 {
		return math.NaN()
	}
	return quarter(r)
}

func learned() []graph {
	classes := func(g onnx.Graph, n int64) onnx.Graph {
		g.Outputs = []onnx.Value{value("label", onnx.Int64, -1), value("y", onnx.Float, -1, n)}
		return g
	}
	classifier := func(name, op string, kinds int, post string, leaves int, fill func(*rand.Rand) float64) graph {
		return graph{name, func(r *rand.Rand) onnx.Graph {
			labels := make([]int64, kinds)
			for i := range labels {
				labels[i] = int64(10 * i)
			}
			a := []onnx.Attribute{attr("post_transform", post), attr("classlabels_int64s", labels)}
			return classes(one(dims(6), nil, []onnx.Node{node("ml."+op, "x", "label y", append(a, forest(r, leaves, "class")...)...)}), int64(kinds))
		}, fill}
	}
	linear := func(name string, rows, kinds int, post string) graph {
		return graph{name, func(r *rand.Rand) onnx.Graph {
			return classes(one(dims(6), nil, []onnx.Node{node("ml.LinearClassifier", "x", "label y", attr("post_transform", post),
				attr("classlabels_ints", []int64{3, 5, 9}[:kinds]), attr("coefficients", normals(r, 6*rows)), attr("intercepts", normals(r, rows)), attr("multi_class", 0))}), int64(kinds))
		}, nil}
	}
	regressor := func(name string, targets int, modes string, extra ...onnx.Attribute) graph {
		return graph{name, func(r *rand.Rand) onnx.Graph {
			a := append(forestOf(r, targets, "target", strings.Fields(modes)), attr("n_targets", targets))
			return one(dims(6), dims(int64(targets)), []onnx.Node{node("ml.TreeEnsembleRegressor", "x", "y", append(a, extra...)...)})
		}, quarterOrNaN}
	}
	normalizer := func(norm string) graph {
		return graph{"normalizer-" + norm, func(*rand.Rand) onnx.Graph {
			return one(dims(5), dims(5), []onnx.Node{node("ml.Normalizer", "x", "y", attr("norm", norm))})
		}, nil}
	}
	return []graph{
		regressor("trees", 1, "BRANCH_LEQ"),
		regressor("trees-base", 1, "BRANCH_LEQ", attr("base_values", []float32{100})),
		regressor("trees-less", 1, "BRANCH_LT"),
		regressor("trees-targets", 3, "BRANCH_LEQ", attr("base_values", []float32{1, -2, 3})),
		regressor("trees-modes", 1, "BRANCH_LEQ BRANCH_LT BRANCH_GT BRANCH_GTE BRANCH_EQ BRANCH_NEQ"),
		regressor("trees-average", 2, "BRANCH_LEQ", attr("aggregate_function", "AVERAGE")),
		classifier("tree-classes", "TreeEnsembleClassifier", 3, "NONE", 3, quarter),
		classifier("tree-classes-softmax", "TreeEnsembleClassifier", 4, "SOFTMAX", 4, quarter),
		classifier("tree-classes-logistic", "TreeEnsembleClassifier", 3, "LOGISTIC", 3, quarter),
		classifier("tree-binary", "TreeEnsembleClassifier", 2, "NONE", 1, quarter),
		classifier("tree-binary-logistic", "TreeEnsembleClassifier", 2, "LOGISTIC", 1, quarter),
		unlabelled(classifier("tree-two-classes", "TreeEnsembleClassifier", 2, "NONE", 2, quarter)),
		unlabelled(classifier("tree-two-classes-softmax", "TreeEnsembleClassifier", 2, "SOFTMAX", 2, quarter)),
		linear("linear-classes", 3, 3, "NONE"), linear("linear-classes-softmax", 3, 3, "SOFTMAX"), linear("linear-classes-logistic", 3, 3, "LOGISTIC"),
		linear("linear-two", 2, 2, "SOFTMAX"), linear("linear-binary", 1, 2, "LOGISTIC"), linear("linear-binary-none", 1, 2, "NONE"),
		{"linear-regressor", func(r *rand.Rand) onnx.Graph {
			return one(dims(6), dims(2), []onnx.Node{node("ml.LinearRegressor", "x", "y", attr("coefficients", normals(r, 12)), attr("intercepts", normals(r, 2)), attr("targets", 2))})
		}, nil},
		{"scaler", func(r *rand.Rand) onnx.Graph {
			return one(dims(5), dims(5), []onnx.Node{node("ml.Scaler", "x", "y", attr("offset", normals(r, 5)), attr("scale", normals(r, 5)))})
		}, nil},
		{"scaler-of-one", func(r *rand.Rand) onnx.Graph {
			return one(dims(5), dims(5), []onnx.Node{node("ml.Scaler", "x", "y", attr("offset", normals(r, 1)), attr("scale", normals(r, 1)))})
		}, nil},
		normalizer("L1"), normalizer("L2"), normalizer("MAX"),
	}
}

// unlabelled drops the label: of two classes with a score each, ONNX Runtime (1.24) does not take the larger
// and does not look at classlabels_int64s. It answers 1 or 0, by the sign of the second score. The format
// says otherwise, and so does the runtime of pure Go.
func unlabelled(g graph) graph {
	labelled := g.make
	g.make = func(r *rand.Rand) onnx.Graph {
		full := labelled(r)
		full.Outputs = full.Outputs[1:]
		return full
	}
	return g
}

func normals(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}
