package protocol

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// specMeta is the model of the specification's example. (There, input1 has another number of rows than input0, which
// no batch can have; here it has two.)
func specMeta() runtime.Meta {
	return runtime.Meta{
		Platform: "trimtab_builtin",
		Inputs:   []runtime.Spec{{Name: "input0", Type: runtime.Uint32, Shape: []int{2}}, {Name: "input1", Type: runtime.Bool}},
		Outputs:  []runtime.Spec{{Name: "output0", Type: runtime.FP32, Shape: []int{2}}, {Name: "output1", Type: runtime.FP32, Shape: []int{1}}},
	}
}

const specRequest = `{
  "id" : "42",
  "inputs" : [
    {
      "name" : "input0",
      "shape" : [ 2, 2 ],
      "datatype" : "UINT32",
      "data" : [ 1, 2, 3, 4 ]
    },
    {
      "name" : "input1",
      "shape" : [ 2 ],
      "datatype" : "BOOL",
      "data" : [ true, false ]
    }
  ],
  "outputs" : [
    {
      "name" : "output0"
    }
  ]
}`

func TestDecodeInferSpecification(t *testing.T) {
	var r InferRequest
	if err := DecodeInfer([]byte(specRequest), Absent, specMeta(), &r); err != nil {
		t.Fatal(err)
	}
	if r.ID != "42" || r.Rows != 2 || !slices.Equal(r.Outputs, []Wanted{{}}) || r.Bytes() != 18 {
		t.Errorf("the request is %+v", r)
	}
	if !slices.Equal(runtime.Values[uint32](r.Inputs[0].Data), []uint32{1, 2, 3, 4}) || !bytes.Equal(r.Inputs[1].Data, []byte{1, 0}) {
		t.Errorf("the inputs are %v", r.Inputs)
	}
}

// TestDecodeInferBinary is the example of Triton's binary tensor data extension: 16 bytes for input0, then those
// of input1.
func TestDecodeInferBinary(t *testing.T) {
	const head = `{
  "model_name" : "mymodel",
  "inputs" : [
    { "name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "parameters" : { "binary_data_size" : 16 } },
    { "name" : "input1", "shape" : [ 2 ], "datatype" : "BOOL", "parameters" : { "binary_data_size" : 2 } }
  ],
  "outputs" : [ { "name" : "output0", "parameters" : { "binary_data" : true } } ]
}`
	body := append([]byte(head), "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01\x00"...)
	var r InferRequest
	if err := DecodeInfer(body, len(head), specMeta(), &r); err != nil {
		t.Fatal(err)
	}
	clear(body) // nothing refers to it
	if !slices.Equal(runtime.Values[uint32](r.Inputs[0].Data), []uint32{1, 2, 3, 4}) || !bytes.Equal(r.Inputs[1].Data, []byte{1, 0}) {
		t.Errorf("the inputs are %v", r.Inputs)
	}
	if len(r.Outputs) != 1 || !r.Outputs[0].Binary || r.Outputs[0].Index != 0 {
		t.Errorf("the outputs are %v", r.Outputs)
	}
}

// TestDecodeInferMixed: one input in JSON, one behind it; two outputs in binary but one.
func TestDecodeInferMixed(t *testing.T) {
	head := `{"parameters":{"binary_data_output":true,"priority":1,"timeout":20000,"sequence_id":7,"x":{"y":[null]}},
	  "inputs":[{"name":"input1","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}},{"data":[[7,8]],"datatype":"UINT32","shape":[1,2],"name":"input0"}],
	  "outputs":[{"name":"output1"},{"name":"output0","parameters":{"binary_data":false,"z":1}}]}`
	var r InferRequest
	if err := DecodeInfer([]byte(head+"\x01"), len(head), specMeta(), &r); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(runtime.Values[uint32](r.Inputs[0].Data), []uint32{7, 8}) || !bytes.Equal(r.Inputs[1].Data, []byte{1}) || r.Rows != 1 {
		t.Errorf("the inputs are %v", r.Inputs)
	}
	if len(r.Outputs) != 2 || r.Outputs[0].Index != 1 || !r.Outputs[0].Binary || r.Outputs[1].Index != 0 || r.Outputs[1].Binary {
		t.Errorf("the outputs are %+v", r.Outputs)
	}
	if r.Priority != "1" || r.Timeout != 20*time.Millisecond {
		t.Errorf("priority %q, timeout %s", r.Priority, r.Timeout)
	}
}

