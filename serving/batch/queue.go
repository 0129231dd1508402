package batch

import (
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// Queue holds requests and cuts them into batches. A request larger than a batch is spread over several,
// and the rest of a batch is filled from the next request. Times must not go back. A Queue is not safe for
// concurrent use.
type Queue[T comparable] struct {
	limits    Limits
	instances int
	curve     curve.Curve
	plan      plan
	flushed   bool

	base    time.Time // times are kept as durations since then
	lanes   []*lane[T]
	byShape map[string]*lane[T]
	waiting [classes]int // rows
	bytes   int64

	inside  arrivals // how many requests are queued or running, and how others come then
	running []running
	id      uint64
	probe   probe
	caution float64 // how much more than usual is reserved
	why     Why
}

// running is a batch that was given out and is not done.
type running struct {
	id   uint64
	ends int           // requests that leave with it
	end  time.Duration // predicted
	slo  time.Duration // when the SLO of its oldest request is over
}

// New returns an empty queue whose batches are run by instances workers at once. The limits must have
// passed Check.
func New[T comparable](l Limits, instances int) *Queue[T] {
	q := &Queue[T]{limits: l, instances: max(instances, 1), byShape: map[string]*lane[T]{}, inside: newArrivals(), probe: newProbe()}
	q.plan = planOf(l, q.curve)
	return q
}

// SetLimits makes l, which must have passed Check, bound the batches and pushes from now on. Nobody
// who waits is sent away: where more rows wait than l lets in, only new requests are refused.
func (q *Queue[T]) SetLimits(l Limits) {
	q.limits = l
	q.plan = planOf(l, q.curve)
}

// SetInstances tells how many batches may run at once.
func (q *Queue[T]) SetInstances(n int) { q.instances = max(n, 1) }

// SetCurve tells what batches cost. Without a curve nothing is refused for being late.
func (q *Queue[T]) SetCurve(c curve.Curve) {
	q.curve = c
	q.plan = planOf(q.limits, c)
}

// Flush makes every batch go at once from now on: a drain waits for nobody.
func (q *Queue[T]) Flush() { q.flushed = true }

// Rows is the number of rows that wait.
func (q *Queue[T]) Rows() int { return q.waiting[Default] + q.waiting[Interactive] + q.waiting[Bulk] }

// Bytes is what the requests hold that have rows waiting.
func (q *Queue[T]) Bytes() int64 { return q.bytes }

// Push puts a request at the end of its class, or returns the *Refusal that says why not. It refuses whole
// requests only.
func (q *Queue[T]) Push(r Request[T]) error {
	now := q.since(r.Arrived)
	q.inside.advance(now)
	q.inside.arrive()
	own := q.budget(r.Deadline, now)
	if refusal := q.refuse(need{r.Rows, r.Bytes, r.Class, r.Shape}, own, now); refusal != nil {
		return refusal
	}
	l := q.lane(r.Shape)
	l.catchUp(q.inside.era)
	l.seen += q.inside.weight
	l.push(r, now, q.aimed(own, r.Due, now))
	q.waiting[r.Class] += r.Rows
	q.bytes += r.Bytes
	q.inside.enter()
	return nil
}

// Room returns what Push would answer to a request of so many rows, without pushing it.
func (q *Queue[T]) Room(rows int, class Class, deadline, now time.Time) error {
	at := q.since(now)
	if refusal := q.refuse(need{rows: rows, class: class}, q.budget(deadline, at), at); refusal != nil {
		return refusal
	}
	return nil
}

// since is t on the queue's own clock.
func (q *Queue[T]) since(t time.Time) time.Duration {
	if q.base.IsZero() {
		q.base = t
	}
	return t.Sub(q.base)
}

// Ready says what Next would, without taking the batch: whether one is ready, and if not, when to look
// again; zero: when something changes.
func (q *Queue[T]) Ready(now time.Time) (ready bool, at time.Time) {
	l, _, next := q.pick(q.since(now))
	return l != nil, q.time(next)
}

// Next takes the next batch, which counts as running until Done. If none is ready, look again at at, or
// when something changes; zero: only when something changes. Rows whose deadline passed are never in a
// batch; the requests that lost some are in b.Expired, which may hold some even when no batch is ready.
// The spans are the caller's.
func (q *Queue[T]) Next(now time.Time) (b Batch[T], ready bool, at time.Time) {
	for {
		l, why, next := q.pick(q.since(now))
		if l == nil {
			return b, false, q.time(next)
		}
		if q.take(l, why, q.since(now), &b); b.Rows > 0 {
			return b, true, time.Time{}
		}
	}
}

// time is a time on the queue's clock as a time; never is zero.
func (q *Queue[T]) time(at time.Duration) time.Time {
	if at == never {
		return time.Time{}
	}
	return q.base.Add(at)
}

// pick is the lane whose batch goes now, and why; or nil and when to look again.
func (q *Queue[T]) pick(now time.Duration) (best *lane[T], why Why, next time.Duration) {
	next = never
	q.inside.advance(now)
	for _, l := range q.lanes {
		if l.rows == 0 {
			continue
		}
		switch w, at := q.judge(l, now); {
		case at > now:
			next = min(next, at)
		case best == nil || l.turn(q.limits.SLO) < best.turn(q.limits.SLO):
			best, why = l, w
		}
	}
	return best, why, next
}

// take moves a batch out of the lane.
func (q *Queue[T]) take(l *lane[T], why Why, now time.Duration, b *Batch[T]) {
	before, waiting, expired := l.bytes, l.byClass(), len(b.Expired)
	oldest := l.oldest()
	var cut cut
	if q.limits.Alone {
		cut = l.takeOne(q.plan.most, q.limits.SLO, now, b)
	} else {
		cut = l.take(q.size(l, now), now, b)
	}
	for c, rows := range l.byClass() {
		q.waiting[c] -= waiting[c] - rows
	}
	q.bytes -= before - l.bytes
	for range len(b.Expired) - expired {
		q.inside.leave()
	}
	if q.idle(l); b.Rows == 0 {
		return
	}
	q.id++
	b.ID, b.Shape, b.Deadline, b.Why = q.id, l.shape, q.time(cut.deadline), why
	q.running = append(q.running, running{id: q.id, ends: cut.ends, end: now + q.wall(b.Rows), slo: oldest + q.limits.SLO})
	q.why = why
	q.probe.went(why, q.inside.came)
}

// Done tells that a batch has run.
func (q *Queue[T]) Done(id uint64, now time.Time) {
	q.inside.advance(q.since(now))
	i := slices.IndexFunc(q.running, func(r running) bool { return r.id == id })
	if i < 0 {
		return
	}
	for range q.running[i].ends {
		q.inside.leave()
	}
	if q.limits.SLO > 0 && !q.limits.Static {
		q.learn(q.running[i].slo - q.since(now))
	}
	q.running = slices.Delete(q.running, i, i+1)
}

// Drop removes the rows of a request that still wait and returns how many they were.
func (q *Queue[T]) Drop(of T) int {
	for _, l := range q.lanes {
		if class, rows, bytes, ok := l.drop(of); ok {
			q.waiting[class] -= rows
			q.bytes -= bytes
			q.inside.leave()
			q.idle(l)
			return rows
		}
	}
	return 0
}

// spare is how many lanes may stand empty, so that their memory is used again.
const spare = 8

func (q *Queue[T]) lane(shape string) *lane[T] {
	l, ok := q.byShape[shape]
	if !ok {
		l = &lane[T]{shape: shape, due: never}
		q.byShape[shape] = l
		q.lanes = append(q.lanes, l)
	}
	return l
}

// idle forgets a lane that is empty when many lanes stand about: clients choose shapes, and their number
// must not grow.
func (q *Queue[T]) idle(l *lane[T]) {
	if l.rows > 0 || len(q.lanes) <= spare {
		return
	}
	delete(q.byShape, l.shape)
	i := slices.Index(q.lanes, l)
	q.lanes[i] = q.lanes[len(q.lanes)-1]
	q.lanes[len(q.lanes)-1] = nil
	q.lanes = q.lanes[:len(q.lanes)-1]
}

// State is what the queue decides with, for people.
type State struct {
	Enough   int     // rows that are waited for at most
	Most     int     // rows that are put into a batch at most
	Inside   int     // requests queued or running
	Rate     float64 // requests a second that are expected with so many inside
	Last     Why     // why the last batch went
	Predicts bool    // there is a curve
}

// Explain is what the queue decides with now.
func (q *Queue[T]) Explain() State {
	return State{
		Enough: q.plan.enough, Most: q.plan.most, Inside: q.inside.level,
		Rate: q.inside.rate(), Last: q.why, Predicts: q.curve.Known(),
	}
}
