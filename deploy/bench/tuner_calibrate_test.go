package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

func TestCalibrated(t *testing.T) {
	s := capacity.Service{}
	rest := seen{CPU: 0.02, Seconds: 2} // 0.01 cores
	// Light: 0.44 s of CPU, 0.2 in the model, 0.04 idle: 0.2 s for 200 requests, 1 ms. An answer took 3 ms, of which 1 ms
	// was computed: 3 - 1 - 1 = 1 ms is neither.
	light := seen{CPU: 0.44, Compute: 0.2, Seconds: 4, Rows: 200, Batches: 200, P50: 3e-3}
	// Under load: 1.14 s, 0.5 in the model, 0.04 idle: 0.6 s for 2000 requests in 2000 batches, 0.3 ms; and 1.04 s, 0.6 in
	// the model: 0.4 s for 2000 requests in 500 batches, 0.2 ms. So a batch takes 0.1/0.75 = 0.1333 ms, a request the rest
	// of 0.2 ms, less a quarter of that: 0.1667 ms.
	load := []seen{
		{CPU: 1.14, Compute: 0.5, Seconds: 4, Rows: 2000, Batches: 2000},
		{CPU: 1.04, Compute: 0.6, Seconds: 4, Rows: 2000, Batches: 500},
	}
	got := calibrated(s, rest, light, load)
	if math.Abs(got.Idle-0.01) > 1e-12 || math.Abs(got.Path-0.5e-3/3) > 1e-9 || math.Abs(got.PerBatch-0.4e-3/3) > 1e-9 || math.Abs(got.Reach-1e-3-0.5e-3/3) > 1e-9 {
		t.Errorf("%+v, want 0.01 cores idle, a path of 0.167 ms, 0.133 ms a batch and a reach of 1.167 ms", got)
	}
	// A third one between them, 1.04 s, 0.5 in the model, for 2000 requests in 1250 batches: on the line, 0.25 ms, and 0.01 ms above it. The
	// line through all three is as steep, for 1250 is their mean, and higher by a third of 0.01 ms.
	for _, above := range []float64{0, 0.01e-3} {
		three := append(slices.Clone(load), seen{CPU: 1.04 + 2000*above, Compute: 0.5, Seconds: 4, Rows: 2000, Batches: 1250})
		if path, batch := besideOf(three, 0.01); math.Abs(path-0.5e-3/3-above/3) > 1e-9 || math.Abs(batch-0.4e-3/3) > 1e-9 {
			t.Errorf("%g s a request and %g s a batch where one is %g s above the line", path, batch, above)
		}
	}
	load[1] = load[0] // batches of one size tell nothing of a batch: 0.3 ms less the usual
	if path, batch := besideOf(load, 0.01); batch != capacity.PerBatch || math.Abs(path-0.3e-3+capacity.PerBatch) > 1e-9 {
		t.Errorf("%g s a request and %g s a batch", path, batch)
	}
}

// TestService: the windows of all looks make one curve, 220 us of one row and 420 us of eleven: 200 us and 20 us a row. What
// the server published and held is the last look's.
func TestService(t *testing.T) {
	look := func(rows, us, published, memory float64) lesson {
		line := curve.Line{Fixed: published * 1e-6}
		return lesson{
			Windows: []seen{{Batches: 100, Rows: 100 * rows, Compute: 100 * us * 1e-6, CPU: 0.1, Seconds: 1}},
			Curve:   curve.Curve{CPU: line, Wall: line, Samples: 1}, Memory: memory,
		}
	}
	s := survey{Rest: seen{Seconds: 1}, Classes: map[string]class{"mlp": {}}}
	got := s.service(scenario{Model: "mlp"}, []lesson{look(1, 220, 300, 7), look(11, 420, 400, 8)}, standard{})
	if l := got.Curve.CPU; math.Abs(l.At(1)-220e-6)+math.Abs(l.At(6)-320e-6)+math.Abs(l.At(11)-420e-6) > 1e-12 {
		t.Errorf("%+v", l)
	}
	if math.Abs(got.Published.CPU.At(1)-400e-6) > 1e-12 || got.Memory != 8 {
		t.Errorf("published %+v, %d bytes", got.Published.CPU, got.Memory)
	}
}

