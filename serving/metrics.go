package serving

import (
	"net/http"
	"sync"
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
	// MetricAccuracy is the article's gauge, what the model says of itself; label model_version.
	MetricAccuracy = "model_prediction_accuracy"
	// MetricRequests counts inference requests by their HTTP status, label code.
	MetricRequests = "modelserver_requests_total"
	// MetricInferences counts rows computed.
	MetricInferences = "modelserver_inferences_total"
	// MetricExecutions counts batches computed; inferences / executions is the mean batch size.
	MetricExecutions = "modelserver_executions_total"
	// MetricQueueRows is the number of rows that wait for a batch.
	MetricQueueRows = "modelserver_queue_rows"
	// MetricQueueBytes is the memory of the rows that wait.
	MetricQueueBytes = "modelserver_queue_bytes"
	// MetricBatchRows is the histogram of rows in a batch.
	MetricBatchRows = "modelserver_batch_rows"
	// MetricCompute is the histogram of seconds that the model took for a batch.
	MetricCompute = "modelserver_compute_seconds"
	// MetricQueue is the histogram of seconds that a request waited until the last of its rows began to be computed.
	MetricQueue = "modelserver_queue_seconds"
	// MetricSlack is the histogram of seconds that were left of a request's deadline (its own, or the SLO's)
	// when its answer was there; requests that were late are in the bucket le="0".
	MetricSlack = "modelserver_slack_seconds"
	// MetricBusy counts seconds in which batches were computed, summed over the workers.
	MetricBusy = "modelserver_busy_seconds_total"
	// MetricComputeCPU counts the CPU seconds of these batches: what is left of the process's CPU is protocol.
	MetricComputeCPU = "modelserver_compute_cpu_seconds_total"
	// MetricDepartures counts batches by why they did not wait for more rows, label reason.
	MetricDepartures = "modelserver_departures_total"
	// MetricShed counts requests that were not computed to the end, label reason.
	MetricShed = "modelserver_shed_total"
	// MetricCurveFixed and MetricCurveRow are the fitted service curve: seconds of a batch and of each of
	// its rows; labels resource (wall or cpu) and form (linear: fixed + row·rows, hinge: the larger of both).
	MetricCurveFixed = "modelserver_curve_fixed_seconds"
	MetricCurveRow   = "modelserver_curve_row_seconds"
	// MetricCurveError is the median relative error of the curve.
	MetricCurveError = "modelserver_curve_error_ratio"
	// MetricCurveSamples is the number of batches that the curve rests on.
	MetricCurveSamples = "modelserver_curve_samples"
	// MetricCurveAge is for how many seconds the curve has seen no batch.
	MetricCurveAge = "modelserver_curve_age_seconds"
	// MetricBatchLimit, MetricDelayLimit and MetricSLO are the limits in force; the SLO is 0 where there is none.
	MetricBatchLimit = "modelserver_batch_limit_rows"
	MetricDelayLimit = "modelserver_delay_limit_seconds"
	MetricSLO        = "modelserver_slo_seconds"
	// MetricArrivalRate is how many requests came a second over the last 60 whole seconds, those that were
	// refused among them; MetricArrivalPeak is how many came in the busiest of these seconds. Absent while the
	// model is younger than a second.
	MetricArrivalRate = "modelserver_arrival_rate"
	MetricArrivalPeak = "modelserver_arrival_peak_rate"
	// MetricArrivalBurst is the dispersion of these requests, the root of variance over mean of how many came
	// in 10 ms: 0 even, 1 by chance, above 1 in bursts. Absent where fewer than 30 came.
	MetricArrivalBurst = "modelserver_arrival_burst_ratio"
	// MetricInstances is the number of batches that may be computed at once.
	MetricInstances = "modelserver_instances"
	// MetricModelBytes is the memory that a loaded model holds.
	MetricModelBytes = "modelserver_model_bytes"
	// MetricConfigGeneration is the generation that the settings in force say they are of; 0: none said one.
	MetricConfigGeneration = "modelserver_config_generation"
	// MetricConfigAge is for how many seconds these settings are in force: an age and not a time, for
	// it is judged by a machine with another clock.
	MetricConfigAge = "modelserver_config_age_seconds"
	// MetricConfigFailures counts settings or models that could not be read or used; those before stay in force.
	MetricConfigFailures = "modelserver_config_reload_failures_total"
	// MetricConfigGood is 1 while the settings and the models that they name are as the file says, 0 while
	// others stay in force because it could not be read or used.
	MetricConfigGood = "modelserver_config_last_reload_successful"
	// MetricInflight is the number of inference requests read, waiting or computed.
	MetricInflight = "modelserver_inflight_requests"
)

