package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// advice is where a state asks for plans and predictions.
type advice struct {
	best    func(Question) Plan
	try     func(Question, Setting) Candidate
	predict func(Service, Load, Setting, fleet.SLO) Prediction
	fits    func(Question, Setting) bool // quota and nodes have room for it
}

func ours() advice {
	return advice{Best, Try, Predict, func(q Question, at Setting) bool {
		return len((&planner{Question: q}).crowded(at)) == 0
	}}
}

// Judged is the state after a window in which Setting was in force all the time; done tells that the
// window was used and that the next one begins. Until then it may be handed in longer each time.
func (s State) Judged(e Evidence) (next State, done bool) { return s.judgedBy(e, ours()) }

func (s State) judgedBy(e Evidence, o advice) (next State, done bool) {
	if s.Phase == Changing || s.Phase == TakingBack {
		return s, false
	}
	if err := e.Check(s.Goal.Needed()); err != nil {
		return s.lied(err, e.At), true
	}
	switch {
	case s.spiked(e):
		return s.voided(e.At), true
	case !s.enough(e.Window):
		return s.waits(e)
	}
	s.Lies, e = "", e.counted()
	s = s.learned(e, o)
	switch s.Phase {
	case Observing:
		s.Baseline = e.measure(s.Goal)
		return s.planned(e, o), true
	case Comparing:
		return s.compared(e, o), true
	}
	return s.watched(e, o), true
}

// lied is the state when the server's numbers do not agree: nothing is tried, and a step under way is
// taken back.
func (s State) lied(err error, at time.Time) State {
	why := "its numbers do not agree: " + err.Error()
	if s.Phase == Comparing {
		s = s.takenBack(why, false, at)
	}
	if s.Lies == "" { // the first words stay: they may have other numbers in each pass
		s.Lies = why
	}
	return s
}

// enough tells whether a window can be judged: it is long enough and has enough requests, or the latter
// alone already show that a step must not stay in force.
func (s State) enough(w Window) bool {
	if w.Requests() < s.Goal.Needed() {
		return false
	}
	if w.Elapsed >= s.Goal.Trial {
		return true
	}
	q, _ := w.Quantile(s.Goal.Percentile())
	return s.Phase == Comparing && !s.Step.Relief && s.Goal.SLO.Latency > 0 && q.From >= hopeless*s.Goal.SLO.Latency
}

// waits is the state while a window cannot be judged yet. One that takes too long says nothing: the
// traffic is too low to try anything, and a step under way is taken back.
func (s State) waits(e Evidence) (State, bool) {
	n, needed := e.Window.Requests(), s.Goal.Needed()
	few := fmt.Sprintf("%s requests in %s; %s are needed to judge a setting", thousands(n), whole(e.Window.Elapsed), thousands(needed))
	switch tooLong := longest * s.Goal.Trial; {
	case s.Phase == Comparing && e.At.Sub(s.Since) >= tooLong:
		return s.takenBack(few, false, e.At), true
	case e.Window.Elapsed < tooLong || s.Phase == Comparing:
		return s, false
	}
	if s.Phase == Observing {
		s.Why = few + ": nothing is tried"
	}
	return s, true
}

// spiked tells that more than twice of what was planned for comes while a step is compared.
func (s State) spiked(e Evidence) bool {
	planned := s.Question.Load.Rate
	if s.Phase != Comparing || planned <= 0 {
		return false
	}
	window := e.Window.Requests() >= fewest && e.Window.Rate() > spike*planned
	return window || e.Arrivals.Rate > spike*planned
}

// voided is the state when a step's window does not count.
func (s State) voided(at time.Time) State {
	if s.Voids++; s.Voids > patience {
		return s.takenBack(fmt.Sprintf("more than %d times the traffic that was planned for came in %d windows", spike, s.Voids), false, at)
	}
	s.Since = at
	return s
}

