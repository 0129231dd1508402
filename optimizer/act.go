package optimizer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// patience is how long a begun change may take before it is given up and taken back.
const patience = 15 * time.Minute

// What was written to an object may be missing in so many passes, and for so long: a process may have died
// before it wrote, and caches are behind.
const (
	mostMissing = 3
	lag         = time.Minute
)

// pass is one Run under way.
type pass struct {
	*Cycle
	ctx     context.Context
	now     time.Time
	acting  bool
	seen    fleet.Snapshot
	entries []Entry            // of the ledger, as settle leaves them
	kept    map[fleet.Ref]bool // workloads that maintain had to do something for
	plan    Plan
}

// recall reads the ledger. A pass that cannot, acts on nothing: it might do twice what it does not know of.
func (p *pass) recall() {
	var err error
	if p.entries, err = p.Ledger.Entries(p.ctx); err != nil {
		p.acting = false
		p.trouble("nothing is changed, because the ledger cannot be read: %v", err)
	}
}

// may tells whether anything may be written to a workload for a change: by the daemon's own switch,
// and by its policy or a person's word. What a person approved holds while a policy means the workload; the
// way back needs none.
func (p *pass) may(w fleet.Workload, c Change) bool {
	if !p.acting || p.Actuator == nil {
		return false
	}
	if c.Reverts != "" {
		return true
	}
	bounds, _ := p.seen.BoundsOf(w.Ref.Namespace)
	matched := p.set.For(w, bounds.Labels)
	return len(matched) == 1 && (c.By != "" || matched[0].Mode == policies.Enforce)
}

func (p *pass) trouble(format string, args ...any) {
	p.plan.Troubles = append(p.plan.Troubles, fmt.Sprintf(format, args...))
}

// act carries out the changes whose policy enforces, and the approved ones, each with its intent
// written down first.
func (p *pass) act(approved map[string]Order) {
	if !p.acting || p.Actuator == nil {
		return
	}
	for _, c := range p.plan.Changes {
		o, ordered := approved[c.ID]
		if ordered {
			c.Mode, c.By = policies.Enforce, o.By
		}
		if c.Mode != policies.Enforce {
			continue
		}
		text := p.carryOut(c)
		if ordered {
			p.answer(o, text)
		}
	}
}

// carryOut begins a change and says how that went. The change stays open: its end is seen by a later
// pass.
func (p *pass) carryOut(c Change) string {
	id, err := p.Ledger.Begin(p.ctx, c, p.now)
	if err != nil {
		p.trouble("%s: not changed, because the ledger does not have it: %v", c.Ref, err)
		return fmt.Sprintf("not done: the ledger does not have it: %v", err)
	}
	e := Entry{ID: id, Change: c, Begun: p.now}
	if err := p.Actuator.Apply(p.ctx, c); err != nil {
		return p.refused(e, err)
	}
	p.happened(e)
	return begunAs(e)
}

// refused ends an entry whose change the cluster would not take, and says so to who ordered it.
func (p *pass) refused(e Entry, why error) string {
	switch {
	case p.ctx.Err() != nil: // the term or the process ended: whoever comes next settles it
		return "not done yet: " + why.Error()
	case errors.Is(why, ErrUnavailable): // a later pass asks again, until patience ends
		p.trouble("%s: change %s goes on later: %v", e.Change.Ref, e.ID, why)
		p.happened(e)
		return fmt.Sprintf("%s; it goes on later: %v", begunAs(e), why)
	case errors.Is(why, ErrMoved):
		p.finish(e, Moved, why.Error())
	case errors.Is(why, ErrGone):
		p.finish(e, Failed, why.Error())
	default:
		p.giveUp(e, why.Error())
	}
	return "not done: " + why.Error()
}

// giveUp takes back what of a change was written, and ends its entry.
func (p *pass) giveUp(e Entry, why string) {
	if err := p.Actuator.Apply(p.ctx, e.Change.reversed()); err != nil {
		why += fmt.Sprintf("; what was written of it could not be taken back: %v", err)
	}
	p.finish(e, Failed, why)
}

func (p *pass) finish(e Entry, o Outcome, detail string) {
	if o != Done {
		p.trouble("%s: change %s %s: %s", e.Change.Ref, e.ID, o, detail)
	}
	if err := p.Ledger.Finish(p.ctx, e.ID, o, detail, p.now); err != nil {
		p.trouble("%s: the outcome of %s, %s, could not be written down: %v", e.Change.Ref, e.ID, o, err)
		return
	}
	delete(p.missing, e.ID)
	e.Outcome, e.Detail, e.Ended = o, detail, p.now
	p.happened(e)
}

// happened notes an entry that this pass began or ended, once, in the plan and among the entries.
func (p *pass) happened(e Entry) {
	p.plan.Happened = replace(p.plan.Happened, e)
	p.entries = replace(p.entries, e)
}

func replace(all []Entry, e Entry) []Entry {
	for i := range all {
		if all[i].ID == e.ID {
			all[i] = e
			return all
		}
	}
	return append(all, e)
}

// keep lets every keeper look at what it owns, and takes up what they wrote into the ledger meanwhile.
func (p *pass) keep() {
	write := p.acting && p.Actuator != nil
	for _, k := range p.Keepers {
		kept, err := k.Keep(p.ctx, p.set, p.seen, write, p.now)
		if err != nil {
			p.trouble("%v", err)
		}
		p.plan.Kept = append(p.plan.Kept, kept...)
	}
	if !write || len(p.plan.Kept) == 0 {
		return
	}
	entries, err := p.Ledger.Entries(p.ctx)
	if err != nil {
		p.trouble("what was changed of what Trimtab owns is not told: %v", err)
	}
	for _, e := range entries {
		if e.Change.Keeper != "" && (e.Begun.Equal(p.now) || e.Ended.Equal(p.now)) {
			p.happened(e)
		}
	}
}
