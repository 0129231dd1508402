package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// The sweep: what is tried, for how long, and how many of the cheapest are run again for longer.
const (
	sweepSlice  = 20 * time.Second
	sweepFinals = 3
	finalSlice  = time.Minute
)

func sweepSettings() []liveSetting {
	var all []liveSetting
	for _, replicas := range []int{2, 1} {
		for _, batch := range []int{1, 4, 16, 64} {
			for _, delay := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, liveSLO / 2} {
				if batch == 1 && delay > 5*time.Millisecond {
					continue // a batch of one row waits for none
				}
				all = append(all, liveSetting{batch, delay, replicas, liveStart.milli})
			}
		}
	}
	return all
}

// livePoint is a setting as it was run at the peak.
type livePoint struct {
	setting liveSetting
	cores   float64 // used by all pods together
	sums    sums
	p99     time.Duration
}

// kept tells whether the SLO was kept and nothing failed.
func (p livePoint) kept() bool { return p.p99 > 0 && p.p99 <= liveSLO && p.sums.failed() == 0 }

// sized is the setting with the request that follows from the cores that it used: the same rule as in
// Trimtab's document, in the steps that it writes requests in.
//
//	0.24 cores on 2 pods: 120m and a fifth more are 144m, 150m in steps of ten
//	0.05 cores on 1 pod:   50m and a fifth more are  60m, in steps of five
func (p livePoint) sized() liveSetting {
	s := p.setting
	need := 1000 * p.cores / float64(s.replicas) * (1 + liveMargin)
	step := 5.0
	if need >= 100 {
		step = 10
	}
	s.milli = max(vpaFloor, int64(step*math.Ceil(need/step-1e-9)))
	return s
}

// hourly is what a setting costs an hour, in dollars.
func (s liveSetting) hourly() float64 {
	const memory = 128 << 20
	return requested{milli: s.milli * int64(s.replicas), bytes: memory * int64(s.replicas)}.hourly()
}

// shorter is the slice around the trace's peak in which a setting is tried.
func (l *live) shorter() liveReplay {
	if l.quick {
		return l.replay.shorter(sweepSlice / 2)
	}
	return l.replay.shorter(sweepSlice)
}

// try runs the setting in force through a slice.
func (l *live) try(ctx context.Context, s liveSetting, slice liveReplay) (livePoint, error) {
	p, err := l.trying(ctx, func() (loadReport, error) { return l.load(ctx, slice) })
	p.setting = s
	return p, err
}

// trying is what a load took of the servers that are up.
func (l *live) trying(ctx context.Context, load func() (loadReport, error)) (livePoint, error) {
	before, err := l.usedByPods(ctx)
	if err != nil {
		return livePoint{}, err
	}
	begun := time.Now()
	report, err := load()
	took := time.Since(begun).Seconds()
	if err != nil {
		return livePoint{}, err
	}
	after, err := l.usedByPods(ctx)
	if err != nil {
		return livePoint{}, err
	}
	p := livePoint{sums: report.sums(0, math.MaxInt64), p99: report.tail()}
	for name, used := range after {
		p.cores += (used - before[name]) / took
	}
	return p, nil
}

// optimumArm tries every setting of the sweep at the trace's peak, the cheapest few again for longer and
// with the requests that follow, and runs the cheapest that keeps the SLO through the whole trace.
func (l *live) optimumArm(ctx context.Context) (armResult, error) {
	if err := l.deploy(ctx, liveStart); err != nil {
		return armResult{}, err
	}
	generation := 1
	tried, err := l.trial(ctx, sweepSettings(), &generation, func() liveReplay { return l.shorter() })
	if err != nil {
		return armResult{}, err
	}
	var finals []liveSetting
	for _, p := range cheapestLive(tried) {
		finals = append(finals, p.sized())
	}
	if len(finals) == 0 {
		return armResult{}, errors.New("no setting of the sweep kept the SLO: this machine is too busy or too slow for it")
	}
	last, err := l.trial(ctx, finals, &generation, func() liveReplay { return l.replay.shorter(finalSlice) })
	if err != nil {
		return armResult{}, err
	}
	i := slices.IndexFunc(last, livePoint.kept) // they are in the order of their cost
	if i < 0 {
		return armResult{}, errors.New("none of the sweep's cheapest kept the SLO for a minute of the peak")
	}
	best := finals[i]
	l.say("  the optimum is %s: $%.5f an hour", best, best.hourly())
	if err := l.put(ctx, best, generation+1); err != nil {
		return armResult{}, err
	}
	return l.through(ctx, armOptimum)
}

// trial runs settings one after the other.
func (l *live) trial(ctx context.Context, settings []liveSetting, generation *int, slice func() liveReplay) ([]livePoint, error) {
	var out []livePoint
	for _, s := range settings {
		*generation++
		if err := l.put(ctx, s, *generation); err != nil {
			return nil, err
		}
		p, err := l.try(ctx, s, slice())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		l.say("  %-34s %.3f cores, p99 %s, %d failed: %s, $%.5f an hour", s, p.cores, p.p99.Round(100*time.Microsecond), p.sums.failed(), verdict(p), p.sized().hourly())
		out = append(out, p)
	}
	return out, nil
}

func verdict(p livePoint) string {
	if p.kept() {
		return "keeps the SLO"
	}
	return "breaks it"
}

// cheapestLive are the few that kept the SLO for the least money, the cheapest first.
func cheapestLive(points []livePoint) []livePoint {
	kept := slices.DeleteFunc(slices.Clone(points), func(p livePoint) bool { return !p.kept() })
	slices.SortStableFunc(kept, func(a, b livePoint) int { return cmp.Compare(a.sized().hourly(), b.sized().hourly()) })
	return kept[:min(len(kept), sweepFinals)]
}
