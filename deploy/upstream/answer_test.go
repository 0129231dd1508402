package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	api "k8s.io/kubernetes/pkg/apis/core"
	k8sv1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/quota/v1/evaluator/core"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
	"k8s.io/utils/clock"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// answer is what Kubernetes makes of a scene.
type answer struct {
	Filled  []fleet.Container `json:"filled,omitempty"`  // the containers with their defaults; none where a quota was asked
	Refused string            `json:"refused,omitempty"` // in upstream's words; empty: it is let through
	// TakesNothing tells of a resize that, by upstream's own count, needs no more of any quota.
	TakesNothing bool `json:"takesNothing,omitempty"`
}

// known is the one difference. While a quota's use is not counted yet, the API server refuses every
// resize before it, also one that takes nothing. Ours holds only what takes something and lets the
// others go ahead, so that the API server has the last word on them.
func known(s scene, a answer) bool {
	return s.Resize.MilliCPU > 0 && a.TakesNothing && strings.Contains(a.Refused, "status unknown for quota")
}

// askLimitRanger does what the API server does with a new pod: its defaults, each LimitRange's, then
// the checks.
func askLimitRanger(t *testing.T, s scene) answer {
	t.Helper()
	in := internal(t, pod(s.Pod))
	for _, r := range s.Bounds.LimitRanges {
		if err := limitranger.PodMutateLimitFunc(limitRange(r), in); err != nil {
			t.Fatal(err)
		}
	}
	why := above(in)
	for _, r := range s.Bounds.LimitRanges {
		why = append(why, reasons(limitranger.PodValidateLimitFunc(limitRange(r), in))...)
	}
	slices.Sort(why) // upstream walks maps
	return answer{Filled: filled(s.Pod, in), Refused: strings.Join(slices.Compact(why), "; ")}
}

func internal(t *testing.T, p *corev1.Pod) *api.Pod {
	t.Helper()
	k8sv1.SetObjectDefaults_Pod(p)
	in := &api.Pod{}
	if err := k8sv1.Convert_v1_Pod_To_core_Pod(p, in, nil); err != nil {
		t.Fatal(err)
	}
	return in
}

// above is where a request is over its limit. The validation of pods refuses that, not LimitRanger, and
// its rule is told again here. The rest of it is not asked: it also refuses a request of GPUs that is not
// its limit, which scenes draw and ours does not look at.
func above(p *api.Pod) []string {
	var why []string
	for _, c := range containers(p) {
		for name, request := range c.Resources.Requests {
			if limit, ok := c.Resources.Limits[name]; ok && request.Cmp(limit) > 0 {
				why = append(why, fmt.Sprintf("%s: must be less than or equal to %s limit of %s", c.Name, name, limit.String()))
			}
		}
	}
	return why
}

// reasons is the parts of an aggregate.
func reasons(err error) []string {
	var why []string
	if all, ok := err.(utilerrors.Aggregate); ok {
		for _, e := range all.Errors() {
			why = append(why, e.Error())
		}
	} else if err != nil {
		why = append(why, err.Error())
	}
	return why
}

func containers(p *api.Pod) []api.Container {
	return slices.Concat(p.Spec.Containers, p.Spec.InitContainers)
}

// filled is the containers of shape, in its order, with what p has for them.
func filled(shape fleet.PodShape, p *api.Pod) []fleet.Container {
	all := slices.Clone(shape.Containers)
	for i := range all {
		for _, c := range containers(p) {
			if c.Name == all[i].Name {
				all[i].Requests, all[i].Limits = resources(c.Resources.Requests), resources(c.Resources.Limits)
			}
		}
	}
	return all
}

// askQuota is the API server's decision on a new pod or on a resize.
func askQuota(t *testing.T, s scene) answer {
	t.Helper()
	pods := core.NewPodEvaluator(nil, clock.RealClock{})
	attrs, a := attributes(s), answer{}
	if old, ok := attrs.GetOldObject().(*corev1.Pod); ok {
		a.TakesNothing = takesNothing(t, pods, old, attrs.GetObject().(*corev1.Pod))
	}
	if _, err := resourcequota.CheckRequest([]corev1.ResourceQuota{quota(s.Bounds.Quotas[0])}, attrs, pods, nil); err != nil {
		a.Refused = err.Error()
	}
	return a
}

// attributes is the request as admission sees it.
func attributes(s scene) admission.Attributes {
	kind, pods := corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithResource("pods")
	p := pod(s.Pod)
	if s.Resize.MilliCPU == 0 {
		return admission.NewAttributesRecord(p, nil, kind, "ns", "p", pods, "", admission.Create, nil, false, nil)
	}
	next := p.DeepCopy()
	for name, q := range list(s.Resize) {
		next.Spec.Containers[0].Resources.Requests[name] = q
	}
	return admission.NewAttributesRecord(next, p, kind, "ns", "p", pods, "resize", admission.Update, nil, false, nil)
}

func takesNothing(t *testing.T, pods quotav1.Evaluator, old, next *corev1.Pod) bool {
	t.Helper()
	was, err := pods.Usage(old)
	if err != nil {
		t.Fatal(err)
	}
	will, err := pods.Usage(next)
	if err != nil {
		t.Fatal(err)
	}
	return quotav1.IsZero(quotav1.SubtractWithNonNegativeResult(will, was))
}
