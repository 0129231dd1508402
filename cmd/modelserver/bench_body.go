package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	mostAnswer = 64 << 20 // bytes of an answer that is read
	askTimeout = 10 * time.Second
)

// input is one input of a model, as its server describes it.
type input struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"` // the batch axis first
}

// width is the number of values in one row.
func (in input) width() int {
	n := 1
	for _, d := range in.Shape[1:] {
		n *= d
	}
	return n
}

// rowsOf gives in with its batch axis set and every other open dimension 1.
func (in input) rowsOf(rows int) (input, error) {
	if len(in.Shape) < 1 || in.Shape[0] >= 0 && in.Shape[0] < rows {
		return in, fmt.Errorf("input %q has shape %v: it does not take %d rows", in.Name, in.Shape, rows)
	}
	shape := []int{rows}
	for _, d := range in.Shape[1:] {
		shape = append(shape, max(d, 1))
	}
	in.Shape = shape
	if in.width() > 1<<24/rows {
		return in, fmt.Errorf("input %q with shape %v is too large for a request", in.Name, shape)
	}
	if _, ok := packers()[in.Datatype]; !ok {
		return in, fmt.Errorf("input %q has datatype %s, which bench cannot make up", in.Name, in.Datatype)
	}
	return in, nil
}

// packers append a value in the bytes of its datatype. Datatypes that JSON cannot carry are not there.
func packers() map[string]func([]byte, float64) []byte {
	return map[string]func([]byte, float64) []byte{
		"FP32":   func(b []byte, v float64) []byte { return le.AppendUint32(b, math.Float32bits(float32(v))) },
		"FP64":   func(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) },
		"INT8":   func(b []byte, v float64) []byte { return append(b, byte(int8(v))) },
		"UINT8":  func(b []byte, v float64) []byte { return append(b, byte(v)) },
		"BOOL":   func(b []byte, v float64) []byte { return append(b, byte(v)) },
		"INT16":  func(b []byte, v float64) []byte { return le.AppendUint16(b, uint16(int16(v))) },
		"UINT16": func(b []byte, v float64) []byte { return le.AppendUint16(b, uint16(v)) },
		"INT32":  func(b []byte, v float64) []byte { return le.AppendUint32(b, uint32(int32(v))) },
		"UINT32": func(b []byte, v float64) []byte { return le.AppendUint32(b, uint32(v)) },
		"INT64":  func(b []byte, v float64) []byte { return le.AppendUint64(b, uint64(int64(v))) },
		"UINT64": func(b []byte, v float64) []byte { return le.AppendUint64(b, uint64(v)) },
	}
}

var le = binary.LittleEndian

// inputs are the model's, from the server's metadata or from --shape.
func (o *benchOptions) inputs(ctx context.Context) ([]input, error) {
	if o.shape != nil {
		in, err := input{"input", "FP32", append([]int{-1}, o.shape...)}.rowsOf(o.rows)
		return []input{in}, err
	}
	u := o.target.JoinPath("v2", "models", o.name).String()
	var meta struct{ Inputs []input }
	if err := ask(ctx, u, o.apiKey, &meta); err != nil {
		return nil, fmt.Errorf("%w; a server without metadata needs --shape", err)
	}
	if len(meta.Inputs) == 0 {
		return nil, fmt.Errorf("get %s: it names no inputs; try --shape", u)
	}
	for i, in := range meta.Inputs {
		var err error
		if meta.Inputs[i], err = in.rowsOf(o.rows); err != nil {
			return nil, err
		}
	}
	if o.endpoint != endpointInfer && len(meta.Inputs) > 1 {
		return nil, fmt.Errorf("model %s has %d inputs, --endpoint %s is for one", o.name, len(meta.Inputs), o.endpoint)
	}
	return meta.Inputs, nil
}

// ask gets a JSON document.
func ask(ctx context.Context, u, key string, to any) error {
	text, err := get(ctx, u, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("get %s: %w", u, err)
	}
	return nil
}

func get(ctx context.Context, u, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", u, err)
	}
	if key != "" {
		req.Header.Set("X-Api-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err // it says Get and the URL
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %.200q", res.Status, text)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", u, err)
	}
	return text, nil
}

// body is what one request carries.
type body struct {
	bytes  []byte
	header int // how many of them are the JSON before binary tensors; 0: there are none
}

