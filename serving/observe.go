package serving

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/router"
)

// labels are what the metrics of a version have: its model's name and its own.
type labels struct{ model, version string }

// version is the metrics of one version of a model; it is the engine's observer. It outlives its series, for
// an engine that left may come back.
type version struct {
	labels
	all    *metrics
	engine atomic.Bool            // it has one; a chain's does not
	series atomic.Pointer[series] // nil: the version is gone, or has no engine
}

// series are those of a version that an engine fills.
type series struct {
	inferences, executions, busy, cpu    prometheus.Counter
	batchRows, compute, queueTime, slack prometheus.Observer
	departures                           []prometheus.Counter // by batch.Why
}

// of makes the metrics of a version.
func (m *metrics) of(name, ver string) *version {
	v := m.version(labels{name, ver})
	v.engine.Store(true)
	v.show()
	return v
}

// version is the one with these labels; it is made, without series, where there is none.
func (m *metrics) version(l labels) *version {
	if v, ok := m.versions.Load(l); ok {
		return v.(*version)
	}
	v, _ := m.versions.LoadOrStore(l, &version{labels: l, all: m})
	return v.(*version)
}

// show makes the series. Counters whose labels are known begin at zero: absent would not be zero.
func (v *version) show() {
	if v.series.Load() != nil {
		return
	}
	m, name, ver := v.all, v.model, v.labels.version
	s := &series{
		inferences: m.inferences.WithLabelValues(name, ver), executions: m.executions.WithLabelValues(name, ver),
		busy: m.busy.WithLabelValues(name, ver), cpu: m.cpu.WithLabelValues(name, ver),
		batchRows: m.batchRows.WithLabelValues(name, ver), compute: m.compute.WithLabelValues(name, ver),
		queueTime: m.queueTime.WithLabelValues(name, ver), slack: m.slack.WithLabelValues(name, ver),
	}
	m.requests.WithLabelValues(name, ver, "200")
	for _, reason := range []string{ShedCancelled, ShedInflight, ShedLoading, ShedQueueFull, ShedTooLate, ShedTimeout} {
		m.shed.WithLabelValues(name, ver, reason)
	}
	for _, why := range batch.Whys() {
		s.departures = append(s.departures, m.departures.WithLabelValues(name, ver, why.String()))
	}
	for _, endpoint := range []string{EndpointInfer, EndpointPredict} {
		m.latency.WithLabelValues(ver, endpoint)
	}
	v.series.Store(s)
}

// keepOnly removes the series of versions that are gone, and makes those of versions that came back. What a
// request on its way still counts for a version that is gone is removed the next time.
func (m *metrics) keepOnly(live func(labels) bool) {
	stay := map[string]bool{} // versions, of any model
	var gone []labels
	m.versions.Range(func(l, v any) bool {
		if !live(l.(labels)) {
			gone = append(gone, l.(labels))
			v.(*version).series.Store(nil)
			return true
		}
		stay[l.(labels).version] = true
		if v.(*version).engine.Load() {
			v.(*version).show()
		}
		return true
	})
	for _, l := range gone {
		m.remove(l, !stay[l.version])
	}
}

// remove takes away the series of a version, and those that all versions of that name share if it was the
// last one.
func (m *metrics) remove(l labels, last bool) {
	for _, c := range []*prometheus.CounterVec{m.requests, m.shed, m.departures, m.inferences, m.executions, m.busy, m.cpu} {
		c.DeletePartialMatch(prometheus.Labels{"model": l.model, "version": l.version})
	}
	for _, h := range []*prometheus.HistogramVec{m.batchRows, m.compute, m.queueTime, m.slack} {
		h.DeleteLabelValues(l.model, l.version)
	}
	if last {
		m.latency.DeletePartialMatch(prometheus.Labels{"model_version": l.version})
		m.accuracy.DeleteLabelValues(l.version)
	}
}

// Batch implements engine.Observer.
func (v *version) Batch(b engine.BatchSeen) {
	s := v.series.Load()
	if s == nil {
		return
	}
	s.busy.Add(b.Wall.Seconds())
	s.cpu.Add(b.CPU.Seconds())
	if !b.Again {
		s.departures[b.Why].Inc()
	}
	if b.Err != nil {
		return // nobody got anything of it
	}
	s.batchRows.Observe(float64(b.Rows))
	s.compute.Observe(b.Wall.Seconds())
	s.executions.Inc()
	s.inferences.Add(float64(b.Rows))
}

// Request implements engine.Observer.
func (v *version) Request(r engine.RequestSeen) {
	s := v.series.Load()
	if s == nil {
		return
	}
	s.queueTime.Observe(r.Queue.Seconds())
	if r.HasDeadline {
		s.slack.Observe(r.Slack.Seconds())
	}
}

// Shed implements engine.Observer. The protocols count what is shed: they also see what never comes here.
func (v *version) Shed(string, batch.Class) {}

