//go:build !linux

package main

import (
	"context"
	"errors"
	"strings"

	"trimtab.dev/trimtab/deploy/localkube/machine"
)

func clusterVerb(context.Context, string, []string) error {
	return remedy{errors.New(strings.Join(machine.Missing(3), "\n"))}
}
