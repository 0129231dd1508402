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
	Answered   int64     `json:"answered"` // the same requests, as another counter has them
	Errors     int64     `json:"errors"`   // requests that the server refused or failed
	Came       int64     `json:"came"`     // requests, whatever became of them: some are the client's own fault
	Rows       int64     `json:"rows"`     // computed
	Batches    int64     `json:"batches"`  // computed
	Busy       float64   `json:"busy"`     // seconds in which batches were computed, over all instances
	Compute    float64   `json:"compute"`  // CPU seconds of the batches
	CPUSeconds float64   `json:"cpuSeconds"`
	Memory     int64     `json:"memory"` // bytes held at that moment by all pods, were each like the one that holds the most
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
	Answered   int64
	Errors     int64
	Came       int64
	Rows       int64
	Batches    int64
	Busy       float64 // seconds, over all instances
	Compute    float64 // CPU seconds
	CPUSeconds float64
	Memory     int64 // bytes, the more of both ends
}

// Since is what happened from an earlier reading on. It is false where the two do not belong together:
// other pods, other buckets, or a count that went back because a process began anew.
func (r Reading) Since(from Reading) (Window, bool) {
	w := Window{
		Elapsed: r.At.Sub(from.At), Replicas: r.Replicas, Answered: r.Answered - from.Answered, Errors: r.Errors - from.Errors, Came: r.Came - from.Came,
		Rows: r.Rows - from.Rows, Batches: r.Batches - from.Batches, Busy: r.Busy - from.Busy, Compute: r.Compute - from.Compute,
		CPUSeconds: r.CPUSeconds - from.CPUSeconds, Memory: max(r.Memory, from.Memory),
		Latency: Histogram{Bounds: r.Latency.Bounds, Counts: slices.Clone(r.Latency.Counts)},
	}
	same := r.Replicas == from.Replicas && slices.Equal(r.Latency.Bounds, from.Latency.Bounds) &&
		len(r.Latency.Counts) == len(from.Latency.Counts)
	if !same || w.Elapsed < 0 || min(w.Answered, w.Errors, w.Came, w.Rows, w.Batches) < 0 || min(w.Busy, w.Compute, w.CPUSeconds) < 0 {
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

// Rate is the requests that came in a second, answered or not.
func (w Window) Rate() float64 { return perSecond(float64(w.Requests()), w.Elapsed) }

func perSecond(n float64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return n / in.Seconds()
}

// Met is the share of the requests that were answered within a time, as if latencies were spread evenly
// over their bucket; 1 where no request came or no time is promised. With bounds of 10, 20 and 50 ms:
//
//	counts      errors  within  share
//	90 8 2 0    0       20 ms   0.98
//	90 8 2 0    0       35 ms   0.99: one of the two
//	90 8 2 0    100     35 ms   0.495
func (w Window) Met(within time.Duration) float64 {
	total := w.Requests()
	if total == 0 || within <= 0 {
		return 1
	}
	met, below := 0.0, time.Duration(0)
	for i, bound := range w.Latency.Bounds {
		switch n := float64(w.Latency.Counts[i]); {
		case bound <= within:
			met += n
		case below < within:
			met += n * float64(within-below) / float64(bound-below)
		}
		below = bound
	}
	return met / float64(total)
}

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

// nearest is the latency nearest to d that the quantile may be: within its bucket nobody knows better.
func (q Quantile) nearest(d time.Duration) time.Duration {
	return min(max(d, q.From), q.To)
}

// within tells whether q keeps a promise; none is kept always.
func (q Quantile) within(promise time.Duration) bool {
	return promise <= 0 || q.To > 0 && q.At <= promise
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
