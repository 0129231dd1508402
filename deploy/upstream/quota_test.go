package diff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	"k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	"k8s.io/utils/clock"

	"trimtab.dev/trimtab/optimizer/fleet"
	adm "trimtab.dev/trimtab/policies/admission"
)

var lines = []string{"cpu", "count/pods", "limits.cpu", "limits.memory", "limits.nvidia.com/gpu", "memory", "nvidia.com/gpu", "pods", "requests.cpu", "requests.memory", "requests.nvidia.com/gpu", "services"}

func amount(line string, n int64) resource.Quantity {
	switch line {
	case "cpu", "requests.cpu", "limits.cpu":
		return *resource.NewMilliQuantity(n, resource.DecimalSI)
	}
	return *resource.NewQuantity(n, resource.DecimalSI)
}

func TestQuota(t *testing.T) {
	ev := core.NewPodEvaluator(nil, clock.RealClock{})
	held, passed := 0, 0
	count := map[fleet.HoldReason]int{}
	for seed := range uint64(100000) {
		r := rand.New(rand.NewPCG(seed, 11))
		n := func(most int64) int64 { return r.Int64N(most + 1) }
		resize := seed%2 == 1
		q := fleet.Quota{Name: "q"}
		v := corev1.ResourceQuota{}
		v.Name, v.Namespace = "q", "ns"
		v.Status.Hard, v.Status.Used = corev1.ResourceList{}, corev1.ResourceList{}
		for _, l := range lines {
			if n(2) > 0 {
				continue
			}
			it := fleet.QuotaItem{Name: l, Hard: 10 + n(20), Used: n(20), Tracked: n(30) > 0 && l != "limits.nvidia.com/gpu" && l != "nvidia.com/gpu"}
			q.Items = append(q.Items, it)
			v.Status.Hard[corev1.ResourceName(l)] = amount(l, it.Hard)
			if it.Tracked {
				v.Status.Used[corev1.ResourceName(l)] = amount(l, it.Used)
			}
		}
		shape := fleet.PodShape{Overhead: fleet.Resources{MilliCPU: n(1) * n(3)}}
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name, pod.ResourceVersion = "ns", "p", "1"
		if shape.Overhead.MilliCPU > 0 {
			pod.Spec.Overhead = list(shape.Overhead)
		}
		always := corev1.ContainerRestartPolicyAlways
		for i := range 1 + n(2) {
			c := fleet.Container{Name: fmt.Sprint("c", i), Requests: fleet.Resources{MilliCPU: 1 + n(4), Memory: 1 + n(4)}}
			c.Limits = fleet.Resources{MilliCPU: c.Requests.MilliCPU + 6, Memory: (c.Requests.Memory + 6) * min(1, n(4))}
			if n(3) == 0 {
				g := []fleet.Extended{{"nvidia.com/gpu", 1 + n(2)}}
				c.Requests.Extended, c.Limits.Extended = g, g
			}
			c.Role = []fleet.Role{fleet.Main, fleet.Main, fleet.Sidecar, fleet.Init}[n(3)]
			if i == 0 {
				c.Role = fleet.Main
			}
			shape.Containers = append(shape.Containers, c)
			x := corev1.Container{Name: c.Name, Resources: corev1.ResourceRequirements{Requests: list(c.Requests), Limits: list(c.Limits)}}
			switch c.Role {
			case fleet.Main:
				pod.Spec.Containers = append(pod.Spec.Containers, x)
			case fleet.Sidecar:
				x.RestartPolicy = &always
				fallthrough
			default:
				pod.Spec.InitContainers = append(pod.Spec.InitContainers, x)
			}
		}
		w := fleet.Workload{Template: shape, Replicas: 1, Pods: []fleet.Pod{{Shape: shape}}}
		b := fleet.Bounds{Namespace: "ns", Quotas: []fleet.Quota{q}}
		var holds []fleet.Hold
		var attrs admission.Attributes
		res := corev1.SchemeGroupVersion.WithResource("pods")
		kind := corev1.SchemeGroupVersion.WithKind("Pod")
		if resize {
			grow := fleet.Resources{MilliCPU: shape.Containers[0].Requests.MilliCPU + 1 + n(4), Memory: max(1, shape.Containers[0].Requests.Memory + n(4) - 2)}
			if lm := shape.Containers[0].Limits.Memory; lm > 0 {
				grow.Memory = min(grow.Memory, lm)
			}
			_, _, holds = adm.Judge(w, fleet.Target{Requests: []fleet.ContainerRequests{{Container: "c0", Requests: grow}}}, b)
			next := pod.DeepCopy()
			next.Spec.Containers[0].Resources.Requests["cpu"] = *resource.NewMilliQuantity(grow.MilliCPU, resource.DecimalSI)
			next.Spec.Containers[0].Resources.Requests["memory"] = *resource.NewQuantity(grow.Memory, resource.BinarySI)
			attrs = admission.NewAttributesRecord(next, pod, kind, "ns", "p", res, "resize", admission.Update, nil, false, nil)
		} else {
			_, _, holds = adm.Judge(w, fleet.Target{Replicas: 2}, b)
			attrs = admission.NewAttributesRecord(pod, nil, kind, "ns", "p", res, "", admission.Create, nil, false, nil)
		}
		_, err := resourcequota.CheckRequest([]corev1.ResourceQuota{v}, attrs, ev, nil)
		if (len(holds) > 0) != (err != nil) {
			if resize && len(holds) == 0 && strings.Contains(err.Error(), "status unknown") {
				continue
			}
			// a resize that is covered by a dearer init container takes nothing, and is let be
			t.Fatalf("seed %d resize %v: ours %v, theirs %v\n%+v\n%+v", seed, resize, holds, err, shape, b)
		}
		if err != nil {
			held++
			count[holds[0].Reason]++
		} else {
			passed++
		}
	}
	t.Logf("held %d passed %d %v", held, passed, count)
}
