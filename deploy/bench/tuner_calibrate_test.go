package main

import (
	"math"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

// TestCalibrated: what windows use beside the model is parted by the daemon's own rule; see capacity.CostsOf. The latency that is
// neither computing nor path is that of light load: 0.44 s of CPU, 0.2 in the model, 0.04 idle are 0.2 s for 200 requests, 1 ms. An answer took
// 3 ms, of which 1 ms was computed: 1 ms is left.
func TestCalibrated(t *testing.T) {
	line := curve.Line{Fixed: 100e-6, PerRow: 20e-6}
	s, of := capacity.Service{Curve: curve.Curve{Wall: line, CPU: line, Samples: 100, Largest: 64}}, scenario{Rate: 500, Burst: 1, SLO: time.Second}
	rest, light := seen{CPU: 0.02, Seconds: 2}, seen{CPU: 0.44, Compute: 0.2, Seconds: 4, Rows: 200, Batches: 200, P50: 3e-3}
	const path, batch, wake, idle = 180e-6, 25e-6, 90e-6, 0.01
	places := lessonPlaces()
	window := func(p lessonPlace) seen {
		said := capacity.Predict(onCore(s), p.of(of).load(), p.setting(), of.promise())
		rate := p.of(of).Rate
		batches := rate / said.MeanBatch
		beside := path*rate + batch*batches + wake*said.Woken + idle
		return seen{CPU: 4 * (0.1 + beside), Compute: 0.4, Seconds: 4, Rows: 4 * rate, Batches: 4 * batches}
	}
	var load []seen
	for range 8 {
		for _, p := range places {
			load = append(load, window(p))
		}
	}
	got := calibrated(s, of, places, rest, light, load)
	for what, off := range map[string]float64{
		"path": got.Path/path - 1, "batch": (got.PerBatch - batch) / path, "wake": (got.PerWake - wake) / path, "idle": got.Idle/idle - 1,
		"reach": (got.Reach - got.Path - 1e-3) / 1e-3,
	} {
		if math.Abs(off) > 0.1 {
			t.Errorf("%s is %.2f off: %+v", what, off, got)
		}
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
	s := survey{Places: lessonPlaces()[:1], Rest: seen{Seconds: 1}, Classes: map[string]class{"mlp": {}}}
	got := s.service(scenario{Model: "mlp"}, []lesson{look(1, 220, 300, 7), look(11, 420, 400, 8)}, standard{}, byWindows)
	if l := got.Curve.CPU; math.Abs(l.At(1)-220e-6)+math.Abs(l.At(6)-320e-6)+math.Abs(l.At(11)-420e-6) > 1e-12 {
		t.Errorf("%+v", l)
	}
	if math.Abs(got.Published.CPU.At(1)-400e-6) > 1e-12 || got.Memory != 8 {
		t.Errorf("published %+v, %d bytes", got.Published.CPU, got.Memory)
	}
	last := look(11, 420, 400, 8)
	for us, loaded := range map[float64]curve.Loaded{400: {}, 500: {Wall: curve.Line{Fixed: 1}, CPU: curve.Line{Fixed: 500e-6}}} {
		last.Curve.Loaded = loaded
		got := s.service(scenario{Model: "mlp"}, []lesson{look(1, 220, 300, 7), last}, standard{}, byServer)
		if math.Abs(got.Curve.CPU.At(1)-us*1e-6) > 1e-12 || math.Abs(got.Published.CPU.At(1)-400e-6) > 1e-12 {
			t.Errorf("by its server %+v, which decides by %+v; want %g us", got.Curve.CPU, got.Published.CPU, us)
		}
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
