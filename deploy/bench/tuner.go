package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const tunerCommand = "make bench BENCH=tuner"

// tuner is one run of the family tuner: what the capacity model predicts and plans, beside what servers do
// that are really run.
type tuner struct {
	*trial
	warm     time.Duration // requests before each window
	sweep    []scenario
	groups   [2]group           // of the servers, for their limits, and of the client
	servers  map[string]*server // by model
	survey   survey             // all that was measured
	usual    []pace             // of the server's core, in the calibration of the newest repeat
	looks    []knowledge        // by each look alone; of earlier windows the core's pace
	told     []knowledge        // the same by the curves that servers published
	opening  knowledge          // by the first look, before any window
	latest   knowledge          // by all looks
	chosen   []plans            // of each scenario
	shares   map[tried]float64  // of its limit that a setting was expected to use
	visions  [][]vision         // of each repeat of the sweep, by combination
	outcomes []outcome          // of the sweep, once it was run
	windows  string             // file for what was measured; empty: none
	from     string             // such a file, instead of measuring
	anyway   bool               // what is chosen by such a file is run again all the same
	out      *os.File           // a JSON line for every combination; nil: none
	traces   string             // for the step live
	minutes  int                // of an arm there
	arms     string             // to run there; empty: all
}

// tunerStep is one part of the family.
type tunerStep struct {
	name, about string
	run         func(*tuner) error
}

func tunerSteps() []tunerStep {
	return []tunerStep{
		{"simulation", "predictions beside long simulations", (*tuner).simulation},
		{"prediction", "predictions beside servers that are run", (*tuner).prediction},
		{"optimum", "the joint plan and hill climbing beside the best of the sweep", (*tuner).optimum},
		{liveStep, "the whole loop on a cluster, beside autoscalers; --quick has it only if it is named", (*tuner).live},
	}
}

const (
	liveStep = "live"
	surveyed = "prediction,optimum" // the steps that a survey is made for
)

// tune measures the tuner. Its first argument may be the name of its client, which is a process of its own.
func tune(b bench) error {
	if len(b.args) == 2 && b.args[0] == windowName {
		return window(b.args[1])
	}
	t := &tuner{trial: &trial{bench: b, begun: time.Now(), port: firstPort}, warm: 500 * time.Millisecond, servers: map[string]*server{}}
	only, out, err := t.flags(b.args)
	if err != nil {
		return errUsage
	}
	if t.quick || t.from != "" {
		// Not measured, or not now: no figures to keep.
		if t.file, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return err
		}
		defer t.file.Close()
	}
	if out != "" {
		if t.out, err = os.Create(out); err != nil {
			return err
		}
		defer t.out.Close()
	}
	if t.dir, err = os.MkdirTemp("", "trimtab-tuner-"); err != nil {
		return err
	}
	defer os.RemoveAll(t.dir)
	defer t.finish()
	if t.quick {
		t.repeats = 1
	}
	t.sweep = scenarios(t.quick)
	return t.walkSteps(only)
}

func (t *tuner) flags(args []string) (only, out string, err error) {
	fs := flag.NewFlagSet("tuner", flag.ContinueOnError)
	fs.BoolVar(&t.quick, "quick", false, "one repeat of a small sweep in short windows, to try the harness; its figures are not kept")
	fs.IntVar(&t.repeats, "repeats", 5, "windows of each combination, of which the median counts")
	fs.StringVar(&t.binary, "modelserver", "", "measure this `file` instead of building modelserver")
	fs.StringVar(&out, "out", "", "write a JSON line for every combination to this `file`")
	fs.StringVar(&t.windows, "windows", "", "write all that is measured for "+surveyed+" to this `file`")
	fs.StringVar(&t.from, "from", "", "predict and judge again what such a `file` has, without running anything but what --again does; the figures are not kept")
	fs.BoolVar(&t.anyway, "again", false, "with --from: run again what is chosen by it, instead of reading what it did")
	var names []string
	for _, s := range tunerSteps() {
		names = append(names, s.name)
	}
	fs.StringVar(&t.traces, "traces", "", "for "+liveStep+": a `folder` of request traces, or one trace; one is made up if empty")
	fs.StringVar(&t.arms, "arms", "", "for "+liveStep+": `names` of arms, with commas between; empty: all of trimtab,hpa,vpa+hpa,static,optimum")
	fs.IntVar(&t.minutes, "minutes", 0, "for "+liveStep+": length of an arm; 0 is 8, and 2 with --quick")
	fs.StringVar(&only, "only", "", "steps to run, separated by commas; all if empty: "+strings.Join(names, ", "))
	err = fs.Parse(args)
	if only == "" && t.from != "" {
		only = surveyed
	}
	switch {
	case err != nil:
		return only, out, err
	case t.repeats < 1 || fs.NArg() > 0:
		err = errors.New("give at least one repeat, and no other arguments")
	case t.anyway && (t.from == "" || t.windows == "" || t.windows == t.from):
		err = errors.New("--again goes with --from FILE, and --windows OTHER for what is measured")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return only, out, err
}

// walkSteps takes the steps. One that fails does not keep the others from being measured.
func (t *tuner) walkSteps(only string) error {
	var faults []error
	took := 0
	for _, s := range tunerSteps() {
		if named := strings.Contains(","+only+",", ","+s.name+","); !named && (only != "" || t.quick && s.name == liveStep) {
			continue
		}
		took++
		t.say("%s: %s", s.name, s.about)
		if err := s.run(t); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			t.say("%s", err)
			faults = append(faults, err)
		}
	}
	if took == 0 {
		return fmt.Errorf("--only %s names no step; tuner -h names them", only)
	}
	return errors.Join(faults...)
}

