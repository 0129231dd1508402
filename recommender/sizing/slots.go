package sizing

import (
	"math"
	"time"
)

// A slot is an hour since 1970 in UTC.
const (
	slotSeconds = 3600
	perDay      = 24
	perWeek     = 7 * perDay
	kept        = 4 * perWeek // slots
)

// slots are the peaks of the last four weeks, by hour.
type slots struct {
	peak [kept]uint8 // level by slot modulo kept; 0: not measured
	now  int32       // the newest slot
}

// slotOf is the slot of an instant, and how much of it is over, in seconds.
func slotOf(at int64) (slot, into int64) { return at / slotSeconds, at % slotSeconds }

// clock is by how many hours the wall clock of a zone was ahead of UTC, for every day from four weeks before a
// slot to a day after it: a pattern keeps its hour when clocks change.
type clock [kept/perDay + 2]int64

// clockAt looks the zone up; where nothing changes in that time, at its two ends only.
func clockAt(zone *time.Location, slot int64) (c clock) {
	if zone == nil || zone == time.UTC {
		return c
	}
	hours := func(slot int64) int64 {
		_, seconds := time.Unix(slot*slotSeconds, 0).In(zone).Zone()
		return int64(math.Round(float64(seconds) / slotSeconds))
	}
	c[0] = hours(slot + perDay)
	last := len(c) - 1
	if c[last] = hours(slot - kept); c[last] == c[0] {
		return clock{}
	}
	for d := 1; d < last; d++ {
		c[d] = hours(slot - int64(d-1)*perDay)
	}
	return c
}

// shift is by how many slots a pattern lay later so many slots before a slot that is h hours ahead.
func (c *clock) shift(h int, back int64) int64 {
	then := max(0, min((back-int64(h))/perDay+1, int64(len(c)-1)))
	ahead := 1
	if h >= perDay/2 {
		ahead = 0
	}
	return c[ahead] - c[then]
}

// at is the peak of a slot; 0 where it was not measured or is kept no longer.
func (s *slots) at(slot int64) uint8 {
	if now := int64(s.now); slot > now || slot <= now-kept || slot < 0 {
		return 0
	}
	return s.peak[slot%kept]
}

// run is the peaks of the slots from one that is kept to another, as far as they lie side by side.
func (s *slots) run(from, to int64) []uint8 {
	i := from % kept
	return s.peak[i:max(i, min(kept, i+min(to, int64(s.now))-from+1))]
}

// advance makes slot the newest one. What is between was not measured.
func (s *slots) advance(slot int64) {
	for n := max(int64(s.now)+1, slot-kept+1); n <= slot; n++ {
		s.peak[n%kept] = 0
	}
	s.now = max(s.now, int32(slot))
}

// raise counts a level into a slot that is kept.
func (s *slots) raise(slot int64, level uint8) {
	if now := int64(s.now); slot > now-kept && slot <= now {
		s.peak[slot%kept] = max(s.peak[slot%kept], level)
	}
}
