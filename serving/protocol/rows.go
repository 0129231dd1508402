package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
)

// rowDecoder reads requests that are rows: of V1 and of /predict.
type rowDecoder struct {
	scanner
	meta     runtime.Meta
	r        *InferRequest
	features []string // the names of a row's values, of a model with one input
	routing  []string // names that a flat object may have besides
	numbers  array
	got      []bool // of a row's features or inputs
	faults   []string
	several  bool
	found    bool  // instances or inputs
	unnamed  error // why a flat object cannot be read
}

func (d *rowDecoder) begin(body []byte, meta runtime.Meta, features, routing []string, r *InferRequest) {
	r.begin(meta)
	d.text, d.at, d.meta, d.r, d.features, d.routing = body, 0, meta, r, features, routing
	d.faults, d.several, d.found = d.faults[:0], false, false
}

func (d *rowDecoder) forget() {
	d.text, d.meta, d.r, d.features, d.routing, d.numbers.data = nil, runtime.Meta{}, nil, nil, nil, nil
}

// arrays reads an array of rows for input i. Each row is nested as the input's shape, or flat, or, where
// scalars may be, the only value itself.
func (d *rowDecoder) arrays(i int, what string, scalars bool) error {
	spec, in := &d.meta.Inputs[i], &d.r.Inputs[i]
	d.numbers.begin(spec.Type, spec.Type, d.r.data(i, (len(d.text)-d.at)/2*spec.Type.Size()))
	if err := d.tensor(&d.numbers, 0); err != nil {
		return err
	}
	dims := d.numbers.nested()
	row, ok := rowShape(dims, spec, scalars)
	if !ok || dims[0] < 1 {
		return fmt.Errorf("%s are %v; the model takes [rows]+%v", what, dims, spec.Shape)
	}
	in.Shape = append(append(in.Shape[:0], dims[0]), row...)
	in.Data = d.numbers.data[:d.numbers.count*spec.Type.Size()]
	return nil
}

// rowShape is the shape of each row of an array nested as dims.
func rowShape(dims []int, spec *runtime.Spec, scalars bool) ([]int, bool) {
	if fitsShape(dims, spec.Shape) {
		return dims[1:], true
	}
	width, fixed := spec.Width()
	flat := len(dims) == 2 && dims[1] == width || scalars && len(dims) == 1 && width == 1
	return spec.Shape, fixed && flat
}

// objects reads an array of rows that are objects, of features or of inputs.
func (d *rowDecoder) objects() error {
	row := 0
	err := d.scanner.array(func() error {
		if err := d.rowObject(row, d.skipUnknown); err != nil {
			return err
		}
		row++
		return d.rowFaults(row - 1)
	})
	for i := range d.r.Inputs {
		in := &d.r.Inputs[i]
		in.Shape = append(append(in.Shape[:0], row), d.meta.Inputs[i].Shape...)
	}
	return err
}

// skipUnknown is what a name that belongs to nothing is in V1: a fault.
func (d *rowDecoder) skipUnknown(name []byte) error {
	d.faults = append(d.faults, fmt.Sprintf("%.50q is neither a feature nor an input", name))
	return d.skip()
}

// rowFaults are all the faults of a row together.
func (d *rowDecoder) rowFaults(row int) error {
	for i, got := range d.got {
		if !got {
			d.faults = append(d.faults, d.part(i)+" is missing")
		}
	}
	if len(d.faults) == 0 {
		return nil
	}
	slices.Sort(d.faults)
	return fmt.Errorf("instance %d: %s", row, strings.Join(d.faults, "; "))
}

// named says whether rows are objects of features; otherwise they are objects of inputs.
func (d *rowDecoder) named() bool { return len(d.features) > 0 && len(d.meta.Inputs) == 1 }

// part is the name of part i of a row.
func (d *rowDecoder) part(i int) string {
	if d.named() {
		return d.features[i]
	}
	return d.meta.Inputs[i].Name
}

