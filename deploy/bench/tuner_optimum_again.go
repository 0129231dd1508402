package main

import (
	"errors"
	"fmt"
	"math"
)

// again runs what the searches chose, in turns: the plan's choice is not on the grid as a rule, and the cheapest of 21 settings
// that cost about the same is the one whose windows happened to be cheap, which its next windows are not: only these tell what
// the sweep's best costs.
func (t *tuner) again() error {
	if t.from != "" && !t.anyway {
		return nil // it ran again when it was measured
	}
	chosen := t.choices(t.searches(t.latest.usual))
	if len(chosen) == 0 {
		return nil
	}
	if t.from != "" {
		if err := t.ready(); err != nil {
			return err
		}
	}
	before, rounds := t.survey.Air, 2*t.repeats
	t.survey.Air = air{} // as many may be discarded here as in the sweep
	t.say("what was chosen, %d combinations, runs again in %d turns", len(chosen), rounds)
	all := make([]rerun, len(chosen))
	for i, c := range chosen {
		all[i] = rerun{Of: c.of, Place: c.place}
	}
	for i := range rounds {
		for _, at := range turned(indices(len(chosen)), i) {
			w, err := t.combine(chosen[at], t.repeats+i)
			if err != nil {
				return err
			}
			all[at].Windows = append(all[at].Windows, w)
		}
	}
	t.survey.Again = all
	t.say("%d windows of these, %d discarded and %d disturbed ones kept", t.survey.Air.Windows, t.survey.Air.again(), t.survey.Air.Kept)
	t.survey.Air = before.and(t.survey.Air)
	return t.keep()
}

// ready makes what runs chosen settings of an earlier sweep: servers that have been at work as before a repeat, whose windows
// then say what pace is usual.
func (t *tuner) ready() error {
	if now := t.setting(); now != t.survey.Machine {
		t.say("what was chosen runs on %s, the sweep on %s", now, t.survey.Machine)
	}
	t.opening = t.survey.opening(t.survey.Rounds[0].Looks)
	if err := t.prepare(); err != nil {
		return err
	}
	_, err := t.look(len(t.survey.Rounds))
	return err
}

// indices are those of n things.
func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// choices are the combinations that searches chose where anything keeps the SLO, each once, one scenario after the
// other, so that what is compared runs at about the same time.
func (t *tuner) choices(all []searched) (chosen []combination) {
	n := len(grid())
	for i, s := range all {
		if s.best.at < 0 {
			continue
		}
		met := map[place]bool{}
		for _, row := range s.rows() {
			if row.nothing() || met[row.place()] {
				continue
			}
			met[row.place()] = true
			index := -1
			if row.at >= 0 {
				index = i*n + row.at
			}
			chosen = append(chosen, combination{s.scenario, row.place(), i, index})
		}
	}
	return chosen
}

// ranAgain is what settings did when they ran again under a scenario.
func (t *tuner) ranAgain(scenario int, usual standard) map[place]outcome {
	all := map[place]outcome{}
	for _, r := range t.survey.Again {
		if r.Of == scenario {
			all[r.Place] = outcomeOf(combination{scenario: t.sweep[scenario], place: r.Place}, r.Windows, usual)
		}
	}
	return all
}

// uses are the cores that an outcome's windows used: at the usual pace of the core, or at that which it had.
type uses func(outcome) []float64

func evenly(o outcome) []float64 { return o.Uses }
func asRun(o outcome) []float64  { return o.Runs }

// overAgain is how much more than the sweep's best a choice costs, as a share, where both ran again: the middle of the turns'
// ratios. Infinite where the choice does not keep the promise; false where it or the best did not run, or the best does
// not keep it, so that there is nothing to compare with.
func (s searched) overAgain(f found, of uses) (float64, bool) {
	mine, ran := s.again[f.place()]
	best, its := s.again[s.best.place()]
	switch {
	case !ran || !its || !best.keeps(s.scenario):
		return 0, false
	case !mine.keeps(s.scenario):
		return math.Inf(1), true
	}
	ratios := mine.ratios(best, of)
	if len(ratios) == 0 {
		return 0, false // no turn in which nobody disturbed either
	}
	over, _ := summary(ratios)
	return over, true
}

