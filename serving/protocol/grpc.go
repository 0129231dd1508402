package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"trimtab.dev/trimtab/serving/runtime"
)

// GRPCHead is what a ModelInferRequest says before it is known which model it is for.
type GRPCHead struct {
	Model, Version, ID string
	Priority           string        // see InferRequest
	Timeout            time.Duration // see InferRequest
}

// PeekGRPCInfer reads a ModelInferRequest's head. DecodeGRPCInfer reads the rest, with the model's Meta.
func PeekGRPCInfer(msg []byte) (h GRPCHead, err error) {
	err = fields(msg, func(f field) (err error) {
		switch {
		case f.is(1, protowire.BytesType):
			h.Model, err = f.text()
		case f.is(2, protowire.BytesType):
			h.Version, err = f.text()
		case f.is(3, protowire.BytesType):
			h.ID, err = f.text()
		case f.is(4, protowire.BytesType):
			err = h.parameter(f.bytes)
		}
		return err
	})
	return h, err
}

func (h *GRPCHead) parameter(entry []byte) error {
	name, value, err := parameter(entry)
	if err != nil {
		return err
	}
	switch name {
	case "priority":
		h.Priority = value.str
		if !value.isText {
			h.Priority = strconv.FormatInt(value.num, 10)
		}
	case "timeout":
		if value.isText {
			if value.num, err = strconv.ParseInt(value.str, 10, 64); err != nil {
				return fmt.Errorf("parameter timeout is %.40q, not microseconds", value.str)
			}
		}
		h.Timeout, err = timeout(value.num)
	}
	return err
}

// choice is an InferParameter: a number (a bool and a double are ones too) or a string.
type choice struct {
	str    string
	num    int64
	isText bool
}

// parameter reads an entry of a map of InferParameters.
func parameter(entry []byte) (name string, value choice, err error) {
	err = fields(entry, func(f field) (err error) {
		switch {
		case f.is(1, protowire.BytesType):
			name, err = f.text()
		case f.is(2, protowire.BytesType):
			err = fields(f.bytes, func(f field) (err error) {
				switch {
				case f.typ == protowire.VarintType: // bool 1, int64 2, uint64 5
					value = choice{num: int64(f.bits)}
				case f.is(3, protowire.BytesType):
					value.isText = true
					value.str, err = f.text()
				}
				return err
			})
		}
		return err
	})
	return name, value, err
}

// grpcDecoder reads a ModelInferRequest.
type grpcDecoder struct {
	input
	raw      [][]byte // raw_input_contents
	contents [][]byte // of each input; nil: none
	order    []int    // the model's index of each input
}

// DecodeGRPCInfer reads a ModelInferRequest for a model of that Meta into r. Nothing in r refers to msg
// afterwards.
func DecodeGRPCInfer(msg []byte, meta runtime.Meta, r *InferRequest) error {
	h, err := PeekGRPCInfer(msg)
	if err != nil {
		return err
	}
	r.begin(meta)
	r.ID, r.Priority, r.Timeout = h.ID, h.Priority, h.Timeout
	d := &r.grpc
	d.raw, d.contents, d.order = d.raw[:0], d.contents[:0], d.order[:0]
	defer d.forget()
	if err := d.read(msg, &meta, r); err != nil {
		return err
	}
	if err := d.fill(&meta, r); err != nil {
		return err
	}
	r.settle(meta, true)
	return r.check(&meta, len(d.order), true)
}

// forget lets go of the message.
func (d *grpcDecoder) forget() {
	clear(d.raw[:cap(d.raw)])
	clear(d.contents[:cap(d.contents)])
}

// read goes over the message once: what there is of each input, but not yet its data.
func (d *grpcDecoder) read(msg []byte, meta *runtime.Meta, r *InferRequest) error {
	return fields(msg, func(f field) error {
		switch {
		case f.is(5, protowire.BytesType):
			return d.addInput(f.bytes, meta, r)
		case f.is(6, protowire.BytesType):
			return addOutput(f.bytes, meta, r)
		case f.is(7, protowire.BytesType):
			if d.raw = append(d.raw, f.bytes); len(d.raw) > len(meta.Inputs) {
				return fmt.Errorf("raw_input_contents has more than %d tensors, the model's number", len(meta.Inputs))
			}
		}
		return nil
	})
}

