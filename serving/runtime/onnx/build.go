package onnx

// AttrInt is an attribute of one whole number.
func AttrInt(name string, v int64) Attribute { return Attribute{Name: name, Kind: KindInt, Int: v} }

// AttrInts is an attribute of whole numbers.
func AttrInts(name string, v ...int64) Attribute {
	return Attribute{Name: name, Kind: KindInts, Ints: v}
}

// AttrFloat is an attribute of one number.
func AttrFloat(name string, v float32) Attribute {
	return Attribute{Name: name, Kind: KindFloat, Float: v}
}

// AttrFloats is an attribute of numbers.
func AttrFloats(name string, v ...float32) Attribute {
	return Attribute{Name: name, Kind: KindFloats, Floats: v}
}

// AttrText is an attribute of one string.
func AttrText(name, v string) Attribute { return Attribute{Name: name, Kind: KindString, Text: v} }

// AttrTexts is an attribute of strings.
func AttrTexts(name string, v ...string) Attribute {
	return Attribute{Name: name, Kind: KindTexts, Texts: v}
}

// Rows is an input or output of any number of rows, each of the shape.
func Rows(name string, t Type, shape ...int) Value {
	v := Value{Name: name, Type: t, Shaped: true, Shape: []Dim{Free("rows")}}
	for _, d := range shape {
		v.Shape = append(v.Shape, Fixed(d))
	}
	return v
}

// Add appends a node to the graph.
func (g *Graph) Add(domain, op string, inputs, outputs []string, attributes ...Attribute) {
	g.Nodes = append(g.Nodes, Node{Op: op, Domain: domain, Inputs: inputs, Outputs: outputs, Attributes: attributes})
}
