package capacity

import (
	"math"
	"slices"
	"time"
)

// Noted is the state with what comes written into its calendar, where that can be believed.
func (s State) Noted(e Evidence) State {
	rate, ok := e.counted().Arrivals.Rate, e.Arrivals.Rate > 0
	if !ok && e.Window.Elapsed >= time.Minute {
		rate, ok = e.Window.Rate(), true
	}
	if ok && e.Check(s.Goal.Needed()) == nil {
		s.Calendar = s.Calendar.Note(e.At, rate)
	}
	return s
}

// watched looks at a window of a setting that nobody is about to change.
func (s State) watched(e Evidence, o advice) State {
	m := e.measure(s.Goal)
	if !m.Latency.within(s.Goal.SLO.Latency) {
		return s.missed(m, e, o)
	}
	s.Over, s.Worst = 0, Quantile{}
	if s.Phase != Settled || !s.Goal.Tunes() {
		return s
	}
	mood := s.moody(e)
	if s.Moved++; !mood && !s.busier(e) {
		s.Moved = 0
	}
	age := e.At.Sub(s.Planned)
	if s.Moved >= patience && age >= apart*s.Goal.Trial || age >= day {
		if mood { // what was too slow or too dear was so on another curve; what was left stays left
			s.Refuted = slices.DeleteFunc(slices.Clone(s.Refuted), s.takenBackBefore)
		}
		s.Why = ""
		return s.into(Observing, e.At)
	}
	s.Moved = min(s.Moved, patience)
	return s
}

// takenBackBefore tells a setting that was taken back from one that was left for a better one.
func (s State) takenBackBefore(r Refuted) bool {
	return slices.ContainsFunc(s.Past, func(step Step) bool { return !step.Kept && step.To == r.Setting })
}

// missed counts windows that break the SLO. After three in a row the last step is taken back if it is
// younger than a day; otherwise a plan is made from what is seen now, which may ask for more.
func (s State) missed(m Measure, e Evidence, o advice) State {
	s.Over, s.Worst = min(s.Over+1, patience), m.Latency
	again := s.Planned.IsZero() || e.At.Sub(s.Planned) >= apart*s.Goal.Trial
	if s.Over < patience || !s.Goal.Tunes() {
		return s
	}
	if i := s.undone(e.At); i >= 0 {
		step := s.Past[i]
		step.Kept, s.Step, s.Past = false, &step, slices.Delete(slices.Clone(s.Past), i, i+1)
		return s.takenBack(s.broken(), true, e.At)
	}
	if !again {
		return s
	}
	s.Baseline = m
	return s.planned(e, o)
}

// undone is where in Steps the one is that may be what breaks the SLO now: it led to the setting in force
// within a day, and not to ask for more. -1: there is none.
func (s State) undone(at time.Time) int {
	p := s.Question.Price
	for i, step := range slices.Backward(s.Past) {
		if step.Kept && step.To == s.Setting {
			if step.Relief || at.Sub(step.Begun) >= day || weight(step.To, p) > weight(step.From, p) {
				return -1
			}
			return i
		}
	}
	return -1
}

// moody tells that a batch as they are now takes clearly more or less than when the plan was made.
func (s State) moody(e Evidence) bool {
	then, now := s.Question.Service.Curve, s.service(e).Curve
	if !then.Known() || !now.Known() || e.Window.Batches == 0 {
		return false
	}
	rows := float64(e.Window.Rows) / float64(e.Window.Batches)
	return differs(now.Wall.At(rows), then.Wall.At(rows), moodier) || differs(now.CPU.At(rows), then.CPU.At(rows), moodier)
}

// busier tells that clearly more or less comes than when the plan was made.
func (s State) busier(e Evidence) bool {
	return s.Baseline.known() && differs(e.Window.Rate(), s.Baseline.Rate, busier)
}

// differs tells that now is off then by more than a share of then.
func differs(now, then, share float64) bool {
	return math.Abs(now-then) > share*then+1e-9
}
