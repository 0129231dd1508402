// Package builtin is the model runtime in pure Go: it compiles an ONNX graph into a flat list of steps
// over float32 and runs them. It computes rows independently of each other: what mixes rows is
// refused, as is every operator that it does not know; the onnx runtime serves those models.
package builtin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// Platform is what the metadata of these models calls the runtime.
const Platform = "trimtab_builtin"

// errElsewhere ends the message about a model that is fine but not for this runtime.
var errElsewhere = errors.New("the builtin runtime cannot serve this model; --runtime onnx serves any")

// Open compiles the ONNX file data, which may change after. The error names every operator that is
// not supported, or every node that is used in a way that is not.
func Open(data []byte) (runtime.Model, error) {
	file, err := onnx.Read(data)
	if err != nil {
		return nil, err
	}
	if names := unknown(&file.Graph); len(names) > 0 {
		return nil, fmt.Errorf("operators %s are not supported: %w", strings.Join(names, ", "), errElsewhere)
	}
	c, err := newCompiler(file)
	if err != nil {
		return nil, err
	}
	p, err := c.compile()
	if err != nil {
		return nil, err // not p: it would be a Model that is nil inside
	}
	return p, nil
}

// unknown lists the operators that this package does not compute, sorted.
func unknown(g *onnx.Graph) []string {
	known := operators()
	var names []string
	for _, n := range g.Nodes {
		if name := operator(&n); known[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// operator is a node's operator with its domain, which the default domain leaves out.
func operator(n *onnx.Node) string {
	if n.Domain == "" {
		return n.Op
	}
	return n.Domain + "." + n.Op
}

// step computes planes from planes. It holds no state: sessions run it at the same time.
type step struct {
	in, out []int // planes
	inPlace bool  // out[0] may lie where in[0] did, of the same width
	layer   *layer
	run     func(in, out [][]float32, rows int)
}

// plane is a value of width numbers for each row, or of width numbers in all: scratch of one step.
type plane struct {
	width  int
	shared bool
	slot   int // where it lies in a session's memory; -1: in the request
}

// slot is a piece of a session's memory, which planes use one after the other.
type slot struct {
	width  int
	shared bool
}

// program is a compiled model. It never changes.
type program struct {
	meta    runtime.Meta
	bytes   int64 // of the weights
	steps   []step
	planes  []plane
	slots   []slot
	inputs  []int // planes of the model's inputs and outputs
	outputs []int
}

// Meta implements runtime.Model.
func (p *program) Meta() runtime.Meta { return p.meta }

// Bytes implements runtime.Model.
func (p *program) Bytes() int64 { return p.bytes }

// Close implements runtime.Model: there is nothing that the garbage collector does not free.
func (p *program) Close() error { return nil }
