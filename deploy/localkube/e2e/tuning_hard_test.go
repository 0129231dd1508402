//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tunedServer: the adopted server is tuned across a spike, and its pods are the ones of before. The spike comes as soon as
// a step is in force and measured: that step is not kept for what was measured in the spike, but by a later window, or
// is taken back.
func tunedServer(t *testing.T, r *rig, before string) {
	var open tuner
	r.eventually("a step of taken is measured for a moment", 5*time.Minute, func() bool {
		open = r.tuner(taken)
		return open.State.Phase == "comparing" && open.State.Step != nil && time.Since(open.State.Since) < 8*time.Second
	})
	spiked, ended := time.Now(), r.traffic(t, taken, spikeTrace)
	r.eventually("the spike is noticed while the step is measured", time.Minute, func() bool {
		now := r.tuner(taken)
		return now.State.Voids > 0 || now.ended(open.State.Step) != nil
	})
	ended(t, "five times as many came")
	var step *tuneStep
	r.eventually("the step that the spike fell into is judged", 4*time.Minute, func() bool {
		step = r.tuner(taken).ended(open.State.Step)
		return step != nil
	})
	t.Logf("planned for %.0f requests a second; judged at %.0f: kept %t %s", open.State.Question.Load.Rate, step.After.Rate, step.Kept, step.Why)
	if step.Kept {
		calmlyKept(t, *step, open, spiked)
	} else {
		r.returned(t, taken, *step)
	}
	if now := r.lives(taken.name); now != before {
		t.Errorf("tuned in place, yet its pods are %s, before %s", now, before)
	}
	h := r.noLoop(t, taken)
	if !slices.ContainsFunc(h, func(e entry) bool { return e.Outcome != "" }) {
		t.Errorf("a step was judged, and the ledger has none that ended: %+v", h)
	}
	for _, e := range h {
		t.Logf("%s %s: %s", e.ID, e.Outcome, e.Detail)
	}
}

// calmlyKept: the window by which a step was kept began after the spike had, and had no more than twice the requests
// that were planned for.
func calmlyKept(t *testing.T, step tuneStep, open tuner, spiked time.Time) {
	t.Helper()
	if begun := step.After.Ended.Add(-step.After.Elapsed); begun.Before(spiked) {
		t.Errorf("kept by a window from %s to %s; the spike began at %s", begun, step.After.Ended, spiked)
	}
	if planned := open.State.Question.Load.Rate; step.After.Rate > 2*planned {
		t.Errorf("kept by a window of %.0f requests a second, planned for %.0f", step.After.Rate, planned)
	}
}

// returned: what was taken back is no longer in force, and the ledger has the way back.
func (r *rig) returned(t *testing.T, s serverTrial, step tuneStep) {
	t.Helper()
	r.eventually("what was taken back is in force no more", 2*time.Minute, func() bool { return r.tuner(s).State.Phase != "taking-back" })
	if now := r.tuner(s).State.Setting; now == step.To {
		t.Errorf("%+v was taken back (%s), and is in force", step.To, step.Why)
	}
	h := r.history(tunedSpace + "/" + s.name)
	if !slices.ContainsFunc(h, func(e entry) bool { return e.Change.Reverts != "" }) {
		t.Errorf("a step was taken back, and the ledger has no return: %+v", h)
	}
}

// fixedBatch: no batches are tried on a model that takes one row at a time, though requests of many rows come, with which
// newVersion sees the same model being given batches once it takes them.
func fixedBatch(t *testing.T, r *rig) {
	r.eventually("fixed was planned for", 2*time.Minute, func() bool { return r.tuner(fixed).State.Phase == "settled" })
	s := r.standing(fixed)
	if q := s.Question; !s.Known || q.Service.MaxBatch != 1 || q.Load.Rows < float64(fixed.rows)/2 {
		t.Errorf("its model takes single rows, and %d come in a request; the plan goes by %+v", fixed.rows, s)
	}
	if got := r.settingsOf(fixed); got.Batch != 1 {
		t.Errorf("its model takes single rows, and it was given a batch size of %d\n%s", got.Batch, r.details(fixed.name))
	}
	if h := r.noLoop(t, fixed); len(h) > 0 {
		t.Errorf("there is nothing to try, and the ledger has %+v", h)
	}
}

// lyingServer: it is held, by numbers that do not agree, and what may have been begun is taken back.
func lyingServer(t *testing.T, r *rig) {
	r.eventually("the liar is found out", 2*time.Minute, func() bool { return strings.Contains(r.details(liar.name), "do not agree") })
	if got := r.settingsOf(liar); got.Batch != 1 {
		t.Errorf("it lies, and has a batch size of %d", got.Batch)
	}
	r.noLoop(t, liar)
}

