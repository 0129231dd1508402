package policies

import (
	"path"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// ServerLabel is on every object of a server that an InferenceServer document owns; its value is the
// document's name.
const ServerLabel = "trimtab.dev/inference-server"

// Server is one InferenceServer document: a reference model server that Trimtab owns whole.
type Server struct {
	Name      string          `json:"name"` // of the document and of every object
	Source    string          `json:"source"`
	Mode      Mode            `json:"mode"` // recommend: what would be made is only shown
	Namespace string          `json:"namespace"`
	Image     string          `json:"image"`
	Model     string          `json:"model"`   // the server's --model: recommendation, valuation, image
	Version   string          `json:"version"` // of the model
	Class     fleet.Class     `json:"class"`
	SLO       fleet.SLO       `json:"slo"`
	Replicas  int32           `json:"replicas"`
	Requests  fleet.Resources `json:"requests"` // of one pod's only container
	Limits    fleet.Resources `json:"limits"`
	Batch     Batching        `json:"batch"`
	Tune      Tune            `json:"tune,omitzero"`
	Autoscale Autoscale       `json:"autoscale,omitzero"`
	Paused    bool            `json:"paused,omitempty"` // nothing of it is written: neither kept nor tuned
	Adopt     bool            `json:"adopt,omitempty"`  // a Deployment of this name that is there already is taken over
	OnDelete  OnDelete        `json:"onDelete"`
}

// ModelName is what the server calls the model in its paths and metrics, unless it is told a name of its own, which
// only a server that was adopted may be: a file without the ending.
func (s Server) ModelName() string { return strings.TrimSuffix(s.Model, path.Ext(s.Model)) }

// OnDelete is what becomes of a server when its document goes.
type OnDelete string

// What may become of a server whose document is gone.
const (
	OnDeleteDelete OnDelete = "delete" // its objects go too
	OnDeleteKeep   OnDelete = "keep"   // they stay and serve on, no longer Trimtab's
)

// Autoscale asks for a HorizontalPodAutoscaler; zero: none.
type Autoscale struct {
	Min int32 `json:"min"` // replicas
	Max int32 `json:"max"`
}

// On tells whether an autoscaler is asked for.
func (a Autoscale) On() bool { return a.Max > 0 }

// Tune is what the tuner may choose beside the batch sizes. Of each pair the first is the least and the
// second the most; both zero: it stays as the document says.
type Tune struct {
	MaxDelay    time.Duration `json:"maxDelay,omitempty"` // the longest delay it may choose; 0: the delay stays
	Replicas    [2]int32      `json:"replicas"`
	CPU         [2]int64      `json:"cpu"`         // milli-cores requested by a pod
	Memory      [2]int64      `json:"memory"`      // bytes requested by a pod
	Redundancy  int32         `json:"redundancy"`  // replicas that may be lost in the busiest minute without a broken SLO
	Probability float64       `json:"probability"` // with which the SLO is to be kept
	Margin      float64       `json:"margin"`      // of requested CPU over what is predicted, as a share of that
	Changes     int           `json:"changes"`     // the most in a day
}

// Batching is how a server batches rows and how its tuner may change that.
type Batching struct {
	Size     int           `json:"size"`            // rows a batch to begin with
	MaxDelay time.Duration `json:"maxDelay"`        // the longest a row waits for others
	Sizes    []int         `json:"sizes,omitempty"` // what the tuner may try, ascending; none: Size stays
	Trial    time.Duration `json:"trial"`           // how long each size is measured under live traffic
}

// chooses tells whether anything beside the batch size may be chosen, or is promised beyond the SLO.
func (t Tune) chooses() bool {
	return t.MaxDelay > 0 || t.Replicas[1] > 0 || t.CPU[1] > 0 || t.Memory[1] > 0 || t.Redundancy > 0
}
