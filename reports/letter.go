package reports

import (
	"cmp"
	"fmt"
	"strings"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// letter is a report in words, laid out for reading. Text and HTML print the same letter, so that they
// cannot say different numbers.
type letter struct {
	Title, Span string
	Marks       []mark
	Verdict     string
	Tiles       []tile
	Sections    []section
	Method      []string
}

// mark is what must be known before anything else: OLD, SIMULATED.
type mark struct{ Word, Text string }

type tile struct{ Label, Value, Note string }

// section is one part of a letter, of items, a table or plain lines.
type section struct {
	Title, Note string
	Items       []item
	Table       *table
	Lines       []string
}

// item is one deed, proposal or object.
type item struct {
	Head, Right string
	Good        bool // Right is good news
	Lines       []string
	Command     string
}

// table has a name and as many cells in each row as there are Columns after the first.
type table struct {
	Columns []string
	Rows    []cells
	Sum     cells
}

// Wide is how many columns there are.
func (t table) Wide() int { return len(t.Columns) }

type cells struct {
	Name, Note string
	Cells      []string
	Bar        int // hundredths
}

// Subject is the report in one line.
func (r Report) Subject() string {
	s := "[trimtab"
	if r.Name != "" {
		s += " " + r.Name
	}
	s += "] "
	if r.Simulated {
		s += simulated + " "
	}
	s += r.Period.Words() + ": " + r.spent()
	if c := r.Spend.Change; c != nil {
		s += " (" + signed(*c) + share(*c, r.Spend.Before.Amount) + ")"
	}
	if n := len(r.Proposed) + r.Further.Count; n > 0 {
		return s + fmt.Sprintf(", %s worth %s a month", fleet.Count(n, "proposal"), brief(r.Savings.Claimed))
	}
	if n := len(r.Advice); n > 0 {
		return s + ", " + fleet.Count(n, "thing") + " to decide"
	}
	return s + ", nothing to decide"
}

// Key names the period in file names and Message-IDs.
func (r Report) Key() string { return r.Period.Key }

// spent is the bill for people: an amount, or that nobody knows.
func (r Report) spent() string {
	if r.Spend.Covered == 0 {
		return "spend unknown"
	}
	return brief(r.Spend.Total)
}

// signed is a difference with its sign, "+$0.70".
func signed(m cost.Money) string {
	if m > 0 {
		return "+" + m.String()
	}
	return m.String()
}

// share is a difference as a part of what was before, ", +6.0 %"; empty where there was nothing.
func share(change, before cost.Money) string {
	if before <= 0 || change == 0 {
		return ""
	}
	sign := "+"
	if change < 0 {
		sign, change = "-", -change
	}
	return ", " + sign + percent(float64(change)/float64(before))
}

func newLetter(r Report) letter {
	l := letter{Title: "Trimtab report", Span: r.Period.Exact(), Verdict: r.verdict(), Tiles: r.tiles(), Method: r.Method}
	if r.Name != "" {
		l.Title += " " + r.Name
	}
	l.Title += ": " + r.Period.Words()
	if len(r.Namespaces) > 0 {
		l.Span += "; namespaces " + strings.Join(r.Namespaces, ", ")
	}
	if r.Old != "" {
		l.Marks = append(l.Marks, mark{"OLD", r.Old})
	}
	if r.Simulated {
		l.Marks = append(l.Marks, mark{simulated, cmp.Or(r.Unreal, someUnreal)}) // a daemon before Unreal says no more
	}
	for _, s := range []section{r.done(), r.proposed(), r.advice(), r.models(), r.objects(), r.lint(), r.unknown()} {
		if len(s.Items)+len(s.Lines) > 0 || s.Table != nil || s.Note != "" {
			l.Sections = append(l.Sections, s)
		}
	}
	return l
}

// verdict is the report in a few sentences; the first one says it all.
func (r Report) verdict() string {
	b := r.Spend
	var out []string
	if r.Quiet {
		out = append(out, "Nothing changed.")
	}
	switch {
	case b.Covered == 0:
		out = append(out, "What was spent is not known: no pass was made in this period.")
	case b.Change == nil:
		out = append(out, fmt.Sprintf("%s spent; no comparison: %s.", brief(b.Total), b.Why))
	case *b.Change == 0:
		out = append(out, fmt.Sprintf("%s spent, exactly as much as in the period before.", brief(b.Total)))
	default:
		word, by := "more", *b.Change
		if by < 0 {
			word, by = "less", -by
		}
		out = append(out, fmt.Sprintf("%s spent, %s %s than in the period before (%s%s).", brief(b.Total), by, word, brief(b.Before), share(*b.Change, b.Before.Amount)))
	}
	out = append(out, fmt.Sprintf("At the present rate a month costs %s.", brief(b.Month)))
	complete := fmt.Sprintf("%s of %s are covered", b.Covered, b.Asked)
	if b.Unpriced > 0 {
		return strings.Join(append(out, fmt.Sprintf("%s; no whole price is known of %d of %s.", complete, b.Unpriced, fleet.Count(b.Models, "model"))), " ")
	}
	return strings.Join(append(out, complete+"."), " ")
}

func (r Report) tiles() []tile {
	spent := tile{"spent in this period", r.spent(), "no comparison: " + r.Spend.Why}
	if r.Spend.Covered == 0 {
		spent.Value = "unknown"
	}
	if c := r.Spend.Change; c != nil {
		spent.Note = signed(*c) + share(*c, r.Spend.Before.Amount) + " against the one before"
	}
	n := len(r.Proposed) + r.Further.Count
	return []tile{
		spent,
		{"a month at the present rate", brief(r.Spend.Month), fleet.Count(r.Spend.Models, "model")},
		{"applied: saved a month", brief(r.Savings.Applied), "by changes of this period that stand; " + brief(r.Savings.Standing) + " by all"},
		{"claimed: could be saved", brief(r.Savings.Claimed), "a month, by " + fleet.Count(n, "proposal")},
	}
}

func (r Report) done() section {
	s := section{Title: "What was done"}
	for _, d := range r.Deeds {
		s.Items = append(s.Items, d.item())
	}
	switch {
	case r.Earlier > 0:
		s.Note = fmt.Sprintf("The last %d; %d earlier ones are in `trimtab history`.", len(r.Deeds), r.Earlier)
	case len(r.Deeds) == 0:
		s.Note = "Nothing in this period."
	}
	return s
}

func (d Deed) item() item {
	i := item{Head: d.Ref.String() + ": " + d.What, Right: d.Status + ", " + d.At.Format("Mon 2 Jan 15:04"), Good: d.Counts}
	which := "change " + d.ID
	if d.By != "" {
		which += ", asked for by " + d.By
	}
	i.Lines = append(i.Lines, which)
	switch {
	case d.Saving.Amount == 0 && len(d.Saving.Unpriced) == 0:
	case d.Counts:
		i.Lines = append(i.Lines, "counts as "+worth(d.Saving))
	case d.Status == "done" || d.Status == "under way":
		i.Lines = append(i.Lines, "expected: "+worth(d.Saving))
	}
	if d.Detail != "" {
		i.Lines = append(i.Lines, d.Detail)
	}
	return i
}

// worth is a saving a month in words: "$3.10 a month saved", "$1.00 a month more".
func worth(l cost.Line) string {
	switch {
	case len(l.Unpriced) > 0:
		return "a saving that is not known, a price is missing"
	case l.Amount < 0:
		return (-l.Amount).String() + " a month more"
	case l.Amount == 0:
		return "no change in cost"
	}
	return l.Amount.String() + " a month saved"
}
