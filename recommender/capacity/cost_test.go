package capacity

import (
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
)

// round is a price with which hand computing is easy: a core at a hundred-thousandth of a dollar a
// second, a GiB at a millionth.
var round = Price{Core: 26_280_000, GiB: 2_628_000}

// answered is a window with n answered requests and the rest as given.
func answered(n int64, cpu float64, memory int64, elapsed time.Duration) Window {
	return Window{Latency: Histogram{Counts: []int64{n}}, CPUSeconds: cpu, Memory: memory, Elapsed: elapsed}
}

func TestUnitCost(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name string
		w    Window
		rate float64
		p    Price
		want UnitCost
	}{
		{"CPU: 2 s / 400 × 1000 × 10,000 billionths", answered(400, 2, 0, time.Minute), 10, round, 50_000},
		{"memory: 64 MiB for the 100 s that 1000 requests take", answered(400, 0, 64*mib, time.Minute), 10, round, 6_250},
		{"both", answered(400, 2, 64*mib, time.Minute), 10, round, 56_250},
		{"a longer window of the same: no difference", answered(800, 4, 64*mib, 2*time.Minute), 10, round, 56_250},
		{"memory goes by the given rate, not by the window's", answered(4000, 0, 64*mib, time.Minute), 10, round, 6_250},
		{"twice the rate: half the memory each", answered(400, 0, 64*mib, time.Minute), 20, round, 3_125},
		{"nothing answered", answered(0, 2, 64*mib, time.Minute), 10, round, 0},
		{"CPU free", answered(400, 2, 0, time.Minute), 10, Price{GiB: cost.Dollar}, 0},
		// m5.large: a core at $22.8102 a month is 8,679.7 billionths a second; 4.312 s per 1,000 of it.
		{"a core of m5.large", answered(1000, 4.312, 0, time.Minute), 20, Price{Core: 22_810_200}, 37_427},
	}
	for _, tt := range tests {
		if got := unitCost(tt.w, tt.rate, tt.p); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := cpuOf(answered(400, 2, 0, time.Minute)); got != 5*ms {
		t.Errorf("2 s for 400 requests are %s each", got)
	}
	if got := cpuOf(answered(0, 2, 0, time.Minute)); got != 0 {
		t.Errorf("CPU of no request is %s", got)
	}
}

func TestUnitCostInWords(t *testing.T) {
	for n, want := range map[UnitCost]string{
		0: "$0", 1: "$0.000000001", 56_250: "$0.0000563", 38_849: "$0.0000388", 2_100_000: "$0.0021",
		999_600: "$0.001", 12_000_000: "$0.012", 500_000_000: "$0.50", 1_234_500_000: "$1.23", 20_000_000_000: "$20.00", 12_399_000_000: "$12.40",
	} {
		if got := n.String(); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
