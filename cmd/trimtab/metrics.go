package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// metrics is what the daemon says of itself. Money is in US dollars, times in seconds.
type metrics struct {
	passes      *prometheus.CounterVec
	seconds     prometheus.Histogram
	last        prometheus.Gauge
	held        *prometheus.GaugeVec
	changes     prometheus.Gauge
	monthly     *prometheus.GaugeVec
	unpriced    prometheus.Gauge
	badPolicies prometheus.Gauge
	refused     prometheus.Gauge
	leading     prometheus.Gauge
	saves       *prometheus.CounterVec
	unsaved     prometheus.Gauge
}

func newMetrics(reg *prometheus.Registry) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	gauges := func(name, help, label string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		passes:      counters("trimtab_passes_total", "Passes by result: ok or error.", "result"),
		seconds:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "trimtab_pass_duration_seconds", Help: "How long a pass took.", Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 10)}),
		last:        gauge("trimtab_last_pass_timestamp_seconds", "When the last pass that worked was made; before the first, when the process began."),
		held:        gauges("trimtab_holds", "Workloads and recommendations left alone in the last pass, by reason.", "reason"),
		changes:     gauge("trimtab_changes_proposed", "Changes in the last plan."),
		monthly:     gauges("trimtab_monthly_cost_dollars", "A month of every priced workload: now, and after the plan.", "state"),
		unpriced:    gauge("trimtab_unpriced_node_shapes", "Node shapes without a price, whose cost is in no figure."),
		badPolicies: gauge("trimtab_bad_policy_documents", "Policy documents with faults."),
		refused:     gauge("trimtab_samples_refused", "Samples refused since the start: NaN, negative or from the future."),
		leading:     gauge("trimtab_leader", "1 where this replica leads."),
		saves:       counters("trimtab_checkpoints_total", "History checkpoints by result: ok or error.", "result"),
		unsaved:     gauge("trimtab_checkpoints_disabled", "1 where history is not saved because what is saved cannot be read."),
	}
	reg.MustRegister(m.passes, m.seconds, m.last, m.held, m.changes, m.monthly, m.unpriced, m.badPolicies, m.refused, m.leading, m.saves, m.unsaved,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin(time.Now())
	return m
}

// begin makes every series be there from the start: a rate sees the first error, and a daemon whose
// first pass never ends is as late as one whose last was long ago.
func (m *metrics) begin(now time.Time) {
	for _, r := range []string{"ok", "error"} {
		m.passes.WithLabelValues(r)
		m.saves.WithLabelValues(r)
	}
	m.last.Set(seconds(now))
}

func (m *metrics) passed(p optimizer.Plan, err error, took time.Duration, refused int) {
	m.seconds.Observe(took.Seconds())
	m.refused.Set(float64(refused))
	m.passes.WithLabelValues(result(err)).Inc()
	if err != nil {
		return
	}
	m.last.Set(seconds(p.At))
	m.changes.Set(float64(len(p.Changes)))
	m.badPolicies.Set(float64(len(p.BadPolicies)))
	m.unpriced.Set(float64(len(p.Now.Unpriced)))
	m.monthly.WithLabelValues("now").Set(dollars(p.Now.Amount))
	m.monthly.WithLabelValues("after").Set(dollars(p.After.Amount))
	m.held.Reset()
	for _, h := range holds(p) {
		m.held.WithLabelValues(string(h.Reason)).Inc()
	}
}

func (m *metrics) checkpointed(err error) { m.saves.WithLabelValues(result(err)).Inc() }

func (m *metrics) saving(on bool) { m.unsaved.Set(one(!on)) }

func (m *metrics) leader(leading bool) { m.leading.Set(one(leading)) }

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

func dollars(m cost.Money) float64 { return float64(m) / 1e6 }

func holds(p optimizer.Plan) []fleet.Hold {
	var out []fleet.Hold
	for _, a := range p.Assessments {
		out = append(out, a.Holds...)
		for _, v := range a.Verdicts {
			out = append(out, v.Holds...)
		}
	}
	return out
}
