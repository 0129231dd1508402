package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// asked is the state with a plan from what was measured on.
func (s State) asked(e Evidence, o advice) (State, Question, Plan) {
	if usual := max(1, cmp.Or(s.Setting.Limit, e.Cores)/1000); s.Setting.Instances == 0 && e.Instances > 0 && int64(e.Instances) != usual {
		s.Setting.Instances = e.Instances // its flags say so
	}
	q := s.question(e)
	p := o.best(q)
	s.Planned, s.Question, s.Plan = e.At, q.brief(), p.brief()
	return s, q, p
}

// Looked is the state after a window of a server that is only looked at: a plan is made from what is seen, every
// ten trials anew, and nothing follows from it. done tells that the window was used.
func (s State) Looked(e Evidence) (next State, done bool) { return s.lookedBy(e, ours()) }

func (s State) lookedBy(e Evidence, o advice) (next State, done bool) {
	if err := e.Check(s.Goal.Needed()); err != nil {
		return s.lied(err, e.At), true
	}
	if !s.enough(e.Window) {
		return s.waits(e)
	}
	s.Lies, s.Why, e = "", "", e.counted()
	s = s.learned(e, o)
	s.Baseline = e.measure(s.Goal)
	if s.Planned.IsZero() || e.At.Sub(s.Planned) >= apart*s.Goal.Trial {
		s, _, _ = s.asked(e, o)
	}
	return s, true
}

// planned asks for a plan and takes its first step.
func (s State) planned(e Evidence, o advice) State {
	s, q, p := s.asked(e, o)
	to, why := s.next(q, p, o)
	if to == (Setting{}) {
		return s.stays(why, e.At)
	}
	step := Step{From: s.Setting, To: to, Begun: e.At, Before: s.Baseline, Relief: s.breaks(), Unpriced: e.Price.Unpriced}
	rate := s.Baseline.Rate
	step.Unit = unitCost(step.From, rate, s.Baseline.Met, e.Price)
	step.Predicted = unitCost(to, rate, 1-o.predict(q.Service, e.load(), to, q.SLO).Lost, e.Price)
	if s.Anchor == nil {
		s.Anchor = &Anchor{s.Setting, !step.Relief}
	}
	s.Step, s.Setting, s.Why = &step, to, ""
	s.Changed = append(recent(s.Changed, e.At), e.At.Unix())
	return s.into(Changing, e.At)
}

// breaks tells that Setting broke the SLO in the window that the plan follows from.
func (s State) breaks() bool { return !s.Baseline.Latency.within(s.Goal.SLO.Latency) }

// stays is the state when there is no step to take, for a reason in words or because nothing is better.
// A rest goes on.
func (s State) stays(why string, at time.Time) State {
	s.Anchor = nil
	if s.Phase == Resting {
		return s
	}
	s.Why = why
	if s.Phase == Settled {
		return s // Over goes on
	}
	return s.into(Settled, at)
}

// next is the setting to try next; none, for a reason in words or because nothing is better.
func (s State) next(q Question, p Plan, o advice) (Setting, string) {
	targets := s.targets(q, p, o)
	if len(targets) == 0 {
		return Setting{}, p.Held
	}
	at := s.Planned
	if made := recent(s.Changed, at); len(made) >= s.Goal.most() {
		again := time.Unix(slices.Min(made), 0).Add(day)
		return Setting{}, fmt.Sprintf("%d changes were made in %s; the next one is made after %s", len(made), whole(day), moment(again))
	}
	for _, t := range targets {
		if to, ok := s.toward(t, q, p, o); ok {
			return to, ""
		}
	}
	return Setting{}, fmt.Sprintf("%s was taken back or left within the last day, or no step on the way keeps the SLO by prediction", inWords(targets[0].Setting))
}

// most is how many changes a day may be made.
func (g Goal) most() int { return cmp.Or(g.Changes, changes) }

// targets are the candidates that are worth a change, the plan's own choice first. Where no money can be
// saved, because requests and replicas stay, those that use the fewest cores are looked for.
func (s State) targets(q Question, p Plan, o advice) []Candidate {
	all := append([]Candidate{p.Best}, p.Alternatives...)
	if p.Held == "" && p.Now.Meets && p.Best.Setting == s.Setting && q.Room.CPU == [2]int64{} {
		all = append(s.leanest(q, o), all...)
	}
	return slices.DeleteFunc(all, func(c Candidate) bool { return !s.worth(c, p) })
}

// leanest is what would be best if the requests of pods followed what they use, with the requests as they
// are.
func (s State) leanest(q Question, o advice) []Candidate {
	const few = 3 // each is predicted anew
	free := q
	free.Room.CPU, free.Room.Refused = [2]int64{1, max(q.Now.CPU, q.Room.Cores, 64_000)}, nil // nobody will ask for them
	if free.Now.CPU == free.Now.Limit {
		free.Now.CPU-- // so that the limit does not follow the request
	}
	best := o.best(free)
	all := append([]Candidate{best.Best}, best.Alternatives...)
	var out []Candidate
	for _, c := range all[:min(len(all), few)] {
		to := c.Setting
		to.CPU, to.Limit, to.Memory = q.Now.CPU, q.Now.Limit, q.Now.Memory
		out = append(out, o.try(q, to))
	}
	return out
}

// worth tells whether a candidate is worth a change: it is quicker where the SLO is broken, or keeps it
// where by prediction it will be; otherwise it asks for clearly less, or uses clearly less and asks for
// the same.
func (s State) worth(c Candidate, p Plan) bool {
	if !c.Meets || c.Setting == s.Setting {
		return false
	}
	if s.breaks() { // whatever was predicted of it
		now := p.Now.Prediction
		return now.Full || float64(c.Prediction.Tail.Value) < float64(now.Tail.Value)*(1-tie)
	}
	if !p.Now.Meets {
		return true
	}
	price := s.Question.Price
	now, then := weight(s.Setting, price), weight(c.Setting, price)
	return then < now*(1-tie) || then == now && c.Prediction.Cores < p.Now.Prediction.Cores*(1-tie)
}

