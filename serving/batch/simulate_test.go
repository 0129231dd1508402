package batch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

func linear(fixed, row float64) curve.Curve {
	l := curve.Line{Fixed: fixed, PerRow: row}
	return curve.Curve{Wall: l, CPU: l, Samples: 100, Largest: 64, Error: 0.03}
}

// largeMLP and midMLP are dense networks as measured: 512-2048^3-16 and 256-1024^2-10.
func largeMLP() curve.Curve { return linear(0.70e-3, 0.085e-3) }

func midMLP() curve.Curve {
	c := linear(50e-6, 12.1e-6)
	c.Wall.Form, c.CPU.Form = curve.Hinge, curve.Hinge
	return c
}

func convLike() curve.Curve { return linear(5e-6, 18e-6) }

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// after makes the function that gives n arrivals with gaps in seconds.
func after(n int, gap func() float64) func() (Arrival, bool) {
	var at time.Duration
	return func() (Arrival, bool) {
		n--
		at += time.Duration(gap() * 1e9)
		return Arrival{At: at, Rows: 1}, n >= 0
	}
}

func poisson(r *rand.Rand, rate float64, n int) func() (Arrival, bool) {
	return after(n, func() float64 { return r.ExpFloat64() / rate })
}

// bursts are Poisson arrivals at rate that come three times as often for 0.2 s in every second or so.
func bursts(r *rand.Rand, rate float64, n int) func() (Arrival, bool) {
	left, fast := 0.0, true
	return after(n, func() float64 {
		if left <= 0 {
			fast = !fast
			left = 0.8 * r.ExpFloat64()
			if fast {
				left /= 4
			}
		}
		gap := r.ExpFloat64() / rate
		if fast {
			gap /= 3
		}
		left -= gap
		return gap
	})
}

func slo(d time.Duration) Limits {
	return Limits{MaxBatchSize: 64, MaxQueueDelay: time.Second, SLO: d, MaxQueueRows: 4096}
}

func static(delay time.Duration) Limits {
	l := slo(20 * time.Millisecond)
	l.Static, l.MaxQueueDelay = true, delay
	return l
}

func unbatched() Limits {
	l := static(0)
	l.MaxBatchSize = 1
	return l
}

// TestMeanLatencyIsInoues: Poisson arrivals, one server that takes all who wait, no bound on the batch. The
// mean latency is at most, and about, min(phi0, phi1) of Inoue (2019), with x = rate*beta:
//
//	phi0 = (alpha+beta)/(2(1-x)) * (1 + 2*rate*alpha + (1-rate*alpha)/(1+x))
//	phi1 = 1.5*alpha/(1-x) + beta/2 * (x+2)/(1-x^2)
func TestMeanLatencyIsInoues(t *testing.T) {
	const alpha, beta = 0.70e-3, 0.085e-3
	for _, x := range []float64{0.3, 0.5, 0.7, 0.9} {
		rate := x / beta
		phi0 := (alpha + beta) / (2 * (1 - x)) * (1 + 2*rate*alpha + (1-rate*alpha)/(1+x))
		phi1 := 1.5*alpha/(1-x) + beta/2*(x+2)/(1-x*x)
		l := Limits{MaxBatchSize: 1e6, MaxQueueRows: 1e6}
		r := Simulate(Trial{Limits: l, Curve: linear(alpha, beta), Next: poisson(random(7), rate, 120_000)})
		if got := r.Mean().Seconds() / min(phi0, phi1); got < 0.97 || got > 1.03 {
			t.Errorf("load %.1f: mean latency is %.3f of Inoue's, want 0.97 to 1.03", x, got)
		}
	}
}

// TestBusyShare: how much of the time one instance computes at 0.6 of what it could do one by one; the first
// two as measured in another simulation. Ours must not be above what a fixed wait of a quarter of the SLO costs.
func TestBusyShare(t *testing.T) {
	tests := []struct {
		name                  string
		curve                 curve.Curve
		slo                   time.Duration
		none, greedy, quarter float64
	}{
		{"large", largeMLP(), 20 * time.Millisecond, .604, .531, .177},
		{"mid", midMLP(), 5 * time.Millisecond, .604, .525, .146},
		{"conv", convLike(), 5 * time.Millisecond, .604, .580, .476},
	}
	for _, tt := range tests {
		share := func(l Limits) float64 {
			return Simulate(Trial{Limits: l, Curve: tt.curve, Next: poisson(random(3), 0.6/tt.curve.Wall.At(1), 40_000)}).BusyShare(1)
		}
		for name, c := range map[string]struct {
			limits Limits
			want   float64
		}{"none": {unbatched(), tt.none}, "greedy": {static(0), tt.greedy}, "a quarter": {static(tt.slo / 4), tt.quarter}} {
			if got := share(c.limits); math.Abs(got-c.want) > 0.012 {
				t.Errorf("%s, %s: busy %.3f, want %.3f", tt.name, name, got, c.want)
			}
		}
		if got := share(slo(tt.slo)); got > tt.quarter*1.02 {
			t.Errorf("%s, ours: busy %.3f, want at most %.3f", tt.name, got, tt.quarter)
		}
	}
}

