package diff

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	api "k8s.io/kubernetes/pkg/apis/core"
	k8sv1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies/admission"
)

func list(r fleet.Resources) corev1.ResourceList {
	l := corev1.ResourceList{}
	if r.MilliCPU > 0 {
		l["cpu"] = *resource.NewMilliQuantity(r.MilliCPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		l["memory"] = *resource.NewQuantity(r.Memory, resource.BinarySI)
	}
	for _, e := range r.Extended {
		l[corev1.ResourceName(e.Name)] = *resource.NewQuantity(e.Count, resource.DecimalSI)
	}
	return l
}

func back(l api.ResourceList) fleet.Resources {
	var r fleet.Resources
	for k, q := range l {
		switch k {
		case "cpu":
			r.MilliCPU = q.MilliValue()
		case "memory":
			r.Memory = q.Value()
		default:
			r.Extended = append(r.Extended, fleet.Extended{string(k), q.Value()})
		}
	}
	r.Extended = fleet.SortExtended(r.Extended)
	return r
}

func ratio(r fleet.Ratio) corev1.ResourceList {
	l := corev1.ResourceList{}
	if r.CPU > 0 {
		l["cpu"] = *resource.NewMilliQuantity(r.CPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		l["memory"] = *resource.NewMilliQuantity(r.Memory, resource.DecimalSI)
	}
	return l
}

func TestDiff(t *testing.T) {
	held, ok, filled := 0, 0, 0
	for seed := range uint64(200000) {
		r := rand.New(rand.NewPCG(seed, 9))
		n := func(most int64) int64 { return r.Int64N(most + 1) }
		some := func(most int64) fleet.Resources {
			x := fleet.Resources{MilliCPU: n(most), Memory: n(most)}
			if n(3) == 0 {
				x.Extended = fleet.SortExtended([]fleet.Extended{{"nvidia.com/gpu", n(2)}})
			}
			return x
		}
		b := fleet.Bounds{Namespace: "ns"}
		var lrs []*corev1.LimitRange
		for i := range n(2) {
			lr := fleet.LimitRange{Name: fmt.Sprint("lr", i), Type: []string{"Container", "Pod"}[n(1)]}
			if n(2) == 0 {
				lr.Min = some(3)
			}
			if n(2) == 0 {
				lr.Max = some(14)
			}
			if n(2) == 0 {
				lr.MaxLimitRequestRatio = fleet.Ratio{CPU: n(1) * (1000 + n(3000)), Memory: n(1) * (1000 + n(3000))}
			}
			if n(1) == 0 && lr.Type == "Container" {
				lr.Default, lr.DefaultRequest = some(6), some(3)
			}
			b.LimitRanges = append(b.LimitRanges, lr)
			v := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitType(lr.Type), Min: list(lr.Min), Max: list(lr.Max), Default: list(lr.Default), DefaultRequest: list(lr.DefaultRequest),
				MaxLimitRequestRatio: ratio(lr.MaxLimitRequestRatio),
			}}}}
			v.Name = lr.Name
			k8sv1.SetDefaults_LimitRangeItem(&v.Spec.Limits[0])
			lrs = append(lrs, v)
		}
		shape := fleet.PodShape{Overhead: fleet.Resources{MilliCPU: n(1) * 50}}
		pod := &corev1.Pod{}
		always := corev1.ContainerRestartPolicyAlways
		for i := range 1 + n(2) {
			c := fleet.Container{Name: fmt.Sprint("c", i), Requests: some(6)}
			c.Limits = some(9)
			c.Role = []fleet.Role{fleet.Main, fleet.Main, fleet.Sidecar, fleet.Init}[n(3)]
			shape.Containers = append(shape.Containers, c)
			v := corev1.Container{Name: c.Name, Resources: corev1.ResourceRequirements{Requests: list(c.Requests), Limits: list(c.Limits)}}
			switch c.Role {
			case fleet.Main:
				pod.Spec.Containers = append(pod.Spec.Containers, v)
			case fleet.Sidecar:
				v.RestartPolicy = &always
				fallthrough
			default:
				pod.Spec.InitContainers = append(pod.Spec.InitContainers, v)
			}
		}
		k8sv1.SetObjectDefaults_Pod(pod)
		in := &api.Pod{}
		if err := k8sv1.Convert_v1_Pod_To_core_Pod(pod, in, nil); err != nil {
			t.Fatal(err)
		}
		for _, lr := range lrs {
			if err := limitranger.PodMutateLimitFunc(lr, in); err != nil {
				t.Fatal(err)
			}
		}
		got := admission.Default(shape, b)
		above := false
		for _, c := range append(append([]api.Container{}, in.Spec.Containers...), in.Spec.InitContainers...) {
			mine, _ := got.Container(c.Name)
			if rq, lm := back(c.Resources.Requests), back(c.Resources.Limits); !rq.Equal(mine.Requests) || !lm.Equal(mine.Limits) {
				t.Fatalf("seed %d: %s: ours %+v %+v, theirs %+v %+v\n%+v\n%+v", seed, c.Name, mine.Requests, mine.Limits, rq, lm, shape, b)
			}
			for k, q := range c.Resources.Requests {
				if l, has := c.Resources.Limits[k]; has && q.Cmp(l) > 0 {
					above = true
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(shape) {
			filled++
		}
		var err error
		for _, lr := range lrs {
			if e := limitranger.PodValidateLimitFunc(lr, in); e != nil {
				err = e
			}
		}
		w := fleet.Workload{Template: shape, Replicas: 1}
		_, _, holds := admission.Judge(w, fleet.Target{Replicas: 2}, b)
		if (len(holds) > 0) != (err != nil || above) {
			t.Fatalf("seed %d: ours %v, theirs %v above %v\n%+v\n%+v", seed, holds, err, above, got, b)
		}
		if len(holds) > 0 {
			held++
		} else {
			ok++
		}
	}
	t.Logf("held %d, passed %d, filled %d", held, ok, filled)
}
