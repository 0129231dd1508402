package ort

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// backendCases runs all cases but those whose name contains one of the exceptions.
func backendCases(t *testing.T, open func([]byte) (runtime.Model, error), except ...string) {
	root := os.Getenv("TRIMTAB_ONNX_TESTDATA")
	if root == "" {
		t.Skip("TRIMTAB_ONNX_TESTDATA names no folder with ONNX's backend cases, such as /usr/share/libonnx-testdata/data")
	}
	sets, err := filepath.Glob(filepath.Join(root, "*", "test_*", "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		t.Fatalf("no cases in %s: %v", root, err)
	}
	var passed, refused, failed int
	for _, set := range sets {
		name := filepath.Base(filepath.Dir(set))
		if slices.ContainsFunc(except, func(e string) bool { return strings.Contains(name, e) }) {
			continue
		}
		switch err := backendCase(set, open); {
		case errors.Is(err, errRefused):
			refused++
			t.Logf("%s: %v", name, err)
		case err != nil:
			failed++
			t.Errorf("%s: %v", name, err)
		default:
			passed++
		}
	}
	t.Logf("%d cases: %d pass, %d are refused, %d fail", len(sets), passed, refused, failed)
}

// errRefused is a case that the runtime does not claim to serve.
var errRefused = errors.New("not served")

// backendCase takes all inputs for rows of a batch if they can be that, else the first only: the others, such
// as weights, become constants.
func backendCase(set string, open func([]byte) (runtime.Model, error)) error {
	file, err := os.ReadFile(filepath.Join(filepath.Dir(set), "model.onnx"))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	m, err := onnx.Read(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	in, err := protos(set, "input", len(m.Graph.Inputs))
	want, err2 := protos(set, "output", len(m.Graph.Outputs))
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if len(in) == 0 || len(in[0].Dims) == 0 {
		return fmt.Errorf("%w: it has no rows", errRefused)
	}
	var refusals []error
	for _, rows := range []int{len(in), 1} {
		err := backendRun(*m, in, rows, want, open)
		if !errors.Is(err, errRefused) {
			return err
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
}

// backendRun has the first batched inputs as inputs.
func backendRun(m onnx.Model, in []onnx.Tensor, batched int, want []onnx.Tensor, open func([]byte) (runtime.Model, error)) error {
	m.Graph.Initializers = slices.Clone(m.Graph.Initializers)
	for i := batched; i < len(in); i++ {
		in[i].Name = m.Graph.Inputs[i].Name
		m.Graph.Initializers = append(m.Graph.Initializers, in[i])
	}
	m.Graph.Inputs = m.Graph.Inputs[:batched]
	var batch []runtime.Tensor
	for _, t := range in[:batched] {
		if len(t.Dims) == 0 || t.Dims[0] != in[0].Dims[0] || t.Dims[0] < 1 {
			return fmt.Errorf("%w: inputs have different numbers of rows", errRefused)
		}
		batch = append(batch, tensor(t))
	}
	for _, t := range want {
		if len(t.Dims) == 0 || t.Dims[0] != in[0].Dims[0] {
			return fmt.Errorf("%w: an answer has no row for each of the rows", errRefused)
		}
	}
	data, err := onnx.Write(&m)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	model, err := open(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	defer model.Close()
	return backendAnswers(model, batch, want)
}

func backendAnswers(model runtime.Model, batch []runtime.Tensor, want []onnx.Tensor) error {
	rows, err := model.Meta().Check(batch)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	s, err := model.Session()
	if err != nil {
		return err
	}
	out, err := s.Run(batch, rows)
	if err != nil {
		return err
	}
	for i, t := range want {
		if err := near(out[i], tensor(t), 1e-4); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
	}
	return nil
}

func protos(set, what string, n int) ([]onnx.Tensor, error) {
	var out []onnx.Tensor
	for i := range n {
		data, err := os.ReadFile(filepath.Join(set, fmt.Sprintf("%s_%d.pb", what, i)))
		if err != nil {
			return nil, err
		}
		// A tensor's file has no reader of its own: as the only constant (5) of a graph (7) of a model it has.
		graph := protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), data)
		m, err := onnx.Read(protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), graph))
		if err != nil || len(m.Graph.Initializers) != 1 {
			return nil, fmt.Errorf("read %s %d: not a tensor: %w", what, i, err)
		}
		out = append(out, m.Graph.Initializers[0])
	}
	return out, nil
}

func tensor(t onnx.Tensor) runtime.Tensor {
	kind, _ := t.Type.Runtime()
	out := runtime.Tensor{Type: kind, Data: runtime.Alloc(len(t.Data))}
	copy(out.Data, t.Data)
	for _, d := range t.Dims {
		out.Shape = append(out.Shape, int(d))
	}
	return out
}

// near returns how got differs from want by more than tolerance, of the value or of 1. What is not a float
// has to be equal.
func near(got, want runtime.Tensor, tolerance float64) error {
	if got.Type != want.Type || !slices.Equal(got.Shape, want.Shape) || len(got.Data) != len(want.Data) {
		return fmt.Errorf("%s of shape %v; want %s of shape %v", got.Type, got.Shape, want.Type, want.Shape)
	}
	if got.Type != runtime.FP32 && got.Type != runtime.FP64 {
		tolerance = 0
	}
	a, b := numbers(got), numbers(want)
	for i := range a {
		if d := math.Abs(a[i] - b[i]); a[i] != b[i] && !(d <= tolerance*max(1, math.Abs(b[i]))) && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return fmt.Errorf("value %d of %d is %v; want %v", i, len(a), a[i], b[i])
		}
	}
	return nil
}

// numbers is a tensor's values; of the types that have none here, its bytes.
func numbers(t runtime.Tensor) []float64 {
	switch t.Type {
	case runtime.FP32:
		return converted(runtime.Values[float32](t.Data))
	case runtime.FP64:
		return converted(runtime.Values[float64](t.Data))
	case runtime.Int64:
		return converted(runtime.Values[int64](t.Data))
	}
	return converted(t.Data)
}

func converted[T float32 | float64 | int64 | uint8](values []T) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
