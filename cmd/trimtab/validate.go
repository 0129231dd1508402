package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"syscall"

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
	var has []string
	for _, n := range []struct {
		of        int
		one, many string
	}{
		{len(set.Policies), "policy", "policies"}, {len(set.Prices), "price", "prices"}, {len(set.Governances), "governance", "governances"},
		{len(set.Servers), "server", "servers"}, {len(set.Reports), "report", "reports"},
	} {
		if n.of > 0 {
			has = append(has, counted(n.of, n.one, n.many))
		}
	}
	_, err = fmt.Fprintf(out, "%s: %s, no faults\n", counted(len(raws), "file", "files"), strings.Join(has, ", "))
	return err
}

// counted is a number and its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
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
	data, err := os.ReadFile(name)
	var fault *fs.PathError
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil, errors.New("it is a folder; name the files in it")
	case errors.As(err, &fault):
		return nil, fault.Err // the name is said already
	}
	return data, err
}
