package builtin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// draft is a random graph that grows: name is its last value and shape that of its rows.
type draft struct {
	r     *rand.Rand
	m     onnx.Model
	name  string
	shape []int
	count int
}

func (d *draft) graph() *onnx.Graph { return &d.m.Graph }

func (d *draft) opset() int64 {
	v, ok := d.m.Version("")
	if !ok {
		return onnx.Opset13
	}
	return v
}

func newDraft(r *rand.Rand, shape ...int) *draft {
	d := &draft{r: r, name: "x", shape: shape}
	d.m.Graph.Inputs = []onnx.Value{onnx.Rows("x", onnx.Float, shape...)}
	return d
}

func (d *draft) numbers(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(d.r.NormFloat64())
	}
	return out
}

// constant adds random numbers of a shape.
func (d *draft) constant(shape ...int) string {
	return d.given(d.numbers(product(shape)), shape...)
}

func (d *draft) given(values []float32, shape ...int) string {
	t := onnx.Floats32(d.fresh("c"), values)
	for _, s := range shape {
		t.Dims = append(t.Dims, int64(s))
	}
	d.graph().Initializers = append(d.graph().Initializers, t)
	return t.Name
}

func (d *draft) list(values ...int64) string {
	t := onnx.Ints64(d.fresh("l"), values...)
	d.graph().Initializers = append(d.graph().Initializers, t)
	return t.Name
}

func (d *draft) fresh(prefix string) string {
	d.count++
	return fmt.Sprintf("%s%d", prefix, d.count)
}

// node adds a node from the last value and more; its first output is the last value then.
func (d *draft) node(op string, more []string, attributes ...onnx.Attribute) {
	out := d.fresh("v")
	d.graph().Add("", op, append([]string{d.name}, more...), []string{out}, attributes...)
	d.name = out
}

func (d *draft) ml(op string, outputs int, attributes ...onnx.Attribute) []string {
	var out []string
	for range outputs {
		out = append(out, d.fresh("v"))
	}
	d.graph().Add(onnx.DomainML, op, []string{d.name}, out, attributes...)
	d.name = out[0]
	return out
}

// steps are what a draft of any shape can grow by.
func steps() map[string]func(*draft) bool {
	unary := func(op string, attributes ...onnx.Attribute) func(*draft) bool {
		return func(d *draft) bool { d.node(op, nil, attributes...); return true }
	}
	return map[string]func(*draft) bool{
		"Relu": unary("Relu"), "LeakyRelu": unary("LeakyRelu", onnx.AttrFloat("alpha", 0.2)), "Sigmoid": unary("Sigmoid"), "Tanh": unary("Tanh"),
		"Neg": unary("Neg"), "Identity": unary("Identity"), "Dropout": unary("Dropout"),
		"Exp":  func(d *draft) bool { d.node("Tanh", nil); d.node("Exp", nil); return true },
		"Log":  func(d *draft) bool { d.node("Sigmoid", nil); d.node("Log", nil); return true },
		"Sqrt": func(d *draft) bool { d.node("Sigmoid", nil); d.node("Sqrt", nil); return true },
		"Clip": func(d *draft) bool {
			d.node("Clip", []string{d.given([]float32{-0.5}), d.given([]float32{0.7})})
			return true
		},
		"Add": constantOp("Add"), "Sub": constantOp("Sub"), "Mul": constantOp("Mul"), "Div": constantOp("Div"), "Max": constantOp("Max"), "Min": constantOp("Min"),
		"both": bothOp, "Flatten": flattenStep, "Reshape": reshapeStep, "Unsqueeze": unsqueezeStep, "Transpose": transposeStep, "Concat": concatStep,
		"Gemm": gemmStep, "MatMul": matMulStep, "BatchNormalization": batchNormStep, "Conv": convStep, "MaxPool": poolStep, "AveragePool": poolStep,
		"GlobalAveragePool": globalStep, "Reduce": reduceStep, "Softmax": softmaxStep("Softmax"), "LogSoftmax": softmaxStep("LogSoftmax"),
		"Scaler": scalerStep, "Normalizer": normalizerStep, "LinearRegressor": linearStep, "Trees": treeStep,
	}
}

