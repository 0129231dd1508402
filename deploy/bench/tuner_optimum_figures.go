package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func printSearched(all []searched) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "scenario\tSLO\tsearch\tchoice\tp99 ms\tcores\t$ a month\tover the best\tby repeats\tp99 again\tover the best again\t\n")
	for _, s := range all {
		for _, row := range s.rows() {
			if row.at < 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\tnothing keeps the SLO\t\t\t\t\t\t\t\t\n", s.scenario, s.SLO, row.name)
				continue
			}
			o := s.points[row.at]
			low, high := s.apart(row.found)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t%.3f\t%.2f\t%.1f %%\t%.1f to %.1f %%\t%s\t\n", s.scenario, s.SLO, row.name, o.place, 1e3*o.P99, o.Used, o.month(),
				100*s.over(row.found), 100*low, 100*high, s.againCells(row.found))
		}
		fmt.Fprintf(w, "%s\t%s\tplan, any delay\tbatch %d, %s, %g cores\t%.2f said\t%.3f said\t\tnot run\t\t\t\t\n", s.scenario, s.SLO,
			s.free.Setting.Batch, s.free.Setting.Delay, float64(s.free.Setting.CPU)/1000, 1e3*s.free.Prediction.P99.Value.Seconds(), s.free.Prediction.Cores)
	}
	w.Flush()
}

// againCells are the cells of a row about what a choice did when it ran again.
func (s searched) againCells(f found) string {
	o, ran := s.again[f.at]
	if !ran {
		return "-\t-"
	}
	over, ok := s.overAgain(f)
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
	}{{"plan", s.sure}, {"daemon's plan", s.told}, {"plan at even odds", s.even}} {
		looks := map[int][]string{}
		for k, p := range way.plans {
			looks[p.at] = append(looks[p.at], strconv.Itoa(k+1))
		}
		for _, at := range slices.Sorted(maps.Keys(looks)) {
			all = append(all, searchRow{way.name + ", look " + strings.Join(looks[at], ", "), found{at: at}})
		}
	}
	return append(all, searchRow{"hill climbing", s.hill})
}

// optimumFigures records what the choices cost over the optimum, ours beside hill climbing's.
func (t *tuner) optimumFigures(all, asRun []searched) error {
	ours, hill := overs(all, planOf), overs(all, hillOf)
	if len(ours) == 0 {
		return errors.New("nothing keeps its SLO in any scenario: there is no optimum to compare with")
	}
	raw, rawHill := overs(asRun, planOf), overs(asRun, hillOf)
	median := func(all []float64) float64 { m, _ := summary(all); return m }
	worst := func(all []float64) float64 { _, w := summary(all); return w }
	of := fmt.Sprintf("of %d plans, one from each look at each of %d scenarios, of which each was searched once by hill climbing", len(ours), len(hill))
	return errors.Join(
		t.beside("cost_over_optimum_pct", median(ours), "% over the sweep's best, median "+of, climbing, median(hill)),
		t.beside("cost_over_optimum_worst_pct", worst(ours), "%, worst "+of, climbing, worst(hill)),
		t.beside("cost_over_optimum_as_run_pct", median(raw), "% over the sweep's best, both at whatever pace the core had; median "+of, climbing, median(rawHill)),
		t.againFigures(all), t.toldFigures(all, of), t.shareFigure(all),
		t.wayFigures(all, "daemon", "by the curves that servers published, as the daemon plans", func(s searched) []found { return s.told }),
		t.wayFigures(all, "even", "asked for an even chance of keeping the SLO, as the best of a sweep has", func(s searched) []found { return s.even }))
}

// climbing is what the plan is compared with.
const climbing = "hill climbing as in Model Analyzer"

// toldFigures records what the repeats tell of the plans' costs, and how many of them broke their SLO.
func (t *tuner) toldFigures(all []searched, of string) error {
	broken, told := 0, 0.0
	var sure []float64
	for _, s := range all {
		if s.best.at < 0 {
			continue
		}
		for _, p := range s.sure {
			breaks := math.IsInf(s.over(p), 1)
			if breaks {
				broken++
			}
			if low, _ := s.apart(p); low > 0 || breaks {
				told = max(told, 100*s.over(p))
			}
			if over, ok := s.overSure(p); ok {
				sure = append(sure, min(100*over, brokenCost))
			}
		}
	}
	var err error
	if len(sure) > 0 {
		beside, _ := summary(sure)
		err = t.tuned("cost_over_sure_pct", beside, fmt.Sprintf("%% over the cheapest that kept the SLO in every window, as a plan promises to in 95 of 100; it may be below 0; median of %d plans", len(sure)))
	}
	return errors.Join(err,
		t.tuned("cost_over_optimum_told_pct", min(told, brokenCost), "%, worst where the repeats tell the plan's choice from the sweep's best: the 90 % interval of its cost over that is above 0; "+of),
		t.tuned("plan_broken_slo", float64(broken), "choices that were measured over the SLO though another keeps it, "+of))
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
