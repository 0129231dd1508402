package examples

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// opened is a model with a session.
type opened struct {
	meta runtime.Meta
	runtime.Session
}

func open(t testing.TB, name string) opened {
	t.Helper()
	data, err := Export(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := builtin.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Session()
	if err != nil {
		t.Fatal(err)
	}
	return opened{m.Meta(), s}
}

// values runs rows laid one after the other and copies the outputs.
func (o opened) values(t testing.TB, in []float32) [][]float32 {
	t.Helper()
	x := tensor(o.meta.Inputs[0], in)
	got, err := o.Run([]runtime.Tensor{x}, x.Rows())
	if err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for _, g := range got {
		out = append(out, slices.Clone(runtime.Values[float32](g.Data)))
	}
	return out
}

func width(s runtime.Spec) int {
	n, _ := s.Width()
	return n
}

// run computes sampled rows.
func run(t *testing.T, name string, m opened, seed uint64, rows int) ([]float32, [][]float32) {
	t.Helper()
	_, in, err := Sample(name, seed, rows)
	if err != nil {
		t.Fatal(err)
	}
	return in, m.values(t, in)
}

// TestModels trains each model twice, once for all checks and once more to compare: training is most
// of the time of these tests.
func TestModels(t *testing.T) {
	for _, name := range Names() {
		m := open(t, name)
		t.Run(name+"/keeps its word", func(t *testing.T) { keepsItsWord(t, name, m) })
		t.Run(name+"/batch changes nothing", func(t *testing.T) { batchChangesNothing(t, name, m) })
		t.Run(name+"/accuracy", func(t *testing.T) { accurate(t, name, m.meta) })
		t.Run(name+"/golden", func(t *testing.T) { golden(t, m) })
		t.Run(name+"/trained again", func(t *testing.T) {
			_, a := run(t, name, m, 3, 5)
			_, b := run(t, name, open(t, name), 3, 5)
			if !slices.Equal(a[0], b[0]) {
				t.Errorf("two trainings answer %v and %v", a[0], b[0])
			}
		})
		if name == "valuation" {
			t.Run(name+"/truth", func(t *testing.T) { findsTheTruth(t, m) })
		}
	}
}

// signature is the names and shapes, which clients of these models rely on.
func signature(name string) (features int, outputs []runtime.Spec) {
	one := func(name string) runtime.Spec { return runtime.Spec{Name: name, Type: runtime.FP32, Shape: []int{1}} }
	switch name {
	case "valuation":
		return 8, []runtime.Spec{one("price"), one("confidence")}
	case "recommendation":
		return 12, []runtime.Spec{one("score"), one("confidence")}
	}
	return 0, []runtime.Spec{one("kind"), one("confidence"), {Name: "probabilities", Type: runtime.FP32, Shape: []int{6}}}
}

func keepsItsWord(t *testing.T, name string, m opened) {
	features, outputs := signature(name)
	input, _, _ := Sample(name, 1, 1)
	if fmt.Sprint(m.meta.Inputs) != fmt.Sprint([]runtime.Spec{input}) || fmt.Sprint(m.meta.Outputs) != fmt.Sprint(outputs) {
		t.Errorf("takes %v and gives %v", m.meta.Inputs, m.meta.Outputs)
	}
	if len(m.meta.Features) != features || m.meta.MaxRows != 0 || m.meta.Platform != builtin.Platform {
		t.Errorf("features %v, rows %d, platform %s", m.meta.Features, m.meta.MaxRows, m.meta.Platform)
	}
	in, out := run(t, name, m, 7, 9)
	for i, o := range outputs {
		if len(in) != 9*width(input) || len(out[i]) != 9*width(o) {
			t.Errorf("output %s has %d values for %d inputs", o.Name, len(out[i]), len(in))
		}
	}
	for _, c := range out[1] {
		if !(c >= 0 && c <= 1) {
			t.Errorf("confidence %v is not in 0..1", c)
		}
	}
	if slices.Min(out[0]) == slices.Max(out[0]) {
		t.Errorf("nine different rows all give %v", out[0][0])
	}
}

// golden: the rows that travel with the model give the answers that travel with them.
func golden(t *testing.T, m opened) {
	if len(m.meta.Golden) != goldenRows {
		t.Fatalf("%d golden rows, want %d", len(m.meta.Golden), goldenRows)
	}
	for _, g := range m.meta.Golden {
		out := m.values(t, runtime.Values[float32](g.Inputs[0].Data))
		for i, want := range g.Outputs {
			for k, w := range runtime.Values[float32](want.Data) {
				if !near(out[i][k], float64(w)) {
					t.Errorf("output %d is %v, want %v", i, out[i], w)
				}
			}
		}
	}
}

// batchChangesNothing: a row's answer does not depend on who is in the batch with it. Sums may be
// grouped otherwise, so to one part in 10,000.
func batchChangesNothing(t *testing.T, name string, m opened) {
	in, all := run(t, name, m, 5, 7)
	w := len(in) / 7
	for i := range 7 {
		one := m.values(t, in[i*w:(i+1)*w])
		if a, b := float64(one[0][0]), float64(all[0][i]); math.Abs(a-b) > 1e-4*math.Abs(b) {
			t.Errorf("row %d alone gives %v, in a batch %v", i, a, b)
		}
	}
}

// accurate on rows never seen.
func accurate(t *testing.T, name string, m runtime.Meta) {
	least := map[string]float64{
		"valuation":      0.95, // r2; the truth itself has 0.996, for the noise of 4 %
		"recommendation": 0.85, // share-right; the truth itself has 0.909, for the coin in it
		"image":          0.90, // share-right; 1/6 by chance
	}
	t.Logf("%s: %s %.4f", name, m.Measure, m.Accuracy)
	if !(m.Accuracy >= least[name] && m.Accuracy <= 1) {
		t.Errorf("accuracy %.3f, want at least %.2f", m.Accuracy, least[name])
	}
}

// findsTheTruth measures against the prices without noise, on rows of another seed.
func findsTheTruth(t *testing.T, m opened) {
	r := rand.New(rand.NewPCG(99, 99))
	in, truth := make([]float32, 500*valuationWidth), make([]float32, 500)
	for i := range truth {
		truth[i] = float32(sampleProperty(r, in[i*valuationWidth:(i+1)*valuationWidth]))
	}
	out := m.values(t, in)
	if got := r2(out[0], truth); got < 0.95 {
		t.Errorf("r2 %.3f, want at least 0.95", got)
	}
	if got := r2(slices.Repeat([]float32{mean(truth)}, 500), truth); math.Abs(got) > 1e-3 {
		t.Errorf("the mean itself has r2 %.4f, want 0", got)
	}
}

// TestBenchmarks: the models of random weights open, and different rows give different answers.
func TestBenchmarks(t *testing.T) {
	for _, name := range Benchmarks() {
		if name == "mlp-large" && testing.Short() {
			continue
		}
		m := open(t, name)
		_, out := run(t, name, m, 1, 3)
		w := width(m.meta.Outputs[0])
		if len(out[0]) != 3*w || slices.Equal(out[0][:w], out[0][w:2*w]) {
			t.Errorf("%s answers %v", name, out[0])
		}
	}
}

// TestReadable: other readers go by the versions that the file states.
func TestReadable(t *testing.T) {
	data, err := Export("trees-500x6")
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := m.Version("")
	ml, _ := m.Version(onnx.DomainML)
	if m.IR != 8 || base != 13 || ml != 3 || m.Graph.Name != "trees-500x6" {
		t.Errorf("IR %d, opsets %d and %d, graph %q", m.IR, base, ml, m.Graph.Name)
	}
	if again, err := Export("trees-500x6"); err != nil || !slices.Equal(again, data) {
		t.Errorf("a second export differs, or %v", err)
	}
}

func TestUnknownModel(t *testing.T) {
	if _, err := Export("nothing"); err == nil {
		t.Error("a model that is not there was exported")
	}
	if _, _, err := Sample("nothing", 1, 1); err == nil {
		t.Error("a model that is not there was sampled")
	}
}

// BenchmarkRun is the time of a batch. Inputs rotate: the same rows again and again would be learnt
// by the processor's branch predictor.
func BenchmarkRun(b *testing.B) {
	for _, name := range append(Names(), Benchmarks()...) {
		for _, rows := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", name, rows), func(b *testing.B) {
				m := open(b, name)
				spec, in, _ := Sample(name, 1, 64*rows)
				w := rows * width(spec)
				for i := 0; b.Loop(); i = (i + 1) % 64 {
					m.Run([]runtime.Tensor{tensor(spec, in[i*w:(i+1)*w])}, rows)
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				open(b, name)
			}
		})
	}
}
