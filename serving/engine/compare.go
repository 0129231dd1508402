package engine

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"trimtab.dev/trimtab/serving/runtime"
)

// tolerance is how far a float may be from what it should be: relative, and absolute beside 0.
type tolerance struct{ relative, absolute float64 }

var (
	goldenTolerance = tolerance{1e-4, 1e-6}
	// Sums are added in another order in another batch.
	batchTolerance = tolerance{1e-3, 1e-5}
)

// same returns how got differs from want. Whole numbers have to be equal; half floats may differ by their
// last two bits at least.
func same(want, got runtime.Tensor, t tolerance) error {
	if want.Type != got.Type || !slices.Equal(want.Shape, got.Shape) {
		return fmt.Errorf("it is %s of %v; want %s of %v", got.Type, got.Shape, want.Type, want.Shape)
	}
	if !floats(want.Type) {
		if !bytes.Equal(want.Data, got.Data) {
			return fmt.Errorf("it is % x; want % x", head(got.Data), head(want.Data))
		}
		return nil
	}
	switch want.Type {
	case runtime.FP16:
		t.relative = max(t.relative, 1.0/256)
	case runtime.BF16:
		t.relative = max(t.relative, 1.0/32)
	}
	for i := range len(want.Data) / want.Type.Size() {
		if w, g := float(want, i), float(got, i); !near(w, g, t) {
			return fmt.Errorf("value %d is %v; want %v", i+1, g, w)
		}
	}
	return nil
}

// near reports whether got is as good as want; NaN is as good as NaN.
func near(want, got float64, t tolerance) bool {
	return want == got || math.IsNaN(want) && math.IsNaN(got) || math.Abs(want-got) <= t.relative*math.Abs(want)+t.absolute
}

func head(data []byte) []byte { return data[:min(len(data), 16)] }

func floats(t runtime.Type) bool { return t >= runtime.FP16 }

// float is value i of a tensor of floats.
func float(t runtime.Tensor, i int) float64 {
	switch t.Type {
	case runtime.FP64:
		return runtime.Values[float64](t.Data)[i]
	case runtime.FP32:
		return float64(runtime.Values[float32](t.Data)[i])
	case runtime.BF16: // the upper half of an FP32
		return float64(math.Float32frombits(uint32(runtime.Values[uint16](t.Data)[i]) << 16))
	}
	return half(runtime.Values[uint16](t.Data)[i])
}

// half is the number of an FP16: a sign, 5 bits of exponent, 10 of fraction.
func half(bits uint16) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	v := math.Ldexp(fraction/1024+1, exponent-15)
	switch {
	case exponent == 0:
		v = math.Ldexp(fraction, -24)
	case exponent == 31 && fraction == 0:
		v = math.Inf(1)
	case exponent == 31:
		return math.NaN()
	}
	if bits>>15 == 1 {
		return -v
	}
	return v
}

// fill makes the values up: floats from -1 to 1, halves from 1/8 to 1/4, 0 and 1 for the others, which may be
// indices into tables of any length.
func fill(t runtime.Tensor, random *rand.Rand) {
	switch t.Type {
	case runtime.FP64:
		v := runtime.Values[float64](t.Data)
		for i := range v {
			v[i] = 2*random.Float64() - 1
		}
	case runtime.FP32:
		v := runtime.Values[float32](t.Data)
		for i := range v {
			v[i] = 2*random.Float32() - 1
		}
	case runtime.FP16:
		v := runtime.Values[uint16](t.Data)
		for i := range v {
			v[i] = 12<<10 | uint16(random.IntN(1024))
		}
	case runtime.BF16:
		v := runtime.Values[uint16](t.Data)
		for i := range v {
			v[i] = 124<<7 | uint16(random.IntN(128))
		}
	default:
		for i := 0; i < len(t.Data); i += t.Type.Size() { // little-endian: the first byte is the lowest
			t.Data[i] = byte(random.IntN(2))
		}
	}
}
