package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trimtab.dev/trimtab/recommender/replay"
)

const recommenderCommand = "make bench BENCH=recommender"

// advised is one run of the family recommender: our rules beside those of others on the same series.
type advised struct {
	bench
	traces string  // a folder with an index.csv; empty: only what needs none is measured
	html   string  // a file for the page of the step cpu; empty: none
	node   float64 // cores of the nodes that are packed
	begun  time.Time

	folder  replay.Folder              // the traces
	entries []replay.Entry             // of their index
	read    map[string][]replay.Series // by kind
}

// advisedStep is one part of the family.
type advisedStep struct {
	name, about string
	traces      bool // it needs a folder of traces
	run         func(*advised) error
}

func advisedSteps() []advisedStep {
	return []advisedStep{
		{"cpu", "CPU requests on the series of the kind cpu_mem", true, (*advised).cpu},
		{"spiky", "CPU requests on the series of the kind cpu_pct, decided every hour", true, (*advised).spiky},
		{"calendars", "CPU requests on peaks that return, made up", false, (*advised).calendars},
		{"memory", "memory requests on the series of the kind cpu_mem", true, (*advised).memory},
		{"replicas", "replicas on the series of the kind requests", true, (*advised).replicas},
		{"gpu", "shared GPUs on the series of the kind gpu_pod", true, (*advised).gpu},
		{"speed", "time and memory for each container, beside the genuine VPA", false, (*advised).speed},
	}
}

// recommend measures the recommender.
func recommend(b bench) error {
	a := &advised{bench: b, begun: time.Now(), read: map[string][]replay.Series{}}
	only, err := a.flags(b.args)
	if err != nil {
		return errUsage
	}
	if a.traces != "" {
		if err := a.open(); err != nil {
			return err
		}
	}
	return a.walkSteps(only)
}

// open finds the folder of traces and what its index lists.
func (a *advised) open() (err error) {
	a.folder = replay.Folder{Files: os.DirFS(a.traces), Name: filepath.ToSlash(a.traces)}
	a.entries, err = a.folder.Entries()
	return err
}

func (a *advised) flags(args []string) (only []string, err error) {
	var names []string
	for _, s := range advisedSteps() {
		names = append(names, s.name)
	}
	fs := flag.NewFlagSet("recommender", flag.ContinueOnError)
	fs.StringVar(&a.traces, "traces", "", "a `folder` of series with an index.csv; without it only calendars and speed are measured")
	fs.StringVar(&a.html, "html", "", "write the frontier of the step cpu as a page to this `file`")
	fs.Float64Var(&a.node, "node", 32, "`cores` of the nodes that the step cpu packs")
	steps := fs.String("only", "", "steps to run, separated by commas; all if empty: "+strings.Join(names, ", "))
	err = fs.Parse(args)
	if err == nil && (fs.NArg() > 0 || !(a.node > 0)) {
		err = errors.New("give cores above 0, and no other arguments than flags")
		fmt.Fprintln(os.Stderr, err)
	}
	if *steps != "" {
		only = strings.Split(*steps, ",")
	}
	return only, err
}

// walkSteps takes the steps. One that fails does not keep the others from being measured.
func (a *advised) walkSteps(only []string) error {
	steps, err := namedSteps(advisedSteps(), only)
	faults := []error{err}
	for _, s := range steps {
		if s.traces && a.traces == "" {
			a.say("%s: left out: it needs series; give TRACES=folder with an index.csv", s.name)
			continue
		}
		begun := time.Now()
		a.say("%s: %s", s.name, s.about)
		if err := s.run(a); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			a.say("%s", err)
			faults = append(faults, err)
		}
		a.say("%s took %.0f s", s.name, time.Since(begun).Seconds())
	}
	return errors.Join(faults...)
}

// namedSteps is the steps that are named, in their own order, all if none is; a name of none is a fault.
func namedSteps(all []advisedStep, only []string) (out []advisedStep, err error) {
	named := map[string]bool{}
	for _, name := range only {
		named[name] = true
	}
	for _, s := range all {
		if len(only) == 0 || named[s.name] {
			out = append(out, s)
		}
		delete(named, s.name)
	}
	var faults []error
	for _, name := range only {
		if named[name] {
			faults = append(faults, fmt.Errorf("--only %q names no step; recommender -h names them", name))
		}
	}
	return out, errors.Join(faults...)
}

func (a *advised) say(format string, args ...any) {
	fmt.Printf("[%5.1f s] %s\n", time.Since(a.begun).Seconds(), fmt.Sprintf(format, args...))
}

// other is a rival's figure.
type other struct {
	name  string
	value float64
}

// beside records a figure, once beside each rival.
func (a *advised) beside(name string, value float64, unit string, rivals ...other) error {
	l := line{Name: "rec." + name, Value: rounded(value), Unit: unit, Command: a.command()}
	if len(rivals) == 0 {
		return a.write(l)
	}
	var faults []error
	for _, r := range rivals {
		l.Rival, l.RivalValue = r.name, new(rounded(r.value))
		faults = append(faults, a.write(l))
	}
	return errors.Join(faults...)
}

func (a *advised) command() string {
	if a.traces == "" {
		return recommenderCommand
	}
	return recommenderCommand + " TRACES=folder"
}
