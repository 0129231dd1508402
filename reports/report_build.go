package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Build makes the report of a period. The same input gives the same report.
func Build(in Input) Report {
	in = in.narrowed()
	if in.Diary == nil {
		in.Diary = &cost.Diary{}
	}
	b := keepBook(in)
	r := Report{
		Name: in.Name, Version: in.Version, At: in.At.In(in.Period.location()).Truncate(time.Second), Period: in.Period,
		Namespaces: in.Namespaces, Simulated: in.Plan.Simulated, Unreal: unreal(in.Plan, in.whose()), Old: in.Plan.Old,
	}
	r.Savings.Applied, r.Savings.Standing = b.applied()
	r.spend(in)
	r.propose(in.Plan)
	r.advise(in.Plan)
	r.recount(in, b)
	r.own(in.Plan.Kept)
	for _, f := range capped(in.Plan.Lint, mostLint) {
		r.Lint = append(r.Lint, f.String())
	}
	r.Unknown = unknown(in, r.Spend)
	r.Method = method(in, r)
	r.Quiet = len(r.Deeds) == 0 && len(in.Plan.Changes) == 0 && len(r.Advice) == 0 && r.Spend.still()
	return r
}

// narrowed is the input of only its namespaces. What is wrong with a document stays: it may be for them.
func (in Input) narrowed() Input {
	if len(in.Namespaces) == 0 {
		return in
	}
	has := func(ns string) bool { return slices.Contains(in.Namespaces, ns) }
	p := &in.Plan
	p.Assessments = keep(p.Assessments, func(a optimizer.Assessment) bool { return has(a.Ref.Namespace) })
	p.Changes = keep(p.Changes, func(c optimizer.Change) bool { return has(c.Ref.Namespace) })
	p.Kept = keep(p.Kept, func(k optimizer.Kept) bool { return has(k.Namespace) })
	p.Lint = keep(p.Lint, func(f finding) bool { return has(f.Namespace) })
	in.Entries = keep(in.Entries, func(e optimizer.Entry) bool { return has(e.Change.Ref.Namespace) })
	return in
}

// whose models a report is about; empty: all of the plan.
func (in Input) whose() string {
	if len(in.Namespaces) == 0 {
		return ""
	}
	return " of this report"
}

func keep[T any](all []T, is func(T) bool) []T {
	var out []T
	for _, v := range all {
		if is(v) {
			out = append(out, v)
		}
	}
	return out
}

// spend fills the bill and its models.
func (r *Report) spend(in Input) {
	before := in.Period.Before()
	now, then := in.spent(in.Period), in.spent(before)
	r.Spend = Bill{
		Asked: hours(in.Period.Length()), Covered: hours(now.Covered), BeforeOf: before, BeforeHas: hours(then.Covered),
	}
	all := models(in.Plan, now, then)
	for _, m := range all {
		r.Spend.Total, r.Spend.Before, r.Spend.Month = r.Spend.Total.Add(m.Cost), r.Spend.Before.Add(m.Before), r.Spend.Month.Add(m.Month)
		if len(m.Cost.Add(m.Month).Unpriced) > 0 {
			r.Spend.Unpriced++
		}
	}
	r.Spend.Models = len(all)
	r.Spend.compare(before.Length())
	r.Models = all[:min(len(all), mostModels)]
	if rest := all[len(r.Models):]; len(rest) > 0 {
		r.Others = others(rest)
	}
}

// spent is the diary's part of a period, of the namespaces that are reported.
func (in Input) spent(p Period) cost.Spend {
	s := in.Diary.Spend(p.From, p.To)
	s.Lines = keep(s.Lines, func(l cost.Spent) bool {
		return len(in.Namespaces) == 0 || slices.Contains(in.Namespaces, l.Ref.Namespace)
	})
	return s
}

