package capacity

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

func exactly(fixed, row float64) Service {
	l := curve.Line{Fixed: fixed, PerRow: row}
	return Service{Curve: curve.Curve{Wall: l, CPU: l, Samples: 100, Largest: 64}}
}

// close reports a duration that is within a share of what it should be.
func close(got, want time.Duration, share float64) bool {
	return math.Abs(float64(got-want)) <= share*float64(want)
}

// TestPredictOfNobody: one request takes reach, batch and what a batch costs beside: 0.5 + 2 + 0.03 ms.
func TestPredictOfNobody(t *testing.T) {
	s := exactly(2e-3, 0)
	s.Reach, s.Path, s.Idle, s.Memory = 0.5e-3, 0.1e-3, 0.02, 100
	got := Predict(s, Load{}, Setting{Batch: 8, Delay: time.Second, Replicas: 3}, fleet.SLO{Latency: time.Second})
	if !close(got.P50.Value, 2530*time.Microsecond, 0.001) || !close(got.P99.Value, 2530*time.Microsecond, 0.001) {
		t.Errorf("p50 %s, p99 %s; want 2.53 ms", got.P50.Value, got.P99.Value)
	}
	if math.Abs(got.Cores-0.06) > 1e-9 || got.Memory != 300 || got.Busy != 0 || got.Lost != 0 || got.Full {
		t.Errorf("%+v; want 0.06 cores and 300 bytes", got)
	}
}

// TestPredictCores, by hand: 100 requests a second, each alone: 100*(2 + 0.03 + 0.1) ms and two idle pods of 0.02 are
// 0.253 cores; an instance computes 50 * 2.03 ms of a second.
func TestPredictCores(t *testing.T) {
	s := exactly(2e-3, 0)
	s.Path, s.Idle = 0.1e-3, 0.02
	got := Predict(s, Load{Rate: 100, Burst: 1}, Setting{Batch: 1, Replicas: 2}, fleet.SLO{})
	if math.Abs(got.Cores-0.253) > 1e-6 || math.Abs(got.Busy-0.1015) > 1e-6 || got.MeanBatch != 1 || !got.Closed {
		t.Errorf("%+v; want 0.253 cores, 0.1015 busy", got)
	}
}

// TestPredictWaits: 500 requests a second of a large network wait up to 10 ms for others. Nobody waits longer than
// that, but for the timer's millisecond, so that all are answered within 10 + 1 + 0.7 + 0.085*15 + 0.03 = 13.0 ms; the
// batches have 1 + 500*0.0096 = 5.8 rows, since with less than 0.4 ms left (a chance of a fifth that somebody comes)
// nobody is waited for; the timer makes them a little larger, and the CPU is 500/5.8 * (0.73 + 0.085*5.8) ms a second.
func TestPredictWaits(t *testing.T) {
	got := Predict(exactly(0.7e-3, 0.085e-3), Load{Rate: 500, Burst: 1}, Setting{Batch: 64, Delay: 10 * time.Millisecond}, fleet.SLO{Latency: 13 * time.Millisecond})
	if got.P99.Value > 13*time.Millisecond || got.P99.Value < 10800*time.Microsecond || got.Lost > 0.002 {
		t.Errorf("p99 %s, %.4f lost; want at most 13 ms and at least 10.8 ms", got.P99.Value, got.Lost)
	}
	if got.MeanBatch < 5.6 || got.MeanBatch > 6.2 || math.Abs(got.Cores-0.105) > 0.003 || got.Closed {
		t.Errorf("mean batch %.2f, cores %.4f; want about 5.9 and 0.105", got.MeanBatch, got.Cores)
	}
}

