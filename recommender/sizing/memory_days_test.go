package sizing

import (
	"math"
	"slices"
	"testing"
)

// twinDays keeps every peak: the naive twin of memoryDays.
type twinDays []memoryLn

func (d twinDays) daily() []memoryLn {
	last := slices.Clone(d[max(0, len(d)-memoryRecentDays):])
	slices.Reverse(last)
	return last
}

// weeks are the peaks of whole weeks that left the last 28 days, newest first, and the one that fills.
func (d twinDays) weeks() (weeks []memoryLn, filling memoryLn, filled int) {
	old := d[:max(0, len(d)-memoryRecentDays)]
	for len(old) >= 7 {
		weeks = append(weeks, slices.Max(old[:7]))
		old = old[7:]
	}
	slices.Reverse(weeks)
	if len(old) > 0 {
		filling = slices.Max(old)
	}
	return weeks[:min(len(weeks), memoryOldWeeks)], filling, len(old)
}

func TestMemoryDaysTwin(t *testing.T) {
	var d memoryDays
	var twin twinDays
	dice := memoryDice(7)
	for day := range 400 {
		peak := float32(1e6 * (1 + 1000*dice.unit()))
		d.close(memoryToday{sum: 1, count: 1, peak: peak})
		twin = append(twin, memoryLnOf(float64(peak)))
		weeks, filling, filled := twin.weeks()
		if !slices.Equal(d.daily[:d.n], twin.daily()) || !slices.Equal(d.weekly[:d.weeks], weeks) || d.week != filling || int(d.filled) != filled {
			t.Fatalf("day %d: %v, want days %v, weeks %v and %v of %d days", day, d, twin.daily(), weeks, filling, filled)
		}
	}
}

// The changes of 1, e, 1 and e bytes are 1, 1 and 1; with what ln(peak / mean) = 2 suggests, 0.3, their
// mean over four is 0.825.
func TestMemoryRestless(t *testing.T) {
	d := memoryDays{daily: [memoryRecentDays]memoryLn{1500, 0, 1500, 0}, n: 4} // 1, 0, 1, 0
	if got := d.restless(2); math.Abs(got-0.825) > 1e-6 {
		t.Errorf("%v, want (0.3 + 3) / 4", got)
	}
	if got := (&memoryDays{}).restless(2); math.Abs(got-0.3) > 1e-6 {
		t.Errorf("%v before the first day has ended, want 0.3", got)
	}
}

// Means of 100 and then 200: 100 has halved once in two days, so that after one day it weighs 0.7071:
// (70.71 + 200) / 1.7071 = 158.6. A quarter of a day of 400 on top: (270.71 + 100) / 1.9571 = 189.4.
func TestMemoryUsual(t *testing.T) {
	var d memoryDays
	for _, mean := range []float64{100, 200} {
		d.close(memoryToday{sum: 3 * mean, count: 3, peak: 500})
	}
	if got := d.usual(memoryToday{}, 0); math.Abs(got-158.58) > 0.01 {
		t.Errorf("%.3f, want 158.58", got)
	}
	if got := d.usual(memoryToday{sum: 400, count: 1}, 0.25); math.Abs(got-189.42) > 0.01 {
		t.Errorf("%.3f, want 189.42", got)
	}
}

// A peak is kept as the next step of its logarithm, and one that was read back stays the same.
func TestMemoryLn(t *testing.T) {
	if got := memoryLnOf(math.E); got != 1500 {
		t.Errorf("ln e is %d steps, want 1500", got)
	}
	for bytes := 1.; bytes < memoryMost; bytes *= 1.37 {
		kept := memoryLnOf(bytes)
		if up := math.Exp(kept.ln())/bytes - 1; up < -1e-5 || up > 0.00067 {
			t.Fatalf("%g is kept as %+g of it more", bytes, up)
		}
		if back := memoryLnUp(float64(float32(kept.ln()))); back != kept {
			t.Fatalf("%d is read back as %d", kept, back)
		}
	}
}
