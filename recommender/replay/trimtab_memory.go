package replay

import (
	"math"

	"trimtab.dev/trimtab/recommender/sizing"
)

// TrimtabMemory is this project's rule for memory, resized in place and never above what was provisioned, where
// that is known, for use cannot exceed it. Options that are zero are the usual ones.
func TrimtabMemory(name string, o sizing.MemoryOptions) Maker {
	return Maker{name, "the cheapest by the price of a day with an excess", func(s Series) Rule {
		o := o
		o.Floor, o.Limit, o.InPlace = s.Floor, s.Granted, true
		return &rememberedMemory{memory: sizing.NewMemory(o)}
	}}
}

// rememberedMemory sizes one series.
type rememberedMemory struct {
	memory *sizing.Memory
	held   float64 // 0: nothing yet
}

func (m *rememberedMemory) Request(at int64) float64 {
	if m.held = m.memory.Request(at, m.held).Request; m.held == 0 {
		return math.NaN()
	}
	return m.held
}

func (m *rememberedMemory) Seen(at int64, used float64) { m.memory.Add(at, used) }
