package builtin

import (
	"fmt"
	"slices"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// operators maps each operator to what compiles a node of it. Every such function may rely on c.value
// for its inputs and on at least one output.
func operators() map[string]func(*compiler, *onnx.Node) error {
	table := map[string]func(*compiler, *onnx.Node) error{
		"Constant": (*compiler).constant, "Identity": (*compiler).identity, "Dropout": (*compiler).dropout, "Cast": (*compiler).cast,
		"Flatten": (*compiler).flatten, "Reshape": (*compiler).reshape, "Squeeze": (*compiler).squeeze, "Unsqueeze": (*compiler).unsqueeze,
		"Transpose": (*compiler).transpose, "Concat": (*compiler).concat,
		"Gemm": (*compiler).gemm, "MatMul": (*compiler).matMul, "BatchNormalization": (*compiler).batchNorm, "Conv": (*compiler).conv,
		"Relu": (*compiler).relu, "Clip": (*compiler).clip, "Softmax": (*compiler).softmax, "LogSoftmax": (*compiler).softmax,
		"MaxPool": (*compiler).pool, "AveragePool": (*compiler).pool, "GlobalAveragePool": (*compiler).globalPool,
		"ReduceMax": (*compiler).reduce, "ReduceMean": (*compiler).reduce, "ArgMax": (*compiler).argMax,
		"ai.onnx.ml.TreeEnsembleRegressor": (*compiler).treeRegressor, "ai.onnx.ml.TreeEnsembleClassifier": (*compiler).treeClassifier,
		"ai.onnx.ml.LinearRegressor": (*compiler).linearRegressor, "ai.onnx.ml.LinearClassifier": (*compiler).linearClassifier,
		"ai.onnx.ml.Normalizer": (*compiler).normalizer, "ai.onnx.ml.Scaler": (*compiler).scaler,
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Max", "Min"} {
		table[op] = (*compiler).binary
	}
	for _, op := range []string{"LeakyRelu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Neg"} {
		table[op] = (*compiler).unary
	}
	for op, compile := range table {
		table[op] = guarded(compile)
	}
	return table
}

// guarded refuses a node without inputs or outputs before compile looks at them.
func guarded(compile func(*compiler, *onnx.Node) error) func(*compiler, *onnx.Node) error {
	return func(c *compiler, n *onnx.Node) error {
		if len(n.Outputs) == 0 || n.Outputs[0] == "" {
			return fmt.Errorf("it has no output")
		}
		return compile(c, n)
	}
}

// value is the node's input i.
func (c *compiler) value(n *onnx.Node, i int) (value, error) {
	if !has(n, i) {
		return value{}, fmt.Errorf("input %d is missing", i)
	}
	v, there := c.values[n.Inputs[i]]
	if !there {
		return value{}, fmt.Errorf("input %q is not defined before it", n.Inputs[i])
	}
	return v, nil
}

// rows is the node's input i, which has to depend on the row.
func (c *compiler) rows(n *onnx.Node, i int) (value, error) {
	v, err := c.value(n, i)
	if err == nil && v.constant != nil {
		err = fmt.Errorf("input %q is a constant: only values that depend on the row are supported there", n.Inputs[i])
	}
	return v, err
}

// floating is the node's first input, for operators that compute with fractions on what depends on the row.
func (c *compiler) floating(n *onnx.Node) (value, error) {
	v, err := c.rows(n, 0)
	if err == nil && v.typ != onnx.Float && v.typ != onnx.Double {
		err = fmt.Errorf("input %q has elements of type %s; only FLOAT and DOUBLE are supported there", n.Inputs[0], v.typ)
	}
	return v, err
}

// has says that the node has an input i.
func has(n *onnx.Node, i int) bool { return i < len(n.Inputs) && n.Inputs[i] != "" }

// given is the constant at input i.
func (c *compiler) given(n *onnx.Node, i int) (*onnx.Tensor, error) {
	v, err := c.value(n, i)
	if err == nil && v.constant == nil {
		err = fmt.Errorf("input %q is not a constant", n.Inputs[i])
	}
	return v.constant, err
}

// numbers is the constant at input i as floats and the lengths of its axes.
func (c *compiler) numbers(n *onnx.Node, i int) ([]float32, []int, error) {
	t, err := c.given(n, i)
	if err != nil {
		return nil, nil, err
	}
	f, err := t.Floats()
	return f, dims(t), err
}

// vector is the constant at input i, which has to have want values.
func (c *compiler) vector(n *onnx.Node, i, want int) ([]float32, error) {
	f, _, err := c.numbers(n, i)
	if err == nil && len(f) != want {
		err = fmt.Errorf("input %q has %d values, want %d", n.Inputs[i], len(f), want)
	}
	return f, err
}

// list is what newer operators take as the constant input i and older ones as an attribute; nil if
// there is neither.
func (c *compiler) list(n *onnx.Node, i int, name string) ([]int64, error) {
	if !has(n, i) {
		return ints(n, name), nil
	}
	t, err := c.given(n, i)
	if err != nil {
		return nil, err
	}
	return t.Ints()
}

func dims(t *onnx.Tensor) []int {
	out := make([]int, len(t.Dims))
	for i, d := range t.Dims {
		out[i] = int(d)
	}
	return out
}

func integer(n *onnx.Node, name string, otherwise int64) int64 {
	if a, ok := n.Attribute(name); ok {
		return a.Int
	}
	return otherwise
}

func float(n *onnx.Node, name string, otherwise float32) float32 {
	if a, ok := n.Attribute(name); ok {
		return a.Float
	}
	return otherwise
}

func text(n *onnx.Node, name, otherwise string) string {
	if a, ok := n.Attribute(name); ok {
		return a.Text
	}
	return otherwise
}

func ints(n *onnx.Node, name string) []int64 {
	if a, ok := n.Attribute(name); ok {
		return a.Ints
	}
	return nil
}

func reals(n *onnx.Node, name string) []float32 {
	if a, ok := n.Attribute(name); ok {
		return a.Floats
	}
	return nil
}

// axis counts an axis from the front: rank axes, the first of which is that of the rows. The row's own
// axis 0 is the graph's axis 1.
func axis(at int64, rank int) (int, error) {
	if at < 0 {
		at += int64(rank)
	}
	switch {
	case at == 0:
		return 0, fmt.Errorf("it works along axis 0, which mixes rows")
	case at < 0 || at >= int64(rank):
		return 0, fmt.Errorf("there is no axis %d of %d", at, rank)
	}
	return int(at), nil
}

// axes is axis for several, sorted and each once, as axes of the row.
func axes(at []int64, rank int) ([]int, error) {
	var out []int
	for _, a := range at {
		i, err := axis(a, rank)
		if err != nil {
			return nil, err
		}
		out = append(out, i-1)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