// rowObject reads an object that is row number row; other reads what is no part of a row.
func (d *rowDecoder) rowObject(row int, other func(name []byte) error) error {
	if err := d.widths(row); err != nil {
		return err
	}
	return d.object(func(name []byte) error {
		i := indexOf(d.features, name)
		if !d.named() {
			i = specNamed(d.meta.Inputs, name)
		} else if i < 0 && string(name) == d.meta.Inputs[0].Name {
			return d.whole(row)
		}
		if i < 0 {
			return other(name)
		}
		d.got[i] = true
		if d.named() {
			return d.feature(i, row)
		}
		return d.value(i, row)
	})
}

// widths makes room for a row, whose width has to be known.
func (d *rowDecoder) widths(row int) error {
	n := len(d.meta.Inputs)
	for i := range d.meta.Inputs {
		spec := &d.meta.Inputs[i]
		width, fixed := spec.Width()
		if !fixed {
			return fmt.Errorf("input %q has a length that may be any: send arrays, not objects", spec.Name)
		}
		if d.named() && width != len(d.features) {
			return fmt.Errorf("the model takes %d values in a row; %d features have names", width, len(d.features))
		}
		d.r.grow(i, (row+1)*width*spec.Type.Size())
	}
	if d.named() {
		n = len(d.features)
	}
	d.got = slices.Grow(d.got[:0], n)[:n]
	clear(d.got)
	return nil
}

// grow makes the data of input i n bytes long and keeps what is in it.
func (r *InferRequest) grow(i, n int) {
	in := &r.Inputs[i]
	if cap(r.space[i]) < n {
		r.space[i] = runtime.Alloc(max(n, 2*cap(r.space[i])))
	}
	was := in.Data
	in.Data = r.space[i][:n]
	copy(in.Data, was)
}

// whole reads a row that is given under the name of the input.
func (d *rowDecoder) whole(row int) error {
	for i := range d.got {
		d.got[i] = true
	}
	return d.value(0, row)
}

// feature reads one number of a row.
func (d *rowDecoder) feature(i, row int) error {
	if d.one(d.meta.Inputs[0].Type, d.r.Inputs[0].Data, row*len(d.features)+i) {
		return nil
	}
	d.faults = append(d.faults, d.features[i]+" is not a number")
	return d.skip()
}

// value reads one row of input i.
func (d *rowDecoder) value(i, row int) error {
	spec, data := &d.meta.Inputs[i], d.r.Inputs[i].Data
	width, _ := spec.Width()
	if width == 1 && d.peek() != '[' {
		if d.one(spec.Type, data, row) {
			return nil
		}
		return about(fmt.Sprintf("instance %d: %q", row, spec.Name), d.notElement("a number of "+spec.Type.String()))
	}
	d.numbers.begin(spec.Type, spec.Type, data[row*width*spec.Type.Size():])
	if err := d.tensor(&d.numbers, 0); err != nil {
		return fmt.Errorf("instance %d: %q: %w", row, spec.Name, err)
	}
	dims := d.numbers.nested()
	if !slices.Equal(dims, spec.Shape) && !slices.Equal(dims, []int{width}) {
		return fmt.Errorf("instance %d: %q is %v; the model takes %v", row, spec.Name, dims, spec.Shape)
	}
	return nil
}

// end finishes the request.
func (d *rowDecoder) end() error {
	if err := d.ended(); err != nil {
		return err
	}
	d.r.settle(d.meta, false)
	var missing []error
	for i := range d.r.Inputs {
		if d.r.Inputs[i].Data == nil {
			missing = append(missing, fmt.Errorf("input %q is missing", d.meta.Inputs[i].Name))
		}
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	rows, err := d.meta.Check(d.r.Inputs)
	d.r.Rows = rows
	return err
}

func indexOf(list []string, name []byte) int {
	for i := range list {
		if list[i] == string(name) {
			return i
		}
	}
	return -1
}
