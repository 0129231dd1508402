package builtin

import (
	"errors"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// value is what a name of the graph stands for: a constant, or a plane.
type value struct {
	constant *onnx.Tensor
	plane    int
	shape    []int // of one row
	typ      onnx.Type
	exact    bool // it may hold whole numbers that float32 does not: such must not become an output
	broken   bool // its node has a fault that is reported already
}

// compiler turns the nodes of a graph into steps, one after the other.
type compiler struct {
	*program
	file   *onnx.Model
	opset  int64 // of the default domain
	values map[string]value
	reads  map[string]int // how many nodes and outputs read a name
	uses   []int          // the same of a plane, under all its names
	makers []int          // the step that makes a plane
	tables int            // numbers in the tables that steps hold besides the file's constants
}

// Bounds, so that a small file cannot ask for all memory.
const (
	maxWidth   = 1 << 24 // numbers of one row in one plane
	maxScratch = 1 << 26 // numbers of one row in all planes at once
	maxTables  = 1 << 25 // numbers in the tables that steps hold besides the file's constants
)

// spend counts n numbers of a table.
func (c *compiler) spend(n int) error {
	c.bytes += int64(4 * n)
	if c.tables += n; c.tables > maxTables {
		return errors.New("its tables are too large")
	}
	return nil
}

func newCompiler(file *onnx.Model) (*compiler, error) {
	c := &compiler{program: &program{}, file: file, values: map[string]value{}, reads: map[string]int{}}
	c.opset, _ = file.Version("")
	g := &file.Graph
	in, rows, err := onnx.Specs(g.Inputs)
	if err != nil {
		return nil, fmt.Errorf("read inputs: %w: %w", err, errElsewhere)
	}
	if len(in) == 0 || len(g.Outputs) == 0 {
		return nil, fmt.Errorf("model has %d inputs and %d outputs; it needs one of each", len(in), len(g.Outputs))
	}
	c.meta = runtime.Meta{Platform: Platform, Inputs: in, MaxRows: rows}
	for i := range g.Initializers {
		c.values[g.Initializers[i].Name] = value{constant: &g.Initializers[i], typ: g.Initializers[i].Type}
	}
	for i := range g.Nodes {
		for _, name := range g.Nodes[i].Inputs {
			c.reads[name]++
		}
	}
	for _, o := range g.Outputs {
		c.reads[o.Name]++
	}
	return c, c.input()
}

// input makes the planes of the model's inputs.
func (c *compiler) input() error {
	var faults []error
	for i, s := range c.meta.Inputs {
		typ := c.file.Graph.Inputs[i].Type
		switch {
		case !slices.Contains([]onnx.Type{onnx.Float, onnx.Double, onnx.Int64, onnx.Int32, onnx.Uint8}, typ):
			faults = append(faults, fmt.Errorf("input %q has elements of type %s: %w", s.Name, typ, errElsewhere))
			continue
		case s.Shape == nil:
			faults = append(faults, fmt.Errorf("input %q has no shape: %w", s.Name, errElsewhere))
			continue
		}
		p, err := c.plane(s.Shape)
		if err != nil {
			faults = append(faults, fmt.Errorf("input %q: %w", s.Name, err))
			continue
		}
		if typ == onnx.Float {
			c.planes[p].slot = -1
		}
		c.inputs = append(c.inputs, p)
		exact := typ == onnx.Int64 || typ == onnx.Int32
		faults = append(faults, c.define(s.Name, value{plane: p, shape: s.Shape, typ: typ, exact: exact}))
	}
	return errors.Join(faults...)
}

// plane makes a plane for rows of the shape.
func (c *compiler) plane(shape []int) (int, error) {
	w, err := width(shape)
	if err != nil {
		return 0, err
	}
	c.planes = append(c.planes, plane{width: w})
	c.uses = append(c.uses, 0)
	c.makers = append(c.makers, -1)
	return len(c.planes) - 1, nil
}

// scratch makes a plane of n numbers for a step alone.
func (c *compiler) scratch(n int) int {
	c.planes = append(c.planes, plane{width: n, shared: true})
	c.uses = append(c.uses, 0)
	c.makers = append(c.makers, -1)
	return len(c.planes) - 1
}

// width is the number of values of a row, an error if they are too many or not known.
func width(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 1 || n > maxWidth/d {
			return 0, fmt.Errorf("a row of shape %v: %w", shape, errWidth)
		}
		n *= d
	}
	return n, nil
}

var errWidth = fmt.Errorf("rows must have a fixed shape of at most %d values", maxWidth)

// define gives a name its value.
func (c *compiler) define(name string, v value) error {
	if name == "" {
		return nil
	}
	if _, there := c.values[name]; there {
		return fmt.Errorf("%q is defined twice", name)
	}
	c.values[name] = v
	if v.constant == nil && !v.broken {
		c.uses[v.plane] += c.reads[name]
	}
	return nil
}