// TestBeatsEveryDelay: open loop on the large network with 20 ms. Whatever the rate, no static delay
// may cost less than 1/1.05 of the CPU, and with 1 ms on the way 99 % are answered in time.
func TestBeatsEveryDelay(t *testing.T) {
	even := func(_ *rand.Rand, rate float64, n int) func() (Arrival, bool) {
		return after(n, func() float64 { return 1 / rate })
	}
	silence := func(_ *rand.Rand, rate float64, n int) func() (Arrival, bool) {
		i := 0
		return after(n, func() float64 {
			if i++; i == 2 {
				return 30
			}
			return 1 / rate
		})
	}
	for name, arrivals := range map[string]func(*rand.Rand, float64, int) func() (Arrival, bool){"poisson": poisson, "even": even, "even after a silence": silence, "bursts": bursts} {
		for _, rate := range []float64{50, 200, 400, 700, 2000} {
			run := func(l Limits) Result {
				return Simulate(Trial{Limits: l, Curve: largeMLP(), Next: arrivals(random(5), rate, 10_000)})
			}
			best := math.Inf(1)
			for _, delay := range []time.Duration{0, 2, 5, 12} {
				best = min(best, run(static(delay*time.Millisecond)).CPUSeconds)
			}
			r := run(slo(20 * time.Millisecond))
			if ratio := r.CPUSeconds / best; ratio > 1.05 {
				t.Errorf("%s at %.0f: %.3f of the CPU of the best static delay, want at most 1.05", name, rate, ratio)
			}
			if p99 := r.Quantile(0.99) + time.Millisecond; p99 > 18*time.Millisecond || len(r.Latencies) != 10_000 {
				t.Errorf("%s at %.0f: p99 %s, %d answered", name, rate, p99, len(r.Latencies))
			}
		}
	}
}

// TestBeatsEveryDelayOnTwo: the same with two instances, on a machine with slower memory, and in the first
// seconds after a silence, of which what is learnt must be free.
func TestBeatsEveryDelayOnTwo(t *testing.T) {
	c := linear(1.15e-3, 62e-6)
	c.Error = 0.05
	for _, rate := range []float64{200, 400, 700} {
		run := func(l Limits) Result {
			i, r := 0, random(6)
			next := after(int(5*rate), func() float64 {
				if i++; i == 2 { // one request long before the others
					return 5
				}
				return 1 / rate
			})
			return Simulate(Trial{Limits: l, Instances: 2, Curve: c, Next: next, Jitter: func() float64 { return math.Exp(0.15 * r.NormFloat64()) }})
		}
		ours, best := run(slo(20*time.Millisecond)), math.Inf(1)
		for _, delay := range []time.Duration{0, 2, 5, 12} {
			best = min(best, run(static(delay*time.Millisecond)).CPUSeconds)
		}
		if ratio := ours.CPUSeconds / best; ratio > 1.05 {
			t.Errorf("at %.0f: %.3f of the CPU of the best static delay, want at most 1.05; went %v", rate, ratio, ours.Went)
		}
	}
}

// jitters are service times that are not what was predicted: by 10 %, and lognormal with a long tail.
func jitters(r *rand.Rand) map[string]func() float64 {
	return map[string]func() float64{
		"10 %":      func() float64 { return 0.9 + 0.2*r.Float64() },
		"lognormal": func() float64 { return math.Exp(0.3*r.NormFloat64() - 0.045) },
	}
}

