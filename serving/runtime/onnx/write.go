package onnx

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Write returns the model as the bytes of a file; the same model gives the same bytes. Zero IR and
// no Opsets become the versions of this package. An error is a tensor that is not what its shape
// says, or an attribute of a kind that has no value here.
func Write(m *Model) ([]byte, error) {
	var out message
	ir, opsets := m.IR, m.Opsets
	if ir == 0 {
		ir = IRVersion
	}
	if len(opsets) == 0 {
		opsets = []Opset{{"", Opset13}, {DomainML, OpsetML3}}
	}
	graph, err := m.Graph.message()
	if err != nil {
		return nil, fmt.Errorf("write ONNX model: %w", err)
	}
	out.int(1, ir)
	out.text(2, m.Producer)
	out.message(7, graph)
	for _, o := range opsets {
		var sub message
		sub.text(1, o.Domain)
		sub.int(2, o.Version)
		out.message(8, sub)
	}
	for _, p := range m.Props {
		var sub message
		sub.always(1, []byte(p.Key))
		sub.always(2, []byte(p.Value))
		out.message(14, sub)
	}
	return out.bytes(), nil
}

// message is a message being written: pieces that follow each other. Long data stays where it is
// until the whole is laid out, so that weights are copied once.
type message struct {
	pieces [][]byte
	last   []byte // after the pieces
	size   int    // of the pieces
}

const longData = 4096 // bytes from which data is a piece of its own

func (m *message) len() int { return m.size + len(m.last) }

func (m *message) piece(b []byte) {
	if len(m.last) > 0 {
		m.pieces, m.size, m.last = append(m.pieces, m.last), m.size+len(m.last), nil
	}
	m.pieces, m.size = append(m.pieces, b), m.size+len(b)
}

func (m *message) bytes() []byte {
	out := make([]byte, 0, m.len())
	for _, p := range m.pieces {
		out = append(out, p...)
	}
	return append(out, m.last...)
}

func (m *message) message(num protowire.Number, sub message) {
	m.last = protowire.AppendTag(m.last, num, protowire.BytesType)
	m.last = protowire.AppendVarint(m.last, uint64(sub.len()))
	for _, p := range sub.pieces {
		m.piece(p)
	}
	m.last = append(m.last, sub.last...)
}

// always writes a field even if it is empty.
func (m *message) always(num protowire.Number, b []byte) {
	m.last = protowire.AppendTag(m.last, num, protowire.BytesType)
	if len(b) < longData {
		m.last = protowire.AppendBytes(m.last, b)
		return
	}
	m.last = protowire.AppendVarint(m.last, uint64(len(b)))
	m.piece(b)
}

func (m *message) text(num protowire.Number, s string) {
	if s != "" {
		m.always(num, []byte(s))
	}
}

func (m *message) int(num protowire.Number, v int64) {
	m.last = protowire.AppendTag(m.last, num, protowire.VarintType)
	m.last = protowire.AppendVarint(m.last, uint64(v))
}

func (m *message) float(num protowire.Number, v float32) {
	m.last = protowire.AppendTag(m.last, num, protowire.Fixed32Type)
	m.last = protowire.AppendFixed32(m.last, math.Float32bits(v))
}

// ints and floats write packed lists, which every reader takes.
func (m *message) ints(num protowire.Number, values []int64) {
	var b []byte
	for _, v := range values {
		b = protowire.AppendVarint(b, uint64(v))
	}
	m.always(num, b)
}

func (m *message) floats(num protowire.Number, values []float32) {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = protowire.AppendFixed32(b, math.Float32bits(v))
	}
	m.always(num, b)
}

func (g *Graph) message() (out message, err error) {
	for i := range g.Nodes {
		sub, err := g.Nodes[i].message()
		if err != nil {
			return out, err
		}
		out.message(1, sub)
	}
	out.text(2, g.Name)
	for i := range g.Initializers {
		sub, err := g.Initializers[i].message()
		if err != nil {
			return out, err
		}
		out.message(5, sub)
	}
	for _, v := range g.Inputs {
		out.message(11, v.message())
	}
	for _, v := range g.Outputs {
		out.message(12, v.message())
	}
	return out, nil
}

func (n *Node) message() (out message, err error) {
	for _, s := range n.Inputs {
		out.always(1, []byte(s))
	}
	for _, s := range n.Outputs {
		out.always(2, []byte(s))
	}
	out.text(3, n.Name)
	out.text(4, n.Op)
	for i := range n.Attributes {
		sub, err := n.Attributes[i].message()
		if err != nil {
			return out, fmt.Errorf("%s: attribute %q: %w", n, n.Attributes[i].Name, err)
		}
		out.message(5, sub)
	}
	out.text(7, n.Domain)
	return out, nil
}

func (a *Attribute) message() (out message, err error) {
	out.text(1, a.Name)
	switch a.Kind {
	case KindFloat:
		out.float(2, a.Float)
	case KindInt:
		out.int(3, a.Int)
	case KindString:
		out.always(4, []byte(a.Text))
	case KindTensor:
		if a.Tensor == nil {
			return out, errors.New("it has no tensor")
		}
		var sub message
		if sub, err = a.Tensor.message(); err != nil {
			return out, err
		}
		out.message(5, sub)
	case KindFloats:
		out.floats(7, a.Floats)
	case KindInts:
		out.ints(8, a.Ints)
	case KindTexts:
		for _, s := range a.Texts {
			out.always(9, []byte(s))
		}
	default:
		return out, fmt.Errorf("attributes of kind %d are not written", a.Kind)
	}
	out.int(20, int64(a.Kind))
	return out, nil
}

func (t *Tensor) message() (out message, err error) {
	if err := t.check(); err != nil {
		return out, err
	}
	out.ints(1, t.Dims)
	out.int(2, int64(t.Type))
	out.text(8, t.Name)
	out.always(9, t.Data)
	return out, nil
}

func (v Value) message() (out message) {
	out.text(1, v.Name)
	if v.Type == 0 {
		return out
	}
	var tensor, kind message
	tensor.int(1, int64(v.Type))
	if v.Shaped {
		var shape message
		for _, d := range v.Shape {
			shape.message(1, d.message())
		}
		tensor.message(2, shape)
	}
	kind.message(1, tensor)
	out.message(2, kind)
	return out
}

func (d Dim) message() (out message) {
	if d.Size >= 0 {
		out.int(1, d.Size)
		return out
	}
	out.text(2, d.Symbol)
	return out
}
