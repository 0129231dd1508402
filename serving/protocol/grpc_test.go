package protocol

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"trimtab.dev/trimtab/serving/runtime"
)

// schemaOf is the descriptor as the official implementation of protobuf sees it.
func schemaOf(t testing.TB) protoreflect.FileDescriptor {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(Descriptor(), &file); err != nil {
		t.Fatal(err)
	}
	desc, err := protodesc.NewFile(&file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

// marshal encodes a message, written as text, with the official implementation.
func marshal(t testing.TB, name, text string) []byte {
	t.Helper()
	m := dynamicpb.NewMessage(schemaOf(t).Messages().ByName(protoreflect.Name(name)))
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// sameMessage checks that wire is the message that text is.
func sameMessage(t *testing.T, name string, wire []byte, text string) {
	t.Helper()
	got := dynamicpb.NewMessage(schemaOf(t).Messages().ByName(protoreflect.Name(name)))
	if err := proto.Unmarshal(wire, got); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(got.GetUnknown()) > 0 {
		t.Errorf("%s has unknown fields %x", name, got.GetUnknown())
	}
	want := dynamicpb.NewMessage(got.Descriptor())
	if err := prototext.Unmarshal([]byte(text), want); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, prototext.Format(got), prototext.Format(want))
	}
}

func TestDescriptor(t *testing.T) {
	s := schemaOf(t).Services().ByName("GRPCInferenceService")
	if s == nil || string(s.FullName()) != Service || s.Methods().Len() != len(Methods()) {
		t.Fatalf("the service is %v", s)
	}
	infer := s.Methods().ByName("ModelInfer")
	if infer.Input().FullName() != "inference.ModelInferRequest" || infer.Output().FullName() != "inference.ModelInferResponse" {
		t.Errorf("ModelInfer takes %s and gives %s", infer.Input().FullName(), infer.Output().FullName())
	}
	if f := infer.Input().Fields().ByName("parameters"); !f.IsMap() || f.MapValue().Message().Name() != "InferParameter" {
		t.Error("the parameters are not a map")
	}
}

// everyType has an input of each type, all of two elements a row.
func everyType() runtime.Meta {
	var m runtime.Meta
	for k := runtime.Bool; k <= runtime.FP64; k++ {
		m.Inputs = append(m.Inputs, runtime.Spec{Name: k.String(), Type: k, Shape: []int{2}})
	}
	m.Outputs = []runtime.Spec{{Name: "y", Type: runtime.FP32, Shape: []int{2}}, {Name: "z", Type: runtime.Int64}}
	return m
}

// only has the input of one type.
func only(t runtime.Type) runtime.Meta {
	m := everyType()
	m.Inputs = m.Inputs[t-1 : t]
	return m
}

func TestDecodeGRPCContents(t *testing.T) {
	tests := []struct {
		is       runtime.Type
		contents string
		want     []byte
	}{
		{runtime.Bool, "bool_contents: [true, false]", []byte{1, 0}},
		{runtime.Int8, "int_contents: [-128, 127]", []byte{0x80, 0x7f}},
		{runtime.Int16, "int_contents: [-2, 258]", []byte{0xfe, 0xff, 2, 1}},
		{runtime.Int32, "int_contents: [-2147483648, 7]", runtime.Data([]int32{-1 << 31, 7})},
		{runtime.Int64, "int64_contents: [-9223372036854775808, 9223372036854775807]", runtime.Data([]int64{-1 << 63, 1<<63 - 1})},
		{runtime.Uint8, "uint_contents: [0, 255]", []byte{0, 255}},
		{runtime.Uint16, "uint_contents: [1, 65535]", []byte{1, 0, 255, 255}},
		{runtime.Uint32, "uint_contents: [1, 4294967295]", runtime.Data([]uint32{1, 1<<32 - 1})},
		{runtime.Uint64, "uint64_contents: [1, 18446744073709551615]", runtime.Data([]uint64{1, 1<<64 - 1})},
		{runtime.FP32, "fp32_contents: [1.5, -0.1]", runtime.Data([]float32{1.5, -0.1})},
		{runtime.FP64, "fp64_contents: [1.5, -0.1]", runtime.Data([]float64{1.5, -0.1})},
	}
	var r InferRequest
	for _, tt := range tests {
		text := `model_name: "m" inputs { name: "` + tt.is.String() + `" datatype: "` + tt.is.String() + `" shape: [1, 2] contents { ` + tt.contents + ` } }`
		err := DecodeGRPCInfer(marshal(t, "ModelInferRequest", text), only(tt.is), &r)
		if err != nil || !bytes.Equal(r.Inputs[0].Data, tt.want) || r.Rows != 1 {
			t.Errorf("%s: %v, %v; want %v", tt.contents, r.Inputs, err, tt.want)
		}
	}
}

func TestDecodeGRPCInfer(t *testing.T) {
	msg := marshal(t, "ModelInferRequest", `
		model_name: "m" model_version: "3" id: "42"
		parameters { key: "priority" value { uint64_param: 1 } }
		parameters { key: "timeout" value { int64_param: 20000 } }
		parameters { key: "other" value { double_param: 1.5 } }
		inputs { name: "FP32" datatype: "FP32" shape: [2, 2] parameters { key: "p" value { bool_param: true } } }
		inputs { name: "BF16" datatype: "BF16" shape: [2, 2] }
		outputs { name: "z" parameters { key: "binary_data" value { bool_param: false } } }
		raw_input_contents: "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40"
		raw_input_contents: "12345678"`)
	meta := everyType()
	meta.Inputs = []runtime.Spec{meta.Inputs[runtime.BF16-1], meta.Inputs[runtime.FP32-1]} // the model's order is another
	h, err := PeekGRPCInfer(msg)
	if want := (GRPCHead{"m", "3", "42", "1", 20 * time.Millisecond}); err != nil || h != want {
		t.Errorf("the head is %+v, %v; want %+v", h, err, want)
	}
	var r InferRequest
	if err := DecodeGRPCInfer(msg, meta, &r); err != nil {
		t.Fatal(err)
	}
	if string(r.Inputs[0].Data) != "12345678" || !bytes.Equal(r.Inputs[1].Data, runtime.Data([]float32{1, 2, 3, 4})) {
		t.Errorf("the inputs are %v", r.Inputs)
	}
	if r.Rows != 2 || len(r.Outputs) != 1 || r.Outputs[0].Index != 1 || r.ID != "42" || r.Priority != "1" || r.Timeout != 20*time.Millisecond {
		t.Errorf("the request is %+v", r)
	}
}

// TestDecodeGRPCUnpacked: lists may also come one element at a time, and messages in parts.
func TestDecodeGRPCUnpacked(t *testing.T) {
	part := func(c string) string { return "\x2a" + string(rune(len(c))) + c } // contents: field 5 of the input
	tests := []struct {
		is   runtime.Type
		wire string
		want []byte
	}{
		{runtime.FP32, part("\x35\x00\x00\x80\x3f\x35\x00\x00\x00\x40"), runtime.Data([]float32{1, 2})},
		{runtime.FP32, part("\x35\x00\x00\x80\x3f") + part("\x32\x04\x00\x00\x00\x40"), runtime.Data([]float32{1, 2})},
		{runtime.FP64, part("\x39\x00\x00\x00\x00\x00\x00\xf0\x3f\x39\x00\x00\x00\x00\x00\x00\x00\x40"), runtime.Data([]float64{1, 2})},
		{runtime.Int64, part("\x18\x05\x18\x06"), runtime.Data([]int64{5, 6})},
		{runtime.Int32, part("\x10\xff\xff\xff\xff\x0f\x10\x05"), runtime.Data([]int32{-1, 5})}, // 32 bits count, however many come
		{runtime.Bool, part("\x08\x01\x08\x00"), []byte{1, 0}},
	}
	var r InferRequest
	for _, tt := range tests {
		name := tt.is.String()
		in := "\x0a" + string(rune(len(name))) + name + "\x12" + string(rune(len(name))) + name + "\x18\x01\x18\x02" + tt.wire
		msg := "\x2a" + string(rune(len(in))) + in
		err := DecodeGRPCInfer([]byte(msg), only(tt.is), &r)
		if err != nil || !bytes.Equal(r.Inputs[0].Data, tt.want) {
			t.Errorf("%x: %v, %v; want %v", msg, r.Inputs, err, tt.want)
		}
	}
}

func TestDecodeGRPCRefuses(t *testing.T) {
	const fp32 = `inputs { name: "FP32" datatype: "FP32" shape: [1, 2] `
	tests := []struct{ text, want string }{
		{``, "request has 0 inputs; the model has 1"},
		{`inputs { datatype: "FP32" }`, "an input has no name"},
		{`inputs { name: "x" }`, `input "x" is not one of the model's; it takes "FP32"`},
		{`inputs { name: "FP32" shape: [1, 2] }`, `input "FP32" has no datatype; the model takes FP32`},
		{`inputs { name: "FP32" shape: [1, 2] datatype: "BYTES" }`, "no runtime here computes strings"},
		{`inputs { name: "FP32" shape: [1, 2] datatype: "INT64" contents { int64_contents: [1, 2] } }`, "has datatype INT64; the model takes FP32"},
		{`inputs { name: "FP32" shape: [2] datatype: "FP32" }`, "has shape [2]; the model takes [rows]+[2]"},
		{`inputs { name: "FP32" shape: [-1, 2] datatype: "FP32" }`, "has shape [-1 2]"},
		{`inputs { name: "FP32" shape: [9223372036854775807, 2] datatype: "FP32" contents { fp32_contents: 1 } }`, "and 1 values"},
		{fp32 + `}`, "has no data"},
		{fp32 + `contents { } }`, "has shape [1 2] and 0 values"},
		{fp32 + `contents { fp32_contents: [1, 2, 3] } }`, "has shape [1 2] and 3 values"},
		{fp32 + `contents { fp64_contents: [1, 2] } }`, "contents of field 7; FP32 stands in field 6"},
		{fp32 + `contents { fp32_contents: [1, 2] } } raw_input_contents: "12345678"`, "cannot be mixed"},
		{fp32 + `} raw_input_contents: "1234567"`, "has shape [1 2] and 7 bytes of FP32"},
		{fp32 + `} raw_input_contents: "12345678" raw_input_contents: ""`, "more than 1 tensors"},
		{fp32 + `contents { fp32_contents: [1, 2] } } ` + fp32 + `}`, "more than 1 inputs"},
		{fp32 + `} raw_input_contents: "12345678" outputs { name: "x" }`, `output "x" is not one of the model's`},
		{fp32 + `} raw_input_contents: "12345678" outputs { name: "y" } outputs { name: "y" }`, "asked for twice"},
		{fp32 + `} raw_input_contents: "12345678" outputs { name: "y" parameters { key: "classification" value { int64_param: 2 } } }`, "classification is not served"},
		{fp32 + `} parameters { key: "timeout" value { int64_param: -1 } }`, "timeout is -1"},
		{fp32 + `} parameters { key: "timeout" value { string_param: "x" } }`, `timeout is "x"`},
	}
	var r InferRequest
	for _, tt := range tests {
		err := DecodeGRPCInfer(marshal(t, "ModelInferRequest", tt.text), only(runtime.FP32), &r)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.text, err, tt.want)
		}
	}
	for wire, want := range map[string]string{"\x0a": "read the message", "\x0a\x05a": "read the message", "\x0a\x01\xff": "not UTF-8", "\x2a\x02\x1a\x7f": "read the message"} {
		if err := DecodeGRPCInfer([]byte(wire), only(runtime.FP32), &r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%x: %v; want %s", wire, err, want)
		}
	}
	int8s := `inputs { name: "INT8" datatype: "INT8" shape: [1, 2] contents { int_contents: [1, 128] } }`
	if err := DecodeGRPCInfer(marshal(t, "ModelInferRequest", int8s), only(runtime.Int8), &r); err == nil || !strings.Contains(err.Error(), "value 1, 128, is not an integer of INT8") {
		t.Errorf("128 in INT8: %v", err)
	}
}

