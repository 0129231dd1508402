package capacity

import (
	"slices"
	"time"
)

// Reading is what the pods of one server had counted at one moment, added up.
type Reading struct {
	At         time.Time `json:"at"`
	Replicas   int       `json:"replicas"` // pods that were read
	Latency    Histogram `json:"latency"`  // of the requests that were answered
	Errors     int64     `json:"errors"`   // requests that the server refused or failed
	CPUSeconds float64   `json:"cpuSeconds"`
	Memory     int64     `json:"memory"` // bytes held at that moment
}

// Histogram counts latencies in buckets: Counts[i] are above Bounds[i-1] and at most Bounds[i], the
// last of Counts, which has no bound, is all above.
type Histogram struct {
	Bounds []time.Duration `json:"bounds"` // ascending
	Counts []int64         `json:"counts"` // one more than Bounds
}

// Total is the number of latencies.
func (h Histogram) Total() int64 {
	var n int64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Window is what happened between two readings of the same pods.
type Window struct {
	Elapsed    time.Duration
	Replicas   int
	Latency    Histogram
	Errors     int64
	CPUSeconds float64
	Memory     int64 // bytes, the mean of both ends
}

// Since is what happened from an earlier reading on. It is false where the two do not belong together:
// other pods, other buckets, or a count that went back because a process began anew.
func (r Reading) Since(from Reading) (Window, bool) {
	w := Window{
		Elapsed: r.At.Sub(from.At), Replicas: r.Replicas, Errors: r.Errors - from.Errors,
		CPUSeconds: r.CPUSeconds - from.CPUSeconds, Memory: (r.Memory + from.Memory) / 2,
		Latency: Histogram{Bounds: r.Latency.Bounds, Counts: slices.Clone(r.Latency.Counts)},
	}
	same := r.Replicas == from.Replicas && slices.Equal(r.Latency.Bounds, from.Latency.Bounds) &&
		len(r.Latency.Counts) == len(from.Latency.Counts)
	if !same || w.Elapsed < 0 || w.Errors < 0 || w.CPUSeconds < 0 {
		return Window{}, false
	}
	for i, c := range from.Latency.Counts {
		if w.Latency.Counts[i] -= c; w.Latency.Counts[i] < 0 {
			return Window{}, false
		}
	}
	return w, true
}

// Requests is how many requests came, answered or not.
func (w Window) Requests() int64 { return w.Latency.Total() + w.Errors }

// Quantile is the latency that a share of requests kept, as well as buckets tell it.
type Quantile struct {
	At   time.Duration `json:"at"`   // as if latencies were spread evenly over their bucket
	From time.Duration `json:"from"` // the bucket's bounds: the true value is above From
	To   time.Duration `json:"to"`   // and at most To; 0: the bucket has no bound, and At is From
}

// Quantile is the latency that share p of the requests kept, 0.99 for p99. A request without an answer
// counts as slower than any. It is false where no request came. With bounds of 10, 20 and 50 ms:
//
//	counts       p     at
//	90 9 1 0     0.90  10 ms: the 90th of 100 ends the first bucket
//	90 9 1 0     0.99  20 ms: so does the 99th the second
//	90 8 2 0     0.99  35 ms: the 99th is the first of two, halfway between 20 and 50
//	90 8 0 2     0.99  above 50 ms
func (w Window) Quantile(p float64) (Quantile, bool) {
	total := w.Requests()
	if total == 0 {
		return Quantile{}, false
	}
	rank, below := p*float64(total), int64(0)
	var q Quantile
	for i, bound := range w.Latency.Bounds {
		in := w.Latency.Counts[i]
		if in > 0 && float64(below+in) >= rank-1e-9*float64(total) {
			q.To = bound
			part := min(max((rank-float64(below))/float64(in), 0), 1)
			q.At = q.From + time.Duration(part*float64(q.To-q.From))
			return q, true
		}
		below += in
		q.From = bound
	}
	q.At = q.From
	return q, true
}

// within tells whether q keeps a promise; none is kept always.
func (q Quantile) within(promise time.Duration) bool {
	return promise <= 0 || q.To > 0 && q.At <= promise
}

// unsure tells that the promise lies inside the bucket, so that within may be wrong.
func (q Quantile) unsure(promise time.Duration) bool {
	return promise > 0 && q.To > 0 && q.From < promise && promise < q.To
}

// compare orders quantiles, those without a bound last.
func (q Quantile) compare(o Quantile) int {
	switch {
	case q.To == 0 && o.To != 0:
		return 1
	case q.To != 0 && o.To == 0:
		return -1
	}
	return int(q.At - o.At)
}
