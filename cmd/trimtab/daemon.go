package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// daemon repeats the pass and keeps its last answer. Every replica makes passes, so that any of them
// can answer; only the leader writes anything.
type daemon struct {
	cycle    *optimizer.Cycle
	interval time.Duration
	since    func() (time.Time, bool) // the oldest measurement in the store
	metrics  *metrics
	log      *slog.Logger

	save      func(ctx context.Context) error // checkpoints the history; nil: never
	saveEvery time.Duration
	saved     time.Time

	mu      sync.Mutex
	leading bool
	begun   time.Time // of the pass in progress or the last one
	answer  planAnswer
}

// loop makes passes until ctx ends: the first at once, then one every interval.
func (d *daemon) loop(ctx context.Context) {
	tick := time.NewTicker(d.interval)
	defer tick.Stop()
	for {
		d.pass(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pass makes one pass. A pass that does not work leaves the last plan in place and says why it is old.
func (d *daemon) pass(ctx context.Context, now time.Time) {
	d.mu.Lock()
	d.begun = now
	d.mu.Unlock()
	plan, err := d.cycle.Run(ctx, now)
	if ctx.Err() != nil {
		return
	}
	took := time.Since(now)
	d.metrics.passed(plan, err, took, d.cycle.Refused())
	d.keep(plan, err)
	if err != nil {
		d.log.Error("pass ended early; the last plan stays as it was", "err", err)
		return
	}
	d.log.Info("pass", "workloads", len(plan.Assessments), "changes", len(plan.Changes), "bad_policies", len(plan.BadPolicies), "took", took.Round(time.Millisecond).String())
	d.checkpoint(ctx, now, false)
}

func (d *daemon) keep(plan optimizer.Plan, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.answer.Pass.Error = err.Error()
		return
	}
	d.answer = planAnswer{Version: version, Plan: plan, Pass: passState{At: plan.At}}
	if t, ok := d.since(); ok {
		d.answer.Pass.SeriesSince = t
	}
}

// checkpoint saves the history when its time has come, or at once where last; a standby leaves it to
// the leader.
func (d *daemon) checkpoint(ctx context.Context, now time.Time, last bool) {
	if d.save == nil || !d.isLeading() || !last && now.Sub(d.saved) < d.saveEvery {
		return
	}
	err := d.save(ctx)
	d.metrics.checkpointed(err)
	if err != nil {
		d.log.Error("the history could not be saved; the next pass tries again", "err", err)
		return
	}
	d.saved = now
}

func (d *daemon) lead(leading bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leading = leading
	d.metrics.leader(leading)
}

func (d *daemon) isLeading() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leading
}

// current is the answer to give now; false: no pass has worked yet.
func (d *daemon) current() (planAnswer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.answer
	a.Pass.Leading = d.leading
	return a, !a.Pass.At.IsZero()
}

// live tells whether passes make progress: the newest began less than 1.5 intervals ago, with half a
// minute of grace so that short intervals do not restart a daemon that waits for a slow API server.
func (d *daemon) live(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun.IsZero() || now.Sub(d.begun) < d.interval*3/2+30*time.Second
}
