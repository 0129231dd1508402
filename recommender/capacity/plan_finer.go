package capacity

import "slices"

// finer looks half-way between the chosen delay and the next longer one where that does not do, and half-way again to where
// that leads: a longer delay is cheaper as a rule, and those of the room are so far apart that the one which is just too
// long leaves much unsaved.
func (s *planSearch) finer(chosen judged) judged {
	const halvings = 2
	s.beyond(chosen.Setting)
	for range halvings {
		at, next := chosen.Setting, s.longer(chosen.Setting)
		if next < 0 || s.points[next].meets || !s.saves(at) || s.spent >= searchNear {
			break
		}
		longer := s.points[next].at.Delay
		half := even((at.Delay + longer) / 2)
		if half <= at.Delay || half >= longer {
			break
		}
		s.add(Setting{Batch: at.Batch, Delay: half, Replicas: at.Replicas})
		s.look(len(s.points) - 1)
		chosen, _ = s.chosen()
	}
	return chosen
}

// saves tells whether a longer delay may save money: batches wait for others, and requests follow what is used.
func (s *planSearch) saves(at Setting) bool {
	given := s.follows && slices.Contains(s.limits(), at.CPU)
	return at.Batch > 1 && s.sizes(Setting{}) && at.CPU > s.Room.CPU[0] && !given
}

// longer is the point with the next longer delay, and the same batches and pods; -1: there is none.
func (s *planSearch) longer(at Setting) int {
	next := -1
	for i, p := range s.points {
		same := p.at.Batch == at.Batch && p.at.Replicas == at.Replicas
		if same && p.at.Delay > at.Delay && (next < 0 || p.at.Delay < s.points[next].at.Delay) {
			next = i
		}
	}
	return next
}
