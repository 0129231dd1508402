package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	types "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/logic"
	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
)

// subjects is what --bench measures: the autoscaler at its cheapest (its
// histograms alone) and as it runs (its cluster state with a pod a container).
func subjects(g genuine) []subject {
	return []subject{
		{"vpa " + vpaVersion, func(n int) tracked { return newAggregates(g, n) }},
		{"vpa " + vpaVersion + " cluster state", func(n int) tracked { return newCluster(g, n) }},
	}
}

// aggregates are the autoscaler's histograms without the rest of its model.
type aggregates struct {
	recommender logic.PodResourceRecommender
	states      []*model.AggregateContainerState
	containers  []*model.ContainerState
}

func newAggregates(g genuine, n int) *aggregates {
	a := &aggregates{recommender: g.recommender}
	for range n {
		s := model.NewAggregateContainerState()
		a.states = append(a.states, s)
		a.containers = append(a.containers, model.NewContainerState(model.Resources{}, s))
	}
	return a
}

func (a *aggregates) addCPU(i int, at time.Time, milliCores int64) {
	a.states[i].AddSample(&model.ContainerUsageSample{
		MeasureStart: at, Resource: model.ResourceCPU, Usage: model.ResourceAmount(milliCores),
	})
}

func (a *aggregates) addMemory(i int, at time.Time, bytes int64) {
	a.containers[i].AddSample(&model.ContainerUsageSample{
		MeasureStart: at, Resource: model.ResourceMemory, Usage: model.ResourceAmount(bytes),
	})
}

func (a *aggregates) recommend(i int) {
	a.recommender.GetRecommendedPodResources(model.ContainerNameToAggregateStateMap{containerName: a.states[i]})
}

// watched is how many pods of the cluster have a VPA object: enough to leave the
// cache, few because adding a pod scans all objects.
const watched = 100

// cluster is the autoscaler's model as its recommender fills it: pods of distinct
// labels, so one aggregate a pod.
type cluster struct {
	recommender logic.PodResourceRecommender
	state       model.ClusterState
	ids         []model.ContainerID
	vpas        []*model.Vpa
}

func newCluster(g genuine, n int) *cluster {
	c := &cluster{recommender: g.recommender, state: model.NewClusterState(time.Minute)}
	for i := range min(n, watched) {
		c.watch(fmt.Sprintf("app-%d", i))
	}
	for i := range n {
		c.pod(fmt.Sprintf("app-%d", i))
	}
	return c
}

// watch adds a VPA object that selects one app.
func (c *cluster) watch(app string) {
	o := &types.VerticalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "bench", Name: app}}
	must(c.state.AddOrUpdateVpa(o, labels.SelectorFromSet(labels.Set{"app": app})))
	c.vpas = append(c.vpas, c.state.VPAs()[model.VpaID{Namespace: "bench", VpaName: app}])
}

// pod adds a pod with one container.
func (c *cluster) pod(app string) {
	id := model.ContainerID{PodID: model.PodID{Namespace: "bench", PodName: app}, ContainerName: containerName}
	c.state.AddOrUpdatePod(id.PodID, labels.Set{"app": app, "pod-template-hash": "5d4f8c7b9"}, corev1.PodRunning)
	must(c.state.AddOrUpdateContainer(id, model.Resources{}))
	c.ids = append(c.ids, id)
}

func (c *cluster) addCPU(i int, at time.Time, milliCores int64) {
	c.add(i, model.ContainerUsageSample{MeasureStart: at, Resource: model.ResourceCPU, Usage: model.ResourceAmount(milliCores)})
}

func (c *cluster) addMemory(i int, at time.Time, bytes int64) {
	c.add(i, model.ContainerUsageSample{MeasureStart: at, Resource: model.ResourceMemory, Usage: model.ResourceAmount(bytes)})
}

func (c *cluster) add(i int, s model.ContainerUsageSample) {
	must(c.state.AddSample(&model.ContainerUsageSampleWithKey{ContainerUsageSample: s, Container: c.ids[i]}))
}

// recommend merges the aggregates of the VPA object first, as the recommender's
// own loop does.
func (c *cluster) recommend(i int) {
	c.recommender.GetRecommendedPodResources(c.vpas[i%len(c.vpas)].AggregateStateByContainerName())
}

// must stops a bench that measures the wrong thing.
func must(err error) {
	if err != nil {
		panic(err) // unreachable unless bug
	}
}
