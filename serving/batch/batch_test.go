package batch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// push is one request: its name, its arrival in milliseconds and its rows.
type push struct {
	name string
	at   int
	rows int
}

func ms(n int) time.Time { return time.UnixMilli(int64(n)) }

func fill(t *testing.T, l Limits, pushes []push) *Queue[string] {
	t.Helper()
	q := New[string](l)
	for _, p := range pushes {
		if !q.Push(p.name, p.rows, ms(p.at)) {
			t.Fatalf("push %v was refused", p)
		}
	}
	return q
}

// show prints a batch as name[from:to], for short rows in the tables.
func show(spans []Span[string]) string {
	var parts []string
	for _, s := range spans {
		parts = append(parts, fmt.Sprintf("%s[%d:%d]", s.Of, s.From, s.To))
	}
	return strings.Join(parts, " ")
}

func TestReadyAtAndTake(t *testing.T) {
	l := Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100}
	tests := []struct {
		name   string
		pushes []push
		ready  int // milliseconds; -1: nothing waits
		take   string
	}{
		{"nothing waits", nil, -1, ""},
		{"one row waits the whole delay", []push{{"a", 10, 1}}, 15, "a[0:1]"},
		{"the oldest row sets the time", []push{{"a", 10, 1}, {"b", 13, 2}}, 15, "a[0:1] b[0:2]"},
		{"1+3 rows are a full batch: now", []push{{"a", 10, 1}, {"b", 13, 3}}, 10, "a[0:1] b[0:3]"},
		{"2+3 rows: b is cut after 2", []push{{"a", 10, 2}, {"b", 13, 3}}, 10, "a[0:2] b[0:2]"},
		{"9 rows are cut after 4", []push{{"a", 10, 9}}, 10, "a[0:4]"},
	}
	for _, tt := range tests {
		q := fill(t, l, tt.pushes)
		at, ok := q.ReadyAt()
		if ok != (tt.ready >= 0) || ok && !at.Equal(ms(tt.ready)) {
			t.Errorf("%s: ready at %v %v, want %d ms", tt.name, at, ok, tt.ready)
		}
		if got := show(q.Take()); got != tt.take {
			t.Errorf("%s: took %q, want %q", tt.name, got, tt.take)
		}
	}
}

func TestTakeGoesOnWhereItStopped(t *testing.T) {
	q := fill(t, Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100}, []push{{"a", 0, 9}, {"b", 3, 1}, {"c", 4, 2}})
	for _, want := range []string{"a[0:4]", "a[4:8]", "a[8:9] b[0:1] c[0:2]", ""} {
		if got := show(q.Take()); got != want {
			t.Fatalf("took %q, want %q", got, want)
		}
	}
	if q.Rows() != 0 {
		t.Errorf("%d rows left, want 0", q.Rows())
	}
}

func TestPushRefusesWholeRequests(t *testing.T) {
	q := fill(t, Limits{MaxBatchSize: 4, MaxQueueRows: 10}, []push{{"a", 0, 7}})
	if q.Push("b", 4, ms(1)) { // 7 + 4 = 11 > 10
		t.Error("11 rows fitted into 10")
	}
	if q.Push("c", 0, ms(1)) {
		t.Error("a request without rows was taken")
	}
	if !q.Push("d", 3, ms(1)) || q.Rows() != 10 { // 7 + 3 = 10
		t.Errorf("10 rows did not fit into 10: %d rows wait", q.Rows())
	}
}

