package optimizer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
)

// Retention is how far back history is kept and, on the first pass, read.
const Retention = 35 * 24 * time.Hour

// Cycle is one daemon's passes. What it keeps between them (history, the last good policies) can be
// rebuilt from Usage and Cluster. It is for one goroutine.
type Cycle struct {
	Cluster  Cluster
	Usage    Usage
	Ledger   Ledger
	Actuator Actuator // nil: nothing is ever applied, whatever a policy says
	Prices   cost.Prices
	History  *recommender.History

	refused int
	set     policies.Set
}

// Run makes one pass as of now. An error means that something could not be read or written down:
// then nothing was decided, and the plan is empty.
func (c *Cycle) Run(ctx context.Context, now time.Time) (Plan, error) {
	seen, err := c.observe(ctx, now)
	if err != nil {
		return Plan{}, err
	}
	if err := c.settle(ctx, seen, now); err != nil {
		return Plan{}, err
	}
	c.remember(seen.samples, now)
	prices := c.Prices.With(rows(c.set.Prices)...)
	plan := decide(assessAll(seen.Snapshot, c.set, c.History, prices, now))
	plan.At, plan.Through = now, c.History.Last()
	plan.BadPolicies, plan.Lint = c.set.Bad, lint(seen.Snapshot, plan.Assessments)
	plan.Prices = prices.Used(seen.Nodes)
	plan.Simulated = anySimulated(seen.Nodes)
	return plan, c.act(ctx, plan, now)
}

// Refused counts the samples that were no measurements: NaN, negative or from the future.
func (c *Cycle) Refused() int { return c.refused }

type observation struct {
	fleet.Snapshot
	samples []fleet.Sample
}

func (c *Cycle) observe(ctx context.Context, now time.Time) (observation, error) {
	snapshot, err := c.Cluster.Observe(ctx)
	if err != nil {
		return observation{}, fmt.Errorf("observe the cluster: %w", err)
	}
	raw, err := c.Cluster.Policies(ctx)
	if err != nil {
		return observation{}, fmt.Errorf("read policies: %w", err)
	}
	samples, err := c.Usage.Samples(ctx, c.since(now), now)
	if err != nil {
		return observation{}, fmt.Errorf("read usage: %w", err)
	}
	c.set = policies.Compile(raw, c.set)
	return observation{snapshot, samples}, nil
}

// since is where the last pass stopped reading, or as far back as history goes.
func (c *Cycle) since(now time.Time) time.Time {
	oldest := now.Add(-Retention)
	if last := c.History.Last(); last.After(oldest) {
		return last
	}
	return oldest
}

func (c *Cycle) remember(samples []fleet.Sample, now time.Time) {
	for _, s := range samples {
		if err := c.History.Add(s, now); err != nil && !errors.Is(err, recommender.ErrRepeated) {
			c.refused++
		}
	}
	c.History.Forget(now.Add(-Retention))
}

func rows(prices []policies.Price) []cost.Row {
	out := make([]cost.Row, 0, len(prices))
	for _, p := range prices {
		out = append(out, cost.Row{
			InstanceType: p.InstanceType, Region: p.Region, Capacity: p.Capacity,
			Hourly: cost.Money(p.Hourly), Source: "Prices document",
		})
	}
	return out
}

func anySimulated(nodes []fleet.Node) bool {
	for _, n := range nodes {
		if n.Simulated {
			return true
		}
	}
	return false
}
