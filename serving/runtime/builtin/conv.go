package builtin

import (
	"errors"
	"fmt"
	"math"

	"trimtab.dev/trimtab/serving/runtime/kernel"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// convolution is a 2-D convolution as a dense layer over patches: for each place of the answer, the
// numbers under the kernel in one line. The image is first laid out with its channels innermost and
// its padding around, so that a line of the kernel is one piece.
type convolution struct {
	y, x             window
	channels, filter int // of one group: in and out
	groups           int
	lines            int // lines of places that go through the layer together
}

const patchRows = 128 // patches that go through the layer together, about

// conv compiles Conv over rows of channels, height and width.
func (c *compiler) conv(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	w, size, err := c.numbers(n, 1)
	if err != nil {
		return err
	}
	if len(x.shape) != 3 || len(size) != 4 || product(size) < 1 {
		return fmt.Errorf("of rows of shape %v with weights %v is not supported; only 2-D ones are", x.shape, size)
	}
	v := &convolution{channels: size[1], groups: int(integer(n, "group", 1))}
	if v.groups < 1 || v.groups > size[0] || size[0]%v.groups != 0 || v.groups*v.channels != x.shape[0] {
		return fmt.Errorf("%d groups do not fit %d channels and weights %v", v.groups, x.shape[0], size)
	}
	v.filter = size[0] / v.groups
	if v.y, v.x, err = windows(n, x.shape[1], x.shape[2], []int64{int64(size[2]), int64(size[3])}); err != nil {
		return err
	}
	l, err := v.layer(w)
	if err != nil {
		return err
	}
	if has(n, 2) {
		if l.bias, err = c.vector(n, 2, size[0]); err != nil {
			return err
		}
	}
	if err := c.emit(n, x, []int{size[0], v.y.out, v.x.out}, nil); err != nil {
		return err
	}
	st := &c.steps[len(c.steps)-1]
	st.layer = l
	st.out = append(st.out, c.scratch(v.height()*v.width()*v.channels), c.scratch(v.places()*l.in), c.scratch(v.places()*l.out))
	return nil
}

func (v *convolution) height() int { return v.y.before + v.y.in + v.y.after }
func (v *convolution) width() int  { return v.x.before + v.x.in + v.x.after }
func (v *convolution) places() int { return v.lines * v.x.out }

// layer is the dense layer, its weights in the order of the patches.
func (v *convolution) layer(w []float32) (*layer, error) {
	taps := v.y.kernel * v.x.kernel
	l := &layer{in: taps * v.channels, out: v.filter, groups: v.groups, axis: 0, inner: v.y.out * v.x.out, weight: make([]float32, len(w))}
	for i, f := range w { // i counts [group][filter][channel][tap]
		tap, channel, filter, group := i%taps, i/taps%v.channels, i/taps/v.channels%v.filter, i/taps/v.channels/v.filter
		l.weight[(group*l.in+tap*v.channels+channel)*l.out+filter] = f
	}
	l.bias = make([]float32, v.groups*v.filter)
	v.lines = min(max(patchRows/v.x.out, 1), v.y.out)
	l.run = v.run
	if v.places() > maxWidth/l.in || v.places() > maxWidth/l.out || v.height()*v.width() > maxWidth/v.channels {
		return nil, errors.New("its patches are too large")
	}
	return l, nil
}

func (v *convolution) run(d []*kernel.Dense, relu bool) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, rows int) {
		image := v.channels * v.y.in * v.x.in
		answer := v.filter * v.y.out * v.x.out
		for r := range rows * v.groups {
			v.pad(in[0][r*image:(r+1)*image], out[1])
			y := out[0][r*answer : (r+1)*answer]
			for line := 0; line < v.y.out; line += v.lines {
				lines := min(v.lines, v.y.out-line)
				v.patches(out[1], out[2], line, lines)
				d[r%v.groups].Apply(out[2], out[3], lines*v.x.out, relu)
				v.spread(out[3], y, line, lines)
			}
		}
	}
}

// pad lays an image out as lines of pixels of channels, with zeros around.
func (v *convolution) pad(image, padded []float32) {
	clear(padded)
	w, n := v.width(), v.channels
	for c := range n {
		for y := range v.y.in {
			to := padded[((y+v.y.before)*w+v.x.before)*n+c:]
			for x, p := range image[(c*v.y.in+y)*v.x.in : (c*v.y.in+y+1)*v.x.in] {
				to[x*n] = p
			}
		}
	}
}

// patches lines up what is under the kernel at each place of some lines.
func (v *convolution) patches(padded, patch []float32, line, lines int) {
	w, n := v.width(), v.channels
	run, step := v.x.kernel, v.x.kernel*n // taps side by side that are one piece
	if v.x.dilation > 1 {
		run, step = 1, n
	}
	for y := line; y < line+lines; y++ {
		for x := range v.x.out {
			for ky := range v.y.kernel {
				from := ((y*v.y.stride+ky*v.y.dilation)*w + x*v.x.stride) * n
				for k := 0; k < v.x.kernel; k += run {
					copy(patch[:step], padded[from+k*v.x.dilation*n:])
					patch = patch[step:]
				}
			}
		}
	}
}

// spread puts the answers, which lie filter by filter for each place, into the filters' planes.
func (v *convolution) spread(from, y []float32, line, lines int) {
	places := lines * v.x.out
	for f := range v.filter {
		to := y[(f*v.y.out+line)*v.x.out:][:places]
		for i := range to {
			to[i] = from[i*v.filter+f]
		}
	}
}

// batchNorm is a scale and a shift for each channel; it goes into the convolution before it, if there
// is one.
func (c *compiler) batchNorm(n *onnx.Node) error {
	x, err := c.floating(n)
	if err != nil {
		return err
	}
	if len(x.shape) == 0 || integer(n, "training_mode", 0) != 0 || integer(n, "spatial", 1) != 1 {
		return errors.New("only one answer for each channel, without training, is supported")
	}
	var p [4][]float32 // scale, bias, mean, variance
	for i := range p {
		if p[i], err = c.vector(n, i+1, x.shape[0]); err != nil {
			return err
		}
	}
	scale, shift := p[0], p[1]
	for i := range scale {
		scale[i] /= float32(math.Sqrt(float64(p[3][i]) + float64(float(n, "epsilon", 1e-5))))
		shift[i] -= p[2][i] * scale[i]
	}
	if l, ok := c.open(x); ok && l.axis == 0 {
		l.scale(scale, shift)
		return c.alias(n, x, x.shape)
	}
	c.bytes += int64(8 * len(scale))
	return c.inPlace(n, x, affine(scale, shift, product(x.shape[1:])))
}

// affine scales and shifts channels of inner values each.
func affine(scale, shift []float32, inner int) func(in, out [][]float32, rows int) {
	return func(in, out [][]float32, rows int) {
		for k := range rows * len(scale) {
			a, b := scale[k%len(scale)], shift[k%len(scale)]
			x, y := in[0][k*inner:(k+1)*inner], out[0][k*inner:(k+1)*inner]
			for i, v := range x {
				y[i] = a*v + b
			}
		}
	}
}
