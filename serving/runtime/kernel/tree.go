package kernel

import (
	"errors"
	"fmt"
	"math"
)

// Mode is what a node asks of its feature's value.
type Mode uint8

// The modes, as ONNX's TreeEnsemble has them. A Leaf asks nothing; it is the zero value.
const (
	Leaf Mode = iota
	LEQ       // value <= threshold
	LT        // value < threshold
	GTE       // value >= threshold
	GT        // value > threshold
	EQ        // value == threshold
	NEQ       // value != threshold
)

// Weight is what a leaf adds to one target.
type Weight struct {
	Target int32
	Value  float32
}

// Node is one decision of a tree, or a leaf.
type Node struct {
	Mode        Mode
	Feature     int32 // which value of the row
	Threshold   float32
	True, False int32    // nodes of the same tree
	MissingTrue bool     // a NaN goes to True; without it a NaN is not true, except for NEQ
	Weights     []Weight // of a leaf, any number
}

// Tree is a binary tree. The first node is the root; nodes that no other leads to are ignored.
type Tree []Node

// branch is a node in the one form that is computed: a value at or below the threshold goes to yes, and
// what is not, a NaN too, to no.
type branch struct {
	feature   int32
	missing   bool // a NaN goes to yes
	leaf      bool
	threshold float32
	yes, no   int32
	weights   []Weight
}

// check returns why the tree cannot be computed, else its nodes in an order in which each comes after the
// one that leads to it.
func (t Tree) check(targets int) (order []int32, err error) {
	if len(t) == 0 {
		return nil, errors.New("no nodes")
	}
	seen := make([]bool, len(t))
	seen[0], order = true, append(order, 0)
	for i := 0; i < len(order); i++ {
		n := &t[order[i]]
		if err := n.check(targets); err != nil {
			return nil, fmt.Errorf("node %d: %w", order[i], err)
		}
		if n.Mode == Leaf {
			continue
		}
		for _, to := range []int32{n.True, n.False} {
			if to < 0 || int(to) >= len(t) || seen[to] {
				return nil, fmt.Errorf("node %d leads to node %d, which is not one of %d or has a way to it already", order[i], to, len(t))
			}
			seen[to], order = true, append(order, to)
		}
	}
	return order, nil
}

// mostFeatures keeps the copies that rows with missing values need at a size that a machine has.
const mostFeatures = 1 << 24

func (n *Node) check(targets int) error {
	for _, w := range n.Weights {
		if w.Target < 0 || int(w.Target) >= targets {
			return fmt.Errorf("target %d is not one of %d", w.Target, targets)
		}
	}
	switch {
	case n.Mode > NEQ:
		return fmt.Errorf("mode %d is not known", n.Mode)
	case n.Mode == Leaf:
		return nil
	case n.Feature < 0 || n.Feature >= mostFeatures:
		return fmt.Errorf("feature %d is not one of %d", n.Feature, mostFeatures)
	case n.Threshold != n.Threshold:
		return errors.New("threshold is not a number")
	}
	return nil
}

// branches turns the nodes in their order into branches; a node that asks for equality becomes two, of
// which the second stands after all first ones.
func (t Tree) branches(order []int32) []branch {
	place := make([]int32, len(t))
	for i, n := range order {
		place[n] = int32(i)
	}
	out := make([]branch, len(order))
	for i, at := range order {
		n := t[at]
		if n.Mode == Leaf {
			out[i] = branch{leaf: true, weights: n.Weights}
			continue
		}
		n.True, n.False = place[n.True], place[n.False]
		var second []branch
		out[i], second = n.branch(int32(len(out)))
		out = append(out, second...)
	}
	return out
}

// branch is the node as a branch, for equality with a second one that will stand at next.
func (n *Node) branch(next int32) (first branch, second []branch) {
	first = branch{feature: n.Feature, missing: n.MissingTrue, threshold: n.Threshold, yes: n.True, no: n.False}
	switch n.Mode {
	case LT:
		return first.below(), nil
	case GTE:
		return first.turned().below(), nil
	case GT:
		return first.turned(), nil
	case EQ:
		other := branch{feature: n.Feature, threshold: n.Threshold, yes: n.False, no: n.True}
		first.yes = next
		return first, []branch{other.below()}
	case NEQ: // a NaN is not equal to anything
		other := branch{feature: n.Feature, threshold: n.Threshold, yes: n.True, no: n.False}
		first.missing, first.yes, first.no = false, next, n.True
		return first, []branch{other.below()}
	}
	return first, nil
}

// turned asks the opposite: no's way is the one of values above the threshold, and a NaN keeps its own.
func (b branch) turned() branch {
	b.yes, b.no, b.missing = b.no, b.yes, !b.missing
	return b
}

// below leaves the threshold itself to no: what is less than it is at most the next smaller number.
// Nothing is less than -Inf, so that there only a NaN can go to yes.
func (b branch) below() branch {
	if !math.IsInf(float64(b.threshold), -1) {
		b.threshold = math.Nextafter32(b.threshold, float32(math.Inf(-1)))
		return b
	}
	other := branch{feature: b.feature, threshold: float32(math.Inf(1)), yes: b.no, no: b.no}
	if b.missing {
		other.no = b.yes
	}
	return other
}

// longest is the most decisions on a way to a leaf; the first n branches are in their order.
func longest(all []branch, n int) int {
	deep := make([]int, len(all))
	for i := n - 1; i >= 0; i-- {
		b := &all[i]
		if b.leaf {
			continue
		}
		if int(b.yes) >= n {
			second := &all[b.yes]
			deep[b.yes] = 1 + max(deep[second.yes], deep[second.no])
		}
		deep[i] = 1 + max(deep[b.yes], deep[b.no])
	}
	return deep[0]
}
