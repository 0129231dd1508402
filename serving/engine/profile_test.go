package engine

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/curve"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// TestProfile: curves are learned from a model that keeps them exactly, in no more than the time given.
func TestProfile(t *testing.T) {
	const us = time.Microsecond
	tests := []struct {
		name    string
		spec    sim.Spec
		limit   int
		want    curve.Line
		largest int
		within  time.Duration
	}{
		// 3 runs of 1, 2, 4 .. 64 rows are 3*(7*0.7 + 127*0.085) ms = 47 ms, and 5 rows to see that batches work
		{"large MLP", sim.Spec{Fixed: 700 * us, PerRow: 85 * us}, 64, curve.Line{Fixed: 700e-6, PerRow: 85e-6}, 64, 60 * ms},
		{"mid MLP", sim.Spec{Fixed: 50 * us, PerRow: 12 * us, Hinge: true}, 64, curve.Line{Form: curve.Hinge, Fixed: 50e-6, PerRow: 12e-6}, 64, 10 * ms},
		{"a limit that is no power of 2", sim.Spec{Fixed: 100 * us, PerRow: 100 * us}, 48, curve.Line{Fixed: 1e-4, PerRow: 1e-4}, 48, 40 * ms},
		// whoever set a limit of 1 may want to know what 32 would take: 3 runs of 1, 2 .. 32 rows are 207 ms
		{"a small limit", sim.Spec{Fixed: ms, PerRow: ms}, 1, curve.Line{Fixed: 1e-3, PerRow: 1e-3}, 32, 230 * ms},
		{"fixed batch axis", sim.Spec{Fixed: ms, PerRow: ms, MaxRows: 1}, 64, curve.Line{Fixed: 2e-3}, 1, 10 * ms},
		// 4+1 rows alone and 4 together are 75 ms, 3 runs of 1, 2 and 4 rows 150, one of 8 rows 45: 30 are left
		{"large sizes do not fit", sim.Spec{Fixed: 5 * ms, PerRow: 5 * ms}, 64, curve.Line{Fixed: 5e-3, PerRow: 5e-3}, 8, 300 * ms},
		{"one run has to do", sim.Spec{Fixed: 250 * ms}, 1, curve.Line{Fixed: 250e-3}, 1, 770 * ms},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			e := open(t, sim.New(tt.spec), Config{Limits: limits(tt.limit, 0), cpu: noCPU}, nil)
			took, c := time.Since(begun), e.Curve()
			for _, rows := range []float64{1, 2, 8, 64} {
				if rows > float64(tt.largest) {
					break
				}
				if got, want := c.Wall.At(rows), tt.want.At(rows); math.Abs(got-want) > 0.02*want {
					t.Errorf("%s: %v rows take %v s, want %v; curve %+v", tt.name, rows, got, want, c)
				}
			}
			if c.Largest != tt.largest || took > tt.within {
				t.Errorf("%s: up to %d rows in %s; want %d in at most %s", tt.name, c.Largest, took, tt.largest, tt.within)
			}
			if got := e.Limits().MaxBatchSize; tt.spec.MaxRows == 1 && got != 1 {
				t.Errorf("%s: batches of up to %d rows", tt.name, got)
			}
		})
	}
}

// TestProfileIsNotServed: what the profile ran is in no sums.
func TestProfileIsNotServed(t *testing.T) {
	e := open(t, sim.New(spec()), Config{Limits: limits(8, 0)}, nil)
	if s := e.Stats(); s.Batches != 0 || s.Busy != 0 || !s.Curve.Known() || !s.Batcher.Predicts || len(s.Sizes) != 0 {
		t.Errorf("%+v", s)
	}
	if s := e.Stats(); s.Curve.Loaded != (curve.Loaded{}) {
		t.Errorf("under load before any request: %+v", s.Curve.Loaded)
	}
	for range 20 {
		if _, err := e.Infer(t.Context(), request(1, 1, newRandom(1))); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); !(s.Curve.Loaded.CPU.At(1) > 0) {
		t.Errorf("under load after 20 requests: %+v", s.Curve.Loaded)
	}
}

