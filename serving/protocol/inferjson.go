package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"trimtab.dev/trimtab/serving/runtime"
)

// decoder reads the JSON of one request in one pass. Only data that comes before its tensor's name, shape or
// datatype is gone over twice.
type decoder struct {
	scanner
	meta         runtime.Meta
	r            *InferRequest
	tail         []byte // binary data that no input has taken yet
	binaryOutput bool
	seen         int
	in           input
	numbers      array
	out          Wanted
	outName      []byte
}

// input is a tensor of the request as far as it is read.
type input struct {
	index  int          // in the model; -1: no name yet
	said   runtime.Type // its datatype; 0: none of ours, or none yet
	typed  bool
	other  string // a datatype that is none of ours
	shape  []int
	shaped bool
	dataAt int  // where its data begins; -1: it has none
	read   bool // the data is read
	size   int64
	binary bool
}

func (d *decoder) begin(body []byte, headerLength int, meta runtime.Meta, r *InferRequest) {
	d.text, d.at, d.meta, d.r, d.tail = body, 0, meta, r, nil
	d.binaryOutput, d.seen = false, 0
	if headerLength != Absent {
		d.text, d.tail = body[:headerLength], body[headerLength:]
	}
}

// forget lets go of what is not ours.
func (d *decoder) forget() {
	d.text, d.tail, d.meta, d.r, d.numbers.data = nil, nil, runtime.Meta{}, nil, nil
}

func (d *decoder) field(name []byte) (err error) {
	switch string(name) {
	case "id":
		return d.id()
	case "inputs":
		d.seen = 0
		return d.array(d.input)
	case "outputs":
		d.r.Outputs = d.r.Outputs[:0]
		return d.optional(func() error { return d.array(d.output) })
	case "parameters":
		return d.optional(func() error { return d.object(d.parameter) })
	}
	return d.skip()
}

// optional reads a value that may be null.
func (d *decoder) optional(read func() error) error {
	if d.null() {
		return nil
	}
	return read()
}

func (d *decoder) id() error {
	d.r.ID = ""
	if d.null() {
		return nil
	}
	id, err := d.str()
	d.r.ID = string(id)
	return err
}

// parameter reads one parameter of the request. Those that we do not know mean nothing to this server.
func (d *decoder) parameter(name []byte) (err error) {
	switch string(name) {
	case "binary_data_output":
		d.binaryOutput, err = d.boolean()
		return about("parameter binary_data_output", err)
	case "priority":
		return about("parameter priority", d.priority())
	case "timeout":
		n, err := d.integer()
		if err != nil {
			return about("parameter timeout", err)
		}
		d.r.Timeout, err = timeout(n)
		return err
	}
	return d.skip()
}

func (d *decoder) priority() error {
	if d.peek() == '"' {
		text, err := d.str()
		d.r.Priority = string(text)
		return err
	}
	n, err := d.integer()
	d.r.Priority = strconv.FormatInt(n, 10)
	return err
}

// about says what an error is about.
func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (d *decoder) output() error {
	d.out, d.outName = Wanted{}, d.outName[:0]
	if err := d.object(d.outputField); err != nil {
		return err
	}
	return d.r.output(d.outName, d.out, &d.meta)
}

func (d *decoder) outputField(name []byte) error {
	switch string(name) {
	case "name":
		text, err := d.str()
		d.outName = append(d.outName[:0], text...)
		return err
	case "parameters":
		return d.optional(func() error { return d.object(d.outputParameter) })
	}
	return d.skip()
}

func (d *decoder) outputParameter(name []byte) (err error) {
	switch string(name) {
	case "binary_data":
		d.out.Binary, err = d.boolean()
		d.out.said = true
		return about("parameter binary_data", err)
	case "classification":
		return errClassification
	}
	return d.skip()
}

func (d *decoder) input() error {
	if d.peek() != '{' {
		return d.want("an object")
	}
	if d.seen == 0 { // again, where a request has inputs twice: the last ones count
		for i := range d.r.Inputs {
			d.r.Inputs[i].Data = nil
		}
	}
	if d.seen++; d.seen > len(d.meta.Inputs) {
		return fmt.Errorf("request has more than %d inputs, the model's number", len(d.meta.Inputs))
	}
	d.in = input{index: -1, dataAt: -1, shape: d.in.shape[:0]}
	if err := d.object(d.inputField); err != nil {
		return err
	}
	if d.in.binary && d.in.dataAt < 0 {
		return d.binaryData()
	}
	return d.finish()
}

