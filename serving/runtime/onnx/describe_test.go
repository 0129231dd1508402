package onnx

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// described is a model with all that Annotations says.
func described(t *testing.T) (*Model, runtime.Meta) {
	t.Helper()
	m := &Model{Graph: Graph{
		Inputs:  []Value{Rows("x", Float, 2), Rows("k", Int64)},
		Outputs: []Value{Rows("price", Double, 1), Rows("place", Int32, 1)},
	}}
	one := func(t runtime.Type, data []byte, shape ...int) runtime.Tensor {
		return runtime.Tensor{Type: t, Shape: append([]int{1}, shape...), Data: data}
	}
	meta := runtime.Meta{
		Inputs:   []runtime.Spec{{Name: "x", Type: runtime.FP32, Shape: []int{2}}, {Name: "k", Type: runtime.Int64, Shape: []int{}}},
		Outputs:  []runtime.Spec{{Name: "price", Type: runtime.FP64, Shape: []int{1}}, {Name: "place", Type: runtime.Int32, Shape: []int{1}}},
		Features: []string{"area", "rooms"}, Accuracy: 0.5, Measure: "r2",
		Golden: []runtime.Golden{{
			Inputs:  []runtime.Tensor{one(runtime.FP32, runtime.Data([]float32{0.1, -3e20}), 2), one(runtime.Int64, runtime.Data([]int64{1 << 62}))},
			Outputs: []runtime.Tensor{one(runtime.FP64, runtime.Data([]float64{0.1}), 1), one(runtime.Int32, runtime.Data([]int32{-7}), 1)},
		}},
	}
	props, err := Annotations(meta)
	if err != nil {
		t.Fatal(err)
	}
	m.Props = props
	return m, meta
}

// describe is all that a file says about its model, as a runtime reads it.
func describe(m *Model) (runtime.Meta, error) {
	in, fixed, err := Specs(m.Graph.Inputs)
	out, _, outErr := Specs(m.Graph.Outputs)
	meta := runtime.Meta{Inputs: in, Outputs: out, MaxRows: fixed}
	if err := errors.Join(err, outErr); err != nil {
		return meta, err
	}
	return meta, m.Annotate(&meta)
}

// TestDescribe: all that was said is read back to the bit.
func TestDescribe(t *testing.T) {
	m, want := described(t)
	got, err := describe(m)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("described as %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := describe(&Model{Graph: m.Graph}); err != nil || got.Measure != "" || got.Golden != nil || got.Accuracy != 0 {
		t.Errorf("a model that says nothing is described as %+v, %v", got, err)
	}
}

func TestDescribeRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(m *Model)
		want  string
	}{
		{"a map", func(m *Model) { m.Graph.Outputs[0].Type = 0 }, `"price" is not a tensor`},
		{"strings", func(m *Model) { m.Graph.Inputs[0].Type = String }, `"x" has elements of type STRING`},
		{"no axis for rows", func(m *Model) { m.Graph.Inputs[0].Shape = nil }, "no axis for rows"},
		{"an empty axis", func(m *Model) { m.Graph.Inputs[0].Shape[1].Size = 0 }, "length 0"},
		{"features that are no list", func(m *Model) { m.Props[0].Value = "{" }, "trimtab.features"},
		{"an answer that is missing", func(m *Model) { m.Props[3].Value = `[{"inputs":[]}]` }, `row 0: "x" is missing`},
		{"too few values", func(m *Model) { m.Props[3].Value = strings.Replace(m.Props[3].Value, "[0.1,", "[", 1) }, "do not fill the shape"},
		{"half a whole number", func(m *Model) { m.Props[3].Value = strings.Replace(m.Props[3].Value, "-7", "-7.5", 1) }, "-7.5"},
		{"a huge shape", func(m *Model) {
			m.Props[3].Value = strings.Replace(m.Props[3].Value, `"shape":[2]`, `"shape":[99999999999]`, 1)
		}, "do not fill the shape"},
	}
	for _, tt := range tests {
		m, _ := described(t)
		tt.spoil(m)
		if _, err := describe(m); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not say %q", tt.name, err, tt.want)
		}
	}
}

// TestRowsOfTheFile: a batch axis that the file fixes is MaxRows.
func TestRowsOfTheFile(t *testing.T) {
	m, _ := described(t)
	m.Graph.Inputs[0].Shape[0] = Fixed(1)
	if got, err := describe(m); err != nil || got.MaxRows != 1 {
		t.Errorf("%d rows, %v; want 1", got.MaxRows, err)
	}
}
