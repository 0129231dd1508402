package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"trimtab.dev/trimtab/serving/runtime"
)

// The keys under which a model's metadata_props say what the graph does not. All are optional, and
// every runtime here reads them.
const (
	KeyFeatures = "trimtab.features" // JSON list of names
	KeyAccuracy = "trimtab.accuracy" // a number
	KeyMeasure  = "trimtab.measure"  // what the number is: "r2" or "share-right"
	KeyGolden   = "trimtab.golden"   // JSON list of rows with their answers, see Annotations
)

// Specs turns values into the server's terms, in which a shape is that of one row. fixed is the
// length of the batch axis where the file fixes it, 0 where any number of rows goes.
func Specs(values []Value) (specs []runtime.Spec, fixed int, err error) {
	var faults []error
	for _, v := range values {
		s, batch, err := v.spec()
		faults = append(faults, err)
		specs = append(specs, s)
		fixed = max(fixed, batch)
	}
	return specs, fixed, errors.Join(faults...)
}

func (v Value) spec() (runtime.Spec, int, error) {
	t, ok := v.Type.Runtime()
	switch {
	case v.Type == 0:
		return runtime.Spec{}, 0, fmt.Errorf("%q is not a tensor; export the model without maps and sequences (for scikit-learn: zipmap off)", v.Name)
	case !ok:
		return runtime.Spec{}, 0, fmt.Errorf("%q has elements of type %s, which no request can carry", v.Name, v.Type)
	case !v.Shaped:
		return runtime.Spec{Name: v.Name, Type: t}, 0, nil
	case len(v.Shape) == 0:
		return runtime.Spec{}, 0, fmt.Errorf("%q is a single value: it has no axis for rows", v.Name)
	}
	s := runtime.Spec{Name: v.Name, Type: t, Shape: []int{}}
	for _, d := range v.Shape[1:] {
		if d.Size == 0 || d.Size > 1<<40 {
			return s, 0, fmt.Errorf("%q has an axis of length %d", v.Name, d.Size)
		}
		s.Shape = append(s.Shape, int(d.Size))
	}
	if b := v.Shape[0].Size; b > 1<<20 || b == 0 {
		return s, 0, fmt.Errorf("%q has %d rows", v.Name, b)
	}
	return s, int(max(v.Shape[0].Size, 0)), nil
}

// goldenRow is a row of KeyGolden.
type goldenRow struct {
	Inputs  []goldenTensor `json:"inputs"`
	Outputs []goldenTensor `json:"outputs"`
}

// goldenTensor is one row of one input or output.
type goldenTensor struct {
	Name   string        `json:"name"`
	Shape  []int         `json:"shape"` // without the batch axis
	Values []json.Number `json:"values"`
}

// Annotate fills Features, Accuracy, Measure and Golden from the metadata; what is not there stays as
// it is. Inputs and Outputs of meta have to be known.
func (m *Model) Annotate(meta *runtime.Meta) error {
	meta.Measure, _ = m.Prop(KeyMeasure)
	var rows []goldenRow
	err := errors.Join(m.json(KeyFeatures, &meta.Features), m.json(KeyAccuracy, &meta.Accuracy), m.json(KeyGolden, &rows))
	for i, r := range rows {
		in, inErr := tensors(r.Inputs, meta.Inputs)
		out, outErr := tensors(r.Outputs, meta.Outputs)
		if rowErr := errors.Join(inErr, outErr); rowErr != nil {
			err = errors.Join(err, fmt.Errorf("read metadata %s: row %d: %w", KeyGolden, i, rowErr))
		}
		meta.Golden = append(meta.Golden, runtime.Golden{Inputs: in, Outputs: out})
	}
	return err
}

func (m *Model) json(key string, to any) error {
	text, ok := m.Prop(key)
	if !ok {
		return nil
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return fmt.Errorf("read metadata %s: %w", key, err)
	}
	return nil
}