func testAnswer() Answer {
	return Answer{Model: "m", Version: "3", ID: "42",
		Specs: []runtime.Spec{{Name: "y", Type: runtime.FP32, Shape: []int{2}}, {Name: "z", Type: runtime.Int64}},
		Outputs: []runtime.Tensor{
			{Type: runtime.FP32, Shape: []int{2, 2}, Data: runtime.Data([]float32{1, 2.5, -3, 4})},
			{Type: runtime.Int64, Shape: []int{2}, Data: runtime.Data([]int64{-1, 258})}},
		Wanted: []Wanted{{Index: 1}, {Index: 0}}}
}

func TestAppendGRPCInfer(t *testing.T) {
	sameMessage(t, "ModelInferResponse", AppendGRPCInfer(nil, testAnswer()), `
		model_name: "m" model_version: "3" id: "42"
		outputs { name: "z" datatype: "INT64" shape: [2] }
		outputs { name: "y" datatype: "FP32" shape: [2, 2] }
		raw_output_contents: "\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x00\x00\x00\x00\x00\x00"
		raw_output_contents: "\x00\x00\x80\x3f\x00\x00\x20\x40\x00\x00\x40\xc0\x00\x00\x80\x40"`)
}

func TestGRPCSmallRequests(t *testing.T) {
	name, version, err := DecodeGRPCModel(marshal(t, "ModelReadyRequest", `name: "m" version: "3"`))
	if name != "m" || version != "3" || err != nil {
		t.Errorf("a model is %q %q, %v", name, version, err)
	}
	ready, err := DecodeGRPCIndex(marshal(t, "RepositoryIndexRequest", `repository_name: "r" ready: true`))
	if !ready || err != nil {
		t.Errorf("the index wants ready %v, %v", ready, err)
	}
	sameMessage(t, "ServerLiveResponse", AppendGRPCBool(nil, true), "live: true")
	sameMessage(t, "ModelReadyResponse", AppendGRPCBool(nil, false), "")
}

