package usage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// now is how the hand-computed tests read: nothing is late.
var now = ReaderOptions{Step: time.Minute, Interval: 15 * time.Second, Settle: -1}

// line is a sample as one short text: second of its end, pod/container, signal, mean, max, N.
func line(s fleet.Sample) string {
	return fmt.Sprintf("%d %s/%s %s %.6g %.6g %d", int(s.At.Sub(t0).Seconds()), s.Pod, s.Container, s.Signal, s.Mean, s.Max, s.N)
}

func lines(in []fleet.Sample) []string {
	var out []string
	for _, s := range in {
		out = append(out, line(s))
	}
	return out
}

// counter is a scraped series of pod a, a reading every 15 s from second 0 on.
func counter(name string, extra []string, values ...float64) []reading {
	b := labels.NewBuilder(labels.FromStrings(append([]string{model.MetricNameLabel, name}, extra...)...))
	origin{ref: web, pod: "a"}.label(b)
	var out []reading
	for i, v := range values {
		r := reading{series: b.Labels(), at: sec(15 * i), value: v}
		if v < 0 {
			r.end = true
		}
		out = append(out, r)
	}
	return out
}

func code(c string) []string { return []string{"code", c, "model", "m", "version", "1"} }

const end = -1 // a stale marker

// Windows are (0, 60], (60, 120]; a rate looks at (-15, 60], (45, 120].
func TestQueriesByHand(t *testing.T) {
	cases := []struct {
		name string
		in   []reading
		want []string
	}{
		// (0.1+0.2+0.3+0.4)/4; the reading at 60 belongs to the window that ends there.
		{"gauge", []reading{cpu(15, .1), cpu(30, .2), cpu(45, .3), cpu(60, .4), cpu(75, .9)},
			[]string{"60 a/main cpu 0.25 0.4 4", "120 a/main cpu 0.9 0.9 1"}},
		{"gap", []reading{cpu(15, .1), cpu(190, .3)}, []string{"60 a/main cpu 0.1 0.1 1", "240 a/main cpu 0.3 0.3 1"}},
		{"zero is a reading", []reading{cpu(15, 0)}, []string{"60 a/main cpu 0 0 1"}},
		{"stale marker", []reading{cpu(15, .1), {series: inMain(seriesCPU), at: sec(61), end: true}},
			[]string{"60 a/main cpu 0.1 0.1 1"}},
		{"duplicate time", []reading{cpu(15, .1), cpu(15, .1), cpu(15, .7), cpu(10, .7)}, []string{"60 a/main cpu 0.1 0.1 1"}},
		{"memory", []reading{{series: inMain(seriesMemory), at: sec(20), value: 1 << 30}}, []string{"60 a/main memory 1.07374e+09 1.07374e+09 1"}},

		// 120 gained in 60 s, stretched to the 75 s of the range and divided by them: 2 a second.
		{"counter", counter("modelserver_requests_total", code("200"), 1000, 1030, 1060, 1090, 1120),
			[]string{"60 a/ requests 2 2 5"}},
		// 30 + 30, then from zero: 10 + 30 + 30 = 130 in 60 s.
		{"counter reset", counter("modelserver_requests_total", code("200"), 1000, 1030, 1060, 10, 40, 70)[:5],
			[]string{"60 a/ requests 1.66667 1.66667 5"}},
		{"idle is zero, not absent", counter("modelserver_requests_total", code("200"), 7, 7, 7, 7, 7), []string{"60 a/ requests 0 0 5"}},
		{"one reading is no rate", counter("modelserver_requests_total", code("200"), 1000), nil},
		// 2 a second of 200, and of 503 60 in 60 s: 1 a second.
		{"all codes count", append(counter("modelserver_requests_total", code("200"), 1000, 1030, 1060, 1090, 1120),
			counter("modelserver_requests_total", code("503"), 5000, 5015, 5030, 5045, 5060)...), []string{"60 a/ requests 3 3 5"}},
		// A marker in place of a reading: 1000, 1030, 1090, 1120 remain, still 120 in 60 s.
		{"marker within", counter("modelserver_requests_total", code("200"), 1000, 1030, end, 1090, 1120), []string{"60 a/ requests 2 2 4"}},
		{"the first source counts", append(counter("modelserver_requests_total", code("200"), 1000, 1030, 1060, 1090, 1120),
			counter("http_requests_total", nil, 1000, 2000, 3000, 4000, 5000)...), []string{"60 a/ requests 2 2 5"}},
		{"a name with colons", counter(":tensorflow:serving:request_count", nil, 1000, 1030, 1060, 1090, 1120), []string{"60 a/ requests 2 2 5"}},

		// 12 s for 120 requests: 0.1 s each.
		{"latency", append(counter("model_prediction_latency_seconds_sum", []string{"model_version", "1", "endpoint", "infer"}, 100, 103, 106, 109, 112),
			counter("model_prediction_latency_seconds_count", []string{"model_version", "1", "endpoint", "infer"}, 1000, 1030, 1060, 1090, 1120)...),
			[]string{"60 a/ latency 0.1 0.1 5", "60 a/ requests 2 2 5"}},
		{"no requests, no latency", append(counter("model_prediction_latency_seconds_sum", nil, 1, 1, 1, 1, 1),
			counter("model_prediction_latency_seconds_count", nil, 9, 9, 9, 9, 9)...), []string{"60 a/ requests 0 0 5"}},
		// 12,000,000 us for 120 requests.
		{"latency in microseconds", append(counter("nv_inference_request_duration_us", nil, 1e8, 1.03e8, 1.06e8, 1.09e8, 1.12e8),
			counter("nv_inference_request_success", nil, 1000, 1030, 1060, 1090, 1120)...),
			[]string{"60 a/ latency 0.1 0.1 5", "60 a/ requests 2 2 5"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := openAt(t, "", nil)
			put(t, s, c.in...)
			got := lines(samples(t, NewReader(s, now), t0.Add(-time.Hour), t0.Add(time.Hour)))
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestSamplesCarryTheirOrigin(t *testing.T) {
	s := openAt(t, "", nil)
	ref := fleet.Ref{Cluster: "west", Namespace: "ns", Kind: "StatefulSet", Name: "db"}
	put(t, s, reading{series: origin{ref, "db-0", "main", "db:2"}.series(seriesCPU), at: sec(30), value: 2})
	want := fleet.Sample{Ref: ref, Pod: "db-0", Container: "main", Image: "db:2", Signal: fleet.CPU,
		At: t0.Add(time.Minute), Window: time.Minute, Mean: 2, Max: 2, N: 1}
	got := samples(t, NewReader(s, now), t0, t0.Add(time.Hour))
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// A read ends in (since, until], at whole steps, and only where the window has settled.
func TestWindowsOfARead(t *testing.T) {
	s := openAt(t, "", nil)
	for i := range 10 {
		put(t, s, cpu(60*i+30, 1))
	}
	at := func(sec int) time.Time { return t0.Add(time.Duration(sec) * time.Second) }
	cases := []struct {
		name         string
		since, until time.Time
		settle       time.Duration
		first, n     int // the first window's end in seconds, and how many there are
	}{
		{"all", at(-9999), at(9999), -1, 60, 10},
		{"whole steps", at(120), at(240), -1, 180, 2},
		{"since within a window", at(121), at(241), -1, 180, 2},
		{"until just before an end", at(120), at(239), -1, 180, 1},
		{"nothing yet", at(120), at(179), -1, 0, 0},
		{"not settled", at(0), at(240), 0, 60, 3}, // 240 is complete from 285 on
		{"settled", at(0), at(285), 0, 60, 4},
		{"before all", at(-9999), at(-9000), -1, 0, 0},
		{"after all", at(9000), at(9999), -1, 0, 0},
		{"the zero time", time.Time{}, at(9999), -1, 60, 10},
		{"until before since", at(240), at(120), -1, 0, 0},
	}
	for _, c := range cases {
		got := samples(t, NewReader(s, ReaderOptions{Settle: c.settle}), c.since, c.until)
		if len(got) != c.n || c.n > 0 && !got[0].At.Equal(at(c.first)) {
			t.Errorf("%s: %q, want %d from %d on", c.name, lines(got), c.n, c.first)
		}
	}
}

func TestFailedReadIsAnError(t *testing.T) {
	s := openAt(t, "", nil)
	put(t, s, cpu(30, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got, err := all(ctx, NewReader(s, now), t0, clock()); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("cancelled: %v, %v", got, err)
	}
	stop := errors.New("enough")
	if err := NewReader(s, now).Each(context.Background(), t0, clock(), func([]fleet.Sample) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

func TestEveryGapIsExplained(t *testing.T) {
	var sourced []fleet.Signal
	for _, q := range trimtabQueries() {
		if (q.mean == "") == (q.gap == "") || (q.mean == "") != (q.count == "") {
			t.Errorf("%s: mean %q, count %q, gap %q", q.signal, q.mean, q.count, q.gap)
		}
		if q.mean != "" {
			sourced = append(sourced, q.signal)
		}
	}
	if want := []fleet.Signal{fleet.CPU, fleet.Memory, fleet.Requests, fleet.Latency, fleet.GPU, fleet.GPUMemory, fleet.OOM}; !slices.Equal(sourced, want) {
		t.Errorf("sourced %v, want %v", sourced, want)
	}
}

// TestQueriesEqualTheirTwin compares a long read, of several chunks, with sums over the raw readings.
func TestQueriesEqualTheirTwin(t *testing.T) {
	for _, o := range []ReaderOptions{
		{Step: 15 * time.Second, Interval: 15 * time.Second, Settle: -1},
		{Step: time.Minute, Interval: 15 * time.Second, Settle: -1},
		{Step: 7 * time.Minute, Interval: 20 * time.Second, Settle: -1},
	} {
		t.Run(o.Step.String(), func(t *testing.T) {
			s := openAt(t, "", nil)
			raw := wander(2000)
			for chunk := range slices.Chunk(raw, 500) {
				put(t, s, chunk...)
			}
			got := samples(t, NewReader(s, o), t0.Add(-time.Hour), clock())
			want := twin(raw, o)
			if len(got) != len(want) || len(got) < 100 {
				t.Fatalf("%d samples, the twin has %d", len(got), len(want))
			}
			for i := range got {
				if !alike(got[i], want[i]) {
					t.Fatalf("sample %d is %s, the twin's %s", i, line(got[i]), line(want[i]))
				}
			}
		})
	}
}

// Reading in two parts is reading at once, wherever the cut is.
func TestReadsJoinUp(t *testing.T) {
	s := openAt(t, "", nil)
	put(t, s, wander(1000)...)
	r, whole := NewReader(s, now), t0.Add(6*time.Hour)
	want := samples(t, r, t0, whole)
	for _, cut := range []time.Duration{time.Second, time.Hour, 61 * time.Minute, 100*time.Minute + time.Millisecond} {
		got := append(samples(t, r, t0, t0.Add(cut)), samples(t, r, t0.Add(cut), whole)...)
		if !slices.Equal(got, want) {
			t.Errorf("cut at %v: %d samples, at once %d", cut, len(got), len(want))
		}
	}
}

// wander makes n steps of about 15 s of two gauges and a counter, with gaps, resets and markers; the
// numbers come from a fixed linear congruence.
func wander(n int) []reading {
	seed := uint32(7)
	dice := func(sides uint32) uint32 {
		seed = seed*1664525 + 1013904223
		return (seed >> 8) % sides
	}
	gauges := []labels.Labels{inMain(seriesCPU), origin{web, "b", "main", ""}.series(seriesCPU)}
	requests := origin{ref: web, pod: "a"}.series("modelserver_requests_total")
	var out []reading
	count := 0.0
	for i := range n {
		at := sec(15*i) + int64(dice(2000))
		if dice(20) == 0 {
			continue
		}
		for _, g := range gauges {
			if dice(30) > 0 {
				out = append(out, reading{series: g, at: at, value: float64(dice(1000)) / 100, end: dice(40) == 0})
			}
		}
		count += float64(dice(50))
		if dice(50) == 0 {
			count = float64(dice(3))
		}
		out = append(out, reading{series: requests, at: at, value: count})
	}
	return out
}

// twin computes the samples of raw from their definition, window by window.
func twin(raw []reading, o ReaderOptions) []fleet.Sample {
	var out []fleet.Sample
	step := o.Step.Milliseconds()
	by := map[string][]reading{}
	var last int64
	for _, r := range raw {
		last = max(last, r.at)
		if !r.end {
			by[r.series.String()] = append(by[r.series.String()], r)
		}
	}
	for _, series := range by {
		for e := floor(t0, o.Step).UnixMilli(); e <= last+step+o.Interval.Milliseconds(); e += step {
			s := fleet.Sample{Signal: fleet.CPU, At: time.UnixMilli(e)}
			from := e - step
			if series[0].series.Get(model.MetricNameLabel) != seriesCPU {
				s.Signal, from = fleet.Requests, from-o.Interval.Milliseconds()
			}
			in := slices.DeleteFunc(slices.Clone(series), func(r reading) bool { return r.at <= from || r.at > e })
			og := originOf(series[0].series)
			s.Pod, s.Container, s.N = og.pod, og.container, len(in)
			if fillTwin(&s, in, from, e) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, compareSamples)
	return out
}

func fillTwin(s *fleet.Sample, in []reading, from, to int64) bool {
	if s.Signal == fleet.Requests {
		v, ok := twinRate(in, from, to)
		s.Mean, s.Max = v, v
		return ok
	}
	for _, r := range in {
		s.Mean += r.value / float64(len(in))
		s.Max = max(s.Max, r.value)
	}
	return len(in) > 0
}

// twinRate is Prometheus's rate as its documentation tells it: the gain between the first and the last
// reading, resets undone, stretched to the edges of the range where the readings come near them (to
// half a reading's distance otherwise), but on the left no further than to where the counter was zero.
func twinRate(in []reading, from, to int64) (float64, bool) {
	if len(in) < 2 {
		return 0, false
	}
	gain := 0.0
	for i := 1; i < len(in); i++ {
		if d := in[i].value - in[i-1].value; d >= 0 {
			gain += d
		} else {
			gain += in[i].value
		}
	}
	first, last := in[0], in[len(in)-1]
	span := float64(last.at - first.at)
	between := span / float64(len(in)-1)
	left, right := float64(first.at-from), float64(to-last.at)
	if left >= 1.1*between {
		left = between / 2
	}
	if right >= 1.1*between {
		right = between / 2
	}
	if gain > 0 {
		left = min(left, span*first.value/gain)
	}
	return gain * (span + left + right) / span / (float64(to-from) / 1000), true
}

func alike(a, b fleet.Sample) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-9*(1+math.Abs(y)) }
	return a.At.Equal(b.At) && a.Pod == b.Pod && a.Container == b.Container && a.Signal == b.Signal &&
		a.N == b.N && near(a.Mean, b.Mean) && near(a.Max, b.Max)
}
