package capacity

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// rooms calls check with plans of those of so many random small rooms that have an answer.
func rooms(t *testing.T, seed dice, most int, check func(i int, q Question, o oracle, plan Plan)) {
	t.Helper()
	n := 0
	for i := range most {
		q := anyQuestion(&seed)
		o := oracle{paper(seed.between(0.7, 1.5)), eightPercent, 0.05}
		if plan := best(q, o); plan.Held == "" {
			check(i, q, o, plan)
			n++
		}
	}
	if n < most/3 {
		t.Errorf("%d rooms have an answer; too few to say anything", n)
	}
}

// TestBoundsAreKept checks every setting that a plan proposes against the room, not by the planner's own words.
func TestBoundsAreKept(t *testing.T) {
	rooms(t, 11, 40, func(i int, q Question, _ oracle, plan Plan) {
		for _, c := range slices.Concat([]Candidate{plan.Best}, plan.Alternatives, plan.Frontier) {
			at, r := c.Setting, q.Room
			within := at.Replicas >= max(r.Replicas[0], r.Redundancy+1) && at.Replicas <= r.Replicas[1] && at.Delay <= r.MaxDelay &&
				slices.Contains(r.Batches, at.Batch) && at.CPU >= r.CPU[0] && at.CPU <= r.CPU[1] && at.CPU <= at.Limit &&
				at.Memory >= r.Memory[0] && at.Memory <= r.Memory[1] && twinFits(r, at.Replicas, at.CPU, at.Memory)
			if !within {
				t.Errorf("%d: %+v in the room %+v", i, at, r)
			}
			if float64(at.CPU)/1000*float64(at.Replicas) < c.Prediction.Cores {
				t.Errorf("%d: %+v uses %g cores", i, at, c.Prediction.Cores)
			}
		}
		for _, c := range append(plan.Alternatives, plan.Best) {
			if !c.Meets || c.Chance < 0.95 || c.Prediction.Full {
				t.Errorf("%d: %+v is no alternative: %s", i, c.Setting, c.Why)
			}
		}
	})
}

// TestMoreRoomCostsNoMore: a larger room, or a looser promise, holds every setting of the smaller one.
func TestMoreRoomCostsNoMore(t *testing.T) {
	wider := map[string]func(*Question){
		"no redundancy":  func(q *Question) { q.Room.Redundancy = 0 },
		"no quota":       func(q *Question) { q.Room.Quota = fleet.Resources{} },
		"no nodes":       func(q *Question) { q.Room.Nodes = nil },
		"more replicas":  func(q *Question) { q.Room.Replicas[1] += 2 },
		"more batches":   func(q *Question) { q.Room.Batches = question().Room.Batches },
		"smaller pods":   func(q *Question) { q.Room.CPU[0] = 5 },
		"less margin":    func(q *Question) { q.Room.Margin = 0 },
		"half the price": func(q *Question) { q.Price.Core /= 2; q.Price.GiB /= 2 },
	}
	rooms(t, 12, 20, func(i int, q Question, o oracle, plan Plan) {
		for name, widen := range wider {
			if name == "less margin" && q.Now.Limit == q.Now.CPU {
				continue // there the margin is speed too
			}
			w := q
			widen(&w)
			if more := best(w, o); float64(more.Best.Month) > float64(plan.Best.Month)*(1+Tie)+10 || !more.Best.Meets {
				t.Errorf("%d, %s: %s after %s", i, name, more.Best.Month, plan.Best.Month)
			}
		}
	})
}

// TestLooserPromiseCostsNoMore: with the delays that the tighter one had.
func TestLooserPromiseCostsNoMore(t *testing.T) {
	rooms(t, 13, 40, func(i int, q Question, o oracle, plan Plan) {
		loose := q
		loose.SLO.Latency *= 4 // whose sixteenths are fourths of the tighter one's: these delays are among them
		loose.Now.Delay = plan.Best.Setting.Delay
		if more := best(loose, o); float64(more.Best.Month) > float64(plan.Best.Month)*(1+Tie)+10 {
			t.Errorf("%d: %s for %s, %s for %s", i, more.Best.Month, loose.SLO.Latency, plan.Best.Month, q.SLO.Latency)
		}
	})
}

