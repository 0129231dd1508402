package usage

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// metric is a series as an outside server has it.
func metric(name string, kv ...string) labels.Labels {
	return labels.FromStrings(append([]string{model.MetricNameLabel, name}, kv...)...)
}

// plus adds labels.
func plus(l labels.Labels, kv ...string) labels.Labels {
	b := labels.NewBuilder(l)
	for i := 0; i < len(kv); i += 2 {
		b.Set(kv[i], kv[i+1])
	}
	return b.Labels()
}

// town is what one made-up cluster does, told in both dialects: pod web-1-a of the Deployment web, whose container
// restarts at restart; pod db-0 of the StatefulSet db in another namespace; and a pod that is nobody's.
type town struct {
	every    time.Duration // between two readings
	restart  int           // second
	readings []reading
}

func (w *town) add(l labels.Labels, second int, v float64) {
	w.readings = append(w.readings, reading{series: l, at: sec(second), value: v})
}

// The truth: used is the integral of cores that are a wave of an hour around 0.3, of 0.1 each way.
func used(s float64) float64 {
	return 0.3*s + 0.1*3600/(2*math.Pi)*(1-math.Cos(2*math.Pi*s/3600))
}
func memory(s float64) float64 { return 1e9 + 3e4*s }

const image = "registry.example.com/web:1"

var (
	db     = fleet.Ref{Namespace: "data", Kind: "StatefulSet", Name: "db"}
	webPod = origin{web, "web-1-a", "main", image}
	dbPod  = origin{db, "db-0", "main", image}
)

// ours writes what Sampler and Scraper would.
func (w *town) ours(seconds int) {
	step := int(w.every.Seconds())
	for s := step; s <= seconds; s += step {
		for i, o := range []origin{webPod, dbPod} {
			scale := float64(i + 1)
			w.add(o.series(seriesCPU), s, scale*(used(float64(s))-used(float64(s-step)))/float64(step))
			w.add(o.series(seriesMemory), s, scale*memory(float64(s)))
		}
		pod := origin{ref: web, pod: "web-1-a"}
		w.add(pod.series("modelserver_requests_total"), s, 4*float64(s))
		w.add(pod.series("model_prediction_latency_seconds_sum"), s, 0.2*float64(s))
		w.add(pod.series("model_prediction_latency_seconds_count"), s, 4*float64(s))
		w.add(origin{web, "web-1-a", fleet.GPUName(0), ""}.series(seriesGPU), s, 0.25)
		w.add(origin{web, "web-1-a", fleet.GPUName(1), ""}.series(seriesGPU), s, 0.75)
		w.add(origin{web, "web-1-a", fleet.GPUName(0), ""}.series(seriesGPUMemory), s, 5<<30)
		w.add(origin{web, "web-1-a", fleet.GPUName(1), ""}.series(seriesGPUMemory), s, 15<<30)
	}
	w.readings = append(w.readings, reading{series: webPod.series(seriesOOM), at: sec(w.restart), value: 1})
	slices.SortStableFunc(w.readings, func(a, b reading) int { return int(a.at - b.at) })
}

// theirs writes what a pair of Prometheus servers would that scrape cAdvisor, two kube-state-metrics, the model
// server and dcgm-exporter.
func (w *town) theirs(seconds int) {
	step := int(w.every.Seconds())
	for s := step; s <= seconds; s += step {
		for _, replica := range []string{"a", "b"} {
			w.cadvisor(s, "prometheus_replica", replica)
			w.state(s, "job", "kube-state-metrics", "instance", replica)
			for _, code := range []string{"200", "503"} { // two in four of each
				w.add(metric("modelserver_requests_total", "namespace", "shop", "pod", "web-1-a", "code", code, "prometheus_replica", replica), s, 2*float64(s))
			}
			w.add(metric("model_prediction_latency_seconds_sum", "namespace", "shop", "pod", "web-1-a", "prometheus_replica", replica), s, 0.2*float64(s))
			w.add(metric("model_prediction_latency_seconds_count", "namespace", "shop", "pod", "web-1-a", "prometheus_replica", replica), s, 4*float64(s))
		}
		for i, v := range []float64{25, 75} { // scraped without honor_labels
			l := metric(dcgmUtil, "gpu", strconv.Itoa(i+2), "UUID", "GPU-"+strconv.Itoa(i), "namespace", "gpu-operator", "pod", "dcgm-exporter-x", "container", "exporter",
				"exported_namespace", "shop", "exported_pod", "web-1-a", "exported_container", "main")
			w.add(l, s, v)
			w.add(plus(l, model.MetricNameLabel, dcgmUsed), s, v/5*1024) // 5 and 15 GiB
		}
	}
}

