package simulator_test

import (
	"bytes"
	"io"
	"testing"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/simulator"
	"trimtab.dev/trimtab/reports"
)

// What a newcomer sees first, whole: the summary, the plan, the explanation and the page of the
// built-in fleet.
func TestBuiltinOutput(t *testing.T) {
	r, err := simulator.Whole()
	if err != nil {
		t.Fatal(err)
	}
	m := reports.Simulation{
		Fleet: r.Fleet, Start: r.Start, End: r.End, Settled: r.Settled, Quiet: r.Quiet,
		Plan: r.Plan, After: r.After, Refused: r.Refused,
	}
	for _, c := range r.Checks {
		m.Checks = append(m.Checks, reports.Check(c))
	}
	same(t, "summary.golden", func(w io.Writer) error { return reports.SimulationText(w, m, "page.html") })
	same(t, "plan.golden", func(w io.Writer) error { return reports.PlanText(w, m.Plan) })
	same(t, "explain.golden", func(w io.Writer) error { return explain(w, m.Plan, "recommendation-model", "lead-scoring") })
	same(t, "page.golden.html", func(w io.Writer) error { return reports.SimulationHTML(w, m) })
}

func explain(w io.Writer, p optimizer.Plan, names ...string) error {
	for _, name := range names {
		for _, a := range p.Assessments {
			if a.Ref.Name != name {
				continue
			}
			if err := reports.ExplainText(w, a, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func same(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, name, got.String())
}