// TestScaleOfPrice: what money is counted in changes no choice.
func TestScaleOfPrice(t *testing.T) {
	rooms(t, 14, 20, func(i int, q Question, o oracle, plan Plan) {
		q.Price.Core, q.Price.GiB = 1000*q.Price.Core, 1000*q.Price.GiB
		if again := best(q, o); again.Best.Setting != plan.Best.Setting {
			t.Errorf("%d: %+v and %+v", i, again.Best.Setting, plan.Best.Setting)
		}
	})
}

// TestFrontier: it rises in latency and falls in money, and nothing known beats a point of it.
func TestFrontier(t *testing.T) {
	rooms(t, 15, 40, func(i int, _ Question, _ oracle, plan Plan) {
		for k := 1; k < len(plan.Frontier); k++ {
			if a, b := plan.Frontier[k-1], plan.Frontier[k]; a.slowest() >= b.slowest() || a.Month <= b.Month {
				t.Errorf("%d: %s at %s before %s at %s", i, a.Month, a.slowest(), b.Month, b.slowest())
			}
		}
		for _, c := range append(plan.Alternatives, plan.Best) {
			beats := func(f Candidate) bool { return f.slowest() <= c.slowest() && f.Month <= c.Month }
			if !slices.ContainsFunc(plan.Frontier, beats) {
				t.Errorf("%d: %+v lies below the frontier", i, c)
			}
		}
	})
}

