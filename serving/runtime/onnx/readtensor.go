package onnx

import (
	"errors"
	"fmt"
)

// errExternal is said of tensors whose data lies in another file.
var errExternal = errors.New("its data lies in another file; save the model as one file, without external data")

// external is the data_location of data in another file.
const external = 1

func (t *Tensor) read(f field) error {
	var ints []int64 // elements that came as varints
	var where int32
	err := f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.ints(&t.Dims)
		case 2:
			return f.enum((*int32)(&t.Type))
		case 4, 9, 10: // float_data, raw_data, double_data
			return f.data(&t.Data)
		case 5, 7, 11: // int32_data, int64_data, uint64_data
			return f.ints(&ints)
		case 8:
			return f.text(&t.Name)
		case 14:
			return f.enum(&where)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case where == external:
		return fmt.Errorf("tensor %q: %w", t.Name, errExternal)
	}
	return t.settle(ints)
}

// settle brings elements that came as varints to their size, and checks that there are as many as
// the shape says. Types that the server does not carry keep no data.
func (t *Tensor) settle(ints []int64) error {
	rt, ok := t.Type.Runtime()
	if !ok {
		t.Data = nil
		return nil
	}
	if len(ints) > 0 {
		t.Data = make([]byte, 0, len(ints)*rt.Size())
	}
	for _, v := range ints {
		for i := range rt.Size() {
			t.Data = append(t.Data, byte(v>>(8*i)))
		}
	}
	return t.check()
}

func (v *Value) read(f field) error {
	return f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.text(&v.Name)
		case 2: // TypeProto
			return f.message(func(f field) error {
				if f.num == 1 { // a tensor's
					return f.message(v.readType)
				}
				return nil
			})
		}
		return nil
	})
}

func (v *Value) readType(f field) error {
	switch f.num {
	case 1:
		return f.enum((*int32)(&v.Type))
	case 2:
		v.Shaped = true
		return f.message(func(f field) error {
			if f.num == 1 {
				return read(&v.Shape, f, (*Dim).read, "axis")
			}
			return nil
		})
	}
	return nil
}

// read takes a length. None at all is a free one, as is a negative one, which some writers use.
func (d *Dim) read(f field) error {
	d.Size = -1
	err := f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.int(&d.Size)
		case 2:
			return f.text(&d.Symbol)
		}
		return nil
	})
	d.Size = max(d.Size, -1)
	return err
}
