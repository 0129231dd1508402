package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// hpaLooksBack is how long an autoscaler waits for a higher wish before it scales down.
const hpaLooksBack = time.Minute

// autoscaler is what a team writes that leaves the rest to its defaults.
func autoscaler() string {
	return fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %s, namespace: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  minReplicas: 1
  maxReplicas: %[3]d
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: %[4]d}}
`, liveServer, liveNamespace, liveStart.replicas, int(hpaLooksBack.Seconds()))
}

func (l *live) hpaArm(ctx context.Context) (armResult, error) {
	if err := l.deploy(ctx, liveStart); err != nil {
		return armResult{}, err
	}
	if err := l.cluster.apply(ctx, autoscaler()); err != nil {
		return armResult{}, err
	}
	return l.through(ctx, armHPA)
}

// vpaArm adds VPA's rule. It learns once a minute, as VPA's recommender does; a pod that comes later gets
// what holds within seconds, as VPA's webhook gives it to new pods.
func (l *live) vpaArm(ctx context.Context) (armResult, error) {
	if err := l.deploy(ctx, liveStart); err != nil {
		return armResult{}, err
	}
	if err := l.cluster.apply(ctx, autoscaler()); err != nil {
		return armResult{}, err
	}
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var last error
	wg.Go(func() { last = l.followVPA(inner) })
	r, err := l.through(ctx, armVPA)
	cancel()
	wg.Wait()
	if last != nil {
		l.say("  the rule's last fault: %s", last)
	}
	return r, err
}

// followVPA applies the rule until ctx ends, and gives its last fault: a pod may go while it is resized.
func (l *live) followVPA(ctx context.Context) (last error) {
	h, begun, learnt := vpaHistogram{}, time.Now(), -1
	for {
		if minute := int(time.Since(begun) / time.Minute); minute > learnt {
			used, err := l.usage(ctx)
			for _, cores := range used {
				h.add(cores, time.Since(begun))
			}
			if err != nil {
				last = err
			} else if len(used) > 0 {
				learnt = minute
			}
		}
		if milli, ok := h.target(); ok {
			if err := l.resizeAll(ctx, milli); err != nil && ctx.Err() == nil {
				last = err
			}
		}
		if pause(ctx, 5*time.Second) != nil {
			return last
		}
	}
}

// usage is the cores that metrics-server saw each pod use in its last window.
func (l *live) usage(ctx context.Context) ([]float64, error) {
	var list struct {
		Items []struct {
			Containers []struct{ Usage map[string]string }
		}
	}
	if err := l.cluster.get(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/"+liveNamespace+"/pods", &list); err != nil {
		return nil, err
	}
	var out []float64
	var faults []error
	for _, p := range list.Items {
		for _, c := range p.Containers {
			v, err := quantity(c.Usage["cpu"])
			out, faults = append(out, v), append(faults, err)
		}
	}
	return out, errors.Join(faults...)
}

// resizeAll gives every pod the CPU request, in place.
func (l *live) resizeAll(ctx context.Context, milli int64) error {
	pods, err := l.podsNow(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, p := range pods {
		c := p.Spec.Containers[0]
		if now, err := quantity(c.Resources.Requests["cpu"]); err != nil || !p.ready() || math.Round(1000*now) == float64(milli) {
			continue
		}
		body := fmt.Sprintf(`{"spec":{"containers":[{"name":%q,"resources":{"requests":{"cpu":"%dm"}}}]}}`, c.Name, milli)
		faults = append(faults, l.cluster.patch(ctx, livePodsPath+"/"+p.Metadata.Name+"/resize", body))
	}
	return errors.Join(faults...)
}

// The constants of VPA 1.8.1 for CPU.
const (
	vpaFirst    = 0.01 // cores; the first bucket
	vpaGrowth   = 1.05 // each is this much wider than the one below
	vpaHalfLife = 24 * time.Hour
	vpaTarget   = 0.9
	vpaMargin   = 1.15
	vpaFloor    = 25 // thousandths of a core
)

// vpaHistogram is VPA's decaying histogram of CPU samples: bucket n begins at 0.01 (1.05^n - 1) / 0.05 cores.
//
//	n   0   1     2       8        9
//	    0   0.01  0.0205  0.09549  0.11027
type vpaHistogram struct{ weight []float64 }

// vpaBegin is where bucket n begins, in cores.
func vpaBegin(n int) float64 {
	return vpaFirst * (math.Pow(vpaGrowth, float64(n)) - 1) / (vpaGrowth - 1)
}

// add counts a sample. All weigh the same but for their age: a later one weighs more.
func (h *vpaHistogram) add(cores float64, since time.Duration) {
	n := 0
	for vpaBegin(n+1) <= cores {
		n++
	}
	for len(h.weight) <= n {
		h.weight = append(h.weight, 0)
	}
	h.weight[n] += math.Exp2(since.Hours() / vpaHalfLife.Hours())
}

// target is the request in thousandths of a core: where the bucket of the percentile ends, and the margin.
func (h vpaHistogram) target() (int64, bool) {
	total := 0.0
	for _, w := range h.weight {
		total += w
	}
	sum := 0.0
	n := slices.IndexFunc(h.weight, func(w float64) bool { sum += w; return sum >= vpaTarget*total })
	if total == 0 || n < 0 {
		return 0, false
	}
	return max(vpaFloor, int64(math.Ceil(1000*vpaBegin(n+1)*vpaMargin))), true
}

// staticArm is what a careful person sets who knows the trace: single rows, and for its peak 30 % more CPU
// than it takes, as measured, in as few pods as the first request allows.
func (l *live) staticArm(ctx context.Context) (armResult, error) {
	if err := l.deploy(ctx, liveStart); err != nil {
		return armResult{}, err
	}
	p, err := l.try(ctx, liveStart, l.shorter())
	if err != nil {
		return armResult{}, err
	}
	s := careful(p.cores)
	l.say("  at the peak single rows take %.3f cores: %s", p.cores, s)
	if err := l.clear(ctx); err != nil {
		return armResult{}, err
	}
	if err := l.deploy(ctx, s); err != nil {
		return armResult{}, err
	}
	return l.through(ctx, armStatic)
}

// careful spreads cores with the head-room over at least two pods, none larger than the first request.
//
//	0.30 cores: 390m over 2 pods are 195m each, 200m in steps of ten
func careful(cores float64) liveSetting {
	s := liveStart
	need := 1000 * cores * (1 + liveHeadroom)
	s.replicas = max(2, int(math.Ceil(need/float64(liveStart.milli))))
	s.milli = 10 * int64(math.Ceil(need/float64(s.replicas)/10))
	return s
}