// TestTies: within 1 % fewer changes win, then the quicker, then the smaller batch.
func TestTies(t *testing.T) {
	with := func(month cost.Money, changes int, tail time.Duration, batch int) judged {
		return judged{Candidate: Candidate{Month: month, Prediction: Prediction{Tail: Estimate{Value: tail}}, Setting: Setting{Batch: batch}}, changes: changes}
	}
	tests := []struct {
		name string
		pool []judged
		want int
	}{
		{"2 % cheaper", []judged{with(1000, 0, ms, 1), with(980, 3, 9*ms, 64)}, 1},
		{"half a percent cheaper, more changes", []judged{with(1000, 1, ms, 1), with(995, 3, ms, 1)}, 0},
		{"as many changes, slower", []judged{with(1000, 1, 2*ms, 1), with(995, 1, 3*ms, 1)}, 0},
		{"as quick, a larger batch", []judged{with(1000, 1, ms, 8), with(1000, 1, ms, 16)}, 0},
		{"too slow", []judged{with(1000, 1, ms, 8), with(10, 0, 30*ms, 8)}, 0},
	}
	for _, tt := range tests {
		s := &planSearch{planner: newPlanner(question(), oracle{paper(1), exact, 0}), pool: tt.pool}
		if got, ok := s.chosen(); !ok || got.Month != tt.pool[tt.want].Month || got.Setting != tt.pool[tt.want].Setting {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestWhatMayNotBeChosenStays: of an empty room only what is in force is left, also where nothing is requested.
func TestWhatMayNotBeChosenStays(t *testing.T) {
	for _, cpu := range []int64{0, 1000} {
		q := question()
		q.Room, q.Now.CPU = Room{}, cpu
		if plan := best(q, onPaper()); plan.Best.Setting != q.Now || !plan.Best.Meets || len(plan.Alternatives) > 0 {
			t.Errorf("%+v, not %+v", plan.Best.Setting, q.Now)
		}
		q.Room.Batches = []int{1, 8}
		for _, c := range best(q, onPaper()).Frontier {
			if at := c.Setting; at.CPU != cpu || at.Memory != q.Now.Memory || at.Delay != q.Now.Delay || at.Replicas != q.Now.Replicas {
				t.Errorf("%+v, where only the batch may be chosen", at)
			}
		}
	}
}

// TestWideRoom: all numbers up to twelve, then steps; the number in force and the ends are among them.
func TestWideRoom(t *testing.T) {
	q := question()
	q.Room.Replicas, q.Now.Replicas = [2]int{2, 1000}, 77
	got := newPlanner(q, onPaper()).counts()
	if len(got) > 80 || got[0] != 2 || got[len(got)-1] != 1000 || !slices.Contains(got, 77) || !slices.IsSorted(got) {
		t.Error(got)
	}
	if plan := best(q, oracle{priced(paper(1), false), eightPercent, 0.05}); !plan.Best.Meets || plan.Best.Setting.Replicas != 2 {
		t.Errorf("%+v", plan.Best)
	}
}

// TestBudget: however large the room, no more is simulated than was allowed, but for the last setting looked at.
func TestBudget(t *testing.T) {
	q := question()
	q.Room.Batches, q.Room.Replicas = []int{1, 2, 4, 8, 16, 24, 32, 64}, [2]int{1, 10}
	asked := 0
	predict := paper(1)
	best(q, oracle{func(s Service, l Load, at Setting, slo fleet.SLO) Prediction {
		asked++
		out := predict(s, l, at, slo)
		out.Closed = false
		return out
	}, eightPercent, 0.05})
	if asked > searchAll+2 {
		t.Errorf("%d predictions", asked)
	}
}

func TestSpot(t *testing.T) {
	q := question()
	q.Spot = &Price{Core: 5 * cost.Dollar, GiB: cost.Dollar}
	if plan := best(q, onPaper()); !plan.Best.Setting.Spot || !strings.Contains(strings.Join(plan.Why, "\n"), "on spot capacity it costs") {
		t.Errorf("%+v %v", plan.Best, plan.Why)
	}
	q.Room.Redundancy = 0
	if plan := best(q, onPaper()); plan.Best.Setting.Spot || !strings.Contains(strings.Join(plan.Why, "\n"), "spot capacity was left out") {
		t.Errorf("%+v %v", plan.Best, plan.Why)
	}
	q.Now.Spot = true
	if plan := best(q, onPaper()); plan.Best.Setting.Spot || plan.Now.Meets {
		t.Errorf("it stays on spot without redundancy: %+v", plan.Best)
	}
}

// TestUnpriced: without a price the choice is made at default rates, and says so.
func TestUnpriced(t *testing.T) {
	q := question()
	q.Price = Price{Unpriced: []string{"x9.huge in mars-1"}}
	plan := best(q, onPaper())
	if !plan.Best.Meets || !strings.Contains(plan.Why[0], "no price for x9.huge in mars-1") || !strings.Contains(plan.Why[0], "one core weighs as 7.5 GiB") {
		t.Errorf("%v", plan.Why)
	}
	q.Price = Price{}
	if free := best(q, onPaper()); !strings.Contains(free.Why[0], "no price is known") || free.Best.Setting != plan.Best.Setting {
		t.Errorf("%v", free.Why)
	}
	if plan.Best.Unit != 0 || plan.Proxy == "" {
		t.Errorf("a price of a request that nobody knows: %s", plan.Best.Unit)
	}
	rates, _ := defaultRates()
	if rates.Core != 31_611*730 || rates.GiB != 4_237*730 {
		t.Errorf("%+v", rates)
	}
}

// TestPlanIsAValue: the same question gives the same bytes, in any order of its batch sizes, and the question stays.
func TestPlanIsAValue(t *testing.T) {
	q := question()
	before, _ := json.Marshal(q)
	first := best(q, onPaper())
	q.Room.Batches = []int{64, 1, 8, 2, 32, 16, 4, 8}
	second := best(q, onPaper())
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(second)
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
	q.Room.Batches = question().Room.Batches
	if after, _ := json.Marshal(q); string(after) != string(before) {
		t.Error("the question was changed")
	}
	var back Plan
	if err := json.Unmarshal(a, &back); err != nil || !reflect.DeepEqual(back.Best, first.Best) {
		t.Errorf("%v", err)
	}
}