// newVersion: a version that takes batches, and so has another curve, is rolled out without a lost request,
// and measured anew: the plan goes by that version's curve, and under the load of before it is given batches.
func newVersion(t *testing.T, r *rig) {
	was, old := r.settingsOf(fixed), r.standing(fixed)
	next := fixed
	next.model, next.version = "any.onnx", "v2"
	r.document(next)
	r.eventually("the new version is rolled out", 2*time.Minute, func() bool {
		return strings.Contains(r.kubectl("-n", tunedSpace, "get", "deployment/fixed", "-o", "jsonpath={.spec.template.spec.containers[0].args}"), "--model=any.onnx")
	})
	r.kubectl("-n", tunedSpace, "rollout", "status", "deployment/fixed", "--timeout=180s")
	if now := r.settingsOf(fixed); now.Generation <= was.Generation {
		t.Errorf("the settings of the new version have generation %d, those of the old %d", now.Generation, was.Generation)
	}
	var now standing
	r.eventually("the new version is planned for by what was measured of it", 2*time.Minute, func() bool {
		now = r.standing(fixed)
		return now.Known && now.Version == next.version
	})
	if now.Question.Service.MaxBatch == 1 || fmt.Sprint(now.Question.Service.Curve) == fmt.Sprint(old.Question.Service.Curve) {
		t.Errorf("%s is planned for by %+v, %s was by %+v", next.version, now.Question.Service, fixed.version, old.Question.Service)
	}
	r.eventually("the new version is given batches", 2*time.Minute, func() bool { return r.settingsOf(fixed).Batch > 1 })
	if past := r.atRest(fixed).State.Past; len(past) == 0 || !past[0].Kept || past[0].To.Batch < 2 {
		t.Errorf("batches of many rows save most of what single ones take, yet they were not kept: %+v", past)
	}
	r.noLoop(t, fixed)
}

// noisyNeighbour: a pod beside them takes whatever CPU the others leave, so that batches take longer than was learnt.
// What is in force is held, or returned, and nothing is kept that breaks the promise.
func noisyNeighbour(t *testing.T, r *rig) {
	beside, was := []serverTrial{taken, fixed}, map[string]tuner{}
	for _, s := range beside {
		was[s.name] = r.atRest(s)
	}
	begun := time.Now()
	r.kubectl("apply", "-f", r.file("noisy.yaml", r.testdata("tuned-noisy.yaml")))
	r.eventually("the neighbour has had its time", 2*time.Minute, func() bool {
		phase := r.kubectl("-n", tunedSpace, "get", "pod/noisy", "-o", "jsonpath={.status.phase}")
		return phase == "Succeeded" || phase == "Failed"
	})
	said, used := r.kubectl("-n", tunedSpace, "logs", "noisy"), 0.0
	if _, err := fmt.Sscanf(said, "%f CPU seconds", &used); err != nil || used < leastNoise {
		t.Errorf("the neighbour, which was to take %d s of CPU at least, says %q (%v)", leastNoise, said, err)
	}
	t.Logf("the neighbour took %s", strings.TrimSpace(said))
	for _, s := range beside {
		r.heldOrReturned(t, s, was[s.name], begun)
	}
}

// heldOrReturned: since a moment at which nothing was under way, at most one change was made, and what was not kept by
// a window within the promise is not in force.
func (r *rig) heldOrReturned(t *testing.T, s serverTrial, was tuner, begun time.Time) {
	t.Helper()
	now := r.atRest(s)
	tried := slices.DeleteFunc(slices.Clone(now.State.Past), func(step tuneStep) bool { return step.Begun.Before(begun) })
	for _, step := range tried {
		switch {
		case !step.Kept:
			r.returned(t, s, step)
		case step.After.Latency.At > promised:
			t.Errorf("%s: %+v was kept with a p99 of %s, over %s", s.name, step.To, step.After.Latency.At, promised)
		}
	}
	entries := slices.DeleteFunc(r.noLoop(t, s), func(e entry) bool { return e.Begun.Before(begun) })
	switch made := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.Change.Reverts != "" }); {
	case len(made) > 1:
		t.Errorf("%s: changed %d times beside a neighbour: %+v", s.name, len(made), made)
	case len(entries) == 0 && now.State.Setting != was.State.Setting:
		t.Errorf("%s: no change is in the ledger, yet %+v became %+v", s.name, was.State.Setting, now.State.Setting)
	}
	t.Logf("%s beside a neighbour: %d changes and returns, %s: %s", s.name, len(entries), now.State.Phase, r.details(s.name))
}
