package recommender

import "time"

// bucket is what was measured in a stretch of time: one slot, or the slots of up to four days.
type bucket struct {
	from, to uint32  // unix seconds: start of the first sample, end of the last slot
	span     uint32  // seconds of the slots that hold anything, whole slots
	samples  uint32  // readings, of all pods
	pods     uint32  // the most pods in one slot; 0, of an old checkpoint: not more than in a later one
	weight   float32 // seconds that the sums below stand for
	peak     float32 // largest reading of any pod; 0: not larger than a later one
	sum      float64 // hottest replica's mean × weight
	total    float64 // sum over pods of their means × weight
	even     float64 // mean over pods of their means × weight; of an old checkpoint that may not tell it: sum
	hist     histogram
	plain    bool // as it was kept: without its histogram
}

// add makes b and the later o one, without a histogram of o.
func (b *bucket) add(o *bucket) {
	b.from, b.to = min(b.from, o.from), max(b.to, o.to)
	b.span, b.samples, b.pods = b.span+o.span, b.samples+o.samples, max(b.pods, o.pods)
	b.weight, b.peak = b.weight+o.weight, max(b.peak, o.peak)
	b.sum, b.total, b.even = b.sum+o.sum, b.total+o.total, b.even+o.even
}

// Retention is how long a History keeps anything, counted back from the newest sample of each series.
const Retention = 35 * 24 * time.Hour

// In seconds.
const (
	aMinute = 60
	anHour  = 60 * aMinute
	aDay    = 24 * anHour
	aTick   = 10 * aMinute // how often the past grows coarser
)

// units is how finely the past is told apart, in seconds: a unit (in UTC) is joined as a whole once its end is so old.
// Each is a multiple of the next. Where no percentiles are kept, whatever is decided by a few minutes is decided elsewhere
// (see sizing), and up to six hours are joined as soon as they have passed.
var units = [...]struct{ length, age, plainAge int64 }{
	{4 * aDay, 8 * aDay, 8 * aDay},
	{aDay, 2 * aDay, aDay},
	{6 * anHour, 6 * anHour, 0},
	{anHour, anHour, 0},
	{10 * aMinute, 10 * aMinute, 0},
}

// unitAt is the length of the unit that a stretch is joined into at a time, both in unix seconds.
func unitAt(to, now int64, plain bool) int64 {
	for _, u := range units {
		age := u.age
		if plain {
			age = u.plainAge
		}
		if end := (to + u.length - 1) / u.length * u.length; now-end >= age {
			return u.length
		}
	}
	return aMinute
}

// unmatched leaves a peak only where no later bucket has as much: every window ends now, so nobody asks for the others.
func unmatched(all []entry) {
	var peak float32
	for i := len(all) - 1; i >= 0; i-- {
		b := &all[i].bucket
		if b.peak <= peak {
			b.peak = 0
		}
		peak = max(peak, b.peak)
	}
}

// fine is how finely CPU and other signals that are asked for their percentiles are told apart.
var fine = widths{4, 1, 4, 2}
