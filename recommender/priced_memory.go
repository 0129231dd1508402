package recommender

import (
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// memoryAsked is what was advised for a request that was in force then, until the next decision is due: advice is
// given again until it is followed.
type memoryAsked struct {
	options sizing.MemoryOptions
	live    float64
	advice  sizing.MemoryAdvice
	at      int64
}

// memoryDue is how long advice is good, seconds: after that a new decision is made.
const memoryDue = 6 * 3600

// advise is the advice on memory for a request in force.
func (s *series) advise(o sizing.MemoryOptions, at int64, live float64) sizing.MemoryAdvice {
	if o != s.asked.options {
		s.memory.Configure(o)
		s.asked = memoryAsked{options: o}
	}
	a := s.memory.Request(at, live)
	switch {
	case a.Request != live:
		s.asked.live, s.asked.advice, s.asked.at = live, a, at
	case s.asked.live == live && at-s.asked.at < memoryDue && s.asked.advice.Request > 0:
		return s.asked.advice
	}
	return a
}

// fitPlannedMemory fills in memory by the price of an excess, within the floor and the limit. It leaves the
// request as it is where there is none, and where memory is not known well enough.
func (c judge) fitPlannedMemory(f *fit, k fleet.Container) {
	now := k.Requests.Memory
	f.target.Memory, f.lower.Memory, f.upper.Memory = now, now, now
	if now <= 0 {
		f.step("memory", "left", "no memory request")
		return
	}
	if _, hold := c.measured(k.Name, fleet.Memory, "memory of "+k.Name); hold != nil {
		f.step("memory", "left at "+fleet.FormatMemory(now), hold.Detail)
		return
	}
	s, _ := c.h.series(c.w.Ref, k.Name, fleet.Memory) // there: it was measured
	a := s.advise(sizing.MemoryOptions{
		Risk: sizing.DefaultMemoryRisk * c.o.Priced.Risk, Floor: float64(c.o.MinMemory), Limit: float64(k.Limits.Memory), Zone: zoneOf(c.o.Priced), InPlace: true,
	}, c.now.Unix(), float64(now))
	f.explainMemory(a)
	if a.Reason == sizing.MemoryUnknown {
		return
	}
	e := RoundedUp(memoryStep, WithCeiling("not above the limit", float64(k.Limits.Memory), func(Distribution) Estimate { return Estimate{Value: a.Request} }))
	target := int64(e(Distribution{}).Value)
	if k.Limits.Memory > 0 {
		target = min(target, k.Limits.Memory)
	}
	f.target.Memory, f.lower.Memory, f.upper.Memory = target, target, target
}

// explainMemory is the steps of the advice.
func (f *fit) explainMemory(a sizing.MemoryAdvice) {
	f.step("memory", "why", a.Reason.String())
	f.step("memory", "recent peak", bytes(a.Peak))
	if a.Floor > 1 {
		f.step("memory", "floor", bytes(a.Floor))
	}
	if a.Leak {
		f.step("memory", "leak", "use grows day by day without a plateau: a restart or a fix helps, not a bigger request")
	}
	f.step("memory", "now", bytes(a.Request))
}

func zoneOf(o *sizing.Options) *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}