// makeBodies makes bodies to send in turn. With one body alone, caches and branch predictors learn its
// rows, and a server seems faster than it is.
func (o *benchOptions) makeBodies(ctx context.Context) ([]body, error) {
	ins, err := o.inputs(ctx)
	if err != nil {
		return nil, err
	}
	var all []body
	for i, size := 0, 0; i < mostBodies && (i < 2 || size < mostBodiesSize); i++ {
		b := o.makeBody(ins, rand.New(rand.NewPCG(o.seed, uint64(i))))
		all = append(all, b)
		size += len(b.bytes)
	}
	return all, nil
}

func (o *benchOptions) makeBody(ins []input, r *rand.Rand) body {
	switch {
	case o.body == bodyBinary:
		return o.binaryBody(ins, r)
	case o.endpoint != endpointInfer:
		return body{bytes: o.instancesBody(ins[0], r)}
	}
	b := []byte(`{"inputs":[`)
	for i, in := range ins {
		b = append(b, ","[:min(i, 1)]...)
		b = append(in.describe(b), `,"data":[`...)
		b = append(o.appendValues(b, in, in.Shape[0]*in.width(), r), "]}"...)
	}
	return body{bytes: append(b, "]}"...)}
}

// describe opens the input's JSON object.
func (in input) describe(b []byte) []byte {
	shape, _ := json.Marshal(in.Shape) // of numbers: it cannot fail
	return fmt.Appendf(b, `{"name":%q,"shape":%s,"datatype":%q`, in.Name, shape, in.Datatype)
}

// instancesBody is a list of rows, each flat.
func (o *benchOptions) instancesBody(in input, r *rand.Rand) []byte {
	b := []byte(`{"instances":[`)
	for i := range in.Shape[0] {
		b = append(b, ","[:min(i, 1)]...)
		b = append(o.appendValues(append(b, '['), in, in.width(), r), ']')
	}
	return append(b, "]}"...)
}

// binaryBody is in the binary tensor data extension, and asks for binary outputs.
func (o *benchOptions) binaryBody(ins []input, r *rand.Rand) body {
	var data []byte
	b := []byte(`{"inputs":[`)
	for i, in := range ins {
		before := len(data)
		pack := packers()[in.Datatype]
		for range in.Shape[0] * in.width() {
			data = pack(data, o.value(in, r))
		}
		b = append(b, ","[:min(i, 1)]...)
		b = fmt.Appendf(in.describe(b), `,"parameters":{"binary_data_size":%d}}`, len(data)-before)
	}
	b = append(b, `],"parameters":{"binary_data_output":true}}`...)
	return body{append(b, data...), len(b)}
}

// value is a random value: floats of the range of --values, whole numbers from 0 to 9, booleans 0 or 1.
func (o *benchOptions) value(in input, r *rand.Rand) float64 {
	switch {
	case strings.HasPrefix(in.Datatype, "FP"):
		return o.low + (o.high-o.low)*r.Float64()
	case in.Datatype == "BOOL":
		return float64(r.IntN(2))
	}
	return float64(r.IntN(10))
}

// appendValues writes n numbers as programs do that print a float with five digits.
func (o *benchOptions) appendValues(b []byte, in input, n int, r *rand.Rand) []byte {
	for i := range n {
		b = append(b, ","[:min(i, 1)]...)
		v := o.value(in, r)
		if in.Datatype == "BOOL" {
			b = strconv.AppendBool(b, v == 1)
			continue
		}
		b = strconv.AppendFloat(b, v, 'g', 5, 64)
	}
	return b
}

// request is one request as it goes over the wire.
type request struct {
	wire []byte
	body int // its number
}

// frame makes the requests of bodies: written once, sent many times.
func (o *benchOptions) frame(bodies []body) []request {
	var all []request
	path := strings.TrimSuffix(o.target.EscapedPath(), "/") + o.path()
	for i, b := range bodies {
		head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: modelserver-bench\r\n", path, o.target.Host)
		if b.header > 0 {
			head = fmt.Appendf(head, "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n", b.header)
		} else {
			head = append(head, "Content-Type: application/json\r\n"...)
		}
		if o.apiKey != "" {
			head = fmt.Appendf(head, "X-Api-Key: %s\r\n", o.apiKey)
		}
		head = fmt.Appendf(head, "Content-Length: %d\r\n\r\n", len(b.bytes))
		all = append(all, request{append(head, b.bytes...), i})
	}
	return all
}
