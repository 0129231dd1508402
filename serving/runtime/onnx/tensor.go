package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"trimtab.dev/trimtab/serving/runtime"
)

// Type is the type of a tensor's elements, numbered as in the format.
type Type int32

// The types that have a runtime.Type or are named in messages.
const (
	Float    Type = 1
	Uint8    Type = 2
	Int8     Type = 3
	Uint16   Type = 4
	Int16    Type = 5
	Int32    Type = 6
	Int64    Type = 7
	String   Type = 8
	Bool     Type = 9
	Float16  Type = 10
	Double   Type = 11
	Uint32   Type = 12
	Uint64   Type = 13
	BFloat16 Type = 16
)

// String is the type's name in the format.
func (t Type) String() string {
	names := []string{"UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL", "FLOAT16",
		"DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16"}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("type %d", int32(t))
	}
	return names[t]
}

// Runtime is the type that the server calls it, false for types that it does not carry.
func (t Type) Runtime() (runtime.Type, bool) {
	types := [...]runtime.Type{Float: runtime.FP32, Uint8: runtime.Uint8, Int8: runtime.Int8, Uint16: runtime.Uint16,
		Int16: runtime.Int16, Int32: runtime.Int32, Int64: runtime.Int64, Bool: runtime.Bool, Float16: runtime.FP16,
		Double: runtime.FP64, Uint32: runtime.Uint32, Uint64: runtime.Uint64, BFloat16: runtime.BF16}
	if t < 0 || int(t) >= len(types) || types[t] == 0 {
		return 0, false
	}
	return types[t], true
}

// Tensor is a constant. Data holds the elements little-endian, row by row; after Read it may lie in
// the bytes that were read, so neither may be changed.
type Tensor struct {
	Name string
	Type Type
	Dims []int64
	Data []byte
}

// Len is the number of elements, false where the shape is not one or too large to count.
func (t *Tensor) Len() (int, bool) { return count(t.Dims) }

func count(dims []int64) (int, bool) {
	n, zero := int64(1), false
	for _, d := range dims {
		if d < 0 || d > 0 && n > (1<<46)/d {
			return 0, false
		}
		if d == 0 {
			zero = true
			continue
		}
		n *= d
	}
	if zero {
		n = 0
	}
	return int(n), true
}

// check returns why the data is not what type and shape say.
func (t *Tensor) check() error {
	rt, ok := t.Type.Runtime()
	if !ok {
		return fmt.Errorf("tensor %q has elements of type %s, which are not read here", t.Name, t.Type)
	}
	if n, ok := t.Len(); !ok || n*rt.Size() != len(t.Data) {
		return fmt.Errorf("tensor %q of shape %v has %d bytes of %s", t.Name, t.Dims, len(t.Data), t.Type)
	}
	return nil
}

// Floats is the elements of a FLOAT, DOUBLE or whole-number tensor as float32, in memory of their own.
func (t *Tensor) Floats() ([]float32, error) {
	if t.Type == Float {
		out := make([]float32, len(t.Data)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out, nil
	}
	if t.Type == Double {
		out := make([]float32, len(t.Data)/8)
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(t.Data[8*i:])))
		}
		return out, nil
	}
	ints, err := t.Ints()
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(ints))
	for i, v := range ints {
		out[i] = float32(v)
	}
	return out, nil
}

// Ints is the elements of an INT64, INT32 or BOOL tensor.
func (t *Tensor) Ints() ([]int64, error) {
	switch t.Type {
	case Int64:
		return decode(t.Data, 8, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }), nil
	case Int32:
		return decode(t.Data, 4, func(b []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(b))) }), nil
	case Bool:
		return decode(t.Data, 1, func(b []byte) int64 { return int64(b[0]) }), nil
	}
	return nil, fmt.Errorf("tensor %q has elements of type %s, not whole numbers", t.Name, t.Type)
}

func decode(data []byte, size int, one func([]byte) int64) []int64 {
	out := make([]int64, len(data)/size)
	for i := range out {
		out[i] = one(data[i*size:])
	}
	return out
}

// Floats32 makes a FLOAT tensor; it keeps values.
func Floats32(name string, values []float32, dims ...int64) Tensor {
	return Tensor{Name: name, Type: Float, Dims: dims, Data: runtime.Data(values)}
}

// Ints64 makes an INT64 tensor of one axis; it keeps values.
func Ints64(name string, values ...int64) Tensor {
	return Tensor{Name: name, Type: Int64, Dims: []int64{int64(len(values))}, Data: runtime.Data(values)}
}