// answered counts an inference request: its code, why it was shed, and how long it took if it was served.
func (m *metrics) answered(name, ver, endpoint string, err error, took time.Duration, trace string) {
	m.version(labels{name, ver}) // so that a chain's go when it does
	m.requests.WithLabelValues(name, ver, codeOf(err)).Inc()
	if reason := shedOf(err); reason != "" {
		m.shed.WithLabelValues(name, ver, reason).Inc()
	}
	if err != nil {
		return
	}
	o := m.latency.WithLabelValues(ver, endpoint)
	if e, ok := o.(prometheus.ExemplarObserver); ok && trace != "" {
		e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
		return
	}
	o.Observe(took.Seconds())
}

// missed tells the model of a request that was refused for want of room before it came to the model: it is an
// arrival all the same. For a chain it would be one of its first step, which was not chosen yet: it is told to none.
func (s *Server) missed(a *asked, err error) {
	if shedOf(err) != ShedInflight {
		return
	}
	for _, e := range slices.Backward(s.router.Entries()) {
		if a.target == nil && s.own(e) || a.target != nil && e.Name == a.model && e.Version == a.version {
			e.Engine.Missed(a.class)
			return
		}
	}
}

// own reports whether a request whose model is not known is taken to be for e: it is of the model that the
// flags name, or of the only one.
func (s *Server) own(e *router.Entry) bool {
	return e.Name == s.cfg.Name || len(s.router.Models()) == 1
}

// snapshot shows what is read from the router when somebody looks: queues, curves and limits.
type snapshot struct {
	server *Server
	descs  map[string]*prometheus.Desc
}

func newSnapshot(s *Server) *snapshot {
	d := map[string]*prometheus.Desc{}
	for _, g := range gauges() {
		d[g.name] = prometheus.NewDesc(g.name, g.help, append([]string{"model", "version"}, g.labels...), nil)
	}
	return &snapshot{s, d}
}

type gaugeOf struct {
	name, help string
	labels     []string
}

func gauges() []gaugeOf {
	return []gaugeOf{
		{MetricQueueRows, "Rows that wait for a batch.", nil},
		{MetricQueueBytes, "Memory of the rows that wait.", nil},
		{MetricArrivalRate, "Requests a second over the last 60 s, refused ones among them.", nil},
		{MetricArrivalPeak, "Requests in the busiest of the last 60 s.", nil},
		{MetricArrivalBurst, "Root of variance over mean of the requests in 10 ms, over the last 60 s: 0 even, 1 by chance, above 1 in bursts.", nil},
		{MetricCurveFixed, "Seconds of a batch, whatever its rows.", []string{"resource", "form"}},
		{MetricCurveRow, "Seconds of each row of a batch.", []string{"resource", "form"}},
		{MetricCurveError, "Median relative error of the curve.", nil},
		{MetricCurveSamples, "Batches that the curve rests on.", nil},
		{MetricCurveAge, "For how long the curve has seen no batch.", nil},
		{MetricBatchLimit, "Rows in one batch at most.", nil},
		{MetricDelayLimit, "Longest wait to fill a batch.", nil},
		{MetricSLO, "What a request should take from arrival to answer; 0: nobody said.", nil},
		{MetricInstances, "Batches that may be computed at once.", nil},
		{MetricModelBytes, "Memory that the loaded model holds.", nil},
	}
}

// Describe implements prometheus.Collector.
func (c *snapshot) Describe(to chan<- *prometheus.Desc) {
	for _, g := range gauges() {
		to <- c.descs[g.name]
	}
}

// Collect implements prometheus.Collector.
func (c *snapshot) Collect(to chan<- prometheus.Metric) {
	for _, e := range c.server.router.Entries() {
		show := func(name string, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(c.descs[name], prometheus.GaugeValue, value, append([]string{e.Name, e.Version}, labels...)...)
		}
		stats := e.Engine.Stats()
		limits, curve := e.Engine.Limits(), e.Engine.Curve()
		show(MetricQueueRows, float64(stats.QueueRows))
		show(MetricQueueBytes, float64(stats.QueueBytes))
		show(MetricBatchLimit, float64(limits.MaxBatchSize))
		show(MetricDelayLimit, limits.MaxQueueDelay.Seconds())
		show(MetricSLO, limits.SLO.Seconds())
		show(MetricInstances, float64(stats.Instances))
		show(MetricModelBytes, float64(e.Engine.Bytes()))
		if a := stats.Arrivals; a.Seconds > 0 {
			show(MetricArrivalRate, a.Rate)
			show(MetricArrivalPeak, float64(a.Peak))
			if a.BurstKnown {
				show(MetricArrivalBurst, a.Burst)
			}
		}
		if !curve.Known() {
			continue
		}
		show(MetricCurveFixed, curve.Wall.Fixed, "wall", curve.Wall.Form.String())
		show(MetricCurveRow, curve.Wall.PerRow, "wall", curve.Wall.Form.String())
		show(MetricCurveFixed, curve.CPU.Fixed, "cpu", curve.CPU.Form.String())
		show(MetricCurveRow, curve.CPU.PerRow, "cpu", curve.CPU.Form.String())
		show(MetricCurveError, curve.Error)
		show(MetricCurveSamples, float64(curve.Samples))
		show(MetricCurveAge, time.Since(curve.Updated).Seconds())
	}
}
