package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// resize is the patch that gives one live pod the requests of a change.
type resize struct {
	pod   string
	patch patch
}

// resizes works out what is missing on the pods that a change is for. Pods that have it are left out.
func resizes(c optimizer.Change, want []fleet.ContainerRequests, pods []*corev1.Pod) ([]resize, error) {
	var out []resize
	for _, p := range pods {
		if len(c.Pods) > 0 && !slices.Contains(c.Pods, p.Name) {
			continue
		}
		r := resize{p.Name, patchOf(string(p.UID))}
		if !podReady(p.Status.Conditions) && tightens(&p.Spec, want) {
			continue // to load a model may take more than to serve it: once it is ready
		}
		for _, w := range want {
			if err := r.patch.requests("", "pod "+p.Name, &p.Spec, w, before(c, p, w.Container)); err != nil {
				return nil, err
			}
		}
		if !r.patch.empty() {
			out = append(out, r)
		}
	}
	return out, nil
}

// tightens tells whether a memory limit would become smaller.
func tightens(spec *corev1.PodSpec, want []fleet.ContainerRequests) bool {
	return slices.ContainsFunc(want, func(w fleet.ContainerRequests) bool {
		_, k := find("", spec, w.Container)
		return k != nil && w.Limits.Memory != 0 && w.Limits.Memory < k.Resources.Limits.Memory().Value()
	})
}

// before is what the container of the pod may ask for as long as the change did not reach it: what the
// change was decided on, or, of a pod that appeared since, what the template gives its pods. A change
// that goes back has the template's true requests in To.
func before(c optimizer.Change, p *corev1.Pod, container string) []fleet.Container {
	for _, seen := range c.From.Pods {
		if seen.UID == string(p.UID) {
			return askedBy(container, seen.Shape)
		}
	}
	out := askedBy(container, c.From.Template, c.To.Template)
	if _, k := find("", &p.Spec, container); k != nil {
		for i := range out {
			out[i].Requests = filled(out[i].Requests, k.Resources.Requests)
			out[i].Limits = filled(out[i].Limits, k.Resources.Limits)
		}
	}
	return out
}

// filled is what a template asks for, where it says nothing with what a container has: it was filled in when the
// pod was made, from a limit or by a LimitRange.
func filled(r fleet.Resources, has corev1.ResourceList) fleet.Resources {
	h := resources(has, ceil)
	return fleet.Resources{MilliCPU: cmp.Or(r.MilliCPU, h.MilliCPU), Memory: cmp.Or(r.Memory, h.Memory)}
}

// askedBy is the container as shapes have it; those that lack it say nothing.
func askedBy(container string, shapes ...fleet.PodShape) []fleet.Container {
	var out []fleet.Container
	for _, s := range shapes {
		if k, ok := s.Container(container); ok {
			out = append(out, k)
		}
	}
	return out
}

// requests adds what gives a container of spec, which is found under root in the object called what, the
// CPU and memory requests of want, and the limits where it has some. A container that is not there, or that the
// change knows nothing about because it was injected into a later pod, is left alone.
func (p *patch) requests(root, what string, spec *corev1.PodSpec, want fleet.ContainerRequests, from []fleet.Container) error {
	path, k := find(root, spec, want.Container)
	if k == nil || len(from) == 0 {
		return nil
	}
	has := fleet.Container{Requests: resources(k.Resources.Requests, ceil), Limits: resources(k.Resources.Limits, ceil)}
	becomes := has.With(want)
	named := false
	for _, f := range []struct {
		name    string
		list    corev1.ResourceList
		becomes fleet.Resources
		from    func(fleet.Container) fleet.Resources
	}{
		{"request", k.Resources.Requests, becomes.Requests, func(c fleet.Container) fleet.Resources { return c.Requests }},
		{"limit", k.Resources.Limits, becomes.Limits, func(c fleet.Container) fleet.Resources { return c.Limits }},
	} {
		due, err := dues(f.name, k.Name+" in "+what, f.list, f.becomes, from, f.from)
		if err != nil {
			return err
		}
		if len(due) > 0 && !named {
			p.test(path+"/name", k.Name)
			named = true
		}
		if len(due) > 0 {
			p.amounts(path+"/resources/"+f.name+"s", f.list, due, f.becomes)
		}
	}
	return nil
}

// dues is the amounts of one list of a container, its requests or its limits, that must still become those of want.
func dues(list, where string, now corev1.ResourceList, want fleet.Resources, from []fleet.Container, of func(fleet.Container) fleet.Resources) ([]amount, error) {
	var out []amount
	for _, a := range []amount{
		{corev1.ResourceCPU, resource.Milli, resource.DecimalSI, fleet.FormatCPU, func(r fleet.Resources) int64 { return r.MilliCPU }},
		{corev1.ResourceMemory, 0, resource.BinarySI, fleet.FormatMemory, func(r fleet.Resources) int64 { return r.Memory }},
	} {
		var was []fleet.Resources
		for _, c := range from {
			was = append(was, of(c))
		}
		needed, err := a.due(fmt.Sprintf("%s %s of container %s", a.name, list, where), now, want, was)
		if err != nil {
			return nil, err
		}
		if needed {
			out = append(out, a)
		}
	}
	return out, nil
}

// amounts sets what is due of a list that is at path, or all of it at once where there is none yet.
func (p *patch) amounts(path string, now corev1.ResourceList, due []amount, want fleet.Resources) {
	if now == nil {
		list := corev1.ResourceList{}
		for _, a := range due {
			list[a.name] = a.quantity(want)
		}
		p.set(path, nil, list)
		return
	}
	for _, a := range due {
		var old, value any
		if q, ok := now[a.name]; ok {
			old = q
		}
		if a.of(want) != 0 {
			value = a.quantity(want)
		}
		p.set(path+"/"+string(a.name), old, value)
	}
}

// amount is one of the two resources that can be resized.
type amount struct {
	name   corev1.ResourceName
	scale  resource.Scale
	format resource.Format
	text   func(int64) string
	of     func(fleet.Resources) int64
}

func (a amount) quantity(r fleet.Resources) resource.Quantity {
	q := resource.NewScaledQuantity(a.of(r), a.scale)
	q.Format = a.format
	return *q
}

// due tells whether an amount of list must still become that of want.
func (a amount) due(what string, list corev1.ResourceList, want fleet.Resources, from []fleet.Resources) (bool, error) {
	now := ceil(list[a.name], a.scale)
	if now == a.of(want) {
		return false, nil
	}
	var expected []string
	for _, f := range from {
		if a.of(f) == now {
			return true, nil
		}
		expected = append(expected, a.text(a.of(f)))
	}
	return false, moved(what, strings.Join(slices.Compact(expected), " or "), a.text(now))
}

// find is where a container of spec is, as a JSON pointer; nil: nowhere.
func find(root string, spec *corev1.PodSpec, name string) (path string, k *corev1.Container) {
	for _, list := range []struct {
		field string
		of    []corev1.Container
	}{{"containers", spec.Containers}, {"initContainers", spec.InitContainers}} {
		for i := range list.of {
			if list.of[i].Name == name {
				return fmt.Sprintf("%s/spec/%s/%d", root, list.field, i), &list.of[i]
			}
		}
	}
	return "", nil
}

// moved says which field is neither as before the change nor as after it.
func moved(what, expected, found string) error {
	return fmt.Errorf("%s: expected %s, found %s: %w", what, expected, found, optimizer.ErrMoved)
}