func (d *decoder) inputField(name []byte) error {
	switch string(name) {
	case "name":
		return d.inputName()
	case "datatype":
		return d.datatype()
	case "shape":
		d.in.shape, d.in.shaped, d.in.read = d.in.shape[:0], true, false
		return about("shape", d.scanner.array(d.dim))
	case "parameters":
		return d.optional(func() error { return d.object(d.inputParameter) })
	case "data":
		d.peek()
		d.in.dataAt, d.in.read = d.at, false
		if d.in.index < 0 || !d.in.typed || !d.in.shaped {
			return d.skip() // until these are known
		}
		return d.data()
	}
	return d.skip()
}

func (d *decoder) inputName() error {
	name, err := d.str()
	if err != nil {
		return about("the name of an input", err)
	}
	d.in.read = false
	if d.in.index = specNamed(d.meta.Inputs, name); d.in.index < 0 {
		return fmt.Errorf("input %.50q is not one of the model's; it takes %s", name, names(d.meta.Inputs))
	}
	return nil
}

// names lists specs for people.
func names(specs []runtime.Spec) string {
	text := ""
	for i, s := range specs {
		if i > 0 {
			text += ", "
		}
		text += strconv.Quote(s.Name)
	}
	return text
}

func (d *decoder) datatype() error {
	name, err := d.str()
	d.in.datatype(name)
	return about("datatype", err)
}

func (d *decoder) dim() error {
	d.peek()
	size, neg, end := integerAt(d.text, d.at)
	if end < 0 || size > most {
		return d.want("a whole number of elements")
	}
	if d.at = end; neg {
		size = -size
	}
	d.in.shape = append(d.in.shape, int(size))
	return nil
}

func (d *decoder) inputParameter(name []byte) (err error) {
	if string(name) != "binary_data_size" {
		return d.skip()
	}
	d.in.binary = true
	d.in.size, err = d.integer()
	return about("parameter binary_data_size", err)
}

// data reads the numbers of the input, whose name, datatype and shape are known.
func (d *decoder) data() error {
	in := &d.in
	spec := &d.meta.Inputs[in.index]
	if err := in.fits(spec, converts); err != nil {
		return err
	}
	n, room := product(in.shape), (len(d.text)-d.at)/2 // a number takes two bytes of JSON at least
	d.numbers.begin(in.said, spec.Type, d.r.data(in.index, min(n, room)*spec.Type.Size()))
	if err := d.tensor(&d.numbers, 0); err != nil {
		return fmt.Errorf("input %q: %w", spec.Name, err)
	}
	if d.numbers.count != n {
		return fmt.Errorf("input %q has shape %v and %d values", spec.Name, in.shape, d.numbers.count)
	}
	if nested := d.numbers.nested(); len(nested) != 1 && !slices.Equal(nested, in.shape) {
		return fmt.Errorf("input %q has shape %v and data nested as %v", spec.Name, in.shape, nested)
	}
	in.read = true
	return nil
}

// finish takes the input over into the request.
func (d *decoder) finish() error {
	in := &d.in
	if in.index < 0 {
		return errors.New("an input has no name")
	}
	name := d.meta.Inputs[in.index].Name
	if in.dataAt < 0 {
		return fmt.Errorf("input %q has no data", name)
	}
	if in.binary {
		return fmt.Errorf("input %q has data and binary_data_size", name)
	}
	if after := d.at; !in.read {
		d.at = in.dataAt
		if err := d.data(); err != nil {
			return err
		}
		d.at = after
	}
	return d.take(d.numbers.data)
}

// take makes data the input's.
func (d *decoder) take(data []byte) error {
	t := &d.r.Inputs[d.in.index]
	if t.Data != nil {
		return fmt.Errorf("input %q is there twice", d.meta.Inputs[d.in.index].Name)
	}
	t.Data, t.Shape = data, append(t.Shape[:0], d.in.shape...)
	return nil
}

// binaryData takes the input's bytes from behind the JSON.
func (d *decoder) binaryData() error {
	in := &d.in
	if in.index < 0 {
		return errors.New("an input has no name")
	}
	spec := &d.meta.Inputs[in.index]
	if err := in.fits(spec, same); err != nil {
		return err
	}
	if in.size < 0 || in.size > int64(len(d.tail)) {
		return fmt.Errorf("input %q has binary_data_size %d; %d bytes are left behind the JSON", spec.Name, in.size, len(d.tail))
	}
	raw := d.tail[:in.size]
	d.tail = d.tail[in.size:]
	if n := product(in.shape) * spec.Type.Size(); n != len(raw) {
		return fmt.Errorf("input %q has shape %v and %d bytes of %s", spec.Name, in.shape, len(raw), spec.Type)
	}
	return d.take(append(d.r.data(in.index, len(raw))[:0], raw...))
}
