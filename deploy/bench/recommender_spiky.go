package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"trimtab.dev/trimtab/recommender/replay"
)

// mostSlack is the slack up to which rules for spiky series are compared.
const mostSlack = 0.51

// The risk at which ours has that slack is looked for in so many rounds, each with so many risks more.
const (
	refinements = 3
	finer       = 3
)

// spiky compares rules that decide every hour.
func (a *advised) spiky() error {
	all, err := a.series("cpu_pct", replay.Cores)
	if err != nil || len(all) == 0 {
		return err
	}
	o := replay.CompareOptions{Score: replay.Standard(0)}
	risks := []float64{0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 3}
	mine := frontier(24, risks...)
	rivals := []replay.Maker{replay.KRR(), replay.KRRHourly(), replay.VPA(), replay.VPAHourly(), replay.P99(), replay.Reactive(), replay.Clairvoyant(2)}
	c := compareAll(all, append(rivals, mine...), o)
	for range refinements {
		low, high, ok := bracket(c, risks)
		if !ok {
			break
		}
		step := (high - low) / (finer + 1)
		more := frontier(24, low+step, low+2*step, low+3*step)
		c.Rows = append(c.Rows, compareAll(all, more, o).Rows...)
		mine, risks = append(mine, more...), append(risks, low+step, low+2*step, low+3*step)
	}
	if err := replay.Text(os.Stdout, []replay.Comparison{c}); err != nil {
		return err
	}
	best, ok := withSlack(c, mine, mostSlack)
	if !ok {
		return fmt.Errorf("no setting has a slack of at most %g", mostSlack)
	}
	over := func(r replay.Row) float64 { return 100 * r.Summary.Mean.Over }
	slack := func(r replay.Row) float64 { return r.Summary.Mean.Slack }
	names := []string{"krr", "krr-hourly", "vpa", "vpa-hourly"}
	return errors.Join(
		a.beside("spiky_over_pct", over(best), "% of samples, mean over series, "+best.About, rivalsIn(c, over, names...)...),
		a.beside("spiky_slack", slack(best), "mean of 1 - use÷request, "+best.About, rivalsIn(c, slack, names...)...),
	)
}

// withSlack is the row, of those rules, with the largest slack that is not above most.
func withSlack(c replay.Comparison, of []replay.Maker, most float64) (best replay.Row, ok bool) {
	for _, m := range of {
		r := rowOf(c, m.Name)
		if s := r.Summary.Mean.Slack; s <= most && (!ok || s > best.Summary.Mean.Slack) {
			best, ok = r, true
		}
	}
	return best, ok
}

// bracket is the highest risk with a slack of at most mostSlack, and the lowest with more: rules are compared at
// equal slack, wherever that lies for the series at hand. False where one of them is missing.
func bracket(c replay.Comparison, risks []float64) (low, high float64, ok bool) {
	low, high = 0, math.Inf(1)
	for _, risk := range risks {
		slack := rowOf(c, frontier(24, risk)[0].Name).Summary.Mean.Slack
		if slack <= mostSlack {
			low = max(low, risk)
		} else {
			high = min(high, risk)
		}
	}
	return low, high, low > 0 && !math.IsInf(high, 1) && low < high
}
