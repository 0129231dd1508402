package builtin

import (
	"errors"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// constant takes a constant from the node's attribute.
func (c *compiler) constant(n *onnx.Node) error {
	for _, a := range n.Attributes {
		var t onnx.Tensor
		switch {
		case a.Name == "value" && a.Tensor != nil:
			t = *a.Tensor
		case a.Name == "value_float":
			t = onnx.Floats32("", []float32{a.Float})
		case a.Name == "value_floats":
			t = onnx.Floats32("", a.Floats, int64(len(a.Floats)))
		case a.Name == "value_int":
			t = onnx.Ints64("", a.Int)
			t.Dims = nil
		case a.Name == "value_ints":
			t = onnx.Ints64("", a.Ints...)
		default:
			continue
		}
		return c.define(n.Outputs[0], value{constant: &t, typ: t.Type})
	}
	return errors.New("it has no value that is a tensor of numbers")
}

func (c *compiler) identity(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	return c.shaped(n, x, x.shape, func(t *onnx.Tensor) error { return nil })
}

// shaped gives the node's output the shape, or changes the axes of a constant, whose data stays.
func (c *compiler) shaped(n *onnx.Node, x value, shape []int, constant func(*onnx.Tensor) error) error {
	if x.constant == nil {
		return c.alias(n, x, shape)
	}
	t := *x.constant
	if err := constant(&t); err != nil {
		return err
	}
	return c.define(n.Outputs[0], value{constant: &t, typ: t.Type})
}

// dropout does nothing when a model only answers.
func (c *compiler) dropout(n *onnx.Node) error {
	if has(n, 2) {
		if t, err := c.given(n, 2); err != nil || len(t.Data) != 1 || t.Data[0] != 0 {
			return errors.New("training mode is not supported")
		}
	}
	if len(n.Outputs) > 1 && c.reads[n.Outputs[1]] > 0 {
		return errors.New("its mask is not supported")
	}
	return c.identity(n)
}

// cast changes the type. Numbers lie as float32 whatever their type is, so that only fractions have to
// be cut off.
func (c *compiler) cast(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	to := onnx.Type(integer(n, "to", 0))
	whole := to == onnx.Int64 || to == onnx.Int32
	switch {
	case !whole && to != onnx.Float && to != onnx.Double:
		return fmt.Errorf("to %s is not supported", to)
	case x.constant != nil:
		return c.castConstant(n, x.constant, to)
	case whole && floats(x.typ) == x.typ:
		x, err = c.step(x, x.shape, to, func(in, out [][]float32, _ int) {
			for i, v := range in[0] {
				out[0][i] = float32(int64(v))
			}
		})
		if err != nil {
			return err
		}
		return c.define(n.Outputs[0], x)
	}
	x.typ, x.exact = to, x.exact && whole
	return c.alias(n, x, x.shape)
}

func (c *compiler) castConstant(n *onnx.Node, t *onnx.Tensor, to onnx.Type) error {
	f, err := t.Floats()
	if err != nil {
		return err
	}
	out := onnx.Floats32("", f, t.Dims...)
	if to == onnx.Int64 || to == onnx.Int32 {
		whole := make([]int64, len(f))
		for i, v := range f {
			whole[i] = int64(v)
		}
		if v, err := t.Ints(); err == nil {
			whole = v
		}
		out = onnx.Ints64("", whole...)
		out.Dims = t.Dims
	}
	return c.define(n.Outputs[0], value{constant: &out, typ: out.Type})
}

func (c *compiler) flatten(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	at := integer(n, "axis", 1)
	if x.constant != nil {
		return errors.New("of a constant is not supported")
	}
	if at < 0 {
		at += int64(len(x.shape) + 1)
	}
	if at < 1 || at > int64(len(x.shape)+1) || product(x.shape[:at-1]) != 1 {
		return fmt.Errorf("along axis %d it mixes rows", at)
	}
	return c.alias(n, x, []int{product(x.shape)})
}

// reshape keeps the rows apart. A shape that a batch of one was written into is read as any number of
// rows: nothing else would give an answer for each row.
func (c *compiler) reshape(n *onnx.Node) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	to, err := c.list(n, 1, "shape")
	if err != nil {
		return err
	}
	zero := integer(n, "allowzero", 0) == 0
	if x.constant != nil {
		return c.shaped(n, x, nil, func(t *onnx.Tensor) error {
			size, _ := t.Len()
			t.Dims, err = resolve(to, t.Dims, size, zero)
			return err
		})
	}
	if len(to) == 0 {
		return errors.New("to a single value mixes rows")
	}
	shape, err := c.rowShape(to, x.shape, zero)
	if err != nil {
		return fmt.Errorf("to %v: %w", to, err)
	}
	return c.alias(n, x, shape)
}

