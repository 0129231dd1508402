// Package onnx reads and writes ONNX files: the bytes of a ModelProto as plain structs. It computes
// nothing; it never reads another file, never keeps more memory than the file warrants, and never
// panics on any bytes. Subgraphs, sparse tensors and external data are refused or left out, as the
// types say.
package onnx

import (
	"fmt"
	"slices"
)

// The versions that Write is meant for: old enough for every reader in use.
const (
	IRVersion = 8
	Opset13   = 13 // of the default domain
	OpsetML3  = 3  // of DomainML
)

// DomainML is the domain of trees and linear models. The default domain is empty here; Read turns
// "ai.onnx", its other name, into it.
const DomainML = "ai.onnx.ml"

// Model is a ModelProto.
type Model struct {
	IR       int64
	Producer string
	Opsets   []Opset
	Props    []Prop // metadata_props
	Graph    Graph
}

// Opset is the version of one domain's operators that the graph is written in.
type Opset struct {
	Domain  string
	Version int64
}

// Prop is one pair of the metadata.
type Prop struct{ Key, Value string }

// Graph is what is computed. Nodes stand in an order in which they can be computed.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Tensor // constants, with their names
	Inputs       []Value  // without those that name an initializer
	Outputs      []Value
}

// Node is one operation. An empty name in Inputs or Outputs is an optional one that is not there.
type Node struct {
	Name, Op, Domain string
	Inputs, Outputs  []string
	Attributes       []Attribute
}

// Kind says which field of an Attribute holds its value.
type Kind int32

// The kinds of attributes, numbered as in the format. Other numbers (graphs, sparse tensors, types)
// are read as they are, without a value; Write refuses them.
const (
	KindFloat  Kind = 1
	KindInt    Kind = 2
	KindString Kind = 3
	KindTensor Kind = 4
	KindGraph  Kind = 5
	KindFloats Kind = 6
	KindInts   Kind = 7
	KindTexts  Kind = 8 // strings
)

// Attribute is a named constant of a node.
type Attribute struct {
	Name   string
	Kind   Kind
	Float  float32
	Int    int64
	Text   string
	Tensor *Tensor
	Floats []float32
	Ints   []int64
	Texts  []string
}

// Value names an input or output of the graph.
type Value struct {
	Name   string
	Type   Type  // 0: it is not a tensor (a sequence or a map), or no type was given
	Shape  []Dim // nil and Shaped false: not known
	Shaped bool
}

// Dim is one length of a shape: Size, or a free one with a name, which may be empty.
type Dim struct {
	Size   int64 // -1: free
	Symbol string
}

// Free is a length that only the input decides.
func Free(symbol string) Dim { return Dim{Size: -1, Symbol: symbol} }

// Fixed is a length that is always the same.
func Fixed(n int) Dim { return Dim{Size: int64(n)} }

// Version is the version of the domain's operators, false if the model does not name the domain.
func (m *Model) Version(domain string) (int64, bool) {
	i := slices.IndexFunc(m.Opsets, func(o Opset) bool { return o.Domain == domain })
	if i < 0 {
		return 0, false
	}
	return m.Opsets[i].Version, true
}

// Prop is the value under key in the metadata, false if there is none.
func (m *Model) Prop(key string) (string, bool) {
	i := slices.IndexFunc(m.Props, func(p Prop) bool { return p.Key == key })
	if i < 0 {
		return "", false
	}
	return m.Props[i].Value, true
}

// Attribute finds an attribute by its name.
func (n *Node) Attribute(name string) (*Attribute, bool) {
	for i := range n.Attributes {
		if n.Attributes[i].Name == name {
			return &n.Attributes[i], true
		}
	}
	return nil, false
}

// String names the node in a message.
func (n *Node) String() string {
	if n.Name == "" {
		return n.Op
	}
	return fmt.Sprintf("%s %q", n.Op, n.Name)
}