// compile makes the program. The error joins the faults of all nodes.
func (c *compiler) compile() (*program, error) {
	var faults []error
	known := operators()
	for i := range c.file.Graph.Nodes {
		n := &c.file.Graph.Nodes[i]
		if c.broken(n) {
			c.spoil(n)
			continue
		}
		if err := known[operator(n)](c, n); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", n, err))
			c.spoil(n)
		}
	}
	faults = append(faults, c.output())
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w\n%w", err, errElsewhere)
	}
	layOut(c.program)
	if n := c.scratchWidth(); n > maxScratch {
		return nil, fmt.Errorf("a row takes %d numbers of memory while it is computed, more than %d: %w", n, maxScratch, errElsewhere)
	}
	c.build()
	if err := c.file.Annotate(&c.meta); err != nil {
		return nil, err
	}
	return c.program, nil
}

// scratchWidth is the numbers of memory that one row takes.
func (p *program) scratchWidth() int {
	n := 0
	for _, s := range p.slots {
		n += s.width
	}
	return n
}

// broken says that the node needs what an earlier fault did not make.
func (c *compiler) broken(n *onnx.Node) bool {
	return slices.ContainsFunc(n.Inputs, func(name string) bool { return c.values[name].broken })
}

func (c *compiler) spoil(n *onnx.Node) {
	for _, name := range n.Outputs {
		if _, there := c.values[name]; !there {
			c.values[name] = value{broken: true}
		}
	}
}

// output finds the model's outputs among the values.
func (c *compiler) output() error {
	var faults []error
	for _, o := range c.file.Graph.Outputs {
		if v := c.values[o.Name]; !v.broken {
			faults = append(faults, c.outputOne(o, v))
		}
	}
	return errors.Join(faults...)
}

func (c *compiler) outputOne(o onnx.Value, v value) error {
	_, there := c.values[o.Name]
	t, _ := v.typ.Runtime()
	switch {
	case !there:
		return fmt.Errorf("output %q is made by no node", o.Name)
	case v.constant != nil:
		return fmt.Errorf("output %q is the same for all rows", o.Name)
	case v.exact:
		return fmt.Errorf("output %q hands whole numbers of the input on", o.Name)
	case !slices.Contains([]onnx.Type{onnx.Float, onnx.Double, onnx.Int64, onnx.Int32}, v.typ):
		return fmt.Errorf("output %q has elements of type %s", o.Name, v.typ)
	case o.Type != v.typ:
		return fmt.Errorf("output %q has elements of type %s, the graph says %s", o.Name, v.typ, o.Type)
	}
	if slices.Contains(c.inputs, v.plane) {
		var err error
		if v, err = c.step(v, v.shape, v.typ, func(in, out [][]float32, _ int) { copy(out[0], in[0]) }); err != nil {
			return err
		}
	}
	c.meta.Outputs = append(c.meta.Outputs, runtime.Spec{Name: o.Name, Type: t, Shape: v.shape})
	c.outputs = append(c.outputs, v.plane)
	return nil
}

// step adds a step that makes one value from another.
func (c *compiler) step(x value, shape []int, typ onnx.Type, run func(in, out [][]float32, rows int)) (value, error) {
	p, err := c.plane(shape)
	if err != nil {
		return value{}, err
	}
	c.add(step{in: []int{x.plane}, out: []int{p}, run: run})
	return value{plane: p, shape: shape, typ: typ}, nil
}

func (c *compiler) add(s step) {
	for _, p := range s.out {
		c.makers[p] = len(c.steps)
	}
	c.steps = append(c.steps, s)
}

// emit is step for the first output of a node.
func (c *compiler) emit(n *onnx.Node, x value, shape []int, run func(in, out [][]float32, rows int)) error {
	v, err := c.step(x, shape, floats(x.typ), run)
	if err != nil {
		return err
	}
	return c.define(n.Outputs[0], v)
}

// inPlace is emit for what makes each number from the one at its place.
func (c *compiler) inPlace(n *onnx.Node, x value, run func(in, out [][]float32, rows int)) error {
	err := c.emit(n, x, x.shape, run)
	if err == nil {
		c.steps[len(c.steps)-1].inPlace = true
	}
	return err
}

// alias gives the node's output the plane of its input, under another shape or type.
func (c *compiler) alias(n *onnx.Node, x value, shape []int) error {
	c.uses[x.plane]--
	x.shape = shape
	return c.define(n.Outputs[0], x)
}

// floats is the type of what is computed from a value of type t.
func floats(t onnx.Type) onnx.Type {
	if t == onnx.Double {
		return t
	}
	return onnx.Float
}