// TestPredictFull: 1000 requests a second of 2.03 ms each on one instance are 2.03 times what can be done: at the end
// of a minute an answer takes 60*(1 - 1/2.03) = 30.4 s.
func TestPredictFull(t *testing.T) {
	got := Predict(exactly(2e-3, 0), Load{Rate: 1000, Burst: 1}, Setting{Batch: 1}, fleet.SLO{Latency: 50 * time.Millisecond})
	if !got.Full || got.Busy != 1 || !close(got.P99.Value, 30140*time.Millisecond, 0.01) || got.Lost < 0.99 || got.Goodput > 10 {
		t.Errorf("%+v; want to be full, and a p99 of 30.1 s", got)
	}
	if got := Predict(exactly(2e-3, 0), Load{Rate: 1000, Burst: 1}, Setting{Batch: 1, Replicas: 3}, fleet.SLO{}); got.Full {
		t.Error("three pods that can do 1478 requests a second are full with 1000")
	}
	if got := Predict(Service{}, Load{Rate: 1}, Setting{}, fleet.SLO{}); !got.Full || got.Lost != 1 {
		t.Errorf("without a curve: %+v", got)
	}
}

// TestPredictLimit: half a core stands still for half of each period when it is used up. Requests of 20 ms, ten a second,
// take 0.2 of 0.5 cores: most are answered at once, but who meets a quota that is used up waits up to 50 ms more.
func TestPredictLimit(t *testing.T) {
	s, l := exactly(20e-3, 0), Load{Rate: 10, Burst: 1}
	whole := Predict(s, l, Setting{Batch: 1, Limit: 2000, Instances: 1}, fleet.SLO{})
	half := Predict(s, l, Setting{Batch: 1, Limit: 500}, fleet.SLO{})
	if extra := half.P99.Value - whole.P99.Value; extra < 20*time.Millisecond || extra > 70*time.Millisecond {
		t.Errorf("p99 %s with half a core and %s with two", half.P99.Value, whole.P99.Value)
	}
	if !close(half.P50.Value, whole.P50.Value, 0.05) || half.Full {
		t.Errorf("p50 %s with half a core and %s with two", half.P50.Value, whole.P50.Value)
	}
	if full := Predict(s, Load{Rate: 26, Burst: 1}, Setting{Batch: 1, Limit: 500}, fleet.SLO{}); !full.Full {
		t.Error("26 requests of 20 ms a second fit into half a core")
	}
}

// TestPredictLimitIsOfCPU: batches of 1.2 ms of which 1 ms is CPU. With 30 us beside each, half a core does 0.5/1.03 ms = 485
// a second; by their time it would be 406. At 450 it is not full.
func TestPredictLimitIsOfCPU(t *testing.T) {
	s := exactly(1.2e-3, 0)
	s.Curve.CPU.Fixed = 1e-3
	at := Setting{Batch: 1, Limit: 500, Instances: 1}
	if got := Predict(s, Load{Rate: 450, Burst: 1}, at, fleet.SLO{}); got.Full || math.Abs(got.Cores-450*1.03e-3) > 1e-3 {
		t.Errorf("450 a second: %+v", got)
	}
	if got := Predict(s, Load{Rate: 500, Burst: 1}, at, fleet.SLO{}); !got.Full {
		t.Errorf("500 a second: %+v", got)
	}
}

// TestPredictShared: on a machine of one core the path of other requests makes a batch longer.
func TestPredictShared(t *testing.T) {
	s := exactly(1e-3, 0)
	s.Path = 0.4e-3
	at, l := Setting{Batch: 8, Instances: 1}, Load{Rate: 500, Burst: 1}
	free := Predict(s, l, at, fleet.SLO{})
	s.Processors = 1
	if shared := Predict(s, l, at, fleet.SLO{}); shared.P50.Value < free.P50.Value*105/100 || shared.P99.Value < free.P99.Value*11/10 {
		t.Errorf("on one core p50 %s and p99 %s, on enough %s and %s", shared.P50.Value, shared.P99.Value, free.P50.Value, free.P99.Value)
	}
}

