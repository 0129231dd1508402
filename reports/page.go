package reports

import (
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// PlanPage writes a plan as one page that needs nothing else: no scripts, images or fonts. Home is where
// the report is; empty: nowhere.
func PlanPage(w io.Writer, plan optimizer.Plan, home string) error {
	p := newPage(Summarize(plan), plan)
	p.Home = home
	return write(w, p)
}

// SimulationHTML writes the same page of a simulated fleet, with what its changes came to.
func SimulationHTML(w io.Writer, m Simulation) error {
	return write(w, newPage(m.Summary(), m.Plan))
}

// page is what the template prints: every value a text that is ready to be read.
type page struct {
	Title, Span, Home  string
	Simulated          bool
	FromSimulation     bool // of a whole fleet, not of a cluster with some nodes that are not real
	Now, After, Saving string
	Per                Span
	Outcome            string
	Bar                int // the after of the now, in hundredths
	Top                []row
	GPU                string
	Rows               []row
	Checks             []checkRow
	Notes              []string
	View               view
}

type row struct {
	Name, Now, After, Saving, Delta string
	Costs                           bool // more than now
	Moves, Why                      []string
}

type checkRow struct{ Name, CPU, Memory, Kills string }

func newPage(s Summary, p optimizer.Plan) page {
	v := newView(p)
	out := page{
		Title: "Trimtab plan", Span: "of " + v.At + ", " + v.Through, Simulated: s.Simulated,
		Now: brief(s.Now), After: brief(s.After), Outcome: outcome(s.Now, s.After), Bar: bar(s.Now, s.After), Per: s.Per,
		GPU: s.GPU, Notes: slices.Clone(s.Notes), View: v, FromSimulation: s.Fleet != "",
		Saving: saving(Line{Now: s.Now, After: s.After}),
	}
	if s.Fleet != "" {
		out.Title = "Trimtab on the fleet " + s.Fleet
		out.Span = fmt.Sprintf("%s, observed from %s to %s", fleet.Count(s.Models, "model"), s.From.Format(time.DateOnly), s.To.Format(time.DateOnly))
	}
	if missing := s.Now.Sub(s.After).Unpriced; len(missing) > 0 {
		out.Notes = append(out.Notes, "no price is known for "+strings.Join(missing, ", ")+": a question mark stands for it, and no sum counts it")
	}
	for _, l := range s.Actions(top) {
		out.Top = append(out.Top, newRow(l, s.Per))
	}
	for _, l := range s.Lines {
		out.Rows = append(out.Rows, newRow(l, s.Per))
	}
	for _, k := range s.Checks {
		out.Checks = append(out.Checks, checkRow{k.Ref.String(), percent(k.share(k.CPUOver)), percent(k.share(k.MemoryOver)), fmt.Sprint(k.OOM)})
	}
	return out
}

func newRow(l Line, per Span) row {
	return row{Name: l.Ref.String(), Now: brief(l.Now), After: brief(l.After), Saving: saving(l), Delta: delta(l.Now, l.After, " a "+string(per)), Moves: l.Moves, Why: l.Why, Costs: l.Saving().Amount < 0}
}

// saving fits a cell: a dash where nothing changes, a question mark where a price is missing.
func saving(l Line) string {
	d := l.Saving()
	switch {
	case len(d.Unpriced) > 0:
		return "?"
	case d.Amount == 0:
		return "–"
	}
	return d.String()
}

// bar is how many hundredths of now are left, at most 100.
func bar(now, after cost.Line) int {
	if now.Amount <= 0 {
		return 100
	}
	return int(min(100, max(0, after.Amount*100/now.Amount)))
}

func write(w io.Writer, p page) error {
	t := template.Must(template.New("page").Funcs(template.FuncMap{"join": strings.Join, "arrows": arrows}).Parse(pageTemplate)) // unreachable unless bug
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// arrows are what "->" means where every character can be shown.
func arrows(s string) string { return strings.ReplaceAll(s, " -> ", " → ") }
