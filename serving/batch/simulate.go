package batch

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

// Trial is a server and its load, to be tried in virtual time by Simulate.
type Trial struct {
	Limits    Limits
	Instances int
	Curve     curve.Curve    // what batches take; the batcher knows it too
	Blind     bool           // the batcher does not know it
	Jitter    func() float64 // what a batch takes of what the curve says; nil: as it says

	// Next is the open loop: requests in the order of their arrival, until false.
	Next func() (Arrival, bool)

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
	Latencies  []time.Duration // of the requests that were answered, from the least
	Within     int             // of them, within their deadline or the SLO; all where there is none
	Shed       [TooLarge + 1]int
	Expired    int // requests whose deadline passed before their last row ran
	Batches    int
	Rows       int           // in all batches
	Went       [causes]int   // batches by Why
	Busy       time.Duration // that instances computed, all together
	CPUSeconds float64       // by the curve; what a batch costs outside the model is not in it
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
		s.dispatch()
	}
	s.finish()
	return s.result
}

func newSimulation(t Trial) *simulation {
	t.Instances = max(1, t.Instances)
	s := &simulation{Trial: t, queue: New[int](t.Limits, t.Instances), start: time.Unix(0, 0), wake: never}
	s.answered = func(Arrival, time.Duration) {}
	if !t.Blind {
		s.queue.SetCurve(t.Curve)
	}
	for range min(t.Clients, t.Requests) {
		s.call(0)
	}
	s.draw()
	return s
}

// simulation is a trial under way.
type simulation struct {
	Trial
	queue    *Queue[int]
	start    time.Time // of virtual time
	now      time.Duration
	wake     time.Duration // when the queue is to be asked again
	coming   arrivalHeap
	running  []computing
	requests []simulated
	called   int // requests of the closed loop so far
	answered func(Arrival, time.Duration)
	result   Result
}

type simulated struct {
	arrival Arrival
	left    int  // rows that have not run
	lost    bool // some of them never will
	closed  bool // its client calls again
}

type computing struct {
	batch Batch[int]
	end   time.Duration
}

type comingArrival struct {
	Arrival
	closed bool
}

// arrivalHeap has the earliest arrival first.
type arrivalHeap []comingArrival

func (h arrivalHeap) Len() int           { return len(h) }
func (h arrivalHeap) Less(i, j int) bool { return h[i].At < h[j].At }
func (h arrivalHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *arrivalHeap) Push(x any)        { *h = append(*h, x.(comingArrival)) }
func (h *arrivalHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// draw takes the next request of the open loop.
func (s *simulation) draw() {
	if s.Next == nil {
		return
	}
	if a, ok := s.Next(); ok {
		heap.Push(&s.coming, comingArrival{Arrival: a})
	}
}

// call lets a client of the closed loop think and call.
func (s *simulation) call(at time.Duration) {
	if s.called >= s.Requests {
		return
	}
	s.called++
	heap.Push(&s.coming, comingArrival{Arrival: Arrival{At: at + s.Think(), Rows: 1}, closed: true})
}

// step goes to the next thing that happens; false: nothing does any more.
func (s *simulation) step() bool {
	next := never
	if len(s.coming) > 0 {
		next = s.coming[0].At
	}
	first := -1
	for i, r := range s.running {
		if r.end <= next {
			first, next = i, r.end
		}
	}
	switch {
	case s.wake < next:
		s.now, s.wake = max(s.now, s.wake), never
	case next == never:
		return false
	case first >= 0:
		s.now = next
		s.done(first)
	default:
		s.now = next
		s.arrive(heap.Pop(&s.coming).(comingArrival))
	}
	return true
}

func (s *simulation) arrive(a comingArrival) {
	if !a.closed {
		s.draw()
	}
	id := len(s.requests)
	s.requests = append(s.requests, simulated{arrival: a.Arrival, left: a.Rows, closed: a.closed})
	r := Request[int]{Of: id, Rows: a.Rows, Class: a.Class, Shape: a.Shape, Arrived: s.start.Add(s.now)}
	if a.Deadline > 0 {
		r.Deadline = r.Arrived.Add(a.Deadline)
	}
	if refusal, ok := s.queue.Push(r).(*Refusal); ok {
		s.result.Shed[refusal.Reason]++
		s.again(id, max(refusal.RetryAfter, time.Millisecond))
	}
}

// again lets the client of a request call again after a while.
func (s *simulation) again(id int, after time.Duration) {
	if s.requests[id].closed {
		s.call(s.now + after)
	}
}

// dispatch starts the batches that are ready while instances are free.
func (s *simulation) dispatch() {
	s.wake = never
	for len(s.running) < s.Instances {
		b, ready, at := s.queue.Next(s.start.Add(s.now))
		for _, id := range b.Expired {
			s.lose(id)
		}
		if !ready {
			if !at.IsZero() {
				s.wake = at.Sub(s.start)
			}
			return
		}
		s.run(b)
	}
}

func (s *simulation) lose(id int) {
	if !s.requests[id].lost {
		s.requests[id].lost = true
		s.result.Expired++
		s.again(id, 0)
	}
}

func (s *simulation) run(b Batch[int]) {
	share := 1.0
	if s.Jitter != nil {
		share = s.Jitter()
	}
	wall := seconds(s.Curve.Wall.At(float64(b.Rows)) * share)
	s.result.Busy += wall
	s.result.CPUSeconds += s.Curve.CPU.At(float64(b.Rows)) * share
	s.result.Batches++
	s.result.Rows += b.Rows
	s.result.Went[b.Why]++
	s.running = append(s.running, computing{b, s.now + wall})
}

func (s *simulation) done(i int) {
	b := s.running[i].batch
	s.running = slices.Delete(s.running, i, i+1)
	s.queue.Done(b.ID, s.start.Add(s.now))
	for _, span := range b.Spans {
		r := &s.requests[span.Of]
		if r.left -= span.Rows(); r.left == 0 && !r.lost {
			s.answer(span.Of)
		}
	}
}

func (s *simulation) answer(id int) {
	a := s.requests[id].arrival
	latency := s.now - a.At
	s.answered(a, latency)
	s.result.Latencies = append(s.result.Latencies, latency)
	if most := cmp.Or(a.Deadline, s.Limits.SLO); most == 0 || latency <= most {
		s.result.Within++
	}
	s.again(id, 0)
}

func (s *simulation) finish() {
	slices.Sort(s.result.Latencies)
	if len(s.requests) > 0 {
		s.result.Span = s.now - s.requests[0].arrival.At
	}
}
