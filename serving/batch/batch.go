// Package batch decides dynamic batching: whether a request may come in, when a batch is ready and whose
// rows are in it.
//
// It is arithmetic on values. It reads no clock, starts no goroutine and runs no model: the server
// tells it what arrived and when, and does what it answers; Simulate does the same on virtual time.
package batch

import (
	"errors"
	"fmt"
	"time"
)

// Class says how much a request presses.
type Class uint8

// The classes. The zero value is Default. In a batch, interactive rows come first and bulk rows last, but
// nobody starves: while others wait, default rows get at least a quarter and bulk rows a sixteenth.
const (
	Default Class = iota
	Interactive
	Bulk    // the class "batch": work that nobody sits and waits for
	classes // how many there are
)

// served is the order in which classes fill a batch.
func served() [classes]Class { return [...]Class{Interactive, Default, Bulk} }

// String is the class's name.
func (c Class) String() string { return [...]string{"default", "interactive", "batch"}[c] }

// ParseClass reads a name, or the integer that Triton's clients send: 1 is the most urgent, 0 or nothing
// is Default.
func ParseClass(text string) (Class, bool) {
	switch text {
	case "interactive", "1":
		return Interactive, true
	case "default", "2", "0", "":
		return Default, true
	case "batch", "3":
		return Bulk, true
	}
	return Default, false
}

// Limits are what a person or the tuner sets.
type Limits struct {
	MaxBatchSize  int           // rows in one batch, at least 1
	MaxQueueDelay time.Duration // longest wait for others, from a batch's oldest row; 0 never waits
	SLO           time.Duration // what a request should take from arrival to answer: who would be later is refused, who came in is answered all the same; 0: none
	MaxQueueRows  int           // rows that may wait, at least MaxBatchSize
	MaxQueueBytes int64         // bytes of the requests that wait; 0: no bound
	Static        bool          // wait MaxQueueDelay whatever the load, as other batchers do: for comparison
	Alone         bool          // a batch has rows of one request only, and waits for no other
}

// Check returns every fault of the limits, joined, or nil.
func (l Limits) Check() error {
	var faults []error
	if l.MaxBatchSize < 1 {
		faults = append(faults, fmt.Errorf("max batch size is %d rows; at least 1", l.MaxBatchSize))
	}
	if l.MaxQueueDelay < 0 {
		faults = append(faults, fmt.Errorf("max queue delay is %s; 0 or more", l.MaxQueueDelay))
	}
	if l.SLO < 0 {
		faults = append(faults, fmt.Errorf("latency objective is %s; 0 or more", l.SLO))
	}
	if l.MaxQueueRows < l.MaxBatchSize {
		faults = append(faults, fmt.Errorf("max queue rows is %d; at least the batch size, %d", l.MaxQueueRows, l.MaxBatchSize))
	}
	if l.MaxQueueBytes < 0 {
		faults = append(faults, fmt.Errorf("max queue bytes is %d; 0 or more", l.MaxQueueBytes))
	}
	return errors.Join(faults...)
}

// Request is what somebody wants computed. Of names it.
type Request[T comparable] struct {
	Of       T
	Rows     int
	Bytes    int64  // that it holds while it waits
	Shape    string // a batch is of one shape
	Class    Class
	Arrived  time.Time // now, to Push
	Deadline time.Time // when the answer is worth nothing any more, and is not computed; zero: never
	Due      time.Time // when it should be there, if that is earlier: nobody waits longer for others, or is refused for it; zero: the SLO says it
}

// Span is a run of one request's rows in a batch: rows From (included) to To (excluded).
type Span[T any] struct {
	Of       T
	From, To int
}

// Rows is the number of rows in the span.
func (s Span[T]) Rows() int { return s.To - s.From }

// Batch is what is to be computed now.
type Batch[T any] struct {
	ID       uint64 // for Done
	Spans    []Span[T]
	Expired  []T // requests whose deadline passed while rows of theirs waited: those rows are gone, and somebody is to be told
	Rows     int
	Shape    string
	Deadline time.Time // the tightest; zero: none has one
	Why      Why
}

// Why says why a batch went when it did.
type Why uint8

// The reasons to go.
const (
	Full        Why = iota // no row more fits
	Enough                 // more rows would hardly make a row cheaper
	Deadline               // later would be too late for the tightest deadline
	Delay                  // the oldest row waited MaxQueueDelay
	Alone                  // waiting is off, or batches save nothing here
	NobodyComes            // no other request is expected in time
	StaticDelay            // the fixed wait was over
	Drain                  // nobody is waited for any more
	causes                 // how many there are
)

// String is the reason's name, for metrics.
func (w Why) String() string {
	return [...]string{"full", "enough", "deadline", "delay", "alone", "nobody-comes", "static", "drain"}[w]
}

// Whys are all reasons to go, in order.
func Whys() []Why {
	all := make([]Why, causes)
	for i := range all {
		all[i] = Why(i)
	}
	return all
}

// Reason says why a request is refused.
type Reason uint8

// The reasons to refuse.
const (
	QueueFull Reason = iota // too many rows or bytes wait
	TooLate                 // the predicted finish is after the deadline
	TooLarge                // it never fits, or it has no rows
)

// String is the reason's name, for metrics.
func (r Reason) String() string { return [...]string{"queue-full", "too-late", "too-large"}[r] }

// Refusal is the error of a request that may not come in.
type Refusal struct {
	Reason     Reason
	RetryAfter time.Duration // until there is room, as far as it can be told; 0 with TooLarge: never
}

// Error says why, and when to try again.
func (r *Refusal) Error() string {
	switch r.Reason {
	case TooLarge:
		return "the request has no rows, or more than may ever wait: send fewer at a time"
	case TooLate:
		return fmt.Sprintf("the answer would come after the deadline: try again in %s", r.RetryAfter)
	}
	return fmt.Sprintf("the queue is full: try again in %s", r.RetryAfter)
}
