package policies

import (
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Mode says how far Trimtab may go. The zero value recommends.
type Mode string

// The modes. Enforce needs this and the daemon's own switch.
const (
	Recommend Mode = "recommend"
	Enforce   Mode = "enforce"
)

// Policy is one valid Policy document, every default filled in.
type Policy struct {
	Name        string        `json:"name"`
	Source      string        `json:"source"` // where it was read: "configmap/key" or a file name
	Selector    Selector      `json:"selector"`
	Mode        Mode          `json:"mode"`
	Class       fleet.Class   `json:"class,omitempty"` // for workloads whose label says none; empty: they are held
	Window      time.Duration `json:"window"`          // look-back of means and percentiles
	MinHistory  time.Duration `json:"minHistory"`      // measured for less: nothing is recommended
	StaleAfter  time.Duration `json:"staleAfter"`      // the newest sample is older: nothing is recommended
	RightSizing RightSizing   `json:"rightSizing"`
	Replicas    Replicas      `json:"replicas"`
	Spot        Spot          `json:"spot"`
	Cooldown    time.Duration `json:"cooldown"` // after a change, the workload is left alone for this long; only where it enforces
	Budget      int           `json:"budget"`   // most changes a pass makes under this policy, the largest savings first; only where it enforces
}

// Selector picks workloads. Every part that is given must match; at least one is given.
type Selector struct {
	Namespaces  []string          `json:"namespaces,omitempty"`  // exact names
	Names       []string          `json:"names,omitempty"`       // exact names of workloads
	MatchLabels map[string]string `json:"matchLabels,omitempty"` // labels of the workload
	// NamespaceLabels are labels of the workload's namespace: the built-in policy selects by them.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
}

// Sizing is the rule by which CPU is sized.
type Sizing string

// The rules. Percentile is the article's: where CPU is underused it comes down to a percentile of use. Priced
// is a plan in money that follows the hours of the week, up and down.
const (
	ByPercentile Sizing = "percentile"
	ByPrice      Sizing = "priced"
)

// Risk says what a shortfall is worth to a workload.
type Risk string

// The risks.
const (
	RiskLow    Risk = "low"
	RiskNormal Risk = "normal"
	RiskHigh   Risk = "high"
)

// RightSizing fits requests to use. By percentile: where mean CPU use over the window is below UnderusedBelow of
// the request in the hottest replica, CPU becomes the Percentile of use plus Margin. By price: CPU is what the
// cheapest course of requests through the next day begins with. Memory becomes its peak plus MemoryMargin. Limits
// are a matter of their own, see Limits.
type RightSizing struct {
	Enabled        bool          `json:"enabled"`
	Rule           Sizing        `json:"rule"`
	Risk           Risk          `json:"risk"`           // priced: what a shortfall costs
	TimeZone       string        `json:"timeZone"`       // priced: IANA, whose hours and weekdays count
	ChangesPerDay  int           `json:"changesPerDay"`  // priced: of the request, on average
	Lead           time.Duration `json:"lead"`           // priced: by how much growth comes before the hour it is for
	UnderusedBelow float64       `json:"underusedBelow"` // share of the CPU request, the article's 0.3
	Percentile     float64       `json:"percentile"`     // of CPU use, 0 to 1
	Margin         float64       `json:"margin"`         // fraction on top of the percentile
	MemoryMargin   float64       `json:"memoryMargin"`   // fraction on top of the peak
	MinMilliCPU    int64         `json:"minMilliCPU"`    // never below, thousandths of a core
	MinMemory      int64         `json:"minMemory"`      // never below, bytes
	Limits         Limits        `json:"limits"`
	Apply          Apply         `json:"apply"`
}

// Limits says what becomes of limits when requests move.
type Limits string

// The ways: none leaves them as they are; ratio keeps limit ÷ request as the pod template has it; peaks sizes them
// from what was used at most. Neither adds or removes one, nor lowers one below the recent peak and its margin.
const (
	LimitsStay    Limits = "none"
	LimitsByRatio Limits = "ratio"
	LimitsByPeaks Limits = "peaks"
)

// Apply is how new requests reach a workload.
type Apply string

// The ways: in place on every live pod and on those that appear later, without a restart; or in the
// pod template, which replaces every pod.
const (
	InPlace    Apply = "in-place"
	InTemplate Apply = "template"
)

// Scaling is the rule by which replicas are counted.
type Scaling string

// The rules. Requests is the article's: one replica fewer where each answers few requests. Forecast follows the
// requests that are foreseen and what one replica is known to answer in time, up and down.
const (
	ByRequests Scaling = "requests"
	ByForecast Scaling = "forecast"
)

// Replicas fits copies to the requests that come. Nothing is scaled to zero.
type Replicas struct {
	Enabled           bool          `json:"enabled"`
	Rule              Scaling       `json:"rule"`
	RequestsPerSecond float64       `json:"requestsPerSecond"` // requests: a ready replica below this is one too many, the article's 10
	OnlineFloor       int32         `json:"onlineFloor"`       // never fewer, class online
	BatchFloor        int32         `json:"batchFloor"`        // never fewer, class batch
	Ceiling           int32         `json:"ceiling"`           // forecast: never more; 0: twice as many as served at once in the window
	Capacity          float64       `json:"capacity"`          // forecast: requests a second that one replica answers in time; 0: as measured
	Latency           time.Duration `json:"latency"`           // forecast: mean latency that a replica is to keep, by which its capacity is measured; 0: none
	Redundancy        int           `json:"redundancy"`        // forecast: replicas that may be lost with the others still enough
	Lead              time.Duration `json:"lead"`              // forecast: until a new replica answers, loading its model included
}

// Spot moves batch workloads to spot capacity.
type Spot struct {
	Enabled bool `json:"enabled"`
}

// Default is the policy that a document starts from, and that the namespace label
// trimtab.dev/policy=recommend applies as it is.
func Default() Policy {
	return Policy{
		Mode:       Recommend,
		Window:     7 * 24 * time.Hour,
		MinHistory: 24 * time.Hour,
		StaleAfter: 5 * time.Minute,
		RightSizing: RightSizing{
			Enabled: true, Rule: ByPercentile, Risk: RiskNormal, TimeZone: "UTC", ChangesPerDay: 2, Lead: 10 * time.Minute,
			UnderusedBelow: 0.3, Percentile: 0.95, Margin: 0.15, MemoryMargin: 0.15,
			MinMilliCPU: 10, MinMemory: 32 << 20, Limits: LimitsStay, Apply: InPlace,
		},
		Replicas: Replicas{Enabled: true, Rule: ByRequests, RequestsPerSecond: 10, OnlineFloor: 2, BatchFloor: 1, Redundancy: 1, Lead: 10 * time.Minute},
		Spot:     Spot{Enabled: true},
		Cooldown: 10 * time.Minute,
		Budget:   10,
	}
}
