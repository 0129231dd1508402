package recommender

import (
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// ramp is 1 to n, each for the same time.
func ramp(n int) Distribution {
	var cells []cell
	for i := range n {
		cells = append(cells, cell{float32(i + 1), 1, 0})
	}
	return Distribution{Peak: float64(n), values: histogram(cells)}
}

func TestEstimators(t *testing.T) {
	for _, c := range []struct {
		name string
		e    Estimator
		want float64
	}{
		{"p95 of 1..100", Percentile(0.95), 95},
		{"p50 of 1..100", Percentile(0.5), 50},
		{"p0 of 1..100", Percentile(0), 1},
		{"p100 of 1..100", Percentile(1), 100},
		{"peak of 1..100", Peak(), 100},
		{"and 15 %", WithMargin(0.15, Peak()), 115},
		{"floor above", WithFloor(200, Peak()), 200},
		{"floor below", WithFloor(50, Peak()), 100},
		{"ceiling above", WithCeiling("limit", 200, Peak()), 100},
		{"ceiling below", WithCeiling("limit", 50, Peak()), 50},
		{"ceiling 0 is none", WithCeiling("limit", 0, Peak()), 100},
		{"rounded up", RoundedUp(30, Peak()), 120},
		{"on a step", RoundedUp(25, Peak()), 100},
		{"beside a step by a rounding error", RoundedUp(5, WithMargin(0.15, Peak())), 115}, // 114.99999999999999
	} {
		if got := c.e(ramp(100)).Value; off(got, c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if v := Percentile(0.9)(Distribution{}).Value; v != 0 {
		t.Errorf("nothing measured gives %v", v)
	}
}

// TestRanges: the largest value of a range stands for it, and ranges are 5 % wide.
func TestRanges(t *testing.T) {
	var cells []cell
	for _, v := range [][2]float32{{0.103, 1}, {0.1, 2}, {0.0002, 1}, {0.0009, 1}, {0.12, 4}} {
		cells = append(cells, cellOf(v[0], v[1], floorOf(fleet.CPU)))
	}
	h := newHistogram(cells)
	want := histogram{{0.0009, 2, 0}, {0.103, 3, 95}, {0.12, 4, 99}} // 0.1 and 0.103 are in range 95: 0.0981 to 0.1030
	if len(h) != 3 || h[0] != want[0] || h[1] != want[1] || h[2] != want[2] {
		t.Errorf("got %v, want %v", h, want)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{spell(40 * time.Second), "40s"}, {spell(90 * time.Second), "1m30s"}, {spell(3 * time.Minute), "3m"},
		{spell(2 * time.Hour), "2h"}, {spell(90 * time.Minute), "1h30m"}, {spell(10 * time.Hour), "10h"},
		{spell(10 * time.Minute), "10m"}, {spell(7 * 24 * time.Hour), "7d"}, {spell(49*time.Hour + time.Second), "2d1h"},
		{spell(1500 * time.Millisecond), "1s"}, {spell(0), "0s"},
		{percent(0.028), "2.8 %"}, {percent(0.3), "30 %"}, {percent(0), "0 %"}, {percent(0.0996), "10 %"}, {percent(1.5), "150 %"},
		{"p" + decimal(99.9), "p99.9"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
