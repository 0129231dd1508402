package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// loadReport is what load found, for programs. A field that could not be measured is absent.
type loadReport struct {
	Begun   time.Time `json:"begun"`
	Seconds float64   `json:"seconds"` // in which requests were meant to be sent
	Asked   float64   `json:"asked,omitempty"`
	SLO     float64   `json:"slo_ms,omitempty"`

	Sent   int            `json:"sent"`
	OK     int            `json:"ok"`
	Within *int           `json:"within,omitempty"` // answered 200 within the SLO
	Codes  map[string]int `json:"codes"`

	P50  *float64 `json:"p50_ms,omitempty"` // from when the request was meant to be sent; of answers 200 and of timeouts
	P95  *float64 `json:"p95_ms,omitempty"`
	P99  *float64 `json:"p99_ms,omitempty"`
	P999 *float64 `json:"p999_ms,omitempty"`
	Max  *float64 `json:"max_ms,omitempty"`
	Late *float64 `json:"sent_late_p99_ms,omitempty"` // of it, until the request was sent: the generator's or --max-inflight's

	Windows []reportWindow `json:"windows"`
}

// reportWindow is the requests meant to be sent in a part of the time; parts are --every long.
type reportWindow struct {
	Start  float64  `json:"start_s"` // since begun
	Sent   int      `json:"sent"`
	OK     int      `json:"ok"`
	Within *int     `json:"within,omitempty"`
	P99    *float64 `json:"p99_ms,omitempty"`
}

// record keeps what the report tells beyond the sums.
type record struct {
	begun      time.Time
	every, slo time.Duration

	mu      sync.Mutex
	late    latencies
	windows []recorded
}

// recorded is one window; times are of answers 200 and of timeouts.
type recorded struct {
	sent, ok, within int
	times            []time.Duration
}

// add notes a request that was meant to be sent at a time.
func (r *record) add(meant time.Time, code string, late, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late.add(late)
	i := int(max(meant.Sub(r.begun), 0) / r.every)
	for len(r.windows) <= i {
		r.windows = append(r.windows, recorded{})
	}
	w := &r.windows[i]
	w.sent++
	if code == codeOK || code == codeTimeout {
		w.times = append(w.times, took)
	}
	if code != codeOK {
		return
	}
	w.ok++
	if took <= r.slo {
		w.within++
	}
}

// report is the whole of it, at the end; all are the sums of all requests.
func (r *record) report(all *counts) loadReport {
	out := loadReport{
		Begun: r.begun.UTC(), SLO: millis(r.slo), OK: all.codes[codeOK], Codes: maps.Clone(all.codes), Windows: []reportWindow{},
		P50: all.times.millisOf(0.5), P95: all.times.millisOf(0.95), P99: all.times.millisOf(0.99), P999: all.times.millisOf(0.999),
		Max: all.times.millisOf(1), Late: r.late.millisOf(0.99), Within: r.judged(all.within),
	}
	for _, n := range all.codes {
		out.Sent += n
	}
	for i, w := range r.windows {
		one := reportWindow{Start: (time.Duration(i) * r.every).Seconds(), Sent: w.sent, OK: w.ok, Within: r.judged(w.within)}
		if n := len(w.times); n > 0 {
			slices.Sort(w.times)
			one.P99 = new(millis(w.times[(n*99+99)/100-1]))
		}
		out.Windows = append(out.Windows, one)
	}
	return out
}

// judged is how many were within the SLO, nil where there is none.
func (r *record) judged(n int) *int {
	if r.slo == 0 {
		return nil
	}
	return &n
}

// write puts the report in a file as one line of JSON, on stdout if its name is a dash.
func (r loadReport) write(name string, stdout io.Writer) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if name == "-" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