// build makes the server that is measured.
func (t *tuner) build() error {
	if t.binary != "" {
		return nil
	}
	t.say("building modelserver")
	t.binary = filepath.Join(t.root, "bin", "modelserver")
	return t.do(t.root, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", t.binary, "./cmd/modelserver")
}

// serverCore is the core that every server has to itself; the client has the others.
const serverCore = 0

// pinned are what binds a server and its client to cores of their own.
func pinned(all int) (server, client []string, err error) {
	if _, err := exec.LookPath("taskset"); err != nil {
		return nil, nil, fmt.Errorf("%w; install util-linux", err)
	}
	if all < 2 {
		return nil, nil, errors.New("a machine of one core; server and client need one each: use a larger one")
	}
	return []string{"taskset", "-c", strconv.Itoa(serverCore)}, []string{"taskset", "-c", fmt.Sprintf("%d-%d", serverCore+1, all-1)}, nil
}

// windowName calls the client, as the first argument of the family.
const windowName = "window"

// ask has the client, a process of its own, do an order.
func (t *tuner) ask(s *server, o order) (seen, float64, error) {
	self, err := os.Executable()
	if err != nil {
		return seen{}, 0, err
	}
	_, argv, err := pinned(runtime.NumCPU())
	if err != nil {
		return seen{}, 0, err
	}
	argv = append(append(t.groups[1].enter(), argv...), self, "--root", t.root, "tuner", windowName)
	o.Host, o.Model, o.PID = strings.TrimPrefix(s.url, "http://"), s.model, s.pids()[0]
	o.Warm, o.Timeout = t.warm, 5*time.Second
	text, err := json.Marshal(o)
	if err != nil {
		return seen{}, 0, err
	}
	cmd := exec.Command(argv[0], append(argv[1:], string(text))...)
	// One thread more than CPUs at least: the one that waits for the time of the next request keeps its own.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=4")
	var faults strings.Builder
	cmd.Stderr = &faults
	answer, err := cmd.Output()
	if err != nil {
		return seen{}, 0, fmt.Errorf("client: %w: %s", err, faults.String())
	}
	var saw seen
	err = json.Unmarshal(answer, &saw)
	return saw, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), err
}

// tuned records a figure of the family.
func (t *tuner) tuned(name string, value float64, unit string) error {
	return t.record("tune."+name, rounded(value), unit, tunerCommand)
}

// beside records a figure beside a rival's.
func (t *tuner) beside(name string, value float64, unit, rival string, theirs float64) error {
	return t.write(line{Name: "tune." + name, Value: rounded(value), Unit: unit, Rival: rival, RivalValue: new(rounded(theirs)), Command: tunerCommand})
}

// live runs the arms on a cluster, beside no server of another step.
func (t *tuner) live() error {
	t.finish()
	lines, err := liveTuner(liveOptions{root: t.root, traces: t.traces, minutes: t.minutes, only: t.arms, quick: t.quick, command: tunerCommand, say: t.say})
	for _, l := range lines {
		err = errors.Join(err, t.write(l))
	}
	return err
}
