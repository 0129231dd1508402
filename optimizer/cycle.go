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

// Cycle is one daemon's passes. What it keeps between them (history, plans, the last good policies) can be
// rebuilt from Usage and Cluster. It is for one goroutine.
type Cycle struct {
	Cluster  Cluster
	Usage    Usage
	Ledger   Ledger
	Actuator Actuator // nil: nothing is ever applied, whatever a policy says
	Orders   Orders   // nil: nobody can ask for anything
	Keepers  []Keeper
	Prices   cost.Prices
	Checks   policies.Checks // of the documents
	History  *recommender.History
	Plans    *recommender.Plans // nil: none stand yet

	zones   map[string]*time.Location // that policies name, looked up once
	refused int
	set     policies.Set
	waits   map[fleet.Ref]time.Time // until when newer pods are not given what was refused them
	missing map[string]int          // in how many passes what an open entry wrote was not there
}

// Run makes one pass as of now. Where acting is false, as on a standby, it looks at everything and
// writes nothing. An error means that something could not be read: then nothing was decided, and the
// plan is empty. What could not be done is in Plan.Troubles and stops nothing else; without the ledger
// nothing is done at all, and only recommended.
func (c *Cycle) Run(ctx context.Context, now time.Time, acting bool) (Plan, error) {
	if err := c.remember(ctx, now); err != nil { // first: weeks of it take a while, the rest is of now
		return Plan{}, fmt.Errorf("read usage: %w", err)
	}
	if c.waits == nil {
		c.waits, c.missing = map[fleet.Ref]time.Time{}, map[string]int{}
	}
	if c.Plans == nil {
		c.Plans = recommender.NewPlans()
	}
	c.Plans.Forget(c.History)
	p := pass{Cycle: c, ctx: ctx, now: now, acting: acting}
	p.recall() // before the cluster: what was begun is looked for in a snapshot that is younger
	seen, err := c.observe(ctx)
	if err != nil {
		return Plan{}, err
	}
	p.seen = seen
	for _, w := range seen.Workloads {
		c.History.Meet(w)
	}
	p.settle()
	p.maintain()
	prices := c.Prices.With(rows(c.set.Prices)...)
	p.plan.propose(assessAll(judge{seen, c.set, c.History, c.Plans, prices, now, p.entries, p.kept, c.zone}))
	p.plan.At, p.plan.Through = now, c.History.Last()
	p.plan.BadPolicies, p.plan.Lint = c.set.Bad, lint(seen, p.plan.Assessments)
	p.plan.Prices = prices.Used(seen.Nodes)
	p.plan.Simulated = anySimulated(seen.Nodes)
	p.plan.Enforcing = c.Actuator != nil
	p.act(p.obey())
	p.keep()
	return p.plan, nil
}

// Reports gives the Report documents of the last pass.
func (c *Cycle) Reports() []policies.Report { return c.set.Reports }

// Refused counts the samples that were no measurements: NaN, negative or from the future.
func (c *Cycle) Refused() int { return c.refused }

func (c *Cycle) observe(ctx context.Context) (fleet.Snapshot, error) {
	snapshot, err := c.Cluster.Observe(ctx)
	if err != nil {
		return fleet.Snapshot{}, fmt.Errorf("observe the cluster: %w", err)
	}
	raw, err := c.Cluster.Policies(ctx)
	if err != nil {
		return fleet.Snapshot{}, fmt.Errorf("read policies: %w", err)
	}
	c.set = policies.Compile(raw, c.set, c.Checks)
	return snapshot, nil
}

// zone is the one of a name, which was checked with its policy.
func (c *Cycle) zone(name string) *time.Location {
	if z, ok := c.zones[name]; ok {
		return z
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	if c.zones == nil {
		c.zones = map[string]*time.Location{}
	}
	c.zones[name] = z
	return z
}

// since is where the last pass stopped reading, or as far back as history goes.
func (c *Cycle) since(now time.Time) time.Time {
	oldest := now.Add(-Retention)
	if last := c.History.Last(); last.After(oldest) {
		return last
	}
	return oldest
}

// remember folds what was measured since the last pass into the history. What it took up before a
// read failed is true all the same; the next pass goes on behind it.
func (c *Cycle) remember(ctx context.Context, now time.Time) error {
	defer c.History.Forget(now.Add(-Retention))
	return c.Usage.Each(ctx, c.since(now), now, func(samples []fleet.Sample) error {
		for _, s := range samples {
			if err := c.History.Add(s, now); err != nil && !errors.Is(err, recommender.ErrRepeated) {
				c.refused++
			}
		}
		return nil
	})
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
