package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// armResult is what an arm did and cost.
type armResult struct {
	name    string
	report  loadReport
	bill    bill
	final   string        // what was in force at the end
	entries []ledgerEntry // of Trimtab's own arm, oldest first
	stolen  float64       // share of the machine's CPU time
}

// ledgerEntry is a change as `trimtab history -o json` gives it.
type ledgerEntry struct {
	Change struct {
		Reasons []string `json:"reasons"`
		Reverts string   `json:"reverts"`
	} `json:"change"`
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail"`
}

// through replays the whole slice against the server that is up, and adds up what it requested meanwhile.
func (l *live) through(ctx context.Context, name string) (armResult, error) {
	stop := l.billing(ctx)
	report, err := l.load(ctx, l.replay)
	b, err2 := stop()
	if err := cmp.Or(err, err2); err != nil {
		return armResult{}, err
	}
	final, err := l.inForce(ctx, b[len(b)-1])
	return armResult{name: name, report: report, bill: b, final: final}, err
}

// inForce says with what the server runs at the end.
func (l *live) inForce(ctx context.Context, now requested) (string, error) {
	text, err := l.cluster.kubectl(ctx, "", "-n", liveNamespace, "get", "configmap", liveServer+"-model-config", "-o", `jsonpath={.data.model_config\.json}`)
	if err != nil {
		return "", err
	}
	var s struct {
		Batch int    `json:"batch_size"`
		Delay string `json:"max_delay"`
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return "", fmt.Errorf("read the server's settings: %w", err)
	}
	return fmt.Sprintf("batch %d, delay %s, %d pods with %dm together", s.Batch, s.Delay, now.pods, now.milli), nil
}

// trimtabArm gives the daemon a document of the mis-configured server, and leaves it to it.
func (l *live) trimtabArm(ctx context.Context) (armResult, error) {
	if err := l.cluster.apply(ctx, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+liveNamespace+"}\n---"+filled(liveDocument, liveStart, 1)); err != nil {
		return armResult{}, err
	}
	if err := l.serving(ctx); err != nil {
		return armResult{}, err
	}
	r, err := l.through(ctx, armTrimtab)
	if err != nil {
		return r, err
	}
	if page, err := l.trimtab(ctx, "tune", liveNamespace+"/"+liveServer, "--what-if", "replicas=1", "--what-if", "replicas=2"); err == nil {
		l.say("%s", page)
	}
	r.entries, err = l.history(ctx, liveServer)
	for _, e := range r.entries {
		l.say("  %s %s: %s", e.Ended.Sub(r.report.Begun).Round(time.Second), e.Outcome, e.Detail)
	}
	return r, err
}

