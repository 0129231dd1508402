package ort

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/examples"
)

// tolerance is how far two runtimes may differ, of a value or of 1: they add in different orders.
const tolerance = 5e-5

const (
	recordFile     = "testdata/recorded.json"
	recordedRows   = 3
	recordedValues = 24 // of one output; of longer ones, values that lie evenly spread
)

// recording is the library's answers to the cases, whose inputs are made again from their seeds.
type recording struct {
	Version string     `json:"onnxruntime"`
	Cases   []recorded `json:"cases"`
}

type recorded struct {
	Name    string      `json:"name"`
	Outputs [][]float64 `json:"outputs"`
}

// TestRecordedAnswers holds the runtime of pure Go against what ONNX Runtime answered when its answers were
// recorded (go test -tags onnx -run Record -update): the part of the differential test that needs no library.
func TestRecordedAnswers(t *testing.T) {
	data, err := os.ReadFile(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	var want recording
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	all := cases()
	if len(want.Cases) != len(all) {
		t.Errorf("%d cases are recorded, there are %d; record them again", len(want.Cases), len(all))
	}
	for _, w := range want.Cases {
		i := slices.IndexFunc(all, func(c testCase) bool { return c.name == w.Name })
		if i < 0 {
			t.Errorf("%s is recorded and is no case", w.Name)
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			recordedCase(t, all[i], w.Outputs)
		})
	}
}

func recordedCase(t *testing.T, c testCase, want [][]float64) {
	r := rand.New(rand.NewPCG(1, 7))
	m, err := builtin.Open(c.file(t, r))
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Session()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(c.batch(t, r, m.Meta().Inputs, recordedRows), recordedRows)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range spread(out) {
		if len(got) != len(want[i]) {
			t.Fatalf("output %d has %d values; want %d", i, len(got), len(want[i]))
		}
		for j := range got {
			if !(math.Abs(got[j]-want[i][j]) <= tolerance*max(1, math.Abs(want[i][j]))) {
				t.Errorf("output %d, value %d is %v; want %v", i, j, got[j], want[i][j])
			}
		}
	}
}

func spread(out []runtime.Tensor) [][]float64 {
	var all [][]float64
	for _, t := range out {
		values := numbers(t)
		n := min(len(values), recordedValues)
		some := make([]float64, n)
		for i := range some {
			some[i] = values[i*len(values)/n]
		}
		all = append(all, some)
	}
	return all
}

// testCase is a model and what to ask it.
type testCase struct {
	name  string
	seeds uint64 // how many models of the kind
	sizes []int  // rows of the batches
	file  func(t testing.TB, r *rand.Rand) []byte
	batch func(t testing.TB, r *rand.Rand, in []runtime.Spec, rows int) []runtime.Tensor
}

func cases() []testCase {
	var all []testCase
	sizes := make([]int, 65)
	for i := range sizes {
		sizes[i] = i + 1
	}
	for _, g := range graphs() {
		all = append(all, testCase{g.name, 4, sizes,
			func(t testing.TB, r *rand.Rand) []byte { return written(t, g.make(r)) },
			func(_ testing.TB, r *rand.Rand, in []runtime.Spec, rows int) []runtime.Tensor {
				return g.batch(r, in, rows)
			}})
	}
	for _, name := range append(examples.Names(), examples.Benchmarks()...) {
		all = append(all, testCase{name, 1, []int{1, 2, 7, 8, 32, 65},
			func(t testing.TB, _ *rand.Rand) []byte { return exported(t, name) },
			func(t testing.TB, r *rand.Rand, _ []runtime.Spec, rows int) []runtime.Tensor {
				return sampled(t, name, r, rows)
			}})
	}
	return all
}
