package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// unknown is what no number of the report knows of, each with what would change that. Nothing in it
// is shown as zero anywhere.
func unknown(in Input, b Bill) []string {
	var out []string
	if gap := b.Asked - b.Covered; gap > 0 {
		out = append(out, fmt.Sprintf("%s of %s are not covered: the daemon made no passes then, and nothing is assumed for them", gap, b.Asked))
	}
	out = append(out, unmeasured(in.Plan)...)
	if names := b.Total.Add(b.Month).Unpriced; len(names) > 0 {
		out = append(out, "no price for "+listed(names)+": what runs there is in no sum; a Prices document gives it one")
	}
	for _, bad := range in.Plan.BadPolicies {
		first := ""
		if len(bad.Faults) > 0 {
			first = ", the first: " + bad.Faults[0]
		}
		out = append(out, clipped(fmt.Sprintf("%s has %s (%s)%s", bad.Source, fleet.Count(len(bad.Faults), "fault"), bad.Effect(), first)))
	}
	if in.Damage != "" {
		out = append(out, clipped("part of the ledger, so what was done may be more: "+in.Damage))
	}
	for _, t := range in.Plan.Troubles {
		out = append(out, clipped("in the last pass: "+t))
	}
	if n := len(out) - mostUnknown; n > 0 {
		out = append(out[:mostUnknown], fmt.Sprintf("and %d more; `trimtab plan` has them all", n))
	}
	return out
}

// unmeasured groups the workloads that are not judged because something is not known of them.
func unmeasured(p optimizer.Plan) []string {
	var out []string
	for _, g := range []struct {
		reason fleet.HoldReason
		words  string
	}{
		{fleet.HoldNoMetrics, "nothing was ever measured of %s"},
		{fleet.HoldStaleMetrics, "the last measurement of %s is too old"},
		{fleet.HoldShortHistory, "%s: measured for too short a time yet"},
		{fleet.HoldGPU, "%s: how busy the GPUs are is not measured; connect dcgm-exporter"},
		{fleet.HoldClass, "%s: neither a label nor a policy says online or batch"},
		{fleet.HoldTwoPolicies, "%s: selected by more than one policy"},
		{fleet.HoldNoRequest, "%s: no CPU request, so use is no share of anything and the cost is too low"},
	} {
		if names := heldFor(p, g.reason); len(names) > 0 {
			out = append(out, fmt.Sprintf(g.words, listed(names)))
		}
	}
	return out
}

func heldFor(p optimizer.Plan, reason fleet.HoldReason) []string {
	var names []string
	for _, a := range p.Assessments {
		holds := slices.Clone(a.Holds)
		for _, v := range a.Verdicts {
			holds = append(holds, v.Holds...)
		}
		if slices.ContainsFunc(holds, func(h fleet.Hold) bool { return h.Reason == reason }) {
			names = append(names, a.Ref.String())
		}
	}
	return names
}

// listed is the first few names and how many more there are.
func listed(names []string) string {
	if n := len(names) - mostNames; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), n)
	}
	return strings.Join(names, ", ")
}

// method is how the numbers came about, so that anyone can check them.
func method(in Input, r Report) []string {
	out := []string{
		"period " + in.Period.Exact() + "; compared with " + r.Spend.BeforeOf.Exact(),
		"a model costs its requests' share of the list price of the nodes under its pods; each pass notes that rate, and a time without passes is left out",
		fmt.Sprintf("a month has %d hours; amounts are US dollars, rounded to the cent for each model before they are added", cost.MonthHours),
		"requests a second are the mean over each policy's window, and the price of 1,000 is of that rate and the present cost",
		"claimed: of changes that are proposed; applied: of changes that were made and still stand, as they were expected when made. What is saved is room on nodes: the bill falls when nodes are taken away",
	}
	if len(r.Spend.Total.Add(r.Spend.Month).Add(r.Spend.Before).Unpriced) > 0 {
		out = append(out, "a question mark stands for what has no price, and no sum counts it")
	}
	for _, row := range capped(in.Plan.Prices, mostPrices) {
		out = append(out, "price: "+row.String())
	}
	if n := len(in.Plan.Prices) - mostPrices; n > 0 {
		out = append(out, fmt.Sprintf("and %d more prices; `trimtab plan` has them all", n))
	}
	made := "trimtab " + in.Version + ", " + r.At.Format(time.RFC3339)
	if !in.Plan.At.IsZero() {
		made += "; plan of " + in.Plan.At.In(in.Period.location()).Format(time.RFC3339)
	}
	return append(out, made)
}
