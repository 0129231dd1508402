package batch

import (
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

// Trial is a server and its load, to be tried in virtual time by Simulate.
//
// What is beside the model is left out where it is zero. A request then takes Path[0] seconds of a core
// before it is in the queue and Path[1] after its last batch; those are served in their order by the
// threads that compute no batch (Instances+1 in all, as the server has), and a batch that has room lets
// those go first that are there when it is ready. Where more threads can run than Processors, all are
// slower by the same factor. Where the pod has used up Cores of a period of 100 ms, it stands still until
// the period ends.
type Trial struct {
	Limits    Limits
	Instances int
	Curve     curve.Curve    // what batches take; the batcher knows it too
	Believed  curve.Curve    // what the batcher goes by instead, where it knows another one
	Blind     bool           // the batcher knows none
	Jitter    func() float64 // what a batch takes of what the curve says; nil: as it says

	Path       [2]float64    // CPU seconds of a request before the queue, and after its last batch
	Overhead   float64       // CPU seconds of a batch beside the model, while its instance is taken
	Waking     float64       // the same, more of a batch that a timer begins: it finds everything asleep
	Reach      time.Duration // what is added to every latency
	Cores      float64       // CPU limit; 0: none
	Processors int           // of the machine; 0: as many as Cores, rounded up, or no bound where that is 0
	Grain      time.Duration // timers end this long, or a multiple, after the last event: those of Go's runtime are 1 ms apart; 0: in time

	// Next is the open loop: requests in the order of their arrival, until false.
	Next func() (Arrival, bool)
	Skip int                          // requests of the beginning that are in no latency
	Each func(Arrival, time.Duration) // is told each latency, in the order of the answers, instead of Result.Latencies; nil: nobody

	// Clients is the closed loop: so many callers each wait for an answer, think, and call again with one
	// row, Requests times in all.
	Clients  int
	Requests int
	Think    func() time.Duration
}

// Arrival is a request of the open loop.
type Arrival struct {
	At       time.Duration
	Rows     int
	Class    Class
	Shape    string
	Deadline time.Duration // after At; 0: none of its own
}

// Result is what a trial came to.
type Result struct {
	Latencies  []time.Duration // of the requests that were answered, from the least; none with Each
	Within     int             // of them, within their deadline or the SLO; all where there is none
	Shed       [TooLarge + 1]int
	Expired    int // requests whose deadline passed before their last row ran
	Batches    int
	Woken      int           // of them, begun by a timer
	Rows       int           // in all batches
	Went       [causes]int   // batches by Why
	Busy       time.Duration // that instances computed, all together
	CPUSeconds float64       // by the curve, with Path and Overhead
	Span       time.Duration // from the first arrival to the last answer
}

// Quantile is the latency that a share p (0 to 1) of the answered requests did not exceed, 0 if none was.
func (r Result) Quantile(p float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(len(r.Latencies)-1, int(p*float64(len(r.Latencies))))]
}

// Mean is the mean latency of the answered requests.
func (r Result) Mean() time.Duration {
	var sum time.Duration
	for _, l := range r.Latencies {
		sum += l
	}
	return sum / time.Duration(max(1, len(r.Latencies)))
}

// MeanBatch is the mean number of rows in a batch.
func (r Result) MeanBatch() float64 { return float64(r.Rows) / float64(max(1, r.Batches)) }

// BusyShare is the share of the time that an instance computed, of instances.
func (r Result) BusyShare(instances int) float64 {
	return r.Busy.Seconds() / r.Span.Seconds() / float64(max(1, instances))
}

// Rate is the number of answered requests a second.
func (r Result) Rate() float64 { return float64(len(r.Latencies)) / r.Span.Seconds() }

// Simulate runs a trial with the batcher's own code. The same trial gives the same result if its functions
// give the same numbers.
func Simulate(t Trial) Result {
	s := newSimulation(t)
	for s.step() {
		if s.look {
			s.dispatch()
		}
	}
	s.finish()
	return s.result
}