// TestProfileOfModelsThatFail: what the model does not take is no reason not to serve it.
func TestProfileOfModelsThatFail(t *testing.T) {
	long := []runtime.Spec{{Name: "v", Type: runtime.FP32, Shape: []int{-1}}}
	refuses := func(float64) error { return errors.New("no") }
	tests := []struct {
		name    string
		model   runtime.Model
		known   bool
		maxRows int
	}{
		{"any length", sim.New(sim.Spec{Inputs: long}), true, 0},
		{"only length 1", shaped{sim.New(sim.Spec{Inputs: long}), func(in []runtime.Tensor) bool { return in[0].Shape[1] == 1 }}, true, 0},
		{"made-up rows fail", sim.New(sim.Spec{Fail: refuses}), false, 0},
		{"made-up rows of any length fail", sim.New(sim.Spec{Inputs: long, Fail: refuses}), false, 0},
		{"batches fail", shaped{sim.New(sim.Spec{}), func(in []runtime.Tensor) bool { return in[0].Shape[0] == 1 }}, true, 1},
		{"rows of a batch are mixed up", mixed{sim.New(sim.Spec{})}, true, 1},
		{"large batches fail", shaped{sim.New(sim.Spec{}), func(in []runtime.Tensor) bool { return in[0].Shape[0] <= 4 }}, true, 0},
	}
	for _, tt := range tests {
		e, err := New(tt.model, Config{Limits: limits(16, 0), Instances: 1}, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if e.Curve().Known() != tt.known || e.Meta().MaxRows != tt.maxRows {
			t.Errorf("%s: curve %+v, at most %d rows", tt.name, e.Curve(), e.Meta().MaxRows)
		}
		_ = e.Close(t.Context())
	}
}

// shaped is a model that takes only some shapes.
type shaped struct {
	runtime.Model
	takes func([]runtime.Tensor) bool
}

func (s shaped) Session() (runtime.Session, error) {
	inner, err := s.Model.Session()
	return run(func(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
		if !s.takes(in) {
			return nil, errors.New("cannot reshape")
		}
		return inner.Run(in, rows)
	}), err
}

// mixed is a model whose rows are not their own: the answers of a batch are in reverse order.
type mixed struct{ runtime.Model }

func (m mixed) Session() (runtime.Session, error) {
	inner, err := m.Model.Session()
	return run(func(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
		out, err := inner.Run(in, rows)
		v := runtime.Values[float32](out[0].Data)
		for i := range rows / 2 {
			v[i], v[rows-1-i] = v[rows-1-i], v[i]
		}
		return out, err
	}), err
}

type run func(in []runtime.Tensor, rows int) ([]runtime.Tensor, error)

func (r run) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) { return r(in, rows) }

// golden is a model with golden rows.
type golden struct {
	closing
	rows []runtime.Golden
}

func (g *golden) Meta() runtime.Meta {
	m := g.Model.Meta()
	m.Golden = g.rows
	return m
}

func one(v ...float32) []runtime.Tensor {
	return []runtime.Tensor{{Type: runtime.FP32, Shape: []int{1, len(v)}, Data: runtime.Data(v)}}
}

// TestGolden: the model answers 1, 2, 3 with 1+4+9 = 14 and 15.
func TestGolden(t *testing.T) {
	right := runtime.Golden{Inputs: one(1, 2, 3), Outputs: one(14, 15)}
	tests := []struct {
		name string
		row  runtime.Golden
		want string // in the error; empty: none
	}{
		{"right", right, ""},
		{"a little off", runtime.Golden{Inputs: one(1, 2, 3), Outputs: one(14.001, 15)}, ""}, // 7e-5 of 14
		{"off", runtime.Golden{Inputs: one(1, 2, 3), Outputs: one(14, 15.01)}, `golden row 2: output "v": value 2 is 15; want 15.01`},
		{"another shape", runtime.Golden{Inputs: one(1, 2, 3), Outputs: one(14)}, `golden row 2: output "v": it is FP32 of [1 2]; want FP32 of [1 1]`},
		{"not an input", runtime.Golden{Inputs: one(1, 2), Outputs: one(14, 15)}, `golden row 2: input "v" has shape [1 2]`},
		{"too few outputs", runtime.Golden{Inputs: one(1, 2, 3)}, "golden row 2: it has 0 outputs; the model has 1"},
	}
	for _, tt := range tests {
		m := &golden{rows: []runtime.Golden{right, tt.row}}
		m.Model = sim.New(spec())
		e, err := New(m, Config{Name: "valuation", Version: "2", Limits: limits(8, 0), Instances: 1}, nil)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if c := e.Curve(); !c.Known() {
				t.Errorf("%s: no curve from golden rows", tt.name)
			}
			_ = e.Close(t.Context())
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "valuation version 2") || m.closed.Load() != 1 {
			t.Errorf("%s: %v; closed %d times", tt.name, err, m.closed.Load())
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Limits: limits(0, 0), Instances: 1}, {Limits: limits(1, 0)}} {
		m := &closing{Model: sim.New(spec())}
		if _, err := New(m, c, nil); err == nil || m.closed.Load() != 1 {
			t.Errorf("%+v: %v; closed %d times", c, err, m.closed.Load())
		}
	}
}

