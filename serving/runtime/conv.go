package runtime

import (
	"math"
	"math/rand/v2"
)

// planes is an image of several channels, each a square of side by side with a border of one zero
// around it: the padding of a 3x3 convolution. Plane c starts at c*(side+2)².
type planes struct {
	side, channels int
	v              []float32
}

func newPlanes(side, channels int) planes {
	return planes{side: side, channels: channels, v: make([]float32, channels*(side+2)*(side+2))}
}

// line is row y (0 to side-1) of channel c, with its border: side+2 values.
func (p planes) line(c, y int) []float32 {
	n := p.side + 2
	at := (c*n + y + 1) * n
	return p.v[at : at+n]
}

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

// apply computes src into dst, then ReLU. It goes by whole lines, three weights at a time, so that
// the inner loop has no border to mind.
func (c conv) apply(src, dst planes) {
	for o := range c.out {
		for y := range src.side {
			line := dst.line(o, y)[1 : src.side+1]
			for x := range line {
				line[x] = c.bias[o]
			}
			for ch := range c.in {
				for dy := range 3 {
					at := ((o*c.in+ch)*3 + dy) * 3
					addLine(line, src.v, (ch*(src.side+2)+y+dy)*(src.side+2), c.weight[at:at+3])
				}
			}
			relu(line)
		}
	}
}

// addLine adds the three weights of one line of a filter over the source line at from.
func addLine(line, src []float32, from int, w []float32) {
	w0, w1, w2 := w[0], w[1], w[2]
	a := src[from : from+len(line)]
	b := src[from+1 : from+1+len(line)]
	c := src[from+2 : from+2+len(line)]
	for x := range line {
		line[x] += w0*a[x] + w1*b[x] + w2*c[x]
	}
}

// maxPool halves the sides: each value is the greatest of a 2x2 square.
func maxPool(src, dst planes) {
	for c := range src.channels {
		for y := range dst.side {
			a, b, out := src.line(c, 2*y), src.line(c, 2*y+1), dst.line(c, y)
			for x := range dst.side {
				out[x+1] = max(a[2*x+1], a[2*x+2], b[2*x+1], b[2*x+2])
			}
		}
	}
}

// averages fills out with the mean of each cell by cell square: one number a square and channel.
func averages(src planes, cell int, out []float32) {
	n, at := src.side/cell, 0
	for c := range src.channels {
		for y := range n {
			for x := range n {
				var sum float32
				for dy := range cell {
					for _, v := range src.line(c, y*cell+dy)[x*cell+1 : (x+1)*cell+1] {
						sum += v
					}
				}
				out[at] = sum / float32(cell*cell)
				at++
			}
		}
	}
}
