package recommender

import (
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// memoryAdvice is an advice, or why there is none.
type memoryAdvice struct {
	sizing.MemoryAdvice
	left string // why the request stays
}

// adviseMemory weighs the memory of a container by the price of an excess.
func (c *judge) adviseMemory(k fleet.Container, st *standing) memoryAdvice {
	now := k.Requests.Memory
	if now <= 0 {
		return memoryAdvice{left: "no memory request"}
	}
	s, hold := c.known(k.Name, fleet.Memory, "memory of ")
	if hold != nil {
		return memoryAdvice{left: hold.Detail}
	}
	return memoryAdvice{MemoryAdvice: st.advised(s, sizing.MemoryOptions{
		Risk: sizing.DefaultMemoryRisk * c.o.Priced.Risk, Floor: float64(c.o.MinMemory), Limit: float64(c.fixed(k).Memory), InPlace: c.o.InPlace,
	}, c.now, float64(now))}
}

// fitPlannedMemory fills in memory by the advice, within the floor and the limit. It leaves the request as it is
// where there is none, and where memory is not known well enough.
func (c *judge) fitPlannedMemory(f *fit, k fleet.Container, a memoryAdvice) {
	now := k.Requests.Memory
	f.target.Memory, f.lower.Memory, f.upper.Memory = now, now, now
	switch {
	case now <= 0:
		f.step("memory", "left", a.left)
		return
	case a.left != "":
		f.step("memory", "left at "+fleet.FormatMemory(now), a.left)
		return
	}
	f.explainMemory(a.MemoryAdvice)
	if a.Reason == sizing.MemoryUnknown {
		return
	}
	most := c.fixed(k).Memory
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
