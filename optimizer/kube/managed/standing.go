package managed

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// saveEvery is how often what is learnt while all is well is written down.
const saveEvery = time.Hour

// tuning is what a Keeper remembers of the servers that it tunes, beside what is written down. Its
// standings may be read while a pass goes on.
type tuning struct {
	mu      sync.Mutex
	all     map[string]capacity.Standing // by namespace and name
	records map[string]record            // likewise, newer than what is written down; for the pass alone
}

func newTuning() *tuning {
	return &tuning{all: map[string]capacity.Standing{}, records: map[string]record{}}
}

// recall is the record with what was learnt since it was written. What another process wrote is not
// known better here.
func (j *job) recall(last record) record {
	r, ok := j.tuning.records[j.key()]
	if !ok || r.Generation != last.Generation || !r.Saved.Equal(last.Saved) || r.State.Phase != last.State.Phase || !r.State.Goal.Equal(last.State.Goal) {
		return last
	}
	r.Adopted = last.Adopted
	return r
}

func (j *job) remember(r record) { j.tuning.records[j.key()] = r }

// news tells whether a record says something that must not be lost, or that people see.
func (r record) news(last record) bool {
	a, b := r.State, last.State
	if a.Step == nil && b.Step == nil {
		a.Setting.Replicas = b.Setting.Replicas // an autoscaler's doing
	}
	lies := a.Lies != "" && b.Lies != "" // windows that say nothing are no news
	other := (r.Base == nil) != (last.Base == nil) || r.Base != nil && last.Base != nil && !r.Base.At.Equal(last.Base.At)
	began := other && !lies && a.Active()
	return began || a.Phase != b.Phase || a.Setting != b.Setting || !a.Since.Equal(b.Since) || !a.Planned.Equal(b.Planned) ||
		a.Over != b.Over || a.Why != b.Why || (a.Lies == "") != (b.Lies == "") || a.Voids != b.Voids ||
		r.Generation != last.Generation || r.Entry != last.Entry || r.HPATarget != last.HPATarget || r.Resized != last.Resized
}

// show fills what Standing answers of one server.
func (k *Keeper) show(j *job, r record, words string) {
	if newer := j.recall(r); newer.Generation > 0 {
		r = newer
	}
	s := r.State
	out := capacity.Standing{
		Namespace: j.server.Namespace, Name: j.server.Name, Model: j.server.Model, Version: j.server.Version, Mode: string(j.server.Mode),
		At: j.now, Known: !s.Planned.IsZero(), Question: s.Question, Plan: s.Plan, Steps: s.Trail(),
	}
	out.Question.Calibration = s.Calibration // which, like the nodes, the question that is written down leaves out
	if out.Known {
		out.Question.Room.Nodes = j.room()
	}
	if words = cmp.Or(words, r.stand()); words != "" {
		out.Steps = append(out.Steps, words)
	}
	switch {
	case out.Known:
	case !s.Goal.Tunes():
		out.Missing = "its document lets nothing be chosen; write batch.sizes or tune"
	default:
		out.Missing = cmp.Or(words, "no window was measured yet")
	}
	k.tuning.mu.Lock()
	defer k.tuning.mu.Unlock()
	k.tuning.all[j.key()] = out
}

// room is what is free for the server's pods on each node in this pass. A pass that did not look at them, as of a
// standby or a paused server, knows from the snapshot where they are.
func (j *job) room() []fleet.Resources {
	seen := *j
	if len(seen.pods) == 0 {
		for _, p := range j.seen.Pods {
			seen.pods = append(seen.pods, pod{name: p.Name, node: p.Node})
		}
	}
	nodes, _ := seen.free()
	return nodes
}

// keepOnly forgets servers that no document asks for.
func (t *tuning) keepOnly(servers []policies.Server) {
	known := map[string]bool{}
	for _, s := range servers {
		known[s.Namespace+"/"+s.Name] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.all, func(key string, _ capacity.Standing) bool { return !known[key] })
	maps.DeleteFunc(t.records, func(key string, _ record) bool { return !known[key] })
}

// Standing is how the tuning of one server stood in the last pass; false: no document asks for it.
func (k *Keeper) Standing(namespace, name string) (capacity.Standing, bool) {
	k.tuning.mu.Lock()
	defer k.tuning.mu.Unlock()
	s, ok := k.tuning.all[namespace+"/"+name]
	return s, ok
}

// Standings is how the tuning of every server stood in the last pass, by namespace and name.
func (k *Keeper) Standings() []capacity.Standing {
	k.tuning.mu.Lock()
	defer k.tuning.mu.Unlock()
	var out []capacity.Standing
	for _, key := range slices.Sorted(maps.Keys(k.tuning.all)) {
		out = append(out, k.tuning.all[key])
	}
	return out
}
