package optimizer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// act carries out the changes whose policy enforces, each with its intent written down first. One
// change that does not work stops neither the others nor the pass; the errors are joined.
func (c *Cycle) act(ctx context.Context, p Plan, now time.Time) error {
	if c.Actuator == nil {
		return nil
	}
	var failed []error
	for _, ch := range p.Changes {
		if ch.Mode == policies.Enforce {
			failed = append(failed, c.carryOut(ctx, ch, now))
		}
	}
	return errors.Join(failed...)
}

func (c *Cycle) carryOut(ctx context.Context, ch Change, now time.Time) error {
	id, err := c.Ledger.Begin(ctx, ch, now)
	if err != nil {
		return fmt.Errorf("write down the change of %s, which is therefore not made: %w", ch.Ref, err)
	}
	outcome, applied := Done, c.Actuator.Apply(ctx, ch)
	if applied != nil {
		outcome, applied = Failed, fmt.Errorf("change %s: %w", ch.Ref, applied)
	}
	if err := c.Ledger.Finish(ctx, id, outcome, now); err != nil {
		return errors.Join(applied, fmt.Errorf("write down the outcome of %s: %w", ch.Ref, err))
	}
	return applied
}

// settle finishes what an earlier process began and did not live to finish: done where the cluster
// shows the new state, failed otherwise.
func (c *Cycle) settle(ctx context.Context, seen fleet.Snapshot, now time.Time) error {
	entries, err := c.Ledger.Entries(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	for _, e := range entries {
		if e.Outcome != "" {
			continue
		}
		if err := c.Ledger.Finish(ctx, e.ID, evidence(seen.Workloads, e.Change), now); err != nil {
			return fmt.Errorf("settle %s: %w", e.ID, err)
		}
	}
	return nil
}

func evidence(live []fleet.Workload, ch Change) Outcome {
	for _, w := range live {
		if w.Ref == ch.Ref && w.Replicas == ch.To.Replicas && w.Capacity == ch.To.Capacity &&
			w.Current().Requests().Equal(ch.To.Current().Requests()) {
			return Done
		}
	}
	return Failed
}
