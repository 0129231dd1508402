package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// row is a JSON array of n float32 between 0 and 1, or of float32 as Python writes them: as float64.
func row(n, bits int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	text := []byte{'['}
	for range n {
		text = strconv.AppendFloat(text, float64(r.Float32()), 'f', -1, bits)
		text = append(text, ',')
	}
	text[len(text)-1] = ']'
	return text
}

func denseMeta(width int) runtime.Meta {
	return runtime.Meta{
		Inputs:  []runtime.Spec{{Name: "input", Type: runtime.FP32, Shape: []int{width}}},
		Outputs: []runtime.Spec{{Name: "output", Type: runtime.FP32, Shape: []int{16}}},
	}
}

func inferBody(n, bits int) []byte {
	return fmt.Appendf(nil, `{"id":"7","inputs":[{"name":"input","shape":[1,%d],"datatype":"FP32","data":%s}]}`, n, row(n, bits))
}

func BenchmarkDecodeInfer(b *testing.B) {
	for _, c := range []struct {
		n, bits int
		space   string
	}{{256, 32, ""}, {512, 32, ""}, {512, 64, " "}} { // the last is what Python sends
		body, meta := bytes.ReplaceAll(inferBody(c.n, c.bits), []byte(","), []byte(","+c.space)), denseMeta(c.n)
		b.Run(fmt.Sprintf("json-%d-float%d", c.n, c.bits), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var r InferRequest
			for b.Loop() {
				if err := DecodeInfer(body, Absent, meta, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeInferBinary(b *testing.B) {
	head := []byte(`{"inputs":[{"name":"input","shape":[1,512],"datatype":"FP32","parameters":{"binary_data_size":2048}}],"outputs":[{"name":"output","parameters":{"binary_data":true}}]}`)
	body, meta := append(head, make([]byte, 2048)...), denseMeta(512)
	b.ReportAllocs()
	var r InferRequest
	for b.Loop() {
		if err := DecodeInfer(body, len(head), meta, &r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingJSON is what the standard library takes for the same body.
func BenchmarkEncodingJSON(b *testing.B) {
	body := inferBody(512, 32)
	b.ReportAllocs()
	for b.Loop() {
		var r struct {
			ID     string
			Inputs []struct {
				Name, Datatype string
				Shape          []int
				Data           []float32
			}
		}
		if err := json.Unmarshal(body, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeGRPCInfer(b *testing.B) {
	raw := make([]byte, 2048)
	msg := appendText(nil, 1, "m")
	msg = appendMessage(msg, 5, func(dst []byte) []byte { return appendTensor(dst, "input", runtime.FP32, 1, 512) })
	msg = appendBytes(msg, 7, raw)
	meta := denseMeta(512)
	b.ReportAllocs()
	var r InferRequest
	for b.Loop() {
		if err := DecodeGRPCInfer(msg, meta, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePredict(b *testing.B) {
	body, meta := []byte(`{"x":1.5,"y":27}`), denseMeta(2)
	features := []string{"x", "y"}
	b.ReportAllocs()
	var r InferRequest
	for b.Loop() {
		if _, err := DecodePredict(body, meta, features, nil, &r); err != nil {
			b.Fatal(err)
		}
	}
}
