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
	Now         cost.Line           `json:"now"`    // a month of every assessed workload as it is, each in whole cents
	Prices      []cost.Row          `json:"prices"` // what its nodes are priced by
	After       cost.Line           `json:"after"`  // and after Changes
	BadPolicies []policies.Bad      `json:"badPolicies,omitempty"`
	Lint        []admission.Finding `json:"lint,omitempty"`       // what is wrong with quotas and LimitRanges
	SeriesSince time.Time           `json:"seriesSince,omitzero"` // the oldest measurement that is kept, if the keeper of the plan knows
	Enforcing   bool                `json:"enforcing"`            // the daemon's own switch: what policies enforce is made
	Kept        []Kept              `json:"kept,omitempty"`       // the objects that Trimtab owns
	Troubles    []string            `json:"troubles,omitempty"`   // what this pass could not do, a line each
	Happened    []Entry             `json:"happened,omitempty"`   // what this pass began or ended
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
	Advice   []Advice              `json:"advice,omitempty"`   // what a person should do; never a change, and in no sum
	Verdicts []Verdict             `json:"verdicts,omitempty"` // in the order right-sizing, replicas, spot
	Holds    []fleet.Hold          `json:"holds,omitempty"`    // why the whole workload, or one of its rules, is left alone
	Now      cost.Line             `json:"now"`                // a month as it is
	After    cost.Line             `json:"after"`              // a month after every verdict that is not held
	// Simulated tells that some pod of it is on a node that is not real.
	Simulated bool `json:"simulated,omitempty"`

	budget int            // of its policy, changes a pass
	apply  policies.Apply // of its policy
}

// Advice is what a person should do, with what it would save. Trimtab does none of it itself.
type Advice struct {
	recommender.Advice
	Saving cost.Line `json:"saving"` // a month; zero where it is not known what would be freed
}

// Verdict is a recommendation after policy and admission.
type Verdict struct {
	Recommendation recommender.Recommendation `json:"recommendation"`
	Target         fleet.Target               `json:"target"` // after Trims
	Trims          []admission.Trim           `json:"trims,omitempty"`
	Holds          []fleet.Hold               `json:"holds,omitempty"` // any: it is not proposed
	Saving         cost.Line                  `json:"saving"`          // a month, of costs in whole cents, of this verdict alone
}

// Held tells whether anything stands against the verdict.
func (v Verdict) Held() bool { return len(v.Holds) > 0 }

// Change is one workload's move: both states whole, so that it can be undone.
type Change struct {
	ID      string         `json:"id"` // of the proposal: the same in every pass while workload and reasons are
	Ref     fleet.Ref      `json:"ref"`
	From    fleet.Workload `json:"from"`
	To      fleet.Workload `json:"to"`
	Pods    []string       `json:"pods,omitempty"` // requests of only these; empty: of all that live when it is made
	Reasons []fleet.Reason `json:"reasons"`
	Policy  string         `json:"policy"`
	Mode    policies.Mode  `json:"mode"`
	Apply   policies.Apply `json:"apply,omitempty"`   // how new requests are written
	Saving  cost.Line      `json:"saving"`            // a month, of costs in whole cents as they are shown
	By      string         `json:"by,omitempty"`      // who approved it or asked to take it back; empty: the policy
	Reverts string         `json:"reverts,omitempty"` // the entry that it takes back
	Keeper  string         `json:"keeper,omitempty"`  // whose change it is where it is not the cycle's: "managed"
}

// Outcome is how a change ended.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Failed Outcome = "failed" // it was refused, or not reached in time
	Moved  Outcome = "moved"  // the workload was no longer what the change was decided on
)

// Entry is one change in the ledger.
type Entry struct {
	ID      string    `json:"id"`
	Change  Change    `json:"change"`
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended,omitzero"`
	Outcome Outcome   `json:"outcome,omitempty"` // empty: not known yet, it is under way
	Detail  string    `json:"detail,omitempty"`  // how it stands or ended, in words
}

// Verb is what an Order asks for.
type Verb string

// The verbs of orders.
const (
	Approve Verb = "apply"  // make the proposed change with this ID, though its policy only recommends
	Revert  Verb = "revert" // take back the ledger entry with this ID
	Send    Verb = "send"   // mail the report of this name for its last period now
)

// Order is one thing that a person asks of the daemon.
type Order struct {
	Key  string       `json:"key"` // in the orders ConfigMap
	Verb Verb         `json:"verb"`
	ID   string       `json:"id"` // of a proposal, an entry or a report
	By   string       `json:"by"` // as the person's own program says; the API server's audit log knows better
	At   time.Time    `json:"at"`
	Seen fleet.Target `json:"seen,omitzero"` // what the person saw proposed, of an approval
}

// KeptState is how an object that Trimtab owns compares with its document.
type KeptState string

// The states of a kept object.
const (
	AsAsked  KeptState = "as-asked"
	Differs  KeptState = "differs"  // and is left so: nothing may be written
	Created  KeptState = "created"  // in this pass
	Repaired KeptState = "repaired" // in this pass
	Deleted  KeptState = "deleted"  // in this pass: no document asks for it any more
	Tuning   KeptState = "tuning"   // as asked, while settings are being measured
	Refused  KeptState = "refused"  // could not be written, or must not be
)

// Kept is one object that Trimtab owns.
type Kept struct {
	Document  string    `json:"document"` // "Governance ml-production"
	Kind      string    `json:"kind"`     // of the object
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	State     KeptState `json:"state"`
	Detail    string    `json:"detail,omitempty"` // what differs, was repaired, or is measured
}
