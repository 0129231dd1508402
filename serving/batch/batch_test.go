package batch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

func ms(n float64) time.Time {
	return time.UnixMilli(1000).Add(time.Duration(n * float64(time.Millisecond)))
}

// push is one request: its name, its arrival in milliseconds and its rows.
type push struct {
	name string
	at   float64
	rows int
}

func fill(t *testing.T, q *Queue[string], pushes ...push) *Queue[string] {
	t.Helper()
	for _, p := range pushes {
		if err := q.Push(Request[string]{Of: p.name, Rows: p.rows, Arrived: ms(p.at)}); err != nil {
			t.Fatalf("push %v: %v", p, err)
		}
	}
	return q
}

// show prints a batch as name[from:to], for short rows in the tables.
func show[T any](spans []Span[T]) string {
	var parts []string
	for _, s := range spans {
		parts = append(parts, fmt.Sprintf("%v[%d:%d]", s.Of, s.From, s.To))
	}
	return strings.Join(parts, " ")
}

// TestStatic: a plain batcher of 4 rows and 5 ms, as others are.
func TestStatic(t *testing.T) {
	l := Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100, Static: true}
	tests := []struct {
		name   string
		pushes []push
		now    float64 // milliseconds
		again  float64 // 0: never
		take   string
		why    Why
	}{
		{"nothing waits", nil, 10, 0, "", 0},
		{"one row waits the whole delay", []push{{"a", 10, 1}}, 14.9, 15, "", 0},
		{"and goes then", []push{{"a", 10, 1}}, 15, 0, "a[0:1]", StaticDelay},
		{"the oldest row sets the time", []push{{"a", 10, 1}, {"b", 13, 2}}, 14, 15, "", 0},
		{"1+3 rows are a full batch: now", []push{{"a", 10, 1}, {"b", 13, 3}}, 13, 0, "a[0:1] b[0:3]", Full},
		{"2+3 rows: b is cut after 2", []push{{"a", 10, 2}, {"b", 13, 3}}, 13, 0, "a[0:2] b[0:2]", Full},
		{"9 rows are cut after 4", []push{{"a", 10, 9}}, 10, 0, "a[0:4]", Full},
	}
	for _, tt := range tests {
		q := fill(t, New[string](l, 1), tt.pushes...)
		b, ready, at := q.Next(ms(tt.now))
		if show(b.Spans) != tt.take || ready != (tt.take != "") || b.Why != tt.why {
			t.Errorf("%s: took %q %v because %s, want %q because %s", tt.name, show(b.Spans), ready, b.Why, tt.take, tt.why)
		}
		if want := tt.again; at.IsZero() != (want == 0) || want != 0 && !at.Equal(ms(want)) {
			t.Errorf("%s: again at %v, want %v ms", tt.name, at, want)
		}
	}
}

func TestSplitGoesOnWhereItStopped(t *testing.T) {
	q := New[string](Limits{MaxBatchSize: 4, MaxQueueRows: 100}, 1)
	fill(t, q, push{"a", 0, 9}, push{"b", 3, 1}, push{"c", 4, 2})
	for _, want := range []string{"a[0:4]", "a[4:8]", "a[8:9] b[0:1] c[0:2]", ""} {
		if b, _, _ := q.Next(ms(5)); show(b.Spans) != want {
			t.Fatalf("took %q, want %q", show(b.Spans), want)
		}
	}
	if q.Rows() != 0 {
		t.Errorf("%d rows left, want 0", q.Rows())
	}
}

