package main

import (
	"testing"
	"time"
)

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestDue: 2026-11-16 and -23 are Mondays. Berlin is at +02:00 until 2026-10-25 03:00 and +01:00 after, and again at
// +02:00 from 2027-03-28 02:00 (clocks go from 02:00 to 03:00 then).
func TestDue(t *testing.T) {
	const weekly, berlin = "0 9 * * 1", "Europe/Berlin"
	for _, c := range []struct {
		name, spec, zone, last, now string
		from, at                    string // at empty: nothing is due
	}{
		{"before its time", weekly, berlin, "2026-11-16T08:00:00Z", "2026-11-23T07:59:59Z", "", ""},
		{"at its time", weekly, berlin, "2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z", "2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z"},
		{"not again", weekly, berlin, "2026-11-23T08:00:00Z", "2026-11-23T08:00:01Z", "", ""},
		{"three days late", weekly, berlin, "2026-11-16T08:00:00Z", "2026-11-26T07:59:00Z", "2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z"},
		{"too late", weekly, berlin, "2026-11-16T08:00:00Z", "2026-11-26T08:00:01Z", "", ""},
		{"weeks of downtime, the latest only", weekly, berlin, "2026-10-01T00:00:00Z", "2026-11-24T00:00:00Z", "2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z"},
		{"days of downtime, the latest only", "0 9 * * *", "UTC", "2026-11-20T09:00:00Z", "2026-11-23T12:00:00Z", "2026-11-22T09:00:00Z", "2026-11-23T09:00:00Z"},
		{"a week with an hour more", weekly, berlin, "2026-10-19T07:00:00Z", "2026-10-26T08:00:00Z", "2026-10-19T07:00:00Z", "2026-10-26T08:00:00Z"}, // 169 h
		{"a week with an hour less", weekly, berlin, "2027-03-22T08:00:00Z", "2027-03-29T07:00:00Z", "2027-03-22T08:00:00Z", "2027-03-29T07:00:00Z"}, // 167 h
		{"02:30 comes twice and is mailed once", "30 2 * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", "", ""},
		{"02:30 after the night it came twice", "30 2 * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"02:30 does not come: the next day tells of both", "30 2 * * *", berlin, "2027-03-27T01:30:00Z", "2027-03-29T00:30:00Z", "2027-03-27T01:30:00Z", "2027-03-29T00:30:00Z"},
		{"nor by the hour", "30 * * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-25T02:29:59Z", "", ""},
		{"its second hour is in the next one", "30 * * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"},
		{"every two minutes", "*/2 * * * *", "UTC", "2026-11-23T08:00:00Z", "2026-11-23T08:05:00Z", "2026-11-23T08:02:00Z", "2026-11-23T08:04:00Z"},
		{"the first of the month", "0 0 1 * *", "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:10Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		{"once a year: no further back than spend is known", "0 0 1 1 *", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-11-27T00:00:00Z", "2027-01-01T00:00:00Z"},
	} {
		s, err := newSchedule(c.spec, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := s.due(instant(t, c.last), instant(t, c.now))
		if !ok && c.at == "" {
			continue
		}
		if ok != (c.at != "") {
			t.Errorf("%s: due %v at %s", c.name, ok, f.at.UTC())
			continue
		}
		if !f.at.Equal(instant(t, c.at)) || !f.from.Equal(instant(t, c.from)) {
			t.Errorf("%s: [%s, %s), want [%s, %s)", c.name, f.from.UTC().Format(time.RFC3339), f.at.UTC().Format(time.RFC3339), c.from, c.at)
		}
	}
}

// TestEveryTimeIsDueOnce: looking every 7 minutes through both changes of summer time, the periods of a
// schedule follow each other without a hole or an overlap.
func TestEveryTimeIsDueOnce(t *testing.T) {
	for _, spec := range []string{"0 9 * * 1", "30 2 * * *", "15 */6 * * *", "0 0 * * *"} {
		s, err := newSchedule(spec, "Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		for _, start := range []string{"2026-10-20T00:00:00Z", "2027-03-20T00:00:00Z"} {
			last, end := instant(t, start), time.Time{}
			for now := last; now.Before(instant(t, start).AddDate(0, 0, 15)); now = now.Add(7 * time.Minute) {
				f, ok := s.due(last, now)
				if !ok {
					continue
				}
				if !end.IsZero() && !f.from.Equal(end) {
					t.Errorf("%s: the mail of %s begins at %s, the one before ended at %s", spec, f.at, f.from, end)
				}
				last, end = f.at, f.at
			}
			if end.IsZero() {
				t.Errorf("%s: nothing was ever due", spec)
			}
		}
	}
}

func TestBadSchedules(t *testing.T) {
	for _, c := range [][2]string{{"0 9 * *", "UTC"}, {"0 0 30 2 *", "UTC"}, {"TZ=0", "UTC"}, {"CRON_TZ=UTC", "UTC"}, {"0 9 * * 1", "Mars/Olympus"}} {
		if _, err := newSchedule(c[0], c[1]); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
}
