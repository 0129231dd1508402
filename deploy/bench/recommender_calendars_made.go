package main

import (
	"math"
	"math/rand/v2"
	"time"

	_ "time/tzdata" // a machine without zones gives the same figures

	"trimtab.dev/trimtab/recommender/replay"
)

const (
	calendarWeeks = 6 // the first is for learning
	weekMinutes   = 7 * 1440
	movedFrom     = 3 // weeks after which a peak that moves has moved
	movedBy       = 3 * time.Hour
	holidayWeek   = 3 // whose Wednesday has no peak
)

// calendarZone is where clocks change on the last Sunday of March 2024, at the end of the fifth week.
const calendarZone = "Europe/Berlin"

// calendarStart is a Monday.
func calendarStart() time.Time { return time.Date(2024, 2, 26, 0, 0, 0, 0, time.UTC) }

// calendarLoad is use that is high at some hours, minute by minute.
type calendarLoad struct {
	name, variant string
	low, high     float64 // cores
	peak          func(wall time.Time) bool

	noise   float64        // up to so much more or less in each minute, a share
	jitter  time.Duration  // each day's peak comes up to so much earlier or later
	growth  float64        // a week, a share
	holiday bool           // a Wednesday without a peak
	zone    *time.Location // of the peak's hours; nil: UTC
	gaps    float64        // share of the minutes, in stretches of half an hour on average, in which nothing is measured
	moves   bool           // later by movedBy from movedFrom on
}

// plainCalendars are two hours a day, business hours, and four hours a week.
func plainCalendars() []calendarLoad {
	return []calendarLoad{
		{name: "2 h daily", low: 0.2, high: 2, peak: func(t time.Time) bool { return t.Hour() >= 9 && t.Hour() < 11 }},
		{name: "business hours", low: 0.1, high: 2, peak: func(t time.Time) bool {
			return t.Hour() >= 9 && t.Hour() < 18 && t.Weekday() != time.Saturday && t.Weekday() != time.Sunday
		}},
		{name: "4 h weekly", low: 0.5, high: 6, peak: func(t time.Time) bool {
			return t.Weekday() == time.Wednesday && t.Hour() >= 2 && t.Hour() < 6
		}},
	}
}

// hardCalendars are the plain ones, each with one thing that keeps it from being a table to look up.
func hardCalendars() ([]calendarLoad, error) {
	zone, err := time.LoadLocation(calendarZone)
	if err != nil {
		return nil, err
	}
	variants := []struct {
		name string
		make func(*calendarLoad)
	}{
		{"jitter", func(c *calendarLoad) { c.jitter, c.noise = 30*time.Minute, 0.05 }},
		{"growth", func(c *calendarLoad) { c.growth = 0.05 }},
		{"holiday", func(c *calendarLoad) { c.holiday = true }},
		{"clock change", func(c *calendarLoad) { c.zone = zone }},
		{"gaps", func(c *calendarLoad) { c.gaps = 0.1 }},
		{movedVariant, func(c *calendarLoad) { c.moves = true }},
	}
	var out []calendarLoad
	for _, v := range variants {
		for _, c := range plainCalendars() {
			c.variant = v.name
			v.make(&c)
			out = append(out, c)
		}
	}
	return out, nil
}

const movedVariant = "moved"

// madeCalendar is a calendar's series with what is needed to judge it.
type madeCalendar struct {
	calendarLoad
	series replay.Series
	peaks  []bool // of each sample
	judged int    // the first sample that counts
}

// made writes the load down, the same each time.
func (c calendarLoad) made() madeCalendar {
	r := rand.New(rand.NewPCG(7, 2024))
	out := madeCalendar{calendarLoad: c, series: replay.Series{ID: c.name + " " + c.variant, Unit: replay.Cores, Granted: c.high, Floor: replay.CoresFloor}}
	s, day, late, blind := &out.series, -1, time.Duration(0), 0
	for m := range calendarWeeks * weekMinutes {
		wall := calendarStart().Add(time.Duration(m) * time.Minute).In(c.where())
		if wall.YearDay() != day {
			day, late = wall.YearDay(), time.Duration((r.Float64()*2-1)*float64(c.jitter))
		}
		if blind <= m && r.Float64() < c.gaps/((1-c.gaps)*meanGap) {
			blind = m + 1 + r.IntN(2*meanGap-1)
		}
		peak := c.peakAt(wall.Add(-late), wall, m/weekMinutes)
		used := c.used(peak, m) * (1 + c.noise*(2*r.Float64()-1))
		if m < blind {
			continue
		}
		if m < weekMinutes {
			out.judged++
		}
		s.At, s.Used = append(s.At, calendarStart().Unix()+int64(m)*60), append(s.Used, used)
		out.peaks = append(out.peaks, peak)
	}
	return out
}

// meanGap is the minutes of a gap, on average.
const meanGap = 30

func (c calendarLoad) where() *time.Location {
	if c.zone == nil {
		return time.UTC
	}
	return c.zone
}

// peakAt says whether it is the peak in a week, by the wall clock less the day's jitter and by the wall clock.
func (c calendarLoad) peakAt(shifted, wall time.Time, week int) bool {
	if c.holiday && week == holidayWeek && wall.Weekday() == time.Wednesday {
		return false
	}
	if c.moves && week >= movedFrom {
		shifted = shifted.Add(-movedBy)
	}
	return c.peak(shifted)
}

func (c calendarLoad) used(peak bool, minute int) float64 {
	used := c.low
	if peak {
		used = c.high
	}
	return used * math.Pow(1+c.growth, float64(minute)/weekMinutes)
}
