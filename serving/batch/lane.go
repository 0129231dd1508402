package batch

import "time"

// lane holds the requests of one shape, first come first served in each class.
type lane[T comparable] struct {
	shape    string
	classes  [classes]fifo[T]
	rows     int
	requests int
	bytes    int64
	due      time.Duration // no entry's is before it
	stale    bool          // due is of an entry that left
	newest   time.Duration // arrival of the newest
	seen     float64       // weight of the arrivals here, on the scale that arrivals had in the era
	era      int
}

// fifo is a queue in a slice whose memory is used again.
type fifo[T comparable] struct {
	entries []entry[T]
	head    int
	rows    int
	credit  int // sixteenths of rows that it may take before its turn
}

type entry[T comparable] struct {
	of       T
	from, to int // rows that wait; none: it was dropped
	bytes    int64
	arrived  time.Duration
	budget
}

// cut is what take knows of a batch beside its spans.
type cut struct {
	ends     int // requests whose last row is in it
	deadline time.Duration
}

func (f *fifo[T]) push(e entry[T]) {
	if f.head > 0 && len(f.entries) == cap(f.entries) && f.head >= len(f.entries)/2 {
		n := copy(f.entries, f.entries[f.head:])
		clear(f.entries[n:])
		f.entries, f.head = f.entries[:n], 0
	}
	f.entries = append(f.entries, e)
	f.rows += e.to - e.from
}

// first is the entry whose turn it is, nil if none waits. It forgets those before it that were dropped.
func (f *fifo[T]) first() *entry[T] {
	for f.head < len(f.entries) {
		if e := &f.entries[f.head]; e.from < e.to {
			return e
		}
		f.pop()
	}
	return nil
}

func (f *fifo[T]) pop() {
	f.entries[f.head] = entry[T]{}
	if f.head++; f.head == len(f.entries) {
		f.entries, f.head = f.entries[:0], 0
		if cap(f.entries) > 4096 {
			f.entries = nil // a burst's memory is not kept
		}
	}
}

// catchUp shrinks what was seen as arrivals did since.
func (l *lane[T]) catchUp(era int) {
	for ; l.era < era && l.seen > 0; l.era++ {
		l.seen *= shrink
	}
	l.era = era
}

func (l *lane[T]) push(r Request[T], now time.Duration, b budget) {
	l.classes[r.Class].push(entry[T]{of: r.Of, to: r.Rows, bytes: r.Bytes, arrived: now, budget: b})
	l.rows += r.Rows
	l.bytes += r.Bytes
	l.requests++
	l.due = min(l.due, b.due)
	l.newest = now
}

// tightest is the earliest time at which an entry should be computed.
func (l *lane[T]) tightest() time.Duration {
	if !l.stale {
		return l.due
	}
	l.due, l.stale = never, false
	for c := range l.classes {
		f := &l.classes[c]
		for i := f.head; i < len(f.entries); i++ {
			if e := &f.entries[i]; e.from < e.to {
				l.due = min(l.due, e.due)
			}
		}
	}
	return l.due
}

// oldest is the arrival of the oldest entry.
func (l *lane[T]) oldest() time.Duration {
	oldest := never
	for c := range l.classes {
		if e := l.classes[c].first(); e != nil {
			oldest = min(oldest, e.arrived)
		}
	}
	return oldest
}

// deadline is the tightest of those whose turn it is in their classes.
func (l *lane[T]) deadline() time.Duration {
	tightest := never
	for c := range l.classes {
		if e := l.classes[c].first(); e != nil {
			tightest = min(tightest, e.deadline)
		}
	}
	return tightest
}

// turn orders lanes that are ready: by arrival, where default rows let interactive ones pass that came one
// latency objective later, and bulk rows four. So the pressing shapes come first and no shape starves.
func (l *lane[T]) turn(slo time.Duration) time.Duration {
	turn := never
	for c, grace := range graces(slo) {
		if e := l.classes[c].first(); e != nil {
			turn = min(turn, e.arrived+grace)
		}
	}
	return turn
}

