// Modelserver is the reference inference server, and the generator of load to try it with.
//
//	modelserver serve --model valuation --port 8080
//	modelserver load --target http://localhost:8080 --model valuation --rate 20 --rows 8
//
// It is one static binary that runs as any user and writes no file but those that it is asked for.
// Package serving has the server; this one has the verbs, their flags and the generator.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
)

const usage = `modelserver serves ONNX models over the Open Inference Protocol v2 (REST and gRPC), KServe's V1 and
POST /predict, and loads and measures such servers.

verbs:
  serve     serve a model until SIGTERM, then drain
  load      send an example's requests at a given rate for as long as you like, like traffic, or replay a trace
  export    write an example model as an ONNX file
  bench     measure a server: latency, goodput, CPU, in a closed or an open loop
  version   print the version
  help      print this, or the flags of a verb: help serve
`

// program is what the verbs may touch of the world.
type program struct {
	env    func(string) string
	stdout io.Writer
	stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	p := program{env: os.Getenv, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// run returns the exit status: 0 done, 1 it went wrong, 2 it was asked for wrongly.
func (p program) run(ctx context.Context, args []string) int {
	err := p.verb(ctx, args)
	var bad faults
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		for _, f := range bad {
			fmt.Fprintf(p.stderr, "modelserver: %s\n", f)
		}
		return 2
	}
	fmt.Fprintf(p.stderr, "modelserver: %s\n", err)
	return 1
}

func (p program) verb(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return faults{"no verb; try modelserver help"}
	}
	verb, rest := args[0], args[1:]
	if slices.Contains(rest, "--help") || slices.Contains(rest, "-h") {
		return p.help(args[:1])
	}
	switch verb {
	case "serve":
		return p.serve(ctx, rest)
	case "load":
		return p.load(ctx, rest)
	case "export":
		return p.export(rest)
	case "bench":
		return p.bench(ctx, rest)
	case "version", "--version":
		fmt.Fprintln(p.stdout, "modelserver", version())
		return nil
	case "help", "--help", "-h":
		return p.help(rest)
	default:
		return faults{fmt.Sprintf("no verb %q; try modelserver help", verb)}
	}
}

func (p program) help(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(p.stdout, usage)
		return nil
	}
	switch args[0] {
	case "serve":
		new(serveOptions).settings().print(p.stdout)
	case "load":
		new(loadOptions).settings().print(p.stdout)
		fmt.Fprint(p.stdout, replayHelp)
	case "export":
		new(exportOptions).settings().print(p.stdout)
	case "bench":
		new(benchOptions).settings().print(p.stdout)
	default:
		return faults{fmt.Sprintf("no flags of %q; help is for serve, load, export or bench", args[0])}
	}
	return nil
}

// version is the module's, or the commit's when it was built in a work tree.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value
		}
	}
	return info.Main.Version
}
