package capacity

import (
	"cmp"
	"math"
	"strconv"
	"time"
)

// Calendar remembers the busiest minute of every hour of the week, in UTC, and the long-run mean. It is a
// value: what is noted makes a new one.
type Calendar struct {
	At    time.Time `json:"at"`    // of the last note
	Now   float64   `json:"now"`   // requests a second in the busiest minute of the hour of At
	Hours []float64 `json:"hours"` // in those of the hours before, from Monday 00:00 on; 0: never seen
	Mean  float64   `json:"mean"`  // requests a second
	Over  float64   `json:"over"`  // seconds that Mean is of, a week at most
}

const week = 168 // hours

// hourOf is the hour of the week, 0 for Monday 00:00 to 00:59.
func hourOf(at time.Time) int {
	at = at.UTC()
	return (int(at.Weekday())+6)%7*24 + at.Hour()
}

// Note is the calendar after a rate was seen. Once an hour is over its record is the busiest minute of it,
// or half of the record of a week before where that is more: a peak that does not come back is forgotten
// by and by. Hours that nobody looked at stay as they are.
//
//	Mondays at 9    noted    recorded
//	first           100      100
//	second          40       50, half of 100
//	third           60       60
func (c Calendar) Note(at time.Time, rate float64) Calendar {
	if !(rate >= 0) || math.IsInf(rate, 0) || at.Before(c.At) {
		return c
	}
	if gap := at.Sub(c.At).Seconds(); !c.At.IsZero() && gap <= time.Hour.Seconds() {
		c.Over = min(c.Over+gap, week*3600)
		if c.Over > 0 {
			c.Mean += (rate - c.Mean) * gap / c.Over
		}
	}
	if c.At.IsZero() || !at.Truncate(time.Hour).Equal(c.At.Truncate(time.Hour)) {
		c = c.turned()
	}
	c.At, c.Now = at, max(c.Now, rounded(rate))
	return c
}

// turned is c once its hour is over.
func (c Calendar) turned() Calendar {
	if c.At.IsZero() {
		c.Mean = 0
		return c
	}
	hours := make([]float64, week)
	copy(hours, c.Hours)
	h := hourOf(c.At)
	hours[h] = max(c.Now, rounded(hours[h]/2))
	c.Hours, c.Now = hours, 0
	return c
}

// Coming is the busiest rate of the last minutes, or that this hour and the 23 after it had a week before,
// or a day before where nobody looked a week before; 0: nothing is known.
func (c Calendar) Coming(at time.Time) float64 {
	most := 0.0
	if at.Sub(c.At) < time.Hour {
		most = c.Now
	}
	if len(c.Hours) != week {
		return most
	}
	for i := range 24 {
		h := hourOf(at) + i
		most = max(most, cmp.Or(c.Hours[h%week], c.Hours[(h+week-24)%week]))
	}
	return most
}

// rounded is v with three digits that count, so that a calendar stays small.
func rounded(v float64) float64 {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return v
}
