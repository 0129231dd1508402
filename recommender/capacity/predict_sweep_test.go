package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/curve"
)

// measured are the curves of four classes of models, with the spread of a quiet machine.
func measured() []curve.Curve {
	var all []curve.Curve
	for _, l := range []curve.Line{
		{Fixed: 700e-6, PerRow: 85e-6},                     // a large dense network
		{Form: curve.Hinge, Fixed: 50e-6, PerRow: 12.1e-6}, // a middle one, in the cache
		{Fixed: 5e-6, PerRow: 18e-6},                       // a small convolutional one
		{Fixed: 3.5e-6, PerRow: 3.8e-6},                    // trees
	} {
		all = append(all, curve.Curve{Wall: l, CPU: l, Samples: 100, Largest: 64, Error: 0.02, Spread: curve.Spread{P10: 0.97, P50: 1, P90: 1.06, P99: 1.25}})
	}
	return all
}

// combination is one case of the sweep.
type combination struct {
	service Service
	load    Load
	at      Setting
	share   float64 // offered
}

// combinations are so many cases, drawn with a fixed seed.
func combinations(n int) []combination {
	r := rand.New(rand.NewPCG(11, 1))
	pick := func(from ...float64) float64 { return from[r.IntN(len(from))] }
	var all []combination
	for len(all) < n {
		c := combination{share: 0.05 + 0.75*r.Float64()}
		c.service = Service{Curve: measured()[r.IntN(4)], Path: pick(0, 20e-6, 80e-6), Idle: 0.01, Memory: 64 << 20, Processors: int(pick(0, 0, 2))}
		c.service.Reach = c.service.Path + pick(0, 100e-6)
		c.at = Setting{
			Batch: 1 << r.IntN(7), Delay: time.Duration(pick(0, 0.5, 1, 2, 5, 10, 20) * 1e6),
			Instances: 1 + r.IntN(2), Replicas: 1 + r.IntN(3),
		}
		c.at.Limit = int64(1000 * pick(0, float64(c.at.Instances), float64(c.at.Instances)+0.5))
		c.load = Load{Rate: 1, Burst: pick(0, 0.5, 1, 1, 1.5, 2)}
		c.load.Rate = c.share / podOf(c.service, c.load, c.at).offered()
		all = append(all, c)
	}
	return all
}

// smallGamma has the mean shape, below 1 (Ahrens and Dieter, 1974): other numbers than the prediction's.
func smallGamma(r *rand.Rand, shape float64) float64 {
	for b := 1 + shape/math.E; ; {
		p := b * r.Float64()
		if p <= 1 {
			if x := math.Pow(p, 1/shape); r.ExpFloat64() >= x {
				return x
			}
		} else if x := -math.Log((b - p) / shape); r.Float64() <= math.Pow(x, shape-1) {
			return x
		}
	}
}

func gammaGap(r *rand.Rand, burst float64) float64 {
	switch shape := 1 / (burst * burst); {
	case burst == 0:
		return 1
	case shape < 1:
		return smallGamma(r, shape) / shape
	default: // whole numbers: sums of exponential ones
		sum := 0.0
		for range int(shape) {
			sum += r.ExpFloat64()
		}
		return sum / shape
	}
}

// long is the p99 in seconds and the cores of a long simulation, in which every request of the whole service is
// drawn and sent to a pod by chance, of which the first is looked at.
func (c combination) long(seed uint64, n int) (p99, cores float64) {
	p := podOf(c.service, c.load, c.at)
	r := rand.New(rand.NewPCG(seed, 2))
	t, at, came := p.trial(), 0.0, 0
	t.Skip = simulatedWarmUp
	t.Jitter = func() float64 { return c.service.Curve.Spread.At(r.Float64()) }
	t.Next = func() (batch.Arrival, bool) {
		for {
			at += gammaGap(r, c.load.Burst) / c.load.Rate
			if r.IntN(c.at.Replicas) == 0 {
				came++
				return batch.Arrival{At: time.Duration(at * 1e9), Rows: 1}, came <= n
			}
		}
	}
	does := batch.Simulate(t)
	return does.Quantile(0.99).Seconds(), p.used(does, n)/does.Span.Seconds()*float64(c.at.Replicas) + p.idle()
}

// errorsOf are relative errors, summed up for people.
type errorsOf []float64

func (e errorsOf) at(p float64) float64 {
	sorted := slices.Sorted(slices.Values(e))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func (e errorsOf) String() string {
	return fmt.Sprintf("median %.1f %%, 90th percentile %.1f %%, worst %.1f %%", 100*e.at(0.5), 100*e.at(0.9), 100*e.at(1))
}

// TestSweep compares predictions with simulations that are at least ten times as long, have other random numbers and
// send each request to a pod of its own. CAPACITY_SWEEP=2000 tries so many combinations, and takes minutes.
func TestSweep(t *testing.T) {
	n := 40
	if testing.Short() {
		n = 8
	}
	if more, err := strconv.Atoi(os.Getenv("CAPACITY_SWEEP")); err == nil {
		n = more
	}
	verbose := os.Getenv("CAPACITY_SWEEP_ALL") != ""
	var ours, cores, mean, single errorsOf
	closed, covered := 0, 0
	for i, c := range combinations(n) {
		got := Predict(c.service, c.load, c.at, fleet.SLO{})
		length := 10 * simulated
		if got.MeanBatch == 1 && c.at.Batch == 1 {
			length = 5 * followed
		}
		want, used := c.long(uint64(i), length)
		p := podOf(c.service, c.load, c.at)
		off := math.Abs(got.P99.Value.Seconds()/want - 1)
		ours, cores = append(ours, off), append(cores, math.Abs(got.Cores/used-1))
		mean, single = append(mean, min(10, math.Abs(meanValueP99(p)/want-1))), append(single, min(10, math.Abs(mdOneP99(p)/want-1)))
		if got.Closed {
			closed++
		}
		if got.P99.Low.Seconds() <= want && want <= got.P99.High.Seconds() {
			covered++
		}
		if verbose && off > 0.05 {
			t.Logf("%.1f %%: predicted %s, simulated %.4g s at %.2f offered: %+v %+v path %g processors %d curve %+v closed %v", 100*off, got.P99.Value, want, c.share, c.at, c.load, c.service.Path, c.service.Processors, c.service.Curve.Wall, got.Closed)
		}
	}
	t.Logf("%d combinations, %d closed, %d in the interval", n, closed, covered)
	t.Logf("p99: %s\ncores: %s\nmean values: %s\nM/D/1: %s", ours, cores, mean, single)
	if ours.at(0.5) > 0.02 || ours.at(0.9) > 0.05 || cores.at(0.9) > 0.02 {
		t.Errorf("p99 is off by %s; want a median of 2 and a 90th percentile of 5 %%; cores by %s", ours, cores)
	}
}
