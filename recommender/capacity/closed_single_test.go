package capacity

import (
	"math"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// TestQueueIsErlangs: a service of exactly 1 s, of which the wait has the known series (Erlang, 1909)
//
//	F(t) = (1-load) * sum over k up to t of (-rate(t-k))^k/k! * e^(rate(t-k))
func TestQueueIsErlangs(t *testing.T) {
	for _, load := range []float64{0.05, 0.3, 0.5, 0.8, 0.9} {
		q := newQueue(load, func(float64) float64 { return 1 })
		for _, at := range []float64{0, 0.3, 0.5, 1, 1.7, 2, 4, 7} {
			want, factorial := 0.0, 1.0
			for k := 0.0; k <= at; k++ {
				factorial *= max(k, 1)
				want += math.Pow(-load*(at-k), k) / factorial * math.Exp(load*(at-k))
			}
			if want *= 1 - load; math.Abs(q.waitsAtMost(at)-want) > 0.002 {
				t.Errorf("load %v: %.4f wait at most %v s, want %.4f", load, q.waitsAtMost(at), at, want)
			}
		}
	}
	// As in the comment, by hand: 0.5*e^0.25, 0.5*e^0.5 and 0.5*(e - 0.5*e^0.5).
	q := newQueue(0.5, func(float64) float64 { return 1 })
	for at, want := range map[float64]float64{0: 0.5, 0.5: 0.6420, 1: 0.8244, 2: 0.9470} {
		if got := q.waitsAtMost(at); math.Abs(got-want) > 0.001 {
			t.Errorf("%.4f wait at most %v s, want %v", got, at, want)
		}
	}
}

// TestClosedIsAsFollowed: the solved queue, and requests followed one by one, say the same.
func TestClosedIsAsFollowed(t *testing.T) {
	for _, c := range measured() {
		for _, share := range []float64{0.05, 0.3, 0.6, 0.8} {
			s := Service{Curve: c, Reach: 50e-6}
			p := podOf(s, Load{Rate: 1, Burst: 1}, Setting{Batch: 1})
			p.stream.rate = share / p.offered()
			if !p.single() || !p.unbatched() {
				t.Fatalf("%+v is not both", p)
			}
			a, b := p.prediction(p.solve(), fleet.SLO{}), p.prediction(p.follow(), fleet.SLO{})
			for _, pair := range [][2]time.Duration{{a.P50.Value, b.P50.Value}, {a.P99.Value, b.P99.Value}} {
				if off := float64(pair[0])/float64(pair[1]) - 1; math.Abs(off) > 0.025 {
					t.Errorf("%+v at %v: solved %s, followed %s", c.Wall, share, pair[0], pair[1])
				}
			}
			if math.Abs(a.Busy-b.Busy) > 0.01 || a.Cores != b.Cores {
				t.Errorf("%+v at %v: busy %v and %v, cores %v and %v", c.Wall, share, a.Busy, b.Busy, a.Cores, b.Cores)
			}
		}
	}
}

// TestFollowedIsAsSimulated, where batches are of one.
func TestFollowedIsAsSimulated(t *testing.T) {
	for _, burst := range []float64{0, 0.5, 1, 2} {
		s := Service{Curve: curve.Curve{Wall: curve.Line{Fixed: 1e-3}, CPU: curve.Line{Fixed: 1e-3}, Samples: 9}}
		p := podOf(s, Load{Rate: 900, Burst: burst}, Setting{Batch: 1, Instances: 2})
		a, b := p.prediction(p.follow(), fleet.SLO{}), p.prediction(p.simulate(), fleet.SLO{})
		if off := a.P99.Value.Seconds()/b.P99.Value.Seconds() - 1; math.Abs(off) > 0.03 {
			t.Errorf("burst %v: p99 followed %s, simulated %s", burst, a.P99.Value, b.P99.Value)
		}
	}
}