// TestStandard: usual is the geometric mean, and believed what both computations say.
func TestStandard(t *testing.T) {
	for _, tt := range []struct {
		name               string
		all                []pace
		believed, slowness float64 // of the last
	}{
		{"both say alike", []pace{{1, 10}, {4, 40}}, 1, 2},
		{"only one says it", []pace{{1, 10}, {4, 10}}, 0, 1},
		// Logarithms, in ln 2: +-1 and +-1/2. Covariance 1/2 of each, their mean is +-3/4: (1/2)/(9/16) = 8/9 is believed. The last
		// takes 2 and 1.414 times as long, 1.682 in the mean, of which the power of 8/9 is 1.587.
		{"one says less of it", []pace{{1, 10}, {4, 20}}, 8.0 / 9, 1.5874},
		{"the contrary", []pace{{1, 40}, {4, 10}}, 0, 1},
		{"all alike", []pace{{3, 30}, {3, 30}}, 0, 1},
	} {
		s := standardOf(tt.all)
		if got := s.slowness(tt.all[len(tt.all)-1]); math.Abs(s.Believed-tt.believed) > 1e-9 || math.Abs(got-tt.slowness) > 1e-4 {
			t.Errorf("%s: %g believed, %g times as slow; want %g and %g", tt.name, s.Believed, got, tt.believed, tt.slowness)
		}
	}
	s := standardOf([]pace{{1, 10}, {4, 40}})
	w := seen{CPU: 4, Compute: 2, P50: 8, P99: 9}
	w.Air.During = pace{4, 40}
	if got := s.even(w); math.Abs(got.CPU-2)+math.Abs(got.Compute-1)+math.Abs(got.P50-4) > 1e-9 || got.P99 != 9 {
		t.Errorf("%+v of a core that is twice as slow as usual", got)
	}
	if got := (standard{}).even(w); got != w {
		t.Errorf("%+v where nothing is usual", got)
	}
}

// TestForeseen: of three repeats' predictions the one in the middle, as corrected; of two the lower, so that one says it.
func TestForeseen(t *testing.T) {
	says := func(ms int, full bool) []vision {
		v := vision{P99: capacity.Estimate{Value: time.Duration(ms) * time.Millisecond}}
		v.Ours.P99.Value, v.Ours.Full = time.Second, full
		return []vision{v}
	}
	all := &tuner{visions: [][]vision{says(3, false), says(1, true), says(2, false)}}
	if got := all.foreseen(0).answer().p99; got != 3e-3 {
		t.Errorf("%g s, want 3 ms: after 2 ms, and before a server that is full", got)
	}
	all.visions = all.visions[:2]
	if got := all.foreseen(0).answer().p99; got != 3e-3 {
		t.Errorf("%g s of two repeats", got)
	}
}

// TestFollowed: a queue at a quota is at rest within 1/(1-share)² periods of 0.1 s: at 0.8 within 2.5 s, the whole window;
// that of a core within milliseconds.
func TestFollowed(t *testing.T) {
	half := place{Cores: 0.5}
	for _, tt := range []struct {
		name string
		o    outcome
		want bool
	}{
		{"at rest", outcome{place: half, P99: 0.1, AsRun: 0.39}, true},
		{"not within the window", outcome{place: half, P99: 0.1, AsRun: 0.41}, false},
		{"a whole core", outcome{place: place{Cores: 1}, P99: 0.1, AsRun: 0.94}, true},
		{"at its limit", outcome{place: place{Cores: 1}, P99: 0.1, AsRun: 0.96}, false},
		{"a growing queue", outcome{place: half, P99: 1.1, AsRun: 0.39}, false},
		{"refusals", outcome{place: half, P99: 0.1, AsRun: 0.39, Bad: 0.02}, false},
	} {
		tt.o.Window = 2500 * time.Millisecond
		if got := tt.o.followed(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestSetting: half a core is a limit; a whole one is all there is.
func TestSetting(t *testing.T) {
	if at := (place{8, time.Millisecond, 0.5}).setting(); at.Limit != 500 || at.CPU != 500 || at.Instances != 1 {
		t.Errorf("%+v", at)
	}
	if at := (place{8, time.Millisecond, 1}).setting(); at.Limit != 0 || at.CPU != 1000 {
		t.Errorf("%+v", at)
	}
}