// FuzzGRPC: no panic, memory in proportion to the message, and what is taken passes Meta.Check.
func FuzzGRPC(f *testing.F) {
	f.Add(marshal(f, "ModelInferRequest", `model_name: "m" id: "1" inputs { name: "FP32" datatype: "FP32" shape: [1, 2] contents { fp32_contents: [1, 2] } }`))
	f.Add(marshal(f, "ModelInferRequest", `inputs { name: "FP32" datatype: "FP32" shape: [1, 2] } raw_input_contents: "12345678" outputs { name: "z" }`))
	f.Add(marshal(f, "ModelInferRequest", `inputs { name: "FP32" datatype: "FP32" shape: [1000000000, 2] contents { fp32_contents: [1, 2] } }`))
	f.Add([]byte("\x2a\x02\x1a\x7f"))
	meta := only(runtime.FP32)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var r InferRequest
		err := DecodeGRPCInfer(msg, meta, &r)
		held := 0
		for _, s := range r.space {
			held += cap(s)
		}
		if held > 8*len(msg)+8 {
			t.Fatalf("%d bytes of message, %d of memory", len(msg), held)
		}
		if err != nil {
			return
		}
		if rows, err := meta.Check(r.Inputs); err != nil || rows != r.Rows || len(r.Outputs) == 0 {
			t.Fatalf("%x was taken as %+v, %v", msg, r.Inputs, err)
		}
	})
}
