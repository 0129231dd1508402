package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/recommender/replay"
)

const replayForm = "replay FILE.csv[.gz] | DIR | NAMESPACE/NAME --prometheus URL [--rule krr,vpa,...] [--only vm-] [--html FILE] [--emit DIR] [-o json]"

// replayAsk is what `trimtab replay` was asked for.
type replayAsk struct {
	rules, only, resource, page, lines, format string
	zone                                       string
	granted, grantedGiB, node                  float64
	coreHour, gibHour                          float64
	plots                                      int

	progress *replayProgress // told of every line that is drawn
}

func (a *replayAsk) flags(fs *flag.FlagSet) {
	fs.StringVar(&a.rules, "rule", "", "only these `rules`, by comma; empty: all of "+strings.Join(replayNames(), ", "))
	fs.StringVar(&a.only, "only", "", "only series whose ID begins with one of these `prefixes`, by comma")
	fs.StringVar(&a.resource, "resource", "", "only `cpu` or memory; empty: both where there are samples")
	fs.StringVar(&a.zone, "zone", "UTC", "IANA time `zone` whose hours and clock changes trimtab's own rules for CPU follow, as a policy's rightSizing.timeZone")
	fs.StringVar(&a.page, "html", "", "write one page with tables and plots to this `file`")
	fs.StringVar(&a.lines, "emit", "", "write each rule's requests into this `folder` as RULE/SERIES.csv: t, request in cores (SERIES.memory.csv: in bytes)")
	fs.Float64Var(&a.granted, "granted", 0, "`cores` that each series was provisioned with; 0: what the folder's index says, or what the live pods request")
	fs.Float64Var(&a.grantedGiB, "granted-memory", 0, "`GiB` that each series was provisioned with; 0: what the folder's index says, or what the live pods request")
	fs.Float64Var(&a.node, "node-cores", 32, "`cores` of the nodes that several series are packed onto, not those of one workload; 0: do not pack")
	fs.Float64Var(&a.coreHour, "core-hour", 0, "`dollars` for a core-hour; 0: by a list price")
	fs.Float64Var(&a.gibHour, "gib-hour", 0, "`dollars` for a GiB-hour of memory; 0: by a list price")
	fs.IntVar(&a.plots, "plots", 8, "with --html: at most this many `series` are drawn")
	fs.StringVar(&a.format, "o", "text", "`format`: text or json")
}

// replayNames are the names of all rules of both units.
func replayNames() []string {
	var out []string
	for _, m := range append(replay.Rules(replay.Cores, nil), replay.Rules(replay.Bytes, nil)...) {
		if !slices.Contains(out, m.Name) {
			out = append(out, m.Name)
		}
	}
	return out
}

// replayVerb lets rules size recorded use, and says how each of them did.
func replayVerb(ctx context.Context, args []string, out io.Writer) error {
	var a replayAsk
	own := ownHistory{localPlan: localPlan{progress: os.Stderr}, now: time.Now}
	a.progress = &replayProgress{say: own.say, now: own.now}
	fs := flag.NewFlagSet("replay", flag.ContinueOnError)
	a.flags(fs)
	own.flags(fs)
	rest, done, err := parse(fs, args, 1, replayForm, out)
	if done {
		return err
	}
	if namespace, name, ok := workloadNamed(rest[0]); ok {
		return a.ofWorkload(ctx, own, namespace, name, out)
	}
	series, wrong := readSeries(rest[0])
	if err := errors.Join(a.check(), own.outside.check("replay"), wrong); err != nil {
		return err
	}
	if own.given() {
		own.say("note: %s is there as a file or folder, so --prometheus is not asked", rest[0])
	}
	return a.replay(rest[0], baseName(rest[0]), series, out)
}

// baseName is what a file or folder is called, also where it is given as a dot.
func baseName(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return filepath.Base(path)
}

// replay does it for series from somewhere; title is for the page.
func (a replayAsk) replay(from, title string, series []replay.Series, out io.Writer) error {
	series = a.granting(a.picked(series))
	if err := errors.Join(a.fits(from, series), a.scorable(from, series)); err != nil {
		return err
	}
	return a.show(title, series, out)
}

// ofWorkload is the replay of a workload's own history. What can be refused is, before anything is read.
func (a replayAsk) ofWorkload(ctx context.Context, own ownHistory, namespace, name string, out io.Writer) error {
	called := namespace + "/" + name
	if err := errors.Join(a.check(), own.check(called)); err != nil {
		return err
	}
	if err := a.fits(called, []replay.Series{{Unit: replay.Cores}, {Unit: replay.Bytes}}); err != nil {
		return err
	}
	series, err := own.series(ctx, namespace, name, a.granted == 0 || a.grantedGiB == 0)
	if err != nil {
		return err
	}
	a.node = 0 // containers of one pod are not packed apart from each other
	return a.replay(called, called, series, out)
}