// rowShape is the shape of a row after a reshape to the lengths to, the first of which is for the rows.
func (c *compiler) rowShape(to []int64, from []int, zero bool) ([]int, error) {
	size := product(from)
	keeps := to[0] == 0 && zero || to[0] == 1 && c.meta.MaxRows <= 1 || to[0] > 1 && int(to[0]) == c.meta.MaxRows
	if !keeps && to[0] != -1 {
		return nil, errors.New("the first axis does not keep the rows")
	}
	if to[0] == -1 && slices.Contains(to[1:], -1) {
		return nil, errors.New("two lengths are left open")
	}
	old := make([]int64, len(from))
	for i, d := range from {
		old[i] = int64(d)
	}
	rest, err := resolve(to[1:], old, size, zero)
	if err != nil {
		return nil, fmt.Errorf("rows of %d values: %w", size, err)
	}
	shape := make([]int, len(rest))
	for i, d := range rest {
		shape[i] = int(d)
	}
	return shape, nil
}

// resolve fills the lengths that a shape leaves open: 0 keeps the old length, one -1 takes what is left
// of size.
func resolve(to, old []int64, size int, zero bool) ([]int64, error) {
	out, known, open := slices.Clone(to), int64(1), -1
	for i, d := range to {
		if d == 0 && zero && i < len(old) {
			out[i] = old[i]
		}
		switch {
		case d == -1 && open < 0:
			open = i
		case out[i] < 1 || known > 1<<40/out[i]:
			return nil, fmt.Errorf("the shape %v is not one", to)
		default:
			known *= out[i]
		}
	}
	if open >= 0 {
		out[open] = int64(size) / known
		known *= out[open]
	}
	if known != int64(size) || size == 0 {
		return nil, fmt.Errorf("the shape %v does not hold %d values", to, size)
	}
	return out, nil
}

func (c *compiler) squeeze(n *onnx.Node) error {
	return c.reaxed(n, squeezed[int64], squeezed[int])
}

// reaxed changes the axes of a constant by dims and those of rows by shape, which are one function: given
// the axes, the places that the node names, and how many axes stand before them.
func (c *compiler) reaxed(n *onnx.Node, dims func([]int64, []int64, int) ([]int64, error), shape func([]int, []int64, int) ([]int, error)) error {
	x, err := c.value(n, 0)
	if err != nil {
		return err
	}
	at, err := c.list(n, 1, "axes")
	if err != nil {
		return err
	}
	if x.constant != nil {
		return c.shaped(n, x, nil, func(t *onnx.Tensor) error {
			t.Dims, err = dims(t.Dims, at, 0)
			return err
		})
	}
	to, err := shape(x.shape, at, 1)
	if err != nil {
		return err
	}
	return c.alias(n, x, to)
}

// squeezed drops axes of length 1: those at the places at, or all if there are none. front is the
// number of axes before those of shape, which cannot be dropped.
func squeezed[T int | int64](shape []T, at []int64, front int) ([]T, error) {
	drop := make([]bool, len(shape))
	for i, d := range shape {
		drop[i] = at == nil && d == 1
	}
	for _, a := range at {
		if a < 0 {
			a += int64(len(shape) + front)
		}
		i := a - int64(front)
		if i < 0 || i >= int64(len(shape)) || shape[i] != 1 {
			return nil, fmt.Errorf("axis %d of rows of shape %v cannot be dropped", a, shape)
		}
		drop[i] = true
	}
	out := []T{}
	for i, d := range shape {
		if !drop[i] {
			out = append(out, d)
		}
	}
	return out, nil
}

func (c *compiler) unsqueeze(n *onnx.Node) error {
	return c.reaxed(n, unsqueezed[int64], unsqueezed[int])
}

// unsqueezed adds axes of length 1 at the places at, counted after they are in.
func unsqueezed[T int | int64](shape []T, at []int64, front int) ([]T, error) {
	rank := len(shape) + len(at)
	if rank > 16 {
		return nil, fmt.Errorf("%d axes are too many", rank)
	}
	out := make([]T, rank)
	for _, a := range at {
		if a < 0 {
			a += int64(rank + front)
		}
		i := a - int64(front)
		if i < 0 || i >= int64(rank) || out[i] == 1 {
			return nil, fmt.Errorf("no axis can be added at %d", a)
		}
		out[i] = 1
	}
	next := 0
	for i := range out {
		if out[i] == 0 {
			out[i] = shape[next]
			next++
		}
	}
	return out, nil
}
