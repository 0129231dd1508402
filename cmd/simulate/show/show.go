// Package show is the simulation as a command: cmd/simulate and `trimtab simulate` are the same code.
package show

import (
	"context"
	"errors"
	"io"
	"os"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/simulator"
	"trimtab.dev/trimtab/reports"
)

// Run simulates what args ask for, prints the result to out and writes its page. What is wrong with
// args goes to diag; the error is then simulator.ErrUsage or flag.ErrHelp, and simulator.Faults for a
// fleet file.
func Run(ctx context.Context, args []string, out, diag io.Writer) error {
	a, err := simulator.ParseArgs(args, diag)
	if err != nil {
		return err
	}
	r, err := a.Run(ctx, cost.Builtin())
	if err != nil {
		return err
	}
	m := simulation(r)
	if a.Page != "" {
		if err := writePage(a.Page, m); err != nil {
			return err
		}
	}
	if a.JSON {
		return reports.SimulationJSON(out, m)
	}
	if err := reports.SimulationText(out, m, a.Page); err != nil || a.Brief {
		return err
	}
	_, err = io.WriteString(out, next)
	return err
}

const next = `
next      make demo: real machinery on this computer. This was level 1 of 3, a simulation: not level
          2 (a real control plane, simulated nodes) and not level 3 (real pods, measured).
`

// simulation hands the simulator's result to the reports, which do not know the simulator.
func simulation(r simulator.Result) reports.Simulation {
	m := reports.Simulation{
		Fleet: r.Fleet, Start: r.Start, End: r.End, Settled: r.Settled, Quiet: r.Quiet,
		Plan: r.Plan, After: r.After, Refused: r.Refused,
	}
	for _, c := range r.Checks {
		m.Checks = append(m.Checks, reports.Check(c))
	}
	return m
}

func writePage(name string, m reports.Simulation) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(reports.SimulationHTML(f, m), f.Close())
}
