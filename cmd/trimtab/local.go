package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"trimtab.dev/trimtab/policies"
)

// referenceVerb prints the fields of each kind of document from the tables that the parser reads by.
func referenceVerb(_ context.Context, args []string, out io.Writer) error {
	_, done, err := parse(flag.NewFlagSet("reference", flag.ContinueOnError), args, 0, "reference", out)
	if done {
		return err
	}
	all := policies.Reference()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, f := range all {
		if i == 0 || f.Kind != all[i-1].Kind {
			fmt.Fprintf(t, "\n%s\n\n", cmp.Or(f.Kind, "Every kind")) // the columns of each kind are its own
		}
		standing := f.Default
		if f.Needed {
			standing = "(needed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Path, f.Type, standing, f.Meaning)
	}
	return t.Flush()
}
