package builtin

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// opened is the model of a graph with a session.
func opened(t *testing.T, m *onnx.Model) (runtime.Model, runtime.Session) {
	t.Helper()
	data, err := onnx.Write(m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Session()
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

// answer runs float32 rows through a graph from x to y.
func answer(t *testing.T, d *draft, in []float32, rows int) []float32 {
	t.Helper()
	d.finish(nil, d.name)
	_, s := opened(t, &d.m)
	out, err := s.Run([]runtime.Tensor{{Type: runtime.FP32, Shape: []int{rows, len(in) / rows}, Data: runtime.Data(in)}}, rows)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(runtime.Values[float32](out[0].Data))
}

// TestByHand: operators in the forms that the random graphs do not have, and their numbers worked out.
func TestByHand(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	tests := []struct {
		name  string
		opset int64
		shape []int // of a row
		build func(d *draft)
		in    []float32 // two rows
		want  []float32
	}{
		{"softmax along two axes, old opset", 11, []int{1, 2}, func(d *draft) { d.node("Softmax", nil, onnx.AttrInt("axis", 1)) },
			[]float32{5, 5, 0, 0}, []float32{.5, .5, .5, .5}},
		{"softmax of all but the rows, old opset", 11, []int{2, 2}, func(d *draft) { d.node("Softmax", nil) },
			[]float32{5, 5, 5, 5, 0, 0, 0, 0}, []float32{.25, .25, .25, .25, .25, .25, .25, .25}},
		{"a bias after the ReLU", 13, []int{1}, func(d *draft) { // relu(2x) + 1
			d.node("Gemm", []string{d.given([]float32{2}, 1, 1)})
			d.node("Relu", nil)
			d.node("Add", []string{d.given([]float32{1})})
		}, []float32{3, -3}, []float32{7, 1}},
		{"a bias for what are not the layer's columns", 13, []int{2, 1}, func(d *draft) { // rows of 2x1 times 1x2, as 1x2x2
			d.node("MatMul", []string{d.given([]float32{1, 10}, 1, 2)})
			d.node("Reshape", []string{d.list(0, 1, 2, 2)})
			d.node("Add", []string{d.given([]float32{100, 200}, 2, 1)})
		}, []float32{1, 2, 3, 4}, []float32{101, 110, 202, 220, 103, 130, 204, 240}},
		{"the greatest of squares that begin in the padding", 13, []int{1, 4, 2}, func(d *draft) {
			d.node("MaxPool", nil, onnx.AttrInts("kernel_shape", 2, 2), onnx.AttrInts("strides", 2, 2), onnx.AttrInts("pads", 1, 0, 0, 0))
		}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1}, []float32{2, 6, 8, 6}},
		{"a constant by the value", 13, []int{2}, func(d *draft) { // 6 / x
			d.graph().Add("", "Div", []string{d.given([]float32{6}), "x"}, []string{"y"})
			d.name = "y"
		}, []float32{1, 2, 3, -6}, []float32{6, 3, 2, -1}},
		{"clip by attributes, old opset", 6, []int{2}, func(d *draft) { d.node("Clip", nil, onnx.AttrFloat("min", 0), onnx.AttrFloat("max", 2)) },
			[]float32{-1, 1, 3, 2}, []float32{0, 1, 2, 2}},
		{"squeeze by attribute", 11, []int{1, 2}, func(d *draft) { d.node("Squeeze", nil, onnx.AttrInts("axes", -2)) },
			[]float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}},
		{"squeeze all", 13, []int{1, 2}, func(d *draft) { d.node("Squeeze", nil) }, []float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}},
		{"a batch of one in a shape", 13, []int{4}, func(d *draft) {
			d.node("Reshape", []string{d.list(1, 2, 2)})
			d.node("Transpose", nil, onnx.AttrInts("perm", 0, 2, 1))
			d.node("Reshape", []string{d.list(1, -1)})
		}, []float32{1, 2, 3, 4, 5, 6, 7, 8}, []float32{1, 3, 2, 4, 5, 7, 6, 8}},
		{"negative axes", 13, []int{2, 2}, func(d *draft) {
			d.node("ReduceMax", nil, onnx.AttrInts("axes", -1), onnx.AttrInt("keepdims", 0))
			d.node("Softmax", nil)
			d.node("Unsqueeze", []string{d.list(-1)})
		}, []float32{1, 2, 2, 0, 0, 3, 3, 1}, []float32{.5, .5, .5, .5}},
		{"a constant that is computed", 13, []int{2}, func(d *draft) {
			g := d.graph()
			g.Add("", "Constant", nil, []string{"k"}, onnx.AttrFloats("value_floats", 1, 2, 3, 4))
			g.Add("", "Reshape", []string{"k", d.list(2, -1)}, []string{"k2"})
			g.Add("", "Transpose", []string{"k2"}, []string{"k3"}) // 1 3, 2 4
			g.Add("", "Add", []string{"k3", "k2"}, []string{"k4"}) // 2 5, 5 8
			d.node("MatMul", []string{"k4"})
		}, []float32{1, 0, 1, 1}, []float32{2, 5, 7, 13}},
		{"to whole numbers and back", 13, []int{2}, func(d *draft) {
			d.node("Cast", nil, onnx.AttrInt("to", int64(onnx.Int64)))
			d.node("Cast", nil, onnx.AttrInt("to", int64(onnx.Float)))
		}, []float32{1.9, -1.9, 0.5, 7}, []float32{1, -1, 0, 7}},
		{"the sum of what is used twice", 13, []int{1}, func(d *draft) { // relu(2x) + 2x: the ReLU is not folded in
			d.node("Gemm", []string{d.given([]float32{2}, 1, 1)})
			sum := d.name
			d.node("Relu", nil)
			d.node("Add", []string{sum})
		}, []float32{3, -3}, []float32{12, -6}},
		{"the same under another name", 13, []int{1}, func(d *draft) {
			d.node("Gemm", []string{d.given([]float32{2}, 1, 1)})
			sum := d.name
			d.node("Identity", nil)
			d.node("Relu", nil)
			d.node("Add", []string{sum})
		}, []float32{3, -3}, []float32{12, -6}},
		{"averages by rows of a leaf", 13, []int{1}, func(d *draft) { // two trees of one leaf: (3 + 5) / 2 + 1
			d.ml("TreeEnsembleRegressor", 1, onnx.AttrText("aggregate_function", "AVERAGE"), onnx.AttrFloats("base_values", 1),
				onnx.AttrInts("nodes_treeids", 0, 1), onnx.AttrInts("nodes_nodeids", 0, 0), onnx.AttrInts("nodes_featureids", 0, 0),
				onnx.AttrInts("nodes_truenodeids", 0, 0), onnx.AttrInts("nodes_falsenodeids", 0, 0), onnx.AttrTexts("nodes_modes", "LEAF", "LEAF"),
				onnx.AttrFloats("nodes_values", 0, 0), onnx.AttrInts("target_treeids", 0, 1), onnx.AttrInts("target_nodeids", 0, 0),
				onnx.AttrInts("target_ids", 0, 0), onnx.AttrFloats("target_weights", 3, 5))
		}, []float32{1, 2}, []float32{5, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDraft(r, tt.shape...)
			d.m.Opsets = []onnx.Opset{{Version: tt.opset}, {Domain: onnx.DomainML, Version: 3}}
			tt.build(d)
			got := answer(t, d, tt.in, 2)
			if !slices.EqualFunc(got, tt.want, func(a, b float32) bool { return close1(float64(a), float64(b)) }) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestRefused: what is not computed is refused when the model is opened, and the message says what it is.
func TestRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	tests := []struct {
		name  string
		build func(d *draft)
		want  []string
	}{
		{"every unknown operator", func(d *draft) { d.node("LSTM", nil); d.node("Erf", nil); d.ml("ZipMap", 1); d.node("Erf", nil) },
			[]string{"operators Erf, LSTM, ai.onnx.ml.ZipMap are not supported", "--runtime onnx"}},
		{"every fault", func(d *draft) {
			d.node("Softmax", nil, onnx.AttrInt("axis", 0))
			d.name = "x"
			d.node("Gemm", []string{d.constant(4, 4)}, onnx.AttrInt("transA", 1))
		}, []string{"Softmax: it works along axis 0", "Gemm: only rows times", "--runtime onnx"}},
		{"rows in a reshape", func(d *draft) { d.node("Reshape", []string{d.list(2, -1)}) }, []string{"does not keep the rows"}},
		{"rows into values", func(d *draft) { d.node("Reshape", []string{d.list(-1, 2)}) }, []string{"does not hold 4 values"}},
		{"rows flattened", func(d *draft) { d.node("Flatten", nil, onnx.AttrInt("axis", 0)) }, []string{"mixes rows"}},
		{"rows put together", func(d *draft) { d.node("Concat", []string{d.name}, onnx.AttrInt("axis", 0)) }, []string{"axis 0"}},
		{"rows reduced", func(d *draft) { d.node("ReduceMax", nil) }, []string{"along all axes"}},
		{"rows moved", func(d *draft) { d.node("Transpose", nil, onnx.AttrInts("perm", 1, 0)) }, []string{"holds the rows"}},
		{"a constant for each row", func(d *draft) { d.node("Add", []string{d.constant(3, 4)}) }, []string{"not the same for all rows"}},
		{"two values multiplied", func(d *draft) { d.node("MatMul", []string{"x"}) }, []string{"not a constant"}},
		{"a name of nothing", func(d *draft) { d.node("Add", []string{"nothing"}) }, []string{`input "nothing" is not defined`}},
		{"a missing input", func(d *draft) { d.node("Gemm", nil) }, []string{"input 1 is missing"}},
		{"a matrix that does not fit", func(d *draft) { d.node("Gemm", []string{d.constant(3, 2)}) }, []string{"rows of 4 values do not fit"}},
		{"training", func(d *draft) { d.node("BatchNormalization", nil, onnx.AttrInt("training_mode", 1)) }, []string{"without training"}},
		{"classes with names", func(d *draft) { d.ml("LinearClassifier", 1, onnx.AttrTexts("classlabels_strings", "a", "b")) }, []string{"whole numbers"}},
		{"a sparse forest", func(d *draft) { d.ml("TreeEnsembleRegressor", 1, onnx.AttrInts("nodes_nodeids", 1)) }, []string{"different lengths"}},
		{"a constant output", func(d *draft) { d.name = d.constant(2) }, []string{"same for all rows"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDraft(r, 4)
			tt.build(d)
			d.finish(nil, d.name)
			data, err := onnx.Write(&d.m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(data)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
			}
		})
	}
}

// TestFixedBatch: a graph made for one row takes one at a time.
func TestFixedBatch(t *testing.T) {
	d := newDraft(rand.New(rand.NewPCG(3, 3)), 4)
	d.graph().Inputs[0].Shape[0] = onnx.Fixed(1)
	d.node("Add", []string{d.constant(1, 4)})
	d.finish(nil, d.name)
	m, s := opened(t, &d.m)
	if m.Meta().MaxRows != 1 {
		t.Errorf("takes %d rows, want 1", m.Meta().MaxRows)
	}
	if _, err := s.Run([]runtime.Tensor{d.batch(2).tensor()}, 2); err == nil {
		t.Error("two rows were run")
	}
	if _, err := s.Run([]runtime.Tensor{{Type: runtime.FP32, Shape: []int{1, 4}, Data: runtime.Alloc(16)}}, 1); err != nil {
		t.Error(err)
	}
}

// TestTypes: x of each type becomes 2x + 1 as a FLOAT; and the greatest place as INT64.
func TestTypes(t *testing.T) {
	in := map[onnx.Type][]byte{
		onnx.Float: runtime.Data([]float32{3, 1}), onnx.Double: runtime.Data([]float64{3, 1}), onnx.Int64: runtime.Data([]int64{3, 1}),
		onnx.Int32: runtime.Data([]int32{3, 1}), onnx.Uint8: {3, 1, 0, 0, 0, 0, 0, 0},
	}
	for typ, data := range in {
		d := newDraft(rand.New(rand.NewPCG(4, 4)), 2)
		d.graph().Inputs[0].Type = typ
		d.node("Cast", nil, onnx.AttrInt("to", int64(onnx.Float)))
		d.node("Mul", []string{d.given([]float32{2})})
		d.node("Add", []string{d.given([]float32{1})})
		sum := d.name
		d.node("ArgMax", nil, onnx.AttrInt("axis", 1), onnx.AttrInt("keepdims", 0))
		d.finish(map[string]onnx.Type{d.name: onnx.Int64}, sum, d.name)
		m, s := opened(t, &d.m)
		rt, _ := typ.Runtime()
		out, err := s.Run([]runtime.Tensor{{Type: rt, Shape: []int{1, 2}, Data: data[:2*rt.Size()]}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := runtime.Values[float32](out[0].Data); !slices.Equal(got, []float32{7, 3}) {
			t.Errorf("%s: %v, want 7 3", typ, got)
		}
		if got := runtime.Values[int64](out[1].Data); !slices.Equal(got, []int64{0}) || len(out[1].Shape) != 1 || m.Meta().Outputs[1].Type != runtime.Int64 {
			t.Errorf("%s: place %v of shape %v", typ, got, out[1].Shape)
		}
	}
}

// TestWholeNumbersNotHandedOn: float32 does not hold every one of them.
func TestWholeNumbersNotHandedOn(t *testing.T) {
	for _, to := range []onnx.Type{onnx.Int64, onnx.Int32} {
		d := newDraft(rand.New(rand.NewPCG(4, 4)), 2)
		d.graph().Inputs[0].Type = onnx.Int64
		d.node("Flatten", nil)
		d.node("Cast", nil, onnx.AttrInt("to", int64(to)))
		d.finish(map[string]onnx.Type{d.name: to}, d.name)
		data, _ := onnx.Write(&d.m)
		if _, err := Open(data); err == nil || !strings.Contains(err.Error(), "whole numbers") {
			t.Errorf("as %s: opened, or %v", to, err)
		}
	}
}

// TestNoAllocation: after the first batch, batches that are not larger allocate nothing.
func TestNoAllocation(t *testing.T) {
	d := newDraft(rand.New(rand.NewPCG(6, 6)), 3, 8, 8)
	d.node("Conv", []string{d.constant(8, 3, 3, 3)}, onnx.AttrInts("pads", 1, 1, 1, 1))
	d.node("Relu", nil)
	d.node("MaxPool", nil, onnx.AttrInts("kernel_shape", 2, 2))
	d.node("Flatten", nil)
	d.node("Gemm", []string{d.constant(8*7*7, 5)})
	d.node("Softmax", nil)
	sure := d.name
	d.node("ArgMax", nil, onnx.AttrInt("axis", 1))
	d.finish(map[string]onnx.Type{d.name: onnx.Int64}, sure, d.name)
	_, s := opened(t, &d.m)
	large, small := []runtime.Tensor{d.batch(9).tensor()}, []runtime.Tensor{d.batch(4).tensor()}
	allocs := testing.AllocsPerRun(20, func() {
		s.Run(large, 9)
		s.Run(small, 4)
	})
	if allocs != 0 {
		t.Errorf("%v allocations a run", allocs)
	}
}

// TestSessionsAreApart: two workers compute at the same time with the same weights.
func TestSessionsAreApart(t *testing.T) {
	d := newDraft(rand.New(rand.NewPCG(6, 6)), 3, 6, 6)
	d.node("Conv", []string{d.constant(4, 3, 3, 3)})
	d.node("Flatten", nil)
	d.node("Gemm", []string{d.constant(64, 5)})
	d.node("Softmax", nil)
	d.finish(nil, d.name)
	m, _ := opened(t, &d.m)
	var wait sync.WaitGroup
	for range 4 {
		in := d.batch(5)
		want := naive(d.graph(), 13, map[string]array{"x": in})[d.name]
		wait.Go(func() {
			s, _ := m.Session()
			for range 20 {
				if got, err := s.Run([]runtime.Tensor{in.tensor()}, 5); err != nil || !slices.EqualFunc(runtime.Values[float32](got[0].Data), want.v, func(a float32, b float64) bool { return close1(float64(a), b) }) {
					t.Errorf("another answer, or %v", err)
				}
			}
		})
	}
	wait.Wait()
}

// TestMemoryIsUsedAgain: a chain of layers needs memory for two of them at a time.
func TestMemoryIsUsedAgain(t *testing.T) {
	d := newDraft(rand.New(rand.NewPCG(7, 7)), 64)
	for range 8 {
		d.node("Gemm", []string{d.constant(64, 64), d.constant(64)})
		d.node("Relu", nil)
		d.node("Tanh", nil)
	}
	d.finish(nil, d.name)
	m, _ := opened(t, &d.m)
	p := m.(*program)
	if len(p.slots) != 2 || p.scratchWidth() != 128 || len(p.steps) != 16 {
		t.Errorf("%d slots of %d numbers, %d steps; want 2, 128, 16: the ReLU is part of its layer", len(p.slots), p.scratchWidth(), len(p.steps))
	}
	if least := int64(8 * 4 * 64 * 65); m.Bytes() < least || m.Bytes() > 2*least {
		t.Errorf("holds %d bytes, want about %d", m.Bytes(), least)
	}
}

// TestFusedUnderAnotherName: a name that the values get between a layer and its ReLU changes nothing.
func TestFusedUnderAnotherName(t *testing.T) {
	d := newDraft(rand.New(rand.NewPCG(7, 7)), 4)
	d.node("Gemm", []string{d.constant(4, 2)})
	d.node("Identity", nil)
	d.node("Transpose", nil, onnx.AttrInts("perm", 0, 1))
	d.node("Relu", nil)
	d.finish(nil, d.name)
	m, _ := opened(t, &d.m)
	if p := m.(*program); len(p.steps) != 1 {
		t.Errorf("%d steps, want 1", len(p.steps))
	}
}

// TestMissing: one tree asks x <= 0; a NaN is not, unless the node says that what is missing is.
func TestMissing(t *testing.T) {
	for tracks, want := range []float32{20, 10} {
		d := newDraft(rand.New(rand.NewPCG(9, 9)), 1)
		d.ml("TreeEnsembleRegressor", 1, onnx.AttrInts("nodes_treeids", 0, 0, 0), onnx.AttrInts("nodes_nodeids", 0, 1, 2),
			onnx.AttrInts("nodes_featureids", 0, 0, 0), onnx.AttrInts("nodes_truenodeids", 1, 0, 0), onnx.AttrInts("nodes_falsenodeids", 2, 0, 0),
			onnx.AttrTexts("nodes_modes", "BRANCH_LEQ", "LEAF", "LEAF"), onnx.AttrFloats("nodes_values", 0, 0, 0),
			onnx.AttrInts("nodes_missing_value_tracks_true", int64(tracks), 0, 0), onnx.AttrInts("target_treeids", 0, 0),
			onnx.AttrInts("target_nodeids", 1, 2), onnx.AttrInts("target_ids", 0, 0), onnx.AttrFloats("target_weights", 10, 20))
		nan := float32(math.NaN())
		if got := answer(t, d, []float32{-1, nan, 1}, 3); !slices.Equal(got, []float32{10, want, 20}) {
			t.Errorf("missing tracks true %d: %v", tracks, got)
		}
	}
}

// FuzzOpen: no bytes make Open or a run of one row panic.
func FuzzOpen(f *testing.F) {
	all := steps()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		for _, shape := range shapes() {
			d := newDraft(rand.New(rand.NewPCG(8, uint64(i))), shape...)
			if all[name](d) {
				d.finish(nil, d.name)
				data, err := onnx.Write(&d.m)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Open(data)
		if err != nil {
			return
		}
		p := m.(*program)
		if p.scratchWidth() > 1<<16 || p.bytes > 1<<22 {
			return
		}
		var in []runtime.Tensor
		for i, s := range p.meta.Inputs {
			in = append(in, runtime.Tensor{Type: s.Type, Shape: append([]int{1}, s.Shape...), Data: runtime.Alloc(p.planes[p.inputs[i]].width * s.Type.Size())})
		}
		s, err := m.Session()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(in, 1); err != nil {
			t.Fatal(err)
		}
	})
}
