//go:build onnx

package ort

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime"
)

// session is one worker's: the lists that a call needs and the room for the answers. It holds nothing of the
// library's between two calls.
type session struct {
	model  *model
	names  []*byte   // inputs, then outputs
	values []uintptr // the same
	dims   []int64
	padded [][]byte // for each input, where the model fixes the batch axis
	out    []runtime.Tensor
	room   [][]byte // for each output
}

func (m *model) Session() (runtime.Session, error) {
	return &session{model: m, names: m.names, values: make([]uintptr, len(m.names)), padded: make([][]byte, len(m.meta.Inputs)),
		out: make([]runtime.Tensor, len(m.meta.Outputs)), room: make([][]byte, len(m.meta.Outputs))}, nil
}

// Run lends the inputs to the library for the time of the call, and copies what it gives.
func (s *session) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	m := s.model
	m.mu.RLock()
	defer m.mu.RUnlock()
	switch limit := m.meta.MaxRows; {
	case m.session == 0:
		return nil, errors.New("the model is closed")
	case len(in) != len(m.meta.Inputs):
		return nil, fmt.Errorf("batch has %d inputs; the model has %d", len(in), len(m.meta.Inputs))
	case limit > 0 && rows > limit:
		return nil, fmt.Errorf("batch has %d rows; the model takes %d", rows, limit)
	}
	defer s.release()
	for i, t := range in {
		if err := s.lend(i, t); err != nil {
			return nil, fmt.Errorf("input %q: %w", m.meta.Inputs[i].Name, err)
		}
	}
	if err := s.call(in); err != nil {
		return nil, err
	}
	for i := range s.out {
		if err := s.take(i, rows); err != nil {
			return nil, fmt.Errorf("output %q: %w", m.meta.Outputs[i].Name, err)
		}
	}
	return s.out, nil
}

func (s *session) call(in []runtime.Tensor) error {
	n := len(in)
	err := s.model.lib.call(run, s.model.session, 0,
		uintptr(unsafe.Pointer(&s.names[0])), uintptr(unsafe.Pointer(&s.values[0])), uintptr(n),
		uintptr(unsafe.Pointer(&s.names[n])), uintptr(len(s.out)), uintptr(unsafe.Pointer(&s.values[n])))
	goruntime.KeepAlive(in)
	return err
}

// release gives back every value of the library's, after the answers were copied or something went wrong.
func (s *session) release() {
	for i, v := range s.values {
		s.model.lib.free(releaseValue, v)
		s.values[i] = 0
	}
}

// lend makes a value of the library's around t's memory. What is on the heap does not move, and the caller
// keeps it alive.
func (s *session) lend(i int, t runtime.Tensor) error {
	if n, ok := t.Bytes(); !ok || n != len(t.Data) || n == 0 || t.Type != s.model.meta.Inputs[i].Type {
		return fmt.Errorf("%s of shape %v has %d bytes", t.Type, t.Shape, len(t.Data))
	}
	if limit := s.model.meta.MaxRows; t.Rows() < limit {
		t = s.pad(i, t, limit)
	}
	s.dims = s.dims[:0]
	for _, d := range t.Shape {
		s.dims = append(s.dims, int64(d))
	}
	return s.model.lib.call(createTensorWithDataAsOrtValue, s.model.memory,
		uintptr(unsafe.Pointer(&t.Data[0])), uintptr(len(t.Data)), uintptr(unsafe.Pointer(&s.dims[0])), uintptr(len(s.dims)),
		kindOf(t.Type), uintptr(unsafe.Pointer(&s.values[i])))
}

// pad fills the batch up with its last row, a row that the model is known to take: zeros might be none.
func (s *session) pad(i int, t runtime.Tensor, rows int) runtime.Tensor {
	row := len(t.Data) / t.Rows()
	if len(s.padded[i]) != rows*row {
		s.padded[i] = runtime.Alloc(rows * row)
	}
	copy(s.padded[i], t.Data)
	for at := len(t.Data); at < rows*row; at += row {
		copy(s.padded[i][at:], t.Data[len(t.Data)-row:])
	}
	return runtime.Tensor{Type: t.Type, Shape: append([]int{rows}, t.Shape[1:]...), Data: s.padded[i]}
}

// take copies output i, without the rows that filled the batch up.
func (s *session) take(i, rows int) error {
	lib, value := s.model.lib, s.values[len(s.values)-len(s.out)+i]
	t, err := s.shaped(i, value, rows)
	if err != nil {
		return err
	}
	var data uintptr
	if err := lib.call(getTensorMutableData, value, uintptr(unsafe.Pointer(&data))); err != nil {
		return err
	}
	copy(t.Data, unsafe.Slice((*byte)(address(data)), len(t.Data)))
	s.out[i] = t
	return nil
}

// shaped is an output's tensor with room for its rows and nothing in it yet.
func (s *session) shaped(i int, value uintptr, rows int) (runtime.Tensor, error) {
	lib, limit := s.model.lib, s.model.meta.MaxRows
	var info uintptr
	if err := lib.call(getTensorTypeAndShape, value, uintptr(unsafe.Pointer(&info))); err != nil {
		return runtime.Tensor{}, err
	}
	defer lib.free(releaseTensorTypeAndShapeInfo, info)
	_, dims, err := lib.shape(info, s.dims[:0])
	if err != nil {
		return runtime.Tensor{}, err
	}
	s.dims = dims[:0]
	if len(dims) == 0 || int(dims[0]) != max(rows, limit) {
		return runtime.Tensor{}, fmt.Errorf("it has shape %v for %d rows: its first axis is not the batch's", dims, rows)
	}
	t := runtime.Tensor{Type: s.model.meta.Outputs[i].Type, Shape: s.out[i].Shape[:0]}
	for _, d := range dims {
		t.Shape = append(t.Shape, int(d))
	}
	t.Shape[0] = rows
	n, _ := t.Bytes()
	if len(s.room[i]) < n {
		s.room[i] = runtime.Alloc(n)
	}
	t.Data = s.room[i][:n:n]
	return t, nil
}
