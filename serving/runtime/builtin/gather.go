package builtin

import (
	"errors"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// transpose moves the axes of the rows.
func (c *compiler) transpose(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	perm := ints(n, "perm")
	if x.constant != nil {
		return c.transposeConstant(n, x.constant, perm)
	}
	rank := len(x.shape) + 1
	if len(perm) != rank || perm[0] != 0 {
		return fmt.Errorf("by %v: only the axes after the first can move, which holds the rows", perm)
	}
	order, err := permutation(perm[1:], 1)
	if err != nil {
		return err
	}
	v, err := c.permute(x, order)
	if err != nil {
		return err
	}
	if v.plane == x.plane {
		return c.alias(n, x, v.shape)
	}
	return c.define(n.Outputs[0], v)
}

// permute adds the step that moves axes; there is none where no number moves.
func (c *compiler) permute(x value, order []int) (value, error) {
	if err := c.spend(product(x.shape)); err != nil {
		return x, err
	}
	shape, index := moved(x.shape, order)
	if inOrder(index) {
		x.shape = shape
		return x, nil
	}
	v, err := c.step(x, shape, x.typ, gather(index, len(index)))
	v.exact = x.exact
	return v, err
}

func inOrder(index []int32) bool {
	for i, at := range index {
		if i != int(at) {
			return false
		}
	}
	return true
}

// permutation checks that perm, less front, is an order of axes.
func permutation(perm []int64, front int64) ([]int, error) {
	order := make([]int, len(perm))
	seen := make([]bool, len(perm))
	for i, p := range perm {
		if p -= front; p < 0 || p >= int64(len(perm)) || seen[p] {
			return nil, fmt.Errorf("%v is not an order of axes", perm)
		}
		order[i], seen[perm[i]-front] = int(perm[i]-front), true
	}
	return order, nil
}

// moved is the shape after axes moved, and for each place the place that it takes its number from.
func moved(shape, order []int) (out []int, index []int32) {
	steps := strides(shape)
	jumps := make([]int, len(order))
	for i, o := range order {
		out = append(out, shape[o])
		jumps[i] = steps[o]
	}
	return out, walk(out, jumps)
}

// strides is how far apart neighbours along each axis lie.
func strides(shape []int) []int {
	out, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// walk visits a shape row by row and notes where each place's number lies, jumps apart along each axis.
func walk(shape, jumps []int) []int32 {
	index := []int32{0}
	for i, d := range shape {
		next := make([]int32, 0, len(index)*d)
		for _, at := range index {
			for k := range d {
				next = append(next, at+int32(k*jumps[i]))
			}
		}
		index = next
	}
	return index
}

// gather takes the numbers at index from each row of from values.
func gather(index []int32, from int) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, rows int) {
		for r := range rows {
			x, y := in[0][r*from:(r+1)*from], out[0][r*len(index):(r+1)*len(index)]
			for i, at := range index {
				y[i] = x[at]
			}
		}
	}
}

func (c *compiler) transposeConstant(n *onnx.Node, t *onnx.Tensor, perm []int64) error {
	if perm == nil {
		for i := len(t.Dims) - 1; i >= 0; i-- {
			perm = append(perm, int64(i))
		}
	}
	order, err := permutation(perm, 0)
	if err == nil && len(order) != len(t.Dims) {
		err = fmt.Errorf("%v does not order %d axes", perm, len(t.Dims))
	}
	if err != nil {
		return err
	}
	f, err := t.Floats()
	if err = errors.Join(err, c.spend(len(f))); err != nil {
		return err
	}
	shape, index := moved(dims(t), order)
	moved := make([]float32, len(f))
	for i, at := range index {
		moved[i] = f[at]
	}
	out := onnx.Floats32("", moved)
	for _, d := range shape {
		out.Dims = append(out.Dims, int64(d))
	}
	return c.define(n.Outputs[0], value{constant: &out, typ: out.Type})
}

// concat puts rows together along an axis that is not that of the rows.
func (c *compiler) concat(n *onnx.Node) error {
	first, err := c.rows(n, 0)
	if err != nil {
		return err
	}
	at, err := axis(integer(n, "axis", 0), len(first.shape)+1)
	if err != nil {
		return err
	}
	shape := slices.Clone(first.shape)
	shape[at-1] = 0
	st := step{}
	var sizes []int
	exact := false
	for i := range n.Inputs {
		x, err := c.rows(n, i)
		if err != nil {
			return err
		}
		if len(x.shape) != len(shape) || x.typ != first.typ || !slices.Equal(x.shape[:at-1], shape[:at-1]) || !slices.Equal(x.shape[at:], shape[at:]) {
			return fmt.Errorf("inputs of shapes %v and %v do not fit together along axis %d", first.shape, x.shape, at)
		}
		shape[at-1] += x.shape[at-1]
		sizes = append(sizes, product(x.shape[at-1:]))
		st.in = append(st.in, x.plane)
		exact = exact || x.exact
	}
	p, err := c.plane(shape)
	if err != nil {
		return err
	}
	st.out, st.run = []int{p}, joined(sizes, product(shape[:at-1]))
	c.add(st)
	return c.define(n.Outputs[0], value{plane: p, shape: shape, typ: first.typ, exact: exact})
}

// joined copies sizes[i] numbers of input i in turn, times over for each row.
func joined(sizes []int, times int) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, rows int) {
		y := out[0]
		for r := range rows * times {
			for i, n := range sizes {
				y = y[copy(y, in[i][r*n:(r+1)*n]):]
			}
		}
	}
}
