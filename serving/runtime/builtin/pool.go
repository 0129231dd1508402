package builtin

import (
	"errors"
	"fmt"
	"math"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// pool compiles MaxPool and AveragePool over rows of channels, height and width.
func (c *compiler) pool(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	if len(x.shape) != 3 || len(n.Outputs) > 1 && c.reads[n.Outputs[1]] > 0 {
		return fmt.Errorf("of rows of shape %v, or with indices, is not supported; only 2-D ones are", x.shape)
	}
	y, w, err := windows(n, x.shape[1], x.shape[2], ints(n, "kernel_shape"))
	if err != nil {
		return err
	}
	one := greatest
	if n.Op == "AveragePool" {
		one = average(integer(n, "count_include_pad", 0) != 0)
	}
	channels := x.shape[0]
	return c.emit(n, x, []int{channels, y.out, w.out}, func(in, out [][]float32, rows int) {
		for k := range rows * channels {
			one(y, w, in[0][k*y.in*w.in:(k+1)*y.in*w.in], out[0][k*y.out*w.out:(k+1)*y.out*w.out])
		}
	})
}

// greatest pools one plane into the greatest number under each place.
func greatest(y, x window, in, out []float32) {
	if y.halves() && x.halves() {
		greatestOfFour(x.in, x.out, in, out)
		return
	}
	for oy := range y.out {
		top, from, to := y.at(oy)
		for ox := range x.out {
			left, first, last := x.at(ox)
			best := float32(math.Inf(-1))
			for ky := from; ky < to; ky++ {
				line := in[(top+ky*y.dilation)*x.in:][:x.in]
				for kx := first; kx < last; kx++ {
					best = max(best, line[left+kx*x.dilation])
				}
			}
			out[oy*x.out+ox] = best
		}
	}
}

// greatestOfFour is greatest for squares of 2 by 2 side by side, the usual pool.
func greatestOfFour(wide, places int, in, out []float32) {
	for len(out) > 0 {
		a, b, y := in[:2*places], in[wide:wide+2*places], out[:places]
		for i := range y {
			y[i] = max(a[2*i], a[2*i+1], b[2*i], b[2*i+1])
		}
		out = out[places:]
		if len(out) > 0 {
			in = in[2*wide:]
		}
	}
}

// average pools one plane into the mean under each place: of the numbers there, or with the zeros of
// the padding.
func average(padded bool) func(y, x window, in, out []float32) {
	return func(y, x window, in, out []float32) {
		for oy := range y.out {
			top, from, to := y.at(oy)
			for ox := range x.out {
				left, first, last := x.at(ox)
				var sum float32
				for ky := from; ky < to; ky++ {
					line := in[(top+ky*y.dilation)*x.in:][:x.in]
					for kx := first; kx < last; kx++ {
						sum += line[left+kx*x.dilation]
					}
				}
				count := (to - from) * (last - first)
				if padded {
					count = y.padded(oy) * x.padded(ox)
				}
				out[oy*x.out+ox] = sum / float32(max(count, 1))
			}
		}
	}
}

// globalPool is the mean of each channel.
func (c *compiler) globalPool(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	if len(x.shape) < 2 {
		return fmt.Errorf("of rows of shape %v is not supported", x.shape)
	}
	shape := filledInts(len(x.shape), 1)
	shape[0] = x.shape[0]
	return c.emit(n, x, shape, groups(product(x.shape[1:]), meanOf))
}

func filledInts(n, v int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// groups makes one number from each size numbers that lie together.
func groups(size int, one func([]float32) float32) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, _ int) {
		x, y := in[0], out[0]
		for i := range y {
			y[i] = one(x[i*size : (i+1)*size])
		}
	}
}

func meanOf(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum / float64(len(x)))
}

func maxOf(x []float32) float32 {
	best := x[0]
	for _, v := range x[1:] {
		best = max(best, v)
	}
	return best
}

// reduce compiles ReduceMax and ReduceMean along axes that are not that of the rows.
func (c *compiler) reduce(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	list, err := c.list(n, 1, "axes")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("along all axes it mixes rows")
	}
	at, err := axes(list, len(x.shape)+1)
	if err != nil {
		return err
	}
	shape, order := without(x.shape, at, integer(n, "keepdims", 1) != 0)
	size := 1
	for _, a := range at {
		size *= x.shape[a]
	}
	if x, err = c.permute(x, order); err != nil {
		return err
	}
	one := maxOf
	if n.Op == "ReduceMean" {
		one = meanOf
	}
	return c.emit(n, x, shape, groups(size, one))
}

// without is the shape after the axes at are reduced, and the order of axes that puts those last.
func without(shape, at []int, keep bool) (out, order []int) {
	out = []int{}
	for i, d := range shape {
		if contains(at, i) {
			d = 1
		} else {
			order = append(order, i)
		}
		if keep || !contains(at, i) {
			out = append(out, d)
		}
	}
	return out, append(order, at...)
}

// argMax is the place of the greatest number along an axis.
func (c *compiler) argMax(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	at, err := axis(integer(n, "axis", 0), len(x.shape)+1)
	if err != nil {
		return err
	}
	shape, order := without(x.shape, []int{at - 1}, integer(n, "keepdims", 1) != 0)
	size, last := x.shape[at-1], integer(n, "select_last_index", 0) != 0
	if x, err = c.permute(x, order); err != nil {
		return err
	}
	v, err := c.step(x, shape, onnx.Int64, groups(size, func(x []float32) float32 { return float32(greatestAt(x, last)) }))
	if err != nil {
		return err
	}
	return c.define(n.Outputs[0], v)
}

// softmax compiles Softmax and LogSoftmax along the last axis; until opset 13 along all from the axis on.
func (c *compiler) softmax(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	otherwise := int64(-1)
	if c.opset < 13 {
		otherwise = 1
	}
	at, err := axis(integer(n, "axis", otherwise), len(x.shape)+1)
	if err != nil {
		return err
	}
	size := product(x.shape[at-1:])
	if c.opset >= 13 && size != x.shape[at-1] {
		return fmt.Errorf("along axis %d of %d is not supported, only along the last", at, len(x.shape)+1)
	}
	one := normalise
	if n.Op == "LogSoftmax" {
		one = logarithms
	}
	return c.inPlace(n, x, func(in, out [][]float32, _ int) {
		x, y := in[0], out[0]
		for i := 0; i < len(y); i += size {
			one(x[i:i+size], y[i:i+size])
		}
	})
}

// normalise is softmax; the greatest is taken off first, so that no exponential overflows.
func normalise(x, y []float32) {
	top, sum := maxOf(x), 0.0
	for i, v := range x {
		e := math.Exp(float64(v) - float64(top))
		y[i] = float32(e)
		sum += e
	}
	for i := range y {
		y[i] = float32(float64(y[i]) / sum)
	}
}

func logarithms(x, y []float32) {
	top, sum := maxOf(x), 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - float64(top))
	}
	all := math.Log(sum) + float64(top)
	for i, v := range x {
		y[i] = float32(float64(v) - all)
	}
}
