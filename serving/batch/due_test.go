package batch

import (
	"testing"
	"time"
)

// TestDue: who should be answered by some time moves his batch forward, as a deadline would. Unlike with a
// deadline he is neither refused when that cannot be, nor sent away when it is over.
func TestDue(t *testing.T) {
	const never = 1000.0 // ms
	for _, tt := range []struct {
		name          string
		slo           time.Duration
		deadline, due float64 // in ms; 0: none
		goes          float64 // when the batch goes at the latest, as nothing is known of the model
	}{
		{"nobody says anything", 0, 0, 0, never},
		{"only this", 0, 0, 20, 16}, // a fifth is for the way back
		{"before the deadline", 0, 40, 20, 16},
		{"not after the deadline", 0, 20, 40, 16},
		{"before the SLO, half of which is for the batch", 40 * time.Millisecond, 0, 30, 4},
		{"not after the SLO", 40 * time.Millisecond, 0, 90, 12},
	} {
		q := New[string](slo(tt.slo), 1)
		q.push(t, tt.deadline, tt.due)
		l := q.lanes[0]
		if _, at := q.latest(l); q.time(at) != ms(tt.goes) {
			t.Errorf("%s: goes at %s, want %s", tt.name, q.time(at), ms(tt.goes))
		}
		end := 500.0
		if tt.deadline > 0 {
			end = tt.deadline - 1
		}
		if b, ready, _ := q.Next(ms(end)); !ready || b.Rows != 1 || len(b.Expired) > 0 {
			t.Errorf("%s: at %v ms: %d rows, %v expired", tt.name, end, b.Rows, b.Expired)
		}
	}
}

func (q *Queue[T]) push(t *testing.T, deadline, due float64) {
	t.Helper()
	r := Request[T]{Rows: 1, Arrived: ms(0)}
	if deadline > 0 {
		r.Deadline = ms(deadline)
	}
	if due > 0 {
		r.Due = ms(due)
	}
	if err := q.Push(r); err != nil {
		t.Fatal(err)
	}
}

// TestDueRefusesNobody: 64 rows take 6 ms.
func TestDueRefusesNobody(t *testing.T) {
	for _, by := range []string{"deadline", "due"} {
		q := New[string](slo(0), 1)
		q.SetCurve(largeMLP())
		r := Request[string]{Rows: 64, Arrived: ms(0), Deadline: ms(3)}
		if by == "due" {
			r.Deadline, r.Due = ms(100), ms(3)
		}
		if err := q.Push(r); (err != nil) != (by == "deadline") {
			t.Errorf("%s in 3 ms: %v", by, err)
		}
	}
}
