package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Forest is a sum of decision trees. It never changes.
//
// No step of a walk depends on a branch of the processor, for which way a row goes is a coin to its
// predictor: every walk takes as many steps as the deepest way of four trees, and four trees are walked
// together since each step waits for the one before.
type Forest struct {
	targets int
	width   int  // the greatest feature plus one
	missing bool // some branch sends a NaN to yes
	groups  []group
	heap    []split   // of all groups of complete trees
	leaf    []uint32  // for tree k's 2^steps nodes in heap as many leaves, see group
	nodes   []node    // of all other groups
	values  []float32 // targets values for each leaf of trees with several targets
}

// group is four trees that are walked together.
type group struct {
	steps  int
	heap   bool      // complete trees: in heap, else in nodes
	vector bool      // a leaf's word says where in values its values begin; else it is the bits of the one value
	start  [4]uint32 // heap: where each tree begins; nodes: the bytes before its root
	target [4]int32  // of the values
}

// split is a node of a complete tree that lies as a heap: the ways from node i lead to nodes 2i and 2i+1,
// the latter for yes; node 1 is the root and node 0 is not used.
type split struct {
	feature   uint32
	threshold float32
}

// node is a node of any other tree. A leaf leads to itself.
type node struct {
	feature   uint32
	threshold float32
	no        uint32 // bytes before the node for no; the one for yes is behind it
	word      uint32 // of a leaf
}

const nodeBytes = uint32(unsafe.Sizeof(node{}))

// plan is a tree on its way into the forest.
type plan struct {
	branches []branch
	steps    int
	heap     bool
	vector   bool
	target   int32
}