func constantOp(op string) func(*draft) bool {
	return func(d *draft) bool {
		shape := slices.Clone(d.shape)[d.r.IntN(len(d.shape)+1):]
		for i := range shape {
			if d.r.IntN(2) == 0 {
				shape[i] = 1
			}
		}
		f := d.numbers(product(shape))
		if op == "Div" {
			for i := range f {
				f[i] = 1 + f[i]*f[i]
			}
		}
		c := d.given(f, shape...)
		if x := d.name; op != "Div" && d.r.IntN(2) == 0 {
			d.name = c
			d.node(op, []string{x})
			return true
		}
		d.node(op, []string{c})
		return true
	}
}

// bothOp combines the value with a function of itself, whose axes may be of length 1.
func bothOp(d *draft) bool {
	x := d.name
	d.node([]string{"Tanh", "Relu", "Identity"}[d.r.IntN(3)], nil)
	if len(d.shape) > 0 && d.r.IntN(2) == 0 {
		d.node("ReduceMax", nil, onnx.AttrInts("axes", int64(1+d.r.IntN(len(d.shape)))))
	}
	d.node([]string{"Add", "Sub", "Mul", "Max"}[d.r.IntN(4)], []string{x})
	return true
}

func flattenStep(d *draft) bool {
	d.node("Flatten", nil, onnx.AttrInt("axis", 1))
	d.shape = []int{product(d.shape)}
	return true
}

func reshapeStep(d *draft) bool {
	n := product(d.shape)
	k := 1 + d.r.IntN(n)
	for n%k != 0 {
		k--
	}
	shapes := [][]int64{{0, int64(k), -1}, {-1, int64(k), int64(n / k)}, {0, int64(n / k), int64(k)}}
	d.node("Reshape", []string{d.list(shapes[d.r.IntN(3)]...)})
	d.shape = []int{k, n / k}
	if last := d.graph().Initializers[len(d.graph().Initializers)-1]; last.Name[0] == 'l' {
		if v, _ := last.Ints(); v[0] == 0 && v[2] == int64(k) && v[1] == int64(n/k) && k != n/k && v[2] != -1 {
			d.shape = []int{n / k, k}
		}
	}
	return true
}

func unsqueezeStep(d *draft) bool {
	at := 1 + d.r.IntN(len(d.shape)+1)
	d.node("Unsqueeze", []string{d.list(int64(at))})
	d.shape = slices.Insert(slices.Clone(d.shape), at-1, 1)
	if d.r.IntN(2) == 0 {
		d.node("Tanh", nil)
		d.node("Squeeze", []string{d.list(int64(at))})
		d.shape = slices.Delete(slices.Clone(d.shape), at-1, at)
	}
	return true
}

func transposeStep(d *draft) bool {
	order := d.r.Perm(len(d.shape))
	perm, shape := []int64{0}, []int{}
	for _, o := range order {
		perm, shape = append(perm, int64(o+1)), append(shape, d.shape[o])
	}
	d.node("Transpose", nil, onnx.AttrInts("perm", perm...))
	d.shape = shape
	return true
}

func concatStep(d *draft) bool {
	if len(d.shape) == 0 || product(d.shape) > 500 {
		return false
	}
	x, at := d.name, d.r.IntN(len(d.shape))
	d.node("Sigmoid", nil)
	d.node("Concat", []string{x, x}, onnx.AttrInt("axis", int64(at+1)))
	d.shape = slices.Clone(d.shape)
	d.shape[at] *= 3
	return true
}

func gemmStep(d *draft) bool {
	if len(d.shape) != 1 {
		return false
	}
	in, out := d.shape[0], 1+d.r.IntN(40)
	attributes := []onnx.Attribute{onnx.AttrFloat("alpha", 0.5), onnx.AttrFloat("beta", 2)}
	w := d.constant(in, out)
	if d.r.IntN(2) == 0 {
		w = d.constant(out, in)
		attributes = append(attributes, onnx.AttrInt("transB", 1))
	}
	more := [][]string{{w}, {w, d.constant(out)}, {w, d.constant(1, out)}, {w, d.constant(1)}}[d.r.IntN(4)]
	d.node("Gemm", more, attributes...)
	d.shape = []int{out}
	return true
}

