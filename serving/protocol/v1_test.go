package protocol

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

func pairMeta() runtime.Meta {
	return runtime.Meta{
		Inputs:  []runtime.Spec{{Name: "a", Type: runtime.FP32, Shape: []int{2}}, {Name: "b", Type: runtime.Int64}},
		Outputs: []runtime.Spec{{Name: "y", Type: runtime.FP32, Shape: []int{1}}, {Name: "z", Type: runtime.FP32, Shape: []int{2}}},
	}
}

func TestDecodeV1(t *testing.T) {
	scalar, image, open := denseMeta(1), denseMeta(4), denseMeta(1)
	image.Inputs[0].Shape = []int{2, 2}
	open.Inputs[0].Shape = []int{-1, 2}
	xy := []string{"x", "y"}
	tests := []struct {
		meta     runtime.Meta
		features []string
		body     string
		a        []float32
		b        []int64
		shape    []int
	}{
		{denseMeta(2), nil, `{"instances":[[1,2],[3,4]]}`, []float32{1, 2, 3, 4}, nil, []int{2, 2}},
		{denseMeta(2), xy, `{"signature_name":"s","instances":[[1,2]],"parameters":{}}`, []float32{1, 2}, nil, []int{1, 2}},
		{denseMeta(2), nil, `{"inputs":[[1,2],[3,4]]}`, []float32{1, 2, 3, 4}, nil, []int{2, 2}},
		{denseMeta(2), nil, `{"inputs":{"input":[[1,2]]}}`, []float32{1, 2}, nil, []int{1, 2}},
		{scalar, nil, `{"instances":[1,2,3]}`, []float32{1, 2, 3}, nil, []int{3, 1}},
		{scalar, nil, `{"instances":[{"input":1},{"input":[2]}]}`, []float32{1, 2}, nil, []int{2, 1}},
		{image, nil, `{"instances":[[[1,2],[3,4]]]}`, []float32{1, 2, 3, 4}, nil, []int{1, 2, 2}},
		{image, nil, `{"instances":[[1,2,3,4]]}`, []float32{1, 2, 3, 4}, nil, []int{1, 2, 2}},
		{image, nil, `{"instances":[{"input":[[1,2],[3,4]]},{"input":[5,6,7,8]}]}`, []float32{1, 2, 3, 4, 5, 6, 7, 8}, nil, []int{2, 2, 2}},
		{open, nil, `{"instances":[[[1,2],[3,4]]]}`, []float32{1, 2, 3, 4}, nil, []int{1, 2, 2}},
		{denseMeta(2), xy, `{"instances":[{"y":2,"x":1},{"x":3,"y":4}]}`, []float32{1, 2, 3, 4}, nil, []int{2, 2}},
		{denseMeta(2), xy, `{"instances":[{"input":[1,2]}]}`, []float32{1, 2}, nil, []int{1, 2}},
		{pairMeta(), nil, `{"instances":[{"b":7,"a":[1,2]},{"a":[3,4],"b":8}]}`, []float32{1, 2, 3, 4}, []int64{7, 8}, []int{2, 2}},
		{pairMeta(), nil, `{"inputs":{"b":[7,8],"a":[[1,2],[3,4]]}}`, []float32{1, 2, 3, 4}, []int64{7, 8}, []int{2, 2}},
	}
	var r InferRequest
	for _, tt := range tests {
		err := DecodeV1([]byte(tt.body), tt.meta, tt.features, &r)
		if err != nil || !slices.Equal(runtime.Values[float32](r.Inputs[0].Data), tt.a) || !slices.Equal(r.Inputs[0].Shape, tt.shape) || r.Rows != tt.shape[0] {
			t.Errorf("%s: %v, %v; want %v %v", tt.body, r.Inputs, err, tt.shape, tt.a)
			continue
		}
		if tt.b != nil && !slices.Equal(runtime.Values[int64](r.Inputs[1].Data), tt.b) {
			t.Errorf("%s: %v; want %v", tt.body, r.Inputs, tt.b)
		}
	}
}