// graces are how much longer each class may wait than an interactive request.
func graces(slo time.Duration) [classes]time.Duration {
	if slo == 0 {
		slo = 50 * time.Millisecond
	}
	return [...]time.Duration{Default: slo, Interactive: 0, Bulk: 4 * slo}
}

func (l *lane[T]) byClass() (rows [classes]int) {
	for c := range l.classes {
		rows[c] = l.classes[c].rows
	}
	return rows
}

// take moves up to size rows into b, those of better classes first but for what the others are owed.
func (l *lane[T]) take(size int, now time.Duration, b *Batch[T]) cut {
	c := cut{deadline: never}
	size = min(size, l.rows)
	b.Spans = make([]Span[T], 0, min(size, l.requests))
	owed := l.owed(size)
	for _, class := range served() {
		owed[class] = 0
		room := size - b.Rows - owed[Interactive] - owed[Default] - owed[Bulk]
		before := b.Rows
		l.fill(class, room, now, b, &c, false)
		l.classes[class].credit = max(0, l.classes[class].credit-16*(b.Rows-before))
	}
	return c
}

// takeOne moves up to most rows of one request into b: of the one that has waited longest for its class.
func (l *lane[T]) takeOne(most int, slo, now time.Duration, b *Batch[T]) cut {
	c := cut{deadline: never}
	for b.Rows == 0 && l.rows > 0 {
		class, turn := Default, never
		for k, grace := range graces(slo) {
			if e := l.classes[k].first(); e != nil && e.arrived+grace < turn {
				class, turn = Class(k), e.arrived+grace
			}
		}
		e := l.classes[class].first()
		l.fill(class, min(most, e.to-e.from), now, b, &c, true)
	}
	return c
}

// owed is how many rows of each class must be in a batch of size rows although better classes wait.
func (l *lane[T]) owed(size int) (rows [classes]int) {
	left := size
	for _, s := range [...]struct {
		class Class
		share int // in sixteenths
	}{{Bulk, 1}, {Default, 4}} {
		f := &l.classes[s.class]
		if f.rows == 0 {
			f.credit = 0
			continue
		}
		f.credit += s.share * size
		rows[s.class] = min(f.credit/16, f.rows, left)
		left -= rows[s.class]
	}
	return rows
}

// fill moves up to room rows of a class into b; alone, of the first request only. Rows whose deadline passed
// are moved away.
func (l *lane[T]) fill(class Class, room int, now time.Duration, b *Batch[T], c *cut, alone bool) {
	f := &l.classes[class]
	for e := f.first(); e != nil && room > 0; e = f.first() {
		if e.expires <= now {
			b.Expired = append(b.Expired, e.of)
			l.gone(f, e)
			f.pop()
			if alone {
				return
			}
			continue
		}
		n := min(room, e.to-e.from)
		b.Spans = append(b.Spans, Span[T]{Of: e.of, From: e.from, To: e.from + n})
		c.deadline = min(c.deadline, e.deadline)
		b.Rows += n
		room -= n
		f.rows -= n
		l.rows -= n
		if e.from += n; e.from == e.to {
			c.ends++
			l.gone(f, e)
			f.pop()
		}
	}
}

// gone takes an entry out of the sums; its rows that still wait are lost.
func (l *lane[T]) gone(f *fifo[T], e *entry[T]) {
	f.rows -= e.to - e.from
	l.rows -= e.to - e.from
	l.bytes -= e.bytes
	l.requests--
	l.stale = l.stale || e.due <= l.due
	e.from = e.to
	if l.rows == 0 {
		l.due, l.stale = never, false
	}
}

func (l *lane[T]) drop(of T) (class Class, rows int, bytes int64, ok bool) {
	for c := range l.classes {
		f := &l.classes[c]
		for i := f.head; i < len(f.entries); i++ {
			e := &f.entries[i]
			if e.of == of && e.from < e.to {
				rows, bytes = e.to-e.from, e.bytes
				l.gone(f, e)
				e.of = *new(T)
				f.first()
				return Class(c), rows, bytes, true
			}
		}
	}
	return 0, 0, 0, false
}