// TestDecodeInferRaw: a body that is only the tensor, one row of it.
func TestDecodeInferRaw(t *testing.T) {
	meta := denseMeta(2)
	meta.Inputs[0].Shape = []int{-1, 2}
	var r InferRequest
	if err := DecodeInfer(runtime.Data([]float32{1, 2, 3, 4}), Raw, meta, &r); err != nil {
		t.Fatal(err)
	}
	if in := r.Inputs[0]; !slices.Equal(in.Shape, []int{1, 2, 2}) || !slices.Equal(runtime.Values[float32](in.Data), []float32{1, 2, 3, 4}) || !r.Outputs[0].Binary {
		t.Errorf("the request is %+v", r)
	}
	for n, want := range map[int]string{0: "is missing", 12: "12 bytes of FP32"} {
		if err := DecodeInfer(make([]byte, n), Raw, meta, &r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := DecodeInfer(nil, Raw, specMeta(), &r); err == nil || !strings.Contains(err.Error(), "models with one input; this one has 2") {
		t.Errorf("two inputs: %v", err)
	}
}

// TestDecodeInferTypes: each type in JSON, at the ends of its range.
func TestDecodeInferTypes(t *testing.T) {
	tests := []struct {
		is         runtime.Type
		said, data string
		want       []byte
		fault      string
	}{
		{runtime.Bool, "BOOL", "[true,false]", []byte{1, 0}, ""},
		{runtime.Bool, "BOOL", "[true,0]", nil, "which is not true or false"},
		{runtime.Uint8, "UINT8", "[0,255]", []byte{0, 255}, ""},
		{runtime.Uint8, "UINT8", "[0,256]", nil, `"256" at byte 66, which is not an integer of UINT8`},
		{runtime.Uint8, "UINT8", "[-0,-1]", nil, `"-1" at byte`},
		{runtime.Uint16, "UINT16", "[0,65535]", []byte{0, 0, 255, 255}, ""},
		{runtime.Uint32, "UINT32", "[0,4294967295]", runtime.Data([]uint32{0, 1<<32 - 1}), ""},
		{runtime.Uint64, "UINT64", "[0,18446744073709551615]", runtime.Data([]uint64{0, 1<<64 - 1}), ""},
		{runtime.Uint64, "UINT64", "[0,18446744073709551616]", nil, "not an integer of UINT64"},
		{runtime.Int8, "INT8", "[-128,127]", []byte{0x80, 0x7f}, ""},
		{runtime.Int8, "INT8", "[-129,127]", nil, `"-129" at byte`},
		{runtime.Int16, "INT16", "[-32768,32767]", runtime.Data([]int16{-1 << 15, 1<<15 - 1}), ""},
		{runtime.Int32, "INT32", "[-2147483648,2147483647]", runtime.Data([]int32{-1 << 31, 1<<31 - 1}), ""},
		{runtime.Int32, "INT32", "[-2147483648,2147483648]", nil, "not an integer of INT32"},
		{runtime.Int64, "INT64", "[-9223372036854775808,9223372036854775807]", runtime.Data([]int64{-1 << 63, 1<<63 - 1}), ""},
		{runtime.Int64, "INT64", "[1,9223372036854775808]", nil, "not an integer of INT64"},
		{runtime.Int64, "INT64", "[1,2.0]", nil, `"2.0" at byte`},
		{runtime.Int64, "INT64", "[1,2e3]", nil, `"2e3" at byte`},
		{runtime.FP32, "FP32", "[1.5,-0.1]", runtime.Data([]float32{1.5, -0.1}), ""},
		{runtime.FP32, "FP32", "[1,1e39]", nil, `"1e39" at byte 65, which is not a number of float32`},
		{runtime.FP32, "FP64", "[1.5,16777217]", runtime.Data([]float32{1.5, 16777216}), ""},
		{runtime.FP32, "INT64", "[-5,16777217]", runtime.Data([]float32{-5, 16777216}), ""},
		{runtime.FP32, "INT64", "[1,1.5]", nil, "not an integer of INT64"},
		{runtime.FP32, "INT32", "[1,2147483648]", nil, "not an integer of INT32"},
		{runtime.FP32, "INT32", "[-1,7]", runtime.Data([]float32{-1, 7}), ""},
		{runtime.FP32, "INT16", "[1,2]", nil, "has datatype INT16; the model takes FP32"},
		{runtime.FP64, "FP64", "[0.1,-1e300]", runtime.Data([]float64{0.1, -1e300}), ""},
		{runtime.FP64, "FP32", "[1,2]", nil, "has datatype FP32; the model takes FP64"},
		{runtime.FP16, "FP16", "[1,2]", nil, "FP16 has no form in JSON; send it as binary data"},
		{runtime.BF16, "BF16", "[1,2]", nil, "BF16 has no form in JSON"},
		{runtime.FP32, "BYTES", `["1","2"]`, nil, "no runtime here computes strings"},
		{runtime.FP32, "FLOAT", "[1,2]", nil, `has datatype "FLOAT"; the model takes FP32`},
	}
	for _, tt := range tests {
		meta := only(tt.is)
		meta.Inputs[0].Name = "x"
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1,2],"datatype":%q,"data":%s}]}`, tt.said, tt.data)
		var r InferRequest
		err := DecodeInfer([]byte(body), Absent, meta, &r)
		if tt.fault == "" && (err != nil || !bytes.Equal(r.Inputs[0].Data, tt.want)) {
			t.Errorf("%s: %v, %v; want %v", body, r.Inputs, err, tt.want)
		}
		if tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%s: %v; want %s", body, err, tt.fault)
		}
	}
}

// TestDecodeInferTakes: what is valid JSON is taken, however it is written.
func TestDecodeInferTakes(t *testing.T) {
	const in = `{"name":"input","shape":[1,2],"datatype":"FP32","data":[1,2]}`
	deep := strings.Repeat(`{"a":[`, 4000) + `1` + strings.Repeat(`]}`, 4000)
	for _, body := range []string{
		`{"inputs":[` + in + `]}`,
		" \t\r\n{ \"inputs\" : [ " + in + " ] } \n",
		`{"inputs":[{"data":[[1,2]],"shape":[1,2],"x":{"y":[{}, [], "]"]},"datatype":"FP32","name":"input"}]}`,
		`{"inputs":[{"data" : [ 1 , 2 ] ,"datatype":"FP32","name":"input","shape":[1,2]}]}`,
		`{"inputs":[{"n\u0061me":"\u0069nput","shape":[1,2],"datatype":"FP\u00332","data":[1,2]}]}`,
		`{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","parameters":null,"data":[1.0,2e0]}],"id":null,"outputs":null,"parameters":null}`,
		`{"unknown":` + deep + `,"inputs":[` + in + `]}`,
		`{"unknown":"\ud83d\ude00 \ud83d \" \\ \/ \b\f\n\r\t ÿ",` + `"inputs":[` + in + `]}`,
		`{"inputs":[],"inputs":[` + in + `]}`,
		`{"inputs":[{"name":"input","shape":[9],"datatype":"BYTES","shape":[1,2],"datatype":"FP32","data":[3,4],"data":[1,2]}]}`,
		`{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","data":[3,4],"shape":[1,2],"data":[1,2]}]}`,
		`{"inputs":[` + in + `],"parameters":{"priority":"interactive","timeout":"0","binary_data_output":false}}`,
	} {
		var r InferRequest
		if err := DecodeInfer([]byte(body), Absent, denseMeta(2), &r); err != nil || !slices.Equal(runtime.Values[float32](r.Inputs[0].Data), []float32{1, 2}) {
			t.Errorf("%.200s: %v, %v", body, r.Inputs, err)
		}
	}
}

