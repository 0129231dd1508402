package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message as it lies on the wire: u for numbers, b for what has a length. b
// lies in the bytes that are read.
type field struct {
	num protowire.Number
	typ protowire.Type
	u   uint64
	b   []byte
}

// each calls do for every field of the message b, in their order.
func each(b []byte, do func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("not a message of ONNX: %w", protowire.ParseError(n))
		}
		f := field{num: num, typ: typ}
		b = b[n:]
		if n = f.consume(b); n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// consume reads the field's value from the front of b and returns its length, negative for an error.
func (f *field) consume(b []byte) (n int) {
	switch f.typ {
	case protowire.VarintType:
		f.u, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.u = uint64(v)
	case protowire.Fixed64Type:
		f.u, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.b, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(f.num, f.typ, b)
	}
	return n
}

var errWire = errors.New("a value of another type than the format says")

func (f field) want(t protowire.Type) error {
	if f.typ != t {
		return fmt.Errorf("field %d: %w", f.num, errWire)
	}
	return nil
}

func (f field) text(to *string) error {
	*to = string(f.b)
	return f.want(protowire.BytesType)
}

// texts appends a string. Lists of thousands hold few different ones, mostly one after the other: those
// share their memory.
func (f field) texts(to *[]string) error {
	if n := len(*to); n > 0 && (*to)[n-1] == string(f.b) {
		*to = append(*to, (*to)[n-1])
	} else {
		*to = append(*to, string(f.b))
	}
	return f.want(protowire.BytesType)
}

func (f field) int(to *int64) error {
	*to = int64(f.u)
	return f.want(protowire.VarintType)
}

func (f field) enum(to *int32) error {
	*to = int32(f.u)
	return f.want(protowire.VarintType)
}

func (f field) float(to *float32) error {
	*to = math.Float32frombits(uint32(f.u))
	return f.want(protowire.Fixed32Type)
}

// ints reads one number or a packed list of them: both are allowed wherever numbers repeat.
func (f field) ints(to *[]int64) error {
	if f.typ != protowire.BytesType {
		*to = append(*to, int64(f.u))
		return f.want(protowire.VarintType)
	}
	out := append(make([]int64, 0, len(*to)+varints(f.b)), *to...)
	for b := f.b; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("field %d: %w", f.num, protowire.ParseError(n))
		}
		out, b = append(out, int64(v)), b[n:]
	}
	*to = out
	return nil
}

// varints counts the numbers in a packed list: each ends with a byte below 128.
func varints(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 128 {
			n++
		}
	}
	return n
}

func (f field) floats(to *[]float32) error {
	if f.typ != protowire.BytesType {
		*to = append(*to, math.Float32frombits(uint32(f.u)))
		return f.want(protowire.Fixed32Type)
	}
	if len(f.b)%4 != 0 {
		return fmt.Errorf("field %d: %d bytes are no list of floats", f.num, len(f.b))
	}
	out := append(make([]float32, 0, len(*to)+len(f.b)/4), *to...)
	for b := f.b; len(b) > 0; b = b[4:] {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	*to = out
	return nil
}

// data reads elements that lie on the wire as they do in Tensor.Data, without a copy where they come
// in one piece.
func (f field) data(to *[]byte) error {
	switch f.typ {
	case protowire.Fixed32Type:
		*to = binary.LittleEndian.AppendUint32(*to, uint32(f.u))
	case protowire.Fixed64Type:
		*to = binary.LittleEndian.AppendUint64(*to, f.u)
	case protowire.BytesType:
		if len(*to) == 0 {
			*to = f.b[:len(f.b):len(f.b)]
			return nil
		}
		*to = append(*to, f.b...)
	default:
		return fmt.Errorf("field %d: %w", f.num, errWire)
	}
	return nil
}

func (f field) message(do func(field) error) error {
	if err := f.want(protowire.BytesType); err != nil {
		return err
	}
	return each(f.b, do)
}
