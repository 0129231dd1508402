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

// line is the peaks of the slots up to the one that is planned for, one after the other as they came.
type line struct {
	peak    [kept + margin]uint8
	base    int64 // the slot of the first
	slot    int64 // that is planned for, the last
	renewed int64 // what is before this slot counts little
	still   bool  // the wall clock did not change
	clock   *clock
}

// margin is how many slots more than are kept a line begins before its own: the hour before the oldest, where the wall
// clock has moved too.
const margin = 4

// follow lays out the peaks before a slot.
func (p *Planner) follow(t view, slot int64) *line {
	l := &p.line
	l.base, l.slot, l.renewed, l.clock = slot-int64(len(l.peak))+1, slot, int64(t.renewed), p.wall(slot)
	l.still = *l.clock == clock{}
	clear(l.peak[:])
	for n := max(l.base, t.oldest()); n <= slot; {
		run := t.run(n, slot)
		if len(run) == 0 {
			break
		}
		n += int64(copy(l.peak[n-l.base:], run))
	}
	return l
}

// any gathers every slot before the one that is planned for.
func (o *odds) any(l *line) {
	for day := range int64(kept / perDay) {
		for age := max(1, day*perDay); age < (day+1)*perDay; age++ {
			weight := faded[day]
			if l.slot-age < l.renewed {
				weight *= outdated
			}
			o.weight[l.peak[l.slot-age-l.base]] += weight
		}
	}
}

// like gathers the slots that lie whole periods of the wall clock before the one h hours after the line's, the first
// that has not passed, and at a lower weight their neighbours.
func (o *odds) like(l *line, h int, period int64) {
	by := faded
	if period == perDay {
		by = fadedDaily
	}
	for back := period; back <= kept; back += period {
		then := l.slot + int64(h) - back
		if !l.still {
			then += l.clock.shift(h, back)
		}
		if then >= l.slot {
			continue
		}
		weight := by[back/perDay]
		if then < l.renewed {
			weight *= outdated
		}
		i := then - l.base
		o.weight[l.peak[i]] += weight
		o.weight[l.peak[i-1]] += weight * beside
		if then+1 < l.slot {
			o.weight[l.peak[i+1]] += weight * beside
		}
	}
}

// lately gathers the slot so many before the line's, as far as it has passed, and those before it.
func (o *odds) lately(l *line, back int) {
	for r, weight := range lingering[:recalled] {
		o.weight[l.peak[len(l.peak)-1-back-r]] += weight
	}
}
