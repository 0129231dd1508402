package protocol

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"trimtab.dev/trimtab/serving/runtime"
)

// contents are the values of an InferTensorContents on their way into a tensor. Each element takes a byte of the
// message at least, so room for as many bytes as it has is room for all.
type contents struct {
	t     runtime.Type
	data  []byte
	count int
}

// list is the field of InferTensorContents that holds values of a type, and how one is written; 0: none does.
func list(t runtime.Type) (protowire.Number, protowire.Type) {
	switch t {
	case runtime.Bool:
		return 1, protowire.VarintType
	case runtime.Int8, runtime.Int16, runtime.Int32:
		return 2, protowire.VarintType
	case runtime.Int64:
		return 3, protowire.VarintType
	case runtime.Uint8, runtime.Uint16, runtime.Uint32:
		return 4, protowire.VarintType
	case runtime.Uint64:
		return 5, protowire.VarintType
	case runtime.FP32:
		return 6, protowire.Fixed32Type
	case runtime.FP64:
		return 7, protowire.Fixed64Type
	}
	return 0, 0
}

// read reads the contents of an InferInputTensor.
func (c *contents) read(tensor []byte) error {
	num, typ := list(c.t)
	if num == 0 {
		return fmt.Errorf("%s has no contents; send it as raw_input_contents", c.t)
	}
	return fields(tensor, func(f field) error {
		if !f.is(5, protowire.BytesType) {
			return nil
		}
		return fields(f.bytes, func(f field) error {
			switch {
			case f.num != num && f.num >= 1 && f.num <= 8:
				return fmt.Errorf("contents of field %d; %s stands in field %d", f.num, c.t, num)
			case f.num != num:
				return nil
			case f.typ == protowire.BytesType:
				return c.packed(f.bytes, typ)
			case f.typ == typ:
				return c.add(f.bits)
			}
			return fmt.Errorf("contents of field %d have the wrong kind", f.num)
		})
	})
}

// packed reads many values without tags between them.
func (c *contents) packed(b []byte, typ protowire.Type) error {
	if typ != protowire.VarintType {
		return c.fixed(b, c.t.Size())
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("read the contents: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if err := c.add(v); err != nil {
			return err
		}
	}
	return nil
}

// fixed takes over float32 or float64 values, which lie in the message as they lie in a tensor.
func (c *contents) fixed(b []byte, size int) error {
	if len(b)%size != 0 {
		return fmt.Errorf("contents of %d bytes are no list of %s", len(b), c.t)
	}
	if from := c.count * size; from < len(c.data) {
		copy(c.data[from:], b)
	}
	c.count += len(b) / size
	return nil
}

// add takes over one value.
func (c *contents) add(v uint64) error {
	a := array{is: c.t, data: c.data, count: c.count}
	c.count++
	switch c.t {
	case runtime.Bool:
		set(a.data, a.count, v != 0)
		return nil
	case runtime.FP32:
		return c.fixedOne(a.count, binary.LittleEndian.AppendUint32(nil, uint32(v)))
	case runtime.FP64:
		return c.fixedOne(a.count, binary.LittleEndian.AppendUint64(nil, v))
	case runtime.Int8, runtime.Int16, runtime.Int32:
		v = uint64(int64(int32(v))) // the wire has 64 bits, of which 32 count
	case runtime.Uint8, runtime.Uint16, runtime.Uint32:
		v = uint64(uint32(v))
	}
	lowest, highest := bounds(c.t)
	if s := int64(v); c.t >= runtime.Int8 && (s > int64(highest) || s < -int64(lowest)) || c.t < runtime.Int8 && v > highest {
		return fmt.Errorf("value %d, %d, is not an integer of %s", a.count, s, c.t)
	}
	a.put(v)
	return nil
}

func (c *contents) fixedOne(n int, b []byte) error {
	if from := n * len(b); from < len(c.data) {
		copy(c.data[from:], b)
	}
	return nil
}
