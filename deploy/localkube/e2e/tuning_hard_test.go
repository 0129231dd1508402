//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

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
