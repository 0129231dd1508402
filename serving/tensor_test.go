package serving

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTensor(t *testing.T) {
	tests := []struct {
		text     string
		dims     []int
		values   []float32
		integers bool
	}{
		{`[]`, []int{0}, nil, true},
		{`[1,2]`, []int{2}, []float32{1, 2}, true},
		{` [ [1, 2.5],[-3e1 ,4] ] `, []int{2, 2}, []float32{1, 2.5, -30, 4}, false},
		{`[[[1]],[[2]],[[3]]]`, []int{3, 1, 1}, []float32{1, 2, 3}, true},
		{`[16777217]`, []int{1}, []float32{16777216}, true}, // 2^24+1 is not a float32: rounds to even
		{`[[],[]]`, []int{2, 0}, nil, true},
	}
	for _, tt := range tests {
		var got tensor
		err := json.Unmarshal([]byte(tt.text), &got)
		if err != nil || !slices.Equal(got.dims, tt.dims) || !slices.Equal(got.values, tt.values) || got.integers != tt.integers {
			t.Errorf("%s is %+v, %v; want %v %v %v", tt.text, got, err, tt.dims, tt.values, tt.integers)
		}
	}
}

func TestTensorRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{`1`, "not an array"},
		{`null`, "not a number"},
		{`{}`, "not a number"},
		{`["1"]`, "not a number"},
		{`[true]`, "not a number"},
		{`[1e39]`, "not a number of float32"},
		{`[[1],[2,3]]`, "ragged: arrays of 1 and of 2"},
		{`[1,[2]]`, "side by side"},
		{`[[1],2]`, "side by side"},
		{`[[1],[[]]]`, "side by side"},
		{`[[],1]`, "side by side"},
		{`[[[[[[[[[1]]]]]]]]]`, "deeper than 8"},
	}
	for _, tt := range tests {
		var got tensor
		if err := json.Unmarshal([]byte(tt.text), &got); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// naive reads the same array with encoding/json alone.
func naive(v any, depth int, dims *[]int, values *[]float32) bool {
	list, ok := v.([]any)
	if !ok {
		n, ok := v.(json.Number)
		f, err := strconv.ParseFloat(string(n), 32)
		*values = append(*values, float32(f))
		return ok && err == nil && depth == len(*dims)
	}
	if depth == len(*dims) {
		if len(*values) > 0 {
			return false
		}
		*dims = append(*dims, len(list))
	}
	if (*dims)[depth] != len(list) || depth >= maxDepth {
		return false
	}
	for _, e := range list {
		if !naive(e, depth+1, dims, values) {
			return false
		}
	}
	return true
}

func FuzzTensor(f *testing.F) {
	for _, s := range []string{`[]`, `[1,2]`, `[[1,2.5],[-3e1,4]]`, `[[],[]]`, `[1,[2]]`, `[[1],[[]]]`, `[1e39]`, `[[[[[[[[[1]]]]]]]]]`, `[[],[[]]]`, `3`, `[null]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if !json.Valid([]byte(text)) || d.Decode(&v) != nil {
			return
		}
		var got tensor
		err := json.Unmarshal([]byte(text), &got)
		var dims []int
		var values []float32
		_, list := v.([]any)
		if ok := list && naive(v, 0, &dims, &values); ok != (err == nil) {
			t.Fatalf("%q: %v, the naive twin says %v", text, err, ok)
		}
		if err != nil {
			return
		}
		if !slices.Equal(got.dims, dims) || !slices.Equal(got.values, values) {
			t.Fatalf("%q is %v %v, the naive twin says %v %v", text, got.dims, got.values, dims, values)
		}
		size := 1
		for _, n := range dims {
			size *= n
		}
		if size != len(got.values) {
			t.Fatalf("%q: %d values for dims %v", text, len(got.values), dims)
		}
		for _, x := range got.values {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				t.Fatalf("%q holds %v", text, x)
			}
		}
	})
}
