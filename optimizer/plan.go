package optimizer

import (
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
	"trimtab.dev/trimtab/recommender"
)

// Plan is what one pass decided: every workload with what is proposed for it or why it is left
// alone, and the changes in the order in which they would be made.
type Plan struct {
	At          time.Time           `json:"at"`
	Through     time.Time           `json:"through"`     // end of the newest sample that was read
	Assessments []Assessment        `json:"assessments"` // sorted by Ref
	Changes     []Change            `json:"changes"`
	Now         cost.Line           `json:"now"`    // a month of every assessed workload as it is
	Prices      []cost.Row          `json:"prices"` // what its nodes are priced by
	After       cost.Line           `json:"after"`  // and after Changes
	BadPolicies []policies.Bad      `json:"badPolicies,omitempty"`
	Lint        []admission.Finding `json:"lint,omitempty"`       // what is wrong with quotas and LimitRanges
	SeriesSince time.Time           `json:"seriesSince,omitzero"` // the oldest measurement that is kept, if the keeper of the plan knows
	Old         string              `json:"old,omitempty"`        // why this is not a plan of now; said first wherever it is shown
	Simulated   bool                `json:"simulated,omitempty"`  // some node is not a real one
}

// Assessment is one workload in a Plan.
type Assessment struct {
	Ref      fleet.Ref             `json:"ref"`
	Class    fleet.Class           `json:"class,omitempty"`
	Policy   string                `json:"policy,omitempty"`
	Mode     policies.Mode         `json:"mode,omitempty"`
	Workload fleet.Workload        `json:"workload"`
	Use      []recommender.Use     `json:"use,omitempty"`      // what was measured, per container and pod signal
	Fine     []recommender.Finding `json:"fine,omitempty"`     // the rules that found nothing to change
	Verdicts []Verdict             `json:"verdicts,omitempty"` // in the order right-sizing, replicas, spot
	Holds    []fleet.Hold          `json:"holds,omitempty"`    // why the whole workload, or one of its rules, is left alone
	Now      cost.Line             `json:"now"`                // a month as it is
	After    cost.Line             `json:"after"`              // a month after every verdict that is not held

	budget int // of its policy, changes a pass
}

// Verdict is a recommendation after policy and admission.
type Verdict struct {
	Recommendation recommender.Recommendation `json:"recommendation"`
	Target         fleet.Target               `json:"target"` // after Trims
	Trims          []admission.Trim           `json:"trims,omitempty"`
	Holds          []fleet.Hold               `json:"holds,omitempty"` // any: it is not proposed
	Saving         cost.Line                  `json:"saving"`          // a month, of this verdict alone
}

// Held tells whether anything stands against the verdict.
func (v Verdict) Held() bool { return len(v.Holds) > 0 }

// Change is one workload's move: both states whole, so that it can be undone.
type Change struct {
	Ref     fleet.Ref      `json:"ref"`
	From    fleet.Workload `json:"from"`
	To      fleet.Workload `json:"to"`
	Pods    []string       `json:"pods,omitempty"` // only these; empty: all
	Reasons []fleet.Reason `json:"reasons"`
	Policy  string         `json:"policy"`
	Mode    policies.Mode  `json:"mode"`
	Saving  cost.Line      `json:"saving"` // a month
}

// Outcome is how a change ended.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Failed Outcome = "failed" // nothing was written, or it was refused
)

// Entry is one change in the ledger.
type Entry struct {
	ID      string    `json:"id"`
	Change  Change    `json:"change"`
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended,omitzero"`
	Outcome Outcome   `json:"outcome,omitempty"` // empty: begun, and its end is not known
}
