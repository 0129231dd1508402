package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// reached is what became of one rise.
type reached struct {
	rise
	need         int64 // thousandths of a core: what the peak used on average
	by           time.Duration
	raised, kept bool
}

// ahead tells whether the request was raised for the rise and in time.
func (r reached) ahead() bool { return r.raised && r.by > 0 }

// reachedOf judges the rises of a part of the days by what was seen of the server that follows the plan.
func reachedOf(p passed, s looks) (out []reached) {
	since := p.begun.Add(-time.Duration(dayHours) * p.hour)
	for _, r := range rises(p.begun, p.hour, p.from, p.until) {
		cores, ok := s.cores(r.at, r.until)
		if !ok {
			continue
		}
		one := reached{rise: r, need: int64(math.Ceil(1000 * cores))}
		one.by, one.raised, one.kept = s.ahead(since, r.at, r.until, one.need)
		out, since = append(out, one), r.until
	}
	return out
}

// String is what became of the rise in words.
func (r reached) String() string {
	switch {
	case r.kept:
		return "held since before the last fall"
	case !r.raised:
		return "never raised so far"
	case r.by > 0:
		return fmt.Sprintf("raised %.1f s before", r.by.Seconds())
	}
	return fmt.Sprintf("raised %.1f s after", -r.by.Seconds())
}

// result says and records what was seen.
func (d *diurnal) result(ctx context.Context, p passed, w *diurnalWatch) error {
	if w.fault != nil {
		d.say("a look failed, the last time with: %s", w.fault)
	}
	if page, err := d.live.trimtab(ctx, "explain", liveNamespace+"/"+byPlan); err == nil {
		d.say("%s", page)
	}
	outcomes, err := d.outcomes(ctx)
	if err != nil {
		return err
	}
	d.say("%s", outcomes)
	reached := reachedOf(p, w.seen[byPlan])
	if len(reached) == 0 {
		return errors.New("no rise was seen; give more --days")
	}
	var ahead []float64
	for _, r := range reached {
		d.say("rise at %s to %dm: %s", r.at.Format("15:04:05"), r.need, r)
		if r.ahead() {
			ahead = append(ahead, r.by.Seconds())
		}
	}
	d.table(p, w)
	return d.figures(p, w, ahead, len(reached))
}

// outcomes counts the changes in the ledger by how they ended.
func (d *diurnal) outcomes(ctx context.Context) (string, error) {
	entries, err := d.live.history(ctx, byPlan)
	if err != nil {
		return "", err
	}
	done, others := 0, []string{}
	for _, e := range entries {
		if e.Outcome == "done" {
			done++
			continue
		}
		others = append(others, fmt.Sprintf("%s %s: %s", e.Begun.Format("15:04:05"), e.Outcome, e.Detail))
	}
	text := fmt.Sprintf("the ledger has %d changes that are done and %d others", done, len(others))
	return strings.Join(append([]string{text}, others...), "\n"), nil
}

// table shows both servers below each other, for the days that are judged.
func (d *diurnal) table(p passed, w *diurnalWatch) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "judged\tsent\tfailed\tp99 ms\tcore-hours requested\tused\tresizes\t\n")
	for _, server := range []string{byPlan, byPeak} {
		r, s := p.reports[server], w.seen[server]
		sum := r.sums(0, math.MaxInt64)
		used, _ := s.cores(p.begun, p.end())
		fmt.Fprintf(out, "%s\t%d\t%d\t%.2f\t%.4f\t%.4f\t%d\t\n", server, sum.sent, sum.failed(), millisOf(r.tail()),
			s.coreHours(p.begun, p.end()), used*p.end().Sub(p.begun).Hours(), s.resizes(p.begun, p.end()))
	}
	out.Flush()
}

// figures records what there is to record.
func (d *diurnal) figures(p passed, w *diurnalWatch, ahead []float64, rises int) error {
	command := diurnalCommand
	if d.neighbour {
		command = `make bench BENCH="diurnal --neighbour"`
	}
	write := func(name string, value float64, unit, rival string, theirs float64) error {
		l := line{Name: "rec.diurnal_" + name, Value: rounded(value), Unit: unit, Command: command}
		if rival != "" {
			l.Rival, l.RivalValue = rival, new(rounded(theirs))
		}
		return d.write(l)
	}
	about := fmt.Sprintf("of %d rises, in hours of %s", rises, d.hour)
	if len(ahead) > 0 {
		median, _ := summary(ahead)
		about += fmt.Sprintf("; %.1f s before them, median", median)
	}
	ours, theirs := p.reports[byPlan], p.reports[byPeak]
	sent, held := ours.sums(0, math.MaxInt64), theirs.sums(0, math.MaxInt64)
	begun, end := p.begun, p.end()
	return errors.Join(
		write("ahead_share", float64(len(ahead))/float64(rises), about, "", 0),
		write("failed", float64(sent.failed()), fmt.Sprintf("of %d requests", sent.sent), "static peak request", float64(held.failed())),
		write("p99_ratio", float64(ours.tail())/float64(theirs.tail()), fmt.Sprintf("x the p99 with a static peak request, %.2f ms", millisOf(theirs.tail())), "static peak request", 1),
		write("reserved_ratio", w.seen[byPlan].coreHours(begun, end)/w.seen[byPeak].coreHours(begun, end), fmt.Sprintf("x the core-hours of a static request of %dm", d.peak), "static peak request", 1),
		write("resizes", float64(w.seen[byPlan].resizes(begun, end)), fmt.Sprintf("in %.4g days", d.days), "", 0),
	)
}
