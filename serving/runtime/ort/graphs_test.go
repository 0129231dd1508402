package ort

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/examples"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// graph is a small model of one or a few operators, random but for its seed, and what its inputs are like.
type graph struct {
	name string
	make func(r *rand.Rand) onnx.Graph
	fill func(r *rand.Rand) float64 // one value; nil: normal
}

// graphs has every operator of the runtime of pure Go at least once, in the forms that exporters write.
func graphs() []graph {
	all := append(append(dense(), shapes()...), images()...)
	return append(append(all, learned()...), elementwise()...)
}

func written(t testing.TB, g onnx.Graph) []byte {
	t.Helper()
	g.Name = "graph"
	data, err := onnx.Write(&onnx.Model{IR: onnx.IRVersion, Graph: g,
		Opsets: []onnx.Opset{{Version: onnx.Opset13}, {Domain: onnx.DomainML, Version: onnx.OpsetML3}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func node(op string, in, out string, attributes ...onnx.Attribute) onnx.Node {
	domain := ""
	if strings.HasPrefix(op, "ml.") {
		op, domain = op[3:], onnx.DomainML
	}
	return onnx.Node{Op: op, Domain: domain, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attributes: attributes}
}

func attr(name string, v any) onnx.Attribute {
	a := onnx.Attribute{Name: name}
	switch v := v.(type) {
	case int:
		a.Kind, a.Int = onnx.KindInt, int64(v)
	case float64:
		a.Kind, a.Float = onnx.KindFloat, float32(v)
	case string:
		a.Kind, a.Text = onnx.KindString, v
	case []int64:
		a.Kind, a.Ints = onnx.KindInts, v
	case []float32:
		a.Kind, a.Floats = onnx.KindFloats, v
	case []string:
		a.Kind, a.Texts = onnx.KindTexts, v
	default:
		panic(fmt.Sprintf("attribute %s of %T", name, v))
	}
	return a
}

func value(name string, t onnx.Type, rows int64, shape ...int64) onnx.Value {
	v := onnx.Value{Name: name, Type: t, Shaped: true, Shape: []onnx.Dim{{Size: rows}}}
	if rows < 0 {
		v.Shape[0].Symbol = "rows"
	}
	for _, d := range shape {
		v.Shape = append(v.Shape, onnx.Dim{Size: d})
	}
	return v
}

// one is a graph from x, of shape in a row, to y of shape out; nodes go in between.
func one(in, out []int64, nodes []onnx.Node, constants ...onnx.Tensor) onnx.Graph {
	return onnx.Graph{Name: "graph", Nodes: nodes, Initializers: constants,
		Inputs: []onnx.Value{value("x", onnx.Float, -1, in...)}, Outputs: []onnx.Value{value("y", onnx.Float, -1, out...)}}
}

// random is a constant of normal values, about 1 in size after a sum over its first axis.
func random(r *rand.Rand, name string, dims ...int64) onnx.Tensor {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
		if len(dims) > 1 {
			values[i] /= float32(math.Sqrt(float64(n / dims[len(dims)-1])))
		}
	}
	return onnx.Floats32(name, values, dims...)
}

func dims(d ...int64) []int64 { return d }

func dense() []graph {
	return []graph{
		{"gemm", func(r *rand.Rand) onnx.Graph {
			return one(dims(7), dims(5), []onnx.Node{node("Gemm", "x w b", "y")}, random(r, "w", 7, 5), random(r, "b", 5))
		}, nil},
		{"gemm-options", func(r *rand.Rand) onnx.Graph {
			return one(dims(33), dims(17), []onnx.Node{node("Gemm", "x w b", "y", attr("transB", 1), attr("alpha", 0.5), attr("beta", 2.0))},
				random(r, "w", 17, 33), random(r, "b", 1, 17))
		}, nil},
		{"gemm-without-bias", func(r *rand.Rand) onnx.Graph {
			return one(dims(3), dims(64), []onnx.Node{node("Gemm", "x w", "y")}, random(r, "w", 3, 64))
		}, nil},
		{"matmul-add-relu", func(r *rand.Rand) onnx.Graph {
			return one(dims(65), dims(31), []onnx.Node{node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Relu", "c", "y")},
				random(r, "w", 65, 31), random(r, "b", 31))
		}, nil},
		{"layers", func(r *rand.Rand) onnx.Graph {
			return one(dims(20), dims(4), []onnx.Node{node("Gemm", "x w1 b1", "h1"), node("Relu", "h1", "r1"), node("Gemm", "r1 w2 b2", "h2"),
				node("Tanh", "h2", "r2"), node("Gemm", "r2 w3 b3", "h3"), node("Softmax", "h3", "y", attr("axis", -1))},
				random(r, "w1", 20, 48), random(r, "b1", 48), random(r, "w2", 48, 40), random(r, "b2", 40), random(r, "w3", 40, 4), random(r, "b3", 4))
		}, nil},
		{"two-inputs", func(r *rand.Rand) onnx.Graph {
			g := one(dims(6), dims(9), []onnx.Node{node("Concat", "x z", "c", attr("axis", 1)), node("Gemm", "c w b", "y")}, random(r, "w", 10, 9), random(r, "b", 9))
			g.Inputs = append(g.Inputs, value("z", onnx.Float, -1, 4))
			return g
		}, nil},
		{"batch-normalization", func(r *rand.Rand) onnx.Graph {
			variance := onnx.Floats32("v", []float32{0.5, 1, 2, 3}, 4)
			return one(dims(4), dims(4), []onnx.Node{node("BatchNormalization", "x s b m v", "y", attr("epsilon", 0.01))},
				random(r, "s", 4), random(r, "b", 4), random(r, "m", 4), variance)
		}, nil},
	}
}

func shapes() []graph {
	return []graph{
		{"flatten", func(*rand.Rand) onnx.Graph {
			return one(dims(2, 3, 4), dims(24), []onnx.Node{node("Flatten", "x", "y")})
		}, nil},
		{"reshape", func(*rand.Rand) onnx.Graph {
			return one(dims(2, 6), dims(4, 3), []onnx.Node{node("Reshape", "x s", "y")}, onnx.Ints64("s", 0, 4, -1))
		}, nil},
		{"reshape-to-rows", func(*rand.Rand) onnx.Graph {
			return one(dims(2, 6), dims(12), []onnx.Node{node("Reshape", "x s", "y")}, onnx.Ints64("s", -1, 12))
		}, nil},
		{"squeeze-unsqueeze", func(*rand.Rand) onnx.Graph {
			return one(dims(1, 3), dims(3, 1), []onnx.Node{node("Squeeze", "x a", "q"), node("Unsqueeze", "q b", "y")}, onnx.Ints64("a", 1), onnx.Ints64("b", 2))
		}, nil},
		{"transpose", func(*rand.Rand) onnx.Graph {
			return one(dims(2, 3, 4), dims(4, 2, 3), []onnx.Node{node("Transpose", "x", "y", attr("perm", dims(0, 3, 1, 2)))})
		}, nil},
		{"concat", func(*rand.Rand) onnx.Graph {
			return one(dims(2, 3), dims(2, 6), []onnx.Node{node("Neg", "x", "n"), node("Concat", "x n", "y", attr("axis", 2))})
		}, nil},
		{"identity-dropout-cast", func(*rand.Rand) onnx.Graph {
			return one(dims(3), dims(3), []onnx.Node{node("Identity", "x", "i"), node("Dropout", "i", "d"), node("Cast", "d", "c", attr("to", int(onnx.Int64))),
				node("Cast", "c", "y", attr("to", int(onnx.Float)))})
		}, func(r *rand.Rand) float64 { return r.NormFloat64() * 50 }},
		{"argmax", func(*rand.Rand) onnx.Graph {
			g := one(dims(3, 5), dims(3), []onnx.Node{node("ArgMax", "x", "y", attr("axis", -1), attr("keepdims", 0))})
			g.Outputs[0].Type = onnx.Int64
			return g
		}, nil},
		{"argmax-kept", func(*rand.Rand) onnx.Graph {
			g := one(dims(9), dims(1), []onnx.Node{node("ArgMax", "x", "y", attr("axis", 1))})
			g.Outputs[0].Type = onnx.Int64
			return g
		}, nil},
		{"reduce-max", func(*rand.Rand) onnx.Graph {
			return one(dims(3, 5), dims(3), []onnx.Node{node("ReduceMax", "x", "y", attr("axes", dims(2)), attr("keepdims", 0))})
		}, nil},
		{"reduce-mean", func(*rand.Rand) onnx.Graph {
			return one(dims(3, 5, 2), dims(3, 1, 1), []onnx.Node{node("ReduceMean", "x", "y", attr("axes", dims(2, 3)))})
		}, nil},
	}
}

func elementwise() []graph {
	positive := func(r *rand.Rand) float64 { return 0.1 + math.Abs(r.NormFloat64()) }
	var all []graph
	for _, op := range []string{"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Exp", "Neg", "Log", "Sqrt"} {
		g := graph{op, func(*rand.Rand) onnx.Graph { return one(dims(3, 7), dims(3, 7), []onnx.Node{node(op, "x", "y")}) }, nil}
		if op == "Log" || op == "Sqrt" {
			g.fill = positive
		}
		all = append(all, g)
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Max", "Min"} {
		all = append(all,
			graph{op + "-constants", func(r *rand.Rand) onnx.Graph {
				return one(dims(3, 4), dims(3, 4), []onnx.Node{node(op, "x a", "t"), node(op, "b t", "u"), node(op, "u c", "y")},
					random(r, "a", 4), random(r, "b", 3, 1), random(r, "c", 1))
			}, positive},
			graph{op + "-rows", func(r *rand.Rand) onnx.Graph {
				return one(dims(6), dims(6), []onnx.Node{node("Sigmoid", "x", "s"), node(op, "x s", "y")})
			}, nil})
	}
	return append(all,
		graph{"softmax", func(*rand.Rand) onnx.Graph {
			return one(dims(3, 7), dims(3, 7), []onnx.Node{node("Softmax", "x", "y")})
		}, nil},
		graph{"log-softmax", func(*rand.Rand) onnx.Graph {
			return one(dims(7), dims(7), []onnx.Node{node("LogSoftmax", "x", "y", attr("axis", 1))})
		}, nil},
		graph{"leaky", func(*rand.Rand) onnx.Graph {
			return one(dims(7), dims(7), []onnx.Node{node("LeakyRelu", "x", "y", attr("alpha", 0.3))})
		}, nil},
		graph{"clip", func(*rand.Rand) onnx.Graph {
			return one(dims(7), dims(7), []onnx.Node{node("Clip", "x lo hi", "y")}, onnx.Floats32("lo", []float32{-0.5}), onnx.Floats32("hi", []float32{0.7}))
		}, nil},
		graph{"clip-below", func(*rand.Rand) onnx.Graph {
			return one(dims(7), dims(7), []onnx.Node{node("Clip", "x lo", "y")}, onnx.Floats32("lo", []float32{0.1}))
		}, nil})
}

func images() []graph {
	conv := func(name string, in, out, weight []int64, bias bool, attributes ...onnx.Attribute) graph {
		return graph{name, func(r *rand.Rand) onnx.Graph {
			w := random(r, "w", weight...)
			if !bias {
				return one(in, out, []onnx.Node{node("Conv", "x w", "y", attributes...)}, w)
			}
			return one(in, out, []onnx.Node{node("Conv", "x w b", "c", attributes...), node("Relu", "c", "y")}, w, random(r, "b", weight[0]))
		}, nil}
	}
	pool := func(name, op string, in, out []int64, attributes ...onnx.Attribute) graph {
		return graph{name, func(*rand.Rand) onnx.Graph { return one(in, out, []onnx.Node{node(op, "x", "y", attributes...)}) }, nil}
	}
	k3, k2, s2 := attr("kernel_shape", dims(3, 3)), attr("kernel_shape", dims(2, 2)), attr("strides", dims(2, 2))
	return []graph{
		conv("conv", dims(3, 8, 9), dims(5, 6, 7), dims(5, 3, 3, 3), true, k3),
		conv("conv-pads", dims(2, 8, 8), dims(4, 4, 4), dims(4, 2, 3, 3), true, s2, attr("pads", dims(1, 1, 1, 1))),
		conv("conv-uneven-pads", dims(2, 7, 8), dims(4, 7, 10), dims(4, 2, 3, 3), false, attr("pads", dims(0, 1, 2, 3))),
		conv("conv-groups", dims(4, 6, 6), dims(6, 4, 4), dims(6, 2, 3, 3), true, attr("group", 2)),
		conv("conv-depthwise", dims(3, 6, 6), dims(3, 4, 4), dims(3, 1, 3, 3), true, attr("group", 3)),
		conv("conv-dilated", dims(2, 9, 9), dims(3, 5, 5), dims(3, 2, 3, 3), true, attr("dilations", dims(2, 2))),
		conv("conv-same-upper", dims(2, 7, 8), dims(3, 4, 4), dims(3, 2, 2, 3), true, s2, attr("auto_pad", "SAME_UPPER")),
		conv("conv-same-lower", dims(2, 7, 8), dims(3, 4, 4), dims(3, 2, 2, 3), true, s2, attr("auto_pad", "SAME_LOWER")),
		conv("conv-1x1", dims(8, 5, 5), dims(16, 5, 5), dims(16, 8, 1, 1), true),
		pool("max-pool", "MaxPool", dims(3, 7, 8), dims(3, 3, 4), k2, s2),
		pool("max-pool-pads", "MaxPool", dims(3, 7, 8), dims(3, 4, 4), k3, s2, attr("pads", dims(1, 1, 1, 1))),
		pool("max-pool-ceil", "MaxPool", dims(3, 7, 8), dims(3, 4, 4), k2, s2, attr("ceil_mode", 1)),
		pool("average-pool", "AveragePool", dims(3, 8, 8), dims(3, 4, 4), k2, s2),
		pool("average-pool-pads", "AveragePool", dims(3, 8, 8), dims(3, 8, 8), k3, attr("pads", dims(1, 1, 1, 1))),
		pool("average-pool-pads-count", "AveragePool", dims(3, 8, 8), dims(3, 8, 8), k3, attr("pads", dims(1, 1, 1, 1)), attr("count_include_pad", 1)),
		pool("global-average-pool", "GlobalAveragePool", dims(3, 5, 7), dims(3, 1, 1)),
		{"batch-normalization-image", func(r *rand.Rand) onnx.Graph {
			return one(dims(3, 4, 4), dims(3, 4, 4), []onnx.Node{node("BatchNormalization", "x s b m v", "y")},
				random(r, "s", 3), random(r, "b", 3), random(r, "m", 3), onnx.Floats32("v", []float32{0.5, 1, 2}, 3))
		}, nil},
		{"scale-channels", func(r *rand.Rand) onnx.Graph {
			return one(dims(3, 4, 4), dims(3, 4, 4), []onnx.Node{node("Mul", "x s", "m"), node("Add", "m b", "y")}, random(r, "s", 3, 1, 1), random(r, "b", 1, 3, 1, 1))
		}, nil},
	}
}

// batch is rows of inputs for a graph.
func (g graph) batch(r *rand.Rand, specs []runtime.Spec, rows int) []runtime.Tensor {
	fill := g.fill
	if fill == nil {
		fill = (*rand.Rand).NormFloat64
	}
	var out []runtime.Tensor
	for _, s := range specs {
		t := runtime.Tensor{Type: s.Type, Shape: append([]int{rows}, s.Shape...)}
		n, _ := t.Bytes()
		t.Data = runtime.Alloc(n)
		values := runtime.Values[float32](t.Data)
		for i := range values {
			values[i] = float32(fill(r))
		}
		out = append(out, t)
	}
	return out
}

func exported(t testing.TB, name string) []byte {
	t.Helper()
	data, err := examples.Export(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sampled(t testing.TB, name string, r *rand.Rand, rows int) []runtime.Tensor {
	t.Helper()
	s, values, err := examples.Sample(name, r.Uint64(), rows)
	if err != nil {
		t.Fatal(err)
	}
	in := runtime.Tensor{Type: s.Type, Shape: append([]int{rows}, s.Shape...), Data: runtime.Alloc(4 * len(values))}
	copy(in.Data, runtime.Data(values))
	return []runtime.Tensor{in}
}