// learned notes how the prediction for the window's own load came true.
func (s State) learned(e Evidence, o advice) State {
	if e.Curve.Loaded != (curve.Loaded{}) && !s.UnderLoad {
		s.UnderLoad, s.Beside, s.Calibration = true, nil, Calibration{} // they were of predictions by middles
	}
	known, m := s.service(e), e.measure(s.Goal)
	p := o.predict(known, e.load(), s.Setting, s.Goal.SLO)
	if b, ok := e.beside(); ok {
		b.Woken = min(p.Woken/float64(max(1, s.Setting.Replicas)), b.Batches)
		s.Beside = noted(s.Beside, b)
	}
	if !e.Curve.Known() || m.Latency.To == 0 || m.Latency.At <= 0 {
		return s
	}
	if p.Full || p.Tail.Value <= 0 {
		return s
	}
	const slower = 1.05
	then := o.predict(known.Slower(slower), e.load(), s.Setting, s.Goal.SLO)
	s.Calibration = s.Calibration.Add(Pair{
		At: e.At, Setting: s.Setting, Rate: m.Rate, Predicted: p.Tail.Value, Realised: m.Latency.nearest(p.Tail.Value),
		Cores: [2]float64{p.Cores, perSecond(e.Window.CPUSeconds, e.Window.Elapsed)},
		Steep: slowed(slower, then).Steep(p.Tail.Value),
	})
	s.Calibration.Pairs = last(slices.Clone(s.Calibration.Pairs), keptPairs)
	return s
}

// keptPairs bounds what a state remembers of predictions.
const keptPairs = 16

// compared judges a step. One that is kept is what the next plan goes on from.
func (s State) compared(e Evidence, o advice) State {
	step := *s.Step
	step.After = e.measure(s.Goal)
	step.Realised, step.RealisedRate = e.paid(step.To, step.After), step.After.Rate
	if why, slow := s.refusal(step, e, o); why != "" {
		s.Step = &step
		return s.takenBack(why, slow, e.At)
	}
	step.Kept = true
	s.Past = last(append(slices.Clone(s.Past), step), keptSteps)
	s.Refuted = last(append(slices.Clone(s.Refuted), Refuted{step.From, e.At, step.Relief}), keptRefuted)
	s.Baseline, s.Step = step.After, nil
	return s.planned(e, o)
}

// paid is what a request answered within the SLO cost in the window: what its pods requested meanwhile, over those
// that came. A window does not say requests, so they are those of the setting that was in force, by its own pods.
func (e Evidence) paid(at Setting, m Measure) UnitCost {
	at.Replicas = cmp.Or(e.Window.Replicas, at.Replicas)
	return unitCost(at, m.Rate, m.Met, e.Price)
}

// refusal is why a step is not kept, and whether it is too slow; empty: it is kept. It must keep the SLO,
// or come nearer to it where it was broken before. Beyond that, settings must not take more CPU for a
// request, and requests and replicas must not cost more for one that is answered within the SLO than
// before, or than was to be expected of a step that asks for more.
func (s State) refusal(step Step, e Evidence, o advice) (why string, slow bool) {
	before, after := step.Before, step.After
	switch {
	case !after.Latency.within(s.Goal.SLO.Latency):
		if step.Relief && after.Latency.compare(before.Latency) < 0 {
			return "", false
		}
		return fmt.Sprintf("%s %s, over %s", s.Goal.percent(), after.Latency, s.Goal.slo()), true
	case step.Relief:
		return "", false
	}
	from, to := weight(step.From, e.Price), weight(step.To, e.Price)
	if from == to {
		if most := step.cpuThen(s.service(e), e, s.Goal.SLO, o); float64(after.CPU) > most*(1+wider) {
			return fmt.Sprintf("a request takes %s of CPU, %s before", span(after.CPU), span(time.Duration(most))), false
		}
		return "", false
	}
	if after.Met <= 0 || to/after.Met > max(from, to)/before.Met*(1+tie) {
		return fmt.Sprintf("%.1f %% of the requests are within the SLO, %.1f %% before: they cost more", 100*after.Met, 100*before.Met), false
	}
	return "", false
}

// cpuThen is the CPU that a request took before the step, in nanoseconds, at the rate that there was
// after it: by what was measured, and between the two rates by what is predicted, for fuller batches
// take less.
func (st Step) cpuThen(service Service, e Evidence, slo fleet.SLO, o advice) float64 {
	at := func(rate float64) float64 {
		l := e.load()
		l.Peak, l.Rate, l.Mean = scaled(l.Peak, rate, l.Rate), rate, rate
		return o.predict(service, l, st.From, slo).Cores / rate
	}
	then, now := at(st.Before.Rate), at(st.After.Rate)
	if !(then > 0 && now > 0) {
		return float64(st.Before.CPU)
	}
	return float64(st.Before.CPU) * now / then
}