// tensors brings a golden row into the order of the specs.
func tensors(from []goldenTensor, specs []runtime.Spec) ([]runtime.Tensor, error) {
	var out []runtime.Tensor
	for _, s := range specs {
		i := slices.IndexFunc(from, func(g goldenTensor) bool { return g.Name == s.Name })
		if i < 0 {
			return nil, fmt.Errorf("%q is missing", s.Name)
		}
		t, err := from[i].tensor(s.Type)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s.Name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func (g goldenTensor) tensor(t runtime.Type) (runtime.Tensor, error) {
	out := runtime.Tensor{Type: t, Shape: append([]int{1}, g.Shape...)}
	if n, ok := out.Bytes(); !ok || n != len(g.Values)*t.Size() {
		return out, fmt.Errorf("%d values do not fill the shape %v", len(g.Values), g.Shape)
	}
	out.Data = runtime.Alloc(len(g.Values) * t.Size())
	var faults []error
	for i, v := range g.Values {
		faults = append(faults, put(out, i, v.String()))
	}
	return out, errors.Join(faults...)
}

// put sets one value of a tensor from its text.
func put(t runtime.Tensor, i int, text string) (err error) {
	var f float64
	var n int64
	switch t.Type {
	case runtime.FP32:
		f, err = strconv.ParseFloat(text, 32)
		runtime.Values[float32](t.Data)[i] = float32(f)
	case runtime.FP64:
		f, err = strconv.ParseFloat(text, 64)
		runtime.Values[float64](t.Data)[i] = f
	case runtime.Int64:
		n, err = strconv.ParseInt(text, 10, 64)
		runtime.Values[int64](t.Data)[i] = n
	case runtime.Int32:
		n, err = strconv.ParseInt(text, 10, 32)
		runtime.Values[int32](t.Data)[i] = int32(n)
	default:
		err = fmt.Errorf("golden rows of %s are not read", t.Type)
	}
	return err
}

// Annotations is what Annotate reads back: the metadata that says meta's Features, Accuracy, Measure
// and Golden. KeyGolden is a list of {"inputs": [...], "outputs": [...]} of
// {"name": "price", "shape": [1], "values": [250000]}, one row each.
func Annotations(meta runtime.Meta) ([]Prop, error) {
	var out []Prop
	var faults []error
	add := func(key string, value any) {
		text, err := json.Marshal(value)
		faults = append(faults, err)
		out = append(out, Prop{key, string(text)})
	}
	if len(meta.Features) > 0 {
		add(KeyFeatures, meta.Features)
	}
	if meta.Measure != "" {
		add(KeyAccuracy, meta.Accuracy)
		out = append(out, Prop{KeyMeasure, meta.Measure})
	}
	if len(meta.Golden) > 0 {
		var rows []goldenRow
		for _, g := range meta.Golden {
			rows = append(rows, goldenRow{golden(g.Inputs, meta.Inputs), golden(g.Outputs, meta.Outputs)})
		}
		add(KeyGolden, rows)
	}
	return out, errors.Join(faults...)
}

func golden(from []runtime.Tensor, specs []runtime.Spec) []goldenTensor {
	var out []goldenTensor
	for i, t := range from {
		out = append(out, goldenTensor{Name: specs[i].Name, Shape: t.Shape[1:], Values: numbers(t)})
	}
	return out
}

// numbers is a tensor's values as text. Types that put does not read have none.
func numbers(t runtime.Tensor) (out []json.Number) {
	switch t.Type {
	case runtime.FP32:
		return texts(runtime.Values[float32](t.Data), func(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) })
	case runtime.FP64:
		return texts(runtime.Values[float64](t.Data), func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	case runtime.Int64:
		return texts(runtime.Values[int64](t.Data), func(v int64) string { return strconv.FormatInt(v, 10) })
	case runtime.Int32:
		return texts(runtime.Values[int32](t.Data), func(v int32) string { return strconv.FormatInt(int64(v), 10) })
	}
	return nil
}

func texts[T any](values []T, one func(T) string) []json.Number {
	out := make([]json.Number, len(values))
	for i, v := range values {
		out[i] = json.Number(one(v))
	}
	return out
}
