package sim

import (
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime"
)

// codec reads and writes one element as a number. Integers are cut to their length; what is not 0 is true.
type codec struct {
	get func([]byte) float64
	put func([]byte, float64)
}

// codecOf serves half-precision floats by their bits: a sum of them means nothing, but it is the row's own.
func codecOf(t runtime.Type) codec {
	switch t {
	case runtime.FP32:
		return codec{get[float32], func(b []byte, v float64) { set(b, float32(v)) }}
	case runtime.FP64:
		return codec{get[float64], set[float64]}
	case runtime.Int64:
		return whole[int64]()
	case runtime.Int32:
		return whole[int32]()
	case runtime.Int16:
		return whole[int16]()
	case runtime.Int8:
		return whole[int8]()
	case runtime.Uint64:
		return whole[uint64]()
	case runtime.Uint32:
		return whole[uint32]()
	case runtime.Uint16, runtime.FP16, runtime.BF16:
		return whole[uint16]()
	case runtime.Uint8:
		return whole[uint8]()
	}
	return codec{get[uint8], func(b []byte, v float64) { b[0] = min(1, uint8(min(255, max(v, -v)))) }}
}

type number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

func whole[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64]() codec {
	return codec{get[T], func(b []byte, v float64) { set(b, T(int64(v))) }}
}

func get[T number](b []byte) float64 { return float64(runtime.Values[T](b[:size[T]()])[0]) }

func set[T number](b []byte, v T) { runtime.Values[T](b[:size[T]()])[0] = v }

func size[T number]() int { return int(unsafe.Sizeof(*new(T))) }
