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

// slots are the peaks of the last four weeks, by hour: those of the day of the newest slot as they are, those of the
// days before packed.
type slots struct {
	before packed        // 28 days
	today  [perDay]uint8 // level by hour; 0: not measured
	now    int32         // the newest slot
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

// midnight is the first slot of today.
func (s *slots) midnight() int64 { return int64(s.now) / perDay * perDay }

// advance makes slot the newest one. What is between was not measured.
func (s *slots) advance(slot int64) {
	if slot <= int64(s.now) {
		return
	}
	if passed := slot/perDay*perDay - s.midnight(); passed > 0 {
		s.turn(passed)
	}
	s.now = int32(slot)
}

// turn packs today, with which so many slots of whole days have passed, and forgets as many.
func (s *slots) turn(passed int64) {
	var all [kept + perDay]uint8
	s.before.unpack((*[kept]uint8)(all[:]))
	copy(all[kept:], s.today[:])
	var left [kept]uint8
	copy(left[:], all[min(passed, kept+perDay):])
	s.before, s.today = pack(&left), [perDay]uint8{}
}

// raise counts a level into a slot that is kept.
func (s *slots) raise(slot int64, level uint8) {
	midnight := s.midnight()
	switch {
	case slot > int64(s.now) || slot <= int64(s.now)-kept:
	case slot >= midnight:
		s.today[slot-midnight] = max(s.today[slot-midnight], level)
	default: // time does not go back: of a checkpoint alone
		var before [kept]uint8
		s.before.unpack(&before)
		before[slot-midnight+kept] = max(before[slot-midnight+kept], level)
		s.before = pack(&before)
	}
}

// appendRing appends all levels, each at the place of its slot modulo kept.
func (s *slots) appendRing(b []byte) []byte {
	var room unpacked
	h, begin := hours{s, &room}, len(b)
	b = append(b, make([]byte, kept)...)
	for slot := max(int64(s.now)-kept+1, 0); slot <= int64(s.now); slot++ {
		b[begin:][slot%kept] = h.at(slot)
	}
	return b
}

// slotsOf is what appendRing has written, with the newest slot.
func slotsOf(ring []byte, now int64) slots {
	s := slots{now: int32(now)}
	var before [kept]uint8
	for slot := max(now-kept+1, 0); slot <= now; slot++ {
		if i := slot - s.midnight(); i >= 0 {
			s.today[i] = ring[slot%kept]
		} else {
			before[i+kept] = ring[slot%kept]
		}
	}
	s.before = pack(&before)
	return s
}

// hours are slots as they are looked at: unpacked where that was asked for.
type hours struct {
	of   *slots
	room *unpacked
}

// unpacked is the room in which days are unpacked, one container's at a time.
type unpacked struct {
	level [kept]uint8
	of    packed
}

// earlier is the levels of the days before today.
func (h hours) earlier() *[kept]uint8 {
	if h.room.of != h.of.before {
		h.room.of = h.of.before
		h.of.before.unpack(&h.room.level)
	}
	return &h.room.level
}

// at is the peak of a slot; 0 where it was not measured or is kept no longer.
func (h hours) at(slot int64) uint8 {
	now, midnight := int64(h.of.now), h.of.midnight()
	switch {
	case slot > now || slot <= now-kept || slot < 0:
		return 0
	case slot >= midnight:
		return h.of.today[slot-midnight]
	}
	return h.earlier()[slot-midnight+kept]
}

// run is the peaks of the slots from one that is kept to another, as far as they lie side by side.
func (h hours) run(from, to int64) []uint8 {
	part, first := h.of.today[:], h.of.midnight()
	if from < first {
		part, first = h.earlier()[:], first-kept
	}
	begin := min(from-first, int64(len(part)))
	return part[begin:max(begin, min(int64(len(part)), min(to, int64(h.of.now))-first+1))]
}
