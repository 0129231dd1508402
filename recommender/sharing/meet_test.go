package sharing

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRisk. Each uses 40 GiB in one slot of a hundred and 20 otherwise; with the margin two peaks are 84 of 79
// GiB. They meet, if each peaks when it likes, in one slot of ten thousand.
func TestRisk(t *testing.T) {
	c := card(t, "A100-80GB")
	peaking := func(name string, at int) Pod {
		p := pod(name, c, 0, 20, 100)
		p.Memory[at] = 40 * gib
		return p
	}
	for _, k := range []struct {
		name string
		at   int
		risk float64
		want string
	}{
		{"no risk", 7, 0, "a b"},
		{"enough", 7, 1.01e-4, "a+b"},
		{"too little", 7, 0.99e-4, "a b"},
		{"they peak together", 3, 0.5, "a b"},
	} {
		o := DefaultOptions()
		o.MemoryMargin, o.Risk = 0.05, k.risk
		if got := show(Plan([]Pod{peaking("a", 3), peaking("b", k.at)}, o)); got != k.want {
			t.Errorf("%s: got %q, want %q", k.name, got, k.want)
		}
	}
}

// TestChancesAreTheNaiveOnes: of every combination of slots, those whose parts add up to more than the card.
func TestChancesAreTheNaiveOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 50 {
		series := make([][]float64, 3)
		for i := range series {
			for range 12 {
				series[i] = append(series[i], 60*r.Float64())
			}
		}
		a, b, c := newChances(series[0], 100, 0), newChances(series[1], 100, 0), newChances(series[2], 100, 0)
		var over float64
		part := func(v float64) int { return int(math.Ceil(v / 100 * parts)) }
		for _, x := range series[0] {
			for _, y := range series[1] {
				for _, z := range series[2] {
					if part(x)+part(y)+part(z) > parts {
						over++
					}
				}
			}
		}
		want := over / (12 * 12 * 12)
		if got := a.plus(b).above(c); math.Abs(got-want) > 1e-9 || math.Abs(a.plus(b).plus(c)[parts+1]-want) > 1e-9 {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
