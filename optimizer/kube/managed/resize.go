package managed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// size is what the model server's container of a pod asks for, and how far its kubelet has come with it.
type size struct {
	place    int // of the container among the pod's
	found    bool
	limits   fleet.Resources
	requests fleet.Resources
	has      fleet.Resources // the requests that its kubelet has put in force
	restarts bool            // a resize in place would restart the container
	pending  bool            // a resize is under way
	never    string          // why its kubelet will never carry it out, in its words
}

// words tells one size from another.
func (s size) words() string { return fmt.Sprint(s.requests, s.limits) }

func sizeOf(p *corev1.Pod, container string) size {
	i := slices.IndexFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		return size{}
	}
	c := p.Spec.Containers[i]
	s := size{place: i, found: true, requests: amounts(c.Resources.Requests), limits: amounts(c.Resources.Limits)}
	s.has = s.requests
	s.restarts = slices.ContainsFunc(c.ResizePolicy, func(r corev1.ContainerResizePolicy) bool { return r.RestartPolicy == corev1.RestartContainer })
	for _, status := range p.Status.ContainerStatuses {
		switch {
		case status.Name != container:
		case status.Resources != nil:
			s.has = amounts(status.Resources.Requests)
		case status.AllocatedResources != nil:
			s.has = amounts(status.AllocatedResources)
		}
	}
	s.pending, s.never = resizing(p)
	return s
}

// resizing tells whether a pod's kubelet says that a resize is under way, and why it will never be. A
// condition of an earlier resize than the last one says nothing.
func resizing(p *corev1.Pod) (pending bool, never string) {
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue || c.ObservedGeneration != 0 && c.ObservedGeneration < p.Generation {
			continue
		}
		switch {
		case c.Type == corev1.PodResizePending && c.Reason == corev1.PodReasonInfeasible:
			return true, c.Message
		case c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress:
			pending = true
		}
	}
	return pending, ""
}

// amounts is what a list says of CPU, in whole thousandths of a core, and of memory.
func amounts(l corev1.ResourceList) fleet.Resources {
	cpu, memory := l[corev1.ResourceCPU], l[corev1.ResourceMemory]
	return fleet.Resources{MilliCPU: cpu.MilliValue(), Memory: memory.Value()}
}

// sized tells whether requests of pods are the tuner's to say.
func (r record) sized() bool {
	room := r.State.Goal.Room
	return r.Resized || room.CPU != [2]int64{} || room.Memory != [2]int64{}
}

// asks is what a pod should ask for; what is 0, or not the tuner's to say, is left as it is.
func (r record) asks(p pod) (requests, limits fleet.Resources) {
	room, at := r.State.Goal.Room, r.State.Setting
	requests, limits = p.requests, p.limits
	if at.CPU > 0 && (r.Resized || room.CPU != [2]int64{}) {
		requests.MilliCPU = at.CPU
		if limits.MilliCPU > 0 && at.Limit > 0 {
			limits.MilliCPU = at.Limit
		}
	}
	if at.Memory > 0 && (r.Resized || room.Memory != [2]int64{}) {
		if limits.Memory > 0 && limits.Memory == requests.Memory && p.limits.MilliCPU == p.requests.MilliCPU {
			limits.Memory = at.Memory // its class of quality may not change
		}
		requests.Memory = at.Memory
	}
	return requests, limits
}

// errHopeless: a resize was refused for good.
var errHopeless = errors.New("it cannot be resized in place")

// resize lets every pod ask for what the record says. It gives the pods that do not have it yet; pods that
// appear later are resized in a later pass. errHopeless: some pod will never have it.
func (j *job) resize(ctx context.Context, r record) (waiting []pod, err error) {
	if !r.sized() {
		return nil, nil
	}
	j.forgetPods()
	var faults []error
	for _, p := range j.pods {
		waits, err := j.resizeOne(ctx, r, p)
		if waits {
			waiting = append(waiting, p)
		}
		faults = append(faults, err)
	}
	return waiting, errors.Join(faults...)
}

