// Package batch decides dynamic batching: when is a batch ready and whose rows are in it.
//
// It is arithmetic on values. It reads no clock, starts no goroutine and runs no model: the server
// tells it what arrived and when, and does what it answers; a simulator can do the same on virtual
// time.
package batch

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound a batch and the queue before it.
type Limits struct {
	MaxBatchSize  int           // rows in one batch, at least 1
	MaxQueueDelay time.Duration // longest wait to fill a batch, counted from its oldest row; 0 never waits
	MaxQueueRows  int           // rows that may wait, at least MaxBatchSize
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
	if l.MaxQueueRows < l.MaxBatchSize {
		faults = append(faults, fmt.Errorf("max queue rows is %d; at least the batch size, %d", l.MaxQueueRows, l.MaxBatchSize))
	}
	return errors.Join(faults...)
}

// Span is a run of one request's rows in a batch: rows From (included) to To (excluded).
type Span[T comparable] struct {
	Of       T
	From, To int
}

// Rows is the number of rows in the span.
func (s Span[T]) Rows() int { return s.To - s.From }

// Queue holds requests in the order of arrival and cuts them into batches. A request larger than a
// batch is spread over several, and the rest of a batch is filled from the next request. A Queue is
// not safe for concurrent use.
type Queue[T comparable] struct {
	limits  Limits
	waiting []request[T]
	rows    int
}

type request[T comparable] struct {
	of      T
	arrived time.Time
	from    int // rows before it are already taken
	rows    int
}

// New returns an empty queue. The limits must have passed Check.
func New[T comparable](l Limits) *Queue[T] { return &Queue[T]{limits: l} }

// Rows is the number of rows that wait.
func (q *Queue[T]) Rows() int { return q.rows }

// SetLimits makes l, which must have passed Check, bound the batches and pushes from now on. Nobody
// who waits is sent away: where more rows wait than l lets in, only new requests are refused.
func (q *Queue[T]) SetLimits(l Limits) { q.limits = l }

// Push puts a request of rows rows at the end and reports whether it fitted. It refuses whole
// requests only, and those without rows.
func (q *Queue[T]) Push(of T, rows int, arrived time.Time) bool {
	if rows < 1 || rows > q.limits.MaxQueueRows-q.rows {
		return false
	}
	q.waiting = append(q.waiting, request[T]{of: of, arrived: arrived, rows: rows})
	q.rows += rows
	return true
}

// ReadyAt is the earliest time at which the next batch may run; false means that nothing waits.
// A full batch is ready since its oldest row arrived; any other waits until that row is
// MaxQueueDelay old. With a batch of 4 and a delay of 5 ms:
//
//	waiting (arrival: rows)   ready at
//	0 ms: 1                   5 ms
//	0 ms: 1, 3 ms: 2          5 ms
//	0 ms: 1, 3 ms: 3          0 ms, so now
func (q *Queue[T]) ReadyAt() (time.Time, bool) {
	if len(q.waiting) == 0 {
		return time.Time{}, false
	}
	oldest := q.waiting[0].arrived
	if q.rows >= q.limits.MaxBatchSize {
		return oldest, true
	}
	return oldest.Add(q.limits.MaxQueueDelay), true
}

// Take removes and returns the next batch, in the order of arrival, whether ready or not. It is
// empty when nothing waits.
func (q *Queue[T]) Take() []Span[T] {
	var spans []Span[T]
	room, gone := q.limits.MaxBatchSize, 0
	for i := 0; i < len(q.waiting) && room > 0; i++ {
		w := &q.waiting[i]
		n := min(room, w.rows-w.from)
		spans = append(spans, Span[T]{Of: w.of, From: w.from, To: w.from + n})
		w.from += n
		room -= n
		q.rows -= n
		if w.from == w.rows {
			gone++
		}
	}
	q.shift(gone)
	return spans
}

// shift moves the rest to the front and clears the tail, so that finished requests can be freed.
func (q *Queue[T]) shift(n int) {
	left := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
}

// Drop removes the rows of a request that still wait and returns how many they were.
func (q *Queue[T]) Drop(of T) int {
	for i, w := range q.waiting {
		if w.of != of {
			continue
		}
		left := w.rows - w.from
		copy(q.waiting[i:], q.waiting[i+1:])
		clear(q.waiting[len(q.waiting)-1:])
		q.waiting = q.waiting[:len(q.waiting)-1]
		q.rows -= left
		return left
	}
	return 0
}
