package recommender

import (
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

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
	most := c.fixed(k).Memory
	a := c.p.of(c.w.Ref, k.Name).advised(s, sizing.MemoryOptions{
		Risk: sizing.DefaultMemoryRisk * c.o.Priced.Risk, Floor: float64(c.o.MinMemory), Limit: float64(most), InPlace: c.o.InPlace,
	}, c.now, float64(now))
	f.explainMemory(a)
	if a.Reason == sizing.MemoryUnknown {
		return
	}
	e := RoundedUp(memoryStep, WithCeiling("not above the limit", float64(most), func(Distribution) Estimate { return Estimate{Value: a.Request} }))
	target := int64(e(Distribution{}).Value)
	if most > 0 {
		target = min(target, most)
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
