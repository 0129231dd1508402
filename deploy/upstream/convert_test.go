package upstream

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	api "k8s.io/kubernetes/pkg/apis/core"
	k8sv1 "k8s.io/kubernetes/pkg/apis/core/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The nouns of fleet as Kubernetes has them, and back. What is zero in fleet is left out.

func list(r fleet.Resources) corev1.ResourceList {
	l := corev1.ResourceList{}
	if r.MilliCPU > 0 {
		l[corev1.ResourceCPU] = *resource.NewMilliQuantity(r.MilliCPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		l[corev1.ResourceMemory] = *resource.NewQuantity(r.Memory, resource.BinarySI)
	}
	for _, e := range r.Extended {
		l[corev1.ResourceName(e.Name)] = *resource.NewQuantity(e.Count, resource.DecimalSI)
	}
	return l
}

// resources is the way back.
func resources(l api.ResourceList) fleet.Resources {
	var r fleet.Resources
	for name, q := range l {
		switch name {
		case api.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case api.ResourceMemory:
			r.Memory = q.Value()
		default:
			r.Extended = append(r.Extended, fleet.Extended{Name: string(name), Count: q.Value()})
		}
	}
	r.Extended = fleet.SortExtended(r.Extended)
	return r
}

// ratios has no unit, so both parts are thousandths.
func ratios(r fleet.Ratio) corev1.ResourceList {
	l := corev1.ResourceList{}
	if r.CPU > 0 {
		l[corev1.ResourceCPU] = *resource.NewMilliQuantity(r.CPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		l[corev1.ResourceMemory] = *resource.NewMilliQuantity(r.Memory, resource.DecimalSI)
	}
	return l
}

// limitRange has upstream's own defaults, as a stored one has.
func limitRange(r fleet.LimitRange) *corev1.LimitRange {
	item := corev1.LimitRangeItem{
		Type: corev1.LimitType(r.Type), Min: list(r.Min), Max: list(r.Max),
		Default: list(r.Default), DefaultRequest: list(r.DefaultRequest),
		MaxLimitRequestRatio: ratios(r.MaxLimitRequestRatio),
	}
	k8sv1.SetDefaults_LimitRangeItem(&item)
	lr := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}}}
	lr.Name = r.Name
	return lr
}

// pod is a pod of this shape as a client sends it.
func pod(s fleet.PodShape) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name, p.ResourceVersion = "ns", "p", "1"
	if s.Overhead.MilliCPU > 0 {
		p.Spec.Overhead = list(s.Overhead)
	}
	always := corev1.ContainerRestartPolicyAlways
	for _, c := range s.Containers {
		v := corev1.Container{Name: c.Name, Resources: corev1.ResourceRequirements{Requests: list(c.Requests), Limits: list(c.Limits)}}
		switch c.Role {
		case fleet.Main:
			p.Spec.Containers = append(p.Spec.Containers, v)
		case fleet.Sidecar:
			v.RestartPolicy = &always
			fallthrough
		default:
			p.Spec.InitContainers = append(p.Spec.InitContainers, v)
		}
	}
	return p
}

// quota is what its controller has written. A line that it has not counted has no use.
func quota(q fleet.Quota) corev1.ResourceQuota {
	v := corev1.ResourceQuota{}
	v.Name, v.Namespace = q.Name, "ns"
	v.Status.Hard, v.Status.Used = corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range q.Items {
		v.Status.Hard[corev1.ResourceName(item.Name)] = amount(item.Name, item.Hard)
		if item.Tracked {
			v.Status.Used[corev1.ResourceName(item.Name)] = amount(item.Name, item.Used)
		}
	}
	return v
}

func amount(line string, n int64) resource.Quantity {
	if strings.HasSuffix(line, "cpu") {
		return *resource.NewMilliQuantity(n, resource.DecimalSI)
	}
	return *resource.NewQuantity(n, resource.DecimalSI)
}
