package reports

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer/cost"
)

// delta says how a line changes, over a period such as " a week": "saves $3.10 a week", "costs $1.00
// more a week", or that it cannot be known.
func delta(now, after cost.Line, period string) string {
	d := now.Sub(after)
	switch {
	case len(d.Unpriced) > 0:
		return "saving unknown, a price is missing"
	case d.Amount < 0:
		return "costs " + (-d.Amount).String() + " more" + period
	case d.Amount == 0:
		return "no change in cost"
	}
	return "saves " + d.String() + period
}

// relief is ": saves $3.10 a month" of advice; nothing where it is not known what would be freed.
func relief(saving cost.Line, per Span) string {
	if saving.Amount == 0 && len(saving.Unpriced) == 0 {
		return ""
	}
	return ": " + delta(saving, cost.Line{}, " a "+string(per))
}

// outcome is delta for a sum, of which a part may have no price, with the part of it that is saved.
func outcome(now, after cost.Line) string {
	lead := ""
	if len(now.Unpriced)+len(after.Unpriced) > 0 {
		lead = "of what has a price, "
		now.Unpriced, after.Unpriced = nil, nil
	}
	s := lead + delta(now, after, "")
	if part := less(now, after); part != "" {
		s += " (" + part + ")"
	}
	return s
}

// brief fits a cell: what has no price is a question mark, which a note explains.
func brief(l cost.Line) string {
	switch {
	case len(l.Unpriced) == 0:
		return l.Amount.String()
	case l.Amount == 0:
		return "?"
	}
	return l.Amount.String() + " + ?"
}

// less is the part of now that is saved, "14 % less"; empty where it cannot be told.
func less(now, after cost.Line) string {
	d := now.Sub(after)
	if len(d.Unpriced) > 0 || now.Amount <= 0 || d.Amount == 0 {
		return ""
	}
	share := float64(d.Amount) / float64(now.Amount)
	if share < 0 {
		return fmt.Sprintf("%s more", percent(-share))
	}
	return fmt.Sprintf("%s less", percent(share))
}
