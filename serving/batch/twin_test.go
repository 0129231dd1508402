package batch

import (
	"slices"
	"testing"
	"time"
)

// twin is the naive queue: every waiting row is written down, and each batch is checked against the list.
type twin struct {
	t       *testing.T
	q       *Queue[int]
	limits  Limits
	now     time.Duration
	rows    []row // that wait, in the order of arrival
	bytes   map[int]int64
	served  map[row]int // how often each ran; the deadline in the key is the request's
	expired map[int]bool
	running []uint64
	ids     int
}

type row struct {
	id, index int
	class     Class
	shape     string
	deadline  time.Duration
}

func (w *twin) time() time.Time { return time.Unix(100, 0).Add(w.now) }

func newTwin(t *testing.T, l Limits, instances int) *twin {
	return &twin{t: t, q: New[int](l, instances), limits: l, bytes: map[int]int64{}, served: map[row]int{}, expired: map[int]bool{}}
}

// waiting are the rows of one shape and class, of those that match.
func (w *twin) waiting(match func(row) bool) (rows []row) {
	for _, r := range w.rows {
		if match(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

func (w *twin) held() (bytes int64) {
	seen := map[int]bool{}
	for _, r := range w.rows {
		if !seen[r.id] {
			bytes += w.bytes[r.id]
		}
		seen[r.id] = true
	}
	return bytes
}

func (w *twin) push(rows int, class Class, shape string, patience time.Duration) {
	w.ids++
	r := Request[int]{Of: w.ids, Rows: rows, Bytes: int64(10 * rows), Class: class, Shape: shape, Arrived: w.time()}
	deadline := never // the SLO ends nothing
	if patience > 0 {
		deadline = w.now + patience
		r.Deadline = r.Arrived.Add(patience)
	}
	full := len(w.rows)+rows > w.limits.MaxQueueRows || w.limits.MaxQueueBytes > 0 && w.held()+r.Bytes > w.limits.MaxQueueBytes
	switch refusal, _ := w.q.Push(r).(*Refusal); {
	case refusal == nil && full, refusal != nil && refusal.Reason != TooLate && !full:
		w.t.Fatalf("push of %d rows beside %d: %v", rows, len(w.rows), refusal)
	case refusal != nil:
		return
	}
	w.bytes[w.ids] = r.Bytes
	for i := range rows {
		w.rows = append(w.rows, row{w.ids, i, class, shape, deadline})
	}
}

// next takes a batch, if one is ready, and checks it.
func (w *twin) next() bool {
	peek, peekAt := w.q.Ready(w.time())
	b, ready, at := w.q.Next(w.time())
	for _, id := range b.Expired {
		w.expire(id)
	}
	if ready != (b.Rows > 0) || !ready && (at.IsZero() != (len(w.rows) == 0) || !at.IsZero() && !at.After(w.time())) {
		w.t.Fatalf("%d rows, ready %v, again at %v of %v, while %d rows wait", b.Rows, ready, at, w.time(), len(w.rows))
	}
	if len(b.Expired) == 0 && (peek != ready || !peekAt.Equal(at) && !ready) {
		w.t.Fatalf("Ready says %v %v, Next %v %v", peek, peekAt, ready, at)
	}
	if !ready {
		return false
	}
	w.running = append(w.running, b.ID)
	w.check(b)
	return true
}

func (w *twin) expire(id int) {
	lost := w.waiting(func(r row) bool { return r.id == id })
	if w.expired[id] || len(lost) == 0 || lost[0].deadline > w.now {
		w.t.Fatalf("request %d with %d rows waiting is expired at %s", id, len(lost), w.now)
	}
	w.expired[id] = true
	w.rows = slices.DeleteFunc(w.rows, func(r row) bool { return r.id == id })
}

func (w *twin) check(b Batch[int]) {
	n, order := 0, -1
	for _, s := range b.Spans {
		first := w.rows[slices.IndexFunc(w.rows, func(r row) bool { return r.id == s.Of })]
		lane := w.waiting(func(r row) bool { return r.shape == b.Shape && r.class == first.class })
		place := slices.Index([]Class{Interactive, Default, Bulk}, first.class)
		if place < order || s.Rows() < 1 {
			w.t.Fatalf("the classes of %v are out of order", b.Spans)
		}
		order = place
		for i := range s.Rows() {
			if r := lane[i]; r.id != s.Of || r.index != s.From+i || r.deadline <= w.now {
				w.t.Fatalf("at %s row %d of %v is in the batch; the first of its class is %+v", w.now, s.From+i, s, r)
			}
			w.served[lane[i]]++
		}
		gone := lane[s.Rows()-1]
		w.rows = slices.DeleteFunc(w.rows, func(r row) bool { return r.id == gone.id && r.index <= gone.index })
		n += s.Rows()
	}
	if n != b.Rows || n > w.limits.MaxBatchSize {
		w.t.Fatalf("a batch of %d rows says %d; at most %d", n, b.Rows, w.limits.MaxBatchSize)
	}
}

func (w *twin) drop(id int) {
	n := len(w.waiting(func(r row) bool { return r.id == id }))
	if got := w.q.Drop(id); got != n {
		w.t.Fatalf("dropped %d rows of %d, %d waited", got, id, n)
	}
	w.rows = slices.DeleteFunc(w.rows, func(r row) bool { return r.id == id })
}

func (w *twin) done(i int) {
	if len(w.running) == 0 {
		return
	}
	i %= len(w.running)
	w.q.Done(w.running[i], w.time())
	w.running = slices.Delete(w.running, i, i+1)
}

func (w *twin) sums() {
	if w.q.Rows() != len(w.rows) || w.q.Bytes() != w.held() {
		w.t.Fatalf("%d rows of %d bytes, want %d of %d", w.q.Rows(), w.q.Bytes(), len(w.rows), w.held())
	}
}

// play turns three bytes a step into calls, and drains the queue at the end.
func play(t *testing.T, data []byte) {
	if len(data) < 3 {
		return
	}
	w := newTwin(t, limitsOf(data[0], data[1]), 1+int(data[2]%3))
	if data[2]&4 != 0 {
		w.q.SetCurve(largeMLP())
	}
	for data = data[3:]; len(data) >= 3; data = data[3:] {
		w.step(data[0], data[1], data[2])
		w.sums()
	}
	w.q.Flush()
	for w.next() {
		w.done(0)
		w.sums()
	}
	if len(w.rows) > 0 {
		t.Fatalf("%d rows wait in a queue that was drained", len(w.rows))
	}
	for len(w.running) > 0 {
		w.done(0)
	}
	if inside := w.q.Explain().Inside; inside != 0 {
		t.Fatalf("%d requests are inside an empty queue", inside)
	}
	for r, n := range w.served {
		if n != 1 {
			t.Fatalf("row %+v ran %d times", r, n)
		}
	}
}

func limitsOf(a, b byte) Limits {
	l := Limits{MaxBatchSize: 1 + int(a%8), MaxQueueDelay: time.Duration(a/8%4) * 2 * time.Millisecond, Static: a&64 != 0}
	l.MaxQueueRows = l.MaxBatchSize + int(b%40)
	l.SLO = time.Duration(b/64) * 8 * time.Millisecond
	if a&128 != 0 {
		l.MaxQueueBytes = 10 * int64(l.MaxBatchSize+int(b%16))
	}
	return l
}

func (w *twin) step(op, a, b byte) {
	switch op % 8 {
	case 0, 1, 2:
		rows := min(1+int(a%20), w.limits.MaxQueueRows)
		if w.limits.MaxQueueBytes > 0 {
			rows = min(rows, int(w.limits.MaxQueueBytes/10))
		}
		w.push(rows, Class(a%3), []string{"", "x", "y"}[b%3], time.Duration(b/3%4)*3*time.Millisecond)
	case 3, 4:
		w.next()
	case 5:
		w.done(int(a))
	case 6:
		w.drop(max(1, w.ids-int(a%10)))
	case 7:
		w.now += time.Duration(a) * 50 * time.Microsecond
		if b%16 == 0 {
			w.limits = limitsOf(a, b)
			w.limits.MaxQueueRows = max(w.limits.MaxQueueRows, 20)
			w.q.SetLimits(w.limits)
			w.q.SetInstances(1 + int(a%2))
		}
	}
}

// TestEveryRowOnceInOrder is the property: whatever is pushed, taken, dropped and set, each accepted row
// that was neither dropped nor too old leaves exactly once, in the order of its class, and no bound is passed.
func TestEveryRowOnceInOrder(t *testing.T) {
	for seed := range uint64(1500) {
		r := random(seed)
		data := make([]byte, 3+3*r.IntN(150))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		play(t, data)
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte{3, 30, 4, 0, 7, 0, 1, 3, 1, 3, 0, 0, 5, 0, 0, 3, 0, 0})    // split over batches
	f.Add([]byte{7, 90, 0, 0, 2, 3, 0, 5, 3, 7, 255, 1, 3, 0, 0, 6, 1, 0})  // expiry, then drop
	f.Add([]byte{75, 39, 1, 0, 1, 0, 7, 20, 16, 0, 9, 2, 3, 0, 0, 4, 0, 0}) // static, limits change
	f.Fuzz(play)
}
