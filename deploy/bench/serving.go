package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const servingCommand = "make bench BENCH=serving"

// The static delays that the adaptive batcher is measured against, and the rates of the open loop.
var (
	staticDelays = []string{"0ms", "2ms", "5ms", "12ms"}
	openRates    = []int{200, 400, 700} // requests a second
)

// trial is one run of the family serving: what is measured, for how long, and what it has found so far.
type trial struct {
	bench
	quick   bool
	repeats int
	window  time.Duration // of one measurement; whole seconds, as wrk takes no others
	dir     string        // of its own: models, logs
	begun   time.Time
	binary  string // modelserver
	rivals  rivals
	running []*server
	port    int // the last that was tried for a server
	weather weather
}

// serving measures the inference server beside batchers of others and beside itself with batching off
// or static. A step that fails does not keep the others from being measured.
func serving(b bench) error {
	t := &trial{bench: b, repeats: 5, window: 2 * time.Second, begun: time.Now(), port: firstPort}
	fs := flag.NewFlagSet("serving", flag.ContinueOnError)
	fs.BoolVar(&t.quick, "quick", false, "one repeat and short windows, to try the harness; its figures are not kept")
	only := fs.String("only", "", "steps to run, separated by commas; all if empty: "+strings.Join(stepNames(), ", "))
	fs.StringVar(&t.binary, "modelserver", "", "measure this `file` instead of building modelserver, such as bin/modelserver-onnx")
	err := fs.Parse(b.args)
	if err != nil {
		return errUsage
	}
	if t.quick {
		t.repeats, t.window = 1, time.Second
		if t.file, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return err
		}
		defer t.file.Close()
	}
	dir, err := os.MkdirTemp("", "trimtab-serving-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer t.stopAll()
	t.dir = dir
	if err := t.prepare(); err != nil {
		return err
	}
	t.header()
	return errors.Join(t.walk(*only), t.weatherReport())
}

// step is one part of the family.
type step struct {
	name, about string
	run         func(*trial) error
}

func steps() []step {
	return []step{
		{"idle", "memory and start of the demo's model", (*trial).idle},
		{"large", "closed loops, large MLP", (*trial).large},
		{"mid", "closed loops, mid MLP", (*trial).mid},
		{"open", "open loops, large MLP, beside static delays", (*trial).open},
		{"overload", "three times what the server can do", (*trial).overload},
		{"trees", "our trees beside ONNX Runtime's", (*trial).trees},
		{"reload", "300,000 requests across reloads, swaps and resizes", (*trial).reload},
	}
}

func stepNames() []string {
	var names []string
	for _, s := range steps() {
		names = append(names, s.name)
	}
	return names
}

// walk takes the steps, one after the other; each starts and stops its own servers.
func (t *trial) walk(only string) error {
	var faults []error
	for _, s := range steps() {
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		t.say("%s: %s", s.name, s.about)
		if err := s.run(t); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			t.say("%s", err)
			faults = append(faults, err)
		}
		t.stopAll()
	}
	return errors.Join(faults...)
}

// say prints a line of progress.
func (t *trial) say(format string, a ...any) {
	at := time.Since(t.begun).Round(time.Second)
	fmt.Printf("%02d:%02d %s\n", int(at.Minutes()), int(at.Seconds())%60, fmt.Sprintf(format, a...))
}

// model is the file of an example model, which it exports once.
func (t *trial) model(name string) (string, error) {
	file := filepath.Join(t.dir, name+".onnx")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	out, err := exec.Command(t.binary, "export", "--model", name, "--out", file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("export %s: %w: %s", name, err, lastLine(out))
	}
	return file, nil
}

// header says with what everything is measured.
func (t *trial) header() {
	t.say("%s", t.setting())
	t.say("rivals: KServe agent %s (max-batchsize 32, max-latency 2 ms) in front of our server, which computes each of its batches as one; %s", t.rivals.agentVersion, t.rivals.nodeVersion)
	t.say("client: %s for closed loops, modelserver bench for open ones; both share the machine with the server", t.rivals.wrkVersion)
	t.say("%d repeats, interleaved (%d at 8 and 32 connections and for Poisson arrivals); windows of %s after 0.4 to 1 s of warm-up; medians; CPU seconds are summed over all processes of a row", t.repeats, mostBetween, t.window)
}

// setting is the machine and the versions, in one line.
func (t *trial) setting() string {
	version, err := exec.Command(t.binary, "version").Output()
	if err != nil {
		version = []byte("modelserver of an unknown version")
	}
	return fmt.Sprintf("%s, runtime builtin, %s, %s, %d cores", strings.TrimSpace(string(version)), runtime.Version(), processor(), runtime.NumCPU())
}

// processor is the machine's CPU as it calls itself.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// figure records a value beside a rival's of the same run.
func (t *trial) figure(name string, value float64, unit, rival string, theirs float64) error {
	return t.write(line{Name: "serving." + name, Value: rounded(value), Unit: unit, Rival: rival, RivalValue: new(rounded(theirs)), Command: servingCommand})
}

// alone records a value that stands beside none.
func (t *trial) alone(name string, value float64, unit string) error {
	return t.record("serving."+name, rounded(value), unit, servingCommand)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
