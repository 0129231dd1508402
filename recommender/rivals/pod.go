package main

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	types "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/updater/priority"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/utils/limitrange"
	vpa "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/utils/vpa"
)

// mode is how an accepted update reaches the pod.
type mode int

const (
	// recreate evicts the pod; its successor starts at that moment.
	recreate mode = iota
	// inPlace resizes the running pod: its start time never changes, so after its
	// first twelve hours the updater applies its 10 % rule in every loop.
	inPlace
)

// pod is a replayed pod under the genuine updater: one container, requests only,
// no limits, no LimitRange, enough siblings that eviction is never refused. Kills are
// not written into its status: the newest daily peak has more than half of the
// weight, so a kill moves the lower bound past the request in the next loop anyway.
type pod struct {
	mode   mode
	update priority.UpdateConfig
	format logic.RecommendationFormat
	object *types.VerticalPodAutoscaler
	live   *corev1.Pod
}

// newPod is created at the moment at with the target of r as its request, as the
// autoscaler's admission webhook would create it.
func newPod(g genuine, m mode, at time.Time, r logic.RecommendedPodResources) *pod {
	p := &pod{mode: m, update: g.update, format: g.format, object: &types.VerticalPodAutoscaler{}}
	updates := types.UpdateModeRecreate
	if m == inPlace {
		updates = types.UpdateModeInPlaceOrRecreate
	}
	p.object.Spec.UpdatePolicy = &types.PodUpdatePolicy{UpdateMode: &updates}
	p.advise(r)
	p.create(at)
	return p
}

// create starts a fresh pod that requests the target.
func (p *pod) create(at time.Time) {
	start := metav1.NewTime(at)
	p.live = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "replay", Name: "pod"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: containerName}}},
		Status: corev1.PodStatus{
			StartTime: &start, ContainerStatuses: []corev1.ContainerStatus{{Name: containerName}},
		},
	}
	p.resize()
}

// resize gives the running pod the target as its request.
func (p *pod) resize() {
	p.live.Spec.Containers[0].Resources.Requests = p.object.Status.Recommendation.ContainerRecommendations[0].Target.DeepCopy()
}

// advise writes a recommendation where the recommender would: into the status.
func (p *pod) advise(r logic.RecommendedPodResources) {
	p.object.Status.Recommendation = logic.MapToListOfRecommendedContainerResources(r, p.format)
}

// loop is one loop of the updater: it says whether the pod was updated to r.
func (p *pod) loop(at time.Time, r logic.RecommendedPodResources) bool {
	p.advise(r)
	c := priority.NewUpdatePriorityCalculator(p.object, p.update,
		vpa.NewCappingRecommendationProcessor(limitrange.NewNoopLimitsCalculator()), priority.NewProcessor())
	c.AddPod(p.live, at, nil)
	if len(c.GetSortedPods(priority.NewDefaultPodEvictionAdmission())) == 0 {
		return false
	}
	if p.mode == recreate {
		p.create(at)
		return true
	}
	p.resize()
	return true
}

// requested is the pod's request of the resource, in cores or bytes.
func (p *pod) requested(r model.ResourceName) float64 {
	if r == model.ResourceCPU {
		q := p.live.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU]
		return float64(q.MilliValue()) / 1000
	}
	q := p.live.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory]
	return float64(q.Value())
}
