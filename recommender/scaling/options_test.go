package scaling

import (
	"math"
	"testing"
	"time"
)

func TestHorizon(t *testing.T) {
	for _, c := range []struct {
		window, lead time.Duration
		want         int
	}{
		{time.Minute, 0, 1},
		{time.Minute, time.Second, 2},
		{time.Minute, time.Minute, 2},
		{time.Minute, 61 * time.Second, 3},
		{5 * time.Minute, 10 * time.Minute, 3},
		{time.Minute, time.Hour, 4},
		{0, math.MaxInt64, 4},
	} {
		o := Options{Window: c.window, Lead: c.lead}.settled()
		if got := o.horizon(); got != c.want {
			t.Errorf("window %v, lead %v: %d windows ahead, want %d", c.window, c.lead, got, c.want)
		}
	}
}
