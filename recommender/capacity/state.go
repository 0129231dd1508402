package capacity

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Goal is what a server is tuned for.
type Goal struct {
	Of          string        `json:"of"`    // image, model and version: another one may answer otherwise
	Start       Setting       `json:"start"` // before anything was tried
	SLO         fleet.SLO     `json:"slo"`
	Room        Room          `json:"room"`                  // what the document allows; nodes and quota are evidence
	Probability float64       `json:"probability,omitempty"` // with which the SLO is to be kept; 0: 0.95
	Trial       time.Duration `json:"trial"`                 // how long a setting is measured at least
	Changes     int           `json:"changes,omitempty"`     // the most in 24 hours; 0: 6
}

// Equal tells whether two goals ask the same.
func (g Goal) Equal(o Goal) bool {
	same := g.Of == o.Of && g.Start == o.Start && g.SLO == o.SLO && g.Probability == o.Probability && g.Trial == o.Trial && g.Changes == o.Changes
	a, b := g.Room, o.Room
	return same && slices.Equal(a.Batches, b.Batches) && a.MaxDelay == b.MaxDelay && a.Replicas == b.Replicas && a.CPU == b.CPU &&
		a.Memory == b.Memory && a.Redundancy == b.Redundancy && a.Margin == b.Margin
}

// Tunes tells whether anything may be chosen at all.
func (g Goal) Tunes() bool {
	r := g.Room
	return len(r.Batches) > 0 || r.MaxDelay > 0 || r.Replicas != [2]int{} || r.CPU != [2]int64{} || r.Memory != [2]int64{}
}

// Percentile is the share of requests that the SLO is about, 0.99 where it does not say.
func (g Goal) Percentile() float64 { return cmp.Or(g.SLO.Percentile, 0.99) }

// Needed is how many requests a setting is judged by at least: so many that two of them are slower than
// the percentile, and never fewer than 200.
//
//	p95 200    p99 200    p99.9 2,000
func (g Goal) Needed() int64 {
	return max(fewest, int64(math.Ceil(2/(1-g.Percentile())-1e-6)))
}

// Phase is how far tuning has come.
type Phase string

// The phases.
const (
	Observing  Phase = "observing"   // Setting is measured, and a plan follows
	Changing   Phase = "changing"    // Setting is a step that is to be put in force
	Comparing  Phase = "comparing"   // the step is in force and measured against the window before it
	Settled    Phase = "settled"     // Setting is the best that is known, and is watched
	TakingBack Phase = "taking-back" // the step failed; Setting, the one before it, is to be put in force again
	Resting    Phase = "resting"     // Setting is watched, and nothing is tried before Rest
)

const (
	// fewest requests that a setting is judged by. Of 200, the two slowest decide what p99 is.
	fewest = 200
	// tie is by how much costs may differ and still count as the same: what a repeated window differs by.
	tie = 0.05
	// wider is the same of the CPU of a request, which neighbours and the background of a window move more.
	// A setting that is kept although it takes a little more asks for nothing more; what asks for less after it is
	// judged by itself.
	wider = 0.15
	// hopeless is how many times the SLO a latency must surely be above for a step's window to end early.
	hopeless = 2
	// patience is how many windows in a row must say the same before anything follows from it.
	patience = 3
	// longest is how many trials a window may take; after that there is too little to go on.
	longest = 5
	// spike is how many times the rate that was planned for makes a step's window void.
	spike = 2
	// moodier is how much the curve must change, and busier the rate, to be looked at anew, and apart how
	// many trials must lie between two plans.
	moodier, busier, apart = 0.25, 0.30, 10
	// day is how long a setting that was left or taken back is not gone to, and how old a plan may be.
	day = 24 * time.Hour
	// changes is how many changes a day are made where a goal does not say.
	changes = 6
)