// addInput reads an InferInputTensor without its contents, and checks it against the model.
func (d *grpcDecoder) addInput(msg []byte, meta *runtime.Meta, r *InferRequest) error {
	if len(d.order) == len(meta.Inputs) {
		return fmt.Errorf("request has more than %d inputs, the model's number", len(meta.Inputs))
	}
	d.input = input{index: -1, shape: d.shape[:0]}
	contents := []byte(nil)
	err := fields(msg, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			if d.index = specNamed(meta.Inputs, f.bytes); d.index < 0 {
				return fmt.Errorf("input %.50q is not one of the model's; it takes %s", f.bytes, names(meta.Inputs))
			}
		case f.is(2, protowire.BytesType):
			d.datatype(f.bytes)
		case f.num == 3:
			return d.addDims(f)
		case f.is(5, protowire.BytesType):
			contents = msg // it may be in several parts
		}
		return nil
	})
	if err != nil {
		return err
	}
	if d.index < 0 {
		return errors.New("an input has no name")
	}
	if err := d.fits(&meta.Inputs[d.index], same); err != nil {
		return err
	}
	t := &r.Inputs[d.index]
	if len(t.Shape) > 0 {
		return fmt.Errorf("input %q is there twice", meta.Inputs[d.index].Name)
	}
	t.Shape = append(t.Shape, d.shape...)
	d.order, d.contents = append(d.order, d.index), append(d.contents, contents)
	return nil
}

// addDims reads a part of a shape: packed, or one length.
func (in *input) addDims(f field) error {
	if f.typ == protowire.VarintType {
		in.shape = append(in.shape, int(f.bits))
		return nil
	}
	for b := f.bytes; f.typ == protowire.BytesType && len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return fmt.Errorf("read the shape: %w", protowire.ParseError(n))
		}
		in.shape, b = append(in.shape, int(v)), b[n:]
	}
	return nil
}

// addOutput reads an InferRequestedOutputTensor. The answer is raw whatever its binary_data says.
func addOutput(msg []byte, meta *runtime.Meta, r *InferRequest) error {
	var output []byte
	err := fields(msg, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			output = f.bytes
		case f.is(2, protowire.BytesType):
			name, _, err := parameter(f.bytes)
			if name == "classification" {
				return errClassification
			}
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.output(output, Wanted{}, meta)
}

// fill reads the data of the inputs: all raw, or all typed.
func (d *grpcDecoder) fill(meta *runtime.Meta, r *InferRequest) error {
	if len(d.raw) > 0 && len(d.raw) != len(d.order) {
		return fmt.Errorf("request has %d inputs and raw_input_contents of %d", len(d.order), len(d.raw))
	}
	for k, i := range d.order {
		t, spec := &r.Inputs[i], &meta.Inputs[i]
		n := product(t.Shape)
		switch {
		case len(d.raw) > 0 && d.contents[k] != nil:
			return fmt.Errorf("input %q has contents; they cannot be mixed with raw_input_contents", spec.Name)
		case len(d.raw) > 0 && len(d.raw[k]) != n*spec.Type.Size():
			return fmt.Errorf("input %q has shape %v and %d bytes of %s", spec.Name, t.Shape, len(d.raw[k]), spec.Type)
		case len(d.raw) > 0:
			t.Data = append(r.data(i, len(d.raw[k]))[:0], d.raw[k]...)
			continue
		case d.contents[k] == nil:
			return fmt.Errorf("input %q has no data", spec.Name)
		}
		c := contents{t: spec.Type, data: r.data(i, min(n, len(d.contents[k]))*spec.Type.Size())}
		if err := c.read(d.contents[k]); err != nil {
			return fmt.Errorf("input %q: %w", spec.Name, err)
		}
		if c.count != n {
			return fmt.Errorf("input %q has shape %v and %d values", spec.Name, t.Shape, c.count)
		}
		t.Data = c.data
	}
	return nil
}
