package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/recommender"
)

// ExplainText writes how one workload of a plan was judged, a step after the other: what was measured,
// how each number came about, what admission made of it, and what would be changed.
func ExplainText(w io.Writer, a optimizer.Assessment, plan optimizer.Plan) error {
	p := &printer{}
	p.old(plan.Old)
	p.line("%s", a.Ref)
	p.line("%s", about(a))
	p.line("as of %s", plan.At.UTC().Format(stamp))
	if plan.Simulated { // also of a workload on real nodes: a price may be that of a node that is not
		p.line("%s", marked(unreal(plan, "")))
	}
	p.measured(a)
	for _, h := range a.Holds {
		p.line("")
		p.field(0, "HELD", label, held{Detail: h.Detail, Reason: h.Reason}.text())
	}
	for i, v := range a.Verdicts {
		p.verdict(i+1, v)
	}
	for i, text := range newCard(a).Advice {
		p.advised(a.Advice[i], text)
	}
	for _, f := range a.Fine {
		p.fine(f)
	}
	if len(a.Verdicts) == 0 && len(a.Holds) == 0 && len(a.Fine) == 0 && len(a.Advice) == 0 {
		p.line("")
		p.line("No rule finds anything to change.")
	}
	p.change(a, plan)
	return p.to(w)
}

func (p *printer) measured(a optimizer.Assessment) {
	p.line("")
	if len(a.Use) == 0 {
		p.line("MEASURED  nothing")
		return
	}
	last := a.Use[0]
	p.line("MEASURED  %s to %s, mean and percentiles of the busiest replica", last.From.UTC().Format(stamp), last.To.UTC().Format(stamp))
	rows := [][]string{{"of", "signal", "mean", "p50", "percentile", "peak", "all pods", "readings", "pods", "covered"}}
	for _, u := range a.Use {
		rows = append(rows, useRow(u))
	}
	p.table(rows)
}

func useRow(u recommender.Use) []string {
	of := u.Container
	if of == "" {
		of = "pod"
	}
	in := func(v float64) string { return amount(u.Signal, v) }
	half, high := in(u.P50), in(u.Percentile)
	if u.Plain {
		half, high = "-", "-"
	}
	return []string{of, string(u.Signal), in(u.Mean), half, high, in(u.Peak), in(u.Total),
		fmt.Sprint(u.Samples), fmt.Sprint(u.Pods), percent(u.Coverage)}
}

func (p *printer) table(rows [][]string) {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
	for _, l := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		p.line("  %s", strings.TrimRight(l, " "))
	}
}

// advised is what people could do, with the numbers that say so.
func (p *printer) advised(a optimizer.Advice, text advised) {
	p.line("")
	p.line("ADVICE    %s, from %s of data; Trimtab changes none of it", a.Reason, span(a.Confidence))
	p.advice(text)
	p.steps(a.Steps)
}

// fine is a rule that asks for nothing, with the numbers that say so.
func (p *printer) fine(f recommender.Finding) {
	p.line("")
	p.line("FINE      no %s", f.Reason)
	p.field(indent, "because", label, f.Why)
	p.steps(f.Steps)
}

func (p *printer) steps(steps []recommender.Step) {
	rows := make([][]string, 0, len(steps))
	for _, s := range steps {
		rows = append(rows, []string{s.Subject, s.Name, s.Value})
	}
	if len(rows) > 0 {
		p.table(rows)
	}
}

func (p *printer) verdict(n int, v optimizer.Verdict) {
	r := v.Recommendation
	p.line("")
	p.line("%d. %s, from %s of data", n, r.Reason, span(r.Confidence))
	p.field(indent, "because", label, r.Evidence)
	p.steps(r.Steps)
	for _, t := range v.Trims {
		p.field(indent, "trimmed", label, t.String())
	}
	for _, h := range v.Holds {
		p.field(indent, "held", label, held{Detail: h.Detail, Reason: h.Reason}.text())
	}
	if !v.Held() {
		p.field(indent, "verdict", label, "proposed; alone: "+delta(v.Saving, cost.Line{}, " a month"))
	}
}

func (p *printer) change(a optimizer.Assessment, plan optimizer.Plan) {
	p.line("")
	for i, c := range plan.Changes {
		if c.Ref != a.Ref {
			continue
		}
		p.line("CHANGE    %d of %d in the plan, mode %s", i+1, len(plan.Changes), c.Mode)
		p.fields(indent, "", label-indent, moves(c.From, c.To))
		p.field(indent, "", label-indent, newCard(a).Cost)
		return
	}
	p.line("CHANGE    none; it costs %s", newCard(a).Cost)
}
