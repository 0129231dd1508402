package runtime

import (
	"math"
	"math/rand/v2"
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

// apply computes rows rows of x into y. Four rows go through each weight together: weights are
// fetched once for the four, which is where a batch gains.
func (d dense) apply(x, y []float32, rows int) {
	n := 0
	for ; n+4 <= rows; n += 4 {
		d.apply4(x[n*d.in:(n+4)*d.in], y[n*d.out:(n+4)*d.out])
	}
	for ; n < rows; n++ {
		d.apply1(x[n*d.in:(n+1)*d.in], y[n*d.out:(n+1)*d.out])
	}
}

func (d dense) apply1(x, y []float32) {
	for o := range y {
		sum := d.bias[o]
		for i, w := range d.weight[o*d.in : (o+1)*d.in] {
			sum += w * x[i]
		}
		y[o] = sum
	}
}

func (d dense) apply4(x, y []float32) {
	x0, x1, x2, x3 := x[:d.in], x[d.in:2*d.in], x[2*d.in:3*d.in], x[3*d.in:4*d.in]
	for o := range d.out {
		s0, s1, s2, s3 := d.bias[o], d.bias[o], d.bias[o], d.bias[o]
		for i, w := range d.weight[o*d.in : (o+1)*d.in] {
			s0 += w * x0[i]
			s1 += w * x1[i]
			s2 += w * x2[i]
			s3 += w * x3[i]
		}
		y[o], y[d.out+o], y[2*d.out+o], y[3*d.out+o] = s0, s1, s2, s3
	}
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
