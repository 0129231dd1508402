package reports

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

func (r Report) proposed() section {
	s := section{Title: "What is proposed"}
	if len(r.Proposed) == 0 {
		s.Note = "Nothing now."
	}
	if len(r.Proposed) > 0 {
		s.Note = "`trimtab revert` takes any of them back."
	}
	for _, p := range r.Proposed {
		s.Items = append(s.Items, p.item())
	}
	if f := r.Further; f.Count > 0 {
		s.Items = append(s.Items, item{Head: fmt.Sprintf("%d more in `trimtab plan`", f.Count), Right: worth(f.Saving), Good: f.Saving.Amount > 0})
	}
	return s
}

func (p Proposal) item() item {
	i := item{Head: p.Ref.String() + ": " + p.What, Right: worth(p.Saving), Good: p.Saving.Amount > 0, Command: p.Command}
	i.Lines = append(i.Lines, p.Why...)
	if p.Data != "" {
		i.Lines = append(i.Lines, p.Data)
	}
	for _, risk := range p.Risk {
		i.Lines = append(i.Lines, "risk: "+risk)
	}
	if p.Note != "" {
		i.Lines = append(i.Lines, p.Note)
	}
	return i
}

func (r Report) advice() section {
	s := section{Title: "What people must decide"}
	for _, a := range r.Advice {
		i := item{Head: a.Ref.String() + ": " + a.Text, Lines: []string{a.Evidence}}
		if a.Saving.Amount != 0 || len(a.Saving.Unpriced) > 0 {
			i.Right = worth(a.Saving) + ", not counted as claimed"
		}
		s.Items = append(s.Items, i)
	}
	return s
}

// models is the table of what every model cost; a column of changes only where they are known.
func (r Report) models() section {
	if len(r.Models) == 0 {
		return section{}
	}
	t := &table{Columns: []string{"Model", "Cost", "A month"}}
	compared := r.Spend.Change != nil
	if compared {
		t.Columns = []string{"Model", "Cost", "Change", "A month"}
	}
	most := r.Models[0].weight()
	rows := r.Models
	if r.Others != nil {
		rows = append(rows[:len(rows):len(rows)], *r.Others)
	}
	for _, m := range rows {
		t.Rows = append(t.Rows, m.row(compared, most))
	}
	sum := Model{Name: "Sum", Noted: r.Spend.Covered > 0, Cost: r.Spend.Total, Before: r.Spend.Before, Month: r.Spend.Month}
	t.Sum = sum.row(compared, 0)
	return section{Title: "Models", Note: "Cost in this period, the dearest first; a month at the present rate.", Table: t}
}

// weight is what a model's bar is long by.
func (m Model) weight() cost.Money { return max(m.Cost.Amount, 0) }

func (m Model) row(compared bool, most cost.Money) cells {
	c := cells{Name: m.Name, Note: m.note()}
	spent := "–"
	if m.Noted {
		spent = brief(m.Cost)
	}
	c.Cells = append(c.Cells, spent)
	if compared {
		c.Cells = append(c.Cells, signed(m.Cost.Amount-m.Before.Amount))
	}
	c.Cells = append(c.Cells, brief(m.Month))
	if most > 0 {
		c.Bar = int(min(100, m.weight()*100/most))
	}
	return c
}

func (m Model) note() string {
	state := m.State
	if m.Unreal {
		state += "; " + simulated + " nodes"
	}
	if m.Known {
		s := number(m.Rate) + " requests/s"
		if m.PerThou.Amount > 0 {
			s += " at " + small(m.PerThou.Amount) + " per 1,000"
		}
		return s + "; " + state
	}
	return state
}

// small is an amount below a dollar with three digits that count: "$0.0000312"; from a cent on in cents.
func small(m cost.Money) string {
	if m >= cost.Dollar/10 {
		return m.String()
	}
	unit := cost.Money(1)
	for m/unit >= 1000 {
		unit *= 10
	}
	return (m.Times(1, int64(unit)) * unit).Exact()
}

func (r Report) objects() section {
	s := section{Title: "What Trimtab owns"}
	for _, o := range r.Objects {
		i := item{Head: o.Name, Right: o.State, Lines: []string{"asked for by " + o.Asks}}
		if o.Detail != "" {
			i.Lines = append(i.Lines, o.Detail)
		}
		s.Items = append(s.Items, i)
	}
	if r.AsAsked > 0 {
		s.Note = fmt.Sprintf("And %s, as %s.", fleet.Count(r.AsAsked, "further object"), asks(r.AsAsked))
		if len(r.Objects) == 0 {
			s.Note = fmt.Sprintf("%s, as %s.", fleet.Count(r.AsAsked, "object"), asks(r.AsAsked))
		}
	}
	if len(s.Items) == 0 && s.Note == "" {
		return section{}
	}
	return s
}

func asks(n int) string {
	if n == 1 {
		return "its document asks"
	}
	return "their documents ask"
}

func (r Report) lint() section {
	if len(r.Lint) == 0 {
		return section{}
	}
	return section{Title: "Quotas and limit ranges", Note: "What will not do what it seems to.", Lines: r.Lint}
}

func (r Report) unknown() section {
	if len(r.Unknown) == 0 {
		return section{Title: "Not known", Note: "Nothing is missing: every hour is covered, every model is measured and priced."}
	}
	return section{Title: "Not known", Note: "What no number above knows of.", Lines: r.Unknown}
}
