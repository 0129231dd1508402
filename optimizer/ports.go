package optimizer

import (
	"context"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// Cluster reads the objects of one cluster.
type Cluster interface {
	// Observe gives the workloads, nodes and bounds as of now; an error ends the pass.
	Observe(ctx context.Context) (fleet.Snapshot, error)
	// Policies gives every policy document as it stands.
	Policies(ctx context.Context) ([]policies.Raw, error)
}

// Usage reads measurements.
type Usage interface {
	// Each hands over every sample whose window ends in (since, until], sorted by end, Ref, pod,
	// container and signal, in chunks, for weeks of a large cluster do not fit into memory. What was
	// not measured is not there.
	Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error
}

// Actuator carries out changes. A daemon without one only recommends.
type Actuator interface {
	Apply(ctx context.Context, c Change) error
}

// Ledger remembers what was begun and how it ended.
type Ledger interface {
	Begin(ctx context.Context, c Change, at time.Time) (id string, err error)
	Finish(ctx context.Context, id string, o Outcome, at time.Time) error
	Entries(ctx context.Context) ([]Entry, error) // oldest first
}
