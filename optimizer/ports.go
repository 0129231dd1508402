package optimizer

import (
	"context"
	"errors"
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

// Actuator writes what a change asks of its workload. A daemon without one only recommends.
type Actuator interface {
	// Apply makes what of c.To is not there yet on every live pod of c (see Change.Pods) and on the workload,
	// and does not wait for it. Asked again it writes only what is still missing, and nothing where all is
	// there. Errors: ErrMoved, ErrGone, ErrUnavailable; anything else is a refusal in the words of whoever refused.
	Apply(ctx context.Context, c Change) error
}

// Reasons for which Apply writes nothing (more).
var (
	ErrMoved = errors.New("it is no longer what the change was decided on")
	ErrGone  = errors.New("it was deleted meanwhile")
	// ErrUnavailable: nobody refused it, there was no answer; it is asked for again.
	ErrUnavailable = errors.New("the cluster does not answer")
)

// Ledger remembers what was begun and how it ended. What it said once it says after a restart and to
// the next leader.
type Ledger interface {
	// Begin writes down the intent before anything is changed and gives its key. ErrOpen: the workload has
	// an entry that is not finished, so somebody else is at it.
	Begin(ctx context.Context, c Change, at time.Time) (id string, err error)
	// Note replaces the words on how an entry stands, open or not.
	Note(ctx context.Context, id, detail string) error
	// Finish closes an open entry; a closed or unknown one is an error.
	Finish(ctx context.Context, id string, o Outcome, detail string, at time.Time) error
	Entries(ctx context.Context) ([]Entry, error) // oldest first
}

// ErrOpen is Begin's refusal of a workload that has an open entry.
var ErrOpen = errors.New("a change of it is under way")

// Orders are what people ask of the daemon by its orders ConfigMap, which RBAC guards.
type Orders interface {
	Pending(ctx context.Context) ([]Order, error) // oldest first
	// Answer ends an order with the words that the person who gave it reads.
	Answer(ctx context.Context, o Order, text string) error
}

// Keeper makes objects that Trimtab owns as the documents say.
type Keeper interface {
	// Keep compares each such object with what set asks, and where write is set and the document enforces
	// makes it so. It does not wait. What goes wrong with one object is in its Kept; an error means that
	// nothing could be compared.
	Keep(ctx context.Context, set policies.Set, seen fleet.Snapshot, write bool, now time.Time) ([]Kept, error)
}
