package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// placement is what a pod template says about where its pods may run.
type placement struct {
	selector    map[string]string
	terms       []corev1.NodeSelectorTerm // of the required node affinity: one must match; none: any node
	tolerations []corev1.Toleration
}

func readPlacement(spec *corev1.PodSpec) placement {
	p := placement{selector: spec.NodeSelector, tolerations: spec.Tolerations}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		p.terms = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	return p
}

// toleratesSpot tells whether at least one ready spot node takes the pods as they are.
func (p placement) toleratesSpot(nodes []*node) bool {
	return slices.ContainsFunc(nodes, func(n *node) bool {
		return n.openSpot() && p.allows(n)
	})
}

// allows tells whether the pods may run on the node as they are.
func (p placement) allows(n *node) bool {
	return p.selects(n) && !slices.ContainsFunc(n.seen.Taints, func(t fleet.Taint) bool { return !p.tolerates(t) })
}

// selects tells whether nodeSelector and required node affinity allow the node.
func (p placement) selects(n *node) bool {
	if !labels.SelectorFromSet(p.selector).Matches(labels.Set(n.Labels)) {
		return false
	}
	matches := func(t corev1.NodeSelectorTerm) bool { return termMatches(t, n.Labels) }
	return len(p.terms) == 0 || slices.ContainsFunc(p.terms, matches)
}

// moved is where the pods may run after a move to spot: without what p says of capacity types.
func (p placement) moved() placement {
	m := placement{selector: maps.Clone(p.selector), tolerations: p.tolerations}
	maps.DeleteFunc(m.selector, func(key, _ string) bool { return saysCapacity(key) })
	for _, t := range p.terms {
		kept := slices.DeleteFunc(slices.Clone(t.MatchExpressions), func(e corev1.NodeSelectorRequirement) bool { return saysCapacity(e.Key) })
		if len(kept) == 0 && len(t.MatchExpressions) > 0 && len(t.MatchFields) == 0 {
			return placement{selector: m.selector, tolerations: p.tolerations} // one term is enough, and this one spoke of nothing else
		}
		m.terms = append(m.terms, corev1.NodeSelectorTerm{MatchExpressions: kept, MatchFields: t.MatchFields})
	}
	return m
}

// capacityKeys is the labels by which p asks for a capacity type, sorted.
func (p placement) capacityKeys() []string {
	var keys []string
	for key := range p.selector {
		if saysCapacity(key) {
			keys = append(keys, "nodeSelector "+key)
		}
	}
	for _, t := range p.terms {
		for _, e := range t.MatchExpressions {
			if saysCapacity(e.Key) {
				keys = append(keys, "required node affinity "+e.Key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// spotNodes finds where pods may be moved to, and works out each constraint once.
type spotNodes struct {
	open  []*node             // spot nodes that take new pods, sorted by name
	known map[string][]string // by the constraint as JSON
}

func newSpotNodes(nodes []*node) spotNodes {
	s := spotNodes{known: map[string][]string{}}
	for _, n := range nodes {
		if n.openSpot() {
			s.open = append(s.open, n)
		}
	}
	return s
}

// allowedBy is the names of the nodes that p allows after a move. They are shared: not to be changed.
func (s spotNodes) allowedBy(p placement) []string {
	m := p.moved()
	key, err := json.Marshal([]any{m.selector, m.terms, m.tolerations})
	if err != nil {
		panic(err) // unreachable unless bug: these are strings
	}
	names, ok := s.known[string(key)]
	if ok {
		return names
	}
	for _, n := range s.open {
		if m.selects(n) && m.mayEnter(n) {
			names = append(names, n.Name)
		}
	}
	s.known[string(key)] = names
	return names
}

// bars finds the nodes that pods may not be on, and works out each constraint once.
type bars struct {
	nodes []*node             // sorted by name
	known map[string][]string // by the constraint as JSON
}

// of is the names of the nodes that p's nodeSelector and required node affinity do not allow; a term that names nodes
// allows none. They are shared: not to be changed.
func (b bars) of(p placement) []string {
	if len(p.selector)+len(p.terms) == 0 {
		return nil
	}
	key, err := json.Marshal([]any{p.selector, p.terms})
	if err != nil {
		panic(err) // unreachable unless bug: these are strings
	}
	names, ok := b.known[string(key)]
	if ok {
		return names
	}
	for _, n := range b.nodes {
		if !p.selects(n) {
			names = append(names, n.Name)
		}
	}
	b.known[string(key)] = names
	return names
}

// mayEnter tells whether a toleration of what marks the node as spot is all that the pods lack: a taint
// that keeps them off for another reason, such as a processor or a GPU, stays in force.
func (p placement) mayEnter(n *node) bool {
	return !slices.ContainsFunc(n.seen.Taints, func(t fleet.Taint) bool { return !marksSpot(t.Key) && !p.tolerates(t) })
}

// marksSpot tells whether a taint is about how the node is bought: a key that says capacity types, or
// one of the operator's own that names it.
func marksSpot(key string) bool {
	lower := strings.ToLower(key)
	return saysCapacity(key) || strings.Contains(lower, "spot") || strings.Contains(lower, "preempt")
}

// operator is one of node affinity, as package labels calls it; empty: none that is known.
func operator(op corev1.NodeSelectorOperator) selection.Operator {
	switch op {
	case corev1.NodeSelectorOpIn:
		return selection.In
	case corev1.NodeSelectorOpNotIn:
		return selection.NotIn
	case corev1.NodeSelectorOpExists:
		return selection.Exists
	case corev1.NodeSelectorOpDoesNotExist:
		return selection.DoesNotExist
	case corev1.NodeSelectorOpGt:
		return selection.GreaterThan
	case corev1.NodeSelectorOpLt:
		return selection.LessThan
	}
	return ""
}

// termMatches is false for a term that also names nodes (matchFields) and for an empty one.
func termMatches(t corev1.NodeSelectorTerm, set labels.Set) bool {
	if len(t.MatchFields) > 0 || len(t.MatchExpressions) == 0 {
		return false
	}
	for _, e := range t.MatchExpressions {
		r, err := labels.NewRequirement(e.Key, operator(e.Operator), e.Values)
		if err != nil || !r.Matches(set) {
			return false
		}
	}
	return true
}

// tolerates tells whether the pods may run in spite of the taint; a mere preference keeps no one off.
func (p placement) tolerates(t fleet.Taint) bool {
	return t.Effect == string(corev1.TaintEffectPreferNoSchedule) ||
		slices.ContainsFunc(p.tolerations, func(o corev1.Toleration) bool { return covers(o, t) })
}

// covers tells whether a toleration is one of the taint.
func covers(o corev1.Toleration, t fleet.Taint) bool {
	switch {
	case o.Effect != "" && string(o.Effect) != t.Effect, o.Key != "" && o.Key != t.Key:
		return false
	case o.Operator == corev1.TolerationOpExists:
		return true
	}
	return (o.Operator == "" || o.Operator == corev1.TolerationOpEqual) && o.Key != "" && o.Value == t.Value
}
