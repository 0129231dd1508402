package scaling

import (
	"math"
	"testing"
	"time"
)

func TestEncodeRoot(t *testing.T) {
	for _, c := range []struct {
		root float64
		code uint16
	}{{0, 1}, {1, 32768}, {2, 33792}, {4, 34816}, {.5, 31744}, {1e-30, 1}, {1e30, 65535}} {
		if got := encodeRoot(c.root); got != c.code {
			t.Errorf("root %v: code %d, want %d", c.root, got, c.code)
		}
	}
	if _, ok := decodeRoot(0); ok {
		t.Error("code 0 is not 'never seen'")
	}
	for v := 1e-6; v < 1e8; v *= 1.37 {
		if got, _ := decodeRoot(encodeRoot(v)); math.Abs(got/v-1) > .0004 {
			t.Errorf("root %v comes back as %v", v, got)
		}
	}
}

// 1970-01-04 was a Sunday: day 3 after the epoch.
const sunday = 3 * 24 * 3600

func TestHourOfWeek(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal("no zone data:", err)
	}
	kolkata := time.FixedZone("IST", 5*3600+1800)
	spring := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC).Unix() // Sunday, 03:00 where it would be 02:00
	for _, c := range []struct {
		name  string
		at    int64
		zone  *time.Location
		hour  int
		share float64
	}{
		{"sunday midnight", sunday, time.UTC, 0, 0},
		{"sunday 01:30", sunday + 5400, time.UTC, 1, .5},
		{"saturday 23:45", sunday - 900, time.UTC, 167, .75},
		{"half-hour zone", sunday, kolkata, 5, .5},
		{"summer time begins", spring, berlin, 3, 0},
	} {
		if h, s := hourOfWeek(c.at, c.zone); h != c.hour || s != c.share {
			t.Errorf("%s: hour %d and %v, want %d and %v", c.name, h, s, c.hour, c.share)
		}
	}
}

func TestCalendarByHand(t *testing.T) {
	var c calendar
	fill := func(hour int, roots ...float64) {
		for _, r := range roots {
			c.add(hour, r)
		}
	}
	fill(0, 1, 3) // mean 2
	fill(1, 8)
	fill(24, 4, 4) // the next day's hour 0: 4
	fill(25, 1)
	if v, ok := c.week(0); !ok || math.Abs(v-2) > 1e-3 {
		t.Errorf("hour 0 holds %v %v, want 2", v, ok)
	}
	// hour 48: the day before 4 with weight 1, two days before 2 with weight 0.6: (4 + 1.2) / 1.6
	if v, _ := c.day(48); math.Abs(v-3.25) > 3e-3 {
		t.Errorf("day before 48: %v, want 3.25", v)
	}
	fill(0, 7) // a week later: .6 * 2 + .4 * 7
	fill(1, 8)
	if v, _ := c.week(0); math.Abs(v-4) > 5e-3 {
		t.Errorf("hour 0 after a second week: %v, want 4", v)
	}
	if _, ok := c.week(100); ok {
		t.Error("an hour that was never seen has a value")
	}
}

func TestCalendarIsALineBetweenMiddles(t *testing.T) {
	var c calendar
	c.Hours[0], c.Hours[1] = encodeRoot(2), encodeRoot(4)
	for _, x := range []struct {
		minute int64
		want   float64
	}{{30, 2}, {45, 2.5}, {60, 3}, {75, 3.5}} {
		if v, ok := c.at(Week, sunday+60*x.minute, time.UTC); !ok || math.Abs(v-x.want) > 1e-9 {
			t.Errorf("minute %d: %v %v, want %v", x.minute, v, ok, x.want)
		}
	}
	if _, ok := c.at(Week, sunday+60*91, time.UTC); ok {
		t.Error("beyond the middle of the last hour known there is still a value")
	}
}
