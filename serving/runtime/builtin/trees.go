package builtin

import (
	"errors"
	"fmt"

	"trimtab.dev/trimtab/serving/runtime/kernel"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// grove is one tree of an ensemble while its nodes are gathered.
type grove struct {
	tree kernel.Tree
	ids  []int64         // of the nodes
	odd  map[int64]int32 // places of the nodes whose id is not their place
}

// place finds a node by its id.
func (g *grove) place(id int64) (int32, bool) {
	if at, ok := g.odd[id]; ok {
		return at, true
	}
	ok := id >= 0 && id < int64(len(g.ids)) && g.ids[id] == id
	return int32(id), ok
}

func (g *grove) add(id int64, n kernel.Node) error {
	if _, there := g.place(id); there {
		return fmt.Errorf("node %d is there twice", id)
	}
	if id != int64(len(g.ids)) {
		if g.odd == nil {
			g.odd = map[int64]int32{}
		}
		g.odd[id] = int32(len(g.ids))
	}
	g.tree, g.ids = append(g.tree, n), append(g.ids, id)
	return nil
}

// ensemble is the trees of a node in the order in which they appear.
type ensemble struct {
	groves []*grove
	trees  map[int64]*grove // by id
	width  int              // features of a row
}

// ensemble reads the trees of a node. prefix is that of the attributes with the weights: target or class.
func (c *compiler) ensemble(n *onnx.Node, prefix string, width int) (*ensemble, error) {
	e := &ensemble{trees: map[int64]*grove{}, width: width}
	if _, ok := n.Attribute("nodes_values_as_tensor"); ok {
		return nil, errors.New("trees in double precision are not supported")
	}
	if err := e.nodes(n); err != nil {
		return nil, err
	}
	return e, e.weights(n, prefix)
}

func (e *ensemble) nodes(n *onnx.Node) error {
	tree, id, feature := ints(n, "nodes_treeids"), ints(n, "nodes_nodeids"), ints(n, "nodes_featureids")
	yes, no, missing := ints(n, "nodes_truenodeids"), ints(n, "nodes_falsenodeids"), ints(n, "nodes_missing_value_tracks_true")
	threshold := reals(n, "nodes_values")
	var mode []string
	if a, ok := n.Attribute("nodes_modes"); ok {
		mode = a.Texts
	}
	count := len(id)
	for _, l := range []int{len(tree), len(feature), len(yes), len(no), len(threshold), len(mode)} {
		if l != count || count == 0 || missing != nil && len(missing) != count {
			return fmt.Errorf("its lists of nodes have different lengths, or none: %d and %d", l, count)
		}
	}
	for i := range id {
		m, err := modeOf(mode[i])
		if err != nil {
			return err
		}
		if m != kernel.Leaf && (feature[i] < 0 || feature[i] >= int64(e.width)) {
			return fmt.Errorf("tree %d: feature %d is not one of %d", tree[i], feature[i], e.width)
		}
		node := kernel.Node{Mode: m, Feature: int32(feature[i]), Threshold: threshold[i], MissingTrue: missing != nil && missing[i] != 0}
		if err := e.grove(tree[i]).add(id[i], node); err != nil {
			return fmt.Errorf("tree %d: %w", tree[i], err)
		}
	}
	return e.link(tree, id, yes, no)
}

func (e *ensemble) grove(tree int64) *grove {
	g := e.trees[tree]
	if g == nil {
		g = &grove{}
		if n := len(e.groves); n > 0 { // trees are mostly of one size
			size := len(e.groves[n-1].tree)
			g.tree, g.ids = make(kernel.Tree, 0, size), make([]int64, 0, size)
		}
		e.trees[tree] = g
		e.groves = append(e.groves, g)
	}
	return g
}

// link sets the ways from each node, once all nodes have their places.
func (e *ensemble) link(tree, id, yes, no []int64) error {
	for i := range id {
		g := e.trees[tree[i]]
		at, _ := g.place(id[i])
		node := &g.tree[at]
		if node.Mode == kernel.Leaf {
			continue
		}
		var okYes, okNo bool
		node.True, okYes = g.place(yes[i])
		node.False, okNo = g.place(no[i])
		if !okYes || !okNo {
			return fmt.Errorf("tree %d: node %d leads to node %d or %d, which is not there", tree[i], id[i], yes[i], no[i])
		}
	}
	return nil
}

func modeOf(name string) (kernel.Mode, error) {
	modes := [...]string{kernel.Leaf: "LEAF", kernel.LEQ: "BRANCH_LEQ", kernel.LT: "BRANCH_LT", kernel.GTE: "BRANCH_GTE",
		kernel.GT: "BRANCH_GT", kernel.EQ: "BRANCH_EQ", kernel.NEQ: "BRANCH_NEQ"}
	for m, s := range modes {
		if s == name {
			return kernel.Mode(m), nil
		}
	}
	return 0, fmt.Errorf("node mode %q is not supported", name)
}

// weights hangs what the leaves add to them.
func (e *ensemble) weights(n *onnx.Node, prefix string) error {
	tree, id, target := ints(n, prefix+"_treeids"), ints(n, prefix+"_nodeids"), ints(n, prefix+"_ids")
	weight := reals(n, prefix+"_weights")
	if len(tree) != len(id) || len(target) != len(id) || len(weight) != len(id) {
		return errors.New("its lists of weights have different lengths")
	}
	all := make([]kernel.Weight, len(id)) // one piece of memory for the leaves that have one weight
	for i := range id {
		g := e.trees[tree[i]]
		if g == nil {
			return fmt.Errorf("a weight is for tree %d, which is not there", tree[i])
		}
		at, ok := g.place(id[i])
		if !ok || target[i] < 0 || target[i] >= mostTargets {
			return fmt.Errorf("tree %d: a weight is for target %d at node %d, which is not there", tree[i], target[i], id[i])
		}
		all[i] = kernel.Weight{Target: int32(target[i]), Value: weight[i]}
		if node := &g.tree[at]; len(node.Weights) == 0 {
			node.Weights = all[i : i+1 : i+1]
		} else {
			node.Weights = append(node.Weights, all[i])
		}
	}
	return nil
}

// mostTargets bounds what a small file can make of its trees.
const mostTargets = 4096

// forest adds the step that sums the trees, times share, and then the base values.
func (c *compiler) forest(x value, e *ensemble, base []float32, share float32) (value, error) {
	trees, nodes := make([]kernel.Tree, len(e.groves)), 0
	for i, g := range e.groves {
		trees[i] = g.tree
		nodes += len(g.tree)
	}
	if len(base) > mostTargets || nodes > (1<<28)/len(base) {
		return x, fmt.Errorf("%d targets of %d nodes are too many", len(base), nodes)
	}
	f, err := kernel.NewForest(trees, len(base))
	if err != nil {
		return x, err
	}
	c.bytes += f.Bytes()
	width := e.width
	return c.step(x, []int{len(base)}, onnx.Float, func(in, out [][]float32, rows int) {
		y := out[0]
		clear(y)
		f.Apply(in[0], width, y, rows)
		for i := 0; i < len(y); i += len(base) {
			for k, b := range base {
				y[i+k] = y[i+k]*share + b
			}
		}
	})
}

func (c *compiler) treeRegressor(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	targets := integer(n, "n_targets", 1)
	base := reals(n, "base_values")
	if targets < 1 || targets > mostTargets || len(base) > 0 && int64(len(base)) != targets {
		return fmt.Errorf("%d base values do not fit %d targets", len(base), targets)
	}
	if base == nil {
		base = make([]float32, targets)
	}
	e, err := c.ensemble(n, "target", x.shape[0])
	if err != nil {
		return err
	}
	share := float32(1)
	switch f := text(n, "aggregate_function", "SUM"); f {
	case "SUM":
	case "AVERAGE":
		share = 1 / float32(len(e.groves))
	default:
		return fmt.Errorf("aggregate_function %q is not supported", f)
	}
	y, err := c.forest(x, e, base, share)
	if err != nil {
		return err
	}
	return c.transformed(n, y)
}

// transformed gives the node's output the scores y after its post_transform. Runtimes do not agree on
// what that does to a single score.
func (c *compiler) transformed(n *onnx.Node, y value) error {
	post, err := transform(n)
	if err != nil {
		return err
	}
	if post == nil {
		return c.defineFloat(n, 0, y)
	}
	if y.shape[0] == 1 {
		return errors.New("a post_transform of a single target is not supported")
	}
	if y, err = c.step(y, y.shape, onnx.Float, grouped(y.shape[0], post)); err != nil {
		return err
	}
	return c.defineFloat(n, 0, y)
}

func (c *compiler) treeClassifier(n *onnx.Node) error {
	x, err := c.features(n)
	if err != nil {
		return err
	}
	classes, err := labels(n, "classlabels_int64s")
	if err != nil {
		return err
	}
	e, err := c.ensemble(n, "class", x.shape[0])
	if err != nil {
		return err
	}
	k := &classifier{labels: classes}
	base := reals(n, "base_values")
	if len(classes) == 2 && onlyFirst(ints(n, "class_ids")) {
		return c.twoClasses(n, x, e, k, base)
	}
	if len(base) > 0 && (len(base) != len(classes) || len(classes) == 2) {
		return fmt.Errorf("%d base values for %d classes are not supported", len(base), len(classes))
	}
	if base == nil {
		base = make([]float32, len(classes))
	}
	y, err := c.forest(x, e, base, 1)
	if err != nil {
		return err
	}
	return c.classes(n, y, k)
}

// onlyFirst says that all weights are for class 0: the form of two classes in which there is one score,
// that of the second class.
func onlyFirst(ids []int64) bool {
	for _, id := range ids {
		if id != 0 {
			return false
		}
	}
	return true
}

// twoClasses is the form with one score. If no weight is negative it is a probability, and above one
// half is the second class; else it is a margin, and above zero is.
func (c *compiler) twoClasses(n *onnx.Node, x value, e *ensemble, k *classifier, base []float32) error {
	if len(base) > 1 {
		return errors.New("two base values for one score are not supported")
	}
	k.threshold = 0.5
	for _, w := range reals(n, "class_weights") {
		if w < 0 {
			k.threshold, k.odds = 0, true
		}
	}
	if base == nil {
		base = []float32{0}
	}
	y, err := c.forest(x, e, base, 1)
	if err != nil {
		return err
	}
	return c.classes(n, y, k)
}
