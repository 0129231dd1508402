//go:build onnx

package ort

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// found is the library, or the end of the test where there is none.
func found(t testing.TB) string {
	t.Helper()
	name := Find(os.Getenv, func(file string) bool { _, err := os.Stat(file); return err == nil })
	if _, err := load(name); err != nil {
		t.Skipf("no library: %v", err)
	}
	return name
}

func opened(t testing.TB, g onnx.Graph, threads int) runtime.Model {
	t.Helper()
	m, err := Open(found(t), written(t, g), threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func session1(t testing.TB, m runtime.Model) runtime.Session {
	t.Helper()
	s, err := m.Session()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func floats(shape []int, v ...float32) runtime.Tensor {
	data := runtime.Alloc(4 * len(v))
	copy(data, runtime.Data(v))
	return runtime.Tensor{Type: runtime.FP32, Shape: shape, Data: data}
}

// affine is y = x·W + b with W = [[1 2] [3 4] [5 6]] and b = [10 20].
func affine(rows int64) onnx.Graph {
	return onnx.Graph{Name: "affine",
		Nodes:        []onnx.Node{node("Gemm", "x w b", "y")},
		Initializers: []onnx.Tensor{onnx.Floats32("w", []float32{1, 2, 3, 4, 5, 6}, 3, 2), onnx.Floats32("b", []float32{10, 20}, 2)},
		Inputs:       []onnx.Value{value("x", onnx.Float, rows, 3)},
		Outputs:      []onnx.Value{value("y", onnx.Float, rows, 2)},
	}
}

func TestRun(t *testing.T) {
	m := opened(t, affine(-1), 1)
	meta := m.Meta()
	if meta.MaxRows != 0 || len(meta.Inputs) != 1 || meta.Inputs[0].Name != "x" || !slices.Equal(meta.Inputs[0].Shape, []int{3}) ||
		meta.Outputs[0].Name != "y" || !slices.Equal(meta.Outputs[0].Shape, []int{2}) || meta.Inputs[0].Type != runtime.FP32 {
		t.Errorf("meta is %+v", meta)
	}
	s := session1(t, m)
	// [1 1 1]: 9+10, 12+20; [1 0 2]: 11+10, 14+20
	out, err := s.Run([]runtime.Tensor{floats([]int{2, 3}, 1, 1, 1, 1, 0, 2)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := runtime.Values[float32](out[0].Data); !slices.Equal(got, []float32{19, 32, 21, 34}) || !slices.Equal(out[0].Shape, []int{2, 2}) {
		t.Errorf("got %v of %v", got, out[0].Shape)
	}
}

// TestMetadata writes what a model says of itself and reads it by the library.
func TestMetadata(t *testing.T) {
	want := runtime.Meta{Features: []string{"a", "b", "c"}, Accuracy: 0.75, Measure: "r2",
		Inputs: []runtime.Spec{{Name: "x"}}, Outputs: []runtime.Spec{{Name: "y"}},
		Golden: []runtime.Golden{{Inputs: []runtime.Tensor{floats([]int{1, 3}, 1, 1, 1)}, Outputs: []runtime.Tensor{floats([]int{1, 2}, 19, 32)}}}}
	props, err := onnx.Annotations(want)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.Write(&onnx.Model{IR: onnx.IRVersion, Graph: affine(-1), Props: props, Opsets: []onnx.Opset{{Version: onnx.Opset13}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(found(t), data, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := m.Meta()
	if !slices.Equal(got.Features, want.Features) || got.Accuracy != 0.75 || got.Measure != "r2" || !reflect.DeepEqual(got.Golden, want.Golden) {
		t.Errorf("read %+v", got)
	}
}

// TestTypes sends every type through two models: one that gives it back, and one with two inputs.
func TestTypes(t *testing.T) {
	for kind := onnx.Float; kind <= onnx.BFloat16; kind++ {
		want, ok := kind.Runtime()
		if !ok || kind == onnx.BFloat16 {
			continue // opset 13 has bfloat16, the library's kernels do not
		}
		m := opened(t, onnx.Graph{
			Nodes:   []onnx.Node{node("Identity", "a", "c"), node("Identity", "b", "d")},
			Inputs:  []onnx.Value{value("a", kind, -1, -1, 2), value("b", onnx.Int64, -1)},
			Outputs: []onnx.Value{value("c", kind, -1, -1, 2), value("d", onnx.Int64, -1)},
		}, 1)
		if got := m.Meta().Inputs[0]; got.Type != want || !slices.Equal(got.Shape, []int{-1, 2}) {
			t.Errorf("%s is described as %+v", kind, got)
		}
		a := runtime.Tensor{Type: want, Shape: []int{3, 5, 2}, Data: runtime.Alloc(30 * want.Size())}
		for i := range a.Data {
			a.Data[i] = byte(i % 2) // good for a bool as well
		}
		b := runtime.Tensor{Type: runtime.Int64, Shape: []int{3}, Data: runtime.Data([]int64{7, -8, 9})}
		out, err := session1(t, m).Run([]runtime.Tensor{a, b}, 3)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !slices.Equal(out[0].Data, a.Data) || !slices.Equal(out[0].Shape, a.Shape) || !slices.Equal(out[1].Data, b.Data) || len(out[1].Shape) != 1 {
			t.Errorf("%s: got %v", kind, out)
		}
	}
}

func TestFixedBatch(t *testing.T) {
	m := opened(t, affine(4), 1)
	if m.Meta().MaxRows != 4 {
		t.Fatalf("MaxRows is %d", m.Meta().MaxRows)
	}
	s := session1(t, m)
	for rows := 1; rows <= 4; rows++ {
		in := floats([]int{rows, 3}, slices.Repeat([]float32{1, 1, 1}, rows)...)
		out, err := s.Run([]runtime.Tensor{in}, rows)
		if err != nil {
			t.Fatal(err)
		}
		if got := runtime.Values[float32](out[0].Data); !slices.Equal(got, slices.Repeat([]float32{19, 32}, rows)) || out[0].Rows() != rows {
			t.Errorf("%d rows: %v of %v", rows, got, out[0].Shape)
		}
	}
	if _, err := s.Run([]runtime.Tensor{floats([]int{5, 3}, make([]float32, 15)...)}, 5); err == nil {
		t.Error("5 rows ran")
	}
}

func TestOpenRefuses(t *testing.T) {
	library := found(t)
	for _, c := range []struct{ name, library, file, want string }{
		{"no library", "/no/such.so", "x", "make onnxruntime"},
		{"another library", "libc.so.6", "x", "not ONNX Runtime"},
		{"empty", library, "", "empty"},
		{"no model", library, "this is no model", "ONNX Runtime 1."},
		{"strings", library, string(written(t, onnx.Graph{
			Nodes:   []onnx.Node{node("Identity", "a", "b")},
			Inputs:  []onnx.Value{value("a", onnx.String, -1, 2)},
			Outputs: []onnx.Value{value("b", onnx.String, -1, 2)}})), `input "a" holds strings`},
		{"scalar", library, string(written(t, onnx.Graph{
			Nodes:   []onnx.Node{node("Identity", "a", "b")},
			Inputs:  []onnx.Value{{Name: "a", Type: onnx.Float, Shaped: true}},
			Outputs: []onnx.Value{{Name: "b", Type: onnx.Float, Shaped: true}}})), `input "a" is a scalar`},
		{"two batch axes", library, string(written(t, onnx.Graph{
			Nodes:   []onnx.Node{node("Identity", "a", "c"), node("Identity", "b", "d")},
			Inputs:  []onnx.Value{value("a", onnx.Float, 2), value("b", onnx.Float, 3)},
			Outputs: []onnx.Value{value("c", onnx.Float, 2), value("d", onnx.Float, 3)}})), "batches of 3, another input of 2"},
		{"no such op", library, string(written(t, onnx.Graph{
			Nodes:   []onnx.Node{node("Frobnicate", "a", "b")},
			Inputs:  []onnx.Value{value("a", onnx.Float, -1)},
			Outputs: []onnx.Value{value("b", onnx.Float, -1)}})), "Frobnicate"},
		{"a sequence", library, string(written(t, onnx.Graph{
			Nodes:   []onnx.Node{node("SplitToSequence", "a", "b"), node("Identity", "a", "c")},
			Inputs:  []onnx.Value{value("a", onnx.Float, -1, 2)},
			Outputs: []onnx.Value{{Name: "b"}, value("c", onnx.Float, -1, 2)}})), `output "b"`},
	} {
		m, err := Open(c.library, []byte(c.file), 1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if m != nil {
			t.Errorf("%s: a model came with the error", c.name)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	m := opened(t, affine(-1), 1)
	s := session1(t, m)
	good := floats([]int{1, 3}, 1, 1, 1)
	for _, c := range []struct {
		name string
		in   []runtime.Tensor
		want string
	}{
		{"two inputs", []runtime.Tensor{good, good}, "2 inputs"},
		{"too narrow", []runtime.Tensor{floats([]int{1, 2}, 1, 1)}, "ONNX Runtime 1."},
		{"too short", []runtime.Tensor{floats([]int{2, 3}, 1, 1)}, "8 bytes"},
		{"another type", []runtime.Tensor{{Type: runtime.Int32, Shape: []int{1, 3}, Data: runtime.Alloc(12)}}, "INT32"},
		{"no rows", []runtime.Tensor{{Type: runtime.FP32, Shape: []int{0, 3}}}, "0 bytes"},
	} {
		if _, err := s.Run(c.in, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := s.Run([]runtime.Tensor{good}, 1); err != nil {
		t.Errorf("a good batch after bad ones: %v", err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Run([]runtime.Tensor{good}, 1); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

func TestOutputWithoutRows(t *testing.T) {
	m := opened(t, onnx.Graph{
		Nodes:   []onnx.Node{node("ReduceSum", "x", "y", onnx.Attribute{Name: "keepdims", Kind: onnx.KindInt})},
		Inputs:  []onnx.Value{value("x", onnx.Float, -1, 3)},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.Float, Shaped: true}},
	}, 1)
	if _, err := session1(t, m).Run([]runtime.Tensor{floats([]int{1, 3}, 1, 1, 1)}, 1); err == nil || !strings.Contains(err.Error(), "not the batch's") {
		t.Errorf("got %v", err)
	}
}

// TestSessionsTogether runs many workers on one model: everybody gets their own rows.
func TestSessionsTogether(t *testing.T) {
	m := opened(t, affine(-1), 2)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			s, r := session1(t, m), rand.New(rand.NewPCG(uint64(w), 0))
			for range 200 {
				if err := oneBatch(s, r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func oneBatch(s runtime.Session, r *rand.Rand) error {
	rows := 1 + r.IntN(9)
	in := floats([]int{rows, 3}, make([]float32, 3*rows)...)
	x := runtime.Values[float32](in.Data)
	for i := range x {
		x[i] = float32(r.IntN(100)) // sums of whole numbers are exact
	}
	out, err := s.Run([]runtime.Tensor{in}, rows)
	if err != nil {
		return err
	}
	for i, y := range runtime.Values[float32](out[0].Data) {
		row, j := x[i/2*3:], float32(i%2)
		if want := row[0]*(1+j) + row[1]*(3+j) + row[2]*(5+j) + 10 + 10*j; y != want {
			return fmt.Errorf("row %d of %d: %v, want %v", i/2, rows, y, want)
		}
	}
	return nil
}
