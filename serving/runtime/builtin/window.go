package builtin

import (
	"errors"
	"fmt"

	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// window is how a convolution or a pool goes along one axis: out places, each of kernel numbers that
// are dilation apart, the first before numbers into the padding, each place stride after the one before.
type window struct {
	in, out, kernel, stride, dilation, before, after int
}

// at is the range of taps, from to to-1, of which place o has numbers, and where the first tap of all
// lies; the other taps are in the padding.
func (w window) at(o int) (first, from, to int) {
	first = o*w.stride - w.before
	if first < 0 {
		from = (-first + w.dilation - 1) / w.dilation
	}
	to = w.kernel
	if over := first + (w.kernel-1)*w.dilation - (w.in - 1); over > 0 {
		to -= (over + w.dilation - 1) / w.dilation
	}
	return first, from, max(to, from)
}

// halves says that each place is of two numbers that no other place has, none of them padding.
func (w window) halves() bool {
	return w.kernel == 2 && w.stride == 2 && w.dilation == 1 && w.before == 0 && 2*w.out <= w.in
}

// padded counts the taps of place o that lie in the axis or in its padding: what is left over where
// the last place reaches further is neither.
func (w window) padded(o int) int {
	n := 0
	for k := range w.kernel {
		if at := o*w.stride - w.before + k*w.dilation; at < w.in+w.after {
			n++
		}
	}
	return n
}

// windows reads both axes of a node whose rows are planes of height by width. size is the kernel's.
func windows(n *onnx.Node, height, wide int, size []int64) (y, x window, err error) {
	if len(size) != 2 {
		return y, x, fmt.Errorf("a kernel of shape %v is not supported; only those of two axes are", size)
	}
	stride, dilation, pads := pairs(n, "strides", 2, 1), pairs(n, "dilations", 2, 1), pairs(n, "pads", 4, 0)
	if len(stride) != 2 || len(dilation) != 2 || len(pads) != 4 {
		return y, x, errors.New("its strides, dilations and pads are not those of two axes")
	}
	for _, v := range append(append(append([]int64{}, size...), stride...), dilation...) {
		if v < 1 || v > maxSide {
			return y, x, fmt.Errorf("a kernel, stride or dilation of %d is not supported", v)
		}
	}
	for _, v := range pads {
		if v < 0 || v > maxSide {
			return y, x, fmt.Errorf("a padding of %d is not supported", v)
		}
	}
	ceil := integer(n, "ceil_mode", 0) != 0
	y = window{in: height, kernel: int(size[0]), stride: int(stride[0]), dilation: int(dilation[0]), before: int(pads[0]), after: int(pads[2])}
	x = window{in: wide, kernel: int(size[1]), stride: int(stride[1]), dilation: int(dilation[1]), before: int(pads[1]), after: int(pads[3])}
	auto := text(n, "auto_pad", "NOTSET")
	return y, x, errors.Join(y.settle(auto, ceil), x.settle(auto, ceil))
}

const maxSide = 1 << 14 // of kernels, strides, paddings

func pairs(n *onnx.Node, name string, count int, otherwise int64) []int64 {
	if v := ints(n, name); v != nil {
		return v
	}
	out := make([]int64, count)
	for i := range out {
		out[i] = otherwise
	}
	return out
}

// settle works out the padding and the number of places.
func (w *window) settle(auto string, ceil bool) error {
	span := (w.kernel-1)*w.dilation + 1
	switch auto {
	case "NOTSET", "":
	case "VALID":
		w.before, w.after = 0, 0
	case "SAME_UPPER", "SAME_LOWER":
		all := max(((w.in+w.stride-1)/w.stride-1)*w.stride+span-w.in, 0)
		w.before, w.after = all/2, all-all/2
		if auto == "SAME_LOWER" {
			w.before, w.after = w.after, w.before
		}
	default:
		return fmt.Errorf("auto_pad %q is not supported", auto)
	}
	room := w.in + w.before + w.after - span
	if room < 0 {
		return fmt.Errorf("a kernel that spans %d does not fit into %d", span, room+span)
	}
	w.out = room/w.stride + 1
	// One place more for what is left over, unless it would begin in the padding.
	if ceil && room%w.stride != 0 && w.out*w.stride < w.in+w.before {
		w.out++
	}
	return nil
}
