package main

import (
	"errors"
	"fmt"
	"os"

	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/sizing"
)

// memory compares the rules for memory.
func (a *advised) memory() error {
	all, err := a.series("cpu_mem", replay.Bytes)
	if err != nil || len(all) == 0 {
		return err
	}
	rules := append(memoryRules(), replay.KRRMemory(), replay.VPAMemory(), replay.FlatMax(1))
	c := compareAll(all, rules, replay.CompareOptions{Score: replay.Standard(0)})
	if err := replay.Text(os.Stdout, []replay.Comparison{c}); err != nil {
		return err
	}
	mine := rowOf(c, ours)
	excess := func(r replay.Row) float64 { return 100 * r.Summary.ExcessDays }
	slack := func(r replay.Row) float64 { return r.Summary.Mean.Slack }
	shares(os.Stdout, c)
	byClass(os.Stdout, c, ours, "krr", "vpa")
	return errors.Join(
		a.beside("mem_excess_days_pct", excess(mine), "% of days with a sample above the request", rivalsIn(c, excess, "krr", "vpa")...),
		a.beside("mem_slack", slack(mine), "mean of 1 - use÷request, mean over series", rivalsIn(c, slack, "krr", "vpa")...),
	)
}

// memoryRules are ours at several prices of an excess; the first is the one a daemon applies.
func memoryRules() []replay.Maker {
	out := []replay.Maker{replay.TrimtabMemory(ours, sizing.MemoryOptions{})}
	for _, risk := range []float64{6, 8, 14, 30} {
		out = append(out, replay.TrimtabMemory(fmt.Sprintf("trimtab-risk-%g", risk), sizing.MemoryOptions{Risk: risk}))
	}
	return out
}
