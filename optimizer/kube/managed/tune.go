package managed

import (
	"context"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

const (
	// warmUp is how long settings are in force before what they do is measured.
	warmUp = 2 * time.Second
	// ackWithin is how long pods have to take up new settings. A kubelet that nobody tells needs up to
	// a minute and a half.
	ackWithin = 10 * time.Minute
)

// advance takes the tuning of one server a step further, as far as its pods show. It gives what to
// remember, in words where it stands, and the pods that have not taken up the settings yet.
func (j *job) advance(ctx context.Context, r record) (next record, words string, stale []pod) {
	r = r.moved(r.State.Rested(j.now), j.now)
	if r.State.Phase == capacity.Resting || len(j.server.Batch.Sizes) == 0 {
		return r, "", nil
	}
	if n := j.replicas(); n == 0 || len(ready(j.pods)) != n || len(j.pods) != n {
		return r, fmt.Sprintf("waits for %d ready pods and no others; of %d there are %d ready", n, len(j.pods), len(ready(j.pods))), nil
	}
	all, err := j.readAll(ctx, j.pods)
	if err != nil {
		return r, oneLine(err), nil
	}
	stale, warm := taken(j.pods, all, r.Generation)
	switch {
	case len(stale) > 0 && j.now.Sub(r.Written) > ackWithin:
		return j.giveUp(ctx, r, stale)
	case len(stale) > 0:
		return r, fmt.Sprintf("batch size %d: waits for %s to take up generation %d", r.State.Size, names(stale), r.Generation), stale
	case !warm:
		return r, fmt.Sprintf("batch size %d: in force for less than %s", r.State.Size, warmUp), nil
	}
	now, err := together(all, j.pods, j.now)
	if err != nil {
		return r, oneLine(err), nil
	}
	next, words = j.judge(ctx, r, now)
	return next, words, nil
}

// replicas is how many pods the Deployment asks for now, which an autoscaler may have said.
func (j *job) replicas() int {
	spec, _ := j.found[kindDeployment].tree["spec"].(tree)
	n, _ := spec["replicas"].(float64)
	return int(n)
}

// taken gives the pods whose settings in force are of another generation; warm tells that the others'
// are in force for long enough.
func taken(pods []pod, all []shown, generation int64) (stale []pod, warm bool) {
	warm = true
	for i, s := range all {
		if s.generation != generation {
			stale = append(stale, pods[i])
		}
		warm = warm && s.age >= warmUp
	}
	return stale, warm
}

func ready(pods []pod) []pod {
	var out []pod
	for _, p := range pods {
		if p.ready && p.ip != "" {
			out = append(out, p)
		}
	}
	return out
}

// judge is advance once every pod has taken up the settings.
func (j *job) judge(ctx context.Context, r record, now base) (record, string) {
	switch r.State.Phase {
	case capacity.Trying:
		return j.try(ctx, r, now)
	case capacity.Settled:
		return j.watch(ctx, r, now)
	}
	return j.conclude(ctx, r)
}

// try measures a size. The reading that it begins with is remembered, so that a restart loses nothing.
func (j *job) try(ctx context.Context, r record, now base) (record, string) {
	w, ok := r.Base.until(now)
	if !ok {
		r.Base = &now
		return r, r.State.Progress(capacity.Window{})
	}
	next, done := r.State.Measured(w, j.price(), j.now)
	if !done {
		return r, r.State.Progress(w)
	}
	return j.decide(ctx, r, next)
}

// watch looks at a settled size. Its windows are this process' own: nothing is written while all is well.
func (j *job) watch(ctx context.Context, r record, now base) (record, string) {
	w, ok := j.watched[j.key()].until(now)
	if !ok {
		j.watched[j.key()] = &now
		return r, ""
	}
	next, done := r.State.Measured(w, j.price(), j.now)
	if !done {
		return r, ""
	}
	j.watched[j.key()] = &now
	return j.decide(ctx, r, next)
}

// until is what happened from one reading to the next; false: they do not belong together.
func (b *base) until(now base) (capacity.Window, bool) {
	if b == nil || b.Pods != now.Pods {
		return capacity.Window{}, false
	}
	return now.Since(b.Reading)
}

// decide goes to the next state. A change for good is written down before it is made; where it cannot
// be, everything stays as it is and is decided anew in the next pass.
func (j *job) decide(ctx context.Context, r record, next capacity.State) (record, string) {
	chosen := next.Phase == capacity.Adopting || next.Phase == capacity.TakingBack
	if chosen && next.Phase != r.State.Phase && next.Size != next.Before {
		id, err := j.begin(ctx, r, next)
		if err != nil {
			return r, fmt.Sprintf("batch size %d -> %d could not be written down and is not made: %s", next.Before, next.Size, oneLine(err))
		}
		r.Entry = id
	} else if next.Phase == capacity.Adopting {
		r.Entry = "" // it stays with what it began with
	}
	r = r.moved(next, j.now)
	return r, ""
}

// conclude ends a change for good, once every pod has it.
func (j *job) conclude(ctx context.Context, r record) (record, string) {
	next := r.State.InForce(j.now)
	detail := fmt.Sprintf("%s; taken up by all pods, %d", r.State.Compared(), len(j.pods))
	if next.Why != "" {
		detail = next.Why + "; " + detail
	}
	if err := j.finish(ctx, r.Entry, optimizer.Done, detail); err != nil {
		return r, fmt.Sprintf("%s, but that could not be written down: %s", detail, oneLine(err))
	}
	return r.moved(next, j.now), ""
}

// giveUp goes back to what the document begins with when some pod does not take up the settings.
func (j *job) giveUp(ctx context.Context, r record, stale []pod) (record, string, []pod) {
	why := fmt.Sprintf("%s did not take up batch size %d within %s", names(stale), r.State.Size, ackWithin)
	if concluding(r) {
		if err := j.finish(ctx, r.Entry, optimizer.Failed, why); err != nil {
			return r, oneLine(err), stale
		}
	}
	return r.moved(r.State.GiveUp(why, j.now), j.now), "", nil
}

// concluding tells whether a change for good is under way, and so the record's entry open.
func concluding(r record) bool {
	return r.State.Phase == capacity.Adopting || r.State.Phase == capacity.TakingBack
}

// change is the one that leads to a state. Its saving is nothing: the pods ask for what they asked for,
// so that no money is freed before requests follow the use.
func (j *job) change(r record, next capacity.State) optimizer.Change {
	from, to := j.seen, j.seen
	from.BatchSize, to.BatchSize = next.Before, next.Size
	c := optimizer.Change{
		ID:  digest([]string{j.seen.UID, r.State.Goal.Of, fmt.Sprint(next.Before), fmt.Sprint(next.Size)})[:8],
		Ref: j.seen.Ref, From: from, To: to, Reasons: []fleet.Reason{fleet.BatchSize},
		Policy: document(j.server.Name), Mode: j.server.Mode, Keeper: keeperName,
	}
	if next.Phase == capacity.TakingBack {
		c.Reverts = r.Entry
	}
	return c
}
