package main

import (
	"context"
	"fmt"
	"io"

	"trimtab.dev/trimtab/policies"
)

// referenceVerb prints the policy fields from the table that the parser reads by.
func referenceVerb(_ context.Context, _ []string, out io.Writer) error {
	for _, f := range policies.Reference() {
		fmt.Fprintf(out, "%-34s %-20s %-12s %s\n", f.Path, f.Type, f.Default, f.Meaning)
	}
	return nil
}