// TestOverload: three times what can be done. What is let in is done in time, and the rest is told when to
// come again.
func TestOverload(t *testing.T) {
	tests := []struct {
		name  string
		curve curve.Curve
		slo   time.Duration
	}{{"large", largeMLP(), 20 * time.Millisecond}, {"mid", midMLP(), 5 * time.Millisecond}, {"conv", convLike(), 5 * time.Millisecond}}
	for _, tt := range tests {
		for instances := 1; instances <= 2; instances++ {
			r := random(11)
			for name, jitter := range jitters(r) {
				capacity := 64 / tt.curve.Wall.At(64) * float64(instances)
				got := Simulate(Trial{Limits: slo(tt.slo), Curve: tt.curve, Instances: instances, Jitter: jitter, Next: poisson(r, 3*capacity, 60_000)})
				if share := float64(got.Within) / got.Span.Seconds() / capacity; share < 0.9 {
					t.Errorf("%s, %d instances, %s: %.3f of the capacity in time, want 0.9", tt.name, instances, name, share)
				}
				if got.Shed[TooLate] == 0 || len(got.Latencies)+got.Expired+got.Shed[QueueFull]+got.Shed[TooLate] != 60_000 {
					t.Errorf("%s: %d answered, %d expired, shed %v of 60000", tt.name, len(got.Latencies), got.Expired, got.Shed)
				}
			}
		}
	}
}

// TestRecovery: 2 s after an overload of 1 s, everybody is answered in time again.
func TestRecovery(t *testing.T) {
	capacity := 64 / largeMLP().Wall.At(64)
	r, rate := random(13), 0.5*capacity
	var at time.Duration
	late := 0
	next := func() (Arrival, bool) {
		rate = 0.5 * capacity
		if at > time.Second && at < 2*time.Second {
			rate = 3 * capacity
		}
		at += time.Duration(r.ExpFloat64() / rate * 1e9)
		return Arrival{At: at, Rows: 1}, at < 6*time.Second
	}
	s := newSimulation(Trial{Limits: slo(20 * time.Millisecond), Curve: largeMLP(), Next: next})
	s.Each = func(a Arrival, latency time.Duration) {
		if a.At > 2*time.Second && latency > 20*time.Millisecond {
			late++
		}
	}
	var shed [TooLarge + 1]int
	for s.step() {
		s.dispatch()
		if s.now < 2100*time.Millisecond {
			shed = s.result.Shed
		}
	}
	if late > 0 || s.result.Shed != shed || shed[TooLate] == 0 {
		t.Errorf("after the overload %d were late; shed %v in it and %v in all", late, shed, s.result.Shed)
	}
}

// TestFairness: twice the load that can be done, half of it interactive, the rest default and bulk. The
// interactive rows are answered; the others get their share.
func TestFairness(t *testing.T) {
	capacity := 64 / largeMLP().Wall.At(64)
	l := slo(0)
	l.MaxQueueDelay = 0
	l.MaxQueueRows = 1e6
	var answered [classes]int
	i := 0
	arrivals := poisson(random(15), 2*capacity, 40_000)
	s := newSimulation(Trial{Limits: l, Curve: largeMLP(), Next: func() (Arrival, bool) {
		a, ok := arrivals()
		a.Class = [...]Class{Interactive, Default, Interactive, Bulk}[i%4]
		i++
		return a, ok
	}})
	s.Each = func(a Arrival, _ time.Duration) { answered[a.Class]++ }
	for s.step() && s.open {
		s.dispatch()
	}
	total := float64(answered[Default] + answered[Interactive] + answered[Bulk])
	for class, least := range map[Class]float64{Interactive: 0.65, Default: 0.24, Bulk: 0.06} {
		if got := float64(answered[class]) / total; got < least {
			t.Errorf("%s: %.3f of the answers, want at least %.2f", class, got, least)
		}
	}
}

// TestNoGainNoWait: where a batch saves nothing, nobody waits.
func TestNoGainNoWait(t *testing.T) {
	r := Simulate(Trial{Limits: slo(50 * time.Millisecond), Curve: linear(1e-6, 1e-3), Next: poisson(random(17), 100, 2000)})
	if r.Went[Alone]+r.Went[Full] != r.Batches || r.MeanBatch() != 1 {
		t.Errorf("mean batch %.2f, went %v", r.MeanBatch(), r.Went)
	}
}

// TestBelieved: the batcher goes by what it takes batches for, and they take what they take. One that takes a model of
// which batches save nothing for one of which they do waits; one that takes it the other way does not.
func TestBelieved(t *testing.T) {
	plain, dense := linear(1e-6, 1e-3), largeMLP()
	sizes := func(takes, believed curve.Curve) float64 {
		r := Simulate(Trial{Limits: slo(50 * time.Millisecond), Curve: takes, Believed: believed, Next: poisson(random(17), 400, 2000)})
		if want := takes.Wall.Fixed*float64(r.Batches) + takes.Wall.PerRow*float64(r.Rows); math.Abs(r.Busy.Seconds()-want) > 1e-5 {
			t.Errorf("busy for %s, want %g s", r.Busy, want)
		}
		return r.MeanBatch()
	}
	if got := sizes(plain, dense); got < 2 {
		t.Errorf("mean batch %.2f where batches seem to save something", got)
	}
	if got := sizes(dense, plain); got != sizes(plain, curve.Curve{}) {
		t.Errorf("mean batch %.2f where batches seem to save nothing, want %.2f", got, sizes(plain, curve.Curve{}))
	}
}