// TestPredictPerBatch: what a batch costs beside the model is in the cores of each batch and in its time: 0.33 ms instead
// of 30 us, at 100 batches of one a second, are 0.03 cores and 0.3 ms more.
func TestPredictPerBatch(t *testing.T) {
	s, l, at := exactly(1e-3, 0), Load{Rate: 100, Burst: 1}, Setting{Batch: 1}
	usual := Predict(s, l, at, fleet.SLO{})
	s.PerBatch = PerBatch + 0.3e-3
	dear := Predict(s, l, at, fleet.SLO{})
	if more := dear.Cores - usual.Cores; math.Abs(more-0.03) > 1e-6 {
		t.Errorf("%.4f cores more, want 0.03", more)
	}
	if more := dear.P50.Value - usual.P50.Value; !close(more, 300*time.Microsecond, 0.15) {
		t.Errorf("p50 is %s more, want 0.3 ms", more)
	}
	waits := Setting{Batch: 8, Delay: 20 * time.Millisecond, Instances: 1}
	s.PerBatch = 0
	few := Predict(s, l, waits, fleet.SLO{})
	s.PerBatch = PerBatch + 0.3e-3
	if more := Predict(s, l, waits, fleet.SLO{}).Cores - few.Cores; more < 0.2*0.03 || more > 0.8*0.03 {
		t.Errorf("%.4f cores more with mean batches of %.1f, want a part of 0.03", more, few.MeanBatch)
	}
}

// TestPredictPublished: a server decides by what it publishes. Where that says that batches save much, it waits for
// them, though they save nothing.
func TestPredictPublished(t *testing.T) {
	plain := Service{Curve: curve.Curve{Wall: curve.Line{PerRow: 1e-3}, CPU: curve.Line{PerRow: 1e-3}, Samples: 1}}
	misled := plain
	misled.Published = curve.Curve{Wall: curve.Line{Fixed: 1e-3, PerRow: 1e-4}, CPU: curve.Line{Fixed: 1e-3, PerRow: 1e-4}, Samples: 1}
	l, at := Load{Rate: 400, Burst: 1}, Setting{Batch: 16, Delay: 10 * time.Millisecond}
	knows, waits := Predict(plain, l, at, fleet.SLO{}), Predict(misled, l, at, fleet.SLO{})
	if knows.MeanBatch > 1.01 || waits.MeanBatch < 2 || waits.P99.Value < knows.P99.Value {
		t.Errorf("batches of %.2f and p99 %s; misled %.2f and %s", knows.MeanBatch, knows.P99.Value, waits.MeanBatch, waits.P99.Value)
	}
}

// TestPredictFixedBatchAxis: such a model never computes two rows at once, and waits for none.
func TestPredictFixedBatchAxis(t *testing.T) {
	s := exactly(0.7e-3, 0.085e-3)
	s.MaxBatch = 1
	one := Predict(s, Load{Rate: 500, Burst: 1}, Setting{Batch: 1}, fleet.SLO{})
	many := Predict(s, Load{Rate: 500, Burst: 1}, Setting{Batch: 32, Delay: 20 * time.Millisecond}, fleet.SLO{})
	if one != many || many.MeanBatch != 1 {
		t.Errorf("batch 1: %+v; batch 32: %+v", one, many)
	}
	if rows := Predict(s, Load{Rate: 50, Burst: 1, Rows: 3}, Setting{Batch: 32}, fleet.SLO{}); rows.MeanBatch != 1 {
		t.Errorf("three rows together: mean batch %v", rows.MeanBatch)
	}
}

// TestPredictRows: requests of four rows make batches of four at least.
func TestPredictRows(t *testing.T) {
	got := Predict(exactly(0.7e-3, 0.085e-3), Load{Rate: 100, Burst: 1, Rows: 4}, Setting{Batch: 32}, fleet.SLO{})
	if got.MeanBatch < 4 || got.MeanBatch > 5 {
		t.Errorf("mean batch %.2f, want 4 to 5", got.MeanBatch)
	}
}

