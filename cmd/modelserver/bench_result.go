package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// benchResult is what bench found. A field that could not be measured is absent from the JSON.
type benchResult struct {
	Loop        string  `json:"loop"` // closed or open
	Rate        float64 `json:"rate,omitempty"`
	Arrivals    string  `json:"arrivals,omitempty"`
	Connections int     `json:"connections"` // of a closed loop; the most of an open one
	Endpoint    string  `json:"endpoint"`
	Body        string  `json:"body"`
	BodyBytes   int     `json:"body_bytes"`
	Rows        int     `json:"rows"` // in one request
	Seconds     float64 `json:"seconds"`

	Requests  int    `json:"requests"`
	OK        int    `json:"ok"`
	Different int    `json:"different"` // answered, and not as --same-as
	Refused   int    `json:"refused"`   // 429 or 503
	Failed    int    `json:"failed"`
	TimedOut  int    `json:"timed_out"`
	Why       string `json:"first_fault,omitempty"` // of the first request that was not answered right

	PerSecond float64  `json:"rps"` // answers with 200 a second
	SLO       float64  `json:"slo_ms"`
	Goodput   float64  `json:"goodput_rps"` // answers within the SLO a second
	LastMiss  *float64 `json:"last_miss_s"` // of the last request outside the SLO, from the beginning

	P50  *float64 `json:"p50_ms"` // from when the request was meant to be sent
	P90  *float64 `json:"p90_ms"`
	P99  *float64 `json:"p99_ms"`
	P999 *float64 `json:"p999_ms"`
	Max  *float64 `json:"max_ms"`

	Cores     *float64 `json:"cores,omitempty"`  // CPU seconds of the server a second
	CPUMicros *float64 `json:"cpu_us,omitempty"` // CPU microseconds of the server for an answer
	MeanBatch *float64 `json:"mean_batch,omitempty"`
	Runtime   *float64 `json:"runtime_share,omitempty"` // of the server's CPU, inside the model
}

// measure warms up, measures and waits for the last answers. A ctx that ends makes the window shorter.
func (b *bencher) measure(ctx context.Context) (benchResult, error) {
	b.from = time.Now().Add(b.warmup)
	b.to = b.from.Add(b.duration)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); b.loop(sending) }()
	begin, err := b.lookAt(ctx, done, b.from, false)
	if err != nil {
		stop()
		<-done
		return benchResult{}, err
	}
	end, err := b.lookAt(ctx, done, b.to, true)
	<-done
	if err == nil && b.found.sent() == 0 {
		err = errors.New("no request was measured; try a longer --duration")
	}
	return b.result(begin, end), err
}

// lookAt looks at a time, or when everything is done.
func (b *bencher) lookAt(ctx context.Context, done <-chan struct{}, at time.Time, last bool) (look, error) {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
	return b.look(context.WithoutCancel(ctx), last)
}

func (b *bencher) result(begin, end look) benchResult {
	f, seconds := b.found, end.at.Sub(begin.at).Seconds()
	r := benchResult{
		Loop: "closed", Connections: b.connections, Endpoint: b.endpoint, Body: b.body, Rows: b.rows, Seconds: seconds,
		Requests: f.sent(), OK: f.answered(), Different: f.counts[different], Refused: f.counts[refused], Failed: f.counts[failed], TimedOut: f.counts[timedOut], Why: f.why,
		PerSecond: float64(f.answered()) / seconds, SLO: millis(b.slo), Goodput: float64(f.within) / seconds,
		P50: f.millisOf(0.5), P90: f.millisOf(0.9), P99: f.millisOf(0.99), P999: f.millisOf(0.999), Max: f.millisOf(1),
	}
	if b.rate > 0 {
		r.Loop, r.Rate, r.Arrivals = "open", b.rate, b.arrivals
	}
	if !f.miss.IsZero() {
		r.LastMiss = new(f.miss.Sub(b.from).Seconds())
	}
	r.usage(b, begin, end)
	return r
}

// usage fills in what the server used.
func (r *benchResult) usage(b *bencher, begin, end look) {
	cpu := end.cpu.since(begin.cpu).Seconds()
	if len(b.pids) > 0 {
		r.Cores = new(cpu / r.Seconds)
		if r.OK > 0 {
			r.CPUMicros = new(cpu * 1e6 / float64(r.OK))
		}
	}
	c, was := end.counters, begin.counters
	if c.hasRows && c.batches > was.batches {
		r.MeanBatch = new((c.rows - was.rows) / (c.batches - was.batches))
	}
	if c.hasCompute && cpu > 0 {
		r.Runtime = new((c.compute - was.compute) / cpu)
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (f *findings) millisOf(q float64) *float64 { return f.times.millisOf(q) }

// millisOf is a quantile in milliseconds, nil when there are none.
func (l *latencies) millisOf(q float64) *float64 {
	d, ok := l.quantile(q)
	if !ok {
		return nil
	}
	return new(millis(d))
}

// table is the result for people.
func (r benchResult) table() string {
	var s strings.Builder
	row := func(name, format string, a ...any) {
		fmt.Fprintf(&s, "%-12s"+format+"\n", append([]any{name}, a...)...)
	}
	if r.Loop == "open" {
		row("open loop", "%g requests/s, %s arrivals, at most %d connections, %.1f s", r.Rate, r.Arrivals, r.Connections, r.Seconds)
	} else {
		row("closed loop", "%d connections, %.1f s", r.Connections, r.Seconds)
	}
	row("request", "%s, %s, %d rows, %d bytes", r.Endpoint, r.Body, r.Rows, r.BodyBytes)
	row("sent", "%d: %d ok, %d refused, %d failed, %d timed out, %d not the same", r.Requests, r.OK-r.Different, r.Refused, r.Failed, r.TimedOut, r.Different)
	if r.Why != "" {
		row("first fault", "%s", r.Why)
	}
	row("answers", "%.1f/s, of them %.1f/s within %g ms", r.PerSecond, r.Goodput, r.SLO)
	row("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s ms", in(r.P50, 1, 2), in(r.P90, 1, 2), in(r.P99, 1, 2), in(r.P999, 1, 2), in(r.Max, 1, 2))
	if r.Cores != nil {
		row("server CPU", "%s cores, %s us an answer", in(r.Cores, 1, 3), in(r.CPUMicros, 1, 1))
	}
	if r.MeanBatch != nil {
		row("batch", "%s rows on average", in(r.MeanBatch, 1, 2))
	}
	if r.Runtime != nil {
		row("runtime", "%s %% of the server's CPU", in(r.Runtime, 100, 1))
	}
	return s.String()
}

// in prints a value times a factor, or a dash where there is none.
func in(v *float64, factor float64, digits int) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v*factor, 'f', digits, 64)
}
