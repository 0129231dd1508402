package reports

import (
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Input is all that a report is made of.
type Input struct {
	Name       string // of the Report document; empty: nobody's in particular
	Period     Period
	At         time.Time // when it is made
	Version    string
	Namespaces []string // only these; none: all
	Plan       optimizer.Plan
	Entries    []optimizer.Entry // of the ledger
	Damage     string            // what of the ledger cannot be read; empty: nothing
	Diary      *cost.Diary       // nil: nothing was ever spent that anybody knows of
}

// Report is what one period came to. Text, page, mail and JSON are all made of this value, and all of
// its amounts are whole cents, so that every sum in it is right to the reader who checks it.
type Report struct {
	Name       string    `json:"name,omitempty"`
	Version    string    `json:"version"`
	At         time.Time `json:"at"`
	Period     Period    `json:"period"`
	Namespaces []string  `json:"namespaces,omitempty"`
	Simulated  bool      `json:"simulated,omitempty"` // some node is not a real one
	Unreal     string    `json:"unreal,omitempty"`    // which models are on nodes that are not
	Old        string    `json:"old,omitempty"`       // why the plan in it is not of now
	Quiet      bool      `json:"quiet,omitempty"`     // nothing was done, proposed or changed

	Spend    Bill       `json:"spend"`
	Savings  Savings    `json:"savings"`
	Deeds    []Deed     `json:"deeds,omitempty"`    // what was done, oldest first
	Earlier  int        `json:"earlier,omitempty"`  // so many deeds of the period before the first of Deeds
	Proposed []Proposal `json:"proposed,omitempty"` // the largest saving first
	Further  Further    `json:"further,omitzero"`   // the proposals that are not listed
	Advice   []Advice   `json:"advice,omitempty"`   // for people to decide; in no sum
	Models   []Model    `json:"models,omitempty"`   // the dearest first
	Others   *Model     `json:"others,omitempty"`   // the models that are not listed, as one
	Objects  []Object   `json:"objects,omitempty"`  // that Trimtab owns, those that need a look first
	AsAsked  int        `json:"asAsked,omitempty"`  // further objects, as their documents ask
	Unknown  []string   `json:"unknown,omitempty"`  // what no number here knows of
	Lint     []string   `json:"lint,omitempty"`     // what is wrong with quotas and LimitRanges
	Method   []string   `json:"method"`             // how the numbers came about
}

// Bill is the spend of a period beside that of the one before it.
type Bill struct {
	Total     cost.Line   `json:"total"`  // the sum of every model's Cost
	Before    cost.Line   `json:"before"` // the sum of every model's Before
	Change    *cost.Money `json:"change,omitempty"`
	Why       string      `json:"why,omitempty"` // there is no Change
	Month     cost.Line   `json:"month"`         // a month at the present rate: the sum of every model's Month
	Asked     Hours       `json:"asked"`         // of the period
	Covered   Hours       `json:"covered"`       // of them; the rest is in no amount
	BeforeOf  Period      `json:"beforeOf"`
	BeforeHas Hours       `json:"beforeHas"` // covered of it
	Models    int         `json:"models"`
	Unpriced  int         `json:"unpriced"` // models of which no price, or not every price, is known
}

// Hours is a length of time, in hours with two decimals for people and in seconds in JSON.
type Hours int64

// Deed is one change of the ledger in the period.
type Deed struct {
	ID     string    `json:"id"`
	Ref    fleet.Ref `json:"ref"`
	What   string    `json:"what"`
	Status string    `json:"status"` // done, taken back, ...
	At     time.Time `json:"at"`     // when it ended; while it is under way, when it began
	Saving cost.Line `json:"saving"` // a month, as it was expected
	Counts bool      `json:"counts"` // it stands, so the applied savings have it
	Detail string    `json:"detail,omitempty"`
	By     string    `json:"by,omitempty"` // who asked for it; empty: the policy
}

// Proposal is one change that somebody could make now.
type Proposal struct {
	ID      string    `json:"id"`
	Ref     fleet.Ref `json:"ref"`
	What    string    `json:"what"`
	Saving  cost.Line `json:"saving"` // a month
	Why     []string  `json:"why,omitempty"`
	Data    string    `json:"data,omitempty"` // how much of it there is behind the numbers
	Risk    []string  `json:"risk,omitempty"`
	Command string    `json:"command,omitempty"` // that makes it
	Note    string    `json:"note,omitempty"`    // who makes it, or what has to be so before
}

// Further is proposals beyond those that are listed.
type Further struct {
	Count  int       `json:"count,omitempty"`
	Saving cost.Line `json:"saving,omitzero"`
}

// Advice is what a person should do about a model, because Trimtab does not do it itself.
type Advice struct {
	Ref      fleet.Ref `json:"ref"`
	Text     string    `json:"text"`
	Evidence string    `json:"evidence"`
	Saving   cost.Line `json:"saving"` // a month; zero where it is not known what would be freed
}

// Model is what one workload cost, or the sum of several.
type Model struct {
	Ref     fleet.Ref `json:"ref,omitzero"`
	Name    string    `json:"name"`
	Noted   bool      `json:"noted"`  // the diary has it in the period; otherwise Cost is not known to be nothing
	Cost    cost.Line `json:"cost"`   // in the period
	Before  cost.Line `json:"before"` // in the one before
	Month   cost.Line `json:"month"`  // a month at the present rate
	State   string    `json:"state"`  // in words: proposed, held and why, ...
	Rate    float64   `json:"requestsPerSecond,omitempty"`
	PerThou cost.Line `json:"perThousand,omitzero"` // of requests at the present rate; in millionths, not cents
	Known   bool      `json:"requestsKnown"`        // Rate was measured, PerThou follows from it
	Unreal  bool      `json:"simulated,omitempty"`  // some pod of it is on a node that is not real
}

// Object is one object that Trimtab owns.
type Object struct {
	Name   string `json:"name"` // "ResourceQuota ml-production/models"
	Asks   string `json:"asks"` // the document
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// How much of everything a report shows: a mail must stay readable, and below the 100 KB at which
// mail programs cut it off.
const (
	mostProposals = 5
	mostAdvice    = 5
	mostModels    = 10
	mostDeeds     = 10
	mostObjects   = 10
	mostUnknown   = 12
	mostNames     = 5
	mostLint      = 8
	mostPrices    = 10
	mostRunes     = 280
)
