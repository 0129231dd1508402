package replay

import (
	"time"

	"trimtab.dev/trimtab/recommender/sizing"
)

// Rules are the rules for series of a unit, in the order of a table: those of other tools, plain ones, and what
// hindsight would have done. Zone is whose hours count for ours of CPU; nil: UTC.
func Rules(unit string, zone *time.Location) []Maker {
	if unit == Bytes {
		return []Maker{TrimtabMemory("trimtab", sizing.MemoryOptions{}), KRRMemory(), VPAMemory(), FlatMax(1)}
	}
	return []Maker{
		Trimtab(zone), TrimtabInPlace(zone), TrimtabFlat(zone),
		KRR(), KRRHourly(), VPA(), VPAHourly(), VPAUpdater(false), VPAUpdater(true), Crane(), Attune(),
		P99(), FlatMax(1), Reactive(), ReactiveDaily(), Clairvoyant(1), Clairvoyant(2),
	}
}