func TestDecodeV1Refuses(t *testing.T) {
	open := denseMeta(1)
	open.Inputs[0].Shape = []int{-1}
	xy := []string{"x", "y"}
	tests := []struct {
		meta     runtime.Meta
		features []string
		body     string
		want     string
	}{
		{denseMeta(2), nil, `{}`, `neither "instances" nor "inputs"`},
		{denseMeta(2), nil, `{"instances":[[1,2]],"inputs":[[1,2]]}`, "twice"},
		{denseMeta(2), nil, `[[1,2]]`, "as JSON"},
		{denseMeta(2), nil, `{"instances":[[1,2]]`, "as JSON"},
		{denseMeta(2), nil, `{"instances":[]}`, "read instances: instances are [0]; the model takes [rows]+[2]"},
		{denseMeta(2), nil, `{"instances":[[1,2,3]]}`, "instances are [1 3]; the model takes [rows]+[2]"},
		{denseMeta(2), nil, `{"instances":[1,2]}`, "instances are [2]"},
		{denseMeta(2), nil, `{"instances":[[1,2],{"input":[1,2]}]}`, "read instances: "},
		{denseMeta(2), nil, `{"instances":[{"input":[1,2]},[1,2]]}`, "where an object should be"},
		{denseMeta(2), nil, `{"instances":["a"]}`, "which is not a number of float32"},
		{denseMeta(2), nil, `{"instances":{"input":1}}`, "tensor data is not an array"},
		{denseMeta(2), nil, `{"instances":[{"input":[1,2,3]}]}`, `instance 0: "input" is [3]; the model takes [2]`},
		{denseMeta(2), nil, `{"instances":[{"input":"a"}]}`, `instance 0: "input": tensor data is not an array`},
		{denseMeta(1), nil, `{"instances":[{"input":1},{"input":"a"}]}`, `instance 1: "input": tensor data has "\"a\""`},
		{denseMeta(2), xy, `{"instances":[{"x":1,"y":2},{"z":1,"y":"3"}]}`, `instance 1: "z" is neither a feature nor an input; x is missing; y is not a number`},
		{denseMeta(3), xy, `{"instances":[{"x":1,"y":2}]}`, "the model takes 3 values in a row; 2 features have names"},
		{open, nil, `{"instances":[{"input":[1]}]}`, "a length that may be any: send arrays"},
		{pairMeta(), nil, `{"instances":[[1,2]]}`, `the model has several inputs; rows are objects of "a", "b"`},
		{pairMeta(), nil, `{"instances":[{"a":[1,2]}]}`, "instance 0: b is missing"},
		{pairMeta(), nil, `{"instances":[{"a":[1,2],"b":1.5}]}`, `instance 0: "b": tensor data has "1.5"`},
		{pairMeta(), nil, `{"inputs":{"a":[[1,2]]}}`, `input "b" is missing`},
		{pairMeta(), nil, `{"inputs":{"a":[[1,2]],"b":[1,2]}}`, "different numbers of rows"},
		{pairMeta(), nil, `{"inputs":{"a":[[1,2]],"a":[[1,2]]}}`, `input "a" is there twice`},
		{pairMeta(), nil, `{"inputs":{"c":[1]}}`, `input "c" is not one of the model's; it takes "a", "b"`},
	}
	var r InferRequest
	for _, tt := range tests {
		if err := DecodeV1([]byte(tt.body), tt.meta, tt.features, &r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.body, err, tt.want)
		}
	}
}

func TestAppendV1(t *testing.T) {
	tensor := func(values []float32, shape ...int) runtime.Tensor {
		return runtime.Tensor{Type: runtime.FP32, Shape: shape, Data: runtime.Data(values)}
	}
	tests := []struct {
		outputs []runtime.Tensor
		want    string
	}{
		{[]runtime.Tensor{tensor([]float32{1, 2.5}, 2, 1)}, `{"predictions":[1,2.5]}`},
		{[]runtime.Tensor{tensor([]float32{1, 2.5}, 2)}, `{"predictions":[1,2.5]}`},
		{[]runtime.Tensor{tensor([]float32{1, 2, 3, 4}, 2, 2)}, `{"predictions":[[1,2],[3,4]]}`},
		{[]runtime.Tensor{tensor([]float32{1, 2, 3, 4, 5, 6}, 1, 3, 2)}, `{"predictions":[[[1,2],[3,4],[5,6]]]}`},
		{[]runtime.Tensor{tensor([]float32{1, 2}, 2, 1), tensor([]float32{1, 2, 3, 4}, 2, 2)}, `{"predictions":[{"y":1,"z":[1,2]},{"y":2,"z":[3,4]}]}`},
	}
	for _, tt := range tests {
		if got := string(AppendV1(nil, Answer{Specs: pairMeta().Outputs, Outputs: tt.outputs})); got != tt.want {
			t.Errorf("%v is %s; want %s", tt.outputs, got, tt.want)
		}
	}
}