// State is where the tuning of one server stands. It is a value: what happens makes a new one.
type State struct {
	Goal     Goal      `json:"goal"`
	Phase    Phase     `json:"phase"`
	Since    time.Time `json:"since"`             // of the phase, or of the last void window
	Setting  Setting   `json:"setting"`           // that should be in force
	Baseline Measure   `json:"baseline,omitzero"` // what Setting showed when the last plan was made
	Step     *Step     `json:"step,omitempty"`    // under way
	Past     []Step    `json:"past,omitempty"`    // the last that were judged, oldest first
	Anchor   *Anchor   `json:"anchor,omitempty"`  // what the steps under way began from
	Refuted  []Refuted `json:"refuted,omitempty"` // not to be gone to before a day has passed
	Changed  []int64   `json:"changed,omitempty"` // when the steps of the last day began, in Unix seconds
	Backs    []int64   `json:"backs,omitempty"`   // when steps of the last day were taken back
	Voids    int       `json:"voids,omitempty"`   // windows of the step that did not count

	Over  int       `json:"over,omitempty"`  // windows in a row that broke the SLO
	Worst Quantile  `json:"worst,omitzero"`  // of the last of these
	Moved int       `json:"moved,omitempty"` // windows in a row whose rate or curve is not that of the plan
	Rest  time.Time `json:"rest,omitzero"`   // until then nothing is tried
	Why   string    `json:"why,omitempty"`   // it rests, or nothing is tried
	Lies  string    `json:"lies,omitempty"`  // how the server's numbers do not agree

	Planned     time.Time   `json:"planned,omitzero"`
	Question    Question    `json:"question,omitzero"` // the last, without nodes and calibration
	Plan        Plan        `json:"plan,omitzero"`     // its answer, cut short
	Calibration Calibration `json:"calibration,omitzero"`
	Calendar    Calendar    `json:"calendar,omitzero"`
	Beside      []Beside    `json:"beside,omitempty"`    // of the last windows, oldest first
	UnderLoad   bool        `json:"underLoad,omitempty"` // Calibration and Beside are of predictions by what batches take under load
}

// Measure is what a judged window showed of the setting in force.
type Measure struct {
	Ended    time.Time     `json:"ended"`
	Elapsed  time.Duration `json:"elapsed"`
	Requests int64         `json:"requests"`         // answered or not
	Errors   int64         `json:"errors,omitempty"` // of them, not answered
	Latency  Quantile      `json:"latency"`          // at the SLO's percentile
	CPU      time.Duration `json:"cpu"`              // that one answered request took
	Rate     float64       `json:"rate"`             // requests a second
	Met      float64       `json:"met"`              // share of the requests answered within the SLO
}

// known tells a measure from none.
func (m Measure) known() bool { return m.Requests > 0 }

// Step is one change of a setting and how it was judged.
type Step struct {
	From      Setting   `json:"from"`
	To        Setting   `json:"to"`
	Begun     time.Time `json:"begun"`
	Before    Measure   `json:"before"`         // of From: what To is judged against
	After     Measure   `json:"after,omitzero"` // of To
	Unit      UnitCost  `json:"unit"`           // $ per 1,000 SLO-met requests of From, at the rate of Before
	Predicted UnitCost  `json:"predicted"`      // of To at that rate
	Realised  UnitCost  `json:"realised"`       // of To by what was measured: what came, what of it was met, and what its pods requested
	// RealisedRate is the requests a second that came then; 0: a step of an older record, of which Realised is at the
	// rate of Before.
	RealisedRate float64  `json:"realisedRate,omitempty"`
	Unpriced     []string `json:"unpriced,omitempty"`
	Relief       bool     `json:"relief,omitempty"` // From broke the SLO
	Kept         bool     `json:"kept,omitempty"`
	Why          string   `json:"why,omitempty"` // it was taken back
}

// Anchor is the setting that a row of steps began from. A step may cost more because a later one saves
// more; if that one fails, all of them are taken back.
type Anchor struct {
	Setting Setting `json:"setting"`
	Met     bool    `json:"met"` // it kept the SLO
}

// Refuted is a setting that is not gone to for a day.
type Refuted struct {
	Setting Setting   `json:"setting"`
	At      time.Time `json:"at"`
	Slow    bool      `json:"slow,omitempty"` // it broke the SLO, so that less of the same would too
}

// Begin is the state of a server of which nothing is known yet.
func Begin(g Goal, at time.Time) State {
	s := State{Goal: g, Phase: Observing, Since: at, Setting: g.Start}
	if !g.Tunes() {
		s.Phase = Settled
	}
	return s
}

// Active tells whether a step is under way or about to be.
func (s State) Active() bool {
	return s.Phase == Observing || s.Open()
}

