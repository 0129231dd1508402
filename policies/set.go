package policies

import "trimtab.dev/trimtab/optimizer/fleet"

// Raw is one unparsed document: a key of a labelled ConfigMap, or a file.
type Raw struct {
	Source string // "configmap/key" or a file name; unique
	Data   []byte
}

// Price is one row of a Prices document.
type Price struct {
	InstanceType string         `json:"instanceType"`
	Region       string         `json:"region,omitempty"` // empty: any
	Capacity     fleet.Capacity `json:"capacity"`         // on-demand unless said
	Hourly       int64          `json:"hourly"`           // millionths of a US dollar an hour
	Line         int            `json:"-"`                // in its document
}

// Set is every document of one pass after parsing.
type Set struct {
	Policies []Policy `json:"policies"` // sorted by source, then name
	Prices   []Price  `json:"prices"`   // sorted by instance type, region, capacity
	Bad      []Bad    `json:"bad"`      // sorted by source

	Governances []Governance `json:"governances,omitempty"` // sorted by source, then name
	Servers     []Server     `json:"servers,omitempty"`     // sorted by source, then name
	Reports     []Report     `json:"reports,omitempty"`     // sorted by source, then name

	good map[string]Documents // the last good version of every document that is still there, by source
}

// Bad is a document with faults.
type Bad struct {
	Source string   `json:"source"`
	Kind   string   `json:"kind,omitempty"` // what could be read of it
	Name   string   `json:"name,omitempty"`
	Faults []string `json:"faults"` // each with its line
	// Selector is what could still be read of whom it is for; nil: it may be for anyone. An empty one
	// matches nobody: the document is no policy.
	Selector *Selector `json:"selector,omitempty"`
	// Kept tells that the document's last good version stays in force, in recommend mode.
	Kept bool `json:"kept"`
}

// Effect is what the faults lead to, in words.
func (b Bad) Effect() string {
	switch {
	case b.Kept:
		return "its last good version stays in force, and only recommends"
	case b.Kind == KindReport:
		return "its report is not sent"
	case b.Kind == KindGovernance, b.Kind == KindServer:
		return "what it may own is left as it is"
	case b.Kind == KindPrices:
		return "its prices are not known"
	}
	return "no good version is known: the workloads it may mean are held"
}
