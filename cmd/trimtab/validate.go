package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"trimtab.dev/trimtab/policies"
)

// validateVerb checks files as the daemon would read them, all of them together.
func validateVerb(_ context.Context, args []string, out io.Writer) error {
	args, done, err := parseUpTo(flag.NewFlagSet("validate", flag.ContinueOnError), args, 1, math.MaxInt, "validate FILE...", out)
	if done {
		return err
	}
	raws, faults := readFiles(args)
	set := policies.Compile(raws, policies.Set{}, checks())
	for _, bad := range set.Bad {
		faults = append(faults, bad.Faults...)
	}
	if len(faults) > 0 {
		return badInput("%s", strings.Join(faults, "\n"))
	}
	_, err = fmt.Fprintf(out, "%d files: %d policies, %d prices, %d governances, %d servers, %d reports, no faults\n",
		len(raws), len(set.Policies), len(set.Prices), len(set.Governances), len(set.Servers), len(set.Reports))
	return err
}

func readFiles(names []string) (raws []policies.Raw, faults []string) {
	for _, name := range names {
		data, err := read(name)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: cannot be read: %v", name, err))
			continue
		}
		raws = append(raws, policies.Raw{Source: name, Data: data})
	}
	return raws, faults
}

func read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}