// turns are what choices did in turns with the sweep's best.
type turns struct {
	costs  []float64 // over the best, %, at most brokenCost
	ran    int       // choices that ran, also where the best broke its SLO, so that there is no cost
	broken int       // of these, over their SLO
	absent int       // choices that did not run, or whose best did not
}

// turnsOf sums up what a way to search chose where anything keeps the SLO.
func turnsOf(all []searched, of func(searched) []found, by uses) (sum turns) {
	for _, s := range all {
		if s.best.at < 0 {
			continue
		}
		_, its := s.again[s.best.place()]
		for _, p := range of(s) {
			o, ran := s.again[p.place()]
			if !ran || !its {
				sum.absent++
				continue
			}
			sum.ran++
			if !o.keeps(s.scenario) {
				sum.broken++
			}
			if over, ok := s.overAgain(p, by); ok {
				sum.costs = append(sum.costs, min(100*over, brokenCost))
			}
		}
	}
	return sum
}

// String tells of how many choices the costs are.
func (r turns) String() string {
	text := fmt.Sprintf("of %d plans, of which %d broke their SLO; both run in turns", len(r.costs), r.broken)
	if lost := r.ran - len(r.costs); lost > 0 {
		text += fmt.Sprintf("; %d more are of scenarios whose best broke its SLO then", lost)
	}
	if r.absent > 0 {
		text += fmt.Sprintf("; %d did not run", r.absent)
	}
	return text
}

// wayFigures records what plans that are bound to the grid cost over the sweep's best: by the windows by which that was chosen,
// and in turns with it.
func (t *tuner) wayFigures(all []searched, name, about string, of func(searched) []found) error {
	var faults []error
	if costs := overs(all, of); len(costs) > 0 {
		median, _ := summary(costs)
		faults = append(faults, t.tuned("cost_over_optimum_"+name+"_pct", median, fmt.Sprintf("%% over the sweep's best by the windows by which that was chosen, median of %d plans; %s", len(costs), about)))
	}
	if r := turnsOf(all, of, evenly); len(r.costs) > 0 {
		median, _ := summary(r.costs)
		faults = append(faults, t.tuned("cost_over_optimum_"+name+"_again_pct", median, "% over the sweep's best, median "+r.String()+"; "+about))
	}
	return errors.Join(faults...)
}

// againFigures records what the plans cost over the sweep's best where both ran in turns, beside what hill climbing found. A file
// that was judged by another model may lack some of them.
func (t *tuner) againFigures(all []searched) error {
	ours, hill := turnsOf(all, planOf, evenly), turnsOf(all, hillOf, evenly)
	if len(ours.costs) == 0 || len(hill.costs) == 0 {
		t.say("what was chosen did not run again, or no best kept its SLO then")
		return nil
	}
	median, worst := summary(ours.costs)
	its, itsWorst := summary(hill.costs)
	mine, _ := summary(turnsOf(all, planOf, asRun).costs)
	theirs, _ := summary(turnsOf(all, hillOf, asRun).costs)
	of := ours.String() + "; as the daemon plans, with any delay, one from each look at each scenario"
	return errors.Join(
		t.beside("cost_over_optimum_pct", median, "% over the sweep's best, median "+of, climbing, its),
		t.beside("cost_over_optimum_worst_pct", worst, "%, worst "+of, climbing, itsWorst),
		t.beside("cost_over_optimum_as_run_pct", mine, "% over the sweep's best, both at whatever pace the core had; median "+of, climbing, theirs),
		t.tuned("plan_broken_slo", float64(ours.broken), fmt.Sprintf("choices that were over their SLO, of %d plans that ran", ours.ran)))
}
