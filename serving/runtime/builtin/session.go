package builtin

import (
	"fmt"

	"trimtab.dev/trimtab/serving/runtime"
)

// session is a program with memory for its planes. The memory grows with the largest batch seen.
type session struct {
	*program
	room    int         // rows that the memory holds
	rows    int         // rows that the views are cut for
	slots   [][]float32 // memory
	planes  [][]float32 // views of the memory or of the request
	in, out [][][]float32
	result  []runtime.Tensor
}

// Session implements runtime.Model.
func (p *program) Session() (runtime.Session, error) {
	s := &session{program: p, slots: make([][]float32, len(p.slots)), planes: make([][]float32, len(p.planes))}
	for _, st := range p.steps {
		s.in = append(s.in, make([][]float32, len(st.in)))
		s.out = append(s.out, make([][]float32, len(st.out)))
	}
	for _, o := range p.meta.Outputs {
		s.result = append(s.result, runtime.Tensor{Type: o.Type, Shape: append([]int{0}, o.Shape...)})
	}
	return s, nil
}

// Run implements runtime.Session. It allocates only for a batch that is larger than all before.
func (s *session) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	if err := s.check(in, rows); err != nil {
		return nil, err
	}
	s.grow(rows)
	s.cut(rows)
	s.load(in)
	for i, st := range s.steps {
		for k, p := range st.in {
			s.in[i][k] = s.planes[p]
		}
		for k, p := range st.out {
			s.out[i][k] = s.planes[p]
		}
		st.run(s.in[i], s.out[i], rows)
	}
	s.finish(rows)
	return s.result, nil
}

// check refuses what would read outside the tensors; the rest is for Meta.Check.
func (s *session) check(in []runtime.Tensor, rows int) error {
	if rows < 1 || len(in) != len(s.inputs) || s.meta.MaxRows > 0 && rows > s.meta.MaxRows {
		return fmt.Errorf("run %d rows of %d inputs; the model takes %d inputs and %d rows (0: any)", rows, len(in), len(s.inputs), s.meta.MaxRows)
	}
	for i, t := range in {
		spec := s.meta.Inputs[i]
		if want := rows * s.program.planes[s.inputs[i]].width * spec.Type.Size(); t.Type != spec.Type || len(t.Data) != want {
			return fmt.Errorf("input %q has %d bytes of %s; %d rows are %d bytes of %s", spec.Name, len(t.Data), t.Type, rows, want, spec.Type)
		}
	}
	return nil
}

// grow makes the memory large enough for rows rows.
func (s *session) grow(rows int) {
	if rows <= s.room {
		return
	}
	for i, sl := range s.program.slots {
		switch {
		case !sl.shared:
			s.slots[i] = runtime.Values[float32](runtime.Alloc(4 * sl.width * rows))
		case s.slots[i] == nil:
			s.slots[i] = make([]float32, sl.width)
		}
	}
	s.room = rows
}

// cut sets the views of the memory for rows rows. More rows than there was room for are never those of
// the batch before.
func (s *session) cut(rows int) {
	if s.rows == rows {
		return
	}
	s.rows = rows
	for i, p := range s.program.planes {
		switch {
		case p.shared:
			s.planes[i] = s.slots[p.slot][:p.width]
		case p.slot >= 0:
			s.planes[i] = s.slots[p.slot][:p.width*rows]
		}
	}
}

// load takes the request: float32 where it lies, other types converted.
func (s *session) load(in []runtime.Tensor) {
	for i, t := range in {
		p := s.inputs[i]
		switch to := s.planes[p]; t.Type {
		case runtime.FP32:
			s.planes[p] = runtime.Values[float32](t.Data)
		case runtime.FP64:
			convert(to, runtime.Values[float64](t.Data))
		case runtime.Int64:
			convert(to, runtime.Values[int64](t.Data))
		case runtime.Int32:
			convert(to, runtime.Values[int32](t.Data))
		case runtime.Uint8:
			convert(to, t.Data)
		}
	}
}

// finish lays the outputs out as the tensors that the model promises.
func (s *session) finish(rows int) {
	for i := range s.result {
		t, from := &s.result[i], s.planes[s.outputs[i]]
		t.Shape[0] = rows
		if t.Type == runtime.FP32 {
			t.Data = runtime.Data(from)
			continue
		}
		t.Data = room(t.Data, len(from)*t.Type.Size())
		switch t.Type {
		case runtime.FP64:
			convert(runtime.Values[float64](t.Data), from)
		case runtime.Int64:
			convert(runtime.Values[int64](t.Data), from)
		case runtime.Int32:
			convert(runtime.Values[int32](t.Data), from)
		}
	}
}

// room is data cut or made anew to n bytes.
func room(data []byte, n int) []byte {
	if cap(data) < n {
		return runtime.Alloc(n)
	}
	return data[:n]
}

type number interface {
	~float32 | ~float64 | ~int64 | ~int32 | ~uint8
}

func convert[To, From number](to []To, from []From) {
	for i, v := range from {
		to[i] = To(v)
	}
}