// cadvisor counts in a new series after a restart, from zero.
func (w *town) cadvisor(s int, extra ...string) {
	id, began := "/kubepods/one", 0
	if s > w.restart {
		id, began = "/kubepods/two", w.restart
	}
	for _, c := range []struct {
		o     origin
		id    string
		began int
		scale float64
	}{{webPod, id, began, 1}, {dbPod, "/kubepods/db", 0, 2}, {origin{fleet.Deployment("shop", ""), "nobody", "main", image}, "/x", 0, 1}} {
		l := plus(metric("x", "namespace", c.o.ref.Namespace, "pod", c.o.pod, "container", "main", "image", image, "id", c.id, "name", "n"), extra...)
		pod := plus(metric("x", "namespace", c.o.ref.Namespace, "pod", c.o.pod, "id", "/kubepods"), extra...) // the pod's cgroup
		pause := plus(l, "container", "POD", "image", "registry.k8s.io/pause:3.10", "id", c.id+"/pause")      // and its sandbox's
		cpu, periods := c.scale*(used(float64(s))-used(float64(c.began))), 10*float64(s-c.began)
		for _, one := range []labels.Labels{l, pod, pause} {
			w.add(plus(one, model.MetricNameLabel, cadvisorCPU), s, cpu)
			w.add(plus(one, model.MetricNameLabel, cadvisorMemory), s, c.scale*memory(float64(s)))
		}
		w.add(plus(l, model.MetricNameLabel, cadvisorPeriods), s, periods)
		w.add(plus(l, model.MetricNameLabel, cadvisorThrottled), s, periods/5)
	}
}

func (w *town) state(s int, extra ...string) {
	add := func(v float64, name string, kv ...string) { w.add(plus(metric(name, kv...), extra...), s, v) }
	add(1, statePodOwner, "namespace", "shop", "pod", "web-1-a", "uid", "1", "owner_kind", "ReplicaSet", "owner_name", "web-1", "owner_is_controller", "true")
	add(1, stateSetOwner, "namespace", "shop", "replicaset", "web-1", "owner_kind", "Deployment", "owner_name", "web", "owner_is_controller", "true")
	add(1, statePodOwner, "namespace", "data", "pod", "db-0", "uid", "2", "owner_kind", "StatefulSet", "owner_name", "db", "owner_is_controller", "true")
	add(1, statePodOwner, "namespace", "shop", "pod", "nobody", "uid", "3", "owner_kind", "<none>", "owner_name", "<none>", "owner_is_controller", "<none>")
	restarts, killed := 0.0, 0.0
	if s > w.restart {
		restarts, killed = 1, 1
	}
	add(restarts, stateRestarts, "namespace", "shop", "pod", "web-1-a", "uid", "1", "container", "main")
	add(0, stateRestarts, "namespace", "data", "pod", "db-0", "uid", "2", "container", "main")
	add(killed, stateEnded, "namespace", "shop", "pod", "web-1-a", "uid", "1", "container", "main", "reason", "OOMKilled")
}

// stored writes the town into a store in dir.
func (w *town) stored(t *testing.T, dir string) *Store {
	t.Helper()
	s := openAt(t, dir, nil)
	for chunk := range slices.Chunk(w.readings, 20_000) {
		put(t, s, chunk...)
	}
	return s
}

const hour = 3600

func twoTowns(t *testing.T, seconds int) (ours, theirs *Store) {
	t.Helper()
	a, b := &town{every: 15 * time.Second, restart: 2*hour + 30}, &town{every: 15 * time.Second, restart: 2*hour + 30}
	a.ours(seconds)
	b.theirs(seconds)
	return a.stored(t, ""), b.stored(t, "")
}

// limited lets queries of at most so many windows and namespaces through to a server; others it refuses in the
// way of Prometheus. It notes the largest that it let through.
type limited struct {
	next                http.Handler
	windows, namespaces int
	mu                  sync.Mutex
	refused, answered   int
}

func (l *limited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := new(bytes.Buffer)
	body.ReadFrom(r.Body)
	r.Body = http.NoBody
	form, _ := url.ParseQuery(body.String())
	if step, _ := strconv.ParseFloat(form.Get("step"), 64); step > 0 {
		n := int(unix(form.Get("end")).Sub(unix(form.Get("start"))).Seconds()/step) + 1
		_, rest, _ := strings.Cut(form.Get("query"), `namespace=~"`)
		names, _, _ := strings.Cut(rest, `"`)
		if n > l.windows || strings.Count(names, "|")+1 > l.namespaces {
			l.mu.Lock()
			l.refused++
			l.mu.Unlock()
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"too many samples"}`)
			return
		}
	}
	l.mu.Lock()
	l.answered++
	l.mu.Unlock()
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = http.NoBody, 0
	if body.Len() > 0 {
		again.Body, again.ContentLength = readCloser{bytes.NewReader(body.Bytes())}, int64(body.Len())
	}
	l.next.ServeHTTP(w, again)
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
