package serving

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of the load generator's metrics: a contract, like the server's.
const (
	// MetricLoadRequests counts finished requests by HTTP status, "timeout" or "error"; label code.
	MetricLoadRequests = "modelload_requests_total"
	// MetricLoadLatency is the histogram of seconds from when a request was meant to be sent.
	MetricLoadLatency = "modelload_latency_seconds"
)

// LoadMetrics are the metrics of a load generator. They are here, beside those of the server that it
// is pointed at, so that all names are in one package.
type LoadMetrics struct {
	requests *prometheus.CounterVec
	latency  prometheus.Histogram
}

// NewLoadMetrics registers the metrics with reg.
func NewLoadMetrics(reg *prometheus.Registry) *LoadMetrics {
	m := &LoadMetrics{
		requests: counters(reg, MetricLoadRequests, "Finished requests by HTTP status, timeout or error.", "code"),
		latency:  histogram(reg, MetricLoadLatency, "Time from when a request was meant to be sent to its answer.", prometheus.ExponentialBuckets(0.001, 2, 15)),
	}
	m.requests.WithLabelValues("200")
	return m
}

// Finished counts one request.
func (m *LoadMetrics) Finished(code string) { m.requests.WithLabelValues(code).Inc() }

// Took counts the latency of one request.
func (m *LoadMetrics) Took(d time.Duration) { m.latency.Observe(d.Seconds()) }