// TestRefuse: a queue of 10 rows and 100 bytes before a model of 1 ms a row, 4 rows a batch, with 20 ms for
// a request, of which 4 are kept in reserve.
func TestRefuse(t *testing.T) {
	l := Limits{MaxBatchSize: 4, MaxQueueRows: 10, MaxQueueBytes: 100, SLO: 20 * time.Millisecond}
	line := curve.Line{PerRow: 1e-3}
	tests := []struct {
		name   string
		waits  int // rows
		ask    Request[string]
		reason Reason
		after  time.Duration // -1: it may come in
	}{
		{"no rows", 0, Request[string]{Rows: 0}, TooLarge, 0},
		{"more rows than may wait", 0, Request[string]{Rows: 11}, TooLarge, 0},
		{"more bytes than may wait", 0, Request[string]{Rows: 1, Bytes: 101}, TooLarge, 0},
		{"as many as may", 0, Request[string]{Rows: 10, Bytes: 100}, 0, -1},
		{"8 + 3 rows: one has to go first", 8, Request[string]{Rows: 3}, QueueFull, time.Millisecond},
		{"80 + 21 bytes: all have to go first", 8, Request[string]{Rows: 1, Bytes: 21}, QueueFull, 8 * time.Millisecond},
		{"8 + 2 rows are 10 ms, and 8 ms were enough", 8, Request[string]{Rows: 2, Deadline: ms(10)}, TooLate, 2 * time.Millisecond},
		{"13 ms less a reserve of 2.6", 8, Request[string]{Rows: 2, Deadline: ms(13)}, 0, -1},
		{"interactive rows come first", 8, Request[string]{Rows: 2, Deadline: ms(10), Class: Interactive}, 0, -1},
		{"alone, a reserve is not held", 0, Request[string]{Rows: 4, Deadline: ms(4)}, 0, -1},
		{"alone, but too slow", 0, Request[string]{Rows: 4, Deadline: ms(3)}, TooLate, time.Millisecond},
	}
	for _, tt := range tests {
		q := New[string](l, 1)
		q.SetCurve(curve.Curve{Wall: line, CPU: curve.Line{Fixed: 1e-3}, Samples: 1})
		if tt.waits > 0 {
			fill(t, q, push{"w", 0, tt.waits})
			q.bytes = 80
		}
		tt.ask.Arrived = ms(0)
		rows := q.Rows()
		err := q.Push(tt.ask)
		var r *Refusal
		switch {
		case !errors.As(err, &r) && tt.after >= 0, r != nil && (r.Reason != tt.reason || r.RetryAfter != tt.after):
			t.Errorf("%s: %v, want %s and %s", tt.name, err, tt.reason, tt.after)
		case r != nil && (q.Rows() != rows || r.Error() == ""):
			t.Errorf("%s: %d rows wait after the refusal, want %d", tt.name, q.Rows(), rows)
		}
	}
}

// TestRefuseInstances: two instances share what waits: 16 rows of 1 ms are 8 ms for both, 4 more are 4 ms. Of
// 15 ms 3 are kept. A static queue predicts nothing.
func TestRefuseInstances(t *testing.T) {
	for _, tt := range []struct {
		deadline float64
		static   bool
		in       bool
	}{{15.1, false, true}, {14.9, false, false}, {1, true, true}} {
		q := New[string](Limits{MaxBatchSize: 4, MaxQueueRows: 100, Static: tt.static}, 2)
		q.SetCurve(curve.Curve{Wall: curve.Line{PerRow: 1e-3}, CPU: curve.Line{Fixed: 1e-3}, Samples: 1})
		fill(t, q, push{"w", 0, 16})
		err := q.Push(Request[string]{Of: "a", Rows: 4, Arrived: ms(0), Deadline: ms(tt.deadline)})
		if (err == nil) != tt.in {
			t.Errorf("deadline %v ms, static %v: %v", tt.deadline, tt.static, err)
		}
	}
}

// TestRoomIsPush: Room says what Push then does.
func TestRoomIsPush(t *testing.T) {
	q := New[int](Limits{MaxBatchSize: 8, MaxQueueRows: 50, SLO: 20 * time.Millisecond}, 1)
	q.SetCurve(linear(1e-3, 1e-3))
	for i := range 60 {
		class, rows := Class(i%3), 1+i%4
		room := q.Room(rows, class, time.Time{}, ms(float64(i)/10))
		if err := q.Push(Request[int]{Of: i, Rows: rows, Class: class, Arrived: ms(float64(i) / 10)}); fmt.Sprint(err) != fmt.Sprint(room) {
			t.Errorf("request %d: room %v, push %v", i, room, err)
		}
	}
}