// resizeOne is resize of one pod.
func (j *job) resizeOne(ctx context.Context, r record, p pod) (waits bool, err error) {
	requests, limits := r.asks(p)
	same := requests.Equal(p.requests) && limits.Equal(p.limits)
	if same && j.now.Sub(j.repairs[j.repairOfPod(p)].at) >= calm {
		delete(j.repairs, j.repairOfPod(p))
	}
	switch {
	case !p.found:
		return false, fmt.Errorf("pod %s has no container %s: %w", p.name, j.adopted.container(), errHopeless)
	case !same && p.restarts:
		return false, fmt.Errorf("a new request would restart pod %s; set resizePolicy NotRequired: %w", p.name, errHopeless)
	case !same && j.yields(p):
		return true, fmt.Errorf("pod %s was resized back %d times in a row by %s and is left so for %s; let one of the two say its requests: %w",
			p.name, mostRepairs, cmp.Or(p.resizer, "somebody else"), truce, errHopeless)
	case !same:
		return true, j.askAgain(ctx, p, requests, limits)
	case p.never != "":
		return true, fmt.Errorf("resize pod %s: %s: %w", p.name, p.never, errHopeless)
	}
	return p.pending || p.has.MilliCPU != requests.MilliCPU || p.has.Memory != requests.Memory, nil
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// ask writes what a pod asks for, if it is still the pod that was seen. That it has gone is no fault.
func (j *job) ask(ctx context.Context, p pod, requests, limits fleet.Resources) error {
	root := fmt.Sprintf("/spec/containers/%d", p.place)
	patch := []operation{{"test", "/metadata/uid", p.uid}, {"test", root + "/name", j.adopted.container()}}
	add := func(list string, name corev1.ResourceName, now, then int64, value resource.Quantity) {
		if now != then {
			patch = append(patch, operation{"add", root + "/resources/" + list + "/" + string(name), value.String()})
		}
	}
	if (p.requests.Equal(fleet.Resources{})) {
		patch = append(patch, operation{"add", root + "/resources/requests", tree{}})
	}
	add("requests", corev1.ResourceCPU, p.requests.MilliCPU, requests.MilliCPU, *resource.NewMilliQuantity(requests.MilliCPU, resource.DecimalSI))
	add("requests", corev1.ResourceMemory, p.requests.Memory, requests.Memory, *resource.NewQuantity(requests.Memory, resource.BinarySI))
	add("limits", corev1.ResourceCPU, p.limits.MilliCPU, limits.MilliCPU, *resource.NewMilliQuantity(limits.MilliCPU, resource.DecimalSI))
	add("limits", corev1.ResourceMemory, p.limits.Memory, limits.Memory, *resource.NewQuantity(limits.Memory, resource.BinarySI))
	text, err := json.Marshal(patch)
	if err != nil {
		panic(err) // unreachable unless bug: strings only
	}
	_, err = j.client.CoreV1().Pods(j.server.Namespace).Patch(ctx, p.name, types.JSONPatchType, text, metav1.PatchOptions{FieldManager: Manager}, "resize")
	return refusal(p.name, err)
}

// refusal tells what went wrong with the resize of a pod. What was refused for good is errHopeless; a pod
// that has gone, or is another now, is no fault.
func refusal(name string, err error) error {
	unknown := err != nil && strings.Contains(err.Error(), "the server could not find the requested resource")
	moved := err != nil && apierrors.IsInvalid(err) && strings.Contains(err.Error(), "rejected our request due to an error in our request")
	switch {
	case err == nil || moved || apierrors.IsNotFound(err) && !unknown:
		return nil
	case unknown:
		return fmt.Errorf("resize pod %s: the API server knows no pods/resize, which came with Kubernetes 1.33: %w", name, errHopeless)
	case apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err):
		return fmt.Errorf("resize pod %s: %w: %w", name, errHopeless, err)
	}
	return fmt.Errorf("resize pod %s: %w", name, err)
}
