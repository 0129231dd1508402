package protocol

import (
	"math"
	"strconv"
	"unicode/utf8"

	"trimtab.dev/trimtab/serving/runtime"
)

// appendString appends s as a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r < utf8.RuneSelf:
			dst = append(dst, byte(r))
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// appendValues appends elements as one flat JSON array.
func appendValues(dst []byte, t runtime.Type, data []byte) []byte {
	return append(appendElements(append(dst, '['), t, data), ']')
}

// appendElements appends elements with commas between them.
func appendElements(dst []byte, t runtime.Type, data []byte) []byte {
	switch t {
	case runtime.Bool:
		return appendEach(dst, data, strconv.AppendBool, func(v byte) bool { return v != 0 })
	case runtime.FP64:
		return appendEach(dst, runtime.Values[float64](data), appendFloat64, asIs)
	case runtime.FP32:
		return appendEach(dst, runtime.Values[float32](data), appendFloat32, asIs)
	case runtime.FP16:
		return appendEach(dst, runtime.Values[uint16](data), appendFloat32, halfFloat)
	case runtime.BF16:
		return appendEach(dst, runtime.Values[uint16](data), appendFloat32, brainFloat)
	}
	return appendIntegers(dst, t, data)
}

func appendIntegers(dst []byte, t runtime.Type, data []byte) []byte {
	switch t {
	case runtime.Int8:
		return appendEach(dst, runtime.Values[int8](data), appendInt, signed)
	case runtime.Int16:
		return appendEach(dst, runtime.Values[int16](data), appendInt, signed)
	case runtime.Int32:
		return appendEach(dst, runtime.Values[int32](data), appendInt, signed)
	case runtime.Int64:
		return appendEach(dst, runtime.Values[int64](data), appendInt, signed)
	case runtime.Uint8:
		return appendEach(dst, data, appendUint, unsigned)
	case runtime.Uint16:
		return appendEach(dst, runtime.Values[uint16](data), appendUint, unsigned)
	case runtime.Uint32:
		return appendEach(dst, runtime.Values[uint32](data), appendUint, unsigned)
	}
	return appendEach(dst, runtime.Values[uint64](data), appendUint, unsigned)
}

// appendEach appends values, as a V each, with commas between them.
func appendEach[T, V any](dst []byte, values []T, add func([]byte, V) []byte, as func(T) V) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = add(dst, as(v))
	}
	return dst
}

func asIs[T any](v T) T                                       { return v }
func signed[T int8 | int16 | int32 | int64](v T) int64        { return int64(v) }
func unsigned[T uint8 | uint16 | uint32 | uint64](v T) uint64 { return uint64(v) }
func appendInt(dst []byte, v int64) []byte                    { return strconv.AppendInt(dst, v, 10) }
func appendUint(dst []byte, v uint64) []byte                  { return strconv.AppendUint(dst, v, 10) }
func appendFloat64(dst []byte, v float64) []byte              { return appendFloat(dst, v, 64) }
func appendFloat32(dst []byte, v float32) []byte              { return appendFloat(dst, float64(v), 32) }
func brainFloat(v uint16) float32                             { return math.Float32frombits(uint32(v) << 16) }

// halfFloat is the value of a float16.
func halfFloat(v uint16) float32 {
	sign, power, fraction := uint32(v>>15)<<31, uint32(v>>10&31), uint32(v&1023)
	switch power {
	case 0:
		f := float32(fraction) / (1 << 24)
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31:
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (power+112)<<23 | fraction<<13)
}

// appendFloat appends the shortest text that reads as v again, in the form that encoding/json gives it; null
// for what is not a number.
func appendFloat(dst []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	size := math.Abs(v)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, bits)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
