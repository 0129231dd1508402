package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"trimtab.dev/trimtab/cmd/simulate/show"
	"trimtab.dev/trimtab/optimizer/simulator"
)

// simulateVerb is the program cmd/simulate.
func simulateVerb(ctx context.Context, args []string, out io.Writer) error {
	err := show.Run(ctx, args, out, os.Stderr)
	var faults simulator.Faults
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case errors.Is(err, simulator.ErrUsage):
		return badInput("trimtab simulate --help lists the flags")
	case errors.As(err, &faults):
		return badInput("%v", err)
	}
	return err
}
