package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"strings"

	"trimtab.dev/trimtab/cmd/simulate/show"
	"trimtab.dev/trimtab/optimizer/simulator"
)

// simulateVerb is the program cmd/simulate.
func simulateVerb(ctx context.Context, args []string, out io.Writer) error {
	var diag strings.Builder
	err := show.Run(ctx, args, out, &diag)
	first, flags, _ := strings.Cut(diag.String(), "\n")
	var faults simulator.Faults
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(out, heading("simulate", "simulate [flags]")+flags)
	case errors.Is(err, simulator.ErrUsage):
		return badInput("trimtab simulate: %s; `trimtab help simulate` lists the flags", first)
	case errors.As(err, &faults):
		return badInput("%v", err)
	}
	return err
}
