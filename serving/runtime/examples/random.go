package examples

import (
	"math/rand/v2"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// Sizes of the models of random weights.
const (
	randomTrees    = 500
	randomDepth    = 6
	randomFeatures = 32
)

// random lists the models of random weights: they compute nothing of sense, at the price of models that
// would.
func random() []example {
	row := func(n ...int) runtime.Spec { return runtime.Spec{Name: "x", Type: runtime.FP32, Shape: n} }
	return []example{
		{"cnn-small", row(3, 32, 32), randomImages, normals},
		{"mlp-large", row(512), func() (*onnx.Model, error) { return randomNetwork(512, 2048, 2048, 2048, 16), nil }, normals},
		{"mlp-mid", row(256), func() (*onnx.Model, error) { return randomNetwork(256, 1024, 1024, 10), nil }, normals},
		{"trees-500x6", row(randomFeatures), randomForest, normals},
	}
}

func normals(r *rand.Rand, row []float32) {
	for i := range row {
		row[i] = float32(r.NormFloat64())
	}
}

func randomSource() *rand.Rand { return rand.New(rand.NewPCG(4, seedWeights)) }

// randomNetwork is dense layers from the first size to the last, with a ReLU between them.
func randomNetwork(sizes ...int) *onnx.Model {
	r, m := randomSource(), network{}
	for i, in := range sizes[:len(sizes)-1] {
		m = append(m, newDense(r, in, sizes[i+1]))
	}
	out := &onnx.Model{}
	out.Graph.Inputs = []onnx.Value{onnx.Rows("x", onnx.Float, sizes[0])}
	out.Graph.Outputs = []onnx.Value{onnx.Rows("y", onnx.Float, sizes[len(sizes)-1])}
	m.export(&out.Graph, "x", "y")
	return out
}

// randomForest asks random features: which way a row goes is a coin.
func randomForest() (*onnx.Model, error) {
	r, f := randomSource(), forest{}
	for range randomTrees {
		t := tree{nodes: make([]node, 1<<randomDepth-1), leaf: make([]float32, 1<<randomDepth)}
		for i := range t.nodes {
			t.nodes[i] = node{feature: int32(r.IntN(randomFeatures)), threshold: float32(r.NormFloat64())}
		}
		normals(r, t.leaf)
		f.trees = append(f.trees, t)
	}
	out := &onnx.Model{}
	out.Graph.Inputs = []onnx.Value{onnx.Rows("x", onnx.Float, randomFeatures)}
	out.Graph.Outputs = []onnx.Value{onnx.Rows("y", onnx.Float, 1)}
	addForest(&out.Graph, f, "x", "y")
	return out, nil
}

// randomImages is the network of the image example in the usual order of channels, with ten answers.
func randomImages() (*onnx.Model, error) {
	r, out := randomSource(), &onnx.Model{}
	g := &out.Graph
	g.Inputs = []onnx.Value{onnx.Rows("x", onnx.Float, 3, 32, 32)}
	g.Outputs = []onnx.Value{onnx.Rows("y", onnx.Float, 10)}
	pooled := newConv(r, 8, 16).export(g, "after", newConv(r, 3, 8).export(g, "first", "x"))
	add(g, "Flatten", "flat", []string{pooled})
	newDense(r, 16*8*8, 10).export(g, "head", "flat", "y")
	return out, nil
}
