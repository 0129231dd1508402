package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"trimtab.dev/trimtab/serving"
)

// Codes of requests that have no HTTP status.
const (
	codeOK      = "200"
	codeTimeout = "timeout"
	codeError   = "error" // no connection, or it broke
)

// counts are the requests of a stretch of time.
type counts struct {
	codes  map[string]int
	times  latencies     // of requests answered 200 and of timeouts: a quick refusal is no latency
	slo    time.Duration // 0: none
	within int           // answered 200 within the SLO
}

func newCounts(slo time.Duration) *counts { return &counts{codes: map[string]int{}, slo: slo} }

func (c *counts) add(code string, took time.Duration) {
	c.codes[code]++
	if code == codeOK && took <= c.slo {
		c.within++
	}
	if code == codeOK || code == codeTimeout {
		c.times.add(took)
	}
}

// String is one line: sent ok failed p50 p95 p99, within if there is an SLO, and the codes of what failed.
func (c *counts) String() string {
	sent, ok := 0, c.codes[codeOK]
	var others []string
	for _, code := range slices.Sorted(maps.Keys(c.codes)) {
		sent += c.codes[code]
		if code != codeOK {
			others = append(others, fmt.Sprintf("%s:%d", code, c.codes[code]))
		}
	}
	line := fmt.Sprintf("sent=%d ok=%d failed=%d", sent, ok, sent-ok)
	for _, q := range []struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}} {
		if d, ok := c.times.quantile(q.q); ok {
			line += fmt.Sprintf(" %s=%s", q.name, d.Round(10*time.Microsecond))
		}
	}
	if c.slo > 0 {
		line += fmt.Sprintf(" within=%d", c.within)
	}
	if len(others) > 0 {
		line += " (" + strings.Join(others, " ") + ")"
	}
	return line
}

// tally counts finished requests: all of them, and those since the last line.
type tally struct {
	mu       sync.Mutex
	all, new *counts

	handler http.Handler // shows metrics
	metrics *serving.LoadMetrics
}

func newTally(slo time.Duration) *tally {
	reg := serving.NewRegistry()
	return &tally{
		all: newCounts(slo), new: newCounts(slo),
		handler: serving.MetricsHandler(reg), metrics: serving.NewLoadMetrics(reg),
	}
}

func (t *tally) add(code string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(code, took)
	t.new.add(code, took)
	t.metrics.Finished(code)
	if code == codeOK || code == codeTimeout {
		t.metrics.Took(took)
	}
}

// window is the line of what finished since the last one.
func (t *tally) window() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := t.new.String()
	t.new = newCounts(t.all.slo)
	return line
}

func (t *tally) total() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.String()
}

func (t *tally) failed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for code, c := range t.all.codes {
		if code != codeOK {
			n += c
		}
	}
	return n
}

// serve shows /metrics on ln until stop is called.
func (t *tally) serve(ln net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.handler)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }() // ends with stop
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		srv.Shutdown(ctx)
		<-done
	}
}