// check gives every fault of the flags at once.
func (a replayAsk) check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, badInput("trimtab replay: "+format, args...))
		}
	}
	for _, name := range listed(a.rules) {
		fault(!slices.Contains(replayNames(), name), "--rule %s: there is no such rule; choose of %s", name, strings.Join(replayNames(), ", "))
	}
	fault(!slices.Contains([]string{"", "cpu", "memory"}, a.resource), "--resource %s: choose cpu or memory", a.resource)
	const most = 1e6 // far above any machine and any price
	amount := func(flag string, v float64, such string) {
		fault(!(v >= 0 && v <= most), "--%s %g: give an amount such as %s, or 0", flag, v, such)
	}
	amount("granted", a.granted, "4")
	amount("granted-memory", a.grantedGiB, "16")
	amount("node-cores", a.node, "32")
	amount("core-hour", a.coreHour, "0.035")
	amount("gib-hour", a.gibHour, "0.004")
	fault((a.coreHour > 0) != (a.gibHour > 0), "--core-hour and --gib-hour go together; give both or neither")
	fault(!canBeWritten(a.page, false), "--html %s: there is no such folder, or it is one; name a file in a folder that is there", a.page)
	fault(!canBeWritten(a.lines, true), "--emit %s: is a file; name a folder", a.lines)
	fault(a.plots < 0 || a.plots > 100, "--plots %d: give at most 100", a.plots)
	_, err := zoneOf("replay", a.zone)
	return errors.Join(append(faults, err, checkFormat("replay", a.format))...)
}

// listed is the parts of a text between commas.
func listed(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// picked are the series that --only leaves.
func (a replayAsk) picked(all []replay.Series) []replay.Series {
	prefixes := listed(a.only)
	return slices.DeleteFunc(slices.Clone(all), func(s replay.Series) bool {
		begins := func(prefix string) bool { return strings.HasPrefix(s.ID, prefix) }
		return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, begins)
	})
}

// granting sets what --granted and --granted-memory say.
func (a replayAsk) granting(all []replay.Series) []replay.Series {
	all = slices.Clone(all)
	for i := range all {
		switch {
		case all[i].Unit == replay.Cores && a.granted > 0:
			all[i].Granted = a.granted
		case all[i].Unit == replay.Bytes && a.grantedGiB > 0:
			all[i].Granted = a.grantedGiB * (1 << 30)
		}
	}
	return all
}

// units are those to replay, of those that there are series of.
func (a replayAsk) units(all []replay.Series) []string {
	var out []string
	for _, u := range []struct{ unit, resource string }{{replay.Cores, "cpu"}, {replay.Bytes, "memory"}} {
		if (a.resource == "" || a.resource == u.resource) && len(ofUnit(all, u.unit)) > 0 {
			out = append(out, u.unit)
		}
	}
	return out
}

func ofUnit(all []replay.Series, unit string) []replay.Series {
	return slices.DeleteFunc(slices.Clone(all), func(s replay.Series) bool { return s.Unit != unit })
}

// fits says what of the series cannot be done as asked.
func (a replayAsk) fits(path string, all []replay.Series) error {
	units := a.units(all)
	if len(units) == 0 {
		return badInput("%s: holds no such series; leave --only and --resource out, or ask for others", path)
	}
	for _, unit := range units {
		if len(a.chosen(unit)) > 0 {
			return a.namesApart(all)
		}
	}
	return badInput("trimtab replay: --rule %s: is not for %s", a.rules, strings.Join(units, " and "))
}

// scorable refuses series of which none is long enough: a table of zeros would look like the best of rules.
func (a replayAsk) scorable(path string, all []replay.Series) error {
	for _, unit := range a.units(all) {
		of := ofUnit(all, unit)
		if enough, _ := longEnough(of); len(enough) > 0 || len(a.chosen(unit)) == 0 {
			continue
		}
		what := map[string]string{replay.Cores: "cpu", replay.Bytes: "memory"}[unit]
		return badInput("%s: has at most %.1f days of %s, too few to be scored: the first three days are warm-up, and %d samples after them are needed, a hundred before each; give a longer history, or leave this one out by --resource",
			path, longest(of).Hours()/24, what, leastOwnScored)
	}
	return nil
}

// chosen are the rules to run for a unit.
func (a replayAsk) chosen(unit string) []replay.Maker {
	asked := listed(a.rules)
	zone, _ := zoneOf("replay", a.zone) // was checked
	return slices.DeleteFunc(replay.Rules(unit, zone), func(m replay.Maker) bool {
		return len(asked) > 0 && !slices.Contains(asked, m.Name)
	})
}

// options are how the rules for a unit are scored.
func (a replayAsk) options(unit string) replay.CompareOptions {
	core, gib := a.prices()
	if unit == replay.Bytes {
		return replay.CompareOptions{Score: replay.Standard(int64(gib))}
	}
	return replay.CompareOptions{Score: replay.Standard(int64(core)), Node: a.node}
}

// prices are those of a core-hour and of a GiB-hour; 0: unknown.
func (a replayAsk) prices() (core, gib cost.Money) {
	if a.coreHour > 0 {
		return inMoney(a.coreHour), inMoney(a.gibHour)
	}
	p, _ := (sketch{}).price() // of a month, by a list price
	return p.Core.Times(1, cost.MonthHours), p.GiB.Times(1, cost.MonthHours)
}

// show replays, and writes what was asked for.
func (a replayAsk) show(title string, series []replay.Series, out io.Writer) error {
	done, err := a.run(series)
	if err != nil {
		return err
	}
	if err := a.writePage(title, done); err != nil {
		return err
	}
	if a.format == "json" {
		return writeJSON(out, replayAnswer{version, done.compared})
	}
	if err := replay.Text(out, done.compared); err != nil {
		return err
	}
	for _, w := range []struct{ what, path string }{{"the page", a.page}, {"the requests", a.lines}} {
		if w.path != "" {
			fmt.Fprintf(out, "wrote %s to %s\n", w.what, w.path)
		}
	}
	return nil
}

// replayAnswer is the JSON form.
type replayAnswer struct {
	Version  string              `json:"version"`
	Compared []replay.Comparison `json:"compared"`
}
