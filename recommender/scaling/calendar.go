package scaling

import (
	"math"
	"time"
)

const (
	hoursOfWeek = 7 * 24
	keepHour    = .6 // of an hour's old value when the next week's is known
	keepDay     = .6 // weight of a day against the day after it
)

// calendar is the mean root rate of every hour of the week. A week weighs 0.6 of the one after it.
type calendar struct {
	Hours [hoursOfWeek]uint16 // as encodeRoot
	Sum   float32             // of the hour that is open
	N     uint16
	Hour  uint16
}

// encodeRoot keeps 1/1024 of a doubling. 0 means never seen, 1 stands for no requests.
//
//	never: 0   0: 1   1: 32768   2: 33792   4: 34816
func encodeRoot(v float64) uint16 {
	return uint16(min(max(math.Round(math.Log2(v)*1024)+32768, 1), math.MaxUint16))
}

func decodeRoot(c uint16) (root float64, ok bool) {
	if c <= 1 {
		return 0, c == 1
	}
	return math.Exp2((float64(c) - 32768) / 1024), true
}

// hourOfWeek is the local hour that at lies in, 0 from Sunday midnight, and the share of it gone.
func hourOfWeek(at int64, zone *time.Location) (hour int, share float64) {
	t := time.Unix(at, 0).In(zone)
	return int(t.Weekday())*24 + t.Hour(), float64(t.Minute()*60+t.Second()) / 3600
}

// add closes the open hour where root is of another.
func (c *calendar) add(hour int, root float64) {
	if c.N > 0 && (int(c.Hour) != hour || c.N == math.MaxUint16) {
		c.close()
	}
	c.Hour = uint16(hour)
	c.Sum += float32(root)
	c.N++
}

func (c *calendar) close() {
	v := float64(c.Sum) / float64(c.N)
	if old, ok := decodeRoot(c.Hours[c.Hour]); ok {
		v = keepHour*old + (1-keepHour)*v
	}
	c.Hours[c.Hour] = encodeRoot(v)
	c.Sum, c.N = 0, 0
}

// week is the root rate of that hour in the weeks before.
func (c *calendar) week(hour int) (float64, bool) { return decodeRoot(c.Hours[hour]) }

// day is the root rate of that hour in the last seven days, the newest weighing most.
func (c *calendar) day(hour int) (float64, bool) {
	sum, all, w := 0., 0., 1.
	for d := 1; d <= 7; d++ {
		if v, ok := decodeRoot(c.Hours[(hour+hoursOfWeek-24*d)%hoursOfWeek]); ok {
			sum += w * v
			all += w
		}
		w *= keepDay
	}
	if all == 0 {
		return 0, false
	}
	return sum / all, true
}

// at is the root rate that the calendar expects at a moment: on a line between the middles of two
// hours, false where one of the two was never seen.
func (c *calendar) at(s Season, at int64, zone *time.Location) (float64, bool) {
	of := c.day
	if s == Week {
		of = c.week
	}
	hour, share := hourOfWeek(at-1800, zone)
	a, ok := of(hour)
	b, too := of((hour + 1) % hoursOfWeek)
	return a + (b-a)*share, ok && too
}
