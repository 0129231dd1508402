// Package runtime holds model runtimes behind one small interface, and the builtin models: small,
// real, pure Go, trained at start from a fixed seed. It reads no file, no clock and no network, and
// starts no goroutine: who calls Run decides where and when.
package runtime

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Tensor names one input or output of a model.
type Tensor struct {
	Name  string
	Shape []int // of one row: the batch axis is not in it
}

// Width is the number of values in one row.
func (t Tensor) Width() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Meta says what a model takes and gives. Values are float32 everywhere.
type Meta struct {
	Name     string
	Input    Tensor
	Features []string // a name for each value of a row; empty when the values have none, like pixels
	Outputs  []Tensor // the first is the prediction; one named Confidence is its confidence
	Accuracy float64  // on rows that the training never saw, in what Measure says
	Measure  string   // "r2" (1 is perfect, 0 is no better than the mean) or "share-right" (0 to 1)
}

// Confidence is the name of the output that holds, for each row, how sure the model is: 0 to 1.
const Confidence = "confidence"

// Model is a loaded model. It may keep scratch memory: one caller at a time.
type Model interface {
	// Meta says what the model takes and gives; it never changes.
	Meta() Meta
	// Run computes rows rows, laid one after the other in in, and returns one slice for each
	// output, laid out the same way. The caller owns them. It is an error if in has another size.
	Run(in []float32, rows int) ([][]float32, error)
}

// builtin is a model that this package can make: how to train it, and what its input looks like.
type builtin struct {
	name   string
	input  Tensor
	open   func() Model
	sample func(r *rand.Rand, row []float32)
}

func builtins() []builtin {
	return []builtin{
		{"image", imageInput(), func() Model { return trainImage() }, func(r *rand.Rand, row []float32) { sampleImage(r, row) }},
		{"recommendation", recommendationInput(), func() Model { return trainRecommendation() }, func(r *rand.Rand, row []float32) { sampleVisit(r, row) }},
		{"valuation", valuationInput(), func() Model { return trainValuation() }, func(r *rand.Rand, row []float32) { sampleProperty(r, row) }},
	}
}

// Names lists the builtin models, sorted.
func Names() []string {
	var names []string
	for _, b := range builtins() {
		names = append(names, b.name)
	}
	return names
}

// Open trains the named builtin model: some tenths of a second of one core, the same weights each time.
func Open(name string) (Model, error) {
	b, err := find(name)
	if err != nil {
		return nil, err
	}
	return b.open(), nil
}

// Sample returns rows rows of plausible input of the named builtin model, and which input that is,
// without training anything; the same seed gives the same rows.
func Sample(name string, seed uint64, rows int) (Tensor, []float32, error) {
	b, err := find(name)
	if err != nil {
		return Tensor{}, nil, err
	}
	r := rand.New(rand.NewPCG(seed, seedSample))
	width := b.input.Width()
	in := make([]float32, rows*width)
	for i := range rows {
		b.sample(r, in[i*width:(i+1)*width])
	}
	return b.input, in, nil
}

func find(name string) (builtin, error) {
	for _, b := range builtins() {
		if b.name == name {
			return b, nil
		}
	}
	return builtin{}, fmt.Errorf("no builtin model %q; there are %s", name, strings.Join(Names(), ", "))
}

// The second half of each seed, so that rows to train, to measure and to load with are never the same.
const (
	seedWeights = iota + 1
	seedTrain
	seedHeldOut
	seedSample
)

// checkSize refuses an input that is not rows rows of width values.
func checkSize(in []float32, rows, width int) error {
	if rows < 1 || len(in) != rows*width {
		return fmt.Errorf("input of %d values is not %d rows of %d", len(in), rows, width)
	}
	return nil
}
