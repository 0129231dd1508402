package sharing

import (
	"math/rand/v2"
	"testing"
)

// TestCalmIsThePercentile of the sum, sorted out in full.
func TestCalmIsThePercentile(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	calm := 0
	for range 2000 {
		members := []*load{{}, {}, {}}
		for range 1 + r.IntN(300) {
			for _, l := range members {
				l.duty = append(l.duty, float64(r.IntN(5))/10)
			}
		}
		o := Options{Percentile: []float64{0.5, 0.9, 0.99, 1}[r.IntN(4)], Busy: float64(r.IntN(13)) / 10}
		want := o.together(members) <= o.Busy
		if got := o.calm(members); got != want {
			t.Fatalf("p%v of %d slots is %v, at most %v: %v", o.Percentile*100, len(members[0].duty), o.together(members), o.Busy, got)
		}
		if want {
			calm++
		}
	}
	if calm == 0 || calm == 2000 {
		t.Errorf("%d of 2000 were calm", calm)
	}
}
