package batch

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// come lets n requests come and go at once, at a rate a second.
func come(a *arrivals, rate float64, n int) {
	at := a.last
	for i := range n {
		a.advance(at + seconds(float64(i+1)/rate))
		a.arrive()
	}
}

// TestArrivalsForget: 100 a second after 1000 a second is near 100 after some seconds; an hour of nothing is
// not held against the morning; and long runs keep their numbers small.
func TestArrivalsForget(t *testing.T) {
	a := newArrivals()
	come(&a, 1000, 5000)
	if got := a.overall(); math.Abs(got-1000) > 5 {
		t.Errorf("rate %.0f, want 1000", got)
	}
	come(&a, 100, 1000)
	if got := a.overall(); math.Abs(got-100) > 5 {
		t.Errorf("after 10 s of 100 a second: %.0f", got)
	}
	a.advance(a.last + time.Hour)
	come(&a, 1000, 3000)
	if got := a.overall(); got < 850 || got > 1000 {
		t.Errorf("after an hour of nothing and 3 s of 1000 a second: %.0f", got)
	}
	come(&a, 100, 100_000)
	if got := a.rate(); a.weight > 1e100 || math.Abs(got-100) > 1 || math.Abs(a.overall()-100) > 1 {
		t.Errorf("after 1000 s of 100 a second: %.0f, %.0f at this level, weight %g", a.overall(), got, a.weight)
	}
}

// TestCell: levels have a place each up to 15, and then eight to an octave.
func TestCell(t *testing.T) {
	want := map[int]int{0: 0, 15: 15, 16: 16, 17: 16, 18: 17, 31: 23, 32: 24, 63: 31, 64: 32, 71: 32, 72: 33, 1 << 30: 159}
	for level, place := range want {
		if got := cell(level); got != place {
			t.Errorf("level %d is in cell %d, want %d", level, got, place)
		}
	}
	for level := range 5000 {
		if d := cell(level+1) - cell(level); d < 0 || d > 1 {
			t.Errorf("cells %d and %d of the levels %d and next", cell(level), cell(level+1), level)
		}
	}
}

// TestElastic: callers who wait for their answers are told from those who come when they like.
func TestElastic(t *testing.T) {
	says := func(tr Trial) (yes, all int) {
		tr.Limits, tr.Curve = slo(20*time.Millisecond), largeMLP()
		s := newSimulation(tr)
		for s.step() {
			s.dispatch()
			if all++; all > 5000 && s.queue.inside.elastic() {
				yes++
			}
		}
		return yes, all - 5000
	}
	for _, clients := range []int{8, 64} {
		for _, think := range []float64{0.3e-3, 1e-3} {
			r := random(3)
			yes, all := says(Trial{Clients: clients, Requests: 10_000, Think: func() time.Duration { return seconds(think * r.ExpFloat64()) }})
			if yes < all*9/10 {
				t.Errorf("%d callers thinking %v s: elastic %d of %d times", clients, think, yes, all)
			}
		}
	}
	for _, rate := range []float64{200, 700, 3000} {
		for name, next := range map[string]func() (Arrival, bool){
			"poisson": poisson(random(4), rate, 20_000),
			"bursts":  bursts(random(4), rate, 20_000),
			"even":    after(20_000, func() float64 { return 1 / rate }),
		} {
			if yes, all := says(Trial{Next: next}); yes > 0 {
				t.Errorf("%s at %.0f a second: elastic %d of %d times", name, rate, yes, all)
			}
		}
	}
}

// TestProbe: even arrivals that are 17 ms apart find nobody, and nobody is waited for. When they come every
// 5 ms, still nobody is found inside; only a try shows that there would be company.
func TestProbe(t *testing.T) {
	n, at := 0, time.Duration(0)
	s := newSimulation(Trial{Limits: slo(20 * time.Millisecond), Curve: largeMLP(), Next: func() (Arrival, bool) {
		if n++; n < 400 {
			at += 17 * time.Millisecond
		} else {
			at += 5 * time.Millisecond
		}
		return Arrival{At: at, Rows: 1}, n < 6000
	}})
	batches, rows := 0, 0
	for s.step() {
		if s.dispatch(); s.now < 20*time.Second {
			batches, rows = s.result.Batches, s.result.Rows
		}
	}
	if mean := float64(s.result.Rows-rows) / float64(s.result.Batches-batches); mean < 2.5 {
		t.Errorf("mean batch %.2f in the end, want 3", mean)
	}
}

