package builtin

import (
	"math/rand/v2"
	"slices"
	"testing"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// shapes that drafts begin with.
func shapes() [][]int { return [][]int{{7}, {1}, {3, 8, 7}, {2, 5, 5}, {4, 6}, {1, 9, 4}} }

// TestEachOperator compares each operator with its twin, alone and after others.
func TestEachOperator(t *testing.T) {
	all := steps()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			fits := 0
			for try := range 120 {
				r := rand.New(rand.NewPCG(uint64(i), uint64(try)))
				d := newDraft(r, shapes()[try%len(shapes())]...)
				if all[name](d) {
					fits++
					d.finish(nil, d.name)
					d.agrees(t)
				}
			}
			if fits == 0 {
				t.Error("no shape fits it")
			}
		})
	}
}

// TestRandomGraphs compares whole graphs, in which operators are fused and planes lie where others did.
func TestRandomGraphs(t *testing.T) {
	all := steps()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	// Half of the steps are such as layers are fused with.
	fused := []string{"Gemm", "MatMul", "Conv", "Conv", "Relu", "Add", "Mul", "BatchNormalization", "Identity", "Reshape", "both"}
	for try := range 1000 {
		r := rand.New(rand.NewPCG(77, uint64(try)))
		d := newDraft(r, shapes()[r.IntN(len(shapes()))]...)
		var outputs []string
		for range 1 + r.IntN(9) {
			name := names[r.IntN(len(names))]
			if r.IntN(2) == 0 {
				name = fused[r.IntN(len(fused))]
			}
			if all[name](d); product(d.shape) > 2000 {
				break
			}
			if r.IntN(3) == 0 {
				outputs = append(outputs, d.name)
			}
		}
		if d.name != "x" && !slices.Contains(outputs, d.name) {
			outputs = append(outputs, d.name)
		}
		if len(outputs) > 0 {
			d.finish(nil, outputs...)
			d.agrees(t)
		}
	}
}

// TestClassifiers compares labels and scores.
func TestClassifiers(t *testing.T) {
	for try := range 300 {
		r := rand.New(rand.NewPCG(5, uint64(try)))
		d := newDraft(r, 4)
		classes, targets := 2+r.IntN(3), 0
		if targets = classes; classes == 2 && r.IntN(2) == 0 {
			targets = 1
		}
		post := onnx.AttrText("post_transform", []string{"NONE", "LOGISTIC"}[r.IntN(2)])
		labels := []int64{-3, 40, 7, 8}[:classes]
		var out []string
		if r.IntN(3) == 0 {
			out = d.ml("LinearClassifier", 2, onnx.AttrInts("classlabels_ints", labels...), post,
				onnx.AttrFloats("coefficients", d.numbers(targets*4)...), onnx.AttrFloats("intercepts", d.numbers(targets)...))
		} else {
			out = d.ml("TreeEnsembleClassifier", 2, append(d.trees("class", targets, r.IntN(2) == 0), onnx.AttrInts("classlabels_int64s", labels...), post)...)
		}
		d.finish(map[string]onnx.Type{out[0]: onnx.Int64}, out...)
		d.agrees(t)
	}
}