func TestDrop(t *testing.T) {
	q := fill(t, Limits{MaxBatchSize: 4, MaxQueueRows: 100}, []push{{"a", 0, 6}, {"b", 1, 2}, {"c", 2, 2}})
	q.Take() // a[0:4]
	if n := q.Drop("a"); n != 2 {
		t.Errorf("dropped %d rows of a, want the 2 that still waited", n)
	}
	if n := q.Drop("a"); n != 0 {
		t.Errorf("dropped %d rows of a again, want 0", n)
	}
	if got := show(q.Take()); got != "b[0:2] c[0:2]" || q.Rows() != 0 {
		t.Errorf("took %q with %d rows left, want b and c", got, q.Rows())
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	err := Limits{MaxBatchSize: 0, MaxQueueDelay: -1, MaxQueueRows: -1}.Check()
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 3 {
		t.Errorf("%d faults, want 3: %v", n, err)
	}
	if err := (Limits{MaxBatchSize: 1, MaxQueueRows: 1}).Check(); err != nil {
		t.Errorf("the smallest limits are refused: %v", err)
	}
}

// TestEveryRowOnceInOrder is the property: whatever is pushed, taken and dropped, each accepted row
// that was not dropped leaves exactly once, in order, and no batch is too large.
func TestEveryRowOnceInOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := Limits{MaxBatchSize: 1 + r.IntN(8), MaxQueueRows: 8 + r.IntN(40)}
		q := New[int](l)
		var want, got []string
		for id := range 60 {
			if rows := 1 + r.IntN(20); q.Push(id, rows, ms(id)) {
				want = addRows(want, id, 0, rows)
			}
			if r.IntN(6) == 0 {
				want = dropLast(want, id, q.Drop(id))
			}
			for q.Rows() > 0 && r.IntN(3) > 0 {
				got = appendBatch(t, got, q.Take(), l.MaxBatchSize)
			}
		}
		for q.Rows() > 0 {
			got = appendBatch(t, got, q.Take(), l.MaxBatchSize)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("seed %d: rows left as\n%v\nwant\n%v", seed, got, want)
		}
	}
}

// dropLast removes the last n rows: only the newest request is ever dropped in the property.
func dropLast(rows []string, id, n int) []string {
	for range n {
		if !strings.HasPrefix(rows[len(rows)-1], fmt.Sprint(id, ".")) {
			panic("the dropped rows are not the newest") // unreachable unless bug
		}
		rows = rows[:len(rows)-1]
	}
	return rows
}

func addRows(rows []string, id, from, to int) []string {
	for i := from; i < to; i++ {
		rows = append(rows, fmt.Sprint(id, ".", i))
	}
	return rows
}

func appendBatch(t *testing.T, rows []string, spans []Span[int], most int) []string {
	t.Helper()
	n := 0
	for _, s := range spans {
		n += s.Rows()
		rows = addRows(rows, s.Of, s.From, s.To)
	}
	if n < 1 || n > most {
		t.Fatalf("a batch of %d rows, want 1 to %d", n, most)
	}
	return rows
}

// TestSetLimits: 6 rows wait from 10 ms on, under batches of 4 and a delay of 5 ms, when the limits change.
func TestSetLimits(t *testing.T) {
	old := Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100}
	tests := []struct {
		name  string
		to    Limits
		ready int // milliseconds
		take  string
		fits  int // rows of a new request that still fit then
	}{
		{"smaller batches", Limits{2, 5 * time.Millisecond, 100}, 10, "a[0:2] | a[2:4] | a[4:5] b[0:1]", 100},
		{"larger, not full: the oldest row waits its delay", Limits{8, 5 * time.Millisecond, 100}, 15, "a[0:5] b[0:1]", 100},
		{"no delay", Limits{8, 0, 100}, 10, "a[0:5] b[0:1]", 100},
		{"more wait than are let in: all are kept", Limits{4, 5 * time.Millisecond, 5}, 10, "a[0:4] | a[4:5] b[0:1]", 5},
	}
	for _, tt := range tests {
		q := fill(t, old, []push{{"a", 10, 5}, {"b", 13, 1}})
		q.SetLimits(tt.to)
		if at, ok := q.ReadyAt(); !ok || !at.Equal(ms(tt.ready)) {
			t.Errorf("%s: ready at %v %v, want %d ms", tt.name, at, ok, tt.ready)
		}
		if tt.to.MaxQueueRows == 5 && q.Push("c", 1, ms(14)) {
			t.Errorf("%s: a request was let in beside 6 rows, at most 5", tt.name)
		}
		var taken []string
		for q.Rows() > 0 {
			taken = append(taken, show(q.Take()))
		}
		if got := strings.Join(taken, " | "); got != tt.take {
			t.Errorf("%s: took %s, want %s", tt.name, got, tt.take)
		}
		if !q.Push("d", tt.fits, ms(20)) || q.Push("e", 1, ms(20)) {
			t.Errorf("%s: %d rows must fit and not one more", tt.name, tt.fits)
		}
	}
}
