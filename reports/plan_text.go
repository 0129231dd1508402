package reports

import (
	"fmt"
	"io"

	"trimtab.dev/trimtab/optimizer"
)

const (
	indent = 2
	label  = 10
)

// PlanText writes a plan for people: what should change and why, what is held back by what, what may
// stay as it is, and what is wrong with policies and namespaces.
func PlanText(w io.Writer, plan optimizer.Plan) error {
	v := newView(plan)
	p := &printer{}
	p.old(v.Old)
	p.heading("Trimtab plan of "+v.At, marked(v.Unreal))
	p.line("%s", v.Through)
	p.line("")
	p.field(0, "", 0, v.Total)
	p.section("CHANGE", v.Changed, v.Doing)
	p.section("ADVICE", v.Advised, "for people to decide; Trimtab changes none of it")
	p.section("HELD", v.Held, "left alone, and why")
	p.section("LEAVE", v.Fine, "these ask for what they need")
	p.bad(v.Bad)
	p.list("TROUBLES", v.Troubles, "what this pass could not do")
	p.list("OWNED", v.Owned, "what Trimtab keeps as its documents ask")
	p.list("QUOTAS AND LIMIT RANGES", v.Lint, "what will not do what it seems to")
	p.prices(v.Prices)
	return p.to(w)
}

// old says before anything else that a plan is not of now.
func (p *printer) old(why string) {
	if why != "" {
		p.field(0, "OLD", label, why)
		p.line("")
	}
}

func (p *printer) section(title string, cards []card, note string) {
	if len(cards) == 0 {
		return
	}
	p.line("")
	p.title(title, len(cards), note)
	for _, c := range cards {
		p.line("")
		p.card(c)
	}
}

func (p *printer) title(title string, n int, note string) {
	if note != "" {
		note = ": " + note
	}
	p.line("%s (%d)%s", title, n, note)
}

func (p *printer) card(c card) {
	p.line("%s", c.Name)
	p.field(indent, "what", label, c.About)
	p.fields(indent, "observed", label, c.Observed)
	p.fields(indent, "change", label, c.Moves)
	p.fields(indent, "because", label, c.Why)
	p.fields(indent, "trimmed", label, c.Trims)
	for _, a := range c.Advice {
		p.advice(a)
	}
	for _, h := range c.Holds {
		p.field(indent, "held", label, h.text())
	}
	p.field(indent, "cost", label, c.Cost)
	if c.Approve != "" {
		p.field(indent, "approve", label, c.Approve)
	}
}

func (p *printer) advice(a advised) {
	p.field(indent, "advice", label, a.Text)
	p.field(indent, "because", label, a.Because)
	p.field(indent, "first", label, a.Before)
}

func (h held) text() string {
	if h.What != "" {
		return fmt.Sprintf("%s: %s (%s)", h.What, h.Detail, h.Reason)
	}
	return fmt.Sprintf("%s (%s)", h.Detail, h.Reason)
}

func (p *printer) prices(rows []string) {
	if len(rows) == 0 {
		return
	}
	p.line("")
	p.title("PRICES", len(rows), "what the nodes cost by; a Prices document of yours goes before them")
	p.line("")
	for _, r := range rows {
		p.line("  - %s", r)
	}
}

func (p *printer) bad(all []fault) {
	if len(all) == 0 {
		return
	}
	p.line("")
	p.title("POLICIES WITH FAULTS", len(all), "")
	for _, b := range all {
		p.line("")
		p.line("%s", b.Source)
		p.fields(indent, "fault", label, b.Faults)
		p.field(indent, "effect", label, b.Effect)
	}
}

func (p *printer) list(title string, all []string, note string) {
	if len(all) == 0 {
		return
	}
	p.line("")
	p.title(title, len(all), note)
	p.line("")
	for _, l := range all {
		p.field(indent, "-", 2, l)
	}
}
