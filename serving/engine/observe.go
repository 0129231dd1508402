package engine

import (
	"errors"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

// Observer hears what an engine does; metrics hang here. Its methods are called by many goroutines at once,
// outside the engine's locks, and should take well under a microsecond.
type Observer interface {
	// Batch is called after every run of the model, also after one that failed. The slices in it are good during the call.
	Batch(BatchSeen)
	// Request is called when a request was answered or its batch failed.
	Request(RequestSeen)
	// Shed is called when a request was not computed to the end, with one of the reasons below.
	Shed(reason string, class batch.Class)
}

// Reasons why a request was not computed to the end, beside those of batch.Refusal.
const (
	ShedExpired   = "expired"   // its deadline passed while it waited
	ShedCancelled = "cancelled" // its caller went away or ran out of time
	ShedClosed    = "closed"    // the engine no longer takes any
)

// BatchSeen is one run of the model: a batch, or a request of one that failed, computed alone.
type BatchSeen struct {
	Rows, Requests int
	Waits          []time.Duration // of each request: from its arrival until the batch began
	Wall, CPU      time.Duration   // computing: time passed, and CPU time of the thread
	Slack          time.Duration   // what was left at the end until the tightest deadline; with HasDeadline only
	HasDeadline    bool
	Why            batch.Why // it did not wait for more rows
	Again          bool      // the batch had failed, and was told before
	Err            error     // of the model
}

// RequestSeen is one request at its end.
type RequestSeen struct {
	Class       batch.Class
	Queue       time.Duration // until its last rows began to be computed
	Total       time.Duration // until its answer was there
	Slack       time.Duration // what was left until its deadline, or its SLO; with HasDeadline only
	HasDeadline bool
}

// silent is the observer of those who gave none.
type silent struct{}

func (silent) Batch(BatchSeen)          {}
func (silent) Request(RequestSeen)      {}
func (silent) Shed(string, batch.Class) {}

// shedReason is the label of a request that ended with err before it was computed.
func shedReason(err error) string {
	var refusal *batch.Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason.String()
	case errors.Is(err, ErrClosed):
		return ShedClosed
	case errors.Is(err, ErrExpired):
		return ShedExpired
	}
	return ShedCancelled
}