// The article's /predict: bodies and faults as the server has always had them.
func TestDecodePredict(t *testing.T) {
	tests := []struct {
		body    string
		several bool
		want    []float32
	}{
		{`{"instances":[[1,2],[3,4]]}`, true, []float32{1, 2, 3, 4}},
		{`{"x":9,"instances":[[1,2]],"y":8,"z":null}`, true, []float32{1, 2}},
		{`{"x":21,"y":-1e0}`, false, []float32{21, -1}},
		{` { "y" : 2 , "x" : 1.5 } `, false, []float32{1.5, 2}},
		{`{"propertyType":"commercial","x":1,"y":2}`, false, []float32{1, 2}},
		{`{"x":1,"x":3,"y":2}`, false, []float32{3, 2}},
	}
	var r InferRequest
	for _, tt := range tests {
		several, err := DecodePredict([]byte(tt.body), denseMeta(2), []string{"x", "y"}, []string{"propertyType"}, &r)
		if err != nil || several != tt.several || !slices.Equal(runtime.Values[float32](r.Inputs[0].Data), tt.want) || r.Rows != len(tt.want)/2 || len(r.Outputs) != 1 {
			t.Errorf("%s: %v %+v, %v; want %v %v", tt.body, several, r.Inputs, err, tt.several, tt.want)
		}
	}
}

func TestDecodePredictRefuses(t *testing.T) {
	x := []string{"x"}
	tests := []struct {
		features []string
		body     string
		want     string
	}{
		{x, `{"y":1}`, `"y" is not a feature; x is missing`},
		{x, `{"x":null}`, `x is not a number`},
		{x, `{"x":"1"}`, `x is not a number`},
		{x, `{"x":1e39}`, `x is not a number`},
		{x, `{"x":[1]}`, `x is not a number`},
		{x, `{"instances":[[1,2]]}`, `read instances: instances are [1 2]; the model takes [rows]+[1]`},
		{x, `{"instances":[]}`, `the model takes [rows]`},
		{x, `{"instances":[1,2]}`, `instances are [2]; the model takes [rows]+[1]`},
		{x, `{"instances":3}`, `not an array`},
		{x, `[]`, `as JSON`},
		{x, `{"x":1`, `as JSON`},
		{x, `{"x":1}}`, `as JSON`},
		{nil, `{"x":1}`, `the model's features have no names; send {"instances": [...]}`},
		{[]string{"x", "y"}, `{"x":1,"y":2}`, `the model takes 1 values in a row; 2 features have names`},
	}
	var r InferRequest
	for _, tt := range tests {
		if _, err := DecodePredict([]byte(tt.body), denseMeta(1), tt.features, nil, &r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.body, err, tt.want)
		}
	}
	if _, err := DecodePredict([]byte(`{"instances":[[1]]}`), denseMeta(1), []string{"x", "y"}, nil, &r); err != nil {
		t.Errorf("instances need no names: %v", err)
	}
	if _, err := DecodePredict([]byte(`{}`), pairMeta(), nil, nil, &r); err == nil || !strings.Contains(err.Error(), "several inputs") {
		t.Errorf("several inputs: %v", err)
	}
}

