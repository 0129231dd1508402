package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Goal is what a server is tuned for.
type Goal struct {
	Of    string        `json:"of"`    // image, model and version: another one may answer otherwise
	Start int           `json:"start"` // rows a batch before anything was tried
	Sizes []int         `json:"sizes"` // what may be tried, ascending; Start is always measured
	SLO   fleet.SLO     `json:"slo"`
	Trial time.Duration `json:"trial"` // how long a size is measured at least
}

// Equal tells whether two goals ask the same.
func (g Goal) Equal(o Goal) bool {
	return g.Of == o.Of && g.Start == o.Start && g.SLO == o.SLO && g.Trial == o.Trial && slices.Equal(g.Sizes, o.Sizes)
}

// Phase is how far tuning has come.
type Phase string

// The phases.
const (
	Trying     Phase = "trying"      // Size is being measured
	Adopting   Phase = "adopting"    // Size was chosen and is to be put in force for good
	Settled    Phase = "settled"     // Size was chosen and is watched
	TakingBack Phase = "taking-back" // Size, the one before, is to be put in force again
	Resting    Phase = "resting"     // nothing is tried before Rest
)

const (
	// fewest requests that a size is judged by. Of 200, the two slowest decide what p99 is.
	fewest = 200
	// tie is by how much costs may differ and still count as the same: what a repeated trial differs by.
	tie = 0.05
	// hopeless is how many times the SLO a latency must surely be above for its trial to end early.
	hopeless = 2
	// patience is how many windows in a row may break the SLO before the size is taken back.
	patience = 3
	// rest is how long nothing is tried after a size was taken back.
	rest = 24 * time.Hour
)

// State is where the tuning of one server stands. It is a value: what happens makes a new one.
type State struct {
	Goal   Goal      `json:"goal"`
	Phase  Phase     `json:"phase"`
	Size   int       `json:"size"`             // that should be in force
	Before int       `json:"before,omitempty"` // that Size replaced, or from TakingBack on that was taken back
	Trials []Trial   `json:"trials,omitempty"` // finished, in the order in which they were made
	Met    bool      `json:"met,omitempty"`    // the chosen size kept the SLO in its trial
	Over   int       `json:"over,omitempty"`   // windows in a row that broke the SLO since
	Worst  Quantile  `json:"worst,omitzero"`   // of the last of these
	Rest   time.Time `json:"rest,omitzero"`    // until then nothing is tried
	Why    string    `json:"why,omitempty"`    // it rests
}

// Trial is what was measured while a size was in force.
type Trial struct {
	Size     int           `json:"size"`
	Ended    time.Time     `json:"ended"`
	Elapsed  time.Duration `json:"elapsed"`
	Requests int64         `json:"requests"`         // answered or not
	Errors   int64         `json:"errors,omitempty"` // of them, not answered
	Latency  Quantile      `json:"latency"`          // at the SLO's percentile
	CPU      time.Duration `json:"cpu"`              // that one answered request took
	Cost     UnitCost      `json:"cost"`             // nothing where Unpriced says something
	Unpriced []string      `json:"unpriced,omitempty"`
}

// Begin is the state before the first trial, which measures the size that is in force already.
func Begin(g Goal) State { return State{Goal: g, Phase: Trying, Size: g.Start} }

// Percentile is the share of requests that the SLO is about, 0.99 where it does not say.
func (g Goal) Percentile() float64 { return cmp.Or(g.SLO.Percentile, 0.99) }

// Needed is how many requests a size is judged by at least: so many that two of them are slower than
// the percentile, and never fewer than 200.
//
//	p95 200    p99 200    p99.9 2,000
func (g Goal) Needed() int64 {
	return max(fewest, int64(math.Ceil(2/(1-g.Percentile())-1e-6)))
}

// Measured is the state after a window in which Size was in force all the time; done tells that the
// window was judged and that the next one begins. Until then it may be handed in longer each time.
func (s State) Measured(w Window, p Price, at time.Time) (next State, done bool) {
	if !s.enough(w) {
		return s, false
	}
	switch s.Phase {
	case Trying:
		return s.tried(s.trial(w, p, at)), true
	case Settled:
		return s.watched(w), true
	}
	return s, false
}

// enough tells whether a window can be judged: it is long enough and has enough requests, or the
// latter alone already show that a size other than the first must not stay in force.
func (s State) enough(w Window) bool {
	if w.Requests() < s.Goal.Needed() {
		return false
	}
	q, _ := w.Quantile(s.Goal.Percentile())
	bad := s.Goal.SLO.Latency > 0 && q.From >= hopeless*s.Goal.SLO.Latency
	return w.Elapsed >= s.Goal.Trial || bad && s.Phase == Trying && len(s.Trials) > 0
}

