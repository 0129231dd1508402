package protocol

import (
	"strconv"

	"trimtab.dev/trimtab/serving/runtime"
)

// Answer is what a model gave for a request.
type Answer struct {
	Model, Version string
	ID             string           // of the request; empty: none
	Specs          []runtime.Spec   // Meta.Outputs
	Outputs        []runtime.Tensor // all of the model's outputs, in its order
	Wanted         []Wanted         // InferRequest.Outputs
}

// AppendInfer appends the body of the answer. The header length is what Inference-Header-Content-Length has to
// say, and the content type is then application/octet-stream; it is Absent for a body that is all JSON.
func AppendInfer(dst []byte, a Answer) (body []byte, headerLength int) {
	from, binary := len(dst), false
	dst = append(dst, `{"model_name":`...)
	dst = appendString(dst, a.Model)
	if a.Version != "" {
		dst = append(dst, `,"model_version":`...)
		dst = appendString(dst, a.Version)
	}
	if a.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, a.ID)
	}
	dst = append(dst, `,"outputs":[`...)
	for i, w := range a.Wanted {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOutput(dst, a.Specs[w.Index].Name, a.Outputs[w.Index], w.Binary)
		binary = binary || w.Binary
	}
	dst = append(dst, `]}`...)
	if !binary {
		return dst, Absent
	}
	headerLength = len(dst) - from
	for _, w := range a.Wanted {
		if w.Binary {
			dst = append(dst, a.Outputs[w.Index].Data...)
		}
	}
	return dst, headerLength
}

func appendOutput(dst []byte, name string, t runtime.Tensor, binary bool) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, name)
	dst = append(dst, `,"shape":[`...)
	for i, d := range t.Shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(d), 10)
	}
	dst = append(dst, `],"datatype":"`...)
	dst = append(dst, t.Type.String()...)
	if binary {
		dst = append(dst, `","parameters":{"binary_data_size":`...)
		dst = strconv.AppendInt(dst, int64(len(t.Data)), 10)
		return append(dst, `}}`...)
	}
	dst = append(dst, `","data":`...)
	dst = appendValues(dst, t.Type, t.Data)
	return append(dst, '}')
}
