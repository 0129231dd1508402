package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/usage"
)

// podOwners tells other Prometheus servers whose each pod is, for those that know it from nobody else.
type podOwners struct {
	endpoints func(ctx context.Context) ([]kube.Endpoint, error)
	owner     *prometheus.Desc
}

func newPodOwners(endpoints func(ctx context.Context) ([]kube.Endpoint, error)) podOwners {
	return podOwners{endpoints, prometheus.NewDesc(usage.PodOwner,
		"1 for every live pod of a Deployment or StatefulSet: whose it is. It stands in for kube_pod_owner of kube-state-metrics.",
		[]string{"namespace", "kind", "workload", "pod"}, nil)}
}

// Describe implements prometheus.Collector.
func (p podOwners) Describe(ch chan<- *prometheus.Desc) { ch <- p.owner }

// Collect implements prometheus.Collector. While the cluster is not read there is nothing to tell.
func (p podOwners) Collect(ch chan<- prometheus.Metric) {
	pods, err := p.endpoints(context.Background())
	if err != nil {
		return
	}
	for _, e := range pods {
		ch <- prometheus.MustNewConstMetric(p.owner, prometheus.GaugeValue, 1, e.Ref.Namespace, e.Ref.Kind, e.Ref.Name, e.Name)
	}
}