func (s State) trial(w Window, p Price, at time.Time) Trial {
	q, _ := w.Quantile(s.Goal.Percentile())
	t := Trial{
		Size: s.Size, Ended: at, Elapsed: w.Elapsed, Requests: w.Requests(), Errors: w.Errors,
		Latency: q, CPU: cpuOf(w), Unpriced: p.Unpriced,
	}
	if len(p.Unpriced) == 0 {
		t.Cost = unitCost(w, s.rate(w), p)
	}
	return t
}

// rate is the answered requests a second of the first trial, by which memory is spread in every one.
func (s State) rate(w Window) float64 {
	if len(s.Trials) > 0 {
		first := s.Trials[0]
		if answered := first.Requests - first.Errors; answered > 0 {
			return float64(answered) / first.Elapsed.Seconds()
		}
	}
	return float64(w.Latency.Total()) / w.Elapsed.Seconds()
}

// tried notes a trial and goes on to the next size, or chooses.
func (s State) tried(t Trial) State {
	s.Trials = append(slices.Clone(s.Trials), t)
	if size, ok := s.untried(); ok {
		s.Size = size
		return s
	}
	best := s.best()
	s.Phase, s.Before, s.Size = Adopting, s.Goal.Start, best.Size
	s.Met = best.Latency.within(s.Goal.SLO.Latency)
	return s
}

// untried is the smallest size that has no trial yet.
func (s State) untried() (int, bool) {
	for _, size := range s.Goal.Sizes {
		if _, ok := s.Trial(size); !ok {
			return size, true
		}
	}
	return 0, false
}

// best is the trial of the size to choose: the quickest of the cheapest; where no size is within the
// SLO, the quickest of all.
func (s State) best() Trial {
	if cheapest := s.cheapest(); len(cheapest) > 0 {
		return slices.MinFunc(cheapest, quicker)
	}
	return slices.MinFunc(s.Trials, quicker)
}

// cheapest is, of the trials within the SLO, the one that cost least and those that cost the same.
func (s State) cheapest() []Trial {
	kept := slices.DeleteFunc(slices.Clone(s.Trials), func(t Trial) bool { return !t.Latency.within(s.Goal.SLO.Latency) })
	costs, least := s.costs(), math.Inf(1)
	for _, t := range kept {
		least = min(least, costs(t))
	}
	return slices.DeleteFunc(kept, func(t Trial) bool { return costs(t) > least*(1+tie) })
}

// costs is what trials are compared by: the unit cost, or CPU time where some price is missing.
func (s State) costs() func(Trial) float64 {
	if len(unpriced(s.Trials)) > 0 {
		return func(t Trial) float64 { return float64(t.CPU) }
	}
	return func(t Trial) float64 { return float64(t.Cost) }
}

// quicker orders trials by latency, then size.
func quicker(a, b Trial) int {
	return cmp.Or(a.Latency.compare(b.Latency), cmp.Compare(a.Size, b.Size))
}

// watched counts windows that break the SLO. What did not keep it in its trial, or replaced nothing, is
// not taken back: there is nothing better to go back to.
func (s State) watched(w Window) State {
	q, _ := w.Quantile(s.Goal.Percentile())
	if q.within(s.Goal.SLO.Latency) {
		s.Over, s.Worst = 0, Quantile{}
		return s
	}
	s.Over, s.Worst = min(s.Over+1, patience), q
	if s.Over == patience && s.Met && s.Size != s.Before {
		s.Phase, s.Size, s.Before = TakingBack, s.Before, s.Size
	}
	return s
}

// InForce is the state once every pod has acknowledged Size, in the phases that wait for it.
func (s State) InForce(at time.Time) State {
	switch s.Phase {
	case Adopting:
		s.Phase = Settled
	case TakingBack:
		s.Phase, s.Rest, s.Why = Resting, at.Add(rest), s.broken()
	}
	return s
}

// GiveUp is the state when Size cannot be put in force: back to the size of the start, and rest.
func (s State) GiveUp(why string, at time.Time) State {
	s.Phase, s.Before, s.Size, s.Rest, s.Why = Resting, s.Size, s.Goal.Start, at.Add(rest), why
	return s
}

// Rested is the state at a time: after a rest everything is measured anew.
func (s State) Rested(at time.Time) State {
	if s.Phase == Resting && !at.Before(s.Rest) {
		return Begin(s.Goal)
	}
	return s
}

// Trial is the finished trial of a size.
func (s State) Trial(size int) (Trial, bool) {
	for _, t := range s.Trials {
		if t.Size == size {
			return t, true
		}
	}
	return Trial{}, false
}
