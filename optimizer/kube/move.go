package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// SpotAnnotation is on a Deployment that an Actuator moved to spot nodes. Its value is what the move added
// to the pod template, as JSON, so that the way back removes that and nothing else.
const SpotAnnotation = "trimtab.dev/spot"

// Where a pod template says where its pods may run.
const (
	annotations  = "/metadata/annotations"
	tolerations  = "/spec/template/spec/tolerations"
	affinity     = "/spec/template/spec/affinity"
	nodeAffinity = affinity + "/nodeAffinity"
	preferences  = nodeAffinity + "/preferredDuringSchedulingIgnoredDuringExecution"
)

// addition is what a move to spot nodes adds to a pod template.
type addition struct {
	Tolerations []corev1.Toleration              `json:"tolerations,omitempty"`
	Preferred   []corev1.PreferredSchedulingTerm `json:"preferred,omitempty"`
	// Made is the outermost part that the template did not have, "affinity" or "nodeAffinity": it goes with
	// the last of what it holds.
	Made string `json:"made,omitempty"`
}

func (a addition) empty() bool { return len(a.Tolerations)+len(a.Preferred) == 0 }

// place adds to p what moves the pods, if the change asks for that.
func (a *Actuator) place(ctx context.Context, p *patch, d *appsv1.Deployment, c optimizer.Change, t fleet.Target) error {
	was, recorded, err := readAddition(d)
	switch {
	case t.Capacity == "":
		return nil
	case err != nil:
		return err
	case t.Capacity == fleet.OnDemand:
		return p.unmove(d, was, t)
	case t.Capacity != fleet.Spot:
		return fmt.Errorf("nothing is known of capacity %q", t.Capacity)
	case recorded && was.in(&d.Spec.Template.Spec) < len(was.Tolerations)+len(was.Preferred):
		return fmt.Errorf("it was moved to spot nodes before, and somebody took that out of its pod template: "+
			"remove its annotation %s if it may be moved again", SpotAnnotation)
	case recorded:
		return nil
	}
	nodes, err := a.cluster.berths(ctx, &d.Spec.Template.Spec, c.From.SpotNodes)
	if err != nil {
		return err
	}
	add := additions(&d.Spec.Template.Spec, nodes)
	if add.empty() {
		return nil // it says so by itself
	}
	if err := a.cluster.room(nodes, oneMore(&d.Spec.Template.Spec, c, t)); err != nil {
		return err
	}
	p.move(d, add)
	return losesNothing(d, after(d, t))
}

