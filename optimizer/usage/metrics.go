package usage

import "github.com/prometheus/client_golang/prometheus"

// The series that Sampler and Scraper write, beside the families that a server exposes itself. In
// those of GPUs the container is the GPU, see fleet.GPUName.
const (
	seriesCPU       = "trimtab_container_cpu_cores"      // cores, mean over the PodMetrics window
	seriesMemory    = "trimtab_container_memory_bytes"   // working set, bytes
	seriesWindow    = "trimtab_container_window_seconds" // length of the PodMetrics window, whole seconds
	seriesScrapeUp  = "trimtab_scrape_up"                // 1: the pod's last scrape was read; 0: it was not
	seriesGPU       = "trimtab_gpu_busy_ratio"           // share of time in which anything ran on one GPU of a pod, 0 to 1
	seriesGPUMemory = "trimtab_gpu_memory_bytes"         // in use of one GPU of a pod, bytes
	seriesOOM       = "trimtab_container_oom_kills"      // 1 at the time of each out-of-memory kill
)

// The daemon metrics of this package.
const (
	metricSeries   = "trimtab_store_series"
	metricBytes    = "trimtab_store_bytes"
	metricOldest   = "trimtab_store_oldest_sample_timestamp_seconds"
	metricAppended = "trimtab_store_samples_appended_total"
	metricSkipped  = "trimtab_store_samples_skipped_total"
	metricAside    = "trimtab_store_moved_aside_total"
	metricErrors   = "trimtab_sampler_errors_total"
	metricTargets  = "trimtab_scrape_targets"
)

// The sources of metricErrors.
const (
	sourceMetricsAPI = "metrics.k8s.io"
	sourceOwners     = "owners"
	sourceScrape     = "scrape"
	sourceStore      = "store"
)

// Why a sample was skipped, for metricSkipped.
const (
	skipRepeat     = "repeat"       // the source gave the same reading again
	skipDuplicate  = "duplicate"    // another value for a time that has one
	skipOutOfOrder = "out_of_order" // older than the newest of its series
	skipTooOld     = "too_old"      // older than the store still takes
	skipFuture     = "future"       // further ahead of the clock than clocks drift
	skipInvalid    = "invalid"      // NaN, infinite or negative: no measurement
)

// counters is what the package counts about itself.
type counters struct {
	appended prometheus.Counter
	skipped  *prometheus.CounterVec // by reason
	aside    prometheus.Counter
	errors   *prometheus.CounterVec // by source
	targets  prometheus.Gauge
}

func newCounters() counters {
	return counters{
		appended: prometheus.NewCounter(prometheus.CounterOpts{Name: metricAppended,
			Help: "Samples written to the usage store, stale markers included."}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricSkipped,
			Help: "Samples that the usage store did not take, by reason."}, []string{"reason"}),
		aside: prometheus.NewCounter(prometheus.CounterOpts{Name: metricAside,
			Help: "Damaged parts of the usage store that were moved aside when it was opened."}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricErrors,
			Help: "Readings of usage that failed, by source."}, []string{"source"}),
		targets: prometheus.NewGauge(prometheus.GaugeOpts{Name: metricTargets,
			Help: "Pods whose own metrics were asked for in the last scrape."}),
	}
}

func (c counters) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.appended, c.skipped, c.aside, c.errors, c.targets}
}

// facts collects the state of the store at the moment it is asked.
type facts struct {
	store                 *Store
	series, bytes, oldest *prometheus.Desc
}

func newFacts(s *Store) facts {
	return facts{
		store:  s,
		series: prometheus.NewDesc(metricSeries, "Series in the head of the usage store.", nil, nil),
		bytes:  prometheus.NewDesc(metricBytes, "Bytes of the usage store on disk.", nil, nil),
		oldest: prometheus.NewDesc(metricOldest, "Time of the oldest sample; absent while there is none.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (f facts) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.series
	ch <- f.bytes
	ch <- f.oldest
}

// Collect implements prometheus.Collector.
func (f facts) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(f.series, prometheus.GaugeValue, float64(f.store.db.Head().NumSeries()))
	ch <- prometheus.MustNewConstMetric(f.bytes, prometheus.GaugeValue, float64(f.store.bytes()))
	if since, ok := f.store.Since(); ok {
		ch <- prometheus.MustNewConstMetric(f.oldest, prometheus.GaugeValue, float64(since.UnixMilli())/1000)
	}
}
