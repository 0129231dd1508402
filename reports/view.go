package reports

import (
	"cmp"
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// view is a plan in the words and the order that people read it in: text and page show the same one.
type view struct {
	At, Through string // Through is a phrase
	Old         string // why the plan is not of now
	Unreal      string // which models are on nodes that are not real; empty: every node is real
	Total       string // one sentence
	Doing       string // whether Changed will be made
	Changed     []card // the largest saving first
	Advised     []card // nothing to change for Trimtab, but for people; by Ref
	Held        []card // left alone though something could be said, by Ref
	Fine        []card // nothing to change, by Ref
	Bad         []fault
	Troubles    []string // what the pass could not do
	Owned       []string // what Trimtab owns and is not simply as asked, then how much is
	Lint        []string
	Prices      []string // where the amounts come from
}

// card is one workload of a view.
type card struct {
	Name     string
	About    string // "Deployment, online, 3 replicas, policy default"
	Cost     string
	Observed []string
	Moves    []string
	Why      []string
	Trims    []string
	Advice   []advised
	Holds    []held
	Approve  string // how to have it made; empty: a policy makes it, or nothing is proposed
	saving   cost.Money
}

// advised is a piece of advice in words.
type advised struct{ Text, Because, Before string }

// held is a hold in words. What names the rule that it stops; empty: all of them.
type held struct {
	What, Detail string
	Reason       fleet.HoldReason
}

type fault struct {
	Source string
	Effect string
	Faults []string
}

const stamp = "2006-01-02 15:04 UTC"

func newView(p optimizer.Plan) view {
	v := view{At: p.At.UTC().Format(stamp), Old: p.Old, Through: "nothing measured yet", Unreal: unreal(p, "")}
	if !p.Through.IsZero() {
		v.Through = "measured until " + p.Through.UTC().Format(stamp)
	}
	if !p.SeriesSince.IsZero() {
		v.Through += ", series since " + p.SeriesSince.UTC().Format(stamp)
	}
	var now, after cost.Line
	for _, a := range p.Assessments {
		now, after = now.Add(a.Now.Cents()), after.Add(a.After.Cents())
		c := newCard(a)
		switch {
		case len(c.Moves) > 0:
			v.Changed = append(v.Changed, c)
		case len(c.Advice) > 0:
			v.Advised = append(v.Advised, c)
		case len(c.Holds) > 0:
			v.Held = append(v.Held, c)
		default:
			v.Fine = append(v.Fine, c)
		}
	}
	slices.SortStableFunc(v.Changed, func(a, b card) int { return cmp.Compare(b.saving, a.saving) })
	v.Total = total(len(p.Assessments), len(v.Changed), now, after) + forPeople(p)
	v.Doing, v.Troubles, v.Owned = doing(p), p.Troubles, owned(p.Kept)
	offer(v.Changed, p)
	for _, b := range p.BadPolicies {
		v.Bad = append(v.Bad, fault{b.Source, b.Effect(), b.Faults})
	}
	for _, r := range p.Prices {
		v.Prices = append(v.Prices, r.String())
	}
	for _, f := range p.Lint {
		v.Lint = append(v.Lint, f.String())
	}
	return v
}

func newCard(a optimizer.Assessment) card {
	c := card{Name: a.Ref.String(), About: about(a), Observed: observed(a)}
	c.Moves = moves(a.Workload, a.Workload.With(a.Target()))
	now, after := a.Now.Cents(), a.After.Cents()
	c.saving = now.Sub(after).Amount
	c.Cost = now.String() + " a month"
	if len(c.Moves) > 0 {
		c.Cost = fmt.Sprintf("%s -> %s a month: %s", now, after, delta(now, after, ""))
	}
	for _, adv := range a.Advice {
		c.Advice = append(c.Advice, advised{adv.Text + relief(adv.Saving.Cents(), Month), adv.Evidence, adv.Before})
	}
	for _, h := range a.Holds {
		c.Holds = append(c.Holds, held{"", h.Detail, h.Reason})
	}
	for _, v := range a.Verdicts {
		if !v.Held() {
			c.Why = append(c.Why, v.Recommendation.Evidence)
		}
		for _, t := range v.Trims {
			c.Trims = append(c.Trims, t.String())
		}
		for _, h := range v.Holds {
			c.Holds = append(c.Holds, held{string(v.Recommendation.Reason), h.Detail, h.Reason})
		}
	}
	return c
}

func about(a optimizer.Assessment) string {
	s := a.Ref.Kind + ", " + cmp.Or(string(a.Class), "unknown class") + ", " + fleet.Count(a.Workload.Replicas, "replica")
	if a.Simulated {
		s += " on " + simulated + " nodes"
	}
	if a.Policy != "" {
		s += fmt.Sprintf(", policy %s (%s)", a.Policy, a.Mode)
	}
	return s
}

const someUnreal = "some nodes of this cluster are not real"

// unreal says how many models of a plan are on nodes that are not real; empty where every node is real.
// Whose is "" or, where the plan has not all models, which it has: nothing is said of the others.
func unreal(p optimizer.Plan, whose string) string {
	n := 0
	for _, a := range p.Assessments {
		if a.Simulated {
			n++
		}
	}
	switch all := len(p.Assessments); {
	case !p.Simulated:
		return ""
	case n == 0:
		return someUnreal + "; no model" + whose + " is on them"
	case n == all:
		return "every model" + whose + " is on nodes that are not real"
	case n == 1:
		return fmt.Sprintf("1 of %d models%s is on nodes that are not real", all, whose)
	default:
		return fmt.Sprintf("%d of %d models%s are on nodes that are not real", n, all, whose)
	}
}

// total is the plan in one sentence; the costs are a month's.
func total(models, changed int, now, after cost.Line) string {
	if models == 0 {
		return "No workload is meant by any policy, so there is nothing to say. Label a namespace trimtab.dev/policy=recommend to begin."
	}
	verb := "cost"
	if models == 1 {
		verb = "costs"
	}
	s := fmt.Sprintf("%s %s %s a month. ", fleet.Count(models, "model"), verb, now)
	if changed == 0 {
		return s + "There is nothing to change."
	}
	return s + fmt.Sprintf("With %s it would be %s: %s.", fleet.Count(changed, "change"), after, outcome(now, after))
}

// forPeople is what advice is worth, in one sentence; nothing where there is none.
func forPeople(p optimizer.Plan) string {
	var sum cost.Line
	some := false
	for _, a := range p.Assessments {
		for _, adv := range a.Advice {
			some = true
			sum = sum.Add(adv.Saving.Cents())
		}
	}
	if !some {
		return ""
	}
	return " Advice for people, in no sum" + relief(sum, Month) + "."
}

// offer says on each card whose change is only proposed how to have it made.
func offer(cards []card, p optimizer.Plan) {
	for _, c := range p.Changes {
		i := slices.IndexFunc(cards, func(k card) bool { return k.Name == c.Ref.String() })
		if i < 0 || c.Mode == policies.Enforce || c.ID == "" {
			continue
		}
		cards[i].Approve = "trimtab apply " + c.ID
		if !p.Enforcing {
			cards[i].Approve += ", once the daemon runs with --enforce"
		}
	}
}

// doing says whether changes will be made, which two switches decide: each policy's mode and the daemon's own.
func doing(p optimizer.Plan) string {
	n := 0
	for _, c := range p.Changes {
		if c.Mode == policies.Enforce {
			n++
		}
	}
	switch {
	case n == 0:
		return "proposed only, no policy of theirs is in mode enforce"
	case !p.Enforcing:
		return fmt.Sprintf("%d of them in mode enforce, and not made: the daemon runs without --enforce", n)
	}
	return fmt.Sprintf("%d of them in mode enforce, made by the leader", n)
}

// owned is a line for every object that Trimtab owns and that is not simply as its document asks.
func owned(all []optimizer.Kept) []string {
	var lines []string
	asked := 0
	for _, k := range all {
		if k.State == optimizer.AsAsked {
			asked++
			continue
		}
		line := fmt.Sprintf("%s %s/%s of %s: %s", k.Kind, k.Namespace, k.Name, k.Document, k.State)
		if k.Detail != "" {
			line += ": " + k.Detail
		}
		lines = append(lines, line)
	}
	if asked > 0 {
		lines = append(lines, fleet.Count(asked, "object")+" as asked")
	}
	return lines
}