// Open tells whether a step is under way, or is being taken back.
func (s State) Open() bool {
	return s.Phase == Changing || s.Phase == Comparing || s.Phase == TakingBack
}

// into is s in another phase.
func (s State) into(p Phase, at time.Time) State {
	s.Phase, s.Since, s.Voids, s.Over, s.Moved, s.Worst = p, at, 0, 0, 0, Quantile{}
	return s
}

// InForce is the state once every pod has acknowledged Setting, in the phases that wait for it.
func (s State) InForce(at time.Time) State {
	switch s.Phase {
	case Changing:
		return s.into(Comparing, at)
	case TakingBack:
		return s.rests(at)
	}
	return s
}

// GiveUp is the state when Setting cannot be put in force: a step is taken back, and what cannot even be
// taken back is left as it is asked for.
func (s State) GiveUp(why string, at time.Time) State {
	switch s.Phase {
	case Changing, Comparing:
		return s.takenBack(why, false, at)
	case TakingBack:
		s = s.rests(at)
		s.Why = short(s.Why + "; " + why)
	}
	return s
}

// Unseen is the state when the pods show nothing that a step can be judged by, for a reason in words. A
// step that nothing is seen of for five trials is taken back.
func (s State) Unseen(why string, at time.Time) State {
	if s.Phase != Comparing || at.Sub(s.Since) < longest*s.Goal.Trial {
		return s
	}
	return s.takenBack("nothing was seen of it for "+whole(at.Sub(s.Since))+": "+why, false, at)
}

// Rested is the state at a time: after a rest the setting in force is measured anew.
func (s State) Rested(at time.Time) State {
	if s.Phase == Resting && !at.Before(s.Rest) {
		s.Rest, s.Why = time.Time{}, ""
		return s.into(Observing, at)
	}
	return s
}

// Scaled is the state when somebody else sets the replicas: the setting follows them.
func (s State) Scaled(replicas int) State {
	if s.Step == nil && replicas > 0 {
		s.Setting.Replicas = replicas
	}
	return s
}

// takenBack is the state when the step under way failed. Where the settings before it were only to lead
// to it and cost more than those that all began from, they go back to these.
func (s State) takenBack(why string, slow bool, at time.Time) State {
	if s.Step == nil {
		return s
	}
	why = short(why)
	step := *s.Step
	step.Why = why
	back := step.From
	if a := s.Anchor; a != nil && a.Met && !step.Relief && s.dearer(back, a.Setting) {
		back = a.Setting
	}
	s.Past = last(append(slices.Clone(s.Past), step), keptSteps)
	refuted := append(slices.Clone(s.Refuted), Refuted{step.To, at, slow})
	if back != step.From {
		refuted = append(refuted, Refuted{step.From, at, false}) // it was only the way there
	}
	s.Refuted = last(refuted, keptRefuted)
	s.Backs = append(recent(s.Backs, at), at.Unix())
	s.Step, s.Anchor, s.Setting, s.Why = nil, nil, back, why
	return s.into(TakingBack, at)
}

// short is a reason as it is remembered: what many pods say at once would fill the state.
func short(why string) string {
	const most = 500 // bytes
	if len(why) <= most {
		return why
	}
	return strings.ToValidUTF8(why[:most], "") + "..."
}

// dearer tells whether a setting asks for clearly more than another.
func (s State) dearer(a, b Setting) bool {
	p := s.Question.Price
	return weight(a, p) > weight(b, p)*(1+tie)
}

// rests begins a rest: ten trials after the first return of a day, twice as long after each more, a day at
// most.
//
//	trial  1st     2nd     3rd
//	2m     20m     40m     1h20m
func (s State) rests(at time.Time) State {
	n := len(recent(s.Backs, at))
	s.Rest = at.Add(min(apart*s.Goal.Trial<<min(max(n-1, 0), 5), day))
	return s.into(Resting, at)
}

const (
	keptSteps   = 6
	keptRefuted = 16
)

// last is the newest of a list.
func last[T any](all []T, most int) []T {
	return all[max(0, len(all)-most):]
}

// recent is the moments of the last day, in a list of its own.
func recent(all []int64, at time.Time) []int64 {
	var out []int64
	for _, t := range all {
		if at.Sub(time.Unix(t, 0)) < day {
			out = append(out, t)
		}
	}
	return out
}
