package serving

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
)

// inferRequest is the Open Inference Protocol's request. Parameters and unknown fields are ignored,
// as the protocol allows.
type inferRequest struct {
	ID      string        `json:"id"`
	Inputs  []inputTensor `json:"inputs"`
	Outputs []struct {
		Name string `json:"name"`
	} `json:"outputs"`
}

type inputTensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     tensor `json:"data"`
}

type inferResponse struct {
	ModelName    string         `json:"model_name"`
	ModelVersion string         `json:"model_version"`
	ID           string         `json:"id,omitempty"`
	Outputs      []outputTensor `json:"outputs"`
}

type outputTensor struct {
	Name     string    `json:"name"`
	Shape    []int     `json:"shape"`
	Datatype string    `json:"datatype"`
	Data     []float32 `json:"data"`
}

// infer is POST /v2/models/{name}/infer.
func (s *Server) infer(w http.ResponseWriter, q *http.Request) error {
	if err := s.named(q); err != nil {
		return err
	}
	var body inferRequest
	if err := s.decode(w, q, &body); err != nil {
		return err
	}
	meta := *s.meta.Load()
	rows, err := rowsOf(body.Inputs, meta.Input)
	if err != nil {
		return err
	}
	wanted, err := wantedOutputs(body, meta)
	if err != nil {
		return err
	}
	out, err := s.compute(q, body.Inputs[0].Data.values, rows)
	if err != nil {
		return err
	}
	answer := inferResponse{ModelName: s.cfg.Name, ModelVersion: s.cfg.Version, ID: body.ID}
	for _, i := range wanted {
		o := meta.Outputs[i]
		answer.Outputs = append(answer.Outputs, outputTensor{o.Name, append([]int{rows}, o.Shape...), "FP32", out[i]})
	}
	return writeJSON(w, http.StatusOK, answer)
}

// compute sends rows through the engine; a request that could never fit is refused for good.
func (s *Server) compute(q *http.Request, in []float32, rows int) ([][]float32, error) {
	if most := s.cfg.Limits.MaxQueueRows; rows > most {
		return nil, refuse(http.StatusRequestEntityTooLarge, "request has %d rows; at most %d, send it in parts", rows, most)
	}
	out, err := s.engine.infer(q.Context(), in, rows)
	return out, reasonOf(err)
}

// rowsOf checks the one input against what the model takes and returns its number of rows.
func rowsOf(inputs []inputTensor, want runtime.Tensor) (int, error) {
	bad := func(format string, args ...any) (int, error) {
		return 0, refuse(http.StatusBadRequest, format, args...)
	}
	if len(inputs) != 1 || inputs[0].Name != want.Name {
		return bad("request has %d inputs; the model has one, %q", len(inputs), want.Name)
	}
	in := inputs[0]
	if len(in.Shape) != 1+len(want.Shape) || in.Shape[0] < 1 || !slices.Equal(in.Shape[1:], want.Shape) {
		return bad("input %q has shape %v; the model takes [rows]+%v", in.Name, in.Shape, want.Shape)
	}
	if n := in.Shape[0]; n > len(in.Data.values) || n*want.Width() != len(in.Data.values) {
		return bad("input %q has shape %v and %d values", in.Name, in.Shape, len(in.Data.values))
	}
	if len(in.Data.dims) != 1 && !slices.Equal(in.Data.dims, in.Shape) {
		return bad("input %q has shape %v and data nested as %v", in.Name, in.Shape, in.Data.dims)
	}
	switch in.Datatype {
	case "FP32", "FP64":
	case "INT64":
		if !in.Data.integers {
			return bad("input %q is INT64 and has values that are not integers", in.Name)
		}
	default:
		return bad("input %q has datatype %.20q; FP32, FP64 or INT64", in.Name, in.Datatype)
	}
	return in.Shape[0], nil
}

// wantedOutputs returns the indexes of the outputs asked for, in the order asked; all when none is named.
func wantedOutputs(body inferRequest, meta runtime.Meta) ([]int, error) {
	var wanted []int
	for _, o := range body.Outputs {
		i := slices.IndexFunc(meta.Outputs, func(t runtime.Tensor) bool { return t.Name == o.Name })
		if i < 0 || slices.Contains(wanted, i) {
			return nil, refuse(http.StatusBadRequest, "output %.50q is not one of the model's, or is asked for twice", o.Name)
		}
		wanted = append(wanted, i)
	}
	if len(body.Outputs) > 0 {
		return wanted, nil
	}
	for i := range meta.Outputs {
		wanted = append(wanted, i)
	}
	return wanted, nil
}

// decode reads a JSON body of at most MaxBody bytes into v.
func (s *Server) decode(w http.ResponseWriter, q *http.Request, v any) error {
	if q.Header.Get("Inference-Header-Content-Length") != "" {
		return refuse(http.StatusBadRequest, "binary tensors are not served; send data as JSON")
	}
	if e := q.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return refuse(http.StatusUnsupportedMediaType, "content encoding %.20q is not served; send it plain", e)
	}
	var buf bytes.Buffer
	if q.ContentLength > 0 && q.ContentLength <= s.cfg.MaxBody {
		buf.Grow(int(q.ContentLength) + bytes.MinRead)
	}
	_, err := io.Copy(&buf, http.MaxBytesReader(w, q.Body, s.cfg.MaxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, "body is larger than %d bytes; send it in parts", tooLarge.Limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return shed(ShedCancelled)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "read the body: %w", err)
	}
	if err := json.Unmarshal(buf.Bytes(), v); err != nil {
		return refuse(http.StatusBadRequest, "read the body as JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