// TestWithoutSLO: only MaxQueueDelay bounds the wait; without a curve the wait is a part of the SLO.
func TestWithoutSLO(t *testing.T) {
	l := slo(0)
	l.MaxQueueDelay = 5 * time.Millisecond
	r := Simulate(Trial{Limits: l, Curve: largeMLP(), Next: poisson(random(19), 400, 5000)})
	if most := 5*time.Millisecond + 3*time.Millisecond; r.Quantile(1) > most || r.MeanBatch() < 2 {
		t.Errorf("longest %s, mean batch %.2f; want at most %s, and batches", r.Quantile(1), r.MeanBatch(), most)
	}
	r = Simulate(Trial{Limits: slo(20 * time.Millisecond), Curve: largeMLP(), Blind: true, Next: poisson(random(19), 400, 5000)})
	if r.Quantile(1) > 10*time.Millisecond || r.MeanBatch() < 2 || r.Shed != [TooLarge + 1]int{} {
		t.Errorf("blind: longest %s, mean batch %.2f, shed %v", r.Quantile(1), r.MeanBatch(), r.Shed)
	}
}

// TestStaticIsPlain: the static queue against 20 lines that do the same by hand: one instance takes what
// waits when it is free and the oldest waited the delay or the batch is full.
func TestStaticIsPlain(t *testing.T) {
	for _, delay := range []time.Duration{0, 2 * time.Millisecond, 12 * time.Millisecond} {
		var arrivals []time.Duration
		next := poisson(random(21), 3000, 20_000)
		for a, ok := next(); ok; a, ok = next() {
			arrivals = append(arrivals, a.At)
		}
		var sum, free time.Duration
		batches := 0
		for i := 0; i < len(arrivals); batches++ {
			start := max(free, arrivals[i]+delay)
			if full := i + 63; full < len(arrivals) {
				start = min(start, max(free, arrivals[full]))
			}
			n := 0
			for ; n < 64 && i+n < len(arrivals) && arrivals[i+n] <= start; n++ {
			}
			free = start + seconds(largeMLP().Wall.At(float64(n)))
			for ; n > 0; n-- {
				sum += free - arrivals[i]
				i++
			}
		}
		got := Simulate(Trial{Limits: static(delay), Curve: largeMLP(), Next: poisson(random(21), 3000, 20_000)})
		if !slices.IsSorted(got.Latencies) || got.Batches != batches || got.Mean() != sum/time.Duration(len(arrivals)) {
			t.Errorf("delay %s: %d batches and a mean of %s, want %d and %s", delay, got.Batches, got.Mean(), batches, sum/time.Duration(len(arrivals)))
		}
	}
}

// TestSimulateLargeRequests: requests larger than a batch, of two shapes, are answered once each.
func TestSimulateLargeRequests(t *testing.T) {
	i := 0
	arrivals := poisson(random(23), 50, 1000)
	r := Simulate(Trial{Limits: slo(100 * time.Millisecond), Curve: largeMLP(), Instances: 2, Next: func() (Arrival, bool) {
		a, ok := arrivals()
		i++
		a.Rows, a.Shape = 1+i%150, fmt.Sprint(i%2)
		return a, ok
	}})
	if n := len(r.Latencies) + r.Expired + r.Shed[TooLate]; n != 1000 || len(r.Latencies) < 950 || r.Within < 950 {
		t.Errorf("%d answered, %d in time, %d expired, shed %v of 1000", len(r.Latencies), r.Within, r.Expired, r.Shed)
	}
}

// TestPredictionsTooGood: batches take a third longer than the curve says, as on a core that others share.
// The queue grows careful: of three times what can be done, nearly all that is possible is done in time.
func TestPredictionsTooGood(t *testing.T) {
	c := largeMLP()
	capacity := 64 / (1.35 * c.Wall.At(64))
	got := Simulate(Trial{Limits: slo(20 * time.Millisecond), Curve: c, Next: poisson(random(2), 3*capacity, 100_000), Jitter: func() float64 { return 1.35 }})
	if share := float64(got.Within) / got.Span.Seconds() / capacity; share < 0.9 {
		t.Errorf("goodput %.3f of capacity, want at least 0.9; %d answered, %d in time", share, len(got.Latencies), got.Within)
	}
}