func TestDecodeInferRefuses(t *testing.T) {
	const in = `{"name":"input","shape":[1,2],"datatype":"FP32","data":[1,2]}`
	data := func(d string) string {
		return `{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","data":` + d + `}]}`
	}
	tests := []struct{ body, want string }{
		{``, "read the body as JSON: it ends at byte 0, where an object should be"},
		{`{`, "read the body as JSON: it ends at byte 1, where a string should be"},
		{`[]`, "read the body as JSON: '[' at byte 0, where an object should be"},
		{`{"inputs":[` + in + `]}x`, "'x' at byte 74, where the end should be"},
		{`{"inputs":[` + in + `],}`, "where a string should be"},
		{`{"inputs":[` + in + `,]}`, "where an object should be"},
		{`{"inputs" [` + in + `]}`, "where a colon should be"},
		{`{"inputs":[` + in + `} `, "where a comma or ] should be"},
		{"{\"in\nputs\":1}", `'\n' at byte 4, where a character that a string may hold should be`},
		{`{"in\x":1}`, `'x' at byte 5, where an escape should be`},
		{`{"in\u12g4":1}`, "where u and four hexadecimal digits should be"},
		{`{"in`, "where a closing quote should be"},
		{`{"a":tru}`, "where true should be"},
		{`{"a":01}`, "where a value should be"},
		{`{"a":1.}`, "where a value should be"},
		{`{"a":-}`, "where a value should be"},
		{`{"a":NaN}`, "where a value should be"},
		{`{"a":[1,]}`, "where a value should be"},
		{`{"a":[1}`, "where a comma or ] should be"},
		{`{"a":{"b"}}`, "where a colon should be"},
		{`{"a":` + strings.Repeat("[", 10_001), "nested deeper than 10000 at byte 10005"},
		{`{}`, "request has 0 inputs; the model has 1"},
		{`{"inputs":[]}`, "request has 0 inputs; the model has 1"},
		{`{"inputs":null}`, "where an array should be"},
		{`{"inputs":[` + in + `,` + in + `]}`, "more than 1 inputs, the model's number"},
		{`{"inputs":[{}]}`, "an input has no name"},
		{`{"inputs":[{"name":"x"}]}`, `input "x" is not one of the model's; it takes "input"`},
		{`{"inputs":[{"name":"input"}]}`, `input "input" has no data`},
		{`{"inputs":[{"name":"input","data":[1,2]}]}`, `input "input" has shape []; the model takes [rows]+[2]`},
		{`{"inputs":[{"name":"input","data":[1,2]}]}`, `input "input" has no datatype; the model takes FP32`},
		{`{"inputs":[{"name":"input","data":[1,2],"datatype":"FP32","shape":[2]}]}`, `has shape [2]; the model takes [rows]+[2]`},
		{`{"inputs":[{"name":"input","data":[],"datatype":"FP32","shape":[0,2]}]}`, `has shape [0 2]; the model takes [rows]+[2]`},
		{`{"inputs":[{"name":"input","data":[1,2],"datatype":"FP32","shape":[-1,2]}]}`, `has shape [-1 2]; the model takes [rows]+[2]`},
		{`{"inputs":[{"name":"input","data":[1],"datatype":"FP32","shape":[9223372036854775807,2]}]}`, `where a whole number of elements should be`},
		{`{"inputs":[{"name":"input","data":[1],"datatype":"FP32","shape":[70368744177664,2]}]}`, `and 1 values`},
		{`{"inputs":[{"name":"input","data":[1,2],"datatype":"FP32","shape":[1.5,2]}]}`, `where a whole number of elements should be`},
		{data(`[1]`), `input "input" has shape [1 2] and 1 values`},
		{data(`[1,2,3]`), `input "input" has shape [1 2] and 3 values`},
		{data(`[[1],[2]]`), `has shape [1 2] and data nested as [2 1]`},
		{data(`3`), "tensor data is not an array at byte 66"},
		{data(`null`), "tensor data is not an array"},
		{data(`["1","2"]`), `tensor data has "\"1\"" at byte 67, which is not a number of float32`},
		{data(`[1,null]`), `tensor data has "null" at byte 69`},
		{data(`[1,NaN]`), `tensor data has "NaN" at byte 69`},
		{data(`[1,2`), "where a comma or ] should be"},
		{data(`[1,,2]`), "',' at byte 69, where a number of float32 should be"},
		{data(`[1,2 3]`), "'3' at byte 71, where a comma or ] should be"},
		{data(`[1,[2]]`), "numbers and arrays side by side"},
		{data(`[[1],2]`), "numbers and arrays side by side"},
		{data(`[[1],[[2]]]`), "numbers and arrays side by side"},
		{data(`[[],1]`), "numbers and arrays side by side"},
		{data(`[[1],[2,3]]`), "ragged: arrays of 1 and of 2 elements"},
		{data(`[[[[[[[[[1]]]]]]]]]`), "deeper than 8 arrays"},
		{`{"inputs":[` + in + `],"outputs":[{"name":"z"}]}`, `output "z" is not one of the model's, or is asked for twice`},
		{`{"inputs":[` + in + `],"outputs":[{}]}`, `output "" is not one of the model's`},
		{`{"inputs":[` + in + `],"outputs":[{"name":"output"},{"name":"output"}]}`, "asked for twice"},
		{`{"inputs":[` + in + `],"outputs":[{"name":"output","parameters":{"classification":2}}]}`, "classification is not served"},
		{`{"inputs":[` + in + `],"parameters":{"binary_data_output":1}}`, "parameter binary_data_output: "},
		{`{"inputs":[` + in + `],"parameters":{"timeout":-1}}`, "parameter timeout is -1 microseconds"},
		{`{"inputs":[` + in + `],"parameters":{"timeout":1.5}}`, `parameter timeout: "1.5" at byte`},
		{`{"inputs":[` + in + `],"parameters":{"timeout":9223372036854775807}}`, "parameter timeout is 9223372036854775807 microseconds"},
		{`{"inputs":[` + in + `],"parameters":{"priority":true}}`, "parameter priority: "},
		{`{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}`, "binary_data_size 8; 0 bytes are left behind the JSON"},
		{`{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8},"data":[1,2]}]}`, "has data and binary_data_size"},
	}
	for _, tt := range tests {
		var r InferRequest
		if err := DecodeInfer([]byte(tt.body), Absent, denseMeta(2), &r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.200s: %v; want %s", tt.body, err, tt.want)
		}
	}
}