// TestPredictManyBatches: 256 rows one by one, 9 us and 30 us beside, take 256*39 us = 9.98 ms of a request, 0.2 cores at 20 a
// second; in batches of 32 they are 8*(288+30) us: fewer cores, which a request of at most 50 batches would not show.
func TestPredictManyBatches(t *testing.T) {
	s, l := exactly(0, 9e-6), Load{Rate: 20, Burst: 1, Rows: 256}
	one := Predict(s, l, Setting{Batch: 1, Instances: 1}, fleet.SLO{})
	if math.Abs(one.Cores-0.19968) > 0.0005 || !close(one.P50.Value, 9984*time.Microsecond, 0.2) || one.MeanBatch != 1 {
		t.Errorf("batches of 1: %+v; want 0.2 cores and at least 9.98 ms", one)
	}
	many := Predict(s, l, Setting{Batch: 32, Instances: 1}, fleet.SLO{})
	if math.Abs(many.Cores-0.05088) > 0.0005 || many.P99.Value >= one.P99.Value {
		t.Errorf("batches of 32: %+v; want 0.051 cores", many)
	}
	published := s
	published.Published = s.Curve
	for _, batch := range []int{1, 4} {
		at := Setting{Batch: batch, Instances: 1}
		if got, want := Predict(published, l, at, fleet.SLO{}), Predict(s, l, at, fleet.SLO{}); got != want {
			t.Errorf("batches of %d where the same curve is published: %+v, want %+v", batch, got, want)
		}
	}
}

// TestPredictPeak: a busiest second of three times the mean makes the tail longer, and half as much Burst does not tell it.
func TestPredictPeak(t *testing.T) {
	s, at := exactly(0.7e-3, 0.085e-3), Setting{Batch: 8}
	even := Predict(s, Load{Rate: 1500, Burst: 1}, at, fleet.SLO{})
	usual := Predict(s, Load{Rate: 1500, Burst: 1, Peak: 1580}, at, fleet.SLO{})
	busy := Predict(s, Load{Rate: 1500, Burst: 1, Peak: 4500}, at, fleet.SLO{})
	if even != usual || busy.P99.Value < even.P99.Value*12/10 || !close(busy.P50.Value, even.P50.Value, 0.2) {
		t.Errorf("p99 %s, with a usual peak %s, with a high one %s", even.P99.Value, usual.P99.Value, busy.P99.Value)
	}
}

// anything is arguments without sense, most of the time.
func anything(r *rand.Rand) (Service, Load, Setting, fleet.SLO) {
	x := func(scale float64) float64 {
		odd := [...]float64{0, -1, math.NaN(), math.Inf(1), 1e300, 1e-300}
		if i := r.IntN(60); i < len(odd) {
			return odd[i]
		}
		return scale * math.Exp(2*r.NormFloat64())
	}
	line := curve.Line{Form: curve.Form(r.IntN(3)), Fixed: x(1e-3), PerRow: x(1e-4)}
	s := Service{
		Curve: curve.Curve{Wall: line, CPU: line, Samples: r.IntN(20), Error: x(0.05)},
		Path:  x(1e-4), Reach: x(1e-4), Idle: x(0.01), Memory: int64(r.IntN(1e9)) - 1e8, MaxBatch: r.IntN(3), Processors: r.IntN(4) - 1,
	}
	if r.IntN(2) == 0 {
		s.Curve.Spread = curve.Spread{P10: 0.9, P50: 1, P90: 1 + r.Float64(), P99: 2 + r.Float64()}
	}
	l := Load{Rate: x(500), Burst: x(1), Peak: x(600), Rows: x(2), Interactive: x(0.1), Bulk: x(0.1)}
	at := Setting{
		Batch: r.IntN(100) - 10, Delay: time.Duration(x(5e6)), Replicas: r.IntN(5) - 1,
		Limit: int64(r.IntN(4000)) - 500, Instances: r.IntN(4) - 1,
	}
	return s, l, at, fleet.SLO{Latency: time.Duration(x(20e6)), Percentile: x(0.9)}
}

