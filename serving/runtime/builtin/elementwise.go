package builtin

import (
	"errors"
	"fmt"
	"math"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// unary makes each number from the one at its place.
func (c *compiler) unary(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	f := function(n)
	return c.inPlace(n, x, func(in, out [][]float32, _ int) {
		y := out[0]
		for i, v := range in[0] {
			y[i] = f(v)
		}
	})
}

// function is what a unary operator computes.
func function(n *onnx.Node) func(float32) float32 {
	double := func(f func(float64) float64) func(float32) float32 {
		return func(v float32) float32 { return float32(f(float64(v))) }
	}
	switch n.Op {
	case "Sigmoid":
		return double(sigmoid)
	case "Tanh":
		return double(math.Tanh)
	case "Exp":
		return double(math.Exp)
	case "Log":
		return double(math.Log)
	case "Sqrt":
		return double(math.Sqrt)
	case "Neg":
		return func(v float32) float32 { return -v }
	}
	slope := float(n, "alpha", 0.01) // LeakyRelu
	return func(v float32) float32 {
		if v < 0 {
			return slope * v
		}
		return v
	}
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

func (c *compiler) clip(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	low, high := float(n, "min", -math.MaxFloat32), float(n, "max", math.MaxFloat32)
	if c.opset >= 11 {
		low, high = -math.MaxFloat32, math.MaxFloat32
	}
	for i, to := range []*float32{1: &low, 2: &high} {
		if i == 0 || !has(n, i) {
			continue
		}
		v, err := c.vector(n, i, 1)
		if err != nil {
			return err
		}
		*to = v[0]
	}
	return c.inPlace(n, x, func(in, out [][]float32, _ int) {
		y := out[0]
		for i, v := range in[0] {
			y[i] = min(max(v, low), high)
		}
	})
}

// binary combines two values, or for Max and Min any number of them, in pairs from the left.
func (c *compiler) binary(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	if many := n.Op == "Max" || n.Op == "Min"; len(n.Inputs) < 2 && !many || len(n.Inputs) > 2 && !many {
		return fmt.Errorf("it has %d inputs", len(n.Inputs))
	}
	if len(n.Inputs) == 1 {
		return c.identity(n)
	}
	for i := range n.Inputs[1:] {
		y, err := c.value(n, i+1)
		if err != nil {
			return err
		}
		if x, err = c.pair(n, x, y); err != nil {
			return err
		}
	}
	if x.constant == nil {
		c.uses[x.plane]-- // what was counted for the pair; define counts the readers
	}
	return c.define(n.Outputs[0], x)
}

// pair is the value "x op y", counted as read once.
func (c *compiler) pair(n *onnx.Node, x, y value) (out value, err error) {
	switch {
	case x.constant != nil && y.constant != nil:
		return fixed(n, x.constant, y.constant)
	case floats(x.typ) != x.typ || floats(y.typ) != y.typ:
		return out, fmt.Errorf("of %s and %s is not supported; only FLOAT and DOUBLE are", x.typ, y.typ)
	case y.constant != nil && c.fold(n, x, y.constant):
		return x, nil // read once before, and after
	case x.constant != nil && (n.Op == "Add" || n.Op == "Mul") && c.fold(n, y, x.constant):
		return y, nil
	}
	if do := loop(n.Op); y.constant != nil {
		out, err = c.withConstant(x, y.constant, do)
	} else if x.constant != nil {
		out, err = c.withConstant(y, x.constant, func(z, b, a []float32) { do(z, a, b) })
	} else {
		out, err = c.both(n, x, y)
	}
	if err == nil {
		c.uses[out.plane]++
	}
	return out, err
}

// broadcast is the shape that rows of two shapes have together.
func broadcast(a, b []int) ([]int, error) {
	long, short := a, b
	if len(a) < len(b) {
		long, short = b, a
	}
	out := append([]int{}, long...)
	for i, d := range short {
		at := len(long) - len(short) + i
		switch {
		case out[at] == 1:
			out[at] = d
		case d != 1 && d != out[at]:
			return nil, fmt.Errorf("rows of shapes %v and %v do not fit together", a, b)
		}
	}
	return out, nil
}

// spread is, for each place of a row of the shape to, where its number lies in one of the shape from.
func spread(from, to []int) []int32 {
	steps, jumps := strides(from), make([]int, len(to))
	for i, d := range from {
		if d != 1 {
			jumps[len(to)-len(from)+i] = steps[i]
		}
	}
	return walk(to, jumps)
}

// widen brings x to the shape, along whose other axes its numbers repeat.
func (c *compiler) widen(x value, shape []int) (value, error) {
	n, err := width(shape)
	if err != nil || n == product(x.shape) {
		x.shape = shape
		return x, err
	}
	if err := c.spend(n); err != nil {
		return x, err
	}
	return c.step(x, shape, x.typ, gather(spread(x.shape, shape), product(x.shape)))
}

func (c *compiler) withConstant(x value, t *onnx.Tensor, do func(y, a, b []float32)) (value, error) {
	f, err := t.Floats()
	if err != nil {
		return x, err
	}
	size, err := ofRow(dims(t), len(x.shape))
	if err != nil {
		return x, err
	}
	shape, err := broadcast(x.shape, size)
	if err != nil {
		return x, err
	}
	if x, err = c.widen(x, shape); err != nil {
		return x, err
	}
	if err := c.spend(product(shape)); err != nil {
		return x, err
	}
	b := make([]float32, product(shape))
	for i, at := range spread(size, shape) {
		b[i] = f[at]
	}
	out, err := c.step(x, shape, floats(x.typ), func(in, out [][]float32, rows int) {
		w := len(b)
		for r := range rows {
			do(out[0][r*w:(r+1)*w], in[0][r*w:(r+1)*w], b)
		}
	})
	c.steps[len(c.steps)-1].inPlace = err == nil
	return out, err
}

func (c *compiler) both(n *onnx.Node, x, y value) (value, error) {
	if len(x.shape) != len(y.shape) {
		return x, fmt.Errorf("rows of shapes %v and %v have different numbers of axes", x.shape, y.shape)
	}
	shape, err := broadcast(x.shape, y.shape)
	if err != nil {
		return x, err
	}
	x, err = c.widen(x, shape)
	y, yErr := c.widen(y, shape)
	p, pErr := c.plane(shape)
	if err := errors.Join(err, yErr, pErr); err != nil {
		return x, err
	}
	do := loop(n.Op)
	c.add(step{in: []int{x.plane, y.plane}, out: []int{p}, inPlace: true, run: func(in, out [][]float32, _ int) { do(out[0], in[0], in[1]) }})
	return value{plane: p, shape: shape, typ: floats(x.typ)}, nil
}

// fixed computes with two constants of the same shape, or one of which is a single number.
func fixed(n *onnx.Node, a, b *onnx.Tensor) (value, error) {
	x, err := a.Floats()
	y, yErr := b.Floats()
	if err := errors.Join(err, yErr); err != nil {
		return value{}, err
	}
	size := a.Dims
	switch {
	case len(x) == len(y) && len(a.Dims) == len(b.Dims):
	case len(y) == 1:
		y = filled(len(x), y[0])
	case len(x) == 1:
		x, size = filled(len(y), x[0]), b.Dims
	default:
		return value{}, fmt.Errorf("of constants of shapes %v and %v is not supported", a.Dims, b.Dims)
	}
	if floats(a.Type) != a.Type {
		return value{}, fmt.Errorf("of constants of %s is not supported", a.Type)
	}
	loop(n.Op)(x, x, y)
	out := onnx.Floats32("", x, size...)
	return value{constant: &out, typ: out.Type}, nil
}

// loop is the operator over slices of one length: y = a op b.
func loop(op string) func(y, a, b []float32) {
	switch op {
	case "Add":
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = v + b[i]
			}
		}
	case "Sub":
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = v - b[i]
			}
		}
	case "Mul":
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = v * b[i]
			}
		}
	case "Max":
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = max(v, b[i])
			}
		}
	case "Min":
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = min(v, b[i])
			}
		}
	}
	return func(y, a, b []float32) {
		for i, v := range a {
			y[i] = v / b[i]
		}
	}
}
