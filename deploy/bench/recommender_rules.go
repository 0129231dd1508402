package main

import (
	"fmt"
	"runtime"
	"sync"

	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/sizing"
)

// planned is our rule for CPU with options of its own.
func planned(name string, o sizing.Options) replay.Maker {
	about := fmt.Sprintf("a plan in money, risk %.4g, %g changes a day", or(o.Risk, sizing.RiskNormal), or(o.Changes, 2))
	return replay.Planned(name, about, o)
}

// or is v, and unset where v is 0.
func or(v, unset float64) float64 {
	if v == 0 {
		return unset
	}
	return v
}

// frontier is our rule at risks that rise, with so many changes a day.
func frontier(changes float64, risks ...float64) []replay.Maker {
	var out []replay.Maker
	for _, risk := range risks {
		name := fmt.Sprintf("trimtab-%gaday-risk-%.4g", changes, risk)
		out = append(out, planned(name, sizing.Options{Changes: changes, Risk: risk}))
	}
	return out
}

// compareAll is replay.Compare on all CPUs: each takes some of the rules.
func compareAll(all []replay.Series, rules []replay.Maker, o replay.CompareOptions) replay.Comparison {
	n := min(runtime.NumCPU(), len(rules))
	parts := make([]replay.Comparison, n)
	var done sync.WaitGroup
	for k := range n {
		done.Go(func() {
			var some []replay.Maker
			for i := k; i < len(rules); i += n {
				some = append(some, rules[i])
			}
			parts[k] = replay.Compare(all, some, o, nil)
		})
	}
	done.Wait()
	out := parts[0]
	out.Rows = make([]replay.Row, len(rules))
	for i := range rules {
		out.Rows[i] = parts[i%n].Rows[i/n]
	}
	return out
}

// rowOf is the row of a rule, which was compared.
func rowOf(c replay.Comparison, name string) replay.Row {
	for _, r := range c.Rows {
		if r.Summary.Name == name {
			return r
		}
	}
	panic("no rule " + name) // unreachable unless bug
}

// rivalsIn is a figure of several rules.
func rivalsIn(c replay.Comparison, figure func(replay.Row) float64, names ...string) []other {
	var out []other
	for _, name := range names {
		out = append(out, other{name, figure(rowOf(c, name))})
	}
	return out
}
