// Package examples makes models as ONNX files: three that are trained here, in tenths of a second, and
// some of random weights for measurements. The same name always gives the same bytes. It reads no file,
// no clock and no network; the models are computed by the builtin runtime.
package examples

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// example is a model that this package can make, and what its input looks like.
type example struct {
	name   string
	input  runtime.Spec
	export func() (*onnx.Model, error)
	sample func(r *rand.Rand, row []float32)
}

func trained() []example {
	return []example{
		{"image", imageInput(), trainImage, func(r *rand.Rand, row []float32) { sampleImage(r, row) }},
		{"recommendation", recommendationInput(), trainRecommendation, func(r *rand.Rand, row []float32) { sampleVisit(r, row) }},
		{"valuation", valuationInput(), trainValuation, func(r *rand.Rand, row []float32) { sampleProperty(r, row) }},
	}
}

func names(of []example) []string {
	var out []string
	for _, e := range of {
		out = append(out, e.name)
	}
	return out
}

// Names lists the trained models, sorted.
func Names() []string { return names(trained()) }

// Benchmarks lists the models of random weights, sorted.
func Benchmarks() []string { return names(random()) }

// Export makes the named model as an ONNX file. The trained ones say their accuracy, and carry rows with
// the answers that they must give.
func Export(name string) ([]byte, error) {
	e, err := find(name)
	if err != nil {
		return nil, err
	}
	m, err := e.export()
	if err != nil {
		return nil, fmt.Errorf("make model %s: %w", name, err)
	}
	m.Producer, m.Graph.Name = "trimtab", name
	return onnx.Write(m)
}

// Sample returns rows rows of plausible input of the named model, one after the other, and which input
// that is, without making the model; the same seed gives the same rows.
func Sample(name string, seed uint64, rows int) (runtime.Spec, []float32, error) {
	e, err := find(name)
	if err != nil {
		return runtime.Spec{}, nil, err
	}
	return e.input, e.rows(rand.New(rand.NewPCG(seed, seedSample)), rows), nil
}

func (e example) rows(r *rand.Rand, rows int) []float32 {
	width, _ := e.input.Width()
	in := make([]float32, rows*width)
	for i := range rows {
		e.sample(r, in[i*width:(i+1)*width])
	}
	return in
}

func find(name string) (example, error) {
	all := append(trained(), random()...)
	i := slices.IndexFunc(all, func(e example) bool { return e.name == name })
	if i < 0 {
		return example{}, fmt.Errorf("no example model %q; there are %s", name, strings.Join(names(all), ", "))
	}
	return all[i], nil
}

// The second half of each seed, so that rows to train, to measure and to load with are never the same.
const (
	seedWeights = iota + 1
	seedTrain
	seedHeldOut
	seedSample
)

// answers runs a graph of one input over rows laid one after the other, some at a time so that the
// memory stays small, and returns all values of each output.
func answers(g onnx.Graph, in []float32) ([][]float32, error) {
	data, err := onnx.Write(&onnx.Model{Graph: g})
	if err != nil {
		return nil, err
	}
	m, err := builtin.Open(data)
	if err != nil {
		return nil, err
	}
	s, err := m.Session()
	if err != nil {
		return nil, err
	}
	width, _ := m.Meta().Inputs[0].Width()
	out := make([][]float32, len(m.Meta().Outputs))
	const some = 32
	for part := range slices.Chunk(in, some*width) {
		rows := len(part) / width
		got, err := s.Run([]runtime.Tensor{tensor(m.Meta().Inputs[0], part)}, rows)
		if err != nil {
			return nil, err
		}
		for i, t := range got {
			out[i] = append(out[i], runtime.Values[float32](t.Data)...)
		}
	}
	return out, nil
}

// tensor is values as rows of the spec.
func tensor(s runtime.Spec, values []float32) runtime.Tensor {
	width, _ := s.Width()
	return runtime.Tensor{Type: runtime.FP32, Shape: append([]int{len(values) / width}, s.Shape...), Data: runtime.Data(values)}
}

const goldenRows = 4

// finished is the graph as a model that says how good it is, with rows from in and their answers.
func finished(g onnx.Graph, about runtime.Meta, in []float32) (*onnx.Model, error) {
	var err error
	if about.Inputs, _, err = onnx.Specs(g.Inputs); err != nil {
		return nil, err
	}
	if about.Outputs, _, err = onnx.Specs(g.Outputs); err != nil {
		return nil, err
	}
	width, _ := about.Inputs[0].Width()
	in = in[:goldenRows*width]
	out, err := answers(g, in)
	if err != nil {
		return nil, err
	}
	for i := range goldenRows {
		row := runtime.Golden{Inputs: []runtime.Tensor{tensor(about.Inputs[0], in[i*width:(i+1)*width])}}
		for k, o := range about.Outputs {
			w, _ := o.Width()
			row.Outputs = append(row.Outputs, tensor(o, out[k][i*w:(i+1)*w]))
		}
		about.Golden = append(about.Golden, row)
	}
	props, err := onnx.Annotations(about)
	return &onnx.Model{Graph: g, Props: props}, err
}

// add appends a node of the default domain with one output.
func add(g *onnx.Graph, op, output string, inputs []string, attributes ...onnx.Attribute) {
	g.Add("", op, inputs, []string{output}, attributes...)
}

// constant appends a constant and returns its name.
func constant(g *onnx.Graph, name string, values []float32, shape ...int64) string {
	g.Initializers = append(g.Initializers, onnx.Floats32(name, values, shape...))
	return name
}
