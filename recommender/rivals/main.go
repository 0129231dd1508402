package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"trimtab.dev/trimtab/recommender/replay"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "rivals:", err)
		}
		os.Exit(2)
	}
}

// run is the program: args are its arguments without its name.
func run(args []string, out, help io.Writer) error {
	f := flag.NewFlagSet("rivals", flag.ContinueOnError)
	f.SetOutput(help)
	traces := f.String("traces", "", "a folder of series: those that its index.csv names, or all")
	cores := f.Float64("node", 0, "pack the series onto nodes of so many cores; 0: do not")
	measuring := f.Bool("bench", false, "measure what the autoscaler's model costs, one JSON object a line")
	f.Usage = func() {
		fmt.Fprintln(help, "usage: rivals [--traces FOLDER] [--node CORES] [FILE.csv[.gz]...] | --bench")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if *measuring {
		return benchAlone(*traces, f.Args(), out)
	}
	series, err := load(*traces, f.Args())
	if err != nil {
		return err
	}
	return tables(out, newGenuine(), series, replay.CompareOptions{Score: replay.Standard(0), Node: *cores})
}

// benchAlone refuses series beside --bench, which would be left unread.
func benchAlone(traces string, files []string, out io.Writer) error {
	if traces != "" || len(files) > 0 {
		return errors.New("--bench makes its own load: leave out --traces and files, or run them apart")
	}
	return bench(out, subjects(newGenuine()), full())
}