// TestSilence: 10 to 30 requests come within 1 to 3 ms, five times a second. When no more come, the rest of the
// 20 ms is not waited for.
func TestSilence(t *testing.T) {
	r, left := random(31), 0
	var at time.Duration
	got := Simulate(Trial{Limits: slo(20 * time.Millisecond), Curve: largeMLP(), Next: func() (Arrival, bool) {
		at += 100 * time.Microsecond
		if left--; left <= 0 {
			left = 10 + r.IntN(21)
			at += 200 * time.Millisecond
		}
		return Arrival{At: at, Rows: 1}, at < 40*time.Second
	}})
	if got.Quantile(0.5) > 6*time.Millisecond || got.MeanBatch() < 15 {
		t.Errorf("p50 %s, mean batch %.1f; want about 5 ms and 20", got.Quantile(0.5), got.MeanBatch())
	}
}

// TestSlowCaller: one who calls seldom and waits for his answer is not kept waiting for others.
func TestSlowCaller(t *testing.T) {
	for _, think := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 50 * time.Millisecond} {
		r := Simulate(Trial{Limits: slo(20 * time.Millisecond), Curve: midMLP(), Clients: 1, Requests: 3000, Think: func() time.Duration { return think }})
		if r.Quantile(0.5) > 51*time.Microsecond || r.Quantile(0.9) > 51*time.Microsecond {
			t.Errorf("thinking %s: p50 %s, p90 %s, want 50 us", think, r.Quantile(0.5), r.Quantile(0.9))
		}
	}
}

// TestTightest: when the pressing request leaves, the others' deadline counts. Batches of the large network
// with 2 rows take 0.87 ms and 3 % more, and a fifth of the time is kept: a goes at 0.8*20-0.90 = 15.10 ms, b
// at 0.8*100-0.81 = 79.19 ms.
func TestTightest(t *testing.T) {
	q := New[string](slo(0), 1)
	q.SetCurve(largeMLP())
	for i := range 2000 { // many come, so that waiting is worth while
		q.inside.advance(time.Duration(i) * time.Millisecond)
		q.inside.arrive()
	}
	for name, after := range map[string]time.Duration{"a": 20 * time.Millisecond, "b": 100 * time.Millisecond} {
		if err := q.Push(Request[string]{Of: name, Rows: 1, Arrived: ms(0), Deadline: ms(0).Add(after)}); err != nil {
			t.Fatal(err)
		}
	}
	latest := func() string {
		_, end := q.latest(q.lanes[0])
		return fmt.Sprintf("%.2f", end.Seconds()*1000)
	}
	if got := latest(); got != "15.10" {
		t.Errorf("a and b go at %s ms, want 15.10", got)
	}
	q.Drop("a")
	if got := latest(); got != "79.19" {
		t.Errorf("b goes at %s ms, want 79.19", got)
	}
}

// TestSize: batches of up to 1024 rows of the large network, of which 145 are enough; 500 wait.
//
//	20 ms are left: 19.3 / 0.085 = 227 rows     5 ms: 50 rows are not enough, and too late is too late
func TestSize(t *testing.T) {
	for left, want := range map[time.Duration]int{20 * time.Millisecond: 227, 5 * time.Millisecond: 1024, time.Hour: 1024} {
		q := New[string](Limits{MaxBatchSize: 1024, MaxQueueRows: 1024}, 1)
		fill(t, q, push{"b", 0, 400})
		if err := q.Push(Request[string]{Of: "a", Rows: 100, Class: Interactive, Arrived: ms(0), Deadline: ms(0).Add(left)}); err != nil {
			t.Fatal(err)
		}
		q.SetCurve(largeMLP())
		if got := q.size(q.lanes[0], 0); got != want {
			t.Errorf("%s left: %d rows, want %d", left, got, want)
		}
	}
}

