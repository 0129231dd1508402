// Package runtime is what every model runtime looks like to the server: a model that says what it takes
// and gives, and sessions that compute batches. The runtimes are in the folders below it: builtin (pure
// Go), ort (ONNX Runtime, loaded at run time), sim (a given curve, for tests).
package runtime

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// Type is the type of a tensor's elements.
type Type uint8

// The types of elements. The zero value is none of them.
const (
	Bool Type = iota + 1
	Uint8
	Uint16
	Uint32
	Uint64
	Int8
	Int16
	Int32
	Int64
	FP16
	BF16
	FP32
	FP64
)

type kind struct {
	name string // of the Open Inference Protocol
	size int    // bytes of an element
}

func kinds() []kind {
	return []kind{{}, {"BOOL", 1}, {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8}, {"INT8", 1}, {"INT16", 2},
		{"INT32", 4}, {"INT64", 8}, {"FP16", 2}, {"BF16", 2}, {"FP32", 4}, {"FP64", 8}}
}

// String is the type's name in the Open Inference Protocol, empty for the zero value.
func (t Type) String() string { return kinds()[t].name }

// Size is the number of bytes of one element.
func (t Type) Size() int { return kinds()[t].size }

// TypeOf reads a name of the Open Inference Protocol; false for names that no runtime here computes, such
// as BYTES.
func TypeOf(name string) (Type, bool) {
	i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == name })
	return Type(max(i, 0)), i > 0
}

// Spec names one input or output.
type Spec struct {
	Name  string
	Type  Type
	Shape []int // of one row: the batch axis is not in it; -1 is any length
}

// Tensor is rows laid one after the other.
type Tensor struct {
	Type  Type
	Shape []int  // the batch axis first
	Data  []byte // little-endian, as many as Shape and Type say
}

// Rows is the length of the batch axis.
func (t Tensor) Rows() int { return t.Shape[0] }

// Bytes is how long Data has to be, false where the shape is not one or its size does not fit into an int.
func (t Tensor) Bytes() (int, bool) {
	n := t.Type.Size()
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > (1<<46)/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Meta says what a model takes and gives. It never changes.
type Meta struct {
	Platform string   // as the protocol's metadata says it, like "trimtab_builtin" or "onnxruntime_onnx"
	Inputs   []Spec   // at least one
	Outputs  []Spec   // the first is the prediction; one named Confidence is its confidence
	MaxRows  int      // rows in one batch; 0: any number
	Features []string // a name for each value of a row of the only input; empty when the values have none
	Accuracy float64  // on rows that the training never saw, in what Measure says; with Measure only
	Measure  string   // "r2" (1 is perfect, 0 no better than the mean), "share-right" (0 to 1), or empty: unknown
	Golden   []Golden // rows with the answers that the model must give, checked before it is ready; may be empty
}

// Golden is a row with its answer.
type Golden struct {
	Inputs, Outputs []Tensor // one row each, in the order of the Meta
}

// Confidence is the name of the output that holds, for each row, how sure the model is: 0 to 1.
const Confidence = "confidence"

// Model is a loaded model. It is safe for concurrent use.
type Model interface {
	Meta() Meta
	// Bytes is the memory that the model holds whether it computes or not.
	Bytes() int64
	// Session makes what one worker computes with: its own scratch memory, the shared weights.
	Session() (Session, error)
	// Close frees what the garbage collector does not; no session may be used after it.
	Close() error
}

// Session computes batches for one caller at a time.
type Session interface {
	// Run computes rows rows: in has a tensor for each of the model's inputs, in their order, whose Data
	// begins on 8 bytes. The outputs, in the model's order, are good until the next Run.
	Run(in []Tensor, rows int) ([]Tensor, error)
}

// Check returns why in cannot be run: a wrong number of tensors, types, shapes, or amounts of data. It
// returns the number of rows.
func (m Meta) Check(in []Tensor) (rows int, err error) {
	if len(in) != len(m.Inputs) {
		return 0, fmt.Errorf("request has %d inputs; the model has %d", len(in), len(m.Inputs))
	}
	var faults []error
	for i, t := range in {
		faults = append(faults, m.Inputs[i].check(t))
		if i > 0 && len(t.Shape) > 0 && len(in[0].Shape) > 0 && t.Shape[0] != in[0].Shape[0] {
			faults = append(faults, fmt.Errorf("inputs %q and %q have different numbers of rows", m.Inputs[0].Name, m.Inputs[i].Name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	return in[0].Rows(), nil
}

func (s Spec) check(t Tensor) error {
	switch n, ok := t.Bytes(); {
	case t.Type != s.Type:
		return fmt.Errorf("input %q is %s; the model takes %s", s.Name, t.Type, s.Type)
	case len(t.Shape) != 1+len(s.Shape) || t.Shape[0] < 1 || !s.fits(t.Shape[1:]):
		return fmt.Errorf("input %q has shape %v; the model takes [rows]+%v", s.Name, t.Shape, s.Shape)
	case !ok || n != len(t.Data):
		return fmt.Errorf("input %q has shape %v and %d bytes of %s", s.Name, t.Shape, len(t.Data), t.Type)
	}
	return nil
}

func (s Spec) fits(row []int) bool {
	for i, d := range s.Shape {
		if d != row[i] && d != -1 || row[i] < 1 {
			return false
		}
	}
	return true
}

// Width is the number of values in one row, false where a length is any.
func (s Spec) Width() (int, bool) {
	n := 1
	for _, d := range s.Shape {
		if d < 0 {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// Element is a type whose values lie in memory as they lie in a tensor.
type Element interface {
	~bool | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Values is data as values of T, without a copy. Data must begin where a T may: what Alloc gives does.
// Machines with the other byte order are not served.
func Values[T Element](data []byte) []T {
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(one)))
}

// Data is values as the bytes of a tensor, without a copy.
func Data[T Element](values []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(one)))
}

// Alloc returns n zero bytes that begin on 8 bytes, so that Values of every type is good.
func Alloc(n int) []byte {
	return Data(make([]uint64, (n+7)/8))[:n]
}