// TestSample: rows come in turn, and after the last the first.
func TestSample(t *testing.T) {
	s := &sample{of: &call{Request: Request{Rows: 5}}}
	var got []int
	for _, n := range []int{3, 4, 12} {
		all := 0
		for _, span := range s.next(n) {
			got = append(got, span.From, span.To)
			all += span.Rows()
		}
		if all != n {
			t.Errorf("%d rows instead of %d", all, n)
		}
	}
	want := []int{0, 3, 3, 5, 0, 2, 2, 5, 0, 5, 0, 4}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("spans %v, want %v", got, want)
		}
	}
}

// TestMadeUp: all types are made up, within bounds.
func TestMadeUp(t *testing.T) {
	for kind := runtime.Bool; kind <= runtime.FP64; kind++ {
		c := madeUp([]runtime.Spec{{Type: kind, Shape: []int{-1, 3}}}, 2)
		in := c.Inputs[0]
		if n, ok := in.Bytes(); !ok || n != len(in.Data) || c.Rows != sampleRows || in.Shape[1] != 2 {
			t.Errorf("%s: %d rows of %v in %d bytes", kind, c.Rows, in.Shape, len(in.Data))
		}
		for i := range len(in.Data) / kind.Size() {
			v := float64(in.Data[i*kind.Size()])
			if floats(kind) {
				v = float(in, i)
			}
			if !(math.Abs(v) <= 1) {
				t.Errorf("%s: value %v", kind, v)
			}
		}
	}
	if c := madeUp([]runtime.Spec{{Type: runtime.FP32, Shape: []int{3, 1000, 1000}}}, 1); c.Rows != 1 { // 12 MB a row
		t.Errorf("%d rows of 12 MB", c.Rows)
	}
}

func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24), 0x8000: 0, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
	} {
		if got := half(bits); got != want {
			t.Errorf("%04x is %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("7e00 is a number")
	}
}

func TestSame(t *testing.T) {
	of := func(kind runtime.Type, data []byte) runtime.Tensor {
		return runtime.Tensor{Type: kind, Shape: []int{1, len(data) / kind.Size()}, Data: data}
	}
	nan := float32(math.NaN())
	tests := []struct {
		want, got runtime.Tensor
		same      bool
	}{
		{one(1, nan)[0], one(1.00009, nan)[0], true},
		{one(1)[0], one(1.0002)[0], false},
		{one(1)[0], one(nan)[0], false},
		{one(0)[0], one(9e-7)[0], true},
		{one(0)[0], one(2e-6)[0], false},
		{of(runtime.FP64, runtime.Data([]float64{1e9})), of(runtime.FP64, runtime.Data([]float64{1e9 + 1})), true},
		{of(runtime.Int64, runtime.Data([]int64{1e9})), of(runtime.Int64, runtime.Data([]int64{1e9 + 1})), false},
		{of(runtime.FP16, runtime.Data([]uint16{0x3c00})), of(runtime.FP16, runtime.Data([]uint16{0x3c02})), true}, // 1 and 1 + 2/1024
		{of(runtime.FP16, runtime.Data([]uint16{0x3c00})), of(runtime.FP16, runtime.Data([]uint16{0x3c08})), false},
		{of(runtime.BF16, runtime.Data([]uint16{0x3f80})), of(runtime.BF16, runtime.Data([]uint16{0x3f82})), true}, // 1 and 1 + 2/128
		{of(runtime.BF16, runtime.Data([]uint16{0x3f80})), of(runtime.BF16, runtime.Data([]uint16{0x3f88})), false},
		{one(1)[0], one(1, 1)[0], false},
		{one(1)[0], of(runtime.Int32, runtime.Data([]int32{1})), false},
	}
	for i, tt := range tests {
		if err := same(tt.want, tt.got, goldenTolerance); (err == nil) != tt.same {
			t.Errorf("row %d: %v", i, err)
		}
	}
}