// TestShapesAhead: rows of another shape are batches of their own. 1 ms a batch, and 9 ms for a request
// of which 1.8 are kept: 6 others may be before it.
func TestShapesAhead(t *testing.T) {
	q := New[int](Limits{MaxBatchSize: 8, MaxQueueRows: 100}, 1)
	c := linear(1e-3, 0)
	c.Error = 0
	q.SetCurve(c)
	for i := range 5 {
		if err := q.Push(Request[int]{Of: i, Rows: 1, Shape: fmt.Sprint(i), Arrived: ms(0)}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() error {
		return q.Push(Request[int]{Of: 9, Rows: 1, Shape: "x", Arrived: ms(0), Deadline: ms(9)})
	}
	if err := ask(); err != nil {
		t.Errorf("five batches of 1 ms before it: %v", err)
	}
	q.Drop(9)
	for i := range 12 {
		if err := q.Push(Request[int]{Of: 10 + i, Rows: 1, Shape: "y", Arrived: ms(0)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(); err == nil {
		t.Error("seven batches of 1 ms before it, and it came in")
	}
}

// TestAlone: with batching off every request runs at once and by itself, its rows together; one that is
// larger than a batch is split, and one that expired makes no batch.
func TestAlone(t *testing.T) {
	q := New[string](Limits{MaxBatchSize: 4, MaxQueueRows: 100, MaxQueueDelay: time.Second, Alone: true}, 1)
	for i, r := range []Request[string]{{Of: "bulk", Rows: 1, Class: Bulk}, {Of: "a", Rows: 3}, {Of: "late", Rows: 2, Deadline: ms(5)}, {Of: "large", Rows: 6}, {Of: "first", Rows: 2, Class: Interactive}} {
		r.Arrived = ms(float64(i))
		if err := q.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for {
		b, ready, _ := q.Next(ms(10))
		if !ready {
			break
		}
		got = append(got, show(b.Spans))
		q.Done(b.ID, ms(10))
	}
	// Bulk has 200 ms of grace, default 50 ms; interactive none.
	want := []string{"first[0:2]", "a[0:3]", "large[0:4]", "large[4:6]", "bulk[0:1]"}
	if !slices.Equal(got, want) {
		t.Errorf("batches %v, want %v", got, want)
	}
}

// TestLateIsAnswered: the SLO decides who comes in and when a batch goes; who is in is answered however late.
// Only a deadline of his own ends that.
func TestLateIsAnswered(t *testing.T) {
	q := New[string](slo(20*time.Millisecond), 1)
	for _, r := range []Request[string]{{Of: "a", Rows: 1, Arrived: ms(0)}, {Of: "b", Rows: 1, Arrived: ms(0), Deadline: ms(50)}} {
		if err := q.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	if b, ready, _ := q.Next(ms(60)); !ready || show(b.Spans) != "a[0:1]" || len(b.Expired) != 1 || b.Expired[0] != "b" {
		t.Errorf("40 ms late: %q, expired %v", show(b.Spans), b.Expired)
	}
}

// TestPartOfShape: after a quarter of an hour, in which all weights are shrunk several times, a seldom shape
// still counts as the fiftieth of the load that it is.
func TestPartOfShape(t *testing.T) {
	q := New[int](slo(20*time.Millisecond), 1)
	q.SetCurve(largeMLP())
	worst := 0.0
	for i := range 900_000 {
		r := Request[int]{Of: i, Rows: 1, Shape: "usual", Arrived: ms(float64(i))}
		if i%50 == 0 {
			r.Shape = "seldom"
		}
		q.Push(r)
		for {
			b, ready, _ := q.Next(ms(float64(i)))
			if !ready {
				break
			}
			q.Done(b.ID, ms(float64(i)))
		}
		if l := q.byShape["seldom"]; i > 10_000 && i%50 == 0 {
			l.catchUp(q.inside.era)
			worst = max(worst, l.seen/q.inside.count.n)
		}
	}
	if q.inside.era == 0 || worst > 0.03 {
		t.Errorf("after %d eras the fiftieth part was at most %.3g", q.inside.era, worst)
	}
}

// TestCheapModel: where a row costs microseconds, a batch saves next to nothing and nobody is made to wait
// milliseconds for it, however large the SLO; at a rate at which others come soon anyway, it waits.
func TestCheapModel(t *testing.T) {
	for rate, most := range map[float64]time.Duration{20: time.Millisecond, 100: time.Millisecond, 5000: 100 * time.Millisecond} {
		r := Simulate(Trial{Limits: slo(100 * time.Millisecond), Curve: linear(2.2e-6, 2.7e-6), Next: poisson(random(4), rate, 5_000)})
		if p50 := r.Quantile(0.5); p50 > most {
			t.Errorf("at %.0f: p50 %s, want at most %s", rate, p50, most)
		}
		if rate == 5000 && r.MeanBatch() < 10 {
			t.Errorf("at %.0f: %.1f rows in a batch, want 10 or more", rate, r.MeanBatch())
		}
	}
}