// TestPredictAnything: whatever is asked, numbers are numbers, and in their order; asked twice, it is the same answer.
func TestPredictAnything(t *testing.T) {
	n := uint64(150)
	if testing.Short() {
		n = 40
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(seed, 9))
		s, l, at, slo := anything(r)
		got := Predict(s, l, at, slo)
		for _, e := range []Estimate{got.P50, got.P99, got.Tail} {
			if !(0 <= e.Low && e.Low <= e.Value && e.Value <= e.High) {
				t.Errorf("seed %d: %+v", seed, got)
			}
		}
		for _, x := range []float64{got.Cores, got.Busy, got.MeanBatch, got.Goodput, got.Lost} {
			if !(x >= 0 && x < math.Inf(1)) {
				t.Errorf("seed %d: %+v", seed, got)
			}
		}
		if got.P50.Value > got.P99.Value || got.Busy > 1 || got.Lost > 1 || got.Memory < 0 || got.Goodput > max(0, l.Rate)*1.000001 {
			t.Errorf("seed %d: %+v", seed, got)
		}
		if again := Predict(s, l, at, slo); seed%10 == 0 && !reflect.DeepEqual(again, got) {
			t.Errorf("seed %d: asked again %+v, before %+v", seed, again, got)
		}
	}
}

// TestPredictIsOrdered: more replicas are not busier nor full, more requests need no fewer cores, and slower batches are
// not quicker.
func TestPredictIsOrdered(t *testing.T) {
	const chance = 1.03 // what two simulations may differ by
	cases := combinations(24)
	if testing.Short() {
		cases = cases[:6]
	}
	for _, c := range cases {
		base := Predict(c.service, c.load, c.at, fleet.SLO{})
		at := c.at
		at.Replicas++
		if more := Predict(c.service, c.load, at, fleet.SLO{}); more.Busy > base.Busy*chance || more.Full && !base.Full {
			t.Errorf("%+v %+v: %.4f busy, with one replica more %.4f", c.at, c.load, base.Busy, more.Busy)
		}
		l := c.load
		l.Rate *= 1.2
		if more := Predict(c.service, l, c.at, fleet.SLO{}); more.Cores*chance < base.Cores {
			t.Errorf("%+v %+v: %.4f cores, with more requests %.4f", c.at, c.load, base.Cores, more.Cores)
		}
		s := c.service
		s.Curve.Wall.Fixed, s.Curve.Wall.PerRow = 1.2*s.Curve.Wall.Fixed, 1.2*s.Curve.Wall.PerRow
		if slow := Predict(s, c.load, c.at, fleet.SLO{}); slow.P50.Value < base.P50.Value*95/100 {
			t.Errorf("%+v %+v: p50 %s, with slower batches %s", c.at, c.load, base.P50.Value, slow.P50.Value)
		}
	}
}

func BenchmarkPredict(b *testing.B) {
	s := Service{Curve: measured()[0], Path: 80e-6, Reach: 200e-6}
	for _, c := range []struct {
		name string
		l    Load
		at   Setting
	}{
		{"closed", Load{Rate: 500, Burst: 1}, Setting{Batch: 1}},
		{"followed", Load{Rate: 500, Burst: 2}, Setting{Batch: 1}},
		{"waits", Load{Rate: 500, Burst: 1}, Setting{Batch: 32, Delay: 8 * time.Millisecond}},
		{"bursts", Load{Rate: 5000, Burst: 2}, Setting{Batch: 32, Delay: 8 * time.Millisecond, Replicas: 2, Limit: 1000}},
		{"peak", Load{Rate: 500, Burst: 1, Peak: 1000}, Setting{Batch: 32, Delay: 8 * time.Millisecond, Replicas: 2, Limit: 1000}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Predict(s, c.l, c.at, fleet.SLO{Latency: 20 * time.Millisecond})
			}
		})
	}
}
