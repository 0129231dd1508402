package reports_test

import (
	"slices"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/reports"
)

// Every sum and difference in a summary is right in whole cents.
func TestSummaryAddsUp(t *testing.T) {
	for _, s := range []reports.Summary{reports.Summarize(plan()), simulation().Summary()} {
		var now, after, saving cost.Money
		for i, l := range s.Lines {
			now, after, saving = now+l.Now.Amount, after+l.After.Amount, saving+l.Saving().Amount
			if l.Now.Amount%(cost.Dollar/100) != 0 || l.After.Amount%(cost.Dollar/100) != 0 {
				t.Errorf("%s: %d and %d are not whole cents", l.Ref, l.Now.Amount, l.After.Amount)
			}
			if i > 0 && l.Saving().Amount > s.Lines[i-1].Saving().Amount {
				t.Errorf("%s saves more than the one before it", l.Ref)
			}
		}
		if now != s.Now.Amount || after != s.After.Amount || now-after != saving {
			t.Errorf("lines add up to %s, %s and %s, the summary says %s and %s", now, after, saving, s.Now, s.After)
		}
		if len(s.Now.Unpriced) != 1 {
			t.Error("the summary hides what has no price")
		}
	}
}

// A plan's costs are a month's. A week is 168 of a month's 730 hours: 150 × 168 / 730 = 34.5205 dollars.
func TestSpans(t *testing.T) {
	for _, c := range []struct {
		s    reports.Summary
		per  reports.Span
		want string
	}{{reports.Summarize(plan()), reports.Month, "$150.00"}, {simulation().Summary(), reports.Week, "$34.52"}} {
		i := slices.IndexFunc(c.s.Lines, func(l reports.Line) bool { return l.Ref.Name == "ranking" })
		if got := c.s.Lines[i].Now.String(); got != c.want || c.s.Per != c.per {
			t.Errorf("$150 a month is %s a %s, want %s a %s", got, c.s.Per, c.want, c.per)
		}
	}
}

// What a later plan changed is not said to be held: a note tells why the plan that is shown leaves it alone.
func TestChangedByALaterPlan(t *testing.T) {
	m := simulation()
	i := slices.IndexFunc(m.Plan.Assessments, func(a optimizer.Assessment) bool { return len(a.Verdicts) == 0 && len(a.Holds) > 0 })
	ref := m.Plan.Assessments[i].Ref
	isHeld := func(s reports.Summary) bool {
		return slices.ContainsFunc(s.Held, func(h reports.Held) bool { return h.Ref == ref })
	}
	if !isHeld(m.Summary()) {
		t.Fatalf("%s is not held", ref)
	}
	m.After.Assessments = slices.Clone(m.After.Assessments)
	for k, a := range m.After.Assessments {
		if a.Ref == ref {
			m.After.Assessments[k].Workload.Replicas++
		}
	}
	s := m.Summary()
	if isHeld(s) || !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.HasPrefix(n, ref.String()+" is changed by a later plan") }) {
		t.Errorf("held %v, notes %q", s.Held, s.Notes)
	}
}
