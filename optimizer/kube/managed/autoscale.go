package managed

import (
	"cmp"
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// The share of its requested CPU, in percent, that an autoscaler keeps a pod at while none may be lost: until the
// capacity model knows it, and the bounds within which it is believed, of which the higher is of what a pod may use.
const unknownTarget, leastTarget, mostTarget = 70, 10, 95

// downAfter is how long, in seconds, fewer replicas must have been enough before some go.
const downAfter = 300

// autoscaler asks for as many replicas as keep the model server's container at the share of its CPU
// request at which one replica still keeps the SLO. It grows at once, twofold every 15 seconds, and shrinks
// slowly: a wrong replica more costs cents, one too few breaks the promise.
func autoscaler(s policies.Server, a *adopted, target int32) *autoscalingv2.HorizontalPodAutoscaler {
	up, down, most := int32(0), int32(downAfter), autoscalingv2.MaxChangePolicySelect
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: kindOf("autoscaling/v2", kindAutoscaler), ObjectMeta: meta(s, a, kindAutoscaler),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kindDeployment, Name: s.Name},
			MinReplicas:    &s.Autoscale.Min, MaxReplicas: s.Autoscale.Max,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ContainerResourceMetricSourceType,
				ContainerResource: &autoscalingv2.ContainerResourceMetricSource{
					Name: corev1.ResourceCPU, Container: a.container(),
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &target},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp:   &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &up, SelectPolicy: &most, Policies: percent(100, 15)},
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &down, SelectPolicy: &most, Policies: percent(50, 60)},
			},
		},
	}
}

// cpuTarget is what a server's autoscaler keeps the CPU of its pods at, in percent of their request. Where replicas may
// be lost, those that are left at the fewest must not be over what is believed either. A pod whose limit lets it use more
// than it requests has a target above 100; one without a limit has what its node has left, which may be no more than that.
//
//	limit = request: 10 to 95    limit = 10 times the request: 10 to 950    of 2, 1 may be lost: half of it, at first 35
func (r record) cpuTarget(s policies.Server) int32 {
	n := int64(max(s.Autoscale.Min, 1))
	k := min(int64(s.Tune.Redundancy), n-1)
	share := func(percent int64) int32 { return int32(max(1, percent*(n-k)/n)) }
	most, cpu := int64(mostTarget), r.leastCPU()
	if limit := r.State.Setting.Limit; cpu > 0 && limit > cpu {
		most = mostTarget * limit / cpu
	}
	target := cmp.Or(max(r.HPATarget, 0), share(unknownTarget))
	return min(max(target, share(leastTarget)), share(most))
}

// leastCPU is the smallest request that a pod may have now, in millicores: until a step is in force, that of before too.
func (r record) leastCPU() int64 {
	s := r.State
	switch {
	case s.Phase == capacity.Changing && s.Step != nil:
		return min(s.Setting.CPU, s.Step.From.CPU)
	case s.Phase == capacity.TakingBack && len(s.Past) > 0:
		return min(s.Setting.CPU, s.Past[len(s.Past)-1].To.CPU)
	}
	return s.Setting.CPU
}

func percent(share, seconds int32) []autoscalingv2.HPAScalingPolicy {
	return []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: share, PeriodSeconds: seconds}}
}

// autoscaler is the HorizontalPodAutoscaler that sets the replicas, the document's own or somebody's; empty:
// none does.
func (j *job) autoscaler() string {
	own := j.found[kindAutoscaler].ours(j.server.Name)
	if o, _ := j.seen.OwnedBy("replicas", kindAutoscaler); o.Name != "" && !(own && o.Name == j.server.Name) {
		return o.Name
	}
	if j.server.Autoscale.On() {
		return j.server.Name
	}
	return ""
}

// scale keeps the server's autoscaler. Where somebody else's scales the server already, none is made: two
// would undo each other's replicas.
func (j *job) scale(ctx context.Context, k kind, r record) []optimizer.Kept {
	if !j.server.Autoscale.On() {
		return j.unscale(ctx, k)
	}
	if by := j.autoscaler(); by != j.server.Name {
		return []optimizer.Kept{j.row(k.name, optimizer.Refused, fmt.Sprintf("HorizontalPodAutoscaler %s scales it already; delete that, or take autoscale out of the document", by))}
	}
	return []optimizer.Kept{j.make(ctx, k, j.wanted(k.name, r))}
}

// unscale takes away the autoscaler that the document no longer asks for.
func (j *job) unscale(ctx context.Context, k kind) []optimizer.Kept {
	l := j.found[k.name]
	if !l.ours(j.server.Name) {
		return nil
	}
	const why = "its document asks for none any more"
	if !j.enforced {
		return []optimizer.Kept{j.row(k.name, optimizer.Differs, why)}
	}
	uid := l.meta.GetUID()
	err := k.remove(ctx, j.server.Namespace, l.meta.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil {
		return []optimizer.Kept{j.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("delete it: %w", err)))}
	}
	return []optimizer.Kept{j.row(k.name, optimizer.Deleted, why)}
}
