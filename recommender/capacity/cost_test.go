package capacity

import (
	"math"
	"testing"
)

// round is a price with which hand computing is easy: a core at a hundred-thousandth of a dollar a
// second, a GiB at a millionth.
var round = Price{Core: 26_280_000, GiB: 2_628_000}

func TestUnitCost(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name      string
		at        Setting
		rate, met float64
		p         Price
		want      UnitCost
	}{
		{"2 x (0.5 x 10,000 + 0.5 x 1,000) billionths a second x 125 s", Setting{Replicas: 2, CPU: 500, Memory: 512 * mib}, 10, 0.8, round, 1_375_000},
		{"CPU only: 1 core for 100 s", Setting{Replicas: 1, CPU: 1000}, 10, 1, round, 1_000_000},
		{"twice the requests: half each", Setting{Replicas: 1, CPU: 1000}, 20, 1, round, 500_000},
		{"half of them in time: twice each", Setting{Replicas: 1, CPU: 1000}, 20, 0.5, round, 1_000_000},
		{"nobody comes", Setting{Replicas: 1, CPU: 1000}, 0, 1, round, 0},
		{"nobody in time", Setting{Replicas: 1, CPU: 1000}, 10, 0, round, 0},
		{"no price", Setting{Replicas: 1, CPU: 1000}, 10, 1, Price{Unpriced: []string{"x9.huge"}}, 0},
	}
	for _, tt := range tests {
		if got := unitCost(tt.at, tt.rate, tt.met, tt.p); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	// Without prices a GiB weighs as a seventh of a core: 2 x (500 + 1000/7/2).
	if got := weight(Setting{Replicas: 2, CPU: 500, Memory: 512 * mib}, Price{Unpriced: []string{"x"}}); math.Abs(got-1142.857) > 0.001 {
		t.Errorf("weighs %v without prices, want 1142.857", got)
	}
	w := Window{Latency: Histogram{Counts: []int64{400}}, CPUSeconds: 2}
	if got := cpuOf(w); got != 5*ms {
		t.Errorf("2 s for 400 requests are %s each", got)
	}
	if got := cpuOf(Window{CPUSeconds: 2}); got != 0 {
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
