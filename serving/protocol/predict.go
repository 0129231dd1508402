package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
)

// DecodePredict reads the body of the article's POST /predict into r: {"instances": [[...], ...]} or one flat
// object of features by name, which may have the routing names too. Several is the first form: the answer has
// arrays then. The features are the names of the values of a row. Nothing in r refers to body afterwards.
func DecodePredict(body []byte, meta runtime.Meta, features, routing []string, r *InferRequest) (several bool, err error) {
	if len(meta.Inputs) != 1 {
		return false, errors.New("the model has several inputs; use the Open Inference Protocol")
	}
	d := &r.rows
	d.begin(body, meta, features, routing, r)
	defer d.forget()
	if d.unnamed = errors.New(`the model's features have no names; send {"instances": [...]}`); len(features) > 0 {
		d.unnamed = d.widths(0)
	}
	if err := d.object(d.predictField); err != nil {
		return false, err
	}
	if d.several {
		return true, d.end()
	}
	if err := errors.Join(d.unnamed, d.ended()); err != nil {
		return false, err
	}
	return false, d.flat()
}

// predictField reads a field of the body. Where it has instances, the others mean nothing.
func (d *rowDecoder) predictField(name []byte) error {
	if string(name) == "instances" {
		d.several = true
		return about("read instances", d.arrays(0, "instances", false))
	}
	if d.several || d.unnamed != nil {
		return d.skip()
	}
	if i := indexOf(d.features, name); i >= 0 {
		d.got[i] = true
		return d.feature(i, 0)
	}
	if indexOf(d.routing, name) < 0 {
		d.faults = append(d.faults, fmt.Sprintf("%.50q is not a feature", name))
	}
	return d.skip()
}

// flat finishes a request that is a flat object. All faults are told at once.
func (d *rowDecoder) flat() error {
	for i, got := range d.got {
		if !got {
			d.faults = append(d.faults, d.features[i]+" is missing")
		}
	}
	if len(d.faults) > 0 {
		slices.Sort(d.faults)
		return errors.New(strings.Join(d.faults, "; "))
	}
	in := &d.r.Inputs[0]
	in.Shape = append(append(in.Shape[:0], 1), d.meta.Inputs[0].Shape...)
	return d.end()
}

// AppendPredict appends the article's answer: the prediction of each row, a number or an array after the first
// output's width, and the confidence of each, null if the model gives none; without arrays around them unless
// there were several rows.
func AppendPredict(dst []byte, a Answer, several bool) []byte {
	dst = append(dst, `{"prediction":`...)
	dst = appendPredictions(dst, a.Outputs[0], several)
	dst = append(dst, `,"model_version":`...)
	dst = appendString(dst, a.Version)
	dst = append(dst, `,"confidence":`...)
	dst = appendConfidence(dst, a, several)
	return append(dst, '}')
}

func appendPredictions(dst []byte, t runtime.Tensor, several bool) []byte {
	flat := runtime.Tensor{Type: t.Type, Shape: []int{t.Rows(), -1}, Data: t.Data}
	if !several {
		return appendRow(dst, flat, 0)
	}
	dst = append(dst, '[')
	for row := range t.Rows() {
		if row > 0 {
			dst = append(dst, ',')
		}
		dst = appendRow(dst, flat, row)
	}
	return append(dst, ']')
}

func appendConfidence(dst []byte, a Answer, several bool) []byte {
	i := slices.IndexFunc(a.Specs, func(s runtime.Spec) bool { return s.Name == runtime.Confidence })
	switch {
	case i < 0 || len(a.Outputs[i].Data) == 0:
		return append(dst, "null"...) // absent is not zero
	case several:
		return appendValues(dst, a.Outputs[i].Type, a.Outputs[i].Data)
	}
	return appendElements(dst, a.Outputs[i].Type, a.Outputs[i].Data[:a.Outputs[i].Type.Size()])
}

// Field returns the string, or the number's text, that stands under a name of the object that body is: the first
// such, false where there is none. It reads no further than there, so what follows may be no JSON at all.
func Field(body []byte, name string) (value string, ok bool) {
	s := scanner{text: body}
	found := errors.New("found") // ends the reading
	err := s.object(func(field []byte) error {
		if string(field) != name {
			return s.skip()
		}
		var text []byte
		var err error
		if s.peek() == '"' {
			text, err = s.str()
		} else {
			text, err = s.number()
		}
		if err != nil {
			return err
		}
		value = string(text)
		return found
	})
	return value, err == found
}
