package builtin

import (
	"errors"
	"fmt"

	"trimtab.dev/trimtab/serving/runtime/kernel"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// layer is what a dense step or a convolution will multiply with, kept open so that the nodes behind
// it can be folded in: a bias, a scale, a ReLU. build turns it into the kernel's form.
type layer struct {
	weight  []float32 // groups times [in][out]
	bias    []float32 // groups*out
	in, out int
	groups  int
	axis    int // of the row's axes, the one that counts the columns
	inner   int // values of each column that lie together
	relu    bool
	run     func(d []*kernel.Dense, relu bool) func(in, out [][]float32, rows int)
}

// scale multiplies column k by scale[k] and then adds shift[k].
func (l *layer) scale(scale, shift []float32) {
	for i := range l.weight {
		l.weight[i] *= scale[i/(l.in*l.out)*l.out+i%l.out]
	}
	for k := range l.bias {
		l.bias[k] = l.bias[k]*scale[k] + shift[k]
	}
}

// build brings all layers into the kernel's form and lets go of the open one.
func (c *compiler) build() {
	for i := range c.steps {
		l := c.steps[i].layer
		if l == nil {
			continue
		}
		var groups []*kernel.Dense
		for g := range l.groups {
			d := kernel.NewDense(l.weight[g*l.in*l.out:(g+1)*l.in*l.out], l.bias[g*l.out:(g+1)*l.out], l.in, l.out)
			c.bytes += d.Bytes()
			groups = append(groups, d)
		}
		c.steps[i].run, c.steps[i].layer = l.run(groups, l.relu), nil
	}
}

// dense adds the step of a dense layer over the last axis of x.
func (c *compiler) dense(x value, shape []int, l *layer) (value, error) {
	times := 1
	if len(x.shape) > 0 {
		times = product(x.shape[:len(x.shape)-1])
	}
	l.groups, l.axis, l.inner = 1, len(shape)-1, 1
	l.run = func(d []*kernel.Dense, relu bool) func(in, out [][]float32, rows int) {
		return func(in, out [][]float32, rows int) { d[0].Apply(in[0], out[0], rows*times, relu) }
	}
	v, err := c.step(x, shape, floats(x.typ), nil)
	if err == nil {
		c.steps[len(c.steps)-1].layer = l
	}
	return v, err
}

// defineDense is dense for a node's output.
func (c *compiler) defineDense(n *onnx.Node, x value, shape []int, l *layer) error {
	v, err := c.dense(x, shape, l)
	if err != nil {
		return err
	}
	return c.define(n.Outputs[0], v)
}

// gemm is alpha * x * B + beta * C for a constant B; C may be a constant for each column, or depend on
// the row.
func (c *compiler) gemm(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	b, size, err := c.numbers(n, 1)
	if err != nil {
		return err
	}
	if integer(n, "transA", 0) != 0 || len(x.shape) != 1 || len(size) != 2 {
		return errors.New("only rows times a constant matrix, without transA, are supported")
	}
	if integer(n, "transB", 0) != 0 {
		b, size = turned(b, size[0], size[1]), []int{size[1], size[0]}
	}
	if size[0] != x.shape[0] || size[1] < 1 {
		return fmt.Errorf("rows of %d values do not fit a matrix of %v", x.shape[0], size)
	}
	l := &layer{weight: b, bias: make([]float32, size[1]), in: size[0], out: size[1]}
	times(l.weight, float(n, "alpha", 1))
	if !has(n, 2) {
		return c.defineDense(n, x, []int{l.out}, l)
	}
	third, err := c.value(n, 2)
	if err != nil {
		return err
	}
	if third.constant == nil {
		return errors.New("a C that depends on the row is not supported")
	}
	bias, err := c.columns(third.constant, []int{l.out}, 0)
	if err != nil {
		return err
	}
	times(bias, float(n, "beta", 1))
	l.bias = bias
	return c.defineDense(n, x, []int{l.out}, l)
}

func times(x []float32, by float32) {
	if by == 1 {
		return
	}
	for i := range x {
		x[i] *= by
	}
}

// turned is the matrix of rows times columns with both swapped.
func turned(m []float32, rows, columns int) []float32 {
	out := make([]float32, len(m))
	for r := range rows {
		for k, v := range m[r*columns : (r+1)*columns] {
			out[k*rows+r] = v
		}
	}
	return out
}

// matMul is rows times a constant matrix, over the last axis.
func (c *compiler) matMul(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	b, size, err := c.numbers(n, 1)
	if err != nil {
		return err
	}
	rank := len(x.shape)
	if rank == 0 || len(size) < 1 || len(size) > 2 || size[0] != x.shape[rank-1] || product(size) < 1 {
		return fmt.Errorf("of rows of shape %v and a constant of shape %v is not supported", x.shape, size)
	}
	l := &layer{weight: b, in: size[0], out: product(size[1:])}
	l.bias = make([]float32, l.out)
	shape := append(append([]int{}, x.shape[:rank-1]...), size[1:]...)
	return c.defineDense(n, x, shape, l)
}

// columns is the constant t, which goes with rows of the shape, as one number for each place along the
// axis at. It is an error if it is not the same along the others.
func (c *compiler) columns(t *onnx.Tensor, shape []int, at int) ([]float32, error) {
	f, err := t.Floats()
	if err != nil {
		return nil, err
	}
	size, err := ofRow(dims(t), len(shape))
	if err != nil {
		return nil, err
	}
	for i, d := range size {
		if k := len(shape) - len(size) + i; d != 1 && (k != at || d != shape[at]) {
			return nil, fmt.Errorf("a constant of shape %v is not one number for each of the %d columns", t.Dims, shape[at])
		}
	}
	out := make([]float32, shape[at])
	for k := range out {
		out[k] = f[k%len(f)]
	}
	return out, nil
}

// ofRow is the shape of a constant without the axis of the rows, along which it has to be the same.
func ofRow(size []int, rank int) ([]int, error) {
	if len(size) == rank+1 && size[0] == 1 {
		size = size[1:]
	}
	if len(size) > rank || product(size) < 1 {
		return nil, fmt.Errorf("a constant of shape %v is not the same for all rows", size)
	}
	return size, nil
}

// open is the layer that makes x, if nothing else reads x and nothing comes after the layer yet that
// would have to come before what is to be folded in.
func (c *compiler) open(x value) (*layer, bool) {
	if x.constant != nil || c.uses[x.plane] != 1 || c.makers[x.plane] < 0 {
		return nil, false
	}
	l := c.steps[c.makers[x.plane]].layer
	return l, l != nil && !l.relu && l.axis >= 0 && l.axis < len(x.shape) &&
		x.shape[l.axis] == l.groups*l.out && product(x.shape[l.axis+1:]) == l.inner
}

// fold takes "x op t" into the layer that makes x, false if it cannot.
func (c *compiler) fold(n *onnx.Node, x value, t *onnx.Tensor) bool {
	l, ok := c.open(x)
	if !ok {
		return false
	}
	by, err := c.columns(t, x.shape, l.axis)
	if err != nil {
		return false
	}
	one, none := filled(len(by), 1), make([]float32, len(by))
	switch n.Op {
	case "Add":
		l.scale(one, by)
	case "Mul":
		l.scale(by, none)
	default:
		return false
	}
	return true
}

func filled(n int, v float32) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// relu is folded into the layer before it, if there is one.
func (c *compiler) relu(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	if l, ok := c.open(x); ok {
		l.relu = true
		return c.alias(n, x, x.shape)
	}
	return c.inPlace(n, x, func(in, out [][]float32, _ int) {
		y := out[0]
		for i, v := range in[0] {
			y[i] = max(v, 0)
		}
	})
}
