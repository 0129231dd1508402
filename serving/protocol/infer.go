// Package protocol turns the bytes that clients send into tensors, and tensors into the bytes that they get:
// the Open Inference Protocol v2 over REST (JSON and binary tensors) and gRPC, KServe's V1, and the article's
// /predict. It is pure: no server, no clock, no log. Requests are read without reflection and into buffers
// that are used again.
//
// Errors are the client's fault and say what was wrong and where. Values that JSON cannot carry, NaN and the
// infinities, are written as null: every client can read the answer (numpy makes NaN of it; a bare NaN, which
// some servers write, ends the parser of most others). Binary tensors and gRPC carry them as they are.
package protocol

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// InferRequest is what a request asks for. It is made to be used again, say with a sync.Pool: each decoding
// into it forgets the one before and reuses its memory.
type InferRequest struct {
	ID       string           // empty: none; the answer repeats it
	Inputs   []runtime.Tensor // in the model's order; they passed Meta.Check
	Rows     int
	Outputs  []Wanted      // at least one, in the order of the answer
	Priority string        // as sent: Triton's integers (1 is the highest, 0 the default) or a name; empty: none
	Timeout  time.Duration // from arrival to answer; 0: none

	space   [][]byte // for the data of each input
	decoder decoder
	rows    rowDecoder
	grpc    grpcDecoder
}

var errClassification = errors.New("parameter classification is not served; ask for the values")

// Wanted is an output that is asked for.
type Wanted struct {
	Index  int  // in Meta.Outputs
	Binary bool // as raw bytes behind the JSON; gRPC's answers always are
	said   bool // the output's own parameters say it
}

// Bytes is the amount of tensor data.
func (r *InferRequest) Bytes() (n int64) {
	for _, t := range r.Inputs {
		n += int64(len(t.Data))
	}
	return n
}

// Raw is the header length of a body that is nothing but the one row of the only input; Absent that of a body
// without the header, which is all JSON.
const (
	Raw    = 0
	Absent = -1
)

// DecodeInfer reads the body of POST /v2/models/{name}/infer into r. The header length is what
// Inference-Header-Content-Length says, or Absent. Nothing in r refers to body afterwards.
func DecodeInfer(body []byte, headerLength int, meta runtime.Meta, r *InferRequest) error {
	if headerLength > len(body) || headerLength < Absent {
		return fmt.Errorf("header Inference-Header-Content-Length is %d; the body has %d bytes", headerLength, len(body))
	}
	r.begin(meta)
	if headerLength == Raw {
		return r.raw(body, meta)
	}
	d := &r.decoder
	d.begin(body, headerLength, meta, r)
	defer d.forget()
	if err := d.object(d.field); err != nil {
		return err
	}
	if err := d.ended(); err != nil {
		return err
	}
	if len(d.tail) > 0 {
		return fmt.Errorf("the body has %d bytes behind the last input's", len(d.tail))
	}
	r.settle(meta, d.binaryOutput)
	return r.check(&d.meta, d.seen, false)
}

// begin empties r and makes room for the model's inputs.
func (r *InferRequest) begin(meta runtime.Meta) {
	n := len(meta.Inputs)
	r.ID, r.Rows, r.Priority, r.Timeout, r.Outputs = "", 0, "", 0, r.Outputs[:0]
	r.Inputs = slices.Grow(r.Inputs[:0], n)[:n]
	for i := range r.Inputs {
		r.Inputs[i] = runtime.Tensor{Type: meta.Inputs[i].Type, Shape: r.Inputs[i].Shape[:0]}
	}
	for len(r.space) < n {
		r.space = append(r.space, nil)
	}
}

// data is n bytes for input i.
func (r *InferRequest) data(i, n int) []byte {
	if cap(r.space[i]) < n {
		r.space[i] = runtime.Alloc(n)
	}
	return r.space[i][:n]
}

// settle makes the list of outputs complete: all of them when none is named.
func (r *InferRequest) settle(meta runtime.Meta, binary bool) {
	if len(r.Outputs) == 0 {
		for i := range meta.Outputs {
			r.Outputs = append(r.Outputs, Wanted{Index: i})
		}
	}
	for i := range r.Outputs {
		if !r.Outputs[i].said {
			r.Outputs[i].Binary = binary
		}
	}
}

// check tells what is missing; seen is the number of inputs that were read.
func (r *InferRequest) check(meta *runtime.Meta, seen int, raw bool) (err error) {
	if seen == 0 {
		return fmt.Errorf("request has 0 inputs; the model has %d", len(meta.Inputs))
	}
	var missing []error
	for i, t := range r.Inputs {
		if len(t.Data) == 0 {
			missing = append(missing, fmt.Errorf("input %q is missing", meta.Inputs[i].Name))
		}
	}
	if len(missing) > 0 {
		return errors.Join(missing...)
	}
	if len(r.Inputs) == 1 && !raw {
		r.Rows = r.Inputs[0].Rows() // its shape, type and size are checked: Meta.Check would find nothing
		return nil
	}
	r.Rows, err = meta.Check(r.Inputs)
	return err
}

// raw takes the body as one row of the only input, whose one length that may be any, if there is one, follows
// from the size. All outputs are answered in binary, as Triton does.
func (r *InferRequest) raw(body []byte, meta runtime.Meta) error {
	if len(meta.Inputs) != 1 {
		return fmt.Errorf("a body without JSON is for models with one input; this one has %d", len(meta.Inputs))
	}
	in, spec := &r.Inputs[0], meta.Inputs[0]
	in.Shape = append(append(in.Shape, 1), spec.Shape...)
	if i := slices.Index(in.Shape, -1); i > 0 {
		in.Shape[i] = 1
		if n, ok := in.Bytes(); ok && n > 0 {
			in.Shape[i] = len(body) / n
		}
	}
	in.Data = append(r.data(0, len(body))[:0], body...)
	r.settle(meta, true)
	return r.check(&meta, 1, true)
}

// output adds an output that the request names.
func (r *InferRequest) output(name []byte, w Wanted, meta *runtime.Meta) error {
	w.Index = specNamed(meta.Outputs, name)
	if w.Index < 0 || slices.ContainsFunc(r.Outputs, func(o Wanted) bool { return o.Index == w.Index }) {
		return fmt.Errorf("output %.50q is not one of the model's, or is asked for twice", name)
	}
	r.Outputs = append(r.Outputs, w)
	return nil
}

// specNamed is the index of the input or output of that name, -1 where there is none.
func specNamed(specs []runtime.Spec, name []byte) int {
	for i := range specs {
		if specs[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// timeout is a parameter in microseconds.
func timeout(microseconds int64) (time.Duration, error) {
	if microseconds < 0 || microseconds > math.MaxInt64/int64(time.Microsecond) {
		return 0, fmt.Errorf("parameter timeout is %d microseconds", microseconds)
	}
	return time.Duration(microseconds) * time.Microsecond, nil
}