func TestDrop(t *testing.T) {
	q := New[string](Limits{MaxBatchSize: 4, MaxQueueRows: 100}, 1)
	fill(t, q, push{"a", 0, 6}, push{"b", 1, 2}, push{"c", 2, 2})
	b, _, _ := q.Next(ms(3)) // a[0:4]
	if n := q.Drop("a"); n != 2 {
		t.Errorf("dropped %d rows of a, want the 2 that still waited", n)
	}
	if n := q.Drop("a"); n != 0 {
		t.Errorf("dropped %d rows of a again, want 0", n)
	}
	q.Done(b.ID, ms(4))
	if b, _, _ := q.Next(ms(5)); show(b.Spans) != "b[0:2] c[0:2]" || q.Rows() != 0 {
		t.Errorf("took %q with %d rows left, want b and c", show(b.Spans), q.Rows())
	}
	fill(t, q, push{"d", 6, 1}, push{"e", 6, 1}, push{"f", 6, 1})
	if q.Drop("e") != 1 || q.Drop("e") != 0 || q.Drop("") != 0 {
		t.Error("e was not dropped once, or somebody who never came was")
	}
	if s := q.Explain(); s.Inside != 4 {
		t.Errorf("%d requests are inside, want b, c, d and f", s.Inside)
	}
}

