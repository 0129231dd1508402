package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"time"
)

// reference is what the answer of one body must be: one of these lists of numbers.
type reference [][]float64

// references asks the --same-as servers for the answer of each body.
func (o *benchOptions) references(ctx context.Context, bodies []body) ([]reference, error) {
	if len(o.sameAs) == 0 {
		return nil, nil
	}
	all := make([]reference, len(bodies))
	for _, base := range o.sameAs {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("--same-as: %.80q is not a URL", base)
		}
		there := *o
		there.target = u
		w := &wire{address: address(u.Host)}
		for i, r := range there.frame(bodies) {
			values, err := o.reference(ctx, w, r)
			if err != nil {
				return nil, fmt.Errorf("ask %s for the answer of body %d: %w", base, i, err)
			}
			all[i] = append(all[i], values)
		}
		w.close()
	}
	return all, nil
}

func (o *benchOptions) reference(ctx context.Context, w *wire, r request) ([]float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := w.exchange(r.wire, time.Now().Add(o.timeout))
	if err == nil && a.status != 200 {
		err = fmt.Errorf("status %d: %.200q", a.status, a.body)
	}
	if err != nil {
		return nil, err
	}
	values, err := a.numbers()
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("no numbers in %.200q", a.body)
	}
	return values, err
}

// matches reports whether the answer's numbers are one of the reference's.
func (r reference) matches(a answer, tolerance float64) bool {
	got, err := a.numbers()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(r, func(want []float64) bool { return near(got, want, tolerance) })
}

// near compares relative to the larger of want and 1: sums of numbers of either sign may nearly cancel
// out, and what is left of them has no digits to compare.
func near(got, want []float64, tolerance float64) bool {
	if len(got) != len(want) {
		return false
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tolerance*max(1, math.Abs(w))) {
			return false
		}
	}
	return true
}

// output is one output of an answer of the Open Inference Protocol.
type output struct {
	Name       string
	Datatype   string
	Data       any
	Parameters struct {
		Size int `json:"binary_data_size"`
	}
}

// numbers are all values of an answer of any protocol, in a fixed order.
func (a answer) numbers() ([]float64, error) {
	text, tensors := a.body, []byte(nil)
	if a.header > 0 && a.header <= len(text) {
		text, tensors = text[:a.header], text[a.header:]
	}
	var doc struct {
		Outputs     []output
		Predictions any
		Prediction  any
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	values := walk(nil, doc.Predictions)
	values = walk(values, doc.Prediction)
	for _, o := range doc.Outputs {
		n := min(max(o.Parameters.Size, 0), len(tensors))
		if n > 0 {
			values = append(values, unpack(o.Datatype, tensors[:n])...)
		}
		tensors = tensors[n:]
		values = walk(values, o.Data)
	}
	return values, nil
}

// walk appends the numbers of a JSON value, lists in their order and objects by name.
func walk(to []float64, v any) []float64 {
	switch v := v.(type) {
	case float64:
		return append(to, v)
	case bool:
		if v {
			return append(to, 1)
		}
		return append(to, 0)
	case []any:
		for _, one := range v {
			to = walk(to, one)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			to = walk(to, v[name])
		}
	}
	return to
}

// unpack reads floats and whole numbers; bytes of anything else stand for themselves.
func unpack(datatype string, b []byte) []float64 {
	var values []float64
	switch datatype {
	case "FP32":
		for c := range slices.Chunk(b, 4) {
			values = append(values, float64(math.Float32frombits(le.Uint32(padded(c)))))
		}
	case "FP64":
		for c := range slices.Chunk(b, 8) {
			values = append(values, math.Float64frombits(le.Uint64(padded(c))))
		}
	case "INT64":
		for c := range slices.Chunk(b, 8) {
			values = append(values, float64(int64(le.Uint64(padded(c)))))
		}
	default:
		for _, c := range b {
			values = append(values, float64(c))
		}
	}
	return values
}

// padded is c with zeros up to 8 bytes: a broken answer is different, not a panic.
func padded(c []byte) []byte {
	if len(c) == 8 {
		return c
	}
	return append(bytes.Clone(c), make([]byte, 8-len(c))...)
}
