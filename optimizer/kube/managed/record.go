package managed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	Generation int64          `json:"generation"`     // of the settings; one more with each change of them
	Written    time.Time      `json:"written"`        // since when these settings are asked for
	Base       *base          `json:"base,omitempty"` // the reading that the trial under way began with
	Entry      string         `json:"entry,omitempty"`
}

// base is a reading and whose it is: what other pods counted says nothing about the time since.
type base struct {
	capacity.Reading
	Pods string `json:"pods"`
}

const recordVersion = 1

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
	if json.Unmarshal([]byte(l.meta.GetAnnotations()[recordAnnotation]), &r) == nil && r.Version == recordVersion && r.Generation > 0 && r.State.Size > 0 {
		return r, true
	}
	data, _ := l.tree["data"].(tree)
	text, _ := data[configKey].(string)
	var s settings
	_ = json.Unmarshal([]byte(text), &s) // nothing to be read is nothing to go on from
	return record{Generation: max(s.Generation, 0)}, false
}

// goal is what a document asks of the tuner.
func goal(s policies.Server) capacity.Goal {
	return capacity.Goal{Of: fingerprint(s), Start: s.Batch.Size, Sizes: s.Batch.Sizes, SLO: s.SLO, Trial: s.Batch.Trial}
}

// fingerprint stands for everything of a server, beside the batch size, that its latency and cost may
// come from.
func fingerprint(s policies.Server) string {
	text, err := json.Marshal([]any{s.Image, s.Model, s.Version, s.Batch.MaxDelay, s.Requests, s.Limits})
	if err != nil {
		panic(err) // unreachable unless bug: plain values
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// begin is the record of a server of which nothing is remembered, or whose document asks something else:
// the generation goes on, so that no pod takes the new settings for the old ones.
func begin(s policies.Server, last record, now time.Time) record {
	r := record{Version: recordVersion, Generation: last.Generation + 1, Written: now}
	r.State = capacity.Begin(goal(s))
	if len(s.Batch.Sizes) == 0 {
		r.State.Phase = capacity.Settled // there is nothing to try
	}
	return r
}

// moved is r with another state. Where that asks for other settings, or for the same ones anew, they get
// a generation of their own, and what was measured before does not count.
func (r record) moved(to capacity.State, now time.Time) record {
	waited := r.State.Phase == capacity.Adopting && to.Phase == capacity.Settled || r.State.Phase == capacity.TakingBack && to.Phase == capacity.Resting
	if same := to.Size == r.State.Size && to.Phase == r.State.Phase; !same && !waited {
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