func matMulStep(d *draft) bool {
	if len(d.shape) == 0 {
		return false
	}
	out := 1 + d.r.IntN(9)
	d.node("MatMul", []string{d.constant(d.shape[len(d.shape)-1], out)})
	d.shape = slices.Clone(d.shape)
	d.shape[len(d.shape)-1] = out
	if d.r.IntN(2) == 0 {
		d.node("Add", []string{d.constant(out)})
	}
	return true
}

func batchNormStep(d *draft) bool {
	if len(d.shape) == 0 {
		return false
	}
	c := d.shape[0]
	variance := d.numbers(c)
	for i := range variance {
		variance[i] = 1 + variance[i]*variance[i]
	}
	d.node("BatchNormalization", []string{d.constant(c), d.constant(c), d.constant(c), d.given(variance, c)}, onnx.AttrFloat("epsilon", 0.1))
	return true
}

// windowAttributes are those of a convolution or pool of a kernel that fits; false if none does.
func windowAttributes(d *draft, pool bool) (kernel []int64, attributes []onnx.Attribute, ok bool) {
	if len(d.shape) != 3 {
		return nil, nil, false
	}
	for _, side := range d.shape[1:] {
		kernel = append(kernel, int64(1+d.r.IntN(min(3, side))))
	}
	attributes = append(attributes, onnx.AttrInts("kernel_shape", kernel...), onnx.AttrInts("strides", int64(1+d.r.IntN(3)), int64(1+d.r.IntN(3))))
	if d.r.IntN(3) == 0 && int64(d.shape[1]) >= 2*kernel[0] && int64(d.shape[2]) >= 2*kernel[1] {
		attributes = append(attributes, onnx.AttrInts("dilations", 2, 2))
	}
	if auto := []string{"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}[d.r.IntN(4)]; auto != "NOTSET" {
		return kernel, append(attributes, onnx.AttrText("auto_pad", auto)), true
	}
	var pads []int64
	for i := range 4 {
		pads = append(pads, d.r.Int64N(kernel[i%2])) // smaller than the kernel, so that no place is all padding
	}
	attributes = append(attributes, onnx.AttrInts("pads", pads...))
	if pool && d.r.IntN(2) == 0 {
		attributes = append(attributes, onnx.AttrInt("ceil_mode", 1))
	}
	return kernel, attributes, true
}

func convStep(d *draft) bool {
	kernel, attributes, ok := windowAttributes(d, false)
	if !ok {
		return false
	}
	groups := 1
	if d.r.IntN(2) == 0 {
		groups = d.shape[0]
	}
	filters := groups * (1 + d.r.IntN(3))
	more := []string{d.constant(filters, d.shape[0]/groups, int(kernel[0]), int(kernel[1]))}
	if d.r.IntN(2) == 0 {
		more = append(more, d.constant(filters))
	}
	d.node("Conv", more, append(attributes, onnx.AttrInt("group", int64(groups)))...)
	d.measure()
	return true
}

func poolStep(d *draft) bool {
	_, attributes, ok := windowAttributes(d, true)
	if !ok {
		return false
	}
	op := []string{"MaxPool", "AveragePool"}[d.r.IntN(2)]
	for i := range attributes {
		if attributes[i].Name == "dilations" && op == "AveragePool" { // came with opset 19
			attributes[i] = onnx.AttrInt("count_include_pad", 1)
		}
	}
	d.node(op, nil, attributes...)
	d.measure()
	return true
}

// measure asks the twin for the shape of the last value.
func (d *draft) measure() {
	shape := naive(d.graph(), d.opset(), map[string]array{"x": d.batch(1)})[d.name].dims
	d.shape = shape[1:]
}

func globalStep(d *draft) bool {
	if len(d.shape) < 2 {
		return false
	}
	d.node("GlobalAveragePool", nil)
	d.measure()
	return true
}

func reduceStep(d *draft) bool {
	if len(d.shape) == 0 {
		return false
	}
	at := int64(1 + d.r.IntN(len(d.shape)))
	d.node([]string{"ReduceMax", "ReduceMean"}[d.r.IntN(2)], nil, onnx.AttrInts("axes", at), onnx.AttrInt("keepdims", int64(d.r.IntN(2))))
	d.measure()
	return true
}