func TestDecodeInferBinaryRefuses(t *testing.T) {
	head := func(shape, datatype string, size int) string {
		return fmt.Sprintf(`{"inputs":[{"name":"input","shape":%s,"datatype":%q,"parameters":{"binary_data_size":%d}}]}`, shape, datatype, size)
	}
	tests := []struct {
		head, tail string
		want       string
	}{
		{head("[1,2]", "FP32", 8), "1234567", "binary_data_size 8; 7 bytes are left"},
		{head("[1,2]", "FP32", 8), "123456789", "1 bytes behind the last input's"},
		{head("[1,2]", "FP32", 7), "1234567", "has shape [1 2] and 7 bytes of FP32"},
		{head("[1,2]", "FP32", -1), "12345678", "binary_data_size -1"},
		{head("[1,2]", "FP64", 16), "1234567812345678", "datatype FP64; the model takes FP32"}, // only JSON is converted
		{head("[2]", "FP32", 8), "12345678", "has shape [2]"},
		{`{"inputs":[{"parameters":{"binary_data_size":0}}]}`, "", "an input has no name"},
	}
	var r InferRequest
	for _, tt := range tests {
		if err := DecodeInfer([]byte(tt.head+tt.tail), len(tt.head), denseMeta(2), &r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.head, err, tt.want)
		}
	}
	for _, n := range []int{-2, 3} {
		if err := DecodeInfer([]byte("{}"), n, denseMeta(2), &r); err == nil || !strings.Contains(err.Error(), "the body has 2 bytes") {
			t.Errorf("header length %d: %v", n, err)
		}
	}
}