// readAddition is what a move added to d, if there was one.
func readAddition(d *appsv1.Deployment) (a addition, recorded bool, err error) {
	text, recorded := d.Annotations[SpotAnnotation]
	if !recorded {
		return addition{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return addition{}, true, fmt.Errorf("read its annotation %s: %w", SpotAnnotation, err)
	}
	return a, true, nil
}

// in counts the parts of a that spec has.
func (a addition) in(spec *corev1.PodSpec) int {
	has := preferred(spec)
	return len(spec.Tolerations) - len(without(spec.Tolerations, a.Tolerations)) + len(has) - len(without(has, a.Preferred))
}

// additions is what spec lacks for its pods to go to nodes rather than to others.
func additions(spec *corev1.PodSpec, nodes []*node) addition {
	var a addition
	signs := map[sign]bool{}
	for _, n := range nodes {
		for _, t := range n.seen.Taints {
			a.tolerate(t, spec)
		}
		signs[spotSign(n.Labels)] = true
	}
	for _, s := range slices.SortedFunc(maps.Keys(signs), func(x, y sign) int { return strings.Compare(x.key+"="+x.value, y.key+"="+y.value) }) {
		a.prefer(s, spec)
	}
	switch {
	case len(a.Preferred) == 0:
	case spec.Affinity == nil:
		a.Made = "affinity"
	case spec.Affinity.NodeAffinity == nil:
		a.Made = "nodeAffinity"
	}
	return a
}

// tolerate adds what lets pods of spec onto a node in spite of a taint that marks it as spot.
func (a *addition) tolerate(t fleet.Taint, spec *corev1.PodSpec) {
	covered := func(o corev1.Toleration) bool { return covers(o, t) }
	if marksSpot(t.Key) && !slices.ContainsFunc(spec.Tolerations, covered) && !slices.ContainsFunc(a.Tolerations, covered) {
		a.Tolerations = append(a.Tolerations, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOpEqual, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
}

// prefer adds a preference for nodes with the sign, unless spec has it. It is only a preference: when
// no spot node is left, the pods go back to others.
func (a *addition) prefer(s sign, spec *corev1.PodSpec) {
	want := corev1.NodeSelectorRequirement{Key: s.key, Operator: corev1.NodeSelectorOpIn, Values: []string{s.value}}
	if s.value == "" {
		want.Operator, want.Values = corev1.NodeSelectorOpExists, nil
	}
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{want}}
	if !slices.ContainsFunc(preferred(spec), func(p corev1.PreferredSchedulingTerm) bool { return reflect.DeepEqual(p.Preference, term) }) {
		a.Preferred = append(a.Preferred, corev1.PreferredSchedulingTerm{Weight: 100, Preference: term})
	}
}

func preferred(spec *corev1.PodSpec) []corev1.PreferredSchedulingTerm {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
}

// move writes a to the pod template and what it was to the annotation.
func (p *patch) move(d *appsv1.Deployment, a addition) {
	spec, note := &d.Spec.Template.Spec, string(raw(a))
	if d.Annotations == nil {
		p.set(annotations, nil, map[string]string{SpotAnnotation: note})
	} else {
		p.set(annotations+"/"+pointer(SpotAnnotation), nil, note)
	}
	if len(a.Tolerations) > 0 {
		setList(p, tolerations, spec.Tolerations, slices.Concat(spec.Tolerations, a.Tolerations))
	}
	all := corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: slices.Concat(preferred(spec), a.Preferred)}
	switch {
	case len(a.Preferred) == 0:
	case a.Made == "affinity":
		p.set(affinity, nil, corev1.Affinity{NodeAffinity: &all})
	case a.Made == "nodeAffinity":
		p.set(nodeAffinity, nil, all)
	default:
		setList(p, preferences, preferred(spec), all.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

// unmove takes a out of the pod template again. Where nothing of it is there any more, somebody else took
// it out: then the annotation stays too, so that the move is not tried against their will.
func (p *patch) unmove(d *appsv1.Deployment, a addition, t fleet.Target) error {
	spec := &d.Spec.Template.Spec
	if a.in(spec) == 0 {
		return nil
	}
	p.set(annotations+"/"+pointer(SpotAnnotation), d.Annotations[SpotAnnotation], nil)
	if left := without(spec.Tolerations, a.Tolerations); len(left) < len(spec.Tolerations) {
		setList(p, tolerations, spec.Tolerations, left)
	}
	has := preferred(spec)
	left := without(has, a.Preferred)
	if len(left) == len(has) {
		return losesNothing(d, after(d, t))
	}
	rest := spec.Affinity.DeepCopy()
	rest.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = nil
	bare := len(left) == 0 && reflect.DeepEqual(*rest.NodeAffinity, corev1.NodeAffinity{})
	rest.NodeAffinity = nil
	switch {
	case bare && a.Made == "affinity" && reflect.DeepEqual(*rest, corev1.Affinity{}):
		p.set(affinity, *spec.Affinity, nil)
	case bare && a.Made != "":
		p.set(nodeAffinity, *spec.Affinity.NodeAffinity, nil)
	default:
		setList(p, preferences, has, left)
	}
	return losesNothing(d, after(d, t))
}

// without is list less one of each of drop.
func without[T any](list, drop []T) []T {
	out := slices.Clone(list)
	for _, o := range drop {
		if i := slices.IndexFunc(out, func(has T) bool { return reflect.DeepEqual(has, o) }); i >= 0 {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// after is the Deployment's replicas once the change is written.
func after(d *appsv1.Deployment, t fleet.Target) int32 {
	if t.Replicas != 0 {
		return t.Replicas
	}
	return desired(d.Spec.Replicas)
}
