package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
)

func printSearched(all []searched) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "scenario\tSLO\tsearch\tchoice\tp99 ms\tcores\t$ a month\tover the best\tby repeats\tp99 again\tover the best again\t\n")
	for _, s := range all {
		for _, row := range s.rows() {
			if row.nothing() {
				fmt.Fprintf(w, "%s\t%s\t%s\tnothing keeps the SLO\t\t\t\t\t\t\t\t\n", s.scenario, s.SLO, row.name)
				continue
			}
			if row.at < 0 {
				s.printBeyond(w, row)
				continue
			}
			o := s.points[row.at]
			low, high := s.apart(row.found)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t%.3f\t%.2f\t%.1f %%\t%.1f to %.1f %%\t%s\t\n", s.scenario, s.SLO, row.name, o.place, 1e3*o.P99, o.Used, o.month(),
				100*s.over(row.found), 100*low, 100*high, s.againCells(row.found))
		}
	}
	w.Flush()
}

// printBeyond prints the row of a choice that the sweep has no windows of: its use is that of the turns.
func (s searched) printBeyond(w io.Writer, row searchRow) {
	used, month := "-", "-"
	if o, ran := s.again[row.beyond]; ran {
		used, month = fmt.Sprintf("%.3f", o.Used), fmt.Sprintf("%.2f", o.month())
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t-\t%s\t%s\t-\t-\t%s\t\n", s.scenario, s.SLO, row.name, row.beyond, used, month, s.againCells(row.found))
}

// againCells are the cells of a row about what a choice did when it ran again.
func (s searched) againCells(f found) string {
	o, ran := s.again[f.place()]
	if !ran {
		return "-\t-"
	}
	over, ok := s.overAgain(f, evenly)
	if !ok {
		return fmt.Sprintf("%.2f\tthe best broke its SLO", 1e3*o.P99)
	}
	return fmt.Sprintf("%.2f\t%.1f %%", 1e3*o.P99, 100*over)
}

// searchRow is a search with what it found.
type searchRow struct {
	name string
	found
}

// rows are the searches of a scenario. Looks from which the plan chooses alike share one.
func (s searched) rows() []searchRow {
	all := []searchRow{{"whole sweep", s.best}}
	for _, way := range []struct {
		name  string
		plans []found
	}{{"plan", s.free}, {"plan on the grid", s.told}, {"the same by windows", s.sure}, {"at even odds", s.even}} {
		looks := map[found][]string{}
		var met []found
		for k, p := range way.plans {
			if len(looks[p]) == 0 {
				met = append(met, p)
			}
			looks[p] = append(looks[p], strconv.Itoa(k+1))
		}
		for _, p := range met {
			all = append(all, searchRow{way.name + ", look " + strings.Join(looks[p], ", "), p})
		}
	}
	return append(all, searchRow{"hill climbing", s.hill})
}

// optimumFigures records what the choices cost over the optimum, ours beside hill climbing's.
func (t *tuner) optimumFigures(all []searched) error {
	if len(overs(all, hillOf)) == 0 {
		return errors.New("nothing keeps its SLO in any scenario: there is no optimum to compare with")
	}
	return errors.Join(
		t.againFigures(all), t.sureFigure(all), t.shareFigure(all),
		t.wayFigures(all, "grid", "among the points of the grid", func(s searched) []found { return s.told }),
		t.wayFigures(all, "grid_by_windows", "among the points of the grid, by windows instead of the curves that servers published", func(s searched) []found { return s.sure }),
		t.wayFigures(all, "even", "among the points of the grid, asked for an even chance of keeping the SLO, as the best of a sweep has", func(s searched) []found { return s.even }))
}

// climbing is what the plan is compared with.
const climbing = "hill climbing as in Model Analyzer"

// sureFigure records what plans cost over a best that kept its SLO as surely as a plan has to.
func (t *tuner) sureFigure(all []searched) error {
	var sure []float64
	for _, s := range all {
		for _, p := range s.told {
			if over, ok := s.overSure(p); ok && s.best.at >= 0 {
				sure = append(sure, min(100*over, brokenCost))
			}
		}
	}
	if len(sure) == 0 {
		return nil
	}
	median, _ := summary(sure)
	return t.tuned("cost_over_sure_pct", median, fmt.Sprintf("%% over the cheapest that kept the SLO in every window, as a plan promises to in 95 of 100; it may be below 0; median of %d plans among the points of the grid", len(sure)))
}

// shareFigure records how many of the sweep's windows a choice took: of ours the first look's, each once; hill climbing
// chose by all repeats of each point that it went to.
func (t *tuner) shareFigure(all []searched) error {
	var climbed []float64
	for _, s := range all {
		climbed = append(climbed, 100*float64(s.hill.measured)/float64(len(s.points)))
	}
	hill, _ := summary(climbed)
	windows := 1 + len(t.survey.Classes) + len(t.survey.Places)*len(t.sweep) // without load; of light load; of each scenario's
	sweep := len(t.survey.Rounds) * len(t.outcomes)
	return t.beside("measurements_share_pct", 100*float64(windows)/float64(sweep), fmt.Sprintf("%% of the sweep's %d windows", sweep), climbing, hill)
}

// brokenCost stands for the cost of a broken promise, which is infinite: ten times the best, in a form that JSON can carry.
const brokenCost = 900 // % over the best
