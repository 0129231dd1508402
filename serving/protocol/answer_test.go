package protocol

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

func BenchmarkAppendInfer(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 16)
	for i := range values {
		values[i] = r.Float32()
	}
	a := Answer{Model: "m", Version: "v1", ID: "7", Specs: denseMeta(512).Outputs,
		Outputs: []runtime.Tensor{{Type: runtime.FP32, Shape: []int{1, 16}, Data: runtime.Data(values)}}, Wanted: []Wanted{{}}}
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst, _ = AppendInfer(dst[:0], a)
	}
}

// TestFloatsAsEncodingJSON: float32 and float64 are written as encoding/json writes them.
func TestFloatsAsEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 200_000 / fewer {
		f := math.Float32frombits(r.Uint32())
		if i%2 == 0 {
			f = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(50)-25)))
		}
		d := math.Float64frombits(r.Uint64())
		if want, err := json.Marshal(f); err == nil && string(want) != string(appendFloat32(nil, f)) {
			t.Fatalf("%x is %s; encoding/json says %s", math.Float32bits(f), appendFloat32(nil, f), want)
		}
		if want, err := json.Marshal(d); err == nil && string(want) != string(appendFloat64(nil, d)) {
			t.Fatalf("%x is %s; encoding/json says %s", math.Float64bits(d), appendFloat64(nil, d), want)
		}
	}
}

func TestAppendInfer(t *testing.T) {
	a := testAnswer()
	body, n := AppendInfer([]byte("before"), a)
	want := `before{"model_name":"m","model_version":"3","id":"42","outputs":[{"name":"z","shape":[2],"datatype":"INT64","data":[-1,258]},{"name":"y","shape":[2,2],"datatype":"FP32","data":[1,2.5,-3,4]}]}`
	if string(body) != want || n != Absent {
		t.Errorf("the answer is %s, %d; want %s", body, n, want)
	}
	a.Wanted = []Wanted{{Index: 0, Binary: true}, {Index: 1}}
	a.ID, a.Version = "", ""
	body, n = AppendInfer([]byte("before"), a)
	head := `{"model_name":"m","outputs":[{"name":"y","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}},{"name":"z","shape":[2],"datatype":"INT64","data":[-1,258]}]}`
	want = "before" + head + "\x00\x00\x80\x3f\x00\x00\x20\x40\x00\x00\x40\xc0\x00\x00\x80\x40"
	if string(body) != want || n != len(head) {
		t.Errorf("the answer is %q, %d; want %q, %d", body, n, want, len(head))
	}
}

// TestAppendValues: each type as JSON; what JSON cannot carry is null.
func TestAppendValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(-1)
	tests := []struct {
		t    runtime.Type
		data []byte
		want string
	}{
		{runtime.Bool, []byte{1, 0}, "[true,false]"},
		{runtime.Uint8, []byte{1, 255}, "[1,255]"},
		{runtime.Uint16, runtime.Data([]uint16{1, 65535}), "[1,65535]"},
		{runtime.Uint32, runtime.Data([]uint32{1 << 31}), "[2147483648]"},
		{runtime.Uint64, runtime.Data([]uint64{1<<64 - 1}), "[18446744073709551615]"},
		{runtime.Int8, []byte{0x80}, "[-128]"},
		{runtime.Int16, runtime.Data([]int16{-1 << 15}), "[-32768]"},
		{runtime.Int32, runtime.Data([]int32{-1 << 31}), "[-2147483648]"},
		{runtime.Int64, runtime.Data([]int64{-1 << 63}), "[-9223372036854775808]"},
		{runtime.FP32, runtime.Data([]float32{0.1, 1e-9, float32(nan), float32(inf), 0}), "[0.1,1e-9,null,null,0]"},
		{runtime.FP64, runtime.Data([]float64{0.1, 1e21, nan, inf}), "[0.1,1e+21,null,null]"},
		{runtime.FP16, runtime.Data([]uint16{0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000}), "[1,-2,65504,5.9604645e-8,null,-0]"},
		{runtime.BF16, runtime.Data([]uint16{0x3f80, 0xc040, 0x7f80}), "[1,-3,null]"},
		{runtime.FP32, nil, "[]"},
	}
	for _, tt := range tests {
		if got := string(appendValues(nil, tt.t, tt.data)); got != tt.want || !json.Valid([]byte(got)) {
			t.Errorf("%s %v is %s; want %s", tt.t, tt.data, got, tt.want)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "a", `"\/`, "\x00\n\x1f", "ÿ😀\u2028", "\xff\xc0a"} {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && s != "\xff\xc0a" {
			t.Errorf("%q is %s: %q, %v", s, appendString(nil, s), got, err)
		}
	}
}
