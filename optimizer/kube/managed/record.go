package managed

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// recordAnnotation is where a server's ConfigMap says how far its tuning has come.
const recordAnnotation = "trimtab.dev/tuning"

// record is all that is remembered of one server. It is written together with the settings that follow
// from it, so that the two cannot disagree.
type record struct {
	Version    int            `json:"version"`
	State      capacity.State `json:"state"`
	Generation int64          `json:"generation"`          // of the settings in the ConfigMap; one more with each change of them
	Written    time.Time      `json:"written"`             // since when these settings are asked for
	Saved      time.Time      `json:"saved"`               // when this was last written down
	Base       *base          `json:"base,omitempty"`      // the reading that the window under way began with
	Entry      string         `json:"entry,omitempty"`     // of the step under way
	Last       string         `json:"last,omitempty"`      // the entry before
	Resized    bool           `json:"resized,omitempty"`   // requests of pods were changed in place, so that they may differ from the template's
	Adopted    *adopted       `json:"adopted,omitempty"`   // what was there before its document
	HPATarget  int32          `json:"hpaTarget,omitempty"` // percent of the CPU request at which a replica is as busy as it may be; 0: not known
}

// base is a reading and whose it is: what other pods counted says nothing about the time since.
type base struct {
	capacity.Reading
	Pods string `json:"pods"`
}

const recordVersion = 2

func (r record) text() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // unreachable unless bug: all of it has a JSON form
	}
	return string(text)
}

// readRecord gives what a ConfigMap remembers. What cannot be read is as if nothing were, but for the
// generation of its settings, which some pod may have.
func readRecord(l live) (record, bool) {
	if l.none() {
		return record{}, false
	}
	var r record
	if json.Unmarshal([]byte(l.meta.GetAnnotations()[recordAnnotation]), &r) == nil && r.Version == recordVersion && r.Generation > 0 && r.State.Setting.Batch > 0 {
		return r, true
	}
	data, _ := l.tree["data"].(tree)
	text, _ := data[configKey].(string)
	var s settings
	_ = json.Unmarshal([]byte(text), &s) // nothing to be read is nothing to go on from
	return record{Generation: max(s.Generation, 0)}, false
}

// replicas is how many pods a server is to have.
func (r record) replicas(s policies.Server) int32 {
	if r.State.Goal.Room.Replicas == [2]int{} || r.State.Setting.Replicas <= 0 {
		return s.Replicas
	}
	return int32(r.State.Setting.Replicas)
}

// settings is what its ConfigMap is to say.
func (r record) settings(policies.Server) settings {
	at := r.State.Setting
	return settings{BatchSize: at.Batch, MaxDelay: at.Delay.String(), Generation: r.Generation}
}

// active tells whether the tuner has something to do now, other than to watch or to rest.
func (r record) active() bool { return r.State.Active() }

// concluding tells whether a step is under way, and so the record's entry open.
func concluding(r record) bool { return r.State.Open() }

// stand says where the setting in force stands when nobody looked at the pods; empty: the steps say it.
func (r record) stand() string {
	from, what := r.State.Setting, ""
	if r.State.Step != nil {
		from = r.State.Step.From
	}
	if what = "batch " + strconv.Itoa(r.State.Setting.Batch); from != r.State.Setting {
		what = from.Changes(r.State.Setting)
	}
	switch {
	case !r.active():
		return ""
	case r.Base != nil:
		return what + " is being measured"
	}
	return what + " is being put in force"
}

// Goal is what a document asks of the tuner.
func Goal(s policies.Server) capacity.Goal {
	t, at := s.Tune, start(s)
	g := capacity.Goal{
		Of: fingerprint(s), Start: at, SLO: s.SLO, Probability: t.Probability, Trial: s.Batch.Trial, Changes: t.Changes,
		Room: capacity.Room{
			Batches: s.Batch.Sizes, MaxDelay: t.MaxDelay, CPU: t.CPU, Memory: t.Memory, Redundancy: int(t.Redundancy), Margin: t.Margin,
			Replicas: [2]int{int(t.Replicas[0]), int(t.Replicas[1])},
		},
	}
	if !g.Tunes() {
		return g
	}
	if n := at.Batch; len(g.Room.Batches) > 0 && !slices.Contains(g.Room.Batches, n) {
		g.Room.Batches = slices.Sorted(slices.Values(append(slices.Clone(g.Room.Batches), n)))
	}
	g.Room.CPU[1], g.Room.Memory[1] = within(g.Room.CPU[1], s.Limits.MilliCPU), within(g.Room.Memory[1], s.Limits.Memory)
	return g
}

// within is a bound of a request that is not above the limit, which is 0 where there is none.
func within(most, limit int64) int64 {
	if limit > 0 {
		return min(most, limit)
	}
	return most
}

// start is the setting of a document. A request that it leaves out is the limit, as Kubernetes has it.
func start(s policies.Server) capacity.Setting {
	return capacity.Setting{
		Batch: s.Batch.Size, Delay: s.Batch.MaxDelay, Replicas: int(s.Replicas), Limit: s.Limits.MilliCPU,
		CPU: cmp.Or(s.Requests.MilliCPU, s.Limits.MilliCPU), Memory: cmp.Or(s.Requests.Memory, s.Limits.Memory),
	}
}

// fingerprint stands for everything of a server, beside its setting, that its latency and cost may come
// from.
func fingerprint(s policies.Server) string {
	text, err := json.Marshal([]any{s.Image, s.Model, s.Version, s.Limits})
	if err != nil {
		panic(err) // unreachable unless bug: plain values
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// begin is the record of a server of which nothing is remembered, or whose document asks something else:
// the generation goes on, so that no pod takes the new settings for the old ones. When requests come does
// not depend on the document, and how well predictions come true only on what is served.
func begin(s policies.Server, last record, now time.Time) record {
	r := record{Version: recordVersion, Generation: last.Generation + 1, Written: now, Saved: now, Adopted: last.Adopted, Resized: last.Resized}
	r.State = capacity.Begin(Goal(s), now)
	r.State.Calendar = last.State.Calendar
	if last.State.Goal.Of == r.State.Goal.Of {
		r.State.Calibration = last.State.Calibration
	}
	return r
}

// moved is r with another state. Settings of the ConfigMap that differ get a generation of their own. What
// was measured before another setting or phase does not count.
func (r record) moved(to capacity.State, now time.Time) record {
	from := r.State
	if to.Phase != from.Phase || to.Setting != from.Setting || !to.Since.Equal(from.Since) {
		r.Base = nil
	}
	if to.Setting.Batch != from.Setting.Batch || to.Setting.Delay != from.Setting.Delay {
		r = r.again(now)
	}
	r.State = to
	return r
}

// again is r with its settings put in force anew.
func (r record) again(now time.Time) record {
	r.Generation, r.Written, r.Base = r.Generation+1, now, nil
	return r
}

// digest names a set of things shortly.
func digest(of []string) string {
	sum := sha256.Sum256(fmt.Append(nil, of))
	return hex.EncodeToString(sum[:6])
}
