package serving

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
)

// prediction is the article's answer: numbers for one row of named features, arrays for instances.
type prediction struct {
	Prediction   any    `json:"prediction"`
	ModelVersion string `json:"model_version"`
	Confidence   any    `json:"confidence"`
}

// predict is the article's POST /predict. The body is {"instances": [[...], ...]} or one flat object
// of features by name.
func (s *Server) predict(w http.ResponseWriter, q *http.Request) error {
	var body map[string]json.RawMessage
	if err := s.decode(w, q, &body); err != nil {
		return err
	}
	meta := *s.meta.Load()
	instances, several := body["instances"]
	if !several {
		row, err := flatRow(body, meta.Features)
		if err != nil {
			return err
		}
		out, err := s.compute(q, row, 1)
		if err != nil {
			return err
		}
		p, sure := shaped(out, meta)
		return writeJSON(w, http.StatusOK, prediction{p[0], s.cfg.Version, first(sure)})
	}
	in, rows, err := instanceRows(instances, meta.Input)
	if err != nil {
		return err
	}
	out, err := s.compute(q, in, rows)
	if err != nil {
		return err
	}
	p, sure := shaped(out, meta)
	return writeJSON(w, http.StatusOK, prediction{p, s.cfg.Version, sure})
}

// instanceRows reads an array of rows; each is nested as the input's shape or flat.
func instanceRows(text json.RawMessage, want runtime.Tensor) ([]float32, int, error) {
	var t tensor
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, 0, refuse(http.StatusBadRequest, "read instances: %w", err)
	}
	rows := t.dims[0]
	nested := slices.Equal(t.dims[1:], want.Shape) || slices.Equal(t.dims[1:], []int{want.Width()})
	if rows < 1 || !nested || len(t.values) != rows*want.Width() {
		return nil, 0, refuse(http.StatusBadRequest, "instances are %v; the model takes [rows]+%v", t.dims, want.Shape)
	}
	return t.values, rows, nil
}

// flatRow reads one row of named features. All faults are told at once.
func flatRow(body map[string]json.RawMessage, features []string) ([]float32, error) {
	if len(features) == 0 {
		return nil, refuse(http.StatusBadRequest, `the model's features have no names; send {"instances": [...]}`)
	}
	var faults []string
	row := make([]float32, len(features))
	for i, name := range features {
		text, ok := body[name]
		if !ok {
			faults = append(faults, name+" is missing")
		} else if string(text) == "null" || json.Unmarshal(text, &row[i]) != nil {
			faults = append(faults, name+" is not a number")
		}
	}
	for name := range body {
		if !slices.Contains(features, name) {
			faults = append(faults, fmt.Sprintf("%.50q is not a feature", name))
		}
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return nil, refuse(http.StatusBadRequest, "%s", strings.Join(faults, "; "))
	}
	return row, nil
}

// shaped returns the prediction of each row, a number or an array after the first output's width,
// and the confidence of each, nil if the model gives none.
func shaped(out [][]float32, meta runtime.Meta) (predictions []any, confidence []float32) {
	width := meta.Outputs[0].Width()
	for row := range slices.Chunk(out[0], width) {
		if width == 1 {
			predictions = append(predictions, row[0])
			continue
		}
		predictions = append(predictions, row)
	}
	i := slices.IndexFunc(meta.Outputs, func(t runtime.Tensor) bool { return t.Name == runtime.Confidence })
	if i < 0 {
		return predictions, nil
	}
	return predictions, out[i]
}

// first is the first value, or nil: absent is not zero.
func first(x []float32) any {
	if len(x) == 0 {
		return nil
	}
	return x[0]
}
