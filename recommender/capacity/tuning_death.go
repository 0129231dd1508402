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
// requests that were answered say: those that the process had are in no histogram. One that is to help against too little
// is not: what it is to cure kills too. Later memory is given back within a day of a step that took it, where it ran out.
func (s State) Died(d Death, now time.Time) State {
	switch s.Phase {
	case Changing, Comparing:
		if s.blamed(d) {
			return s.takenBack(d.Why, d.Starved && s.Step.To.Memory < s.Step.From.Memory, now)
		}
	case Observing, Settled, Resting:
		if i := s.starved(d, now); i >= 0 {
			return s.fed(i, d.Why, now)
		}
	}
	return s
}

// blamed tells that a process ended for the step under way, as far as anybody knows: it is in force, or takes something
// away. A pod that the step itself made may stumble until it is in force.
func (s State) blamed(d Death) bool {
	switch {
	case s.Step == nil || s.Step.Relief || d.At.Before(s.Step.Begun):
		return false
	case d.Born.After(s.Step.Begun):
		return s.Phase == Comparing && !d.At.Before(s.Since)
	}
	from, to := s.Step.From, s.Step.To
	return s.Phase == Comparing || to.CPU < from.CPU || to.Memory < from.Memory || to.Replicas < from.Replicas
}

// starved is where in Past the step is by which a process had too little memory: the last that changed it before, if it was
// kept, is of today and what it left is still what a pod has. -1: there is none.
func (s State) starved(d Death, now time.Time) int {
	for i, step := range slices.Backward(s.Past) {
		if step.Begun.After(d.At) || step.To.Memory == step.From.Memory {
			continue
		}
		if d.Starved && step.Kept && step.To.Memory < step.From.Memory && step.To.Memory == s.Setting.Memory && now.Sub(step.Begun) < day {
			return i
		}
		return -1
	}
	return -1
}

// fed is the state with as much memory again as there was before a step of Past; what else has changed since stays.
func (s State) fed(i int, why string, at time.Time) State {
	step := s.Past[i]
	memory := step.From.Memory
	step.Kept, step.From, step.To = false, s.Setting, s.Setting
	step.From.Memory = memory
	s.Step, s.Past, s.Anchor = &step, slices.Delete(slices.Clone(s.Past), i, i+1), nil
	return s.takenBack(why, true, at)
}
