package main

import (
	"math"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/config"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
	updater "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/updater/config"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/updater/priority"
)

// vpaVersion is the version in go.mod; a test compares the two.
const vpaVersion = "v1.8.1"

// containerName is the one container of each replayed pod.
const containerName = "main"

// genuine is the autoscaler's code with the settings that it has without flags.
type genuine struct {
	recommender logic.PodResourceRecommender
	format      logic.RecommendationFormat
	update      priority.UpdateConfig
}

// newGenuine sets the autoscaler up. Its aggregation settings are a global of its
// model package: call newGenuine once in a process, before anything else here.
func newGenuine() genuine {
	c, u := config.DefaultRecommenderConfig(), updater.DefaultUpdaterConfig()
	model.InitializeAggregationsConfig(model.NewAggregationsConfig(
		c.MemoryAggregationInterval, c.MemoryAggregationIntervalCount,
		c.MemoryHistogramDecayHalfLife, c.CpuHistogramDecayHalfLife,
		c.OOMBumpUpRatio, c.OOMMinBumpUp))
	return genuine{
		recommender: logic.CreatePodResourceRecommender(estimators(c)),
		format: logic.RecommendationFormat{
			HumanizeMemory: c.HumanizeMemory, RoundCPUMillicores: c.RoundCPUMillicores, RoundMemoryBytes: c.RoundMemoryBytes,
		},
		update: priority.UpdateConfig{
			MinChangePriority: u.DefaultUpdateThreshold, PodLifetimeUpdateThreshold: u.PodLifetimeUpdateThreshold,
			EvictAfterOOMThreshold: u.EvictAfterOOMThreshold,
		},
	}
}

// estimators picks the settings of the estimators out of all settings.
func estimators(c *config.RecommenderConfig) logic.RecommendationConfig {
	return logic.RecommendationConfig{
		SafetyMarginFraction:       c.SafetyMarginFraction,
		PodMinCPUMillicores:        c.PodMinCPUMillicores,
		PodMinMemoryMb:             c.PodMinMemoryMb,
		TargetCPUPercentile:        c.TargetCPUPercentile,
		LowerBoundCPUPercentile:    c.LowerBoundCPUPercentile,
		UpperBoundCPUPercentile:    c.UpperBoundCPUPercentile,
		ConfidenceIntervalCPU:      c.ConfidenceIntervalCPU,
		TargetMemoryPercentile:     c.TargetMemoryPercentile,
		LowerBoundMemoryPercentile: c.LowerBoundMemoryPercentile,
		UpperBoundMemoryPercentile: c.UpperBoundMemoryPercentile,
		ConfidenceIntervalMemory:   c.ConfidenceIntervalMemory,
	}
}

// history is what the genuine recommender knows of one container, of which one
// resource is sized. It is fed in time order.
type history struct {
	genuine
	resource  model.ResourceName
	state     *model.AggregateContainerState
	container *model.ContainerState
	// minutes that one sample stands for: the autoscaler scrapes once a minute and
	// widens its bounds by the number of samples, so a series with longer steps
	// would otherwise look as if it had less history than its pod had.
	minutes int
}

// newHistory tracks one container, of which resource is sized and one sample
// comes every step.
func (g genuine) newHistory(resource model.ResourceName, step time.Duration) *history {
	state := model.NewAggregateContainerState()
	state.ControlledResources = &[]model.ResourceName{resource}
	return &history{
		genuine: g, resource: resource, state: state,
		container: model.NewContainerState(model.Resources{}, state),
		minutes:   max(1, int(math.Round(step.Minutes()))),
	}
}

// amount turns cores or bytes into the autoscaler's whole millicores or bytes,
// rounded up as its metrics client does (Quantity.MilliValue, Quantity.Value).
// Memory is at least a byte, as that of anything running: the autoscaler takes a day
// whose first sample is zero for a day without a peak and then records none (model
// container.go, addMemorySample), which real series would hold against it wrongly.
func (h *history) amount(used float64) model.ResourceAmount {
	if h.resource == model.ResourceCPU {
		// The small term keeps 0.029 cores at 29 millicores: 0.029*1000 is above 29.
		return model.ResourceAmount(math.Ceil(used*1000 - 1e-9))
	}
	return model.ResourceAmount(max(1, math.Ceil(used)))
}

// value is the inverse of amount, in cores or bytes.
func (h *history) value(r model.Resources) float64 {
	if h.resource == model.ResourceCPU {
		return model.CoresFromCPUAmount(r[model.ResourceCPU])
	}
	return model.BytesFromMemoryAmount(r[model.ResourceMemory])
}

// see adds one sample of used cores or bytes. A memory sample brings a CPU sample
// with it, as one scrape does: the autoscaler counts its history by CPU samples.
func (h *history) see(at time.Time, used float64) {
	s := model.ContainerUsageSample{MeasureStart: at, Resource: h.resource, Usage: h.amount(used)}
	taken := h.container.AddSample(&s)
	if h.resource == model.ResourceMemory {
		taken = h.container.AddSample(&model.ContainerUsageSample{MeasureStart: at, Resource: model.ResourceCPU, Usage: 1})
	}
	if taken {
		h.state.TotalSamplesCount += h.minutes - 1
	}
}

// recordKill tells the model that the container was killed for memory while its
// request was requested bytes.
func (h *history) recordKill(at time.Time, requested float64) {
	// The one possible error is an event older than a day; a replay has none.
	_ = h.container.RecordOOM(at, h.amount(requested))
}

// recommend is the recommendation of this moment: target and bounds.
func (h *history) recommend() logic.RecommendedPodResources {
	return h.recommender.GetRecommendedPodResources(model.ContainerNameToAggregateStateMap{containerName: h.state})
}

// target is the recommended request, in cores or bytes.
func (h *history) target() float64 { return h.value(h.recommend()[containerName].Target) }
