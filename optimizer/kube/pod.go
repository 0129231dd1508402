package kube

import (
	"slices"

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
	live              bool // neither finished nor on its way out
	ip                string
	ports             []port
	scrape            scrape // what its annotations say
}

// port is one that a container declares.
type port struct {
	name   string
	number int32
}

func readPod(p *corev1.Pod) *pod {
	r := &pod{
		ObjectMeta: identity(p),
		controller: controller(p),
		live:       p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed,
		ip:         p.Status.PodIP,
		ports:      ports(&p.Spec),
		scrape:     readScrape(p.Annotations),
	}
	r.Labels = p.Labels
	r.seen = fleet.Pod{
		Name:    p.Name,
		UID:     string(p.UID),
		Node:    p.Spec.NodeName,
		Ready:   podReady(p.Status.Conditions),
		Created: p.CreationTimestamp.UTC(),
		Shape:   liveShape(p),
	}
	return r
}

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

// images are the images of the containers by name.
func (p *pod) images() map[string]string {
	m := make(map[string]string, len(p.seen.Shape.Containers))
	for _, c := range p.seen.Shape.Containers {
		m[c.Name] = c.Image
	}
	return m
}
