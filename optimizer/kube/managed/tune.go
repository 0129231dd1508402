package managed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
)

const (
	// warmUp is how long settings are in force before what they do is measured.
	warmUp = 2 * time.Second
	// ackWithin is how long pods have to take up what is asked of them. A kubelet that nobody tells needs up to
	// a minute and a half for new settings; a pod that must first be scheduled needs longer.
	ackWithin = 10 * time.Minute
)

// advance takes the tuning of one server a step further, as far as its pods show. It gives what to
// remember, in words where it stands, and the pods that have not taken up the settings yet. What only grows
// while all is well is remembered here, and written down once an hour.
func (j *job) advance(ctx context.Context, last record) (next record, words string, stale []pod) {
	r := j.recall(last)
	r = r.moved(r.State.Rested(j.now), j.now)
	if !r.State.Goal.Tunes() && !r.Resized {
		return last, "", nil
	}
	next, words, stale = j.step(ctx, r)
	j.remember(next)
	if !next.news(last) && j.now.Sub(last.Saved) < saveEvery {
		return last, words, stale
	}
	next.Saved = j.now
	return next, words, stale
}

// step is advance with all that is remembered.
func (j *job) step(ctx context.Context, r record) (next record, words string, stale []pod) {
	switch {
	case j.autoscaler() != "":
		r.State = r.State.Scaled(j.replicas())
	case r.State.Goal.Room.Replicas == [2]int{}: // the document's, where an autoscaler had its say before
		r.State = r.State.Scaled(int(j.server.Replicas))
	}
	for _, p := range j.pods {
		if next := r.State.Died(p.death, j.now); next.Phase != r.State.Phase {
			r, words := j.decide(ctx, r, next)
			return r, words, nil
		}
	}
	waiting, refused := j.resize(ctx, r)
	r = r.resized(waiting, refused)
	if errors.Is(refused, errHopeless) && r.State.Open() {
		return j.giveUp(ctx, r, oneLine(refused), nil)
	}
	if why := j.unready(r); why != "" {
		return j.blind(ctx, r, why)
	}
	all, err := j.readAll(ctx, j.pods)
	if err != nil {
		return j.blind(ctx, r, oneLine(err))
	}
	stale, warm := taken(j.pods, all, r.Generation)
	switch {
	case len(stale) > 0:
		return j.late(ctx, r, fmt.Sprintf("%s to take up generation %d", names(stale), r.Generation), stale)
	case len(waiting) > 0 || refused != nil:
		return j.late(ctx, r, resizeWords(waiting, refused), nil)
	case !warm:
		return j.late(ctx, r, fmt.Sprintf("settings to be in force for %s", warmUp), nil)
	}
	now, err := together(all, j.pods, j.now)
	if err != nil {
		return j.blind(ctx, r, oneLine(err))
	}
	next, words = j.judge(ctx, r, now, all)
	return next, words, nil
}

func resizeWords(waiting []pod, refused error) string {
	if refused != nil {
		return "the pods' requests: " + oneLine(refused)
	}
	return names(waiting) + " to be resized in place"
}

// resized notes that pods may ask for something else than their template gives them, until they do again.
func (r record) resized(waiting []pod, refused error) record {
	room, at := r.State.Goal.Room, r.State.Setting
	first := r.State.Goal.Start
	off := at.CPU != first.CPU || at.Memory != first.Memory || at.Limit != first.Limit
	tunes := room.CPU != [2]int64{} || room.Memory != [2]int64{}
	r.Resized = off || r.Resized && (tunes || len(waiting) > 0 || refused != nil)
	return r
}

// unready says which pods are waited for before anything can be measured.
func (j *job) unready(r record) string {
	n := j.replicas()
	if asked := int(r.replicas(j.server)); j.autoscaler() == "" && n != asked {
		return fmt.Sprintf("waits for %d replicas; the Deployment asks for %d", asked, n)
	}
	if n == 0 || len(ready(j.pods)) != n || len(j.pods) != n {
		return fmt.Sprintf("waits for %d ready pods and no others; of %d there are %d ready", n, len(j.pods), len(ready(j.pods)))
	}
	return ""
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

// blind is step when the pods show nothing, for a reason in words.
func (j *job) blind(ctx context.Context, r record, why string) (record, string, []pod) {
	if waits(r) {
		return j.late(ctx, r, why, nil)
	}
	if next := r.State.Unseen(why, j.now); next.Phase != r.State.Phase {
		r, words := j.decide(ctx, r, next)
		return r, words, nil
	}
	return r, why, nil
}

// waits tells whether something is to be put in force.
func waits(r record) bool {
	return r.State.Phase == capacity.Changing || r.State.Phase == capacity.TakingBack
}

// late is step while pods have not taken up what is asked of them: what, in words.
func (j *job) late(ctx context.Context, r record, what string, stale []pod) (record, string, []pod) {
	if waits(r) && j.now.Sub(r.State.Since) > ackWithin {
		return j.giveUp(ctx, r, fmt.Sprintf("not in force within %s: %s", ackWithin, what), stale)
	}
	words := "waits for " + strings.TrimPrefix(what, "waits for ")
	if next := r.State.Unseen(words, j.now); next.Phase != r.State.Phase {
		r, words := j.decide(ctx, r, next)
		return r, words, stale
	}
	return r, words, stale
}

// giveUp ends a step that cannot be put in force.
func (j *job) giveUp(ctx context.Context, r record, why string, stale []pod) (record, string, []pod) {
	next, words := j.decide(ctx, r, r.State.GiveUp(why, j.now))
	return next, words, stale
}

// judge is step once every pod has what is asked of it.
func (j *job) judge(ctx context.Context, r record, now base, all []shown) (record, string) {
	if waits(r) {
		next, words := j.decide(ctx, r, r.State.InForce(j.now))
		next.Base = &now // what is in force is measured from here on
		return next, words
	}
	w, ok := r.Base.until(now)
	back := !ok && r.Base.back(now)
	if !ok && !back {
		if next := r.State.Unseen("its pods are others in each pass", j.now); next.Phase != r.State.Phase {
			return j.decide(ctx, r, next)
		}
		r.Base = &now
		return r, r.progress(capacity.Window{})
	}
	e, odd := j.evidence(w, all)
	e.Back = back
	r.State = r.State.Noted(e)
	next, done := r.State.Judged(e)
	if !done {
		return r, joined(r.progress(w), odd)
	}
	r.Base = &now
	r, words := j.decide(ctx, r, next)
	return r, joined(words, odd)
}

// progress is how far a window has come, where somebody waits for it.
func (r record) progress(w capacity.Window) string {
	if !r.active() {
		return ""
	}
	return r.State.Progress(w)
}

// until is what happened from one reading to the next; false: they do not belong together.
func (b *base) until(now base) (capacity.Window, bool) {
	if b == nil || b.Pods != now.Pods {
		return capacity.Window{}, false
	}
	return now.Since(b.Reading)
}

// back tells that counts of the same containers are less than before.
func (b *base) back(now base) bool {
	return b != nil && b.Pods == now.Pods && !now.At.Before(b.At)
}
