package serving

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Names of metrics. They are a contract with dashboards, alerts and the daemon: a change here is a
// change of the interface. Every modelserver_* metric has the labels model and version.
const (
	// MetricLatency is the article's histogram of seconds from a request's header to its answer, of
	// requests answered 200 only: a quick refusal must not flatter it; labels model_version and endpoint.
	MetricLatency = "model_prediction_latency_seconds"
	// MetricAccuracy is the article's gauge, measured on held-out rows at start; label model_version.
	MetricAccuracy = "model_prediction_accuracy"
	// MetricRequests counts inference requests by their HTTP status, label code.
	MetricRequests = "modelserver_requests_total"
	// MetricInferences counts rows computed.
	MetricInferences = "modelserver_inferences_total"
	// MetricExecutions counts batches computed; inferences / executions is the mean batch size.
	MetricExecutions = "modelserver_executions_total"
	// MetricQueueRows is the number of rows that wait for a batch.
	MetricQueueRows = "modelserver_queue_rows"
	// MetricBatchRows is the histogram of rows in a batch.
	MetricBatchRows = "modelserver_batch_rows"
	// MetricCompute is the histogram of seconds that the model took for a batch.
	MetricCompute = "modelserver_compute_seconds"
	// MetricShed counts requests that were not computed to the end, label reason.
	MetricShed = "modelserver_shed_total"
	// MetricConfigGeneration is the generation that the settings in force say they are of; 0: none said one.
	MetricConfigGeneration = "modelserver_config_generation"
	// MetricConfigAge is for how many seconds these settings are in force: an age and not a time, for
	// it is judged by a machine with another clock.
	MetricConfigAge = "modelserver_config_age_seconds"
	// MetricConfigFailures counts settings that could not be read or used; those before stay in force.
	MetricConfigFailures = "modelserver_config_reload_failures_total"
	// MetricInflight is the number of inference requests read, waiting or computed.
	MetricInflight = "modelserver_inflight_requests"
)

// Values of the label endpoint of MetricLatency.
const (
	EndpointInfer   = "infer"
	EndpointPredict = "predict"
)

// Values of the label reason of MetricShed.
const (
	ShedQueueFull = "queue-full" // the rows did not fit into the queue
	ShedInflight  = "inflight"   // too many requests at once
	ShedLoading   = "loading"    // the model is not loaded yet
	ShedTimeout   = "timeout"    // the request's time was over before its batch was done
	ShedCancelled = "cancelled"  // the client went away
)

// NewRegistry returns a registry with the metrics of the process and of Go in it, for New and
// NewLoadMetrics.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// MetricsHandler shows reg, to a few at a time.
func MetricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

type metrics struct {
	latency                prometheus.ObserverVec
	accuracy, inflight     prometheus.Gauge
	generation             prometheus.Gauge
	configFailures         prometheus.Counter
	configSince            atomic.Int64 // unix nanoseconds: since when the settings are in force
	requests, shed         *prometheus.CounterVec
	inferences, executions prometheus.Counter
	batchRows, compute     prometheus.Histogram
}

// newMetrics registers all metrics of the server. Counters whose labels are known begin at
// zero: absent would not be zero.
func newMetrics(reg *prometheus.Registry, cfg Config, queueRows func() float64) *metrics {
	ours := prometheus.WrapRegistererWith(prometheus.Labels{"model": cfg.Name, "version": cfg.Version}, reg)
	m := &metrics{
		inferences: counter(ours, MetricInferences, "Rows computed."),
		executions: counter(ours, MetricExecutions, "Batches computed."),
		inflight:   gauge(ours, MetricInflight, "Inference requests read, waiting or computed."),
		requests:   counters(ours, MetricRequests, "Inference requests by HTTP status.", "code"),
		shed:       counters(ours, MetricShed, "Requests not computed to the end, by reason.", "reason"),
		batchRows:  histogram(ours, MetricBatchRows, "Rows in a batch.", prometheus.ExponentialBuckets(1, 2, 11)),
		compute:    histogram(ours, MetricCompute, "Time that the model took for a batch.", prometheus.ExponentialBuckets(0.00005, 2, 17)),
	}
	ours.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: MetricQueueRows, Help: "Rows that wait for a batch."}, queueRows))
	m.config(ours)
	for _, reason := range []string{ShedCancelled, ShedInflight, ShedLoading, ShedQueueFull, ShedTimeout} {
		m.shed.WithLabelValues(reason)
	}
	m.requests.WithLabelValues("200")
	m.article(reg, cfg.Version)
	return m
}

// config registers what tells which settings are in force.
func (m *metrics) config(reg prometheus.Registerer) {
	m.generation = gauge(reg, MetricConfigGeneration, "Generation of the settings in force.")
	m.configFailures = counter(reg, MetricConfigFailures, "Settings that could not be read or used.")
	m.configSince.Store(time.Now().UnixNano())
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: MetricConfigAge, Help: "For how long the settings in force are so."},
		func() float64 { return time.Since(time.Unix(0, m.configSince.Load())).Seconds() }))
}

// article registers the two metrics of the article, under its own label.
func (m *metrics) article(reg *prometheus.Registry, version string) {
	v := prometheus.Labels{"model_version": version}
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: MetricLatency, Help: "Time spent on model predictions.", ConstLabels: v,
		Buckets: []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10},
	}, []string{"endpoint"})
	m.latency = latency
	m.accuracy = prometheus.NewGauge(prometheus.GaugeOpts{Name: MetricAccuracy, Help: "Model prediction accuracy on held-out rows.", ConstLabels: v})
	reg.MustRegister(latency, m.accuracy)
	latency.WithLabelValues(EndpointInfer)
	latency.WithLabelValues(EndpointPredict)
}

func counter(reg prometheus.Registerer, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	reg.MustRegister(c)
	return c
}

func counters(reg prometheus.Registerer, name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	reg.MustRegister(c)
	return c
}

func gauge(reg prometheus.Registerer, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	reg.MustRegister(g)
	return g
}

func histogram(reg prometheus.Registerer, name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	reg.MustRegister(h)
	return h
}
