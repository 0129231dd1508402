// Package usage keeps what the fleet used and answers the named queries of the cycle.
//
// Sampler (metrics.k8s.io, and the out-of-memory kills that pods tell of) and Scraper (the servers' own
// /metrics, and dcgm-exporter's) write series that already carry namespace, kind, workload, pod and
// container into Store, an embedded Prometheus TSDB. Reader turns
// them into fleet.Sample by the PromQL texts of one table; there is no other way to read. External does the
// same with a second table against an outside server, from what cAdvisor and kube-state-metrics told it.
//
// It never invents: what was not measured is no sample, what could not be read is an error, and what
// is no measurement (NaN, negative, from the future) is refused and counted.
package usage
