package simulator

import (
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Step is the window of every sample, and Reading how often it is measured within.
const (
	Step    = 5 * time.Minute
	Reading = 15 * time.Second
)

// load is what a workload uses over time.
type load struct {
	measured    bool
	requests    curve // a second, of all pods together
	hasRequests bool
	perRequest  float64 // seconds of CPU
	work        curve   // cores, of all pods together
	idle        float64 // cores, of each pod
	latency     latency
	startup     time.Duration // until a pod answers
	memory      memory        // bytes, of each pod
	gpu         curve         // share of time busy
	hasGPU      bool
	since       time.Time // when it began to run
	stopped     time.Duration
	until       time.Time // when measurements stopped; zero: never
}

type memory struct{ base, peak, perWeek, noise float64 }

// latency is what a request takes in one pod, in seconds; the zero value is not measured.
type latency struct{ base, limit float64 }

// at is the mean latency at so many requests a second: base at none, and as in a queue more towards the limit.
//
//	base 10 ms, limit 40:   0: 10 ms   20: 20 ms   36: 100 ms   39.6 and more: 1 s
func (l latency) at(rate float64) float64 {
	const most = 0.99 // of the limit: beyond it nobody waits any longer
	return l.base / (1 - min(rate/l.limit, most))
}

// answers tells whether a pod is up in the window that ends at t.
func (l load) answers(p fleet.Pod, t time.Time) bool {
	return !t.Add(-Step).Before(p.Created.Add(l.startup))
}

func (l load) untilBefore(end time.Time) time.Time {
	if l.stopped == 0 {
		return time.Time{}
	}
	return end.Add(-l.stopped)
}

// seen tells whether the window that ends at t was measured.
func (l load) seen(t time.Time) bool {
	return l.measured && t.After(l.since) && (l.until.IsZero() || !t.After(l.until))
}

// use is what one pod used in one window.
type use struct {
	cpu, cpuMax       float64 // cores
	memory, memoryMax float64 // bytes
	rate, rateMax     float64 // requests a second
	gpu               float64 // share of time busy
	oom               bool    // it wanted more memory than its limit
}

// demand is what all pods together have to do in the window in the middle of which t is.
type demand struct{ rate, work, busy, gpu float64 }

func (l load) demand(t, start time.Time, d dice) demand {
	out := demand{rate: l.requests.value(t, start, d), work: l.work.value(t, start, d), gpu: min(1, l.gpu.value(t, start, d))}
	out.busy = max(l.requests.shape(t), l.work.shape(t))
	return out
}

// share is the part of the demand that falls on one of n pods whose own dice are d. Pods get up to
// 8 % more or less than an even share, always the same way, as behind a load balancer with few
// connections; CPU and memory never go beyond the limits.
func (l load) share(all demand, n int, limits fleet.Resources, t, start time.Time, d dice) use {
	even := (0.92 + 0.16*d.uniform(time.Unix(0, 0), 3)) / float64(max(n, 1))
	u := use{rate: all.rate * even, gpu: all.gpu}
	u.cpu = l.idle + u.rate*l.perRequest + all.work*even
	u.cpu *= max(0, 1+0.05*d.normal(t, 4))
	ragged := 1 + 0.4*d.uniform(t, 5)
	u.cpuMax, u.rateMax = u.cpu*ragged, u.rate*ragged
	m := l.memory
	u.memory = m.base + (m.peak-m.base)*all.busy + m.perWeek*t.Sub(start).Hours()/(7*24)
	u.memory *= max(0, 1+m.noise*d.normal(t, 6))
	u.memoryMax = u.memory * (1 + m.noise*d.uniform(t, 7))
	return u.within(limits)
}

func (u use) within(limits fleet.Resources) use {
	if most := float64(limits.MilliCPU) / 1000; most > 0 {
		u.cpu, u.cpuMax = min(u.cpu, most), min(u.cpuMax, most)
	}
	if most := float64(limits.Memory); most > 0 {
		u.oom = u.memoryMax > most
		u.memory, u.memoryMax = min(u.memory, most), min(u.memoryMax, most)
	}
	return u
}
