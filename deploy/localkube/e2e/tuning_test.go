//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// tuning: what Trimtab owns of a model server is kept whole, adopted without a restart, and left or removed
// as its document says; and where a server cannot be tuned it is held, or its setting returned, never a loop.
// All servers are put up at once, since what a deleted document asks is done only after two minutes.
func tuning(t *testing.T, r *rig) {
	r.tuningServers(t)
	gone := r.documentsGo(t)
	before := map[string]string{}
	for _, s := range adopts {
		before[s.name] = r.lives(s.name)
		r.document(s)
	}
	calm, bulk := r.steady(t, taken, calmTrace), r.steady(t, fixed, bulkTrace)
	t.Run("AtOnce", func(t *testing.T) {
		r.lane(t, "Spike", func(t *testing.T, r *rig) {
			r.step(t, "Tuned", func(t *testing.T, r *rig) { tunedServer(t, r, before[taken.name]) })
		})
		r.lane(t, "Others", func(t *testing.T, r *rig) {
			r.step(t, "Repaired", repairedObjects)
			r.step(t, "Graced", func(t *testing.T, r *rig) { gracedServers(t, r, gone) })
			r.step(t, "Paused", pausedServer)
			r.step(t, "Adopted", func(t *testing.T, r *rig) { adoptedServers(t, r, before) })
			r.step(t, "Liar", lyingServer)
			r.step(t, "FixedBatch", fixedBatch)
			r.step(t, "NewVersion", newVersion)
		})
	})
	r.step(t, "Neighbour", noisyNeighbour)
	calm(t, "taken was adopted and tuned")
	bulk(t, "fixed was adopted, tuned and given a new version")
	r.step(t, "Deleted", func(t *testing.T, r *rig) { deletedDocuments(t, r, gone) })
	for _, s := range []serverTrial{owned, taken, fixed, liar} {
		r.kubectl("-n", "trimtab", "delete", "configmap", "tuned-"+s.name)
	}
	r.kubectl("delete", "namespace", tunedSpace, "--wait=false")
}

// lane is steps beside those of the other lanes of t, each of which waits most of the time.
func (r *rig) lane(t *testing.T, name string, do func(*testing.T, *rig)) {
	r.step(t, name, func(t *testing.T, r *rig) {
		t.Parallel()
		do(t, r)
	})
}

// edit is a change of an object by hand, where it shows, and what stands there otherwise.
type edit struct{ object, patch, path, changed string }

// ownedEdits touch each kind of object in a way that replaces no pod and makes few.
func ownedEdits() []edit {
	return []edit{
		{"deployment/owned", `{"spec":{"strategy":{"rollingUpdate":{"maxSurge":3}}}}`, "{.spec.strategy.rollingUpdate.maxSurge}", "3"},
		{"service/owned", `{"spec":{"ports":[{"port":80,"targetPort":9999}]}}`, "{.spec.ports[0].targetPort}", "9999"},
		{"configmap/owned-model-config", `{"data":{"model_config.json":"{\"batch_size\": 3, \"max_delay\": \"9ms\", \"generation\": 1}"}}`, `{.data.model_config\.json}`, `{"batch_size": 3, "max_delay": "9ms", "generation": 1}`},
		{"poddisruptionbudget/owned", `{"spec":{"maxUnavailable":2}}`, "{.spec.maxUnavailable}", "2"},
		{"horizontalpodautoscaler/owned", `{"spec":{"maxReplicas":3}}`, "{.spec.maxReplicas}", "3"},
	}
}

func (r *rig) shows(e edit) string {
	r.t.Helper()
	return r.kubectl("-n", tunedSpace, "get", e.object, "--ignore-not-found", "-o", "jsonpath="+e.path)
}

// repairedObjects: each object, edited by hand and then deleted, is as it was after one pass.
func repairedObjects(t *testing.T, r *rig) {
	was, ids := map[string]string{}, map[string]string{}
	for _, e := range ownedEdits() {
		if was[e.object], ids[e.object] = r.shows(e), r.there(e.object); ids[e.object] == "" {
			t.Errorf("%s was never made", e.object)
		}
	}
	for _, e := range ownedEdits() {
		r.kubectl("-n", tunedSpace, "patch", e.object, "--type=merge", "-p", e.patch)
		if got := r.shows(e); got != e.changed {
			t.Logf("%s was repaired at once: %s", e.object, got)
		}
	}
	r.onePass()
	for _, e := range ownedEdits() {
		// The generation of settings goes on: no pod may take the old ones for the new.
		if got := r.shows(e); got == e.changed || got != was[e.object] && !strings.HasPrefix(e.object, "configmap/") {
			t.Errorf("%s, edited by hand, has %q after a pass, before %q", e.object, got, was[e.object])
		}
	}
	for _, e := range ownedEdits() {
		r.kubectl("-n", tunedSpace, "delete", e.object, "--wait=false")
	}
	r.onePass()
	for _, e := range ownedEdits() {
		if id := r.there(e.object); id == "" || id == ids[e.object] {
			t.Errorf("%s, deleted by hand, is not there again after a pass: %q", e.object, id)
		}
	}
	r.kubectl("-n", tunedSpace, "rollout", "status", "deployment/owned", "--timeout=180s")
}

// pausedServer: nothing that somebody does to a paused server is undone, until it is no longer paused.
func pausedServer(t *testing.T, r *rig) {
	paused := owned
	paused.extra += "\n      paused: true"
	r.document(paused)
	r.eventually("owned is paused", 2*time.Minute, func() bool { return strings.Contains(r.details("owned"), "paused") })
	for _, e := range ownedEdits() {
		r.kubectl("-n", tunedSpace, "patch", e.object, "--type=merge", "-p", e.patch)
	}
	r.onePass()
	for _, e := range ownedEdits() {
		if got := r.shows(e); got != e.changed {
			t.Errorf("%s was repaired to %q though its document is paused", e.object, got)
		}
	}
	r.kubectl("-n", tunedSpace, "delete", "poddisruptionbudget/owned")
	r.onePass()
	if r.there("poddisruptionbudget/owned") != "" {
		t.Error("the PodDisruptionBudget was made again though its document is paused")
	}
	r.document(owned)
	r.eventually("owned is whole again", 2*time.Minute, func() bool {
		return r.there("poddisruptionbudget/owned") != "" && !slices.ContainsFunc(ownedEdits(), func(e edit) bool { return r.shows(e) == e.changed })
	})
}

// adoptedServers: the pods that were there before serve on.
func adoptedServers(t *testing.T, r *rig, before map[string]string) {
	for _, s := range adopts {
		r.eventually(s.name+" is adopted", 2*time.Minute, func() bool {
			return r.kubectl("-n", tunedSpace, "get", "deployment/"+s.name, "-o", `jsonpath={.metadata.labels.trimtab\.dev/inference-server}`) == s.name
		})
		if now := r.lives(s.name); now != before[s.name] {
			t.Errorf("pods of %s are %s, before they were adopted %s\n%s", s.name, now, before[s.name], r.details(s.name))
		}
		if sets := r.kubectl("-n", tunedSpace, "get", "replicasets", "-l", "team="+s.name, "-o", "name"); strings.Count(sets, "replicaset") != 1 {
			t.Errorf("ReplicaSets of %s: %s", s.name, sets)
		}
	}
}
