package usage

import (
	"fmt"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// query is how one signal is read: PromQL texts that are evaluated at the end of each window.
// $window is the window; $range is the window and one scrape interval before it, so that what a
// counter gained between the last reading of one window and the first of the next is lost to neither.
type query struct {
	signal fleet.Signal
	mean   string // empty: the dialect has no source for the signal, and gap says why
	max    string // empty: the mean is the one reading of the window
	count  string
	gap    string
}

// trimtabQueries is the dialect of the embedded store. It is the only way in which usage is read.
//
// A rate needs two readings in $range, or there is no sample; a counter that starts anew (a restarted
// server) counts from zero. Requests are answers of every code: a refused request was served too.
func trimtabQueries() []query {
	return []query{
		gauge(fleet.CPU, seriesCPU),
		gauge(fleet.Memory, seriesMemory),
		{
			signal: fleet.Requests,
			mean:   firstOf(func(s source) string { return rate(s.requests) }),
			count:  firstOf(func(s source) string { return readings(s.requests) }),
		},
		{
			signal: fleet.Latency,
			mean:   firstOf(source.latency),
			count: firstOf(func(s source) string {
				if s.seconds == "" {
					return ""
				}
				return readings(s.answered)
			}),
		},
		gaugeOf(fleet.GPU, byDevice, seriesGPU), // nothing is added up: of two that tell of one GPU the larger counts
		gaugeOf(fleet.GPUMemory, byDevice, seriesGPUMemory),
		{
			signal: fleet.OOM,
			mean:   "sum_over_time(" + seriesOOM + "[$window])",
			count:  "count_over_time(" + seriesOOM + "[$window])",
		},
		{signal: fleet.Throttling, gap: "metrics.k8s.io does not tell CPU throttling; connect a Prometheus with cAdvisor metrics"},
	}
}

func gauge(signal fleet.Signal, series string) query {
	return query{
		signal: signal,
		mean:   "avg_over_time(" + series + "[$window])",
		max:    "max_over_time(" + series + "[$window])",
		count:  "count_over_time(" + series + "[$window])",
	}
}

// rate is what a counter gains per second, summed over the codes, models and versions of a pod.
func rate(counter string) string {
	return "sum " + byPod + "(rate(" + name(counter) + "[$range]))"
}

// readings is how often the best-read series of a pod's counter was read in $range.
func readings(counter string) string {
	return "max " + byPod + "(count_over_time(" + name(counter) + "[$range]))"
}

// latency is the mean over the requests answered in the window; without any there is none.
func (s source) latency() string {
	if s.seconds == "" {
		return ""
	}
	mean := rate(s.seconds) + " / (" + rate(s.answered) + " > 0)"
	if s.scale != "" {
		mean = s.scale + " * " + mean
	}
	return "(" + mean + ")"
}

// name is the series name as a selector; the form with braces takes names that open with a colon.
func name(metric string) string { return fmt.Sprintf("{__name__=%q}", metric) }

// at fills in the durations.
func (q query) at(window, interval time.Duration) query {
	return q.each(strings.NewReplacer("$window", millis(window), "$range", millis(window+interval)).Replace)
}

// each puts every text of the query through f.
func (q query) each(f func(text string) string) query {
	q.mean, q.max, q.count = f(q.mean), f(q.max), f(q.count)
	return q
}

func millis(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
