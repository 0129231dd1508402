package main

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// daemon repeats the pass and keeps its last answer. Every replica makes passes, so that any of them
// can answer; only the leader writes anything.
type daemon struct {
	cycle    *optimizer.Cycle
	interval time.Duration
	since    func() (time.Time, bool) // the oldest measurement in the store
	metrics  *metrics
	log      *slog.Logger
	keeper   *keeper // nil: the history is never saved
	reporter *reporter
	// warn says on the policies' own objects what is wrong with them; nil: nobody does.
	warn func(ctx context.Context, bad []policies.Bad, now time.Time) error

	// tell says on workloads what was done to them; nil: nothing ever is.
	tell func(ctx context.Context, happened []optimizer.Entry) error

	mu     sync.Mutex
	term   context.Context // of this replica's leadership; nil, or ended: it is a standby
	begun  time.Time       // when a pass last began or made progress
	answer planAnswer
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
	d.moved()
	acting, cancel, leading := d.acting(ctx)
	defer cancel()
	plan, err := d.cycle.Run(acting, now, leading)
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
	for _, t := range plan.Troubles {
		d.log.Warn(t)
	}
	for _, e := range plan.Happened {
		d.log.Info("change", "id", e.ID, "workload", e.Change.Ref.String(), "what", e.Change.Words(), "outcome", cmp.Or(string(e.Outcome), "begun"))
	}
	d.log.Info("pass", "workloads", len(plan.Assessments), "changes", len(plan.Changes), "bad_policies", len(plan.BadPolicies), "took", took.Round(time.Millisecond).String())
	d.report(ctx, plan)
	d.reporter.passed(ctx, plan, d.cycle.Reports())
	d.checkpoint(ctx, now, false)
}

// acting is the context of a pass that may write: it ends with the leader's term too, so that a pass
// that was begun as leader writes nothing after it.
func (d *daemon) acting(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	term, leading := d.leads()
	if !leading {
		return ctx, func() {}, false
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(term, cancel)
	return ctx, func() { stop(); cancel() }, true
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

// report says on the policies' own objects what is wrong with them, and on workloads what was done to
// them; a standby leaves it to the leader.
func (d *daemon) report(ctx context.Context, plan optimizer.Plan) {
	if _, leading := d.leads(); d.warn == nil || !leading {
		return
	}
	limited, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	if err := d.warn(limited, plan.BadPolicies, plan.At); err != nil && ctx.Err() == nil {
		d.log.Warn("faults of policy documents are shown in plan and metrics only", "err", err)
	}
	if d.tell == nil {
		return
	}
	if err := d.tell(limited, plan.Happened); err != nil && ctx.Err() == nil {
		d.log.Warn("what was done is told by history and log only", "err", err)
	}
}

// checkpoint saves the history of the last plan when its time has come, or at once where last; a
// standby leaves it to the leader, and before a pass has worked nobody knows what to save.
func (d *daemon) checkpoint(ctx context.Context, now time.Time, last bool) {
	term, leading := d.leads()
	a, planned := d.current()
	if !leading || !planned {
		return
	}
	if d.keeper != nil {
		d.keeper.save(ctx, term, now, a.Plan, last)
	}
	d.reporter.save(ctx, term, now, last)
}

// planned is the plan that reports tell of.
func (d *daemon) planned() (optimizer.Plan, error) {
	var plan optimizer.Plan
	err := withPlan(d, func(a planAnswer) error {
		plan = a.Plan
		return nil
	})
	return plan, err
}

// lead begins a term of leadership, which lasts as long as term does; rest ends it.
func (d *daemon) lead(term context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term = term
	d.metrics.leader(true)
}

func (d *daemon) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term = nil
	d.metrics.leader(false)
}

func (d *daemon) leads() (term context.Context, leading bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.term, d.leading()
}

// leading is for callers that hold mu.
func (d *daemon) leading() bool { return d.term != nil && d.term.Err() == nil }

// current is the answer to give now; false: no pass has worked yet.
func (d *daemon) current() (planAnswer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.answer
	a.Pass.Leading = d.leading()
	return a, !a.Pass.At.IsZero()
}

// moved notes that the pass makes progress.
func (d *daemon) moved() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = time.Now()
}

// live tells whether passes make progress: the newest began, or read on, less than 1.5 intervals ago,
// with half a minute of grace so that short intervals do not restart a daemon that waits for a slow
// API server. Before the first pass it waits for what /readyz names, which a restart would not hasten.
func (d *daemon) live(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun.IsZero() || now.Sub(d.begun) < d.interval*3/2+30*time.Second
}

// progress is a Usage that tells of every chunk it has read: a first pass over weeks of measurements
// takes longer than any pass after it.
type progress struct {
	optimizer.Usage
	moved func()
}

// Each implements optimizer.Usage.
func (p progress) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	return p.Usage.Each(ctx, since, until, func(samples []fleet.Sample) error {
		p.moved()
		return do(samples)
	})
}
