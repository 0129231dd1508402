package onnx

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	srt "trimtab.dev/trimtab/serving/runtime"
)

// unhex joins pieces of hex, each a field with its tag, and drops spaces.
func unhex(t testing.TB, pieces ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(pieces, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReadByHand reads a file put together from the numbers in onnx.proto. A tag is number*8 + wire type:
// 0 a varint, 2 a length and bytes, 5 four bytes.
func TestReadByHand(t *testing.T) {
	tensor := "08 02" + // dims: 2
		"10 01" + // data_type: FLOAT
		"22 08 0000803f 00000040" + // float_data: 1, 2
		"42 01 77" // name: w
	node := "0a 01 78" + "0a 01 77" + // input: x, w
		"12 01 79" + // output: y
		"1a 01 6e" + // name: n
		"22 03 416464" + // op_type: Add
		"2a 08 0a 01 61 18 07 a001 02" + // attribute: name a, i 7, type INT
		"3a 07 61692e6f6e6e78" // domain: ai.onnx
	value := func(name, dim string) string { // name; type: tensor_type: elem_type FLOAT, shape: one free axis, one of dim
		return "0a 01" + name + "12 11 0a 0f 08 01 12 0b 0a 05 12 03 726f77 0a 02 08" + dim
	}
	graph := "0a 24" + node + "12 01 67" + "2a 11" + tensor + "5a 16" + value("78", "02") + "62 16" + value("79", "02")
	m, err := Read(unhex(t, "08 08"+ // ir_version
		"12 02 7474"+ // producer_name
		"3a 6c"+graph+
		"42 02 10 0d"+ // opset_import: version 13
		"42 0e 0a 0a 61692e6f6e6e782e6d6c 10 03"+ // opset_import: ai.onnx.ml, 3
		"72 06 0a 01 6b 12 01 76")) // metadata_props: k, v
	if err != nil {
		t.Fatal(err)
	}
	rows := func(name string) Value {
		return Value{Name: name, Type: Float, Shaped: true, Shape: []Dim{Free("row"), Fixed(2)}}
	}
	want := &Model{IR: 8, Producer: "tt", Opsets: []Opset{{"", 13}, {DomainML, 3}}, Props: []Prop{{"k", "v"}}, Graph: Graph{
		Name:         "g",
		Nodes:        []Node{{Name: "n", Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attributes: []Attribute{AttrInt("a", 7)}}},
		Initializers: []Tensor{Floats32("w", []float32{1, 2}, 2)},
		Inputs:       []Value{rows("x")}, Outputs: []Value{rows("y")},
	}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("read %+v\nwant %+v", m, want)
	}
}

// TestAttributesByHand: every kind in both forms that lists have, packed and one by one.
func TestAttributesByHand(t *testing.T) {
	tests := []struct {
		name, bytes string
		want        Attribute
	}{
		{"float", "0a0161 15 0000003f a00101", AttrFloat("a", 0.5)},
		{"negative int", "0a0161 18 ffffffffffffffffff01 a00102", AttrInt("a", -1)},
		{"string", "0a0161 22 03 616263 a00103", AttrText("a", "abc")},
		{"floats", "0a0161 3d 0000003f 3d 0000803f a00106", AttrFloats("a", 0.5, 1)},
		{"packed floats", "0a0161 3a 08 0000003f0000803f a00106", AttrFloats("a", 0.5, 1)},
		{"ints", "0a0161 40 05 40 8001 a00107", AttrInts("a", 5, 128)},
		{"packed ints", "0a0161 42 03 058001 a00107", AttrInts("a", 5, 128)},
		{"strings", "0a0161 4a 01 78 4a 00 a00108", AttrTexts("a", "x", "")},
		{"no type said", "0a0161 18 07", AttrInt("a", 7)},
		{"a graph is known by its kind only", "0a0161 32 02 1201 a00105", Attribute{Name: "a", Kind: KindGraph}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Attribute
			if err := each(unhex(t, fmt.Sprintf("0a %02x", len(unhex(t, tt.bytes))), tt.bytes), func(f field) error { return got.read(f) }); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("read %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestTensorsByHand: elements come as raw bytes or in the field of their type.
func TestTensorsByHand(t *testing.T) {
	tests := []struct {
		name, bytes string
		want        []int64
	}{
		{"raw int64", "0801 1007 4a 08 0500000000000000", []int64{5}},
		{"int64_data", "0802 1007 3a 0b 05 ffffffffffffffffff01", []int64{5, -1}},
		{"int32_data", "0802 1006 2a 0b 05 ffffffffffffffffff01", []int64{5, -1}},
		{"int32_data, one by one", "0802 1006 2805 2807", []int64{5, 7}},
		{"bool as int32_data", "0802 1009 2a 02 01 00", []int64{1, 0}},
		{"packed dims", "0a02 0102 1006 2a 02 01 02", []int64{1, 2}},
		{"a single value", "1007 3a 01 05", []int64{5}},
		{"nothing", "0800 1007", []int64{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Tensor
			if err := each(unhex(t, fmt.Sprintf("0a %02x", len(unhex(t, tt.bytes))), tt.bytes), func(f field) error { return got.read(f) }); err != nil {
				t.Fatal(err)
			}
			if v, err := got.Ints(); err != nil || !reflect.DeepEqual(v, tt.want) {
				t.Errorf("read %v, %v; want %v", v, err, tt.want)
			}
		})
	}
	double := Tensor{Type: Double, Dims: []int64{2}, Data: srt.Data([]float64{0.5, -3})}
	if f, err := double.Floats(); err != nil || !reflect.DeepEqual(f, []float32{0.5, -3}) {
		t.Errorf("doubles are %v, %v", f, err)
	}
}

// TestRefused: what cannot be a model, and why.
func TestRefused(t *testing.T) {
	graph := func(fields string) string { // a model of a graph of the fields, shorter than 128 bytes
		return fmt.Sprintf("3a%02x", len(unhex(t, fields))) + fields
	}
	tests := []struct{ name, bytes, want string }{
		{"nothing", "", "no graph"},
		{"another file", "504b0304 00000000", "read ONNX model"},
		{"cut", "3a 05 0a", "field 7"},
		{"another wire type", "0a 01 08", "field 1: a value of another type"},
		{"a node of no operator", graph("0a 03 0a 01 78"), "node 0: it has no operator"},
		{"too little data", graph("2a 0a 0805 1001 4a 04 00000000"), "initializer 0: tensor \"\" of shape [5] has 4 bytes of FLOAT"},
		{"a huge shape", graph("2a 16 08ffffffffffffffff7f 08ffffffffffffffff7f 1001"), "has 0 bytes"},
		{"data elsewhere", graph("2a 09 0801 1001 7001 42 01 77"), `tensor "w": its data lies in another file`},
		{"half a float", graph("0a 0c 22 01 41 2a 07 0a0161 3a 02 0000"), `attribute 0: "a": field 7: 2 bytes`},
	}
	for _, tt := range tests {
		if _, err := Read(unhex(t, tt.bytes)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not say %q", tt.name, err, tt.want)
		}
	}
	for _, m := range []Model{
		{Graph: Graph{Initializers: []Tensor{{Name: "w", Type: Float, Dims: []int64{2}}}}},
		{Graph: Graph{Nodes: []Node{{Op: "If", Attributes: []Attribute{{Name: "then_branch", Kind: KindGraph}}}}}},
	} {
		if _, err := Write(&m); err == nil {
			t.Errorf("%+v was written", m.Graph)
		}
	}
}

// TestUnknownIsKept: what this package does not read does not stop others from serving the model.
func TestUnknownIsKept(t *testing.T) {
	strs := unhex(t, "3a 09 2a 07 0801 1008 3201 61", "fa01 01 00", "a80601") // a tensor of strings; fields of other numbers
	m, err := Read(strs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Graph.Initializers[0].Floats(); err == nil {
		t.Error("strings were read as numbers")
	}
}

// random is a model of everything that can be written, with lists shorter than size.
func random(r *rand.Rand, size int) *Model {
	text := func() string { return fmt.Sprintf("n%d", r.IntN(1000)) }
	m := &Model{IR: 8, Producer: text(), Opsets: []Opset{{"", 13}, {DomainML, 3}}, Props: []Prop{{text(), text()}, {"", ""}}}
	for range r.IntN(5) {
		n := Node{Op: "Op" + text(), Inputs: []string{text(), "", text()}, Outputs: []string{text()}}
		small := Ints64("", int64(r.Uint64()), 1)
		n.Attributes = []Attribute{AttrInt(text(), int64(r.Uint64())), AttrFloat(text(), r.Float32()), AttrText(text(), ""), AttrInts(text(), -1, 300),
			AttrFloats(text(), make([]float32, 1+r.IntN(size))...), AttrTexts(text(), "", text()), {Name: text(), Kind: KindTensor, Tensor: &small}}
		m.Graph.Nodes = append(m.Graph.Nodes, n)
		m.Graph.Initializers = append(m.Graph.Initializers, Floats32(text(), make([]float32, 2*r.IntN(size)), 2, -1))
		t := &m.Graph.Initializers[len(m.Graph.Initializers)-1]
		t.Dims[1] = int64(len(t.Data) / 8)
	}
	m.Graph.Inputs = []Value{Rows("in", Float, 1, 2), {Name: "odd", Type: Int64, Shaped: true, Shape: []Dim{Fixed(0), Free("")}}}
	m.Graph.Outputs = []Value{{Name: "sequence"}, {Name: "no shape", Type: Double}}
	return m
}

// TestRoundTrip: what was written is read again, and the same model gives the same bytes.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		m := random(r, 3000)
		data, err := Write(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Write(got)
		if err != nil || !bytes.Equal(again, data) || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) && len(m.Graph.Nodes) == 0 {
			t.Fatalf("read %+v\nwant %+v, %v", got, m, err)
		}
		for i := range m.Graph.Nodes {
			if !reflect.DeepEqual(got.Graph.Nodes[i], m.Graph.Nodes[i]) || !reflect.DeepEqual(got.Graph.Initializers[i].Data, m.Graph.Initializers[i].Data) {
				t.Fatalf("node %d is %+v, want %+v", i, got.Graph.Nodes[i], m.Graph.Nodes[i])
			}
		}
	}
}

// TestConstantInputs: before IR 4 constants were inputs too.
func TestConstantInputs(t *testing.T) {
	data, err := Write(&Model{Graph: Graph{Initializers: []Tensor{Ints64("w", 1)}, Inputs: []Value{Rows("x", Float, 1), Rows("w", Int64)}}})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Read(data); err != nil || len(m.Graph.Inputs) != 1 || m.Graph.Inputs[0].Name != "x" {
		t.Errorf("inputs %+v, %v; want x alone", m.Graph.Inputs, err)
	}
}

// TestMemory: what is read from files made to take much memory is no more than some times their size.
func TestMemory(t *testing.T) {
	const n = 1 << 20
	files := map[string][]byte{
		"empty names":  field32(7, field32(1, append([]byte{0x22, 1, 'A'}, bytes.Repeat([]byte{0x0a, 0}, n)...))),
		"small nodes":  field32(7, bytes.Repeat([]byte{0x0a, 3, 0x22, 1, 'A'}, n/5)),
		"small ints":   field32(7, field32(5, append([]byte{0x08, 0x80, 0x80, 0x40, 0x10, 7}, field32(7, make([]byte, n))...))),
		"empty opsets": append([]byte{0x3a, 0}, bytes.Repeat([]byte{0x42, 0}, n/2)...),
		"empty axes":   field32(7, field32(11, field32(2, field32(1, field32(2, bytes.Repeat([]byte{0x0a, 0}, n/2)))))),
	}
	for name, data := range files {
		before := held()
		m, err := Read(data)
		if got := held() - before; err != nil || got > 32*int64(len(data)) {
			t.Errorf("%s: %d bytes of file are %d bytes in memory, %v", name, len(data), got, err)
		}
		runtime.KeepAlive(m)
	}
}

// field32 is b as field num of a message.
func field32(num int, b []byte) []byte {
	var m message
	m.always(1, b)
	out := m.bytes()
	out[0] = byte(num<<3 | 2)
	return out
}

// held is the memory in use, without garbage.
func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// FuzzRead: no bytes make Read panic, and what it read can be described and, if it can be written, is
// read again.
func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 4 {
		data, err := Write(random(r, 4))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add(unhex(f, "3a 09 2a 07 0801 1008 3201 61"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(data)
		if err != nil {
			return
		}
		describe(m)
		again, err := Write(m)
		if err != nil {
			return
		}
		if _, err := Read(again); err != nil {
			t.Fatal(err)
		}
	})
}
