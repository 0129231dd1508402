package cost

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestMoneyString(t *testing.T) {
	for _, c := range []struct {
		m           Money
		cents, full string
	}{
		{0, "$0.00", "$0.00"},
		{12_340_000, "$12.34", "$12.34"},
		{-50_000, "-$0.05", "-$0.05"},
		{5_000, "$0.01", "$0.005"}, // half a cent, away from zero
		{4_999, "$0.00", "$0.004999"},
		{-4_999, "$0.00", "-$0.004999"},
		{38_200, "$0.04", "$0.0382"},
		{999_995_000, "$1,000.00", "$999.995"},
		{1_234_567_890_000, "$1,234,567.89", "$1,234,567.89"},
		{math.MinInt64, "-$9,223,372,036,854.78", "-$9,223,372,036,854.775808"},
	} {
		if got := c.m.String(); got != c.cents {
			t.Errorf("Money(%d).String() = %s, want %s", int64(c.m), got, c.cents)
		}
		if got := c.m.Exact(); got != c.full {
			t.Errorf("Money(%d).Exact() = %s, want %s", int64(c.m), got, c.full)
		}
	}
}

// A line in whole cents reads as the line itself does, and 3.6135 - 1.4379 is then the 2.17 that a reader gets of
// 3.61 and 1.44, not 2.18.
func TestCents(t *testing.T) {
	for _, c := range []struct{ amount, want Money }{
		{3_613_500, 3_610_000}, {1_437_900, 1_440_000}, {4_999, 0}, {5_000, 10_000}, {-5_000, -10_000}, {-4_999, 0}, {70_000, 70_000},
	} {
		l := Line{Amount: c.amount, Unpriced: []string{"x9.huge"}}
		if got := l.Cents(); got.Amount != c.want || got.Amount.String() != c.amount.String() || len(got.Unpriced) != 1 {
			t.Errorf("%d in cents is %v, want %d", int64(c.amount), got, int64(c.want))
		}
	}
}

func TestTimesRoundsHalfAwayFromZero(t *testing.T) {
	for _, c := range []struct{ m, num, den, want int64 }{
		{96_000, 730, 1, 70_080_000},
		{5, 1, 2, 3},   // 2.5
		{-5, 1, 2, -3}, // -2.5
		{5, -1, 2, -3},
		{-5, -1, 2, 3},
		{5, 1, -2, -3},
		{1, 1, 3, 0}, // 0.33
		{2, 1, 3, 1}, // 0.67
		{math.MaxInt64, 2, 2, math.MaxInt64},
		{math.MaxInt64, 2, 1, math.MaxInt64}, // what does not fit is the most
		{math.MinInt64, 2, 1, -math.MaxInt64},
	} {
		if got := Money(c.m).Times(c.num, c.den); int64(got) != c.want {
			t.Errorf("%d × %d / %d = %d, want %d", c.m, c.num, c.den, got, c.want)
		}
	}
}

// TestTimesIsExact compares with arithmetic of any size: the result is never more than half a
// millionth away.
func TestTimesIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		m, num, den := r.Int64N(1<<40)-1<<39, r.Int64N(1<<50), 1+r.Int64N(1<<50)
		got := big.NewInt(int64(Money(m).Times(num, den)))
		exact := new(big.Int).Mul(big.NewInt(m), big.NewInt(num))
		if q := new(big.Int).Quo(exact, big.NewInt(den)); !q.IsInt64() {
			continue
		}
		off := new(big.Int).Sub(new(big.Int).Mul(got, big.NewInt(den)), exact)
		if off.Abs(off).Lsh(off, 1).Cmp(big.NewInt(den)) > 0 {
			t.Fatalf("%d × %d / %d = %s is more than a half away", m, num, den, got)
		}
	}
}

func TestMoneyIsANumberInJSON(t *testing.T) {
	b, err := json.Marshal(Line{Amount: 12_340_001})
	if err != nil || string(b) != `{"amount":12340001}` {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestLine(t *testing.T) {
	huge, tiny := "x9.huge in mars-1", "t0.tiny"
	for _, c := range []struct {
		l    Line
		want string
	}{
		{Line{}, "$0.00"},
		{Line{Amount: 12_340_000}, "$12.34"},
		{Line{Unpriced: []string{huge}}, "unpriced (no price for x9.huge in mars-1)"},
		{Line{Amount: Dollar}.Add(Line{Unpriced: []string{huge}}), "$1.00 and unpriced (no price for x9.huge in mars-1)"},
		{Line{Unpriced: []string{huge}}.Add(Line{Unpriced: []string{tiny, huge}}), "unpriced (no price for t0.tiny, x9.huge in mars-1)"},
		{Line{Amount: 3 * Dollar}.Sub(Line{Amount: 5 * Dollar}), "-$2.00"},
		{Line{Unpriced: []string{huge}}.Sub(Line{Unpriced: []string{huge}}), "unpriced (no price for x9.huge in mars-1)"},
	} {
		if got := c.l.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if sum := (Line{}).Add(Line{}); sum.Unpriced != nil {
		t.Error("a whole amount lists something as unpriced")
	}
}
