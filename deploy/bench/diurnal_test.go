package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

var midnight = time.Unix(86400, 0).UTC()

func second(n float64) time.Time { return midnight.Add(time.Duration(n * float64(time.Second))) }

// TestRises: peaks are from 8 to 14.
func TestRises(t *testing.T) {
	for _, tt := range []struct {
		name        string
		from, until int
		want        [][2]int // hours since from
	}{
		{"two days", 0, 48, [][2]int{{8, 14}, {32, 38}}},
		{"from the evening on", 20, 44, [][2]int{{12, 18}}},
		{"the last peak is cut off", 0, 36, [][2]int{{8, 14}, {32, 36}}},
		{"none begins within", 8, 32, nil},
	} {
		got := rises(midnight, 15*time.Second, tt.from, tt.until)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, got)
			continue
		}
		for i, w := range tt.want {
			if got[i].at != second(float64(15*w[0])) || got[i].until != second(float64(15*w[1])) {
				t.Errorf("%s: rise %d from %s until %s", tt.name, i, got[i].at, got[i].until)
			}
		}
	}
}

// TestAhead: 50m, from 30 s on 300m asked for and from 32 s on in force, from 80 s on 50m again.
func TestAhead(t *testing.T) {
	var s looks
	for n := range 100 {
		l := glance{at: second(float64(n)), asked: 50, inForce: 50, used: -1}
		if n >= 30 && n < 80 {
			l.asked = 300
		}
		if n >= 32 && n < 80 {
			l.inForce = 300
		}
		s = append(s, l)
	}
	for _, tt := range []struct {
		name             string
		since, at, until float64
		need             int64
		want             string
	}{
		{"in force 8 s before", 0, 40, 60, 250, "raised 8.0 s before"},
		{"the last look counts", 0, 40.9, 60, 250, "raised 8.9 s before"},
		{"asked for, but not yet in force", 0, 31, 60, 250, "raised 1.0 s after"},
		{"too late", 0, 20, 60, 250, "raised 12.0 s after"},
		{"not in time for the end of the peak", 0, 20, 30, 250, "never raised so far"},
		{"not so far", 0, 40, 60, 301, "never raised so far"},
		{"enough all along", 0, 40, 60, 50, "held since before the last fall"},
		{"since the peak before", 33, 70, 75, 250, "held since before the last fall"},
		{"gone again", 0, 85, 90, 250, "never raised so far"},
		{"nothing was seen so early", -20, -10, -5, 50, "never raised so far"},
	} {
		r := reached{need: tt.need}
		r.by, r.raised, r.kept = s.ahead(second(tt.since), second(tt.at), second(tt.until), tt.need)
		if r.String() != tt.want || r.ahead() != strings.HasSuffix(tt.want, "before") {
			t.Errorf("%s: %s, not %s", tt.name, r, tt.want)
		}
	}
}

// TestLooks: 1 core from 0 s, 2 from 10 s; used 0, 5 and 25 CPU seconds at 0, 10 and 20 s.
func TestLooks(t *testing.T) {
	s := looks{{second(0), 1000, 1000, 0}, {second(5), 1000, 1000, -1}, {second(10), 2000, 1000, 5}, {second(20), 2000, 2000, 25}}
	if got := 3600 * s.coreHours(second(0), second(20)); math.Abs(got-30) > 1e-9 {
		t.Errorf("%g core seconds, not 10 x 1 + 10 x 2", got)
	}
	if got := 3600 * s.coreHours(second(5), second(30)); math.Abs(got-45) > 1e-9 {
		t.Errorf("%g core seconds, not 5 x 1 + 20 x 2", got)
	}
	if got, ok := s.cores(second(0), second(20)); !ok || math.Abs(got-1.25) > 1e-9 {
		t.Errorf("%g cores, not 25 s in 20 s", got)
	}
	if _, ok := s.cores(second(11), second(20)); ok {
		t.Error("one look at the use gives a mean")
	}
	if s.resizes(second(0), second(20)) != 1 || s.resizes(second(11), second(20)) != 0 || s.resizes(second(0), second(10)) != 0 {
		t.Error("resizes are miscounted")
	}
}

// TestReachedOf: hours of 10 s from 2 to 14; a pod that uses 0.2 cores was given 250m 3 s before hour 8.
func TestReachedOf(t *testing.T) {
	var s looks
	for n := range 120 {
		l := glance{at: second(float64(n)), asked: 100, used: 0.2 * float64(n)}
		if n >= 57 {
			l.asked = 250
		}
		l.inForce = l.asked
		s = append(s, l)
	}
	got := reachedOf(passed{begun: midnight, from: 2, until: 14, hour: 10 * time.Second}, s)
	if len(got) != 1 || got[0].need != 200 || got[0].String() != "raised 3.0 s before" {
		t.Errorf("%v", got)
	}
}

func TestTraceOf(t *testing.T) {
	want := "t,req_per_s\n0,6\n2.5,6\n12.5,120\n22.5,120\n"
	if got := traceOf(10*time.Second, 2500*time.Millisecond, 7, 10); got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestHourAfter(t *testing.T) {
	for at, want := range map[float64]float64{0: 0, 0.5: 15, 14.9: 15, 15: 15, 15.1: 30} { // midnight is a whole hour
		if got := hourAfter(second(at), 15*time.Second); !got.Equal(second(want)) {
			t.Errorf("after %g s comes %s", at, got)
		}
	}
}

// TestHoursUntil: hour 36 begins 540 s after midnight.
func TestHoursUntil(t *testing.T) {
	for at, want := range map[float64]int{0: 0, 1: 1, 540: 36, 540.1: 37, 556: 38} {
		if got := hoursUntil(midnight, second(at), 15*time.Second); got != want {
			t.Errorf("%g s after midnight hour %d is next, not %d", at, got, want)
		}
	}
}

func TestWithFlags(t *testing.T) {
	text := "          args:\n            - run\n            - --enforce\n            - \"--resolution=10s\"\n          env:\n"
	want := "          args:\n            - run\n            - \"--hour=15s\"\n            - \"--resolution=5s\"\n            - --enforce\n          env:\n"
	if got := withFlags(text, []string{"--resolution=5s", "--hour=15s"}); got != want {
		t.Errorf("%s", got)
	}
	if withFlags(text, nil) != text {
		t.Error("without flags it is changed")
	}
}
