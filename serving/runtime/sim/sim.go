// Package sim is a runtime without a model: a batch takes as long as a given curve says, and each row of the
// answer is a plain function of the same row of the request, so that a test can check that everybody got
// their own. It never computes anything of use.
package sim

import (
	"fmt"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// Spec says how the model behaves. The zero Spec takes one float32 and gives one, in no time.
type Spec struct {
	Fixed, PerRow time.Duration // a batch takes Fixed + PerRow × rows
	Hinge         bool          // a batch takes the larger of Fixed and PerRow × rows instead
	Spin          bool          // keep a core busy for that time instead of sleeping
	Inputs        []runtime.Spec
	Outputs       []runtime.Spec // a length of -1 is the one that the first input has in the same place, or 1
	MaxRows       int            // rows in one batch; 0: any number
	Held          int64          // bytes that the model says it holds
	// Fail is called with the first value of every row before the batch runs; its error is the batch's. It
	// may panic. Nil never fails.
	Fail func(first float64) error
	// Ran is called after every batch that was computed, by the worker that computed it. Nil is not called.
	Ran func(rows int)
}

// Took is how long a batch takes.
func (s Spec) Took(rows int) time.Duration {
	moving := s.PerRow * time.Duration(rows)
	if s.Hinge {
		return max(s.Fixed, moving)
	}
	return s.Fixed + moving
}

// Answer is what a row of float32 values is answered with, outputs values long: the values, each times its
// place's weight (1 to 7, again and again), are added up; output j is that sum plus j. It holds for an output
// of float32 and one input; in general the sum goes over all inputs of the row.
func Answer(row []float32, outputs int) []float32 {
	var sum float64
	for i, v := range row {
		sum += weight(i) * float64(v)
	}
	out := make([]float32, outputs)
	for j := range out {
		out[j] = float32(sum + float64(j))
	}
	return out
}

func weight(i int) float64 { return float64(1 + i%7) }

type model struct {
	spec Spec
	meta runtime.Meta
}

// New makes the model. Inputs and outputs that spec leaves out are one FP32 value, named x and y.
func New(spec Spec) runtime.Model {
	if len(spec.Inputs) == 0 {
		spec.Inputs = []runtime.Spec{{Name: "x", Type: runtime.FP32, Shape: []int{1}}}
	}
	if len(spec.Outputs) == 0 {
		spec.Outputs = []runtime.Spec{{Name: "y", Type: runtime.FP32, Shape: []int{1}}}
	}
	return &model{spec, runtime.Meta{Platform: "trimtab_sim", Inputs: spec.Inputs, Outputs: spec.Outputs, MaxRows: spec.MaxRows}}
}

func (m *model) Meta() runtime.Meta { return m.meta }
func (m *model) Bytes() int64       { return m.spec.Held }
func (m *model) Close() error       { return nil }

func (m *model) Session() (runtime.Session, error) {
	n := len(m.spec.Outputs)
	return &session{spec: m.spec, out: make([]runtime.Tensor, n), room: make([][]byte, n)}, nil
}

type session struct {
	spec Spec
	out  []runtime.Tensor
	room [][]byte // of each output, used again by every Run: who keeps an answer too long sees another's
	sums []float64
}

// Run fails before it takes any time, as a runtime that refuses its input would.
func (s *session) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	if err := s.check(in, rows); err != nil {
		return nil, err
	}
	s.wait(rows)
	s.add(in, rows)
	for i := range s.spec.Outputs {
		s.out[i] = s.answer(i, in[0], rows)
	}
	if s.spec.Ran != nil {
		s.spec.Ran(rows)
	}
	return s.out, nil
}

func (s *session) check(in []runtime.Tensor, rows int) error {
	if n := s.spec.MaxRows; n > 0 && rows > n {
		return fmt.Errorf("batch has %d rows; the model takes %d", rows, n)
	}
	if len(in) != len(s.spec.Inputs) {
		return fmt.Errorf("batch has %d inputs; the model has %d", len(in), len(s.spec.Inputs))
	}
	for i, t := range in {
		if n, ok := t.Bytes(); t.Rows() != rows || !ok || n != len(t.Data) {
			return fmt.Errorf("input %d has shape %v and %d bytes in a batch of %d rows", i, t.Shape, len(t.Data), rows)
		}
	}
	for r := 0; s.spec.Fail != nil && r < rows; r++ {
		if err := s.spec.Fail(codecOf(in[0].Type).get(in[0].Data[r*len(in[0].Data)/rows:])); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) wait(rows int) {
	took := s.spec.Took(rows)
	if !s.spec.Spin {
		time.Sleep(took)
		return
	}
	for begin := time.Now(); time.Since(begin) < took; {
	}
}

// add fills sums: for each row the weighted sum over the values of all inputs.
func (s *session) add(in []runtime.Tensor, rows int) {
	s.sums = append(s.sums[:0], make([]float64, rows)...)
	for _, t := range in {
		size, get := t.Type.Size(), codecOf(t.Type).get
		width := len(t.Data) / size / rows
		for i := range rows * width {
			s.sums[i/width] += weight(i%width) * get(t.Data[i*size:])
		}
	}
}

func (s *session) answer(i int, first runtime.Tensor, rows int) runtime.Tensor {
	o := s.spec.Outputs[i]
	t := runtime.Tensor{Type: o.Type, Shape: append([]int{rows}, o.Shape...)}
	for i, d := range t.Shape {
		if d < 0 {
			t.Shape[i] = 1
			if i < len(first.Shape) {
				t.Shape[i] = first.Shape[i]
			}
		}
	}
	n, _ := t.Bytes()
	if len(s.room[i]) < n {
		s.room[i] = runtime.Alloc(n)
	}
	t.Data = s.room[i][:n:n]
	size, put := t.Type.Size(), codecOf(t.Type).put
	width := n / size / rows
	for i := range rows * width {
		put(t.Data[i*size:], s.sums[i/width]+float64(i%width))
	}
	return t
}
