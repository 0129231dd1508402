package examples

import (
	"math"
	"math/rand/v2"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// conv is a 3x3 convolution that keeps the size.
type conv struct {
	in, out      int
	weight, bias []float32 // weight[((o*in+c)*3+dy)*3+dx]
}

// newConv draws weights after He, as newDense does.
func newConv(r *rand.Rand, in, out int) conv {
	c := conv{in: in, out: out, weight: make([]float32, out*in*9), bias: make([]float32, out)}
	scale := math.Sqrt(2 / float64(in*9))
	for i := range c.weight {
		c.weight[i] = float32(r.NormFloat64() * scale)
	}
	return c
}

// export appends the convolution, a ReLU, and the greatest of each 2x2 square; the last is called name.
func (c conv) export(g *onnx.Graph, name, from string) string {
	w := constant(g, name+"_weight", c.weight, int64(c.out), int64(c.in), 3, 3)
	b := constant(g, name+"_bias", c.bias, int64(c.out))
	add(g, "Conv", name+"_sum", []string{from, w, b}, onnx.AttrInts("kernel_shape", 3, 3), onnx.AttrInts("pads", 1, 1, 1, 1))
	add(g, "Relu", name+"_relu", []string{name + "_sum"})
	add(g, "MaxPool", name, []string{name + "_relu"}, onnx.AttrInts("kernel_shape", 2, 2), onnx.AttrInts("strides", 2, 2))
	return name
}
