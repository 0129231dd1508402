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

// before is what the container of the pod may ask for as long as the change did not reach it: what the
// change was decided on, or, of a pod that appeared since, what the template gives its pods. A change
// that goes back has the template's true requests in To.
func before(c optimizer.Change, p *corev1.Pod, container string) []fleet.Resources {
	for _, seen := range c.From.Pods {
		if seen.UID == string(p.UID) {
			return askedBy(container, seen.Shape)
		}
	}
	out := askedBy(container, c.From.Template, c.To.Template)
	if _, k := find("", &p.Spec, container); k != nil {
		for i := range out {
			out[i] = filled(out[i], k)
		}
	}
	return out
}

// filled is what a template asks for, where it says nothing with what k has: it was filled in when the
// pod was made, from a limit or by a LimitRange.
func filled(r fleet.Resources, k *corev1.Container) fleet.Resources {
	has := resources(k.Resources.Requests, ceil)
	return fleet.Resources{MilliCPU: cmp.Or(r.MilliCPU, has.MilliCPU), Memory: cmp.Or(r.Memory, has.Memory)}
}

// askedBy is what shapes ask for in container; those that lack it say nothing.
func askedBy(container string, shapes ...fleet.PodShape) []fleet.Resources {
	var out []fleet.Resources
	for _, s := range shapes {
		if k, ok := s.Container(container); ok {
			out = append(out, k.Requests)
		}
	}
	return out
}

// requests adds what gives a container of spec, which is found under root in the object called what, the
// CPU and memory requests of want. A container that is not there, or that the change knows nothing about
// because it was injected into a later pod, is left alone.
func (p *patch) requests(root, what string, spec *corev1.PodSpec, want fleet.ContainerRequests, from []fleet.Resources) error {
	path, k := find(root, spec, want.Container)
	if k == nil || len(from) == 0 {
		return nil
	}
	var due []amount
	for _, a := range []amount{
		{corev1.ResourceCPU, resource.Milli, resource.DecimalSI, fleet.FormatCPU, func(r fleet.Resources) int64 { return r.MilliCPU }},
		{corev1.ResourceMemory, 0, resource.BinarySI, fleet.FormatMemory, func(r fleet.Resources) int64 { return r.Memory }},
	} {
		needed, err := a.due(fmt.Sprintf("%s request of container %s in %s", a.name, k.Name, what), k, want.Requests, from)
		if err != nil {
			return err
		}
		if needed {
			due = append(due, a)
		}
	}
	if len(due) > 0 {
		p.test(path+"/name", k.Name)
		p.amounts(path+"/resources/requests", k, due, want.Requests)
	}
	return nil
}

// amounts sets the requests that are due, or all of them at once where the container has none yet.
func (p *patch) amounts(path string, k *corev1.Container, due []amount, want fleet.Resources) {
	if k.Resources.Requests == nil {
		list := corev1.ResourceList{}
		for _, a := range due {
			list[a.name] = a.quantity(want)
		}
		p.set(path, nil, list)
		return
	}
	for _, a := range due {
		var old, value any
		if q, ok := k.Resources.Requests[a.name]; ok {
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

// due tells whether k's request must still become that of want.
func (a amount) due(what string, k *corev1.Container, want fleet.Resources, from []fleet.Resources) (bool, error) {
	now := ceil(k.Resources.Requests[a.name], a.scale)
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
