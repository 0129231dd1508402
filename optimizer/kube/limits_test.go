package kube

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

const limitsOf = `{"op":"test","path":"/spec/containers/0/resources/limits/cpu","value":"1"},` +
	`{"op":"replace","path":"/spec/containers/0/resources/limits/cpu","value":"40m"},` +
	`{"op":"test","path":"/spec/containers/0/resources/limits/memory","value":"2Gi"},` +
	`{"op":"replace","path":"/spec/containers/0/resources/limits/memory","value":"296Mi"}]`

// sizeLimits is size(20, 148) with limits of twice that.
func sizeLimits() fleet.Target {
	t := size(20, 148)
	t.Requests[0].Limits = fleet.Resources{MilliCPU: 40, Memory: 296 << 20}
	return t
}

func readied(p *corev1.Pod) *corev1.Pod {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func TestApplyLimits(t *testing.T) {
	whole := resizeModel1[:len(resizeModel1)-1] + "," + limitsOf
	for _, row := range []struct {
		name   string
		change func(*corev1.Pod) // of the pod, after it was observed
		want   []string
		says   string
	}{
		{"requests and limits in one patch", func(*corev1.Pod) {}, []string{whole}, ""},
		{"the requests are there", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = list("cpu", "20m", "memory", "148Mi")
		}, []string{`pods/resize model-1: [{"op":"test","path":"/metadata/uid","value":"uid-model-1"},{"op":"test","path":"/spec/containers/0/name","value":"server"},` + limitsOf}, ""},
		{"all is there", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list("cpu", "20m", "memory", "148Mi"), Limits: list("cpu", "40m", "memory", "296Mi")}
		}, nil, ""},
		{"somebody gave it another limit", func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = list("cpu", "3", "memory", "2Gi")
		}, nil, "cpu limit of container server in pod model-1: expected 1, found 3"},
		{"it has no limit any more, and is given none", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits = nil }, []string{resizeModel1}, ""},
		{"a model is being loaded, which may take more", func(p *corev1.Pod) { p.Status.Conditions = nil }, nil, ""},
	} {
		bubble(t, row.name, func(t *testing.T) {
			d := deployment(1)
			c := newRig(t, d, replicaSetOf(d), readied(podOf(d, "model-1"))).change(sizeLimits())
			p := readied(podOf(d, "model-1"))
			row.change(p)
			r := newBareRig(d, map[string]*corev1.Pod{"model-1": p})
			switch err := r.Apply(t.Context(), c); {
			case row.says == "" && err != nil:
				t.Fatal(err)
			case row.says != "":
				contains(t, err, row.says)
			}
			same(t, "patches", r.patches(), row.want)
		})
	}
}

func TestApplyLimitsToTheTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, running(deployment(3), "model-1")...)
		c := r.change(sizeLimits())
		c.Apply = policies.InTemplate
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		same(t, "patches", r.patches(), []string{sizeTemplate[:len(sizeTemplate)-1] + `,{"op":"test","path":"/spec/template/spec/containers/0/resources/limits/cpu","value":"1"},` +
			`{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/cpu","value":"40m"},` +
			`{"op":"test","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"2Gi"},` +
			`{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"296Mi"}]`})
	})
}

// A limit that the kubelet has not put in force yet is a resize under way; memory counts in whole pages.
func TestLiveLimits(t *testing.T) {
	for _, row := range []struct {
		asked, has string
		want       int64
		state      fleet.ResizeState
	}{
		{"1Gi", "1Gi", 1 << 30, ""},
		{"1Gi", "2Gi", 2 << 30, fleet.ResizeInProgress},
		{"1000000000", "999997440", 1_000_000_000, ""}, // 244,140 pages of 4,096 bytes
		{"1000000000", "999993344", 999_993_344, fleet.ResizeInProgress},
	} {
		p := podOf(deployment(1), "model-1")
		p.Spec.Containers[0].Resources.Limits = list("memory", row.asked)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "server", Resources: &corev1.ResourceRequirements{Limits: list("memory", row.has)}}}
		live := liveShape(p)
		if got := live.Containers[0].Limits.Memory; got != row.want {
			t.Errorf("%s of %s: %d, want %d", row.has, row.asked, got, row.want)
		}
		if got := resizing(p, shape(&p.Spec), live).State; got != row.state {
			t.Errorf("%s of %s: %q, want %q", row.has, row.asked, got, row.state)
		}
	}
}
