package optimizer

import (
	"maps"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// settle looks first at what earlier passes, or an earlier process, began: it is done, still under way,
// given up, or, where a process died between writing it down and doing it, done now.
func (p *pass) settle() {
	if !p.acting {
		return
	}
	for _, e := range slices.Clone(p.entries) {
		if e.Outcome == "" && e.Change.Keeper == "" {
			p.settleOne(e)
		}
	}
}

func (p *pass) settleOne(e Entry) {
	w, ok := p.workload(e.Change)
	if !ok {
		p.finish(e, Failed, ErrGone.Error())
		return
	}
	at := look(w, e.Change)
	switch {
	case at.done:
		p.finish(e, Done, "")
	case !p.may(w, e.Change):
		p.finish(e, Failed, "left as it stood, because enforcement was switched off: "+at.words)
	case at.infeasible:
		p.giveUp(e, at.words)
	case p.now.Sub(e.Begun) > patience:
		p.giveUp(e, "not reached within "+patience.String()+": "+at.words)
	case p.takenBack(w, e):
		p.giveUp(e, "somebody else sets it back each time, so it is not asked for again; change it where that is done: "+at.words)
	default:
		p.resume(e, at.words)
	}
}

// takenBack tells whether what a change writes to the object itself was missing in too many passes: it is
// written at once, so somebody took it back, and to write it each time would start and stop pods each time.
func (p *pass) takenBack(w fleet.Workload, e Entry) bool {
	t := e.Change.Target()
	replicas := t.Replicas != 0 && w.Replicas == e.Change.From.Replicas
	template := e.Change.inTemplate(t) && !hasRequests(w.Template, t.Requests)
	if replicas || template {
		p.missing[e.ID]++
	}
	return p.missing[e.ID] > mostMissing && p.now.Sub(e.Begun) > lag
}

// resume asks again for what is not there yet; nothing is written twice.
func (p *pass) resume(e Entry, words string) {
	if err := p.Actuator.Apply(p.ctx, e.Change); err != nil {
		p.refused(e, err)
		return
	}
	if e.Detail == words {
		return
	}
	if err := p.Ledger.Note(p.ctx, e.ID, words); err != nil {
		p.trouble("%s: how %s stands could not be written down: %v", e.Change.Ref, e.ID, err)
	}
	e.Detail = words
	p.entries = replace(p.entries, e)
}

// workload finds the very object that a change was decided on.
func (p *pass) workload(c Change) (fleet.Workload, bool) {
	for _, w := range p.seen.Workloads {
		if w.Ref == c.Ref {
			return w, w.UID == c.From.UID
		}
	}
	return fleet.Workload{}, false
}

// maintain gives pods that appeared since a change was done the requests that the others have. Where that
// is refused, it waits a while before it asks again, and the workload is judged as it is.
func (p *pass) maintain() {
	p.kept = map[fleet.Ref]bool{}
	maps.DeleteFunc(p.waits, func(_ fleet.Ref, until time.Time) bool { return !p.now.Before(until) })
	for _, w := range p.seen.Workloads {
		_, busy := open(w.Ref, p.entries)
		if _, waits := p.waits[w.Ref]; busy || waits {
			continue
		}
		c, e, needed := upkeep(w, p.entries)
		if !needed || !p.may(w, c) {
			continue
		}
		p.kept[w.Ref] = true
		note := "given to newer pods too, last at " + p.now.UTC().Format(time.RFC3339)
		if err := p.Actuator.Apply(p.ctx, c); err != nil {
			note = "newer pods could not be given it: " + err.Error()
			p.trouble("%s: %s", w.Ref, note)
			p.waits[w.Ref] = p.now.Add(patience)
		}
		if err := p.Ledger.Note(p.ctx, e.ID, note); err != nil {
			p.trouble("%s: that newer pods have what %s gave could not be written down: %v", w.Ref, e.ID, err)
		}
	}
}
