package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"trimtab.dev/trimtab/recommender/replay"
)

// mostResizes is how many changes of a request a week the first of the comparisons allows.
const mostResizes = 14

// The rules by what they are called in the tables.
const (
	ours, oursInPlace, oursFlat = "trimtab", "trimtab-24", "trimtab-flat"
)

func cpuRules() []replay.Maker {
	out := []replay.Maker{
		replay.Trimtab(nil), replay.TrimtabInPlace(nil), replay.TrimtabFlat(nil),
		replay.KRR(), replay.VPA(), replay.VPAHourly(), replay.VPAUpdater(true), replay.P99(),
		replay.Reactive(), replay.ReactiveDaily(), replay.Clairvoyant(1), replay.Clairvoyant(2),
	}
	return append(out, risen()...)
}

// risen is our rule at the settings of the frontier, without those that it has by itself.
func risen() []replay.Maker {
	return append(frontier(2, 0.3, 0.5, 2, 3, 5, 6), frontier(24, 0.3, 0.5, 1, 2, 3, 5, 8, 10)...)
}

// cpu compares the rules for CPU, and packs nodes by their requests.
func (a *advised) cpu() error {
	all, err := a.series("cpu_mem", replay.Cores)
	if err != nil || len(all) == 0 {
		return err
	}
	c := compareAll(all, cpuRules(), replay.CompareOptions{Score: replay.Standard(0), Node: a.node})
	if err := replay.Text(os.Stdout, []replay.Comparison{c}); err != nil {
		return err
	}
	shares(os.Stdout, c)
	byClass(os.Stdout, c, ours, oursInPlace, "krr", "vpa", "reactive")
	a.against(c)
	return errors.Join(a.page(c), a.cpuFigures(c), a.nodeFigures(c), a.matched(c))
}

// shares prints the four measures with their intervals, and the worst tenth.
func shares(w io.Writer, c replay.Comparison) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rule\tover % mean\tpooled\tworst tenth\tunmet % mean\tpooled\tworst tenth\treq/granted mean\tpooled\tresizes a week\tmost\t")
	for _, r := range c.Rows {
		s := r.Summary
		ranged := func(by, v, low, high float64) string { return fmt.Sprintf("%.3g [%.3g-%.3g]", by*v, by*low, by*high) }
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%s\t%s\t%.2f\t%s\t%s\t%.1f\t%.1f\t\n", s.Name,
			ranged(100, s.Mean.Over, s.MeanLow.Over, s.MeanHigh.Over), ranged(100, s.Pooled.Over, s.PooledLow.Over, s.PooledHigh.Over), 100*s.Worst.Over,
			ranged(100, s.Mean.Unmet, s.MeanLow.Unmet, s.MeanHigh.Unmet), ranged(100, s.Pooled.Unmet, s.PooledLow.Unmet, s.PooledHigh.Unmet), 100*s.Worst.Unmet,
			ranged(1, s.Mean.Ratio, s.MeanLow.Ratio, s.MeanHigh.Ratio), ranged(1, s.Pooled.Ratio, s.PooledLow.Ratio, s.PooledHigh.Ratio),
			s.Resizes, s.MostResizes)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// byClass prints over, unmet and request÷granted of some rules for each class of series.
func byClass(w io.Writer, c replay.Comparison, names ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\tseries\trule\tover %\tunmet % pooled\treq/granted\tslack\t")
	for i, class := range rowOf(c, ours).Summary.Classes {
		for _, name := range names {
			of := rowOf(c, name).Summary.Classes[i]
			fmt.Fprintf(t, "%s\t%d\t%s\t%.2f\t%.2f\t%.3f\t%.3f\t\n", class.Name, class.Series, name,
				100*of.Mean.Over, 100*of.Pooled.Unmet, of.Mean.Ratio, of.Mean.Slack)
		}
	}
	t.Flush()
	fmt.Fprintln(w)
}

