package reports

import (
	"fmt"
	"math"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Period is [From, To) in the time zone of its report. From and To carry that zone's offsets, so that
// a Report that was JSON once is written with the same clock times.
type Period struct {
	Key   string    `json:"key"` // "2026-W47"; of letters, digits, + and -
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Whole bool      `json:"whole,omitempty"` // a whole ISO week, which Key names
	Zone  string    `json:"timeZone"`        // IANA
}

// PeriodForms is what ParsePeriod takes, for people.
const PeriodForms = "week, last-week, a week such as 2026-W47, day, yesterday, or a time up to now such as 24h or 90m"

// ParsePeriod reads one of PeriodForms, as of now, in the time zone loc. Weeks are ISO weeks, Monday to
// Monday by the clock of loc, so one with a change of summer time has 167 or 169 hours. What has not ended
// ends now.
func ParsePeriod(text string, now time.Time, loc *time.Location) (Period, error) {
	now = now.In(loc)
	day := midnight(now, 0)
	monday := midnight(now, -weekday(now))
	switch text {
	case "week":
		return Between(monday, now, loc), nil
	case "last-week":
		return Between(midnight(monday, -7), monday, loc), nil
	case "day":
		return Between(day, now, loc), nil
	case "yesterday":
		return Between(midnight(day, -1), day, loc), nil
	}
	if year, week, ok := isoWeek(text); ok {
		return weekOf(year, week, now, loc)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return Period{}, fmt.Errorf("period %q: write %s", text, PeriodForms)
	}
	if d < time.Second || d > cost.DiaryRetention {
		return Period{}, fmt.Errorf("period %s: give between 1s and %s, which is as long as spend is remembered", text, days(cost.DiaryRetention))
	}
	return Between(now.Add(-d), now, loc), nil
}

// Between is the period [from, to) in the time zone loc, to the second.
func Between(from, to time.Time, loc *time.Location) Period {
	from, to = from.In(loc).Truncate(time.Second), to.In(loc).Truncate(time.Second)
	p := Period{From: from, To: to, Zone: loc.String()}
	if year, week := from.ISOWeek(); from.Equal(mondayOf(year, week, loc)) && to.Equal(midnight(from, 7)) {
		p.Whole, p.Key = true, fmt.Sprintf("%d-W%02d", year, week)
		return p
	}
	const compact = "20060102T150405Z"
	p.Key = from.UTC().Format(compact) + "-" + to.UTC().Format(compact)
	return p
}

// Before is the period that p is compared with: of a week, or what has passed of one, the same part of
// the week before; of whole days by the clock as many days just before; otherwise the same length just
// before.
func (p Period) Before() Period {
	loc := p.location()
	from, to := p.From.In(loc), p.To.In(loc)
	if weekday(from) == 0 && from.Equal(midnight(from, 0)) && to.After(midnight(from, 1)) && !to.After(midnight(from, 7)) {
		return Between(earlier(from, 7), earlier(to, 7), loc)
	}
	if n := wholeDays(from, to); n > 0 {
		return Between(earlier(from, n), from, loc)
	}
	return Between(from.Add(-to.Sub(from)), from, loc)
}

// location is the zone of From, which knows its rules until the period is made of JSON.
func (p Period) location() *time.Location { return p.From.Location() }

// Words names the period in a subject line: "week 47 of 2026", "16 Nov to 18 Nov 2026, 14:30".
func (p Period) Words() string {
	if p.Whole {
		year, week := p.From.ISOWeek()
		return fmt.Sprintf("week %d of %d", week, year)
	}
	if p.To.Sub(p.From) < 48*time.Hour && p.From.YearDay() == p.To.YearDay() {
		return p.From.Format("2 Jan 2006, 15:04") + " to " + p.To.Format("15:04")
	}
	return p.From.Format("2 Jan, 15:04") + " to " + p.To.Format("2 Jan 2006, 15:04")
}

// Exact is the period with both of its ends and its zone.
func (p Period) Exact() string {
	const form = "Mon 2006-01-02 15:04"
	return p.From.Format(form) + " to " + p.To.Format(form) + ", " + p.Zone
}

// Length is how long the period is.
func (p Period) Length() time.Duration { return p.To.Sub(p.From) }

func isoWeek(text string) (year, week int, ok bool) {
	n, err := fmt.Sscanf(text, "%4d-W%2d", &year, &week)
	return year, week, err == nil && n == 2 && text == fmt.Sprintf("%04d-W%02d", year, week)
}

func weekOf(year, week int, now time.Time, loc *time.Location) (Period, error) {
	from := mondayOf(year, week, loc)
	if y, w := from.ISOWeek(); y != year || w != week {
		return Period{}, fmt.Errorf("period %d-W%02d: the year has no such week", year, week)
	}
	if !from.Before(now) {
		return Period{}, fmt.Errorf("period %d-W%02d: it has not begun; it begins on %s", year, week, from.Format("Mon 2006-01-02 15:04"))
	}
	to := midnight(from, 7)
	if to.After(now) {
		to = now
	}
	return Between(from, to, loc), nil
}

// mondayOf is where an ISO week begins: the week that has 4 January is the first.
func mondayOf(year, week int, loc *time.Location) time.Time {
	fourth := time.Date(year, time.January, 4, 0, 0, 0, 0, loc)
	return midnight(fourth, (week-1)*7-weekday(fourth))
}

// weekday counts from Monday, 0.
func weekday(t time.Time) int { return (int(t.Weekday()) + 6) % 7 }

// midnight begins the day that is so many days after t's, by the clock of t's zone.
func midnight(t time.Time, days int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+days, 0, 0, 0, 0, t.Location())
}

func earlier(t time.Time, days int) time.Time { return t.AddDate(0, 0, -days) }

// wholeDays is how many days lie between two moments of the same clock time; 0: it is not the same.
func wholeDays(from, to time.Time) int {
	n := int(math.Round(to.Sub(from).Hours() / 24))
	if n > 0 && from.AddDate(0, 0, n).Equal(to) {
		return n
	}
	return 0
}

// days is a duration for people in its largest whole unit: "35 days", "90 minutes", "1 hour".
func days(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d >= u.unit && d%u.unit == 0 {
			return fleet.Count(int(d/u.unit), u.name)
		}
	}
	return strings.TrimSuffix(d.String(), "0s")
}
