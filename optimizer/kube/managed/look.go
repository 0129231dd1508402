package managed

import (
	"context"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// look measures a server that its document only recommends for, so that its plan can be read before anybody lets
// Trimtab follow it. What is seen is remembered by this process alone, and nothing is written.
func (j *job) look(ctx context.Context, last record) (record, string) {
	if j.server.Mode != policies.Recommend || j.server.Paused || j.found[kindDeployment].none() || last.State.Open() || !last.State.Goal.Tunes() {
		return last, ""
	}
	r, ok := j.tuning.records[j.key()]
	known := r.State.Setting
	known.Instances = last.State.Setting.Instances // which the pods may have told
	if !ok || !r.State.Goal.Equal(last.State.Goal) || known != last.State.Setting {
		r = last
	}
	r, words := j.glimpse(ctx, r)
	j.remember(r)
	return r, words
}

// close ends what was begun before the document came to recommend only: what was tried stays in force, and
// is judged if it enforces again.
func (j *job) close(ctx context.Context) error {
	if !j.write || j.server.Mode != policies.Recommend {
		return nil
	}
	return j.settle(ctx, ref(j.server), "", "the document only recommends now: what was tried stays in force, not judged")
}

// glimpse is look once it is known what was seen before.
func (j *job) glimpse(ctx context.Context, r record) (record, string) {
	pods, err := j.listPods(ctx)
	if err != nil {
		return r, oneLine(err)
	}
	if j.pods = ready(pods); len(j.pods) == 0 {
		return r, "no pod is ready"
	}
	all, err := j.readAll(ctx, j.pods)
	if err != nil {
		return r, oneLine(err)
	}
	now, err := together(all, j.pods, j.now)
	if err != nil {
		return r, oneLine(err)
	}
	w, ok := r.Base.until(now)
	if !ok {
		r.Base = &now
		return r, r.State.Progress(capacity.Window{})
	}
	e, odd := j.evidence(w, all)
	next, done := r.State.Noted(e).Looked(e)
	if r.State = next; !done {
		return r, joined(next.Progress(w), odd)
	}
	r.Base = &now
	return r, odd
}
