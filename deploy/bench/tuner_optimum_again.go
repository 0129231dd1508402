package main

import (
	"errors"
	"fmt"
	"math"
)

// again runs what the searches chose once more, in turns. The cheapest of 21 settings that cost about the same is the one
// whose windows happened to be cheap, which its next windows are not: only these tell what the sweep's best costs.
func (t *tuner) again() error {
	if t.from != "" {
		return nil // it ran again when it was measured
	}
	chosen := t.choices(t.searches(t.latest.usual))
	if len(chosen) == 0 {
		return nil
	}
	rounds := 2 * t.repeats
	t.say("what was chosen, %d combinations, runs again in %d turns", len(chosen), rounds)
	all := map[int][]seen{}
	for i := range rounds {
		for _, c := range turned(chosen, i) {
			w, err := t.combine(c, t.repeats+i)
			if err != nil {
				return err
			}
			all[c.index] = append(all[c.index], w)
		}
	}
	t.survey.Again = all
	t.say("%d windows with these, %d discarded and %d disturbed ones kept", t.survey.Air.Windows, t.survey.Air.again(), t.survey.Air.Kept)
	return t.keep()
}

// choices are the combinations that searches chose where anything keeps the SLO, each once, one scenario after the
// other, so that what is compared runs at about the same time.
func (t *tuner) choices(all []searched) (chosen []combination) {
	n := len(grid())
	for i, s := range all {
		if s.best.at < 0 {
			continue
		}
		met := map[int]bool{}
		for _, row := range s.rows() {
			if row.at >= 0 && !met[row.at] {
				met[row.at] = true
				chosen = append(chosen, combination{s.scenario, grid()[row.at], i, i*n + row.at})
			}
		}
	}
	return chosen
}

// ranAgain is what the points of a scenario did when they ran again, by their places.
func (t *tuner) ranAgain(scenario int, usual standard) map[int]outcome {
	all, n := map[int]outcome{}, len(grid())
	for at, p := range grid() {
		if index := scenario*n + at; len(t.survey.Again[index]) > 0 {
			all[at] = outcomeOf(combination{t.sweep[scenario], p, scenario, index}, t.survey.Again[index], usual)
		}
	}
	return all
}

// overAgain is how much more than the sweep's best a choice costs, as a share, where both ran again: the middle of the turns'
// ratios. Infinite where the choice does not keep the promise; false where it or the best did not run, or the best does
// not keep it, so that there is nothing to compare with.
func (s searched) overAgain(f found) (float64, bool) {
	mine, ran := s.again[f.at]
	best, its := s.again[s.best.at]
	switch {
	case !ran || !its || !best.keeps(s.scenario):
		return 0, false
	case !mine.keeps(s.scenario):
		return math.Inf(1), true
	}
	var ratios []float64
	for k, used := range mine.Uses {
		ratios = append(ratios, mine.costing(used)/best.costing(best.Uses[k])-1)
	}
	over, _ := summary(ratios)
	return over, true
}

// againOf is what choices cost over the sweep's best, %, at most brokenCost, where both ran again; how many broke their SLO
// then, and how many did not run again.
func againOf(all []searched, of func(searched) []found) (costs []float64, broken, missing int) {
	for _, s := range all {
		for _, p := range of(s) {
			o, ran := s.again[p.at]
			switch over, ok := s.overAgain(p); {
			case ok:
				costs = append(costs, min(100*over, brokenCost))
			case !ran && s.best.at >= 0:
				missing++
			}
			if ran && !o.keeps(s.scenario) {
				broken++
			}
		}
	}
	return costs, broken, missing
}

// wayFigures records the same of another way to plan.
func (t *tuner) wayFigures(all []searched, name, about string, of func(searched) []found) error {
	costs := overs(all, of)
	again, broken, missing := againOf(all, of)
	if len(costs) == 0 {
		return nil
	}
	kept := 0
	for _, c := range costs {
		if c < brokenCost {
			kept++
		}
	}
	median, _ := summary(costs)
	faults := []error{t.tuned("cost_over_optimum_"+name+"_pct", median, fmt.Sprintf("%% over the sweep's best, median of %d plans, of which %d kept their SLO as measured; %s", len(costs), kept, about))}
	if len(again) > 0 {
		median, _ = summary(again)
		faults = append(faults, t.tuned("cost_over_optimum_"+name+"_again_pct", median,
			fmt.Sprintf("%% over the sweep's best, both run again in turns; median of %d plans, of which %d broke their SLO then; %d did not run again; %s", len(again), broken, missing, about)))
	}
	return errors.Join(faults...)
}

// againFigures records what the choices cost over the sweep's best where both ran again. A file that was judged by another
// model may lack some of them.
func (t *tuner) againFigures(all []searched) error {
	lost := 0
	for _, s := range all {
		if best, ran := s.again[s.best.at]; ran && !best.keeps(s.scenario) {
			lost++
		}
	}
	ours, broken, missing := againOf(all, planOf)
	hill, _, _ := againOf(all, hillOf)
	if len(ours) == 0 || len(hill) == 0 {
		t.say("what was chosen did not run again, or no best kept its SLO then")
		return nil
	}
	median, worst := summary(ours)
	its, itsWorst := summary(hill)
	of := fmt.Sprintf("of %d plans; %d are of %d scenarios whose best broke its SLO then, %d did not run again", len(ours), lost*len(t.survey.Rounds), lost, missing)
	return errors.Join(
		t.beside("cost_over_optimum_again_pct", median, "% over the sweep's best, both run again in turns; median "+of, climbing, its),
		t.beside("cost_over_optimum_again_worst_pct", worst, "%, worst "+of, climbing, itsWorst),
		t.tuned("plan_broken_slo_again", float64(broken), "plans whose choice was over the SLO when it ran again"))
}