// toward is the first step from Setting to another: of its parts the first that is predicted to keep the
// SLO; where that is broken, the part that helps most.
func (s State) toward(target Candidate, q Question, p Plan, o advice) (Setting, bool) {
	target = s.plainer(target, q, o)
	to := target.Setting
	if s.refutes(to) {
		return Setting{}, false
	}
	needed := cmp.Or(q.Probability, 0.95)
	calm := !s.breaks() && p.Now.Meets
	if !calm {
		needed = min(needed, p.Now.Chance)
	}
	var all []Candidate
	for _, part := range parts(s.Setting, to) {
		if s.refutes(part) {
			break // what was refuted is not gone round
		}
		c := target
		if part != to {
			c = o.try(q, part)
		}
		fewer := part.Replicas < s.Setting.Replicas
		if calm && fewer && part != to && !c.Meets {
			continue // those that stay must ask for more first
		}
		room := lessOf(part, like(part, s.Setting)) || o.fits(q, part)
		if room && (!c.Prediction.Full && c.Chance >= needed || s.breaks()) {
			all = append(all, c)
		}
	}
	switch {
	case len(all) == 0:
		return Setting{}, false
	case s.breaks():
		return slices.MinFunc(all, quicker).Setting, true
	}
	return all[0].Setting, true
}

// plainer is a target with the batch limit and delay that are in force, where it then asks for hardly more: a
// plan made anew finds neighbours of what is there as good, and each step takes a window.
func (s State) plainer(target Candidate, q Question, o advice) Candidate {
	to := target.Setting
	if q.Room.CPU == [2]int64{} || s.breaks() || to.Batch == s.Setting.Batch && to.Delay == s.Setting.Delay {
		return target
	}
	to.Batch, to.Delay, to.CPU = s.Setting.Batch, s.Setting.Delay, 0
	if c := o.try(q, to); c.Meets && weight(c.Setting, q.Price) <= weight(target.Setting, q.Price)*(1+tie) {
		return c
	}
	return target
}

// quicker orders candidates by their latency, those that cannot answer all that comes last, by what they
// cannot.
func quicker(a, b Candidate) int {
	full := func(c Candidate) float64 {
		if c.Prediction.Full {
			return 1 + c.Prediction.Busy
		}
		return 0
	}
	return cmp.Or(cmp.Compare(full(a), full(b)), cmp.Compare(a.Prediction.Tail.Value, b.Prediction.Tail.Value))
}

// parts are the ways to take one step from a setting to another, in the order in which they are tried: settings that
// are taken up while serving, then what pods ask for, then how many there are. More pods come before pods that ask for
// less: whatever grows comes before what shrinks, so that those that serve meanwhile are never too few and too small.
func parts(from, to Setting) []Setting {
	hot, size, count := from, from, from
	hot.Batch, hot.Delay = to.Batch, to.Delay
	size.CPU, size.Limit, size.Memory, size.Instances = to.CPU, to.Limit, to.Memory, to.Instances
	count.Replicas = to.Replicas
	all := []Setting{hot, size, count}
	if grows := to.CPU > from.CPU || to.Memory > from.Memory; !grows && to.Replicas > from.Replicas {
		all = []Setting{hot, count, size}
	}
	return slices.DeleteFunc(all, func(s Setting) bool { return s == from })
}

// refutes tells that a setting, or one that hardly differs, was left or taken back within a day, or that
// more of the same was too slow.
func (s State) refutes(to Setting) bool {
	return slices.ContainsFunc(s.Refuted, func(r Refuted) bool {
		return s.Planned.Sub(r.At) < day && (alike(r.Setting, to) || r.Slow && lessOf(to, r.Setting))
	})
}

// alike tells settings that differ by at most a tenth in what they ask for.
func alike(a, b Setting) bool {
	near := func(a, b int64) bool { return 10*max(a-b, b-a) <= max(a, b) }
	return a.Batch == b.Batch && a.Delay == b.Delay && a.Replicas == b.Replicas && a.Spot == b.Spot && near(a.CPU, b.CPU) && near(a.Memory, b.Memory)
}

// like is a setting that asks for what another does.
func like(at, asks Setting) Setting {
	at.Replicas, at.CPU, at.Memory = asks.Replicas, asks.CPU, asks.Memory
	return at
}

// lessOf tells that a batches as b does and asks for no more.
func lessOf(a, b Setting) bool {
	return a.Batch == b.Batch && a.Delay == b.Delay && a.Replicas <= b.Replicas && a.CPU <= b.CPU && a.Memory <= b.Memory
}

// brief is a question small enough to be remembered.
func (q Question) brief() Question {
	q.Room.Nodes, q.Room.Refused, q.Calibration = nil, nil, Calibration{}
	return q
}

// brief is a plan small enough to be remembered.
func (p Plan) brief() Plan {
	const alternatives, frontier, reasons = 4, 8, 8
	p.Alternatives = slices.Clone(p.Alternatives[:min(len(p.Alternatives), alternatives)])
	p.Why = slices.Clone(p.Why[:min(len(p.Why), reasons)])
	p.Frontier = thinned(p.Frontier, frontier)
	return p
}

// thinned is at most a number of a list, evenly spread over it, with both ends.
func thinned[T any](all []T, most int) []T {
	if len(all) <= most {
		return slices.Clone(all)
	}
	out := make([]T, most)
	for i := range out {
		out[i] = all[i*(len(all)-1)/(most-1)]
	}
	return out
}
