package batch

import (
	"math"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

const (
	overhead = 30e-6 // CPU seconds that a batch costs beside the model: wake-ups, gathering, handing out
	share    = 0.05  // a batch is large enough when more rows would save less than this share of a row
	gain     = 1.2   // batching pays where a row of the largest batch is so much cheaper than one alone
	chance   = 0.2   // waiting pays while somebody comes in time with this probability
	dear     = 50    // seconds of waiting for the next, on average, that a second of CPU is worth
	most     = 1.5   // how much more than usual is reserved at most
	silence  = 6     // expected gaps without an arrival after which nobody is expected any more
)

// plan is what the limits and the curve say about sizes.
type plan struct {
	enough int  // rows at which a batch goes
	most   int  // rows that a batch takes
	off    bool // batches save nothing: nobody waits
}

func planOf(l Limits, c curve.Curve) plan {
	p := plan{enough: l.MaxBatchSize, most: l.MaxBatchSize}
	if !c.Known() || l.Static {
		return p
	}
	if l.SLO > 0 {
		// A row that comes when a batch has just begun waits for it and then for its own: both must fit.
		p.most = max(1, c.Wall.Within((l.SLO-reserve(l.SLO)).Seconds()/2, l.MaxBatchSize))
	}
	p.enough = c.Enough(p.most, overhead, share)
	alone := c.CPU.At(1) + overhead
	together := (c.CPU.At(float64(p.most)) + overhead) / float64(p.most)
	if p.off = alone < gain*together; p.off {
		p.most = p.enough
	}
	return p
}

// budget is a request's time; never where there is no such end.
type budget struct {
	expires  time.Duration // its own deadline: after it nothing is computed
	deadline time.Duration // the earliest of that, the SLO and what was asked for
	due      time.Duration // when its batch should have run: the rest is for the way back, and for surprises
}

func (q *Queue[T]) budget(deadline time.Time, now time.Duration) budget {
	b := budget{never, never, never}
	if !deadline.IsZero() {
		b.expires = q.since(deadline)
		b.deadline = b.expires
	}
	if q.limits.SLO > 0 && !q.limits.Static {
		b.deadline = min(b.deadline, now+q.limits.SLO)
	}
	if b.deadline < never {
		b.due = b.deadline - q.reserve(b.deadline-now)
	}
	return b
}

// aimed is b for a request that should be answered by due, if it may take as long as that at all.
func (q *Queue[T]) aimed(b budget, due time.Time, now time.Duration) budget {
	if due.IsZero() || q.limits.Static || q.since(due) >= b.deadline {
		return b
	}
	b.deadline = q.since(due)
	b.due = b.deadline - q.reserve(b.deadline-now)
	return b
}

// reserve is the part of a budget that is not spent on waiting: a fifth, at least 1 ms, at most a quarter.
//
//	2 ms: 0.5 ms   5 ms: 1 ms   20 ms: 4 ms
func reserve(budget time.Duration) time.Duration {
	return max(0, min(max(time.Millisecond, budget/5), budget/4))
}

// reserve is what is kept of a budget: more than reserve where answers came late, at most a half.
func (q *Queue[T]) reserve(budget time.Duration) time.Duration {
	return min(time.Duration(float64(reserve(budget))*(1+q.caution)), max(0, budget/2))
}

// learn makes the queue more careful after a batch that ended with less left than a quarter of what was reserved:
// predictions are too good, as on a core that others share. It settles where one batch in twenty does so.
func (q *Queue[T]) learn(left time.Duration) {
	const step, rare = 0.1, 20
	if left < reserve(q.limits.SLO)/4 {
		q.caution = min(q.caution+step, most)
		return
	}
	q.caution = max(0, q.caution-step/rare)
}

// wall is how long a batch of rows rows should run, 0 without a curve.
func (q *Queue[T]) wall(rows int) time.Duration {
	return seconds(q.curve.Wall.At(float64(rows)))
}

func seconds(s float64) time.Duration {
	if s > 1e9 {
		return never / 4
	}
	return time.Duration(s * 1e9)
}

// judge says why the lane's batch goes, and at what time it does; now or earlier is now. A later time may
// come forward when somebody arrives.
func (q *Queue[T]) judge(l *lane[T], now time.Duration) (Why, time.Duration) {
	switch {
	case q.limits.Alone:
		return Alone, now
	case l.rows >= q.plan.most:
		return Full, now
	case q.flushed:
		return Drain, now
	case q.limits.Static:
		return StaticDelay, l.oldest() + q.limits.MaxQueueDelay
	case l.rows >= q.plan.enough:
		return Enough, now
	case q.plan.off || q.limits.MaxQueueDelay == 0:
		return Alone, now
	}
	why, end := q.latest(l)
	if end <= now {
		return why, now
	}
	switch until, waited := q.hope(l, end, now); {
	case waited:
		return why, until
	default:
		return NobodyComes, until
	}
}

// latest is the last moment at which the lane's batch may start.
func (q *Queue[T]) latest(l *lane[T]) (Why, time.Duration) {
	end := l.oldest() + q.limits.MaxQueueDelay
	due := l.tightest()
	if due == never {
		return Delay, end
	}
	run := time.Duration(float64(q.wall(l.rows)) * (1 + q.curve.Error))
	if !q.curve.Known() {
		run = q.limits.SLO / 2 // nothing is known: half is for the batch
	}
	if due-run < end {
		return Deadline, due - run
	}
	return Delay, end
}

// hope is until when somebody may be expected, where the batch may wait until end, and whether that is
// about until end, too.
func (q *Queue[T]) hope(l *lane[T], end, now time.Duration) (until time.Duration, waited bool) {
	if len(q.running) > 0 && !q.inside.elastic() {
		return end, true // who comes whenever he likes loses nothing: a second batch now would split what can be one
	}
	part := 1.0
	if len(q.lanes) > 1 {
		l.catchUp(q.inside.era)
		part = min(1, l.seen/q.inside.count.n)
	}
	if q.curve.Known() && q.saves(l.rows)*dear*q.inside.overall()*part < 1 {
		return now, false // what one more would save is too little for so long a wait
	}
	rate := q.inside.rate() * part
	if q.inside.elastic() && float64(l.requests) > rate*q.saves(l.rows) {
		return now, false
	}
	// The chance that somebody comes in the time left is 1 - exp(-rate*left): too small in the rest.
	rest := seconds(-math.Log(1-chance) / rate)
	if quiet := q.inside.moved + min(seconds(silence/rate), l.lull()); quiet < end-rest {
		until = quiet
	} else {
		until, waited = end-rest, end-rest > l.oldest()
	}
	if until <= now && q.probe.on {
		until = min(end, q.probe.from(now)+seconds(2/(q.inside.overall()*part)))
	}
	return max(now, until), waited
}

// lull is the time without an arrival after which a burst seems to be over: several of the gaps in which
// those who wait came. From few requests it cannot be told: never.
func (l *lane[T]) lull() time.Duration {
	const several = 8
	if l.requests <= several {
		return never / 4
	}
	return several * (l.newest - l.oldest()) / time.Duration(l.requests-1)
}

// saves is the seconds that one more row saves in a batch of rows rows, compared with a batch of its own.
func (q *Queue[T]) saves(rows int) float64 {
	w := q.curve.Wall
	return w.At(float64(rows)) + w.At(1) - w.At(float64(rows+1)) + overhead
}

// size is how many rows the lane's next batch takes at most: fewer than otherwise where the one whose turn
// it is would be too late in a large batch, but in time in one that is large enough.
func (q *Queue[T]) size(l *lane[T], now time.Duration) int {
	if !q.curve.Known() || l.rows <= q.plan.enough {
		return q.plan.most
	}
	fits := q.curve.Wall.Within((l.deadline() - now).Seconds(), q.plan.most)
	if fits < q.plan.enough {
		return q.plan.most
	}
	return fits
}

// probe tries now and then whether somebody would come if he were waited for: what is learned while
// batches run says nothing about longer waits. Where it fails it tries seldom, down to one batch in 1024;
// where it does not, it goes on until that is learned.
type probe struct {
	on    bool
	start time.Duration // of the wait that would not have been without it; 0: none
	count int           // batches that went because nobody comes
	every int
}

const (
	often  = 16
	seldom = 1024
)

func newProbe() probe { return probe{every: often} }

// from is when the probe began to wait: now, if it did not yet.
func (p *probe) from(now time.Duration) time.Duration {
	if p.start == 0 {
		p.start = now
	}
	return p.start
}

// went tells why a batch went, and when the newest request came.
func (p *probe) went(why Why, came time.Duration) {
	switch {
	case p.on && p.start == 0: // it was not needed
	case p.on:
		p.on = came > p.start
		p.start = 0
		if p.every = min(2*p.every, seldom); p.on {
			p.every = often
		}
	case why == NobodyComes:
		if p.count++; p.count >= p.every {
			p.on, p.count = true, 0
		}
	}
}