// Values of the label endpoint of MetricLatency.
const (
	EndpointInfer   = "infer"
	EndpointPredict = "predict"
	EndpointV1      = "v1"
	EndpointGRPC    = "grpc"
)

// Values of the label reason of MetricShed.
const (
	ShedQueueFull = "queue-full" // the rows did not fit into the queue
	ShedTooLate   = "too-late"   // the answer would have come after the deadline
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
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true})
}

// metrics are those of the whole server, and the vectors from which each version of a model takes its own.
type metrics struct {
	latency        *prometheus.HistogramVec
	accuracy       *prometheus.GaugeVec
	inflight       prometheus.Gauge
	generation     prometheus.Gauge
	configGood     prometheus.Gauge
	configFailures prometheus.Counter
	configSince    atomic.Int64 // unix nanoseconds: since when the settings are in force

	requests, shed, departures           *prometheus.CounterVec
	inferences, executions, busy, cpu    *prometheus.CounterVec
	versions                             sync.Map // from labels to *version: all that ever had series
	batchRows, compute, queueTime, slack *prometheus.HistogramVec
}

// newMetrics registers the metrics. Those of the whole server have the labels of the model that the flags name.
func newMetrics(reg *prometheus.Registry, cfg Config) *metrics {
	m := &metrics{
		requests:   counters(reg, MetricRequests, "Inference requests by HTTP status.", "model", "version", "code"),
		shed:       counters(reg, MetricShed, "Requests not computed to the end, by reason.", "model", "version", "reason"),
		departures: counters(reg, MetricDepartures, "Batches by why they did not wait for more rows.", "model", "version", "reason"),
		inferences: counters(reg, MetricInferences, "Rows computed.", "model", "version"),
		executions: counters(reg, MetricExecutions, "Batches computed.", "model", "version"),
		busy:       counters(reg, MetricBusy, "Time in which batches were computed, over all workers.", "model", "version"),
		cpu:        counters(reg, MetricComputeCPU, "CPU time of the batches.", "model", "version"),
		batchRows:  histograms(reg, MetricBatchRows, "Rows in a batch.", prometheus.ExponentialBuckets(1, 2, 11)),
		compute:    histograms(reg, MetricCompute, "Time that the model took for a batch.", prometheus.ExponentialBuckets(0.00005, 2, 17)),
		queueTime:  histograms(reg, MetricQueue, "Time that a request waited until the last of its rows began to be computed.", prometheus.ExponentialBuckets(0.00005, 2, 17)),
		slack:      histograms(reg, MetricSlack, "Time left of a request's deadline when its answer was there.", []float64{0, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5, 30}),
	}
	m.latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: MetricLatency, Help: "Time spent on model predictions.",
		Buckets: []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .15, .25, .5, 1, 2.5, 5, 10},
	}, []string{"model_version", "endpoint"})
	m.accuracy = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: MetricAccuracy, Help: "Model prediction accuracy on held-out rows."}, []string{"model_version"})
	reg.MustRegister(m.latency, m.accuracy)
	m.server(prometheus.WrapRegistererWith(prometheus.Labels{"model": cfg.Name, "version": cfg.Version}, reg))
	return m
}

// server registers what there is one of.
func (m *metrics) server(reg prometheus.Registerer) {
	m.inflight = gauge(reg, MetricInflight, "Inference requests read, waiting or computed.")
	m.generation = gauge(reg, MetricConfigGeneration, "Generation of the settings in force.")
	m.configFailures = counter(reg, MetricConfigFailures, "Settings or models that could not be read or used.")
	m.configGood = gauge(reg, MetricConfigGood, "1 if the settings are as the file says, 0 if others stay in force because of a fault.")
	m.configSince.Store(time.Now().UnixNano())
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: MetricConfigAge, Help: "For how long the settings in force are so."},
		func() float64 { return time.Since(time.Unix(0, m.configSince.Load())).Seconds() }))
}

func counter(reg prometheus.Registerer, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	reg.MustRegister(c)
	return c
}

func counters(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
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

func histograms(reg prometheus.Registerer, name, help string, buckets []float64) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"model", "version"})
	reg.MustRegister(h)
	return h
}
