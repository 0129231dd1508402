package reports

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tables, on any machine
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestParsePeriod: 2026-11-21 is a Saturday of ISO week 47. Berlin is an hour ahead of UTC in winter and
// two in summer; its clocks changed on Sunday 2026-03-29 (week 13: 167 hours) and 2026-10-25 (week 43: 169).
func TestParsePeriod(t *testing.T) {
	for _, c := range []struct {
		text, zone, now  string
		from, to, before string // before: where the period of comparison begins
		hours            float64
		key              string
	}{
		{"week", "UTC", "2026-11-21T08:30:00Z", "2026-11-16T00:00:00Z", "2026-11-21T08:30:00Z", "2026-11-09T00:00:00Z", 128.5, "20261116T000000Z-20261121T083000Z"},
		{"last-week", "UTC", "2026-11-21T08:30:00Z", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-02T00:00:00Z", 168, "2026-W46"},
		{"2026-W47", "UTC", "2026-11-21T08:30:00Z", "2026-11-16T00:00:00Z", "2026-11-21T08:30:00Z", "2026-11-09T00:00:00Z", 128.5, "20261116T000000Z-20261121T083000Z"},
		{"2026-W47", "UTC", "2026-12-21T08:30:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-09T00:00:00Z", 168, "2026-W47"},
		{"2026-W43", "Europe/Berlin", "2026-11-21T08:30:00Z", "2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "2026-10-12T00:00:00+02:00", 169, "2026-W43"},
		{"2026-W13", "Europe/Berlin", "2026-11-21T08:30:00Z", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00", "2026-03-16T00:00:00+01:00", 167, "2026-W13"},
		{"2026-W14", "Europe/Berlin", "2026-11-21T08:30:00Z", "2026-03-30T00:00:00+02:00", "2026-04-06T00:00:00+02:00", "2026-03-23T00:00:00+01:00", 168, "2026-W14"},
		{"2020-W53", "UTC", "2026-11-21T08:30:00Z", "2020-12-28T00:00:00Z", "2021-01-04T00:00:00Z", "2020-12-21T00:00:00Z", 168, "2020-W53"},
		{"day", "Europe/Berlin", "2026-11-21T23:30:00Z", "2026-11-22T00:00:00+01:00", "2026-11-22T00:30:00+01:00", "2026-11-21T23:30:00+01:00", 0.5, "20261121T230000Z-20261121T233000Z"},
		{"yesterday", "Europe/Berlin", "2026-10-26T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "2026-10-24T00:00:00+02:00", 25, "20261024T220000Z-20261025T230000Z"},
		{"24h", "UTC", "2026-11-21T08:30:00Z", "2026-11-20T08:30:00Z", "2026-11-21T08:30:00Z", "2026-11-19T08:30:00Z", 24, "20261120T083000Z-20261121T083000Z"},
		{"90m", "Asia/Kolkata", "2026-11-21T08:30:00Z", "2026-11-21T12:30:00+05:30", "2026-11-21T14:00:00+05:30", "2026-11-21T11:00:00+05:30", 1.5, "20261121T070000Z-20261121T083000Z"},
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		p, err := ParsePeriod(c.text, now, zone(t, c.zone))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		from, to, before := p.From.Format(time.RFC3339), p.To.Format(time.RFC3339), p.Before().From.Format(time.RFC3339)
		if from != c.from || to != c.to || before != c.before || p.Length().Hours() != c.hours || p.Key != c.key {
			t.Errorf("%s in %s at %s:\ngot  %s %s before %s, %vh, %s\nwant %s %s before %s, %vh, %s",
				c.text, c.zone, c.now, from, to, before, p.Length().Hours(), p.Key, c.from, c.to, c.before, c.hours, c.key)
		}
	}
}

func TestParsePeriodRefuses(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"":          "write week, last-week",
		"month":     "write week, last-week",
		"2026-W48":  "has not begun; it begins on Mon 2026-11-23",
		"2025-W53":  "the year has no such week",
		"2026-W00":  "the year has no such week",
		"2026-w47":  "write week",
		"2026-W4":   "write week",
		"2026-W470": "write week",
		"-3h":       "give between",
		"0s":        "give between",
		"1000h":     "give between 1s and 35 days",
	} {
		if _, err := ParsePeriod(text, now, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzParsePeriod: nothing panics, and what is taken is a period that has begun, with one before it
// that ends no later than it begins or is the same part of the week before.
func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"week", "last-week", "day", "yesterday", "24h", "2026-W47", "0001-W01", "9999-W99"} {
		f.Add(s, int64(1_795_000_000))
	}
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, sec int64) {
		now := time.Unix(sec%(1<<33), 0)
		p, err := ParsePeriod(text, now, loc)
		if err != nil {
			return
		}
		if p.To.Before(p.From) || p.To.After(now) || p.Key == "" {
			t.Fatalf("%q at %s: %+v", text, now, p)
		}
		b := p.Before()
		if diff := b.Length() - p.Length(); b.To.After(p.From) || diff > 2*time.Hour || diff < -2*time.Hour {
			t.Fatalf("%q at %s: before %s is %s", text, now, p.Exact(), b.Exact())
		}
	})
}
