package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
)

type finding = admission.Finding

// propose lists what the plan proposes.
func (r *Report) propose(p optimizer.Plan) {
	all, sum := claimed(p)
	r.Savings.Claimed = sum
	for i, c := range all {
		if i < mostProposals {
			r.Proposed = append(r.Proposed, proposal(c, p))
			continue
		}
		r.Further.Count++
		r.Further.Saving = r.Further.Saving.Add(c.Saving.Cents())
	}
}

func proposal(c optimizer.Change, p optimizer.Plan) Proposal {
	out := Proposal{ID: c.ID, Ref: c.Ref, What: c.Words(), Saving: c.Saving.Cents(), Risk: risk(c), Command: "trimtab apply " + c.ID}
	a := assessment(p, c.Ref)
	least := -1.
	for _, v := range a.Verdicts {
		if v.Held() {
			continue
		}
		out.Why = append(out.Why, clipped(v.Recommendation.Evidence))
		if d := v.Recommendation.Confidence; least < 0 || d < least {
			least = d
		}
	}
	if least >= 0 {
		out.Data = "from " + span(least) + " of data"
	}
	switch {
	case !p.Enforcing:
		out.Note = "the daemon runs without --enforce, so for now it would refuse"
	case c.Mode == policies.Enforce:
		out.Command, out.Note = "", "policy "+c.Policy+" enforces it: the daemon makes it by itself"
	}
	return out
}

// advise lists what only people can do, the largest saving first.
func (r *Report) advise(p optimizer.Plan) {
	var all []Advice
	for _, a := range p.Assessments {
		for _, v := range a.Advice {
			all = append(all, Advice{a.Ref, clipped(v.Text), clipped(v.Evidence), v.Saving.Cents()})
		}
	}
	slices.SortStableFunc(all, func(a, b Advice) int { return cmp.Compare(b.Saving.Amount, a.Saving.Amount) })
	r.Advice = capped(all, mostAdvice)
}

// risk is what may go wrong with a change and what it does to running pods, in plain words.
func risk(c optimizer.Change) []string {
	t := c.Target()
	var out []string
	switch {
	case len(t.Requests) > 0 && c.Apply == policies.InTemplate:
		out = append(out, "every pod is replaced, one after the other")
	case len(t.Requests) > 0:
		out = append(out, "no pod restarts; where other pods fill the node, a later peak may be slower")
	}
	switch {
	case t.Replicas != 0 && t.Replicas < c.From.Replicas:
		out = append(out, fmt.Sprintf("%s fewer to answer peaks and to lose", fleet.Count(c.From.Replicas-t.Replicas, "pod")))
	case t.Replicas != 0:
		out = append(out, "more pods need room on nodes")
	}
	if t.Capacity == fleet.Spot {
		out = append(out, "pods are replaced, and spot nodes may be taken away at short notice")
	}
	return out
}

// recount lists what the ledger has of the period.
func (r *Report) recount(in Input, b book) {
	var all []Deed
	for _, e := range in.Entries {
		at := e.Ended
		if e.Outcome == "" {
			at = e.Begun
		}
		if !in.Period.has(at) && !(e.Outcome == "" && at.Before(in.Period.To)) {
			continue
		}
		all = append(all, deed(e, at.In(in.Period.location()), b))
	}
	slices.SortStableFunc(all, func(x, y Deed) int { return cmp.Or(x.At.Compare(y.At), strings.Compare(x.ID, y.ID)) })
	r.Earlier = max(0, len(all)-mostDeeds)
	r.Deeds = all[r.Earlier:]
}

func deed(e optimizer.Entry, at time.Time, b book) Deed {
	d := Deed{ID: e.ID, Ref: e.Change.Ref, What: e.Change.Words(), At: at.Truncate(time.Second), Saving: e.Change.Saving.Cents(), Detail: clipped(e.Detail), By: e.Change.By}
	switch e.Outcome {
	case "":
		d.Status = "under way"
	case optimizer.Done:
		f := b.fates[e.ID]
		d.Counts, d.Status = f == stands && e.Change.Reverts == "", "done"
		if f != stands {
			d.Status = string(f)
		}
	default:
		d.Status = string(e.Outcome)
	}
	if e.Change.Reverts != "" {
		d.What = "taking back " + e.Change.Reverts + ": " + d.What
	}
	return d
}

// own lists the objects that Trimtab owns; those that are as asked are only counted.
func (r *Report) own(all []optimizer.Kept) {
	for _, k := range all {
		if k.State == optimizer.AsAsked && k.Detail == "" || len(r.Objects) == mostObjects {
			r.AsAsked++
			continue
		}
		r.Objects = append(r.Objects, Object{
			Name: k.Kind + " " + k.Namespace + "/" + k.Name, Asks: k.Document, State: string(k.State), Detail: clipped(k.Detail),
		})
	}
}

// clipped is a text of at most mostRunes characters, in one line.
func clipped(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > mostRunes {
		return string(r[:mostRunes-1]) + "…"
	}
	return s
}
