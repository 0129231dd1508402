package capacity

import (
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// waiting is an oracle whose tail is so many times the delay, and whose pods use less the longer it is: 400m, and 20m
// less for each millisecond.
func waiting(times float64) oracle {
	return oracle{func(_ Service, _ Load, at Setting, _ fleet.SLO) Prediction {
		delay := at.Delay.Seconds() * 1000
		return Prediction{Cores: (0.4 - 0.02*delay) * float64(at.Replicas), Tail: Estimate{Value: seconds(times * delay / 1000)}, Closed: true}
	}, exact, 0}
}

// TestFiner: within an SLO of 20 ms the room has delays of 12.5 and 15 ms. Half-way are 13.75 ms, and from there 13.15 or 14.4.
func TestFiner(t *testing.T) {
	const us = time.Microsecond
	for _, tt := range []struct {
		name  string
		times float64
		room  func(*Question)
		want  time.Duration
	}{
		{"15 ms do", 1.3, func(*Question) {}, 15 * ms},
		{"13.75 ms do, and 14.4", 1.35, func(*Question) {}, 14_400 * us},
		{"13.75 ms do, and 14.4 not", 1.4, func(*Question) {}, 13_750 * us},
		{"13.75 ms do not, and 13.15 do", 1.5, func(*Question) {}, 13_150 * us},
		{"neither", 1.6, func(*Question) {}, 12_500 * us},
		{"no longer one may be chosen", 1.4, func(q *Question) { q.Room.MaxDelay = 11_400 * us }, 11_400 * us},
		{"all that may be chosen is too long", 1.4, func(q *Question) { q.Room.MaxDelay = 14_800 * us }, 14_250 * us}, // 13.65, then 14.25
		{"none may be chosen", 1.4, func(q *Question) { q.Room.MaxDelay, q.Now.Delay = 0, 3*ms }, 3 * ms},
		{"a longer one saves nothing", 1.4, func(q *Question) { q.Room.CPU[0] = 350 }, 2500 * us}, // 350m are used at 2.5 ms
	} {
		q := question()
		q.Room.Redundancy, q.Room.Margin, q.Now.Batch, q.Room.Batches, q.Room.Replicas = 0, 0, 8, nil, [2]int{1, 1}
		tt.room(&q)
		if got := best(q, waiting(tt.times)).Best; got.Setting.Delay != tt.want || !got.Meets {
			t.Errorf("%s: %+v, want a delay of %s", tt.name, got, tt.want)
		}
	}
}

// TestFinerKeepsOut: where a limit that was chosen is the request, and where batches are of one row, no delay is halved.
func TestFinerKeepsOut(t *testing.T) {
	q := question()
	q.Now.Limit, q.Now.CPU = 1000, 1000
	s := newPlanSearch(newPlanner(q, onPaper()))
	at := Setting{Batch: 8, Delay: 10 * ms, Replicas: 2, CPU: 437, Limit: 437}
	if !s.saves(at) {
		t.Error("a limit that follows what is used is thought to be given")
	}
	if at.CPU = 400; !slices.Contains(s.limits(), at.CPU) || s.saves(at) {
		t.Error("a longer delay is thought to save where the limit was chosen")
	}
	if at.CPU, at.Batch = 437, 1; s.saves(at) {
		t.Error("batches of one row wait")
	}
}
