package builtin

import (
	"fmt"
	"math"
	"slices"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// array is a whole value of the naive twin: all rows, in float64.
type array struct {
	dims []int
	v    []float64
}

func (a array) at(index []int) float64 {
	at := 0
	for i, d := range a.dims {
		at = at*d + index[i]
	}
	return a.v[at]
}

// made fills an array by its definition: one number from its place.
func made(dims []int, f func(index []int) float64) array {
	out, index := array{dims: slices.Clone(dims)}, make([]int, len(dims))
	for range product(dims) {
		out.v = append(out.v, f(index))
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < dims[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// naive computes a graph as the operators' definitions read, with no care for time, and knows nothing
// of rows. It returns all values.
func naive(g *onnx.Graph, opset int64, in map[string]array) map[string]array {
	values := map[string]array{}
	for k, v := range in {
		values[k] = v
	}
	for i := range g.Initializers {
		values[g.Initializers[i].Name] = fromTensor(&g.Initializers[i])
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		var args []array
		for _, name := range n.Inputs {
			args = append(args, values[name])
		}
		for k, v := range naiveNode(n, opset, args) {
			if k < len(n.Outputs) {
				values[n.Outputs[k]] = v
			}
		}
	}
	return values
}

func fromTensor(t *onnx.Tensor) array {
	f, err := t.Floats()
	if err != nil {
		panic(err)
	}
	a := array{dims: dims(t)}
	for _, v := range f {
		a.v = append(a.v, float64(v))
	}
	return a
}

func each1(x array, f func(float64) float64) []array {
	return []array{made(x.dims, func(i []int) float64 { return f(x.at(i)) })}
}

func naiveNode(n *onnx.Node, opset int64, in []array) []array {
	attr := func(name string, otherwise int64) int64 { return integer(n, name, otherwise) }
	switch n.Op {
	case "Identity", "Dropout":
		return in[:1]
	case "Cast":
		if to := onnx.Type(attr("to", 0)); to == onnx.Int64 || to == onnx.Int32 {
			return each1(in[0], math.Trunc)
		}
		return in[:1]
	case "Relu":
		return each1(in[0], func(v float64) float64 { return math.Max(v, 0) })
	case "LeakyRelu":
		return each1(in[0], func(v float64) float64 {
			if v < 0 {
				return v * float64(float(n, "alpha", 0.01))
			}
			return v
		})
	case "Sigmoid":
		return each1(in[0], func(v float64) float64 { return 1 / (1 + math.Exp(-v)) })
	case "Tanh":
		return each1(in[0], math.Tanh)
	case "Exp":
		return each1(in[0], math.Exp)
	case "Log":
		return each1(in[0], math.Log)
	case "Sqrt":
		return each1(in[0], math.Sqrt)
	case "Neg":
		return each1(in[0], func(v float64) float64 { return -v })
	case "Clip":
		return each1(in[0], func(v float64) float64 { return math.Min(math.Max(v, in[1].v[0]), in[2].v[0]) })
	case "Add", "Sub", "Mul", "Div", "Max", "Min":
		x := in[0]
		for _, y := range in[1:] {
			x = naivePair(n.Op, x, y)
		}
		return []array{x}
	case "Gemm":
		return []array{naiveGemm(n, in)}
	case "MatMul":
		x, w := in[0], in[1]
		rank, columns := len(x.dims), w.dims[1:]
		return []array{made(append(slices.Clone(x.dims[:rank-1]), columns...), func(i []int) float64 {
			sum := 0.0
			for k := range w.dims[0] {
				sum += x.at(append(slices.Clone(i[:rank-1]), k)) * w.at(append([]int{k}, i[rank-1:]...))
			}
			return sum
		})}
	case "BatchNormalization":
		return []array{made(in[0].dims, func(i []int) float64 {
			c := i[1]
			return (in[0].at(i)-in[3].v[c])/math.Sqrt(in[4].v[c]+float64(float(n, "epsilon", 1e-5)))*in[1].v[c] + in[2].v[c]
		})}
	case "Flatten", "Reshape", "Squeeze", "Unsqueeze":
		return []array{naiveShape(n, in)}
	case "Transpose":
		perm := ints(n, "perm")
		shape := make([]int, len(perm))
		for i, p := range perm {
			shape[i] = in[0].dims[p]
		}
		return []array{made(shape, func(i []int) float64 {
			from := make([]int, len(i))
			for k, p := range perm {
				from[p] = i[k]
			}
			return in[0].at(from)
		})}
	case "Concat":
		return []array{naiveConcat(int(attr("axis", 0)), in)}
	case "Softmax", "LogSoftmax":
		return []array{naiveSoftmax(n, opset, in[0])}
	case "Conv":
		return []array{naiveConv(n, in)}
	case "MaxPool", "AveragePool":
		return []array{naivePool(n, in[0])}
	case "GlobalAveragePool":
		rest := make([]int, len(in[0].dims)-2)
		for i := range rest {
			rest[i] = i + 2
		}
		return []array{naiveReduce(in[0], rest, true, naiveMean)}
	case "ReduceMax", "ReduceMean", "ArgMax":
		return []array{naiveFold(n, in[0])}
	}
	return naiveML(n, in)
}

func naivePair(op string, x, y array) array {
	rank := max(len(x.dims), len(y.dims))
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = max(dimAt(x, i, rank), dimAt(y, i, rank))
	}
	return made(shape, func(i []int) float64 {
		a, b := x.at(bent(x, i)), y.at(bent(y, i))
		switch op {
		case "Add":
			return a + b
		case "Sub":
			return a - b
		case "Mul":
			return a * b
		case "Div":
			return a / b
		case "Max":
			return math.Max(a, b)
		}
		return math.Min(a, b)
	})
}

func dimAt(x array, i, rank int) int {
	if k := i - (rank - len(x.dims)); k >= 0 {
		return x.dims[k]
	}
	return 1
}

// bent is an index into the result as one into x, whose axes of length 1 repeat.
func bent(x array, i []int) []int {
	out := slices.Clone(i[len(i)-len(x.dims):])
	for k, d := range x.dims {
		if d == 1 {
			out[k] = 0
		}
	}
	return out
}

func naiveGemm(n *onnx.Node, in []array) array {
	w := in[1]
	if integer(n, "transB", 0) != 0 {
		w = made([]int{w.dims[1], w.dims[0]}, func(i []int) float64 { return in[1].at([]int{i[1], i[0]}) })
	}
	return made([]int{in[0].dims[0], w.dims[1]}, func(i []int) float64 {
		sum := 0.0
		for k := range w.dims[0] {
			sum += in[0].at([]int{i[0], k}) * w.at([]int{k, i[1]})
		}
		sum *= float64(float(n, "alpha", 1))
		if len(in) > 2 {
			sum += float64(float(n, "beta", 1)) * in[2].at(bent(in[2], i))
		}
		return sum
	})
}

// naiveShape only gives the new lengths: the numbers stay in their order.
func naiveShape(n *onnx.Node, in []array) array {
	x := in[0]
	out := array{v: x.v}
	switch n.Op {
	case "Flatten":
		k := integer(n, "axis", 1)
		out.dims = []int{product(x.dims[:k]), product(x.dims[k:])}
	case "Reshape":
		known := 1
		for i, d := range in[1].v {
			if d == 0 {
				d = float64(x.dims[i])
			}
			out.dims = append(out.dims, int(d))
			if d > 0 {
				known *= int(d)
			}
		}
		if i := slices.Index(out.dims, -1); i >= 0 {
			out.dims[i] = len(x.v) / known
		}
	case "Squeeze":
		for i, d := range x.dims {
			if !slices.Contains(in[1].v, float64(i)) {
				out.dims = append(out.dims, d)
			}
		}
	case "Unsqueeze":
		out.dims = slices.Clone(x.dims)
		for _, a := range in[1].v {
			out.dims = slices.Insert(out.dims, int(a), 1)
		}
	}
	return out
}

func naiveConcat(at int, in []array) array {
	shape := slices.Clone(in[0].dims)
	shape[at] = 0
	for _, x := range in {
		shape[at] += x.dims[at]
	}
	return made(shape, func(i []int) float64 {
		i = slices.Clone(i)
		for _, x := range in {
			if i[at] < x.dims[at] {
				return x.at(i)
			}
			i[at] -= x.dims[at]
		}
		panic("outside")
	})
}

func naiveSoftmax(n *onnx.Node, opset int64, x array) array {
	shape := x.dims
	at := int(integer(n, "axis", int64(len(x.dims)-1)))
	if opset < 13 { // all axes from this one on are one
		at = int(integer(n, "axis", 1))
		x = array{dims: []int{product(x.dims[:at]), product(x.dims[at:])}, v: x.v}
		at = 1
	}
	out := made(x.dims, func(i []int) float64 {
		sum, k := 0.0, slices.Clone(i)
		for k[at] = range x.dims[at] {
			sum += math.Exp(x.at(k) - x.at(i))
		}
		if n.Op == "LogSoftmax" {
			return -math.Log(sum)
		}
		return 1 / sum
	})
	out.dims = shape
	return out
}

// naivePads is the padding before each axis and the number of places, as the operators' formulas say.
func naivePads(n *onnx.Node, size, kernel []int) (before, out []int) {
	stride, dilation, pads := pairs(n, "strides", 2, 1), pairs(n, "dilations", 2, 1), pairs(n, "pads", 4, 0)
	for i := range 2 {
		span := float64((kernel[i]-1)*int(dilation[i]) + 1)
		s, in := float64(stride[i]), float64(size[i])
		switch auto := text(n, "auto_pad", "NOTSET"); auto {
		case "NOTSET":
			places := (in + float64(pads[i]+pads[i+2]) - span) / s
			if integer(n, "ceil_mode", 0) != 0 {
				places = math.Ceil(places)
				if places*s >= in+float64(pads[i]) {
					places--
				}
			}
			before, out = append(before, int(pads[i])), append(out, int(places)+1)
		case "VALID":
			before, out = append(before, 0), append(out, int(math.Ceil((in-span+1)/s)))
		default:
			places := math.Ceil(in / s)
			all := math.Max((places-1)*s+span-in, 0)
			first := math.Floor(all / 2)
			if auto == "SAME_LOWER" {
				first = math.Ceil(all / 2)
			}
			before, out = append(before, int(first)), append(out, int(places))
		}
	}
	return before, out
}

func naiveConv(n *onnx.Node, in []array) array {
	x, w := in[0], in[1]
	stride, dilation := pairs(n, "strides", 2, 1), pairs(n, "dilations", 2, 1)
	before, out := naivePads(n, x.dims[2:], w.dims[2:])
	perGroup := w.dims[0] / int(integer(n, "group", 1))
	return made([]int{x.dims[0], w.dims[0], out[0], out[1]}, func(i []int) float64 {
		sum := 0.0
		if len(in) > 2 {
			sum = in[2].v[i[1]]
		}
		group := i[1] / perGroup
		for c := range w.dims[1] {
			for ky := range w.dims[2] {
				for kx := range w.dims[3] {
					y, xx := i[2]*int(stride[0])+ky*int(dilation[0])-before[0], i[3]*int(stride[1])+kx*int(dilation[1])-before[1]
					if y >= 0 && y < x.dims[2] && xx >= 0 && xx < x.dims[3] {
						sum += w.at([]int{i[1], c, ky, kx}) * x.at([]int{i[0], group*w.dims[1] + c, y, xx})
					}
				}
			}
		}
		return sum
	})
}

func naivePool(n *onnx.Node, x array) array {
	size := []int{int(ints(n, "kernel_shape")[0]), int(ints(n, "kernel_shape")[1])}
	stride, dilation, pads := pairs(n, "strides", 2, 1), pairs(n, "dilations", 2, 1), pairs(n, "pads", 4, 0)
	before, out := naivePads(n, x.dims[2:], size)
	return made([]int{x.dims[0], x.dims[1], out[0], out[1]}, func(i []int) float64 {
		best, sum, count := math.Inf(-1), 0.0, 0
		for ky := range size[0] {
			for kx := range size[1] {
				y, xx := i[2]*int(stride[0])+ky*int(dilation[0])-before[0], i[3]*int(stride[1])+kx*int(dilation[1])-before[1]
				inside := y >= 0 && y < x.dims[2] && xx >= 0 && xx < x.dims[3]
				if inside {
					v := x.at([]int{i[0], i[1], y, xx})
					best, sum = math.Max(best, v), sum+v
				}
				auto := text(n, "auto_pad", "NOTSET") != "NOTSET" // pads as far as the kernel reaches
				padding := auto || y < x.dims[2]+int(pads[2]) && xx < x.dims[3]+int(pads[3])
				if inside || padding && integer(n, "count_include_pad", 0) != 0 {
					count++
				}
			}
		}
		if n.Op == "MaxPool" {
			return best
		}
		return sum / float64(count)
	})
}

func naiveMean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func naiveReduce(x array, at []int, keep bool, f func([]float64) float64) array {
	shape := slices.Clone(x.dims)
	for _, a := range at {
		shape[a] = 1
	}
	out := made(shape, func(i []int) float64 {
		var all []float64
		made(x.dims, func(k []int) float64 {
			for a := range k {
				if !slices.Contains(at, a) && k[a] != i[a] {
					return 0
				}
			}
			all = append(all, x.at(k))
			return 0
		})
		return f(all)
	})
	if !keep {
		out.dims = nil
		for i, d := range shape {
			if !slices.Contains(at, i) {
				out.dims = append(out.dims, d)
			}
		}
	}
	return out
}

func naiveFold(n *onnx.Node, x array) array {
	keep := integer(n, "keepdims", 1) != 0
	if n.Op == "ArgMax" {
		return naiveReduce(x, []int{int(integer(n, "axis", 0))}, keep, func(v []float64) float64 { return float64(slices.Index(v, slices.Max(v))) })
	}
	var at []int
	for _, a := range ints(n, "axes") {
		at = append(at, int(a))
	}
	if n.Op == "ReduceMax" {
		return naiveReduce(x, at, keep, slices.Max)
	}
	return naiveReduce(x, at, keep, naiveMean)
}

func naiveML(n *onnx.Node, in []array) []array {
	x := in[0]
	rows, width := x.dims[0], x.dims[1]
	row := func(r int) []float64 { return x.v[r*width : (r+1)*width] }
	switch n.Op {
	case "Scaler":
		offset, scale := repeated(reals(n, "offset"), width), repeated(reals(n, "scale"), width)
		return []array{made(x.dims, func(i []int) float64 { return (x.at(i) - float64(offset[i[1]])) * float64(scale[i[1]]) })}
	case "Normalizer":
		return []array{made(x.dims, func(i []int) float64 { return x.at(i) / naiveNorm(text(n, "norm", "MAX"), row(i[0])) })}
	case "LinearRegressor", "LinearClassifier":
		w, b := reals(n, "coefficients"), reals(n, "intercepts")
		scores := made([]int{rows, len(b)}, func(i []int) float64 {
			sum := float64(b[i[1]])
			for k, v := range row(i[0]) {
				sum += float64(w[i[1]*width+k]) * v
			}
			return sum
		})
		if n.Op == "LinearRegressor" {
			return []array{naivePost(n, scores)}
		}
		return naiveClasses(n, "classlabels_ints", scores, 0, func(v float64) (float64, float64) { return 1 - v, v })
	case "TreeEnsembleRegressor":
		targets := int(integer(n, "n_targets", 1))
		share := 1.0
		if text(n, "aggregate_function", "SUM") == "AVERAGE" {
			share = float64(len(naiveTrees(n)))
		}
		return []array{naivePost(n, made([]int{rows, targets}, func(i []int) float64 {
			return naiveBase(n, i[1]) + naiveForest(n, "target", row(i[0]), int64(i[1]))/share
		}))}
	case "TreeEnsembleClassifier":
		return naiveTreeClasses(n, rows, row)
	}
	panic("no twin of " + n.Op)
}

func naiveBase(n *onnx.Node, i int) float64 {
	if b := reals(n, "base_values"); b != nil {
		return float64(b[i])
	}
	return 0
}

func naiveNorm(norm string, row []float64) float64 {
	sum := 0.0
	for _, v := range row {
		if norm == "L1" {
			sum += math.Abs(v)
		} else {
			sum += v * v
		}
	}
	switch norm {
	case "L1":
		return sum
	case "L2":
		return math.Sqrt(sum)
	}
	return slices.Max(row)
}

func naivePost(n *onnx.Node, scores array) array {
	switch text(n, "post_transform", "NONE") {
	case "SOFTMAX":
		return naiveSoftmax(&onnx.Node{Op: "Softmax"}, 13, scores)
	case "LOGISTIC":
		return made(scores.dims, func(i []int) float64 { return 1 / (1 + math.Exp(-scores.at(i))) })
	}
	return scores
}

// naiveClasses are the labels and scores of a classifier. both makes the scores of two classes from the
// only one.
func naiveClasses(n *onnx.Node, labels string, scores array, threshold float64, both func(float64) (float64, float64)) []array {
	classes, rows := ints(n, labels), scores.dims[0]
	single := scores.dims[1] == 1 && len(classes) == 2
	label := made([]int{rows}, func(i []int) float64 {
		row := scores.v[i[0]*scores.dims[1] : (i[0]+1)*scores.dims[1]]
		if single {
			if row[0] > threshold {
				return float64(classes[1])
			}
			return float64(classes[0])
		}
		return float64(classes[slices.Index(row, slices.Max(row))])
	})
	if !single {
		return []array{label, naivePost(n, scores)}
	}
	return []array{label, made([]int{rows, 2}, func(i []int) float64 {
		first, second := both(scores.v[i[0]])
		if i[1] == 0 {
			return first
		}
		return second
	})}
}

// naiveTrees is the root of each tree, in order: its first node.
func naiveTrees(n *onnx.Node) (roots []int) {
	trees := ints(n, "nodes_treeids")
	for i, t := range trees {
		if slices.Index(trees, t) == i {
			roots = append(roots, i)
		}
	}
	return roots
}

func naiveForest(n *onnx.Node, prefix string, row []float64, target int64) float64 {
	sum := 0.0
	for _, root := range naiveTrees(n) {
		tree, id := ints(n, "nodes_treeids")[root], ints(n, "nodes_nodeids")[naiveWalk(n, root, row)]
		for k, t := range ints(n, prefix+"_treeids") {
			if t == tree && ints(n, prefix+"_nodeids")[k] == id && ints(n, prefix+"_ids")[k] == target {
				sum += float64(reals(n, prefix+"_weights")[k])
			}
		}
	}
	return sum
}

// naiveWalk is the leaf that a row ends at, from node i.
func naiveWalk(n *onnx.Node, i int, row []float64) int {
	a, _ := n.Attribute("nodes_modes")
	mode := a.Texts[i]
	if mode == "LEAF" {
		return i
	}
	v, t := row[ints(n, "nodes_featureids")[i]], float64(reals(n, "nodes_values")[i])
	yes := map[string]bool{"BRANCH_LEQ": v <= t, "BRANCH_LT": v < t, "BRANCH_GTE": v >= t, "BRANCH_GT": v > t, "BRANCH_EQ": v == t, "BRANCH_NEQ": v != t}[mode]
	if missing := ints(n, "nodes_missing_value_tracks_true"); missing != nil && missing[i] != 0 && math.IsNaN(v) {
		yes = true
	}
	to := ints(n, "nodes_falsenodeids")[i]
	if yes {
		to = ints(n, "nodes_truenodeids")[i]
	}
	for k, id := range ints(n, "nodes_nodeids") {
		if id == to && ints(n, "nodes_treeids")[k] == ints(n, "nodes_treeids")[i] {
			return naiveWalk(n, k, row)
		}
	}
	panic(fmt.Sprintf("no node %d", to))
}

func naiveTreeClasses(n *onnx.Node, rows int, row func(int) []float64) []array {
	classes := len(ints(n, "classlabels_int64s"))
	single := classes == 2 && slices.Max(ints(n, "class_ids")) == 0
	if single {
		classes = 1
	}
	scores := made([]int{rows, classes}, func(i []int) float64 {
		return naiveBase(n, i[1]) + naiveForest(n, "class", row(i[0]), int64(i[1]))
	})
	if slices.Min(reals(n, "class_weights")) >= 0 {
		return naiveClasses(n, "classlabels_int64s", scores, 0.5, func(v float64) (float64, float64) { return 1 - v, v })
	}
	return naiveClasses(n, "classlabels_int64s", scores, 0, func(v float64) (float64, float64) {
		if text(n, "post_transform", "NONE") == "LOGISTIC" {
			return 1 / (1 + math.Exp(v)), 1 / (1 + math.Exp(-v))
		}
		return -v, v
	})
}
