package recommender

import (
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// Recommendation is what history alone asks for, for one reason.
type Recommendation struct {
	Ref        fleet.Ref                 `json:"ref"`
	Reason     fleet.Reason              `json:"reason"`
	Target     fleet.Target              `json:"target"`
	Course     []fleet.ContainerRequests `json:"course,omitempty"`   // of a plan: what is requested on average over the next day, which is what it costs
	Replicas   int32                     `json:"replicas,omitempty"` // of a forecast: on average over the next day, which is what it costs
	Lower      []fleet.ContainerRequests `json:"lower,omitempty"`    // bounds of what would still be right, per container
	Upper      []fleet.ContainerRequests `json:"upper,omitempty"`
	Confidence float64                   `json:"confidence"` // days of data behind it
	Evidence   string                    `json:"evidence"`   // one sentence with the numbers
	Steps      []Step                    `json:"steps"`      // how the numbers came about, in order
}

// Step is one stage of an estimate, kept so that it can be explained.
type Step struct {
	Subject string `json:"subject"` // "model-server cpu", "replicas"
	Name    string `json:"name"`    // "mean", "p95", "margin", "floor"
	Value   string `json:"value"`   // with its unit
}

// Options is what a policy makes of the rules for one workload.
type Options struct {
	Class      fleet.Class
	Window     time.Duration
	MinHistory time.Duration
	StaleAfter time.Duration

	RightSize      bool
	UnderusedBelow float64 // share of the CPU request
	Percentile     float64 // of CPU use
	Margin         float64
	MemoryMargin   float64
	MinMilliCPU    int64
	MinMemory      int64 // bytes
	Limits         LimitRule
	InPlace        bool // requests change on live pods, so that a start never runs under them

	// Priced sizes CPU by a plan in money instead of by percentile; its Floor and Warm are filled in from here.
	// Nil: by percentile, where it is underused.
	Priced *sizing.Options

	ReduceReplicas bool
	PerReplica     float64 // requests per second of a ready replica
	Floor          int32
	Forecast       *Forecast // replicas follow the requests foreseen; nil: PerReplica counts

	MoveToSpot bool
	SpotNodes  int // ready spot nodes that one of its pods would fit on
}
