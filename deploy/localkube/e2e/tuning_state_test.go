//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"
)

const (
	// promised is the latency that the trials' documents promise.
	promised = 500 * time.Millisecond
	// leastNoise is the CPU, in seconds, that a noisy neighbour must have had for it to be one: a quarter of one core.
	leastNoise = 10
)

// tuner is what is remembered of the tuning of an adopted server, beside its settings.
type tuner struct {
	State struct {
		Phase    string
		Since    time.Time // of the phase, or of the last window that did not count
		Setting  setting
		Step     *tuneStep // under way
		Past     []tuneStep
		Voids    int // windows of the step that did not count
		Question struct{ Load struct{ Rate float64 } }
	}
}

// setting is one way to run a server.
type setting struct {
	Batch, Replicas    int
	Delay              time.Duration
	CPU, Memory, Limit int64
}

// tuneStep is one change of a setting and how it was judged.
type tuneStep struct {
	From, To setting
	Begun    time.Time
	After    struct {
		Ended   time.Time
		Elapsed time.Duration
		Rate    float64
		Latency struct{ At time.Duration }
	}
	Kept bool
	Why  string
}

// tuner reads what is remembered of a server.
func (r *rig) tuner(s serverTrial) (out tuner) {
	r.t.Helper()
	text := r.kubectl("-n", tunedSpace, "get", "configmap/"+s.name+"-settings", "-o", `jsonpath={.metadata.annotations.trimtab\.dev/tuning}`)
	if text == "" {
		return tuner{} // not adopted yet
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		r.t.Fatalf("tuning of %s: %v\n%s", s.name, err, text)
	}
	return out
}

// ended is a step that was under way once it is judged; nil: it is not.
func (now tuner) ended(step *tuneStep) *tuneStep {
	for i := range now.State.Past {
		if past := &now.State.Past[i]; past.Begun.Equal(step.Begun) {
			return past
		}
	}
	return nil
}

// atRest waits until no step of a server is under way.
func (r *rig) atRest(s serverTrial) (now tuner) {
	r.t.Helper()
	r.eventually("no step of "+s.name+" is under way", 3*time.Minute, func() bool {
		now = r.tuner(s)
		return now.State.Phase == "settled" || now.State.Phase == "resting"
	})
	return now
}

// standing is what `trimtab tune` says of a server.
type standing struct {
	Version  string
	Known    bool
	Question struct {
		Service struct {
			Curve    struct{ Wall, CPU any }
			MaxBatch int
		}
		Load struct{ Rate, Rows float64 }
	}
}

func (r *rig) standing(s serverTrial) standing {
	r.t.Helper()
	var a struct{ Server standing }
	out := r.must("trimtab", "tune", tunedSpace+"/"+s.name, "-o", "json", "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		r.t.Fatalf("trimtab tune %s: %v\n%s", s.name, err, out)
	}
	return a.Server
}

// settings are what an adopted server's ConfigMap tells its pods.
type settings struct {
	Batch      int   `json:"batch_size"`
	Generation int64 `json:"generation"`
}

func (r *rig) settingsOf(of serverTrial) (s settings) {
	r.t.Helper()
	text := r.kubectl("-n", tunedSpace, "get", "configmap/"+of.name+"-settings", "-o", `jsonpath={.data.server\.json}`)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		r.t.Fatalf("settings of %s: %v\n%s", of.name, err, text)
	}
	return s
}

// mostGenerations is more than a tuner needs that tries few settings and goes back from each; one in a loop
// writes some every trial.
const mostGenerations = 12

// noLoop: the tuner made few changes, none of them twice, and rested after each that was taken back.
func (r *rig) noLoop(t *testing.T, s serverTrial) []entry {
	t.Helper()
	h := r.history(tunedSpace + "/" + s.name)
	made := map[string]bool{}
	for _, e := range h {
		// A change is named by the settings that it leads from and to, and what is served; an entry has a name of its own.
		if e.Change.Reverts == "" && made[e.Change.ID] {
			t.Errorf("%s: what %s changes was changed before, from and to the same: %+v", s.name, e.ID, h)
		}
		made[e.Change.ID] = made[e.Change.ID] || e.Change.Reverts == ""
	}
	neverTwice(t, s, r.tuner(s).State.Past)
	restful(t, s, h)
	if got := r.settingsOf(s); got.Generation > mostGenerations || len(h) > 6 {
		t.Errorf("%s: generation %d, %d entries in the ledger; the tuner runs in a loop\n%s", s.name, got.Generation, len(h), r.details(s.name))
	}
	return h
}

// neverTwice: no two of the steps lead from one setting to the same other, as far as a tenth tells.
func neverTwice(t *testing.T, s serverTrial, steps []tuneStep) {
	t.Helper()
	for i, a := range steps {
		for _, b := range steps[:i] {
			if near(a.From, b.From) && near(a.To, b.To) {
				t.Errorf("%s: %+v -> %+v was tried twice, at %s and %s", s.name, a.From, a.To, b.Begun, a.Begun)
			}
		}
	}
}

// restful: after a return nothing is tried for ten trials at least.
func restful(t *testing.T, s serverTrial, h []entry) {
	t.Helper()
	trial, err := time.ParseDuration(s.measured())
	if err != nil {
		t.Fatal(err)
	}
	for i, back := range h {
		for _, e := range h[i+1:] {
			if back.Change.Reverts != "" && e.Change.Reverts == "" && e.Begun.Sub(back.Ended) < 10*trial {
				t.Errorf("%s: %s was begun at %s, %s had taken a change back until %s", s.name, e.ID, e.Begun, back.ID, back.Ended)
			}
		}
	}
}

// near tells settings that are the same but for a tenth of what pods ask for.
func near(a, b setting) bool {
	about := func(a, b int64) bool { return 10*max(a-b, b-a) <= max(a, b) }
	return a.Batch == b.Batch && a.Delay == b.Delay && a.Replicas == b.Replicas && about(a.CPU, b.CPU) && about(a.Memory, b.Memory)
}
