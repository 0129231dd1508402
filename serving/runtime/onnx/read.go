package onnx

import (
	"errors"
	"fmt"
	"slices"
)

// Read reads an ONNX file. Tensors may lie in data, which must not change after. It reads models of
// any operators; what it keeps no value of (subgraphs, strings in tensors, sparse tensors) is for who
// needs it to refuse. Data in other files is refused here.
func Read(data []byte) (*Model, error) {
	m := &Model{}
	graphs := 0
	err := each(data, func(f field) error {
		switch f.num {
		case 1:
			return f.int(&m.IR)
		case 2:
			return f.text(&m.Producer)
		case 7:
			graphs++
			return m.Graph.read(f)
		case 8:
			return m.readOpset(f)
		case 14:
			return m.readProp(f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read ONNX model: %w", err)
	}
	if graphs != 1 {
		return nil, errors.New("read ONNX model: the file has no graph: it is empty or not an ONNX model")
	}
	m.Graph.dropConstantInputs()
	return m, nil
}

func (m *Model) readOpset(f field) error {
	var o Opset
	err := f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.text(&o.Domain)
		case 2:
			return f.int(&o.Version)
		}
		return nil
	})
	o.Domain = domain(o.Domain)
	m.Opsets = append(m.Opsets, o)
	return err
}

func (m *Model) readProp(f field) error {
	var p Prop
	err := f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.text(&p.Key)
		case 2:
			return f.text(&p.Value)
		}
		return nil
	})
	m.Props = append(m.Props, p)
	return err
}

// domain is the one name here of the default domain's two.
func domain(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

func (g *Graph) read(f field) error {
	var nodes, constants int // known before, so that lists of thousands are not copied while they grow
	if err := f.message(func(f field) error {
		switch f.num {
		case 1:
			nodes++
		case 5:
			constants++
		}
		return nil
	}); err != nil {
		return err
	}
	g.Nodes, g.Initializers = slices.Grow(g.Nodes, nodes), slices.Grow(g.Initializers, constants)
	return f.message(func(f field) error {
		switch f.num {
		case 1:
			return read(&g.Nodes, f, (*Node).read, "node")
		case 2:
			return f.text(&g.Name)
		case 5:
			return read(&g.Initializers, f, (*Tensor).read, "initializer")
		case 11:
			return read(&g.Inputs, f, (*Value).read, "input")
		case 12:
			return read(&g.Outputs, f, (*Value).read, "output")
		}
		return nil
	})
}

// read appends one message to a list. The error says which one it was.
func read[T any](to *[]T, f field, one func(*T, field) error, what string) error {
	var v T
	if err := one(&v, f); err != nil {
		return fmt.Errorf("%s %d: %w", what, len(*to), err)
	}
	*to = append(*to, v)
	return nil
}

// dropConstantInputs leaves only the inputs that a request gives: until IR 4 each initializer was an
// input too.
func (g *Graph) dropConstantInputs() {
	constant := make(map[string]bool, len(g.Initializers))
	for _, t := range g.Initializers {
		constant[t.Name] = true
	}
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v Value) bool { return constant[v.Name] })
}

func (n *Node) read(f field) error {
	err := f.message(func(f field) error {
		switch f.num {
		case 1:
			return f.texts(&n.Inputs)
		case 2:
			return f.texts(&n.Outputs)
		case 3:
			return f.text(&n.Name)
		case 4:
			return f.text(&n.Op)
		case 5:
			return read(&n.Attributes, f, (*Attribute).read, "attribute")
		case 7:
			return f.text(&n.Domain)
		}
		return nil
	})
	n.Domain = domain(n.Domain)
	if err == nil && n.Op == "" {
		return errors.New("it has no operator")
	}
	return err
}

// read takes an attribute. Files older than IR 2 do not say the kind: the field that is there does.
func (a *Attribute) read(f field) error {
	var there Kind
	err := f.message(func(f field) error {
		kinds := [...]Kind{2: KindFloat, 3: KindInt, 4: KindString, 5: KindTensor, 6: KindGraph, 7: KindFloats, 8: KindInts, 9: KindTexts}
		if int(f.num) < len(kinds) && kinds[f.num] != 0 {
			there = kinds[f.num]
		}
		return a.field(f)
	})
	if a.Kind == 0 {
		a.Kind = there
	}
	if err != nil && a.Name != "" {
		return fmt.Errorf("%q: %w", a.Name, err)
	}
	return err
}

func (a *Attribute) field(f field) error {
	switch f.num {
	case 1:
		return f.text(&a.Name)
	case 2:
		return f.float(&a.Float)
	case 3:
		return f.int(&a.Int)
	case 4:
		return f.text(&a.Text)
	case 5:
		a.Tensor = &Tensor{}
		return a.Tensor.read(f)
	case 7:
		return f.floats(&a.Floats)
	case 8:
		return f.ints(&a.Ints)
	case 9:
		return f.texts(&a.Texts)
	case 20:
		return f.enum((*int32)(&a.Kind))
	}
	return nil
}
