package sizing

import "math"

const (
	fade     = 0.95 // weight of a day against the next younger one
	fresher  = 0.7  // the same in the daily outlook: days resemble those just before them, or else a peak has moved
	beside   = 0.3  // weight of the hours before and after
	lingers  = 3.0  // hours in which the recent outlook loses two thirds of its weight
	recalled = 6    // slots that it looks back
	outdated = 0.1  // weight of hours before the newest version
)

// fading is a weight by age in days.
type fading [kept/perDay + 1]float64

// faded is the weight of what is so many days old, fadedDaily that in the daily outlook.
var faded, fadedDaily = fades(fade), fades(fresher)

func fades(by float64) *fading {
	var w fading
	for d := range w {
		w[d] = math.Pow(by, float64(d))
	}
	return &w
}

// lingering is the weight of what is so many hours away, for the recent outlook.
var lingering = func() (w [horizon + 1]float64) {
	for h := range w {
		w[h] = math.Exp(-float64(h) / lingers)
	}
	return w
}()

// any gathers every slot before the given one.
func (o *odds) any(t view, slot int64) {
	for age := int64(1); age < kept; age++ {
		o.add(t.peak(slot-age), t.weight(slot-age, age, faded))
	}
}

// like gathers the slots that lie whole periods of the wall clock before the one h hours after from, the first
// that has not passed, and at a lower weight their neighbours.
func (o *odds) like(t view, c *clock, from int64, h int, period int64) {
	by := faded
	if period == perDay {
		by = fadedDaily
	}
	for back := period; back <= kept; back += period {
		then := from + int64(h) - back + c.shift(h, back)
		if then >= from {
			continue
		}
		weight := t.weight(then, back, by)
		o.add(t.peak(then), weight)
		o.add(t.peak(then-1), weight*beside)
		if then+1 < from {
			o.add(t.peak(then+1), weight*beside)
		}
	}
}

// lately gathers the given slot, as far as it has passed, and those before it.
func (o *odds) lately(t view, slot int64) {
	for r := int64(0); r < recalled; r++ {
		o.add(t.peak(slot-r), lingering[r])
	}
}

// weight is what a slot counts that is so many slots old: less for each day, and little where another version
// of what runs there was at work.
func (t view) weight(slot, age int64, by *fading) float64 {
	w := by[age/perDay]
	if slot < t.renewed {
		w *= outdated
	}
	return w
}