func softmaxStep(op string) func(*draft) bool {
	return func(d *draft) bool {
		if len(d.shape) == 0 {
			return false
		}
		d.node(op, nil, onnx.AttrInt("axis", int64(len(d.shape))))
		return true
	}
}

func scalerStep(d *draft) bool {
	if len(d.shape) != 1 {
		return false
	}
	d.ml("Scaler", 1, onnx.AttrFloats("offset", d.numbers(d.shape[0])...), onnx.AttrFloats("scale", d.numbers(1)...))
	return true
}

func normalizerStep(d *draft) bool {
	if len(d.shape) != 1 {
		return false
	}
	d.node("Exp", nil) // so that the greatest is not near 0
	d.node("Clip", []string{d.given([]float32{0.1}), d.given([]float32{9})})
	d.ml("Normalizer", 1, onnx.AttrText("norm", []string{"MAX", "L1", "L2"}[d.r.IntN(3)]))
	return true
}

func linearStep(d *draft) bool {
	if len(d.shape) != 1 {
		return false
	}
	n := 2 + d.r.IntN(5)
	d.ml("LinearRegressor", 1, onnx.AttrInt("targets", int64(n)), onnx.AttrFloats("coefficients", d.numbers(n*d.shape[0])...),
		onnx.AttrFloats("intercepts", d.numbers(n)...), onnx.AttrText("post_transform", []string{"NONE", "SOFTMAX", "LOGISTIC"}[d.r.IntN(3)]))
	d.shape = []int{n}
	return true
}

func treeStep(d *draft) bool {
	if len(d.shape) != 1 {
		return false
	}
	targets := 1 + d.r.IntN(3)
	attributes := append(d.trees("target", targets, false), onnx.AttrInt("n_targets", int64(targets)))
	if d.r.IntN(2) == 0 {
		attributes = append(attributes, onnx.AttrText("aggregate_function", "AVERAGE"))
	}
	if d.r.IntN(2) == 0 {
		attributes = append(attributes, onnx.AttrFloats("base_values", d.numbers(targets)...))
	}
	d.ml("TreeEnsembleRegressor", 1, attributes...)
	d.shape = []int{targets}
	return true
}

// trees are random trees over the last value's features, of nodes whose ids are in no order.
func (d *draft) trees(prefix string, targets int, positive bool) []onnx.Attribute {
	var tree, id, feature, yes, no, missing, wTree, wNode, wID []int64
	var values, weights []float32
	var modes []string
	for t := range 1 + d.r.IntN(6) {
		inner := d.r.IntN(12)
		ids := d.r.Perm(2*inner + 1)
		next := 1
		for i := range 2*inner + 1 {
			mode, a, b := "LEAF", int64(0), int64(0)
			if i < inner {
				mode = []string{"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"}[d.r.IntN(6)]
				a, b = int64(ids[next]), int64(ids[next+1])
				next += 2
			} else {
				for range 1 + d.r.IntN(2) {
					w := float32(d.r.NormFloat64())
					if positive {
						w *= w / 4
					}
					wTree, wNode, wID, weights = append(wTree, int64(10*t)), append(wNode, int64(ids[i])), append(wID, int64(d.r.IntN(targets))), append(weights, w)
				}
			}
			tree, id, feature = append(tree, int64(10*t)), append(id, int64(ids[i])), append(feature, int64(d.r.IntN(d.shape[0])))
			yes, no, missing = append(yes, a), append(no, b), append(missing, int64(d.r.IntN(2)))
			modes, values = append(modes, mode), append(values, float32(d.r.NormFloat64()))
		}
	}
	return []onnx.Attribute{onnx.AttrInts("nodes_treeids", tree...), onnx.AttrInts("nodes_nodeids", id...), onnx.AttrInts("nodes_featureids", feature...),
		onnx.AttrInts("nodes_truenodeids", yes...), onnx.AttrInts("nodes_falsenodeids", no...), onnx.AttrInts("nodes_missing_value_tracks_true", missing...),
		onnx.AttrTexts("nodes_modes", modes...), onnx.AttrFloats("nodes_values", values...), onnx.AttrInts(prefix+"_treeids", wTree...),
		onnx.AttrInts(prefix+"_nodeids", wNode...), onnx.AttrInts(prefix+"_ids", wID...), onnx.AttrFloats(prefix+"_weights", weights...)}
}

