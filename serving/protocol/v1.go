package protocol

import (
	"errors"
	"fmt"

	"trimtab.dev/trimtab/serving/runtime"
)

// DecodeV1 reads the body of POST /v1/models/{name}:predict into r: {"instances": [...]}, each an array, an
// object of features or an object of inputs, or {"inputs": ...}, an array of rows or an object that has the
// array of each input. The features are the names of a row's values, of a model with one input; there may be
// none. Nothing in r refers to body afterwards.
func DecodeV1(body []byte, meta runtime.Meta, features []string, r *InferRequest) error {
	d := &r.rows
	d.begin(body, meta, features, nil, r)
	defer d.forget()
	if err := d.object(d.v1Field); err != nil {
		return err
	}
	if !d.found {
		return errors.New(`the body has neither "instances" nor "inputs"`)
	}
	return d.end()
}

func (d *rowDecoder) v1Field(name []byte) error {
	rows := string(name) == "instances"
	if !rows && string(name) != "inputs" {
		return d.skip()
	}
	if d.found {
		return errors.New(`the body has "instances" or "inputs" twice`)
	}
	d.found = true
	if rows {
		return about("read instances", d.instances())
	}
	if d.peek() == '{' {
		return about("read inputs", d.object(d.column))
	}
	return about("read inputs", d.instances())
}

// instances reads an array of rows of any kind.
func (d *rowDecoder) instances() error {
	from := d.at
	if d.peek() == '[' {
		d.at++
		objects := d.peek() == '{'
		d.at = from
		if objects {
			return d.objects()
		}
	}
	if len(d.meta.Inputs) != 1 {
		return fmt.Errorf("the model has several inputs; rows are objects of %s", names(d.meta.Inputs))
	}
	return d.arrays(0, "instances", true)
}

// column reads all rows of one input.
func (d *rowDecoder) column(name []byte) error {
	i := specNamed(d.meta.Inputs, name)
	if i < 0 {
		return fmt.Errorf("input %.50q is not one of the model's; it takes %s", name, names(d.meta.Inputs))
	}
	if d.r.Inputs[i].Data != nil {
		return fmt.Errorf("input %q is there twice", name)
	}
	return about(fmt.Sprintf("input %q", d.meta.Inputs[i].Name), d.arrays(i, "rows", true))
}

// AppendV1 appends {"predictions": [...]}: for each row the output's value or array, or, of a model with
// several outputs, an object of them.
func AppendV1(dst []byte, a Answer) []byte {
	dst = append(dst, `{"predictions":[`...)
	for row := range a.Outputs[0].Rows() {
		if row > 0 {
			dst = append(dst, ',')
		}
		dst = a.appendV1Row(dst, row)
	}
	return append(dst, `]}`...)
}

func (a *Answer) appendV1Row(dst []byte, row int) []byte {
	if len(a.Outputs) == 1 {
		return appendRow(dst, a.Outputs[0], row)
	}
	dst = append(dst, '{')
	for i, t := range a.Outputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, a.Specs[i].Name)
		dst = appendRow(append(dst, ':'), t, row)
	}
	return append(dst, '}')
}

// appendRow appends one row of t, nested as its shape; a row of one value is that value.
func appendRow(dst []byte, t runtime.Tensor, row int) []byte {
	size := len(t.Data) / t.Rows()
	data := t.Data[row*size : (row+1)*size]
	if size == t.Type.Size() {
		return appendElements(dst, t.Type, data)
	}
	return appendNested(dst, t.Type, t.Shape[1:], data)
}

func appendNested(dst []byte, t runtime.Type, shape []int, data []byte) []byte {
	if len(shape) <= 1 {
		return appendValues(dst, t, data)
	}
	dst = append(dst, '[')
	size := len(data) / max(1, shape[0])
	for i := range shape[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNested(dst, t, shape[1:], data[i*size:(i+1)*size])
	}
	return append(dst, ']')
}