// against says what of ours is better than a rival on which measures: each setting beside the reactive rules, the
// one that asks for as much as a rival, or the next less, beside that, and those of 24 changes a day beside 2.
func (a *advised) against(c replay.Comparison) {
	for _, name := range []string{"reactive", "reactive-daily"} {
		rival := rowOf(c, name).Summary
		for _, s := range settings(c) {
			a.say("beside %s (%.1f resizes a week): %s (%.1f) better on %v", name, rival.Resizes, s.Name, s.Resizes, betterOn(s, rival))
		}
	}
	for _, name := range []string{"krr", "vpa", "vpa-hourly", "vpa-inplace", "p99"} {
		rival := rowOf(c, name).Summary
		s, ok := atMost(c, rival.Pooled.Ratio)
		if !ok {
			a.say("beside %s: no setting with %d resizes a week asks for as little as %.3f pooled", name, mostResizes, rival.Pooled.Ratio)
			continue
		}
		a.say("beside %s at its pooled %.3f: %s better on %v", name, rival.Pooled.Ratio, s.Name, betterOn(s, rival))
	}
	seldom := rowOf(c, ours).Summary
	for _, s := range settings(c) {
		if s.Resizes > mostResizes {
			a.say("beside %s: %s better on %v", ours, s.Name, betterOn(s, seldom))
		}
	}
}

// settings are all of ours with a calendar.
func settings(c replay.Comparison) []replay.Summary {
	out := []replay.Summary{rowOf(c, ours).Summary, rowOf(c, oursInPlace).Summary}
	for _, m := range risen() {
		out = append(out, rowOf(c, m.Name).Summary)
	}
	return out
}

// betterOn names the measures, with both figures, on which s is better than t.
func betterOn(s, t replay.Summary) (out []string) {
	for _, m := range []struct {
		name string
		a, b float64
	}{
		{"over %", 100 * s.Mean.Over, 100 * t.Mean.Over}, {"mean", s.Mean.Ratio, t.Mean.Ratio},
		{"pooled", s.Pooled.Ratio, t.Pooled.Ratio}, {"unmet %", 100 * s.Pooled.Unmet, 100 * t.Pooled.Unmet},
	} {
		if m.a < m.b {
			out = append(out, fmt.Sprintf("%s %.3g < %.3g", m.name, m.a, m.b))
		}
	}
	return out
}

// atMost is our setting of 14 changes a week whose pooled ratio is the largest that is not above a rival's.
func atMost(c replay.Comparison, pooled float64) (best replay.Summary, ok bool) {
	for _, s := range settings(c) {
		if s.Resizes <= mostResizes && s.Pooled.Ratio <= pooled && (!ok || s.Pooled.Ratio > best.Pooled.Ratio) {
			best, ok = s, true
		}
	}
	return best, ok
}

// rivalsOfNodes are the rules beside which nodes are compared.
var rivalsOfNodes = []string{"krr", "vpa", "vpa-hourly", "vpa-inplace", "p99", "reactive", "reactive-daily"}

// matched says which of our settings takes the fewest node-hours with no more minutes of a full node than each rival has.
func (a *advised) matched(c replay.Comparison) error {
	var faults []error
	for _, name := range rivalsOfNodes {
		rival := rowOf(c, name).Scaled
		s, mine, ok := fewestNodes(c, rival.Contention)
		if rival.NodeHours == 0 {
			continue
		}
		if !ok {
			s = "no setting of ours"
		}
		a.say("beside %s, %.0f node-hours and %g minutes of a full node: %s has %.0f and %g", name, rival.NodeHours, rival.Contention, s, mine.NodeHours, mine.Contention)
		faults = append(faults, a.beside("node_hours_matched", mine.NodeHours, fmt.Sprintf("node-hours of %s, %g minutes of a full node beside the rival's %g; of %d settings the best on these weeks, 0 if all have more minutes; nodes drained as the Cluster Autoscaler does",
			s, mine.Contention, rival.Contention, len(settings(c))),
			other{name, rival.NodeHours}))
	}
	return errors.Join(faults...)
}

// fewestNodes is our setting of the fewest node-hours with no more such minutes.
func fewestNodes(c replay.Comparison, minutes float64) (name string, best replay.Packing, ok bool) {
	for _, s := range settings(c) {
		if p := rowOf(c, s.Name).Scaled; p.Contention <= minutes && (!ok || p.NodeHours < best.NodeHours) {
			name, best, ok = s.Name, p, true
		}
	}
	return name, best, ok
}

