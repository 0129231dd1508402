// Command simulate runs Trimtab's own cycle on a whole fleet from a text file, in seconds, on any
// machine: no Kubernetes, no network, no rights. It prints what the fleet costs a week and would cost
// after Trimtab's changes, and can write the same as a page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"trimtab.dev/trimtab/cmd/simulate/show"
	"trimtab.dev/trimtab/optimizer/simulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := exit(show.Run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr)
	stop()
	os.Exit(code)
}

// exit writes err and gives the exit code: 0, 2 for bad input, 1 for anything else.
func exit(err error, w io.Writer) int {
	var faults simulator.Faults
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, simulator.ErrUsage):
		return 2
	case errors.As(err, &faults):
		fmt.Fprintln(w, err)
		return 2
	}
	fmt.Fprintln(w, "simulate:", err)
	return 1
}
