package policies

import (
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
}

// Batching is how a server batches rows and how its tuner may change that.
type Batching struct {
	Size     int           `json:"size"`            // rows a batch to begin with
	MaxDelay time.Duration `json:"maxDelay"`        // the longest a row waits for others
	Sizes    []int         `json:"sizes,omitempty"` // what the tuner may try, ascending; none: Size stays
	Trial    time.Duration `json:"trial"`           // how long each size is measured under live traffic
}