// compare sets Change where the two periods can be compared: the same share of both was covered, give
// or take a hundredth, and at least half.
func (b *Bill) compare(before time.Duration) {
	if b.Asked <= 0 || before <= 0 {
		b.Why = "the period has no length"
		return
	}
	share, then := b.Covered.of(b.Asked), b.BeforeHas.of(hours(before))
	switch {
	case b.BeforeHas == 0:
		b.Why = "nothing is known of the period before"
	case then < 0.5 || share < 0.5 || share-then > 0.01 || then-share > 0.01:
		b.Why = fmt.Sprintf("%s of this period is covered, %s of the one before", percent(share), percent(then))
	default:
		change := b.Total.Amount - b.Before.Amount
		b.Change = &change
	}
}

// still tells whether the spend is what it was, to 1 %; not to know is not to be still.
func (b Bill) still() bool {
	return b.Change != nil && max(*b.Change, -*b.Change)*100 <= b.Before.Amount
}

func hours(d time.Duration) Hours      { return Hours(d / time.Second) }
func (h Hours) of(whole Hours) float64 { return float64(h) / float64(whole) }

// String is the length for people: "167.5 h"; below an hour "12 min".
func (h Hours) String() string {
	if h > 0 && h < 3600 {
		return fmt.Sprintf("%d min", (h+30)/60)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(h)/3600), ".0") + " h"
}

// models is every workload that cost something in either period or is in the plan, the dearest first.
func models(p optimizer.Plan, now, then cost.Spend) []Model {
	byRef := map[fleet.Ref]Model{}
	for _, l := range now.Lines {
		m := byRef[l.Ref]
		m.Cost, m.Noted = l.Line.Cents(), true
		byRef[l.Ref] = m
	}
	for _, l := range then.Lines {
		m := byRef[l.Ref]
		m.Before = l.Line.Cents()
		byRef[l.Ref] = m
	}
	for _, a := range p.Assessments {
		byRef[a.Ref] = byRef[a.Ref].assessed(a)
	}
	out := make([]Model, 0, len(byRef))
	for ref, m := range byRef {
		m.Ref, m.Name, m.State = ref, ref.String(), cmp.Or(m.State, "gone: no longer in the plan")
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int {
		return cmp.Or(cmp.Compare(b.Cost.Amount, a.Cost.Amount), cmp.Compare(b.Month.Amount, a.Month.Amount), a.Ref.Compare(b.Ref))
	})
	return out
}

// assessed is m with what the plan says of its workload.
func (m Model) assessed(a optimizer.Assessment) Model {
	m.Month, m.State, m.Unreal = a.Now.Cents(), state(a), a.Simulated
	for _, u := range a.Use {
		if u.Signal == fleet.Requests && u.Container == "" {
			m.Rate, m.Known = u.Total, true
			m.PerThou = perThousand(a.Now, u.Total)
		}
	}
	return m
}

// perThousand is what 1,000 requests cost at a rate a second: a month has 730 hours. No requests have no
// such price.
func perThousand(month cost.Line, rate float64) cost.Line {
	if rate <= 0 {
		return cost.Line{}
	}
	perMonth := rate * cost.MonthHours * 3600
	return cost.Line{Amount: cost.Money(float64(month.Amount)*1000/perMonth + 0.5), Unpriced: month.Unpriced}
}

// state is how a workload stands in the plan.
func state(a optimizer.Assessment) string {
	changed := false
	for _, v := range a.Verdicts {
		changed = changed || !v.Held()
	}
	switch {
	case changed:
		return "a change is proposed"
	case len(a.Advice) > 0:
		return "advice: " + string(a.Advice[0].Reason)
	case len(a.Holds) > 0:
		return "held: " + string(a.Holds[0].Reason)
	}
	for _, v := range a.Verdicts {
		return "held: " + string(v.Holds[0].Reason)
	}
	return "asks for what it needs"
}

// others is several models as one.
func others(rest []Model) *Model {
	sum := Model{Name: fmt.Sprintf("%d more", len(rest)), State: "the others"}
	for _, m := range rest {
		sum.Noted = sum.Noted || m.Noted
		sum.Cost, sum.Before, sum.Month = sum.Cost.Add(m.Cost), sum.Before.Add(m.Before), sum.Month.Add(m.Month)
	}
	return &sum
}

func capped[T any](all []T, most int) []T { return all[:min(len(all), most)] }
