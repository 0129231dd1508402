package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
)

// DefaultInterval is how often usage is read when the options say nothing: metrics-server's own pace.
const DefaultInterval = 15 * time.Second

// SamplerOptions is what a Sampler reads and where it writes.
type SamplerOptions struct {
	Client     metrics.PodMetricsesGetter // a metrics clientset's MetricsV1beta1()
	Namespaces []string                   // empty: all
	Owners     Owners
	Store      *Store
	Interval   time.Duration // between readings; 0: DefaultInterval
	Log        *slog.Logger  // nil: nothing is logged
}

// Sampler reads metrics.k8s.io into the store: CPU and memory of every container of every known
// workload, at the time they were measured; and each kill for want of memory that its pod tells of, at the
// time of the kill. It is for one goroutine.
type Sampler struct {
	o      SamplerOptions
	faults *faults
	live   map[origin]int64 // the time of the newest reading, in milliseconds since 1970
	killed map[origin]int64 // and of the newest kill for want of memory
}

// NewSampler builds a Sampler; Run or Sample set it to work.
func NewSampler(o SamplerOptions) *Sampler {
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	if len(o.Namespaces) == 0 {
		o.Namespaces = []string{metav1.NamespaceAll}
	}
	return &Sampler{o: o, faults: newFaults(o.Log), live: map[origin]int64{}, killed: map[origin]int64{}}
}

// Run samples at once and then at every interval until ctx ends. A reading that fails is counted,
// logged when failing begins and ends, and tried again at the next interval.
func (s *Sampler) Run(ctx context.Context) {
	every(ctx, s.o.Interval, func() { _ = s.Sample(ctx) }) // Sample has reported it
}

// every calls do at once and then at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Sample takes one reading of all pods. After an error nothing was written, and no series was ended:
// that the API does not answer is no sign that a pod has gone.
func (s *Sampler) Sample(ctx context.Context) error {
	owned, err := s.owned(ctx)
	if s.failed(ctx, sourceOwners, err) {
		return err
	}
	measured, err := s.measured(ctx)
	if s.failed(ctx, sourceMetricsAPI, err) {
		return err
	}
	readings, live := s.readings(owned, measured)
	kills, killed := s.kills(owned)
	err = s.o.Store.write(ctx, append(readings, kills...))
	if s.failed(ctx, sourceStore, err) {
		return err
	}
	s.live, s.killed = live, killed
	return nil
}

// failed reports the outcome of one step; the end of ctx is no fault of the source.
func (s *Sampler) failed(ctx context.Context, source string, err error) bool {
	if err != nil && ctx.Err() != nil {
		return true
	}
	if err != nil {
		s.o.Store.errors.WithLabelValues(source).Inc()
	}
	s.faults.report(source, err)
	return err != nil
}

type podName struct{ namespace, name string }

func (p podName) compare(o podName) int {
	return cmp.Or(cmp.Compare(p.namespace, o.namespace), cmp.Compare(p.name, o.name))
}

func (s *Sampler) owned(ctx context.Context) (map[podName]Pod, error) {
	pods, err := s.o.Owners.Pods(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the owners of pods: %w", err)
	}
	return byName(pods), nil
}

func byName(pods []Pod) map[podName]Pod {
	out := make(map[podName]Pod, len(pods))
	for _, p := range pods {
		out[podName{p.Ref.Namespace, p.Name}] = p
	}
	return out
}

func (s *Sampler) measured(ctx context.Context) ([]v1beta1.PodMetrics, error) {
	ctx, cancel := context.WithTimeout(ctx, max(s.o.Interval, 10*time.Second))
	defer cancel()
	var out []v1beta1.PodMetrics
	var errs []error
	for _, ns := range s.o.Namespaces {
		list, err := s.o.Client.PodMetricses(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("list pod metrics in namespace %q: %w", ns, err))
			continue
		}
		out = append(out, list.Items...)
	}
	return out, errors.Join(errs...)
}

// readings turns one answer into what is new in it, and into the containers that are live after it.
// A container that the answer lacks has its series ended.
func (s *Sampler) readings(owned map[podName]Pod, measured []v1beta1.PodMetrics) ([]reading, map[origin]int64) {
	var out []reading
	live := make(map[origin]int64, len(s.live))
	for _, m := range measured {
		pod, known := owned[podName{m.Namespace, m.Name}]
		if !known || m.Timestamp.IsZero() {
			continue
		}
		for _, c := range m.Containers {
			o := origin{pod.Ref, pod.Name, c.Name, pod.Images[c.Name]}
			at := m.Timestamp.UnixMilli()
			if last, seen := s.live[o]; seen && last >= at {
				s.o.Store.skipped.WithLabelValues(skipRepeat).Inc()
				live[o] = last
				continue
			}
			live[o] = at
			out = append(out, o.readings(at, m.Window.Duration, c.Usage)...)
		}
	}
	return append(out, s.ended(live)...), live
}

func (o origin) readings(at int64, window time.Duration, usage corev1.ResourceList) []reading {
	var out []reading
	if cpu, ok := usage[corev1.ResourceCPU]; ok {
		out = append(out, reading{series: o.series(seriesCPU), at: at, value: cpu.AsApproximateFloat64()})
	}
	if memory, ok := usage[corev1.ResourceMemory]; ok {
		out = append(out, reading{series: o.series(seriesMemory), at: at, value: memory.AsApproximateFloat64()})
	}
	if len(out) == 0 {
		return nil
	}
	return append(out, reading{series: o.series(seriesWindow), at: at, value: window.Round(time.Second).Seconds()})
}

// kills gives the kills for want of memory that were not written yet, in a fixed order, and the last one of
// every container. A pod tells of its last kill only; of two between two readings one is seen. One that is
// older than the store still takes is refused and counted there.
func (s *Sampler) kills(owned map[podName]Pod) ([]reading, map[origin]int64) {
	var out []reading
	killed := map[origin]int64{}
	for _, p := range owned {
		for container, at := range p.Killed {
			killed[origin{p.Ref, p.Name, container, p.Images[container]}] = at.UnixMilli()
		}
	}
	for _, o := range sortedKeys(killed) {
		if at := killed[o]; at > s.killed[o] {
			out = append(out, reading{series: o.series(seriesOOM), at: at, value: 1})
		}
	}
	return out, killed
}

// ended gives the stale markers of the containers that are not live any more, in a fixed order. They
// stand right behind the last reading, so that a reading which comes late, from a pod that only
// seemed gone, is still in order.
func (s *Sampler) ended(live map[origin]int64) []reading {
	var out []reading
	for _, o := range sortedKeys(s.live) {
		if _, ok := live[o]; ok {
			continue
		}
		for _, name := range []string{seriesCPU, seriesMemory, seriesWindow} {
			out = append(out, reading{series: o.series(name), at: s.live[o] + 1, end: true})
		}
	}
	return out
}
