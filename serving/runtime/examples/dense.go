package examples

import (
	"math"
	"math/rand/v2"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// dense is a fully connected layer: y[o] = bias[o] + sum over i of weight[o*in+i] * x[i].
type dense struct {
	in, out      int
	weight, bias []float32
}

// newDense draws weights after He: a normal of variance 2/in, which keeps the scale through ReLU.
func newDense(r *rand.Rand, in, out int) dense {
	d := dense{in: in, out: out, weight: make([]float32, in*out), bias: make([]float32, out)}
	scale := math.Sqrt(2 / float64(in))
	for i := range d.weight {
		d.weight[i] = float32(r.NormFloat64() * scale)
	}
	return d
}

// apply computes one row.
func (d dense) apply(x, y []float32) {
	for o := range y {
		sum := d.bias[o]
		for i, w := range d.weight[o*d.in : (o+1)*d.in] {
			sum += w * x[i]
		}
		y[o] = sum
	}
}

// export appends the layer to the graph as a Gemm whose names begin with name.
func (d dense) export(g *onnx.Graph, name, from, to string) {
	w := constant(g, name+"_weight", d.weight, int64(d.out), int64(d.in))
	b := constant(g, name+"_bias", d.bias, int64(d.out))
	add(g, "Gemm", to, []string{from, w, b}, onnx.AttrInt("transB", 1))
}

// step is one step of gradient descent for one row: grad is the loss's slope by y. It returns the
// slope by x, computed with the weights from before the step.
func (d dense) step(x, grad []float32, rate float32) []float32 {
	back := make([]float32, d.in)
	for o, g := range grad {
		if g == 0 {
			continue
		}
		w := d.weight[o*d.in : (o+1)*d.in]
		for i := range w {
			back[i] += g * w[i]
			w[i] -= rate * g * x[i]
		}
		d.bias[o] -= rate * g
	}
	return back
}

func relu(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

func sigmoid(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }

// softmax turns scores into probabilities in place; the greatest is taken off first, so that no
// exponential overflows.
func softmax(x []float32) {
	top := x[argmax(x)]
	var sum float64
	for i, v := range x {
		e := math.Exp(float64(v - top))
		x[i] = float32(e)
		sum += e
	}
	for i := range x {
		x[i] /= float32(sum)
	}
}

func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
