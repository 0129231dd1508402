package replay

import (
	"math"
	"time"

	"trimtab.dev/trimtab/recommender/sizing"
)

// Trimtab is this project's rule for CPU: two changes a day on average, what was not used of a week saved. Zone is whose
// hours and weekdays count, also through a change of its clocks; nil: UTC.
func Trimtab(zone *time.Location) Maker {
	return Planned("trimtab", "a plan in money by hour of the week, 14 changes a week on average", sizing.Options{Zone: zone})
}

// TrimtabInPlace is the same rule where requests may change every hour, with dearer shortfalls, as risk: high has them.
func TrimtabInPlace(zone *time.Location) Maker {
	return Planned("trimtab-24", "the same plan, risk high, 24 changes a day on average", sizing.Options{Changes: 24, Risk: sizing.RiskHigh, Zone: zone})
}

// TrimtabFlat is the rule without its calendar: what that is worth.
func TrimtabFlat(zone *time.Location) Maker {
	return Planned("trimtab-flat", "the same plan without its calendar", sizing.Options{Flat: true, Zone: zone})
}

// Planned is the rule with options of its own; their Floor is the series's.
func Planned(name, about string, o sizing.Options) Maker {
	return Maker{name, about, func(s Series) Rule {
		o := o
		o.Floor = s.Floor
		return &planned{planner: sizing.NewPlanner(o)}
	}}
}

// planned sizes one series with a planner of its own.
type planned struct {
	planner *sizing.Planner
	track   sizing.Track
}

func (p *planned) Request(at int64) float64 {
	if r, ok := p.planner.Request(&p.track, at); ok {
		return r
	}
	return math.NaN()
}

func (p *planned) Seen(at int64, used float64) { p.planner.Add(&p.track, at, used, false) }