// page writes the frontier.
func (a *advised) page(c replay.Comparison) error {
	if a.html == "" {
		return nil
	}
	f, err := os.Create(a.html)
	if err != nil {
		return err
	}
	return errors.Join(replay.Page(f, "CPU requests: what each rule asks for and what it misses", []replay.Comparison{c}, nil, nil), f.Close())
}

func (a *advised) cpuFigures(c replay.Comparison) error {
	figures := []struct {
		name, unit string
		of         func(replay.Row) float64
		bounds     func(replay.Summary) (low, high float64)
	}{
		{"over_pct", "% of samples, mean over series", func(r replay.Row) float64 { return 100 * r.Summary.Mean.Over },
			func(s replay.Summary) (float64, float64) { return 100 * s.MeanLow.Over, 100 * s.MeanHigh.Over }},
		{"request_ratio", "request ÷ provisioned, mean over series", func(r replay.Row) float64 { return r.Summary.Mean.Ratio },
			func(s replay.Summary) (float64, float64) { return s.MeanLow.Ratio, s.MeanHigh.Ratio }},
		{"unmet_pct", "% of all CPU, pooled", func(r replay.Row) float64 { return 100 * r.Summary.Pooled.Unmet },
			func(s replay.Summary) (float64, float64) { return 100 * s.PooledLow.Unmet, 100 * s.PooledHigh.Unmet }},
		{"pooled_ratio", "request ÷ provisioned, pooled", func(r replay.Row) float64 { return r.Summary.Pooled.Ratio },
			func(s replay.Summary) (float64, float64) { return s.PooledLow.Ratio, s.PooledHigh.Ratio }},
	}
	var faults []error
	for i, f := range figures {
		mine, inPlace := rowOf(c, ours), rowOf(c, oursInPlace)
		unit := func(r replay.Row) string {
			low, high := f.bounds(r.Summary)
			return fmt.Sprintf("%s [%.3g-%.3g], %.1f resizes a week", f.unit, low, high, r.Summary.Resizes)
		}
		faults = append(faults, a.beside("cpu_"+f.name, f.of(mine), unit(mine),
			rivalsIn(c, f.of, "krr", "vpa", "vpa-inplace", "p99", "reactive", "reactive-daily", "clairvoyant-1", oursFlat)...))
		if i < 2 {
			faults = append(faults, a.beside("cpu24_"+f.name, f.of(inPlace), unit(inPlace), rivalsIn(c, f.of, ours, "reactive", "clairvoyant-2")...))
		}
	}
	return errors.Join(faults...)
}

// nodeFigures are those of the fleet packed by each rule, where an autoscaler drains nodes and where all is packed anew
// once a day.
func (a *advised) nodeFigures(c replay.Comparison) error {
	var faults []error
	for _, way := range []struct {
		name, about string
		of          func(replay.Row) replay.Packing
	}{
		{"", "nodes drained as the Cluster Autoscaler does", func(r replay.Row) replay.Packing { return r.Scaled }},
		{"daily_", "all packed anew once a day", func(r replay.Row) replay.Packing { return r.Packing }},
	} {
		vpa := way.of(rowOf(c, "vpa")).NodeHours
		if vpa == 0 {
			continue
		}
		hours := func(r replay.Row) float64 { return way.of(r).NodeHours / vpa }
		minutes := func(r replay.Row) float64 { return way.of(r).Contention }
		for _, name := range []string{ours, oursInPlace} {
			mine := rowOf(c, name)
			about := fmt.Sprintf("%s, nodes of %g cores, %s, %.0f days", name, a.node, way.about, c.Days)
			faults = append(faults,
				a.beside(way.name+"node_hours_ratio", hours(mine), "node-hours ÷ VPA's, "+about, rivalsIn(c, hours, rivalsOfNodes...)...),
				a.beside(way.name+"contention_minutes", minutes(mine), "minutes over all nodes, "+about, rivalsIn(c, minutes, rivalsOfNodes...)...))
		}
	}
	return errors.Join(faults...)
}