// batch is random rows for the draft's input.
func (d *draft) batch(rows int) array {
	a := array{dims: []int{rows}}
	for _, s := range d.graph().Inputs[0].Shape[1:] {
		a.dims = append(a.dims, int(s.Size))
	}
	for range product(a.dims) {
		a.v = append(a.v, float64(float32(d.r.NormFloat64())))
	}
	return a
}

func (a array) tensor() runtime.Tensor {
	t := runtime.Tensor{Type: runtime.FP32, Shape: a.dims, Data: runtime.Alloc(4 * len(a.v))}
	convert(runtime.Values[float32](t.Data), a.v)
	return t
}

// finish makes the values the graph's outputs.
func (d *draft) finish(types map[string]onnx.Type, names ...string) {
	for _, name := range names {
		t := onnx.Float
		if types[name] != 0 {
			t = types[name]
		}
		d.graph().Outputs = append(d.graph().Outputs, onnx.Value{Name: name, Type: t})
	}
}

// agrees compares the runtime with the twin, over rows in a batch and alone.
func (d *draft) agrees(t *testing.T) {
	t.Helper()
	data, err := onnx.Write(&d.m)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, d)
	}
	s, _ := m.Session()
	for _, rows := range []int{3, 1, 9} {
		in := d.batch(rows)
		want := naive(d.graph(), d.opset(), map[string]array{"x": in})
		all := d.outputs(t, s, in)
		for i, o := range d.graph().Outputs {
			if got, w := all[i], want[o.Name]; !slices.Equal(got.dims, w.dims) || !slices.EqualFunc(got.v, w.v, close1) {
				t.Fatalf("output %s of %d rows is\n%v, want\n%v\n%s", o.Name, rows, got, w, d)
			}
		}
		d.alone(t, m, in, all)
	}
}

// alone: each row of a batch has the answer that it has alone.
func (d *draft) alone(t *testing.T, m runtime.Model, in array, all []array) {
	t.Helper()
	s, _ := m.Session()
	rows, width := in.dims[0], product(in.dims[1:])
	for r := range rows {
		one := d.outputs(t, s, array{append([]int{1}, in.dims[1:]...), in.v[r*width : (r+1)*width]})
		for i := range all {
			w := product(all[i].dims[1:])
			most := 1.0 // numbers that are sums are as exact as what they sum, not as they are themselves
			for _, v := range one[i].v {
				most = max(most, math.Abs(v))
			}
			if !slices.EqualFunc(one[i].v, all[i].v[r*w:(r+1)*w], func(a, b float64) bool { return math.Abs(a-b) <= 1e-5*most }) {
				t.Fatalf("row %d of output %d is %v alone, %v in a batch\n%s", r, i, one[i].v, all[i].v[r*w:(r+1)*w], d)
			}
		}
	}
}

func (d *draft) outputs(t *testing.T, s runtime.Session, in array) []array {
	t.Helper()
	got, err := s.Run([]runtime.Tensor{in.tensor()}, in.dims[0])
	if err != nil {
		t.Fatal(err)
	}
	var out []array
	for _, g := range got {
		a := array{dims: slices.Clone(g.Shape), v: make([]float64, product(g.Shape))}
		switch g.Type {
		case runtime.FP32:
			convert(a.v, runtime.Values[float32](g.Data))
		case runtime.Int64:
			convert(a.v, runtime.Values[int64](g.Data))
		}
		out = append(out, a)
	}
	return out
}

// close1 allows for float32 over some layers.
func close1(a, b float64) bool { return a == b || math.Abs(a-b) <= 2e-4*(1+math.Abs(b)) }

// String lists the nodes, for messages.
func (d *draft) String() string {
	text := fmt.Sprintf("x %v\n", d.graph().Inputs[0].Shape)
	for _, n := range d.graph().Nodes {
		text += fmt.Sprintf("%s %v -> %v", n.Op, n.Inputs, n.Outputs)
		for _, a := range n.Attributes {
			if len(a.Ints) < 8 && len(a.Floats) < 8 {
				text += fmt.Sprintf(" %s=%d%v%v%s%v", a.Name, a.Int, a.Ints, a.Float, a.Text, a.Floats)
			}
		}
		text += "\n"
	}
	return text
}
