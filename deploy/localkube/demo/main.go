// Command demo shows Trimtab at work in three levels, each as real as this machine allows:
// 3 real nodes with real pods, 2 the real control plane with simulated nodes and model servers as
// ordinary processes, 1 a simulated fleet. It never ends without a result.
//
// It builds what is missing, prints in plain lines what it does, and leaves the cluster running until
// `demo down`. It uses the standard library only, so that it compiles in seconds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// demo is one run.
type demo struct {
	root    string // of the repository
	out     string // demo-out
	level   string // "1", "2", "3", or a context
	why     string // the machine has this level
	context string // an existing cluster instead of ours
	port    string // of the daemon's page on this machine
	noBuild bool   // every binary is there already
	look    bool   // stop at what is recommended
	start   time.Time
	times   map[string]float64 // seconds since start, for the benchmark
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var bad badInput
	switch {
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type badInput string

func (b badInput) Error() string { return string(b) }

func run(ctx context.Context, args []string) error {
	d := &demo{start: time.Now(), times: map[string]float64{}}
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.StringVar(&d.root, "root", ".", "repository `folder`")
	fs.StringVar(&d.out, "out", "demo-out", "`folder` for kubeconfig, pages and logs")
	fs.StringVar(&d.level, "level", "", "`level` 1, 2 or 3; empty: the highest that this machine carries")
	fs.StringVar(&d.context, "cluster", "", "kubeconfig `context` of an existing cluster, which is only read")
	fs.StringVar(&d.port, "port", "18080", "`port` of the daemon's page on this machine")
	fs.BoolVar(&d.look, "recommend-only", false, "stop before anything is changed; the verb act goes on from there")
	fs.BoolVar(&d.noBuild, "no-build", false, "compile nothing: the binaries are there")
	var help strings.Builder
	fs.SetOutput(&help)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(help.String())
			return nil
		}
		return badInput(err.Error())
	}
	if err := d.prepare(); err != nil {
		return err
	}
	switch verb := fs.Arg(0); verb {
	case "", "up":
		return d.up(ctx)
	case "act": // goes on after up --recommend-only
		return errors.Join(d.act(ctx), d.saveTimes())
	case "down":
		return d.down(ctx)
	case "keep": // started by level 2 in the background
		return d.keep(ctx)
	default:
		return badInput(fmt.Sprintf("no verb %q; there are up, act and down", verb))
	}
}

// prepare makes every path absolute, since the programs that are started run in other folders.
func (d *demo) prepare() error {
	for _, p := range []*string{&d.root, &d.out} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	if d.level != "" && !strings.Contains("1 2 3", d.level) {
		return badInput("--level " + d.level + ": choose 1, 2 or 3")
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	return nil
}

// up shows the simulated fleet at once, then the level's cluster.
func (d *demo) up(ctx context.Context) error {
	if err := d.findLevel(ctx); err != nil {
		return err
	}
	d.banner()
	if err := d.simulate(ctx); err != nil {
		return err
	}
	d.mark("demo.first_result_s")
	err := d.cluster(ctx)
	d.mark("demo.total_s")
	return errors.Join(err, d.saveTimes())
}

func (d *demo) cluster(ctx context.Context) error {
	switch {
	case d.context != "":
		return d.existing(ctx)
	case d.level == "3":
		return d.realNodes(ctx)
	case d.level == "2":
		return d.simulatedNodes(ctx)
	}
	say("")
	say("That was level 1. Not shown on this machine: a real API server, real pods and their measurements (%s).", d.why)
	say("On Linux with Go, `make demo` shows level 2; as root, level 3.")
	return nil
}

func (d *demo) banner() {
	shows := map[string]string{
		"3": "real nodes: two kubelets with real pods under real load",
		"2": "the real control plane with simulated nodes, and model servers as ordinary processes",
		"1": "the simulated fleet",
	}[d.level]
	if d.context != "" {
		shows = "your cluster " + d.context + ", which is only read"
	}
	say("Trimtab demo, level %s: %s.", d.level, shows)
	say("Why this level: %s.", d.why)
	say("")
}

func (d *demo) mark(name string) { d.times[name] = time.Since(d.start).Seconds() }

func (d *demo) saveTimes() error {
	text, err := json.MarshalIndent(d.times, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.out, "times.json"), append(text, '\n'), 0o644)
}

// say prints one line at once.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// sayAt prints what happened so long after begun, wrapped as the texts of Trimtab are.
func sayAt(begun time.Time, text string) {
	for i, line := range wrapped(text, 100-len("  12 s  ")) {
		if i == 0 {
			say("%4.0f s  %s", time.Since(begun).Seconds(), line)
			continue
		}
		say("        %s", line)
	}
}

// wrapped breaks text between words into lines of at most width bytes; a longer word has a line to itself.
func wrapped(text string, width int) []string {
	var out []string
	for _, word := range strings.Fields(text) {
		if n := len(out); n > 0 && len(out[n-1])+1+len(word) <= width {
			out[n-1] += " " + word
			continue
		}
		out = append(out, word)
	}
	return out
}