func TestAppendPredict(t *testing.T) {
	y := runtime.Tensor{Type: runtime.FP32, Shape: []int{2, 1}, Data: runtime.Data([]float32{2, 4})}
	wide := runtime.Tensor{Type: runtime.FP32, Shape: []int{2, 2, 1}, Data: runtime.Data([]float32{1, 2, 3, 4})}
	sure := runtime.Tensor{Type: runtime.FP32, Shape: []int{2, 1}, Data: runtime.Data([]float32{0.5, 0.75})}
	specs := []runtime.Spec{{Name: "y"}, {Name: runtime.Confidence}}
	tests := []struct {
		outputs []runtime.Tensor
		several bool
		want    string
	}{
		{[]runtime.Tensor{y, sure}, true, `{"prediction":[2,4],"model_version":"v1","confidence":[0.5,0.75]}`},
		{[]runtime.Tensor{y, sure}, false, `{"prediction":2,"model_version":"v1","confidence":0.5}`},
		{[]runtime.Tensor{y}, true, `{"prediction":[2,4],"model_version":"v1","confidence":null}`},
		{[]runtime.Tensor{y}, false, `{"prediction":2,"model_version":"v1","confidence":null}`},
		{[]runtime.Tensor{wide, sure}, true, `{"prediction":[[1,2],[3,4]],"model_version":"v1","confidence":[0.5,0.75]}`},
		{[]runtime.Tensor{wide, sure}, false, `{"prediction":[1,2],"model_version":"v1","confidence":0.5}`},
	}
	for _, tt := range tests {
		a := Answer{Version: "v1", Specs: specs[:len(tt.outputs)], Outputs: tt.outputs}
		if got := string(AppendPredict(nil, a, tt.several)); got != tt.want {
			t.Errorf("%v is %s; want %s", tt.outputs, got, tt.want)
		}
	}
}

func TestField(t *testing.T) {
	tests := []struct {
		body, value string
		ok          bool
	}{
		{`{"propertyType":"commercial"}`, "commercial", true},
		{`{"a":[1,{"propertyType":"inner"}],"propertyType" : "r\u00e9sidence" , broken`, "résidence", true},
		{`{"propertyType":-1.5e3}`, "-1.5e3", true},
		{`{"propertyType":"a","propertyType":"b"}`, "a", true},
		{`{"propertyType":true}`, "", false},
		{`{"propertyType":null}`, "", false},
		{`{"propertyType":["a"]}`, "", false},
		{`{"propertytype":"a"}`, "", false},
		{`{"x":1}`, "", false},
		{`[]`, "", false},
		{``, "", false},
	}
	for _, tt := range tests {
		if value, ok := Field([]byte(tt.body), "propertyType"); value != tt.value || ok != tt.ok {
			t.Errorf("%s: %q %v; want %q %v", tt.body, value, ok, tt.value, tt.ok)
		}
	}
}

// FuzzRows: no panic, memory in proportion to the body, and what is taken passes Meta.Check.
func FuzzRows(f *testing.F) {
	for _, s := range []string{`{"instances":[[1,2],[3,4]]}`, `{"instances":[{"x":1,"y":2}]}`, `{"instances":[{"a":[1,2],"b":3}]}`,
		`{"inputs":{"a":[[1,2]],"b":[1]}}`, `{"x":1,"y":2}`, `{"instances":[[[1,2]]],"x":"\u00e9"}`, `{"inputs":[1]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, meta := range []runtime.Meta{denseMeta(2), pairMeta()} {
			var v1, predict InferRequest
			errV1 := DecodeV1([]byte(body), meta, []string{"x", "y"}, &v1)
			_, errPredict := DecodePredict([]byte(body), meta, []string{"x", "y"}, nil, &predict)
			for err, r := range map[*error]*InferRequest{&errV1: &v1, &errPredict: &predict} {
				checkDecoded(t, body, meta, r, *err)
			}
		}
		Field([]byte(body), "x")
	})
}

// checkDecoded checks what holds for every request.
func checkDecoded(t *testing.T, body string, meta runtime.Meta, r *InferRequest, err error) {
	t.Helper()
	held := 0
	for _, s := range r.space {
		held += cap(s)
	}
	if most := 16*len(body)*len(meta.Inputs) + 64; held > most {
		t.Fatalf("%d bytes of body, %d of memory: %q", len(body), held, body)
	}
	if err != nil {
		return
	}
	if rows, err := meta.Check(r.Inputs); err != nil || rows != r.Rows || rows < 1 || len(r.Outputs) == 0 {
		t.Fatalf("%q was taken as %v rows %v: %v", body, r.Rows, fmt.Sprint(r.Inputs), err)
	}
}
