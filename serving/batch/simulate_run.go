package batch

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

// simulation is a trial under way.
type simulation struct {
	Trial
	machine
	queue    *Queue[int]
	start    time.Time // of virtual time
	look     bool      // the queue is to be asked
	woke     bool      // by the timer
	due      time.Duration
	wake     time.Duration // when the queue is to be asked again: at due, or when the timer goes off
	next     Arrival       // of the open loop
	open     bool          // there is a next
	callers  arrivalHeap   // of the closed loop
	running  []computing
	requests []simulated
	free     []int // places in requests that may be used again
	came     int   // requests so far
	called   int   // of them, or about to come, in the closed loop
	first    time.Duration
	result   Result
}

type simulated struct {
	arrival Arrival
	left    int  // rows that have not run
	lost    bool // some of them never will
	closed  bool // its client calls again
	skip    bool // its latency does not count
}

type computing struct {
	batch Batch[int]
	end   time.Duration // in work
}

// arrivalHeap has the earliest arrival first.
type arrivalHeap []Arrival

func (h arrivalHeap) Len() int           { return len(h) }
func (h arrivalHeap) Less(i, j int) bool { return h[i].At < h[j].At }
func (h arrivalHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *arrivalHeap) Push(x any)        { *h = append(*h, x.(Arrival)) }
func (h *arrivalHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func newSimulation(t Trial) *simulation {
	t.Instances = max(1, t.Instances)
	s := &simulation{Trial: t, machine: newMachine(t), queue: New[int](t.Limits, t.Instances), start: time.Unix(0, 0), due: never, wake: never}
	if !t.Blind {
		s.queue.SetCurve(t.believed())
	}
	for range min(t.Clients, t.Requests) {
		s.call(0)
	}
	s.draw()
	return s
}

// believed is the curve that the batcher goes by.
func (t Trial) believed() curve.Curve {
	if t.Believed.Known() {
		return t.Believed
	}
	return t.Curve
}

// draw takes the next request of the open loop.
func (s *simulation) draw() {
	if s.Next != nil {
		s.next, s.open = s.Next()
	}
}

// call lets a client of the closed loop think and call.
func (s *simulation) call(at time.Duration) {
	if s.called >= s.Requests {
		return
	}
	s.called++
	heap.Push(&s.callers, Arrival{At: at + s.Think(), Rows: 1})
}

// event is a kind of thing that happens.
type event uint8

const (
	nothing event = iota
	arrival
	caller // an arrival of the closed loop
	batchEnd
	pathEnd
	wakeUp
	period
)

// step goes to the next thing that happens; false: nothing does any more.
func (s *simulation) step() bool {
	what, which, at := s.upcoming()
	if what == nothing {
		return false
	}
	s.advance(max(s.now, at))
	s.look, s.woke = true, what == wakeUp
	switch what {
	case batchEnd:
		s.done(which)
	case pathEnd:
		s.look = s.passed(which) || s.gate > 0 || s.due <= s.now
	case arrival:
		a := s.next
		s.draw()
		s.arrive(a, false)
	case caller:
		s.arrive(heap.Pop(&s.callers).(Arrival), true)
	case period:
		s.look = false
	}
	s.pace(len(s.running))
	return true
}

// upcoming is the next thing that happens, which of its kind, and when. Of things at the same time a batch ends
// first, then somebody comes, then the queue is asked.
func (s *simulation) upcoming() (what event, which int, at time.Duration) {
	at = never
	if s.open {
		what, at = arrival, s.next.At
	}
	if len(s.callers) > 0 && s.callers[0].At < at {
		what, at = caller, s.callers[0].At
	}
	for i := range s.running {
		if t := s.at(s.running[i].end); t <= at && t < never {
			what, which, at = batchEnd, i, t
		}
	}
	for i := range s.serving {
		if t := s.at(s.serving[i].end); t < at {
			what, which, at = pathEnd, i, t
		}
	}
	if t := s.turn(); t < at {
		what, at = period, t
	}
	if s.wake < at {
		what, at = wakeUp, s.wake
	}
	return what, which, at
}

func (s *simulation) arrive(a Arrival, closed bool) {
	if s.came == 0 {
		s.first = a.At
	}
	r := simulated{arrival: a, left: a.Rows, closed: closed, skip: s.came < s.Skip}
	s.came++
	id := len(s.requests)
	if n := len(s.free); n > 0 {
		id, s.free = s.free[n-1], s.free[:n-1]
		s.requests[id] = r
	} else {
		s.requests = append(s.requests, r)
	}
	if s.Path[0] > 0 {
		s.look = false
		s.enter(job{id: id, work: seconds(s.Path[0])})
		return
	}
	s.push(id)
}

// passed ends a request's work beside the model and reports whether it is in the queue now.
func (s *simulation) passed(which int) bool {
	j := s.leave(which)
	s.result.CPUSeconds += j.work.Seconds()
	if j.after {
		s.answer(j.id)
		return false
	}
	s.push(j.id)
	return true
}

func (s *simulation) push(id int) {
	a := s.requests[id].arrival
	r := Request[int]{Of: id, Rows: a.Rows, Class: a.Class, Shape: a.Shape, Arrived: s.start.Add(s.now)}
	if a.Deadline > 0 {
		r.Deadline = r.Arrived.Add(a.Deadline)
	}
	if refusal, ok := s.queue.Push(r).(*Refusal); ok {
		s.result.Shed[refusal.Reason]++
		s.again(id, max(refusal.RetryAfter, time.Millisecond))
	}
}

// again lets the client of a request, which is over, call again after a while.
func (s *simulation) again(id int, after time.Duration) {
	if s.requests[id].closed {
		s.call(s.now + after)
	}
	s.free = append(s.free, id)
}

// dispatch starts the batches that are ready while instances are free.
func (s *simulation) dispatch() {
	s.due, s.wake = never, never
	for len(s.running) < s.Instances && !s.gathers() {
		b, ready, at := s.queue.Next(s.start.Add(s.now))
		for _, id := range b.Expired {
			s.lose(id)
		}
		if !ready {
			if !at.IsZero() {
				s.due = at.Sub(s.start)
				s.wake = s.timer(s.due)
			}
			break
		}
		s.run(b)
	}
	s.pace(len(s.running))
}

// timer is when a timer for due goes off.
func (s *simulation) timer(due time.Duration) time.Duration {
	if s.Grain == 0 || due <= s.now {
		return due
	}
	return s.now + (due-s.now+s.Grain-1)/s.Grain*s.Grain
}

// gathers reports whether a batch that is ready, and has room, lets requests go first that are on their path.
func (s *simulation) gathers() bool {
	if s.gate > 0 {
		if s.ended < s.gate {
			return true
		}
		s.gate = 0
		return false
	}
	there := s.there()
	if there == 0 || s.queue.Rows() >= s.Limits.MaxBatchSize {
		return false
	}
	if ready, _ := s.queue.Ready(s.start.Add(s.now)); !ready {
		return false
	}
	s.gate = s.ended + there
	return true
}

func (s *simulation) lose(id int) {
	r := &s.requests[id]
	if r.lost {
		return
	}
	r.lost = true
	s.result.Expired++
	if r.closed {
		s.call(s.now) // its place is not used again: rows of it may still run
	}
}

func (s *simulation) run(b Batch[int]) {
	share := 1.0
	if s.Jitter != nil {
		share = s.Jitter()
	}
	overhead := s.Overhead
	if s.woke {
		overhead += s.Waking
		s.result.Woken++
		s.woke = false // the next batch finds it awake
	}
	wall := seconds(s.Curve.Wall.At(float64(b.Rows))*share + overhead)
	s.result.Busy += wall
	s.result.CPUSeconds += s.Curve.CPU.At(float64(b.Rows))*share + overhead
	s.result.Batches++
	s.result.Rows += b.Rows
	s.result.Went[b.Why]++
	s.running = append(s.running, computing{b, s.work + wall})
}

func (s *simulation) done(i int) {
	b := s.running[i].batch
	s.running = slices.Delete(s.running, i, i+1)
	s.queue.Done(b.ID, s.start.Add(s.now))
	for _, span := range b.Spans {
		r := &s.requests[span.Of]
		if r.left -= span.Rows(); r.left > 0 || r.lost {
			continue
		}
		if s.Path[1] > 0 {
			s.enter(job{id: span.Of, work: seconds(s.Path[1]), after: true})
		} else {
			s.answer(span.Of)
		}
	}
}

func (s *simulation) answer(id int) {
	r := &s.requests[id]
	latency := s.now - r.arrival.At + s.Reach
	if !r.skip {
		s.count(r.arrival, latency)
	}
	s.again(id, 0)
}

func (s *simulation) count(a Arrival, latency time.Duration) {
	if s.Each != nil {
		s.Each(a, latency)
	} else {
		s.result.Latencies = append(s.result.Latencies, latency)
	}
	if most := cmp.Or(a.Deadline, s.Limits.SLO); most == 0 || latency <= most {
		s.result.Within++
	}
}

func (s *simulation) finish() {
	slices.Sort(s.result.Latencies)
	if s.came > 0 {
		s.result.Span = s.now - s.first
	}
}