// NewForest lays out trees whose leaves add to targets sums. It refuses trees with nodes that lead
// nowhere or are led to twice, and thresholds that are not numbers.
func NewForest(trees []Tree, targets int) (*Forest, error) {
	var faults []error
	var plans []plan
	for i, t := range trees {
		p, err := t.plan(targets)
		if err != nil {
			faults = append(faults, fmt.Errorf("tree %d: %w", i, err))
		}
		plans = append(plans, p)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	f := &Forest{targets: targets}
	for _, p := range plans {
		f.look(p)
	}
	if n := mostNodes(plans, targets); n > maxNodes {
		return nil, fmt.Errorf("trees need %d nodes and values; the most is %d", n, maxNodes)
	}
	slices.SortStableFunc(plans, plan.compare)
	for from := 0; from < len(plans); {
		to := from + 1
		for to < min(len(plans), from+4) && plans[to].heap == plans[from].heap && plans[to].vector == plans[from].vector {
			to++
		}
		f.add(plans[from:to])
		from = to
	}
	return f, nil
}

// maxNodes bounds a forest so that places in it fit into 32 bits.
const maxNodes = 1 << 27

// mostNodes is how many nodes and values the plans come to at most: small trees in a group may become as
// large as the largest, and a leaf that two branches lead to may hold its values twice.
func mostNodes(plans []plan, targets int) (n int) {
	for _, p := range plans {
		each := 2
		if p.vector {
			each += 2 * min(targets, maxNodes)
		}
		n = min(n+len(p.branches)*each+1<<8, maxNodes+1)
		if p.vector && len(p.branches)*2 > maxNodes/max(targets, 1) {
			return maxNodes + 1
		}
	}
	return n
}

func (t Tree) plan(targets int) (plan, error) {
	order, err := t.check(targets)
	if err != nil {
		return plan{}, err
	}
	p := plan{branches: t.branches(order), target: -1}
	p.steps = longest(p.branches, len(order))
	// A heap has room for every way; where few ways are as long as the longest it would be mostly copies.
	p.heap = p.steps <= 8 && 1<<p.steps <= 4*len(p.branches)
	for _, b := range p.branches {
		for _, w := range b.weights {
			p.vector = p.vector || p.target >= 0 && w.Target != p.target
			p.target = w.Target
		}
	}
	p.target = max(p.target, 0)
	return p, nil
}

// compare puts trees together that can be walked together, and of these such of like depth.
func (p plan) compare(q plan) int {
	class := func(p plan) int {
		n := 0
		if p.heap {
			n += 2
		}
		if p.vector {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(class(p), class(q)), cmp.Compare(p.steps, q.steps))
}

// look notes what rows the tree needs.
func (f *Forest) look(p plan) {
	for _, b := range p.branches {
		if !b.leaf {
			f.width = max(f.width, int(b.feature)+1)
			f.missing = f.missing || b.missing
		}
	}
}

// add lays out a group of at most four trees; the places that are left get trees that add nothing.
func (f *Forest) add(plans []plan) {
	g := group{heap: plans[0].heap, vector: plans[0].vector, steps: plans[len(plans)-1].steps}
	for i := range g.start {
		p := plan{branches: []branch{{leaf: true}}}
		if i < len(plans) {
			p = plans[i]
		}
		g.target[i] = p.target
		if g.heap {
			g.start[i] = f.addHeap(p, g)
		} else {
			g.start[i] = f.addNodes(p, g)
		}
	}
	f.groups = append(f.groups, g)
}

func (f *Forest) addHeap(p plan, g group) (start uint32) {
	start = uint32(len(f.heap))
	f.heap = append(f.heap, make([]split, 1<<g.steps)...)
	f.leaf = append(f.leaf, make([]uint32, 1<<g.steps)...)
	heap, leaf := f.heap[start:], f.leaf[start:]
	words := map[int32]uint32{}
	var fill func(i int, b int32)
	fill = func(i int, b int32) {
		at := p.branches[b]
		if i >= len(heap) {
			if _, ok := words[b]; !ok {
				words[b] = f.word(at.weights, g.vector)
			}
			leaf[i-len(heap)] = words[b]
			return
		}
		if at.leaf { // both ways go on to it
			at.yes, at.no = b, b
		} else {
			heap[i] = split{f.column(at), at.threshold}
		}
		fill(2*i, at.no)
		fill(2*i+1, at.yes)
	}
	fill(1, 0)
	return start
}

// addNodes lays out the tree so that the two ways from a node lie side by side. A branch that two lead
// to has two places, but what follows it only one.
func (f *Forest) addNodes(p plan, g group) (start uint32) {
	start = uint32(len(f.nodes))
	f.nodes = append(f.nodes, node{})
	next := make([]uint32, len(p.branches)) // where a branch's two ways lie
	held := []int32{0}                      // the branch in each place
	for i := 0; i < len(held); i++ {
		b, place := &p.branches[held[i]], start+uint32(i)
		if b.leaf {
			nan := float32(math.NaN()) // nothing is at or below it
			f.nodes[place] = node{threshold: nan, no: place * nodeBytes, word: f.word(b.weights, g.vector)}
			continue
		}
		if next[held[i]] == 0 {
			next[held[i]] = uint32(len(f.nodes))
			f.nodes = append(f.nodes, node{}, node{})
			held = append(held, b.no, b.yes)
		}
		f.nodes[place] = node{feature: f.column(*b), threshold: b.threshold, no: next[held[i]] * nodeBytes}
	}
	return start * nodeBytes
}

// column is where the walk finds the branch's value: rows of forests that mind missing values are
// followed by a copy in which these are -Inf.
func (f *Forest) column(b branch) uint32 {
	if b.missing {
		return uint32(b.feature) + uint32(f.width)
	}
	return uint32(b.feature)
}

// word is what stands in a leaf.
func (f *Forest) word(weights []Weight, vector bool) uint32 {
	if vector {
		at := len(f.values)
		f.values = append(f.values, make([]float32, f.targets)...)
		for _, w := range weights {
			f.values[at+int(w.Target)] += w.Value
		}
		return uint32(at)
	}
	var sum float32
	for _, w := range weights {
		sum += w.Value
	}
	return math.Float32bits(sum)
}
