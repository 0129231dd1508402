package main

import (
	"sync"
	"time"
)

// outcome is how a request ended.
type outcome int

const (
	right     outcome = iota // answered with 200, and as --same-as says
	different                // answered with 200, and not as --same-as says
	refused                  // 429 or 503
	failed                   // another status, no connection, or a broken one
	timedOut
	outcomes // how many there are
)

// findings gathers how the measured requests ended. It is safe for concurrent use.
type findings struct {
	slo time.Duration

	mu     sync.Mutex
	counts [outcomes]int
	within int       // answered right, within the SLO
	miss   time.Time // when the last request was meant to be sent that was not
	why    string    // what went wrong with the first that was not right
	// times are of requests with an answer and of timeouts: a quick refusal is no latency.
	times latencies
}

func newFindings(slo time.Duration) *findings { return &findings{slo: slo} }

// add writes down a request; why is asked for what went wrong, if it is the first.
func (f *findings) add(o outcome, took time.Duration, meant time.Time, why func() string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[o]++
	if o != right && f.why == "" {
		f.why = why()
	}
	if o == right || o == different || o == timedOut {
		f.times.add(took)
	}
	if o == right && took <= f.slo {
		f.within++
	} else if meant.After(f.miss) {
		f.miss = meant
	}
}

// sent is how many requests there were.
func (f *findings) sent() int {
	n := 0
	for _, c := range f.counts {
		n += c
	}
	return n
}

// answered is how many of them had an answer of the model.
func (f *findings) answered() int { return f.counts[right] + f.counts[different] }