// history is what the ledger has of a server.
func (l *live) history(ctx context.Context, server string) ([]ledgerEntry, error) {
	var a struct{ Entries []ledgerEntry }
	text, err := l.trimtab(ctx, "history", liveNamespace+"/"+server, "-o", "json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	slices.SortFunc(a.Entries, func(a, b ledgerEntry) int { return a.Begun.Compare(b.Begun) })
	return a.Entries, nil
}

// span is how long the load sent requests.
func (r armResult) span() time.Duration {
	return time.Duration(r.report.Seconds * float64(time.Second))
}

// unit is what 1,000 requests within the SLO cost in a part of the arm, in dollars.
func (r armResult) unit(from, to time.Duration) float64 {
	s := r.report.sums(from, to)
	begun := r.report.Begun
	return r.bill.dollars(begun.Add(from), begun.Add(min(to, r.span()))) / float64(s.within) * 1000
}

// changes counts those that were made for good, and of them those that took another one back.
func (r armResult) changes() (made, back int) {
	for _, e := range r.entries {
		if e.Outcome != "done" {
			continue
		}
		made++
		if e.Change.Reverts != "" {
			back++
		}
	}
	return made, back
}

// steady is when the last change was in force, in whole windows since the load began; false: less than
// three windows came after it, which say little.
func (r armResult) steady() (time.Duration, bool) {
	last := time.Duration(0)
	for _, e := range r.entries {
		last = max(last, e.Ended.Sub(r.report.Begun))
	}
	from := (last + liveWindow - 1) / liveWindow * liveWindow
	return from, r.span()-from >= 3*liveWindow
}

// tell prints an arm.
func (l *live) tell(r armResult) {
	s := r.report.sums(0, math.MaxInt64)
	b, end := r.report.Begun, r.report.Begun.Add(r.span())
	l.say("  %s: %d requests sent (%.0f asked), %d answered, %d within the SLO, %d failed; p99 %s; %d of %d windows over the SLO",
		r.name, s.sent, r.report.Asked, s.ok, s.within, s.failed(), r.report.tail().Round(100*time.Microsecond), s.over, s.windows)
	l.say("  requested for $%.6f, $%.6f per 1,000 requests within the SLO; at the end: %s; %.1f %% of the CPU time stolen",
		r.bill.dollars(b, end), r.unit(0, math.MaxInt64), r.final, 100*r.stolen)
	if late := r.report.Late; late != nil && *late > millisOf(liveSLO)/10 {
		l.say("  the load itself was late: %.1f ms at p99", *late)
	}
}

// arm finds an arm that was measured.
func (l *live) arm(name string) (armResult, bool) {
	i := slices.IndexFunc(l.arms, func(r armResult) bool { return r.name == name })
	if i < 0 {
		return armResult{}, false
	}
	return l.arms[i], true
}

// figures are the lines for bench.jsonl, after a table of all arms. Without Trimtab's arm there is nothing
// to compare.
func (l *live) figures() []line {
	l.table()
	ours, ok := l.arm(armTrimtab)
	if !ok {
		return nil
	}
	all := ours.report.sums(0, math.MaxInt64)
	made, back := ours.changes()
	lines := []line{
		l.figure("live_changes", float64(made), fmt.Sprintf("changes, of them %d that took one back", back)),
		l.figure("live_failed", float64(all.failed()), fmt.Sprintf("of %d requests", all.sent)),
		l.figure("live_slo_windows_missed", float64(all.over), fmt.Sprintf("of %d windows of 10 s", all.windows)),
	}
	whole := time.Duration(math.MaxInt64)
	for _, rival := range []struct{ arm, figure string }{{armHPA, "hpa_cost_ratio"}, {armVPA, "vpa_hpa_cost_ratio"}, {armStatic, "static_cost_ratio"}} {
		if r, ok := l.arm(rival.arm); ok {
			lines = append(lines, l.beside(rival.figure, r.unit(0, whole)/ours.unit(0, whole),
				"x Trimtab's $ per 1,000 SLO-met requests, its search included", rival.arm+", Trimtab", 1))
		}
	}
	if best, ok := l.arm(armOptimum); ok {
		from, settled := ours.steady()
		about := fmt.Sprintf("%% over the offline optimum's $ per 1,000 SLO-met requests, after the last change, %s into %s", from, ours.span().Round(time.Second))
		if !settled {
			from, about = 0, "% over the offline optimum's $ per 1,000 SLO-met requests; NOT settled: from the start"
		}
		lines = append(lines,
			l.beside("live_cost_over_optimum_pct", 100*(ours.unit(from, whole)/best.unit(from, whole)-1), about, "Trimtab, offline optimum", 0),
			l.beside("live_cost_over_optimum_from_start_pct", 100*(ours.unit(0, whole)/best.unit(0, whole)-1),
				"% over the offline optimum's $ per 1,000 SLO-met requests, its search included", "Trimtab, offline optimum", 0))
	}
	return slices.DeleteFunc(lines, func(f line) bool { return math.IsNaN(f.Value) || math.IsInf(f.Value, 0) }) // nothing was answered in time
}

func (l *live) figure(name string, value float64, unit string) line {
	return line{Name: "tune." + name, Value: rounded(value), Unit: unit, Command: l.command}
}

func (l *live) beside(name string, value float64, unit, rival string, theirs float64) line {
	out := l.figure(name, value, unit)
	out.Rival, out.RivalValue = rival, &theirs
	return out
}

// table shows all arms below each other.
func (l *live) table() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\t$ per 1,000 in SLO\tafter the last change\tp99 ms\twindows over\tfailed\tat the end\t\n", l.replay.kind)
	for _, r := range l.arms {
		s := r.report.sums(0, math.MaxInt64)
		settled := "-"
		if from, ok := r.steady(); ok && len(r.entries) > 0 {
			settled = fmt.Sprintf("%.6f", r.unit(from, math.MaxInt64))
		}
		fmt.Fprintf(w, "%s\t%.6f\t%s\t%.1f\t%d of %d\t%d\t%s\t\n", r.name, r.unit(0, math.MaxInt64), settled, millisOf(r.report.tail()), s.over, s.windows, s.failed(), r.final)
	}
	w.Flush()
}
