package kube

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// pod is one Pod.
type pod struct {
	metav1.ObjectMeta // with the labels that Services select by
	seen              fleet.Pod
	controller        types.UID
	live              bool            // neither finished nor on its way out
	charge            fleet.Resources // what it takes of its node; a finished pod takes nothing
	finished          bool
	ip                string
	ports             []port
	scrape            scrape               // what its annotations say
	killed            map[string]time.Time // by container: when it was last killed for want of memory
}

// port is one that a container declares.
type port struct {
	name   string
	number int32
}

func readPod(p *corev1.Pod) *pod {
	asked, has := shape(&p.Spec), liveShape(p)
	r := &pod{
		ObjectMeta: identity(p),
		controller: controller(p),
		live:       live(p),
		finished:   finished(p),
		ip:         p.Status.PodIP,
		ports:      ports(&p.Spec),
		scrape:     readScrape(p.Annotations),
		killed:     killed(&p.Status),
	}
	r.Labels = p.Labels
	r.seen = fleet.Pod{
		Name:    p.Name,
		UID:     string(p.UID),
		Node:    p.Spec.NodeName,
		Ready:   podReady(p.Status.Conditions),
		Created: p.CreationTimestamp.UTC(),
		Shape:   has,
		Resize:  resizing(p, asked, has),
	}
	if !r.finished {
		r.charge = asked.Requests().Max(has.Requests()) // a resize is charged at its larger side
	}
	return r
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// live tells that a pod is neither finished nor on its way out.
func live(p *corev1.Pod) bool { return p.DeletionTimestamp == nil && !finished(p) }

func podReady(conditions []corev1.PodCondition) bool {
	return slices.ContainsFunc(conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// ports lists what the pod's lasting containers declare, main containers first.
func ports(spec *corev1.PodSpec) []port {
	var out []port
	for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
		for i := range list {
			for _, p := range list[i].Ports {
				out = append(out, port{p.Name, p.ContainerPort})
			}
		}
	}
	return out
}

// killed is when each container was last killed for want of memory, by name. A pod remembers the last end of
// each container only.
func killed(s *corev1.PodStatus) map[string]time.Time {
	var out map[string]time.Time
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		for _, end := range []*corev1.ContainerStateTerminated{c.LastTerminationState.Terminated, c.State.Terminated} {
			if end == nil || end.Reason != "OOMKilled" || end.FinishedAt.IsZero() {
				continue
			}
			if out == nil {
				out = map[string]time.Time{}
			}
			out[c.Name] = end.FinishedAt.UTC()
		}
	}
	return out
}

// images are the images of the containers by name.
func (p *pod) images() map[string]string {
	m := make(map[string]string, len(p.seen.Shape.Containers))
	for _, c := range p.seen.Shape.Containers {
		m[c.Name] = c.Image
	}
	return m
}