// TestRowsHaveToAgree: Meta.Check's own faults come through.
func TestRowsHaveToAgree(t *testing.T) {
	body := strings.Replace(specRequest, `"shape" : [ 2 ],`, `"shape" : [ 1 ],`, 1)
	body = strings.Replace(body, "[ true, false ]", "[ true ]", 1)
	var r InferRequest
	if err := DecodeInfer([]byte(body), Absent, specMeta(), &r); err == nil || !strings.Contains(err.Error(), "different numbers of rows") {
		t.Error(err)
	}
	body = `{"inputs":[{"name":"input0","shape":[1,2],"datatype":"UINT32","data":[1,2]}]}`
	if err := DecodeInfer([]byte(body), Absent, specMeta(), &r); err == nil || err.Error() != `input "input1" is missing` {
		t.Error(err)
	}
	body = `{"inputs":[{"name":"input0","shape":[1,2],"datatype":"UINT32","data":[1,2]},{"name":"input0","shape":[1,2],"datatype":"UINT32","data":[1,2]}]}`
	if err := DecodeInfer([]byte(body), Absent, specMeta(), &r); err == nil || err.Error() != `input "input0" is there twice` {
		t.Error(err)
	}
}

// TestReuse: a request used again is as a new one, whatever it held before, and allocates nothing.
func TestReuse(t *testing.T) {
	var r InferRequest
	big := inferBody(512, 32)
	for _, body := range []string{string(big), specRequest, `{"inputs":[`, string(big)} {
		meta := denseMeta(512)
		if body == specRequest {
			meta = specMeta()
		}
		var fresh InferRequest
		errFresh, err := DecodeInfer([]byte(body), Absent, meta, &fresh), DecodeInfer([]byte(body), Absent, meta, &r)
		if fmt.Sprint(errFresh) != fmt.Sprint(err) || fresh.ID != r.ID || fresh.Rows != r.Rows || fmt.Sprint(fresh.Inputs) != fmt.Sprint(r.Inputs) || fmt.Sprint(fresh.Outputs) != fmt.Sprint(r.Outputs) {
			t.Errorf("%.50s: used again %+v, %v", body, r, err)
		}
	}
	meta := denseMeta(512)
	if n := testing.AllocsPerRun(100, func() { _ = DecodeInfer(big, Absent, meta, &r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
