package runtime

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func open(t *testing.T, name string) Model {
	t.Helper()
	m, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run computes sampled rows and fails the test on an error.
func run(t *testing.T, m Model, seed uint64, rows int) ([]float32, [][]float32) {
	t.Helper()
	_, in, err := Sample(m.Meta().Name, seed, rows)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Run(in, rows)
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// TestModels trains each model twice, once for all checks and once more to compare: training is most
// of the time of these tests.
func TestModels(t *testing.T) {
	for _, name := range Names() {
		m := open(t, name)
		t.Run(name+"/keeps its word", func(t *testing.T) { keepsItsWord(t, name, m) })
		t.Run(name+"/batch changes nothing", func(t *testing.T) { batchChangesNothing(t, m) })
		t.Run(name+"/accuracy", func(t *testing.T) { accurate(t, m.Meta()) })
		t.Run(name+"/trained again", func(t *testing.T) {
			_, a := run(t, m, 3, 5)
			_, b := run(t, open(t, name), 3, 5)
			if !slices.Equal(a[0], b[0]) {
				t.Errorf("two trainings answer %v and %v", a[0], b[0])
			}
		})
		if name == "valuation" {
			t.Run(name+"/truth", func(t *testing.T) { findsTheTruth(t, m) })
			t.Run(name+"/wrong input", func(t *testing.T) { refusesWrongInput(t, m) })
		}
	}
}

func keepsItsWord(t *testing.T, name string, m Model) {
	meta := m.Meta()
	in, out := run(t, m, 7, 9)
	if meta.Name != name || len(in) != 9*meta.Input.Width() || len(out) != len(meta.Outputs) {
		t.Fatalf("meta %+v does not fit %d inputs, %d outputs", meta, len(in), len(out))
	}
	for i, o := range meta.Outputs {
		if len(out[i]) != 9*o.Width() {
			t.Errorf("output %s has %d values, want %d", o.Name, len(out[i]), 9*o.Width())
		}
	}
	if n := len(meta.Features); n != 0 && n != meta.Input.Width() {
		t.Errorf("%d feature names for %d values", n, meta.Input.Width())
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

// batchChangesNothing: a row's answer does not depend on who is in the batch with it. Sums may be
// grouped otherwise, so to one part in 10,000.
func batchChangesNothing(t *testing.T, m Model) {
	in, all := run(t, m, 5, 7)
	w := m.Meta().Input.Width()
	for i := range 7 {
		one, err := m.Run(in[i*w:(i+1)*w], 1)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := float64(one[0][0]), float64(all[0][i]); math.Abs(a-b) > 1e-4*math.Abs(b) {
			t.Errorf("row %d alone gives %v, in a batch %v", i, a, b)
		}
	}
}

// accurate on rows never seen.
func accurate(t *testing.T, m Meta) {
	least := map[string]float64{
		"valuation":      0.95, // r2; the truth itself has 0.996, for the noise of 4 %
		"recommendation": 0.85, // share-right; the truth itself has 0.909, for the coin in it
		"image":          0.90, // share-right; 1/6 by chance
	}
	t.Logf("%s: %s %.4f", m.Name, m.Measure, m.Accuracy)
	if !(m.Accuracy >= least[m.Name] && m.Accuracy <= 1) {
		t.Errorf("accuracy %.3f, want at least %.2f", m.Accuracy, least[m.Name])
	}
}

// findsTheTruth measures against the prices without noise, on rows of another seed.
func findsTheTruth(t *testing.T, m Model) {
	r := rand.New(rand.NewPCG(99, 99))
	in, truth := make([]float32, 500*valuationWidth), make([]float32, 500)
	for i := range truth {
		truth[i] = float32(sampleProperty(r, in[i*valuationWidth:(i+1)*valuationWidth]))
	}
	out, err := m.Run(in, 500)
	if err != nil {
		t.Fatal(err)
	}
	if got := r2(out[0], truth); got < 0.95 {
		t.Errorf("r2 %.3f, want at least 0.95", got)
	}
	if got := r2(slices.Repeat([]float32{mean(truth)}, 500), truth); math.Abs(got) > 1e-3 {
		t.Errorf("the mean itself has r2 %.4f, want 0", got)
	}
}

func refusesWrongInput(t *testing.T, m Model) {
	for _, rows := range []int{-1, 0, 1, 3} {
		if _, err := m.Run(make([]float32, 16), rows); err == nil {
			t.Errorf("16 values passed as %d rows of 8", rows)
		}
	}
}

func TestUnknownModel(t *testing.T) {
	if _, err := Open("nothing"); err == nil {
		t.Error("a model that is not there was opened")
	}
	if _, _, err := Sample("nothing", 1, 1); err == nil {
		t.Error("a model that is not there was sampled")
	}
}

// BenchmarkRun is the time of a batch. Inputs rotate: the same rows again and again would be learnt
// by the processor's branch predictor.
func BenchmarkRun(b *testing.B) {
	for _, name := range Names() {
		for _, rows := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", name, rows), func(b *testing.B) {
				m, _ := Open(name)
				_, in, _ := Sample(name, 1, 64*rows)
				w := rows * m.Meta().Input.Width()
				for i := 0; b.Loop(); i = (i + 1) % 64 {
					m.Run(in[i*w:(i+1)*w], rows)
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Open(name)
			}
		})
	}
}
