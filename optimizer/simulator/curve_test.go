package simulator

import (
	"math"
	"testing"
	"time"
)

// monday is the start of every test fleet.
func monday(hour float64) time.Time {
	return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hour * float64(time.Hour)))
}

func TestLevel(t *testing.T) {
	day := curve{base: 10, peak: 30, from: 8, to: 16, weekend: 0.5}
	night := curve{base: 1, peak: 5, from: 22, to: 26, weekend: 1}
	grows := curve{base: 10, peak: 10, weekend: 1, growth: 0.1}
	for _, c := range []struct {
		name string
		c    curve
		at   float64 // hours after Monday 00:00
		want float64
	}{
		{"before", day, 6, 10},
		{"half up", day, 9, 20}, // the first quarter is 8 to 10
		{"up", day, 10, 30},
		{"up still", day, 14, 30},
		{"half down", day, 15, 20},
		{"after", day, 16, 10},
		{"Saturday", day, 5*24 + 12, 15},
		{"Sunday night", day, 6*24 + 3, 5},
		{"over midnight", night, 24, 5},
		{"over midnight half down", night, 25.5, 3}, // the last quarter is 01:00 to 02:00
		{"past it", night, 26, 1},
		{"three weeks on", grows, 21 * 24, 13},
		{"nothing", curve{}, 12, 0},
	} {
		if got := c.c.level(monday(c.at), monday(0)); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}

// The mean of a day of any peak is what the shape's area says: its middle half and half of its shoulders.
func TestShapeHasItsArea(t *testing.T) {
	for _, hours := range [][2]float64{{8, 16}, {17, 19}, {22, 26}, {0, 24}, {6.5, 9}} {
		c, sum := curve{from: hours[0], to: hours[1]}, 0.0
		for at := 0.0; at < 24; at += 1.0 / 60 {
			sum += c.shape(monday(at)) / 60
		}
		if want := (hours[1] - hours[0]) * 0.75; math.Abs(sum-want) > 0.02 {
			t.Errorf("hours %v: area %g, want %g", hours, sum, want)
		}
	}
}

func TestDice(t *testing.T) {
	const n = 100_000
	d := dice(7).of("a")
	var sum, squares, uniform float64
	bursts := 0
	burst := curve{base: 1, peak: 1, weekend: 1, bursts: 0.01, times: 4}
	for i := range n {
		at := monday(float64(i))
		v := d.normal(at, 1)
		sum, squares, uniform = sum+v, squares+v*v, uniform+d.uniform(at, 2)
		if math.Abs(v) > 3.47 {
			t.Fatalf("normal gave %g", v)
		}
		if burst.value(at, at, d) == 4 {
			bursts++
		}
	}
	if m, sd, u := sum/n, math.Sqrt(squares/n), uniform/n; math.Abs(m) > 0.02 || math.Abs(sd-1) > 0.02 || math.Abs(u-0.5) > 0.01 {
		t.Errorf("mean %g, deviation %g, uniform mean %g", m, sd, u)
	}
	if bursts < n/100*8/10 || bursts > n/100*12/10 {
		t.Errorf("%d bursts in %d windows, want about %d", bursts, n, n/100)
	}
	if d == dice(7).of("b") || d == dice(8).of("a") || d.roll(monday(1), 1) == d.roll(monday(1), 2) || d.roll(monday(1), 1) == d.roll(monday(2), 1) {
		t.Error("two dice, salts or times give the same")
	}
}
