package usage

import (
	"fmt"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What the kubelets' cAdvisor and kube-state-metrics call what is read of them.
const (
	cadvisorCPU       = "container_cpu_usage_seconds_total"
	cadvisorMemory    = "container_memory_working_set_bytes"
	cadvisorThrottled = "container_cpu_cfs_throttled_periods_total"
	cadvisorPeriods   = "container_cpu_cfs_periods_total"
	cadvisorOOM       = "container_oom_events_total"
	stateRestarts     = "kube_pod_container_status_restarts_total"
	stateEnded        = "kube_pod_container_status_last_terminated_reason"
	statePodOwner     = "kube_pod_owner"
	stateSetOwner     = "kube_replicaset_owner"
)

// PodOwner is the series by which the daemon tells other Prometheus servers whose a pod is: 1 for every live
// pod, with the labels namespace, kind, workload and pod. It stands in for kube_pod_owner.
const PodOwner = "trimtab_pod_owner"

// How the answers of the cadvisor dialect are grouped. The largest counts, so that nothing is counted twice:
// not a container's old series beside its new one after a restart (another id), not the two of a pair of
// servers, not what is scraped by two jobs. What a server of models counts is summed over its codes and models
// first, scrape by scrape: by these labels a pair of servers tells its two apart.
const (
	byContainer = "by (namespace, pod, container, image) "
	byHolder    = "by (namespace, pod) "
	byScrape    = "by (namespace, pod, job, instance, prometheus, prometheus_replica, replica) "
	byState     = "by (namespace, pod, container, exported_namespace, exported_pod, exported_container) "
	byGPU       = "by (gpu, UUID, GPU_I_ID, vgpu, namespace, pod, container, exported_namespace, exported_pod, exported_container, pod_namespace, pod_name, container_name) "
)

// beat is the finest step at which the largest CPU use within a longer window is looked for.
const beat = time.Minute

// cadvisorQueries is the dialect of an outside server. Have tells which families it has: what none of them
// answers is a gap. Beside $window and $range its texts hold $burst and $beat for the largest rate within a
// window, and where to look: $container for one container's series, $pod for a pod's, $state for those of
// kube-state-metrics and $any for series that the namespaces do not narrow (see where).
func cadvisorQueries(have func(family string) bool) []query {
	return []query{
		orGap(have(cadvisorCPU), cpuOfCounter(),
			"no "+cadvisorCPU+" with container and image labels: let the server scrape /metrics/cadvisor of the kubelets"),
		orGap(have(cadvisorMemory), gaugeOf(fleet.Memory, byContainer, cadvisorMemory+"{$container}"),
			"no "+cadvisorMemory+" with container and image labels: let the server scrape /metrics/cadvisor of the kubelets"),
		orGap(have(cadvisorThrottled) && have(cadvisorPeriods), throttledShare(),
			"no "+cadvisorPeriods+": how often the CPU limit held containers up is unknown"),
		killsOf(have),
		served(have, fleet.Requests, func(s source) string { return ofScrape(s.requests) }, func(s source) string { return s.requests }),
		served(have, fleet.Latency, source.latencyOfScrape, func(s source) string { return s.answered }),
		orGap(have(dcgmActive) || have(dcgmUtil), gpuShare(),
			"no "+dcgmActive+" and no "+dcgmUtil+": what GPUs do is unknown; let the server scrape dcgm-exporter"),
		orGap(have(dcgmUsed), gpuMemory(),
			"no "+dcgmUsed+": how much memory of GPUs is in use is unknown; let the server scrape dcgm-exporter"),
	}
}

// orGap is q where its families are there, and otherwise why it cannot be answered.
func orGap(there bool, q query, gap string) query {
	if there {
		return q
	}
	return query{signal: q.signal, gap: gap}
}

func cpuOfCounter() query {
	const series = cadvisorCPU + "{$container}"
	return query{
		signal: fleet.CPU,
		mean:   "max " + byContainer + "(rate(" + series + "[$range]))",
		max:    "max " + byContainer + "(max_over_time(rate(" + series + "[$burst])[$window:$beat]))",
		count:  "max " + byContainer + "(count_over_time(" + series + "[$range]))",
	}
}

func gaugeOf(signal fleet.Signal, by, series string) query {
	return query{
		signal: signal,
		mean:   "max " + by + "(avg_over_time(" + series + "[$window]))",
		max:    "max " + by + "(max_over_time(" + series + "[$window]))",
		count:  "max " + by + "(count_over_time(" + series + "[$window]))",
	}
}

// throttledShare knows nothing of containers without a CPU limit: they have no periods.
func throttledShare() query {
	const throttled, periods = cadvisorThrottled + "{$container}", cadvisorPeriods + "{$container}"
	return query{
		signal: fleet.Throttling,
		mean:   "max " + byContainer + "(rate(" + throttled + "[$range]) / (rate(" + periods + "[$range]) > 0))",
		count:  "max " + byContainer + "(count_over_time(" + periods + "[$range]))",
	}
}

// killsOf counts the restarts after which the last end of a container was for want of memory. A restart is
// looked for between the two ends of the window, which finds each once however often they are read, unlike
// changes within a range. cAdvisor's own counter is the second choice: it dies with the container's cgroup.
func killsOf(have func(string) bool) query {
	grown := func(by, series string) string {
		return "(max " + by + "(" + series + ") - max " + by + "(" + series + " offset $window)) > 0"
	}
	switch {
	case have(stateRestarts) && have(stateEnded):
		text := "(" + grown(byState, stateRestarts+"{$state}") + ") and max " + byState + "(" + stateEnded + `{reason="OOMKilled",$state}) > 0`
		return query{signal: fleet.OOM, mean: text, count: text}
	case have(cadvisorOOM):
		text := grown("by (namespace, pod, container) ", cadvisorOOM+"{$container}")
		return query{signal: fleet.OOM, mean: text, count: text}
	}
	return query{signal: fleet.OOM, gap: "no " + stateRestarts + " with " + stateEnded + ", and no " + cadvisorOOM +
		": kills for want of memory are unknown; connect kube-state-metrics"}
}

// served asks the model servers' own families, of those that the server has.
func served(have func(string) bool, signal fleet.Signal, text, counted func(source) string) query {
	there := func(s source) bool {
		if signal == fleet.Latency {
			return s.seconds != "" && have(s.seconds) && have(s.answered)
		}
		return have(s.requests)
	}
	mean := firstOf(func(s source) string {
		if !there(s) {
			return ""
		}
		return text(s)
	})
	count := firstOf(func(s source) string {
		if !there(s) {
			return ""
		}
		return "max " + byHolder + "(count_over_time(" + inPod(counted(s)) + "[$range]))"
	})
	return orGap(mean != "", query{signal: signal, mean: mean, count: count},
		"no "+string(signal)+" of model servers: let the server scrape their metrics with namespace and pod labels")
}

// inPod is a model server's series, of the pod that was scraped: the names that an application gives itself
// are exported_namespace and exported_pod, and not believed.
func inPod(family string) string { return "{__name__=\"" + family + "\",$pod}" }

// ofScrape is what a counter gains per second.
func ofScrape(family string) string {
	return "max " + byHolder + "(" + sumOfScrape(family) + ")"
}

func sumOfScrape(family string) string {
	return "sum " + byScrape + "(rate(" + inPod(family) + "[$range]))"
}

// latencyOfScrape is the mean over the requests answered in the window; without any there is none.
func (s source) latencyOfScrape() string {
	mean := "max " + byHolder + "(" + sumOfScrape(s.seconds) + " / (" + sumOfScrape(s.answered) + " > 0))"
	if s.scale != "" {
		mean = s.scale + " * " + mean
	}
	return "(" + mean + ")"
}

// gpuShare takes of a GPU the share of time in which anything ran on it, or the driver's figure where that is
// not told. DCGM writes what it does not know as a number beyond all sense, which is left out.
func gpuShare() query {
	of := func(over string) string {
		return "((max " + byGPU + "(" + over + "(" + dcgmActive + "{$any}[$window])) <= 1)\n  or (max " +
			byGPU + "(" + over + "(" + dcgmUtil + "{$any}[$window])) <= 100) / 100)"
	}
	return query{
		signal: fleet.GPU,
		mean:   of("avg_over_time"),
		max:    of("max_over_time"),
		count: "max " + byGPU + "(count_over_time(" + dcgmActive + "{$any}[$window]))\n  or max " +
			byGPU + "(count_over_time(" + dcgmUtil + "{$any}[$window]))",
	}
}

// gpuMemory is in bytes, of what DCGM tells in MiB; a number beyond all sense is left out.
func gpuMemory() query {
	q := gaugeOf(fleet.GPUMemory, byGPU, dcgmUsed+"{$any}")
	inBytes := func(text string) string { return fmt.Sprintf("((%s) >= 0 < %d) * %d", text, maxUsed, mebi) }
	q.mean, q.max = inBytes(q.mean), inBytes(q.max)
	return q
}

// families are the metrics that the dialect can make use of, in the order of the texts above.
func families() (containers, others []string) {
	containers = []string{cadvisorCPU, cadvisorMemory, cadvisorThrottled, cadvisorPeriods, cadvisorOOM}
	others = []string{PodOwner, statePodOwner, stateSetOwner, stateRestarts, stateEnded, dcgmActive, dcgmUtil, dcgmUsed}
	return containers, append(others, servedFamilies()...)
}

// servedFamilies are those of the model servers that a query reads, sorted.
func servedFamilies() []string {
	var out []string
	for _, s := range sources {
		out = append(out, s.requests, s.seconds, s.answered)
	}
	return sortedSet(out)
}

// where says of which series an outside server is asked.
type where struct {
	match      string   // label matchers that every series must meet; empty: none
	namespaces []string // sorted; empty: all
}

// fill puts the matchers into a text. With namespaces a text about kube-state-metrics is asked in two forms:
// scraped without honor_labels, what its series are about is in their exported_ labels.
func (w where) fill(text string) string {
	ns := ""
	if len(w.namespaces) > 0 {
		ns = `namespace=~"` + strings.Join(w.namespaces, "|") + `"`
	}
	fill := func(text, state string) string {
		return strings.NewReplacer(
			"$container", list(`container!="",container!="POD",image!=""`, ns, w.match),
			"$pod", list(`pod!=""`, ns, w.match), "$any", w.match, "$state", list(state, w.match)).Replace(text)
	}
	if ns == "" || !strings.Contains(text, "$state") {
		return fill(text, "")
	}
	return "(" + fill(text, ns+`,exported_namespace=""`) + ") or (" + fill(text, "exported_"+ns) + ")"
}

// list joins matchers that are not empty.
func list(matchers ...string) string {
	var out []string
	for _, m := range matchers {
		if m != "" {
			out = append(out, m)
		}
	}
	return strings.Join(out, ",")
}
