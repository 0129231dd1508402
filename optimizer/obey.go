package optimizer

import (
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// obey takes up what people ordered: it takes changes back at once and gives the approvals that this
// pass is to carry out, by proposal. Orders of other verbs are left to others.
func (p *pass) obey() map[string]Order {
	approved := map[string]Order{}
	if !p.acting || p.Orders == nil {
		return approved
	}
	orders, err := p.Orders.Pending(p.ctx)
	if err != nil {
		p.trouble("orders could not be read: %v", err)
	}
	for _, o := range orders {
		switch {
		case o.Verb != Approve && o.Verb != Revert:
		case p.begunFor(o) != "":
			p.answer(o, p.begunFor(o))
		case p.Actuator == nil:
			p.answer(o, "not done: the daemon was started without --enforce, so it may change nothing")
		case o.Verb == Revert:
			p.answer(o, p.takeBack(o))
		default:
			if text := p.objection(o); text != "" {
				p.answer(o, text)
				continue
			}
			approved[o.ID] = o
		}
	}
	return approved
}

// begunFor tells of an order that was carried out already by a pass that could not answer it any more.
func (p *pass) begunFor(o Order) string {
	for _, e := range p.entries {
		same := o.Verb == Approve && e.Change.ID == o.ID && e.Change.Reverts == "" || o.Verb == Revert && e.Change.Reverts == o.ID
		if same && e.Change.By == o.By && !e.Begun.Before(o.At) {
			return begunAs(e)
		}
	}
	return ""
}

// begunAs says under which key a change was begun.
func begunAs(e Entry) string {
	return fmt.Sprintf("begun as %s: %s; `trimtab history %s` shows how it goes", e.ID, e.Change.Words(), e.Change.Ref)
}

// objection is why an approval is not carried out; empty: it is.
func (p *pass) objection(o Order) string {
	for _, c := range p.plan.Changes {
		if c.ID == o.ID && near(o.Seen, c.Target()) {
			return ""
		}
		if c.ID == o.ID {
			return "not done: what is proposed has changed since: " + c.Words() + "; look at `trimtab plan` and approve that"
		}
	}
	return "not done: the plan has no proposal " + o.ID + " any more; `trimtab plan` shows what it has"
}

// takeBack begins the way back of a done change, and says how that went.
func (p *pass) takeBack(o Order) string {
	i := slices.IndexFunc(p.entries, func(e Entry) bool { return e.ID == o.ID })
	if i < 0 {
		return "not done: the ledger has no entry " + o.ID + "; `trimtab history` lists them"
	}
	e := p.entries[i]
	w, there := p.workload(e.Change)
	switch {
	case e.Change.Keeper != "":
		return "not done: " + e.Change.Policy + " owns it; change that document"
	case e.Outcome != Done:
		return fmt.Sprintf("not done: %s is not a change that was made (%s)", e.ID, outcome(e))
	case !there:
		return "not done: " + e.Change.Ref.String() + ": " + ErrGone.Error()
	}
	c := undo(e, w)
	if c.Words() == "nothing" {
		return "nothing to do: " + w.Ref.String() + " is as it was before " + e.ID + ", or its pod template was given other requests since"
	}
	c.By = o.By
	if _, busy := open(w.Ref, p.entries); busy {
		return "not done: " + ErrOpen.Error() + "; try again when it has ended"
	}
	p.plan.Changes = slices.DeleteFunc(p.plan.Changes, func(other Change) bool { return other.Ref == w.Ref })
	return p.carryOut(c)
}

// undo is the change that makes of a workload what it was before an entry, in the fields that the entry changed.
// Requests that were given in place and that the template's owner has replaced since are left to that.
func undo(e Entry, w fleet.Workload) Change {
	t, was := e.Change.Target(), e.Change.From
	back := fleet.Target{}
	if e.Change.Apply != policies.InTemplate && !hasRequests(w.Template, sizesOf(was.Template, e.Change.To.Current())) {
		t.Requests = nil
	}
	for _, r := range t.Requests {
		for _, old := range sizesOf(was.Current(), e.Change.To.Current()) {
			if old.Container == r.Container {
				back.Requests = append(back.Requests, old)
			}
		}
	}
	if t.Replicas != 0 {
		back.Replicas = was.Replicas
	}
	if t.Capacity != "" {
		back.Capacity = was.Capacity
	}
	c := e.Change
	c.From, c.To, c.Pods, c.Reverts = w, w.With(back), nil, e.ID
	c.Saving.Amount = -c.Saving.Amount
	return c
}

func outcome(e Entry) Outcome {
	if e.Outcome == "" {
		return "under way"
	}
	return e.Outcome
}

func (p *pass) answer(o Order, text string) {
	if err := p.Orders.Answer(p.ctx, o, text); err != nil {
		p.trouble("order %s could not be answered: %v", o.Key, err)
	}
}
