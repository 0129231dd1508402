package sim

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

func open(t *testing.T, m runtime.Model) runtime.Session {
	t.Helper()
	s, err := m.Session()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func floats(shape []int, v ...float32) runtime.Tensor {
	return runtime.Tensor{Type: runtime.FP32, Shape: shape, Data: runtime.Data(v)}
}

func TestTook(t *testing.T) {
	linear := Spec{Fixed: 700 * time.Microsecond, PerRow: 85 * time.Microsecond}
	hinge := Spec{Fixed: 50 * time.Microsecond, PerRow: 12 * time.Microsecond, Hinge: true}
	for _, c := range []struct {
		spec Spec
		rows int
		want time.Duration
	}{
		{linear, 1, 785 * time.Microsecond},
		{linear, 64, 6140 * time.Microsecond}, // 700 + 64 × 85
		{hinge, 4, 50 * time.Microsecond},     // 48 is less
		{hinge, 5, 60 * time.Microsecond},
	} {
		if got := c.spec.Took(c.rows); got != c.want {
			t.Errorf("%+v, %d rows: %v, want %v", c.spec, c.rows, got, c.want)
		}
	}
}

// TestRunTakesItsTime runs in virtual time, so that the sleep is exact.
func TestRunTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, New(Spec{Fixed: time.Second, PerRow: time.Millisecond}))
		begin := time.Now()
		if _, err := s.Run([]runtime.Tensor{floats([]int{3, 1}, 1, 2, 3)}, 3); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 1003*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestSpinTakesAtLeastItsTime(t *testing.T) {
	s := open(t, New(Spec{Fixed: 2 * time.Millisecond, Spin: true}))
	begin := time.Now()
	if _, err := s.Run([]runtime.Tensor{floats([]int{1, 1}, 1)}, 1); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestAnswers(t *testing.T) {
	// 1×1 + 2×2 + 3×10 = 35, and 1×4 + 2×5 + 3×6 = 32
	s := open(t, New(Spec{Inputs: spec(runtime.FP32, 3), Outputs: spec(runtime.FP32, 2)}))
	out, err := s.Run([]runtime.Tensor{floats([]int{2, 3}, 1, 2, 10, 4, 5, 6)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := runtime.Values[float32](out[0].Data); !slices.Equal(got, []float32{35, 36, 32, 33}) || !slices.Equal(out[0].Shape, []int{2, 2}) {
		t.Errorf("got %v of %v", got, out[0].Shape)
	}
	if got := Answer([]float32{4, 5, 6}, 2); !slices.Equal(got, []float32{32, 33}) {
		t.Errorf("Answer gives %v", got)
	}
}

func spec(t runtime.Type, shape ...int) []runtime.Spec {
	return []runtime.Spec{{Name: "v", Type: t, Shape: shape}}
}

// TestRowsAreTheirOwn holds a batch of rows, of every type, against the same rows alone.
func TestRowsAreTheirOwn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for kind := runtime.Bool; kind <= runtime.FP64; kind++ {
		m := New(Spec{Inputs: append(spec(kind, -1), spec(runtime.Int32, 2)...), Outputs: append(spec(kind, -1), spec(kind)...)})
		const rows, width = 5, 4
		a := runtime.Tensor{Type: kind, Shape: []int{rows, width}, Data: runtime.Alloc(rows * width * kind.Size())}
		b := runtime.Tensor{Type: runtime.Int32, Shape: []int{rows, 2}, Data: runtime.Alloc(rows * 8)}
		for i := range rows * width {
			codecOf(kind).put(a.Data[i*kind.Size():], float64(r.IntN(3)))
		}
		for i := range rows * 2 {
			codecOf(runtime.Int32).put(b.Data[i*4:], float64(r.IntN(5)-2))
		}
		together, err := open(t, m).Run([]runtime.Tensor{a, b}, rows)
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		alone := open(t, m)
		for i := range rows {
			one, err := alone.Run([]runtime.Tensor{row(a, i), row(b, i)}, 1)
			if err != nil {
				t.Fatal(err)
			}
			for o := range one {
				if got := row(together[o], i); !slices.Equal(got.Data, one[o].Data) || !slices.Equal(got.Shape, one[o].Shape) {
					t.Errorf("%v, output %d, row %d: %v, alone %v", kind, o, i, got, one[o])
				}
			}
		}
	}
}

func row(t runtime.Tensor, i int) runtime.Tensor {
	n := len(t.Data) / t.Shape[0]
	data := runtime.Alloc(n)
	copy(data, t.Data[i*n:])
	return runtime.Tensor{Type: t.Type, Shape: append([]int{1}, t.Shape[1:]...), Data: data}
}

func TestFaults(t *testing.T) {
	bad, ran := errors.New("bad row"), 0
	m := New(Spec{MaxRows: 2, Ran: func(rows int) { ran += rows }, Fail: func(first float64) error {
		if first == -1 {
			return bad
		}
		return nil
	}})
	s := open(t, m)
	run := func(v ...float32) error {
		_, err := s.Run([]runtime.Tensor{floats([]int{len(v), 1}, v...)}, len(v))
		return err
	}
	if err := run(0, -1); !errors.Is(err, bad) {
		t.Errorf("a bad second row: %v", err)
	}
	if err := run(1, 2, 3); err == nil || !strings.Contains(err.Error(), "3 rows; the model takes 2") {
		t.Errorf("too many rows: %v", err)
	}
	if err := run(1, 2); err != nil || ran != 2 {
		t.Errorf("good rows: %v; %d ran", err, ran)
	}
	if _, err := s.Run([]runtime.Tensor{floats([]int{1, 1})}, 1); err == nil {
		t.Error("a tensor without data ran")
	}
	if _, err := s.Run(nil, 1); err == nil {
		t.Error("no input ran")
	}
}

func TestParse(t *testing.T) {
	s, err := ParseSpec("hinge:50us+12.1us,in=3x32x32,out=16,max=64,spin,fail=-1,panic=-2")
	if err != nil {
		t.Fatal(err)
	}
	if !s.Hinge || !s.Spin || s.MaxRows != 64 || s.Fixed != 50*time.Microsecond || s.PerRow != 12100 ||
		!slices.Equal(s.Inputs[0].Shape, []int{3, 32, 32}) || !slices.Equal(s.Outputs[0].Shape, []int{16}) {
		t.Errorf("parsed %+v", s)
	}
	if s.Fail(0) != nil || s.Fail(-1) == nil || !panics(func() { _ = s.Fail(-2) }) {
		t.Error("fail or panic is not where it was put")
	}
	if s, err := ParseSpec("linear:0.7ms+85us"); err != nil || s.Hinge || s.Spin || s.Fixed != 700*time.Microsecond || s.Fail != nil {
		t.Errorf("parsed %+v: %v", s, err)
	}
}

func TestParseMakesTheModel(t *testing.T) {
	m, err := Parse("linear:0s+0s,in=3,out=2,max=5")
	if err != nil || m.Meta().MaxRows != 5 || m.Meta().Outputs[0].Shape[0] != 2 {
		t.Errorf("made %v: %v", m, err)
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return
}

func TestParseRefusesAllAtOnce(t *testing.T) {
	_, err := Parse("cubic:1ms+2ms,in=0,out=3xx,max=0,fail=x,what=1")
	for _, want := range []string{"cubic", `"0" is not the shape`, `"3xx"`, "number of rows", `"x" is not a number`, `"what"`, "write it like"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	for _, text := range []string{"", "linear", "linear:1ms", "linear:1+2", "linear:-1ms+0s", "linear:2h+0s", "linear:0s+0s,in=99999999x99999999", "linear:0s+0s,in="} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("linear:0.7ms+85us,in=512,out=16,max=3,spin,fail=1,panic=2")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec(text)
		if err == nil && (s.Took(1) < 0 || s.Took(1000) < s.Took(1)) {
			t.Errorf("%q takes %v and %v", text, s.Took(1), s.Took(1000))
		}
	})
}
