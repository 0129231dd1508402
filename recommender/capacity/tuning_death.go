package capacity

import (
	"slices"
	"time"
)

// Death is the end of a server's process, of which its pod tells.
type Death struct {
	At      time.Time
	Born    time.Time // its pod was made
	Why     string    // in words, with the pod's name
	Starved bool      // it held more memory than its limit
}

// Died is the state once a process of the server has ended. A step during which that happens is taken back, whatever the
// requests that were answered say: those that the process had are in no histogram. A pod that the step itself made may
// stumble until it is in force. Later a step is taken back within a day, where memory ran out and it had left less of it.
func (s State) Died(d Death, now time.Time) State {
	switch s.Phase {
	case Changing, Comparing:
		if s.blamed(d) {
			return s.takenBack(d.Why, true, now)
		}
	case Observing, Settled:
		i := s.undone(now)
		if i < 0 || !d.Starved || d.At.Before(s.Past[i].Begun) || s.Past[i].To.Memory >= s.Past[i].From.Memory {
			return s
		}
		return s.withdrawn(i, d.Why, now)
	}
	return s
}

// blamed tells that a process ended during the step under way.
func (s State) blamed(d Death) bool {
	switch {
	case s.Step == nil || d.At.Before(s.Step.Begun):
		return false
	case d.Born.After(s.Step.Begun):
		return s.Phase == Comparing && !d.At.Before(s.Since)
	}
	return true
}

// withdrawn is the state when the step that was kept at a place of Past is taken back after all.
func (s State) withdrawn(i int, why string, at time.Time) State {
	step := s.Past[i]
	step.Kept, s.Step, s.Past = false, &step, slices.Delete(slices.Clone(s.Past), i, i+1)
	return s.takenBack(why, true, at)
}
