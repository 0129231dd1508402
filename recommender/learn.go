package recommender

import (
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// startUp is how long after its start a replica is taken to load its model: what it uses then is no part of what
// serving takes. Kubernetes says when a pod became ready, not when one that is gone was; a fixed time holds for both.
const startUp = int64(10 * time.Minute)

// throttledFrom is the share of CPU periods from which on a container counts as throttled: that of the alert
// CPUThrottlingHigh of kubernetes-mixin.
const throttledFrom = 0.25

// Meet tells of the live pods of a workload since when they are there and under which limits: samples do not.
func (h *History) Meet(w fleet.Workload) {
	list := h.of(w.Ref)
	for i := range list {
		s := &list[i]
		if s.profile() == nil && s.memory() == nil {
			continue
		}
		for _, p := range w.Pods {
			if i, known := s.find(idOf(p.Name)); known {
				s.pods[i].became(p, s)
			}
		}
	}
}

// Follow keeps of a workload what its rule reads, and drops what it does not: what nobody asks for the percentiles of
// its containers' use is kept without them. Under a rule that does ask they are kept from then on, and what was measured
// before counts as not measured.
func (h *History) Follow(ref fleet.Ref, o Options) {
	list := h.of(ref)
	for i := range list {
		s := &list[i]
		if s.profile() == nil && s.memory() == nil || s.plain == o.plain() {
			continue
		}
		if s.plain = o.plain(); s.plain {
			s.past = s.past.plain(floorOf(s.signal()))
		}
	}
}

// plain tells whether no percentile of CPU and memory is looked at: a plan by price has its own account of them, and
// only what tells how autoscaled replicas answer needs others.
func (o *Options) plain() bool { return o.Priced != nil && o.Forecast == nil }

// became takes up what a pod is. One that was there long before it was first measured did not start then.
func (p *seen) became(pod fleet.Pod, s *series) {
	if made := pod.Created.Unix(); made > 0 && (p.born == 0 || made < int64(p.born)-startUp/int64(time.Second)) {
		p.born = uint32(made)
	}
	k, ok := pod.Shape.Container(s.container())
	switch {
	case !ok:
	case s.profile() != nil:
		p.limit = float32(k.Limits.MilliCPU) / 1000
	default:
		p.limit = float32(k.Limits.Memory)
	}
}

// age is how long before an instant the series begins, in nanoseconds; 0 where nothing of it is closed.
func (s *series) age(at int64) int64 {
	var b bucket
	if r := s.past.reader(floorOf(s.signal())); !r.next(&b, false) {
		return 0
	}
	return at - int64(b.from)*int64(time.Second)
}

// starting tells whether a reading is of a pod's first minutes.
func (s *series) starting(r reading) bool {
	born := int64(s.pods[r.pod].born) * int64(time.Second)
	return born != 0 && r.at-r.lasted() < born+s.pace().shortened(startUp) && r.at > born
}

// learn gives the profile or the memory what the readings of a slot tell; b is their bucket. Others are the series of
// the same workload. Replicas that start are no part of what serving takes.
func (s *series) learn(in []reading, b bucket, at slot, others []series) {
	if s.load() != nil {
		s.load().add(b, s.pace())
	}
	if s.profile() == nil && s.memory() == nil {
		return
	}
	end := s.pace().planned(int64(b.to)) - 1
	if slices.ContainsFunc(in, s.starting) {
		in = slices.Clone(in)
		load := slices.DeleteFunc(slices.Clone(in), func(r reading) bool { return !s.starting(r) })
		in = slices.DeleteFunc(in, s.starting)
		if s.memory() != nil {
			s.memory().Load(end, float64(peakOf(load)), s.image)
		}
		if len(in) == 0 {
			s.begunAnew(end)
			return
		}
		b, _ = summary(in, at)
	}
	if s.memory() != nil {
		s.memory().Add(end, float64(b.peak))
		return
	}
	s.profile().Record(end, b.busiest(s.pace()), s.atLimit(in) || s.throttled(at, others))
}

// begunAnew tells the memory that every replica starts.
func (s *series) begunAnew(at int64) {
	if s.memory() != nil {
		s.memory().Started(at, s.image)
	}
}

// atLimit tells whether some pod used all that its CPU limit allowed, so that it may have wanted more.
func (s *series) atLimit(in []reading) bool {
	return slices.ContainsFunc(in, func(r reading) bool {
		limit := s.pods[r.pod].limit
		return limit > 0 && r.busiest(s.pace()) >= atLimit*float64(limit)
	})
}

// busiest is the use of the busiest minute of a reading, as far as it is known.
func (r reading) busiest(p Pace) float64 {
	if r.lasted() > p.minute() {
		return float64(r.peak)
	}
	return float64(r.mean)
}

// throttled tells whether the container was throttled in a slot, where that is measured.
func (s *series) throttled(at slot, others []series) bool {
	i, known := find(others, s.container(), fleet.Throttling)
	if !known {
		return false
	}
	o, from := &others[i], at.end-at.length
	if slices.ContainsFunc(o.open, func(r reading) bool { return r.peak >= throttledFrom && r.at > from && r.at-r.lasted() < at.end }) {
		return true
	}
	if o.newest < at.end+s.pace().lateness() {
		return false // nothing of that time is closed yet
	}
	past := o.past.reader(floorOf(o.signal()))
	for b := (bucket{}); past.next(&b, false); {
		within := int64(b.to)*int64(time.Second) > from && int64(b.from)*int64(time.Second) < at.end
		if within && b.peak >= throttledFrom {
			return true
		}
	}
	return false
}

// restarted tells that a container of a pod begins anew, because it was killed.
func (h *History) restarted(s fleet.Sample) {
	for _, signal := range []fleet.Signal{fleet.CPU, fleet.Memory} {
		if o, ok := h.series(s.Ref, s.Container, signal); ok {
			if i, known := o.find(idOf(s.Pod)); known {
				o.pods[i].born = uint32(s.At.Unix())
			}
		}
	}
}
