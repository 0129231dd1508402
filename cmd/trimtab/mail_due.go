package main

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"trimtab.dev/trimtab/optimizer/cost"
)

// catchUp is how late a mail may be: after a longer downtime it would tell of the past as of news.
const catchUp = 72 * time.Hour

// schedule is a Report document's schedule in its time zone.
type schedule struct {
	spec cron.Schedule
	zone *time.Location
}

// fire is one time of a schedule and what its mail tells of: [from, at). From is the time before it, so
// that every hour is in exactly one mail, whatever the schedule says; at most as far back as spend is
// remembered.
type fire struct{ from, at time.Time }

func newSchedule(text, zone string) (schedule, error) {
	if err := checkSchedule(text); err != nil {
		return schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	spec, err := cron.ParseStandard(text)
	if err != nil {
		return schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return schedule{}, fmt.Errorf("time zone %q: %w", zone, err)
	}
	return schedule{spec, loc}, nil
}

// next is the first time after t. Of the two that the clock shows alike when summer time ends it gives
// the first only. A time that the clock skips when summer time begins does not come that day.
func (s schedule) next(t time.Time) time.Time {
	n := s.spec.Next(t.In(s.zone))
	if before := n.Add(-time.Hour); !n.IsZero() && clock(before) == clock(n) && !s.spec.Next(before.Add(-time.Second)).After(before) {
		return s.next(n)
	}
	return n
}

// clock is what a wall clock shows at t.
func clock(t time.Time) string { return t.Format(time.DateTime) }

// last is the newest time in (after, until]; false: there is none.
func (s schedule) last(after, until time.Time) (time.Time, bool) {
	var found time.Time
	for t := s.next(after); !t.IsZero() && !t.After(until); t = s.next(t) {
		found = t
	}
	return found, !found.IsZero()
}

// before is the newest time before at. It looks back twice as far each time, and no further than spend
// is remembered.
func (s schedule) before(at time.Time) time.Time {
	oldest := at.Add(-cost.DiaryRetention)
	for back := time.Hour; back < cost.DiaryRetention; back *= 2 {
		if t, ok := s.last(at.Add(-back), at.Add(-time.Second)); ok {
			return t
		}
	}
	if t, ok := s.last(oldest, at.Add(-time.Second)); ok {
		return t
	}
	return oldest
}

// due is the newest time of the schedule since last, which was the newest one that was dealt with, unless
// it is longer ago than catchUp. Of several that were missed only this one is made up for; its period
// begins at the one before all the same, so the report of what was missed is not told as one.
func (s schedule) due(last, now time.Time) (fire, bool) {
	if oldest := now.Add(-catchUp); last.Before(oldest) {
		last = oldest
	}
	at, ok := s.last(last, now)
	if !ok {
		return fire{}, false
	}
	return fire{s.before(at), at}, true
}
