package simulator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/recommender"
)

// The virtual time between passes, how many passes in a row must change nothing before the fleet is
// settled, and after how many it is not waited for any longer.
const (
	Every     = 24 * time.Hour
	quiet     = 7
	mostAfter = 28
)

// Options is what a caller may set beside the file.
type Options struct {
	Weeks  int         // of observation; 0: as the file says
	Prices cost.Prices // under the file's own Prices documents
}

// Result is one simulation: the fleet as it was observed, and as it would be with every change made.
type Result struct {
	Fleet   string    `json:"fleet"`
	Start   time.Time `json:"start"`   // of observation
	End     time.Time `json:"end"`     // of observation, when Plan was made
	Settled time.Time `json:"settled"` // the last pass
	Quiet   bool      `json:"quiet"`   // the last passes of all changed nothing
	Passes  int       `json:"passes"`

	Plan    optimizer.Plan    `json:"plan"`  // of the last pass of observation
	After   optimizer.Plan    `json:"after"` // of the last pass of all
	Entries []optimizer.Entry `json:"entries"`
	Refused []string          `json:"refused,omitempty"` // changes that could not be made, and why
	Checks  []Check           `json:"checks"`
}

// Check is one container of a changed workload in the week after the last change: in how many windows
// of Step a pod used more than it then requested.
type Check struct {
	Ref        fleet.Ref `json:"ref"`
	Container  string    `json:"container"`
	Windows    int       `json:"windows"`    // of all its pods
	CPUOver    int       `json:"cpuOver"`    // mean use above the request
	MemoryOver int       `json:"memoryOver"` // peak above the request
	OOM        int       `json:"oom"`        // killed: it wanted more than its limit
}

// Run observes the fleet of a file for its weeks, a pass a virtual day, and keeps the last plan. Then
// it goes on with every change of every plan made, whatever mode its policy has, until nothing changes
// any more, and checks the week that follows. The error holds every fault of the file.
func Run(ctx context.Context, file []byte, o Options) (Result, error) {
	if o.Weeks < 0 || o.Weeks > mostWeeks {
		return Result{}, Faults{fmt.Sprintf("weeks is 1 to %d, not %d", mostWeeks, o.Weeks)}
	}
	s, err := parse(file, o.Weeks)
	if err != nil {
		return Result{}, err
	}
	c := &Cluster{spec: s, now: s.start}
	book := &ledger.Memory{}
	cycle := &optimizer.Cycle{Cluster: c, Usage: c, Ledger: book, Prices: o.Prices, History: recommender.NewHistory()}
	r := Result{Fleet: c.name, Start: c.start, End: c.end()}
	for c.now.Before(r.End) {
		if r.Plan, err = r.pass(ctx, c, cycle); err != nil {
			return r, err
		}
	}
	if err := r.settle(ctx, c, cycle, book); err != nil {
		return r, err
	}
	if r.Entries, err = book.Entries(ctx); err != nil {
		return r, err
	}
	return r, r.check(ctx, c)
}

func (r *Result) pass(ctx context.Context, c *Cluster, cycle *optimizer.Cycle) (optimizer.Plan, error) {
	c.Advance(Every)
	r.Passes++
	plan, err := cycle.Run(ctx, c.now, false)
	if err != nil {
		return plan, fmt.Errorf("pass of %s: %w", c.now.Format(time.DateOnly), err)
	}
	return plan, nil
}

// settle makes the changes of the last plan of observation and of every pass after it.
func (r *Result) settle(ctx context.Context, c *Cluster, cycle *optimizer.Cycle, book *ledger.Memory) error {
	r.After = r.Plan
	still := 0
	for n := 0; n < mostAfter && still < quiet; n++ {
		done, err := r.carryOut(ctx, c, book)
		if err != nil {
			return err
		}
		still++
		if done > 0 {
			still = 0
		}
		if r.After, err = r.pass(ctx, c, cycle); err != nil {
			return err
		}
	}
	r.Settled, r.Quiet = c.now, still == quiet
	return nil
}

// carryOut makes the changes of the newest plan, each with its intent in the ledger first, and counts
// those that made a difference. One that cannot be made is a finding of the simulation and not an
// error of it.
func (r *Result) carryOut(ctx context.Context, c *Cluster, book *ledger.Memory) (done int, err error) {
	for _, ch := range r.After.Changes {
		id, err := book.Begin(ctx, ch, c.now)
		if err != nil {
			return done, err
		}
		outcome, why := optimizer.Done, ""
		if refusal := c.Apply(ctx, ch); refusal != nil {
			outcome, why = optimizer.Failed, refusal.Error()
			r.refuse(refusal)
		} else if !reflect.DeepEqual(ch.From, ch.To) {
			done++
		}
		if err := book.Finish(ctx, id, outcome, why, c.now); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (r *Result) refuse(why error) {
	if !slices.Contains(r.Refused, why.Error()) {
		r.Refused = append(r.Refused, why.Error())
	}
}

// check goes through one more week with the fleet as it has become.
func (r *Result) check(ctx context.Context, c *Cluster) error {
	changed := map[fleet.Ref]int{}
	for _, e := range r.Entries {
		if _, there := changed[e.Change.Ref]; !there && e.Outcome == optimizer.Done {
			changed[e.Change.Ref] = -1
		}
	}
	for _, m := range c.models {
		if _, ok := changed[m.Ref]; ok {
			changed[m.Ref] = len(r.Checks)
			r.Checks = append(r.Checks, Check{Ref: m.Ref, Container: container})
		}
	}
	err := c.windows(ctx, c.now, c.now.Add(7*24*time.Hour), func(m model, p fleet.Pod, _ time.Time, u use) {
		if i, ok := changed[m.Ref]; ok {
			r.Checks[i].count(p.Shape.Containers[0].Requests, u)
		}
	})
	return errors.Join(err, ctx.Err())
}

func (k *Check) count(asked fleet.Resources, u use) {
	k.Windows++
	if u.cpu*1000 > float64(asked.MilliCPU) {
		k.CPUOver++
	}
	if u.memoryMax > float64(asked.Memory) {
		k.MemoryOver++
	}
	if u.oom {
		k.OOM++
	}
}
