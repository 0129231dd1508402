package managed

import (
	"context"
	"fmt"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// keeperName is whose ledger entries these are.
const keeperName = "managed"

// decide goes to the next state. A step is written down before it is made, and closed once it is judged;
// where that cannot be, everything stays as it is and is decided anew in the next pass.
func (j *job) decide(ctx context.Context, r record, next capacity.State) (record, string) {
	from := r.State
	turned := next.Phase != from.Phase
	if opens := next.Phase == capacity.Changing || next.Phase == capacity.TakingBack; r.Entry != "" && turned && (opens || !next.Open()) {
		if err := j.finish(ctx, r.Entry, outcome(from, next), ending(from, next)); err != nil {
			return r, fmt.Sprintf("%s, but that could not be written down: %s", next.Compared(), oneLine(err))
		}
		r.Last, r.Entry = r.Entry, ""
	}
	if turned && next.Phase == capacity.Changing || turned && next.Phase == capacity.TakingBack {
		id, err := j.begin(ctx, j.change(r, next))
		if err != nil {
			return r, fmt.Sprintf("%s could not be written down and is not made: %s", from.Setting.Changes(next.Setting), oneLine(err))
		}
		r.Entry = id
	}
	least := int(j.server.Autoscale.Min)
	asks := !next.Planned.Equal(from.Planned) || next.Setting.CPU != from.Setting.CPU || turned && waits(r) || next.Question.Least != least
	if j.server.Autoscale.On() && asks {
		next.Question.Least = least
		r.HPATarget = r.targetOf(next)
	}
	return r.moved(next, j.now), ""
}

// targetOf is target while pods may still request what they did before: what they use is then another share of it. Until the
// new requests are in force a target only rises, or twice as many pods as are needed would be made for a while.
func (r record) targetOf(next capacity.State) int32 {
	t := target(next, r.HPATarget)
	if next.Phase == capacity.Changing || next.Phase == capacity.TakingBack {
		return max(t, r.HPATarget)
	}
	return t
}

// target is the share of its CPU request, in percent, at which a replica is to be kept. A few points more
// or less, of hundreds a twentieth, are no reason to write.
func target(s capacity.State, now int32) int32 {
	few := max(5, now/20)
	q := s.Question
	q.Now, q.Calibration = s.Setting, s.Calibration
	if t := int32(q.AutoscaleTarget()); t > 0 && (now == 0 || max(t-now, now-t) >= few) {
		return t
	}
	return now
}

// outcome is how a step ended: what was put in force is done, whatever was thought of it then.
func outcome(from, next capacity.State) optimizer.Outcome {
	if from.Phase == capacity.Comparing || from.Phase == capacity.TakingBack && next.Why == from.Why {
		return optimizer.Done
	}
	return optimizer.Failed
}

// ending is what a closed entry says.
func ending(from, next capacity.State) string {
	switch {
	case from.Phase == capacity.TakingBack:
		return next.Why
	case next.Phase == capacity.TakingBack:
		return next.Compared() + "; it is taken back: " + next.Why
	}
	return next.Kept()
}

// change is the one that leads to a state.
func (j *job) change(r record, next capacity.State) optimizer.Change {
	from, to := r.State.Setting, next.Setting
	c := optimizer.Change{
		ID:  digest([]string{j.seen.UID, next.Goal.Of, fmt.Sprint(from), fmt.Sprint(to)})[:8],
		Ref: j.seen.Ref, From: j.with(from, from, to), To: j.with(to, from, to), Reasons: reasons(from, to),
		Policy: document(j.server.Name), Mode: j.server.Mode, Keeper: keeperName, Saving: j.saving(from, to),
	}
	if next.Phase == capacity.TakingBack {
		c.Reverts = r.Last
	}
	return c
}

// with is the server's workload at a setting, as far as two settings differ.
func (j *job) with(at, from, to capacity.Setting) fleet.Workload {
	var t fleet.Target
	if from.CPU != to.CPU || from.Memory != to.Memory {
		t.Requests = []fleet.ContainerRequests{{Container: j.adopted.container(), Requests: fleet.Resources{MilliCPU: at.CPU, Memory: at.Memory}}}
	}
	if from.Replicas != to.Replicas {
		t.Replicas = int32(at.Replicas)
	}
	w := j.seen.With(t)
	if from.Batch != to.Batch {
		w.BatchSize = at.Batch
	}
	return w
}

// reasons are why a setting becomes another. What asks for more does so for the sake of the SLO, which
// batch size and requests serve together.
func reasons(from, to capacity.Setting) []fleet.Reason {
	var out []fleet.Reason
	if to.CPU < from.CPU {
		out = append(out, fleet.CPUUnderused)
	}
	if to.Memory < from.Memory {
		out = append(out, fleet.MemoryUnderused)
	}
	if to.Replicas < from.Replicas {
		out = append(out, fleet.FewRequests)
	}
	if len(out) == 0 {
		out = append(out, fleet.BatchSize)
	}
	return out
}

// saving is what a setting asks for less than another in a month, on the nodes under the pods.
func (j *job) saving(from, to capacity.Setting) cost.Line {
	price := j.price()
	if len(price.Unpriced) > 0 {
		return cost.Line{Unpriced: price.Unpriced}
	}
	month := func(s capacity.Setting) cost.Money {
		return price.Core.Times(int64(s.Replicas)*s.CPU, 1000) + price.GiB.Times(int64(s.Replicas)*s.Memory, 1<<30)
	}
	return cost.Line{Amount: month(from).Cents() - month(to).Cents()}
}

// begin writes down a change before it is made and gives its key.
func (j *job) begin(ctx context.Context, c optimizer.Change) (string, error) {
	if j.seen.Ref.Name == "" {
		return "", fmt.Errorf("%s was not seen yet", ref(j.server))
	}
	return j.ledger.Begin(ctx, c, j.now)
}

// finish closes an entry, unless it is closed already: a process may have ended right after that.
func (j *job) finish(ctx context.Context, id string, o optimizer.Outcome, detail string) error {
	if id == "" || !j.isOpen(id) {
		return nil
	}
	return j.ledger.Finish(ctx, id, o, detail, j.now)
}

func (p *pass) isOpen(id string) bool {
	for _, e := range p.open {
		if e.ID == id {
			return true
		}
	}
	return false
}

// unfinished are the keeper's own entries that are not closed.
func (k *Keeper) unfinished(ctx context.Context) ([]optimizer.Entry, error) {
	all, err := k.ledger.Entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	var out []optimizer.Entry
	for _, e := range all {
		if e.Outcome == "" && e.Change.Keeper == keeperName {
			out = append(out, e)
		}
	}
	return out, nil
}

// settle closes what no settings follow from: settings and the key of their entry are written at once,
// so that an entry which no record names was begun and never made.
func (p *pass) settle(ctx context.Context, of fleet.Ref, keep string, why string) error {
	for _, e := range p.open {
		if e.Change.Ref != of || e.ID == keep {
			continue
		}
		if err := p.ledger.Finish(ctx, e.ID, optimizer.Failed, why, p.now); err != nil {
			return fmt.Errorf("close %s: %w", e.ID, err)
		}
	}
	return nil
}