// TestExpired: rows whose deadline passed do not run, and their request is named once.
func TestExpired(t *testing.T) {
	q := New[string](Limits{MaxBatchSize: 4, MaxQueueRows: 100}, 1)
	for i, name := range []string{"a", "b", "c"} {
		r := Request[string]{Of: name, Rows: 3, Arrived: ms(float64(i))}
		if name != "b" {
			r.Deadline = ms(10)
		}
		if err := q.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	b, _, _ := q.Next(ms(10))
	if show(b.Spans) != "b[0:3]" || fmt.Sprint(b.Expired) != "[a c]" {
		t.Errorf("took %q, expired %v, want b, and a and c expired", show(b.Spans), b.Expired)
	}
	fill(t, q, push{"d", 11, 1})
	if err := q.Push(Request[string]{Of: "e", Rows: 1, Arrived: ms(11), Deadline: ms(12), Shape: "other"}); err != nil {
		t.Fatal(err)
	}
	q.Next(ms(11))
	if b, ready, _ := q.Next(ms(12)); ready || fmt.Sprint(b.Expired) != "[e]" || b.Rows != 0 {
		t.Errorf("a queue with expired rows only gave %+v %v", b, ready)
	}
}

// TestClasses: 16 rows a batch; interactive rows first, default rows get a quarter, bulk rows a sixteenth.
func TestClasses(t *testing.T) {
	q := New[string](Limits{MaxBatchSize: 16, MaxQueueRows: 1000}, 1)
	for _, r := range []Request[string]{{Of: "b", Class: Bulk}, {Of: "d", Class: Default}, {Of: "i", Class: Interactive}} {
		r.Rows, r.Arrived = 24, ms(0)
		if err := q.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"i[0:11] d[0:4] b[0:1]", "i[11:22] d[4:8] b[1:2]", "i[22:24] d[8:21] b[2:3]", "d[21:24] b[3:16]", "b[16:24]"} {
		if b, _, _ := q.Next(ms(1)); show(b.Spans) != want {
			t.Errorf("took %q, want %q", show(b.Spans), want)
		}
	}
}

// TestShapes: a batch has one shape; the lane of an interactive request goes before older ones, and shapes
// that were seen once do not stay.
func TestShapes(t *testing.T) {
	q := New[int](Limits{MaxBatchSize: 4, MaxQueueRows: 1000}, 1)
	for i := range 100 {
		r := Request[int]{Of: i, Rows: 1, Shape: fmt.Sprint(i / 2), Arrived: ms(float64(i) / 10)}
		if i >= 98 {
			r.Class = Interactive
		}
		if err := q.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		want := fmt.Sprintf("%d[0:1] %d[0:1]", 2*i-2, 2*i-1)
		if i == 0 {
			want = "98[0:1] 99[0:1]"
		}
		if b, _, _ := q.Next(ms(20)); show(b.Spans) != want {
			t.Fatalf("batch %d is %q, want %q", i, show(b.Spans), want)
		}
	}
	if len(q.lanes) > spare || len(q.byShape) != len(q.lanes) {
		t.Errorf("%d lanes of %d shapes are kept, want at most %d", len(q.lanes), len(q.byShape), spare)
	}
}

func TestFlushWaitsForNobody(t *testing.T) {
	q := fill(t, New[string](Limits{MaxBatchSize: 4, MaxQueueDelay: time.Hour, MaxQueueRows: 9, Static: true}, 1), push{"a", 0, 1})
	if _, ready, _ := q.Next(ms(1)); ready {
		t.Fatal("a batch went before its time")
	}
	if q.Flush(); q.Explain().Last != Full {
		t.Errorf("last went because %s before any did", q.Explain().Last)
	}
	if b, ready, _ := q.Next(ms(1)); !ready || b.Why != Drain {
		t.Errorf("a flushed queue gave %+v %v", b, ready)
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	err := Limits{MaxBatchSize: 0, MaxQueueDelay: -1, SLO: -1, MaxQueueRows: -1, MaxQueueBytes: -1}.Check()
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 5 {
		t.Errorf("%d faults, want 5: %v", n, err)
	}
	if err := (Limits{MaxBatchSize: 1, MaxQueueRows: 1}).Check(); err != nil {
		t.Errorf("the smallest limits are refused: %v", err)
	}
}

func TestParseClass(t *testing.T) {
	for text, want := range map[string]Class{"": Default, "0": Default, "1": Interactive, "2": Default, "3": Bulk, "interactive": Interactive, "default": Default, "batch": Bulk} {
		if got, ok := ParseClass(text); !ok || got != want {
			t.Errorf("class %q is %s %v, want %s", text, got, ok, want)
		}
	}
	for c := range classes {
		if got, ok := ParseClass(c.String()); !ok || got != c {
			t.Errorf("class %s is read as %s", c, got)
		}
	}
	if _, ok := ParseClass("urgent"); ok {
		t.Error(`"urgent" is a class`)
	}
}

// TestPlan: how many rows are enough and the most, worked out by hand. With an overhead of 30 us a batch:
//
//	large: (730/b + 85) <= 1.05*(730/64 + 85) = 101.2 from 45; twice 6.14 ms fit into 16 ms
//	large, SLO 8 ms: reserve 1.6, 3.2 ms a batch: 2.5 ms / 85 us = 29 rows; 730/b + 85 <= 1.05*(730/29 + 85) = 115.7 from 24
//	mid: max(50, 12.1b) + 30; 12.1 + 30/b <= 1.05*(12.1 + 30/64) = 13.2 from 28
//	1 ms a row: 30 us are 3 %: batches save nothing
func TestPlan(t *testing.T) {
	tests := []struct {
		name  string
		curve curve.Curve
		slo   time.Duration
		want  plan
	}{
		{"no curve", curve.Curve{}, 20 * time.Millisecond, plan{enough: 64, most: 64}},
		{"large", largeMLP(), 20 * time.Millisecond, plan{enough: 45, most: 64}},
		{"large, no SLO", largeMLP(), 0, plan{enough: 45, most: 64}},
		{"large, tight", largeMLP(), 8 * time.Millisecond, plan{enough: 24, most: 29}},
		{"mid", midMLP(), 5 * time.Millisecond, plan{enough: 28, most: 64}},
		{"no gain", linear(1e-6, 1e-3), 0, plan{enough: 1, most: 1, off: true}},
	}
	for _, tt := range tests {
		if got := planOf(Limits{MaxBatchSize: 64, SLO: tt.slo}, tt.curve); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestReserve(t *testing.T) {
	for budget, want := range map[float64]float64{-1: 0, 2: 0.5, 4: 1, 5: 1, 20: 4, 100: 20} {
		if got := reserve(time.Duration(budget * 1e6)); got != time.Duration(want*1e6) {
			t.Errorf("of %v ms %s are reserved, want %v ms", budget, got, want)
		}
	}
}

func BenchmarkPushNextDone(b *testing.B) {
	for _, size := range []int{1, 32} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			q := New[*int](Limits{MaxBatchSize: size, MaxQueueDelay: time.Millisecond, MaxQueueRows: 4096, SLO: 20 * time.Millisecond}, 1)
			q.SetCurve(linear(0.1e-3, 1e-6))
			now, of := time.Now(), new(int)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(50 * time.Microsecond)
				if err := q.Push(Request[*int]{Of: of, Rows: 1, Arrived: now}); err != nil {
					b.Fatal(err)
				}
				q.Ready(now)
				if i%size == size-1 {
					q.Flush()
					batch, ready, _ := q.Next(now)
					if !ready {
						b.Fatal("no batch")
					}
					q.Done(batch.ID, now)
				}
			}
		})
	}
}
