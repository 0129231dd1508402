package engine

import (
	"math"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

const (
	remembered = 60                    // whole seconds over which arrivals are told
	bin        = 10 * time.Millisecond // in which requests are near each other for a batcher; a part of a second
	fewest     = 30                    // requests from which on it is told whether they come in bursts
)

// Arrivals is how requests came over the last whole seconds, those that were refused among them.
type Arrivals struct {
	Seconds int     // whole seconds that this is of: at most 60, fewer where the engine is younger; 0: the rest says nothing
	Rate    float64 // requests a second
	Peak    int     // requests in the busiest of the seconds
	// BySecond is the requests of each of the seconds, the oldest first, and Ago is for how long the last of
	// them is over.
	BySecond []int
	Ago      time.Duration
	// Burst is the dispersion of the requests in bins of 10 ms, about as long as a batcher waits: the root of
	// variance over mean of how many there are in a bin, empty ones among them. 0 is even, so many in each
	// bin; 1 is by chance; above 1 are bursts. The variation of the gaps would not tell a batch's worth at
	// once from slow clumps, as a pod gets them from clients that keep a connection for some requests.
	// An even stream of less than a request a bin nears 1 (at p a bin it has the root of 1-p), as one by
	// chance: a batcher, whose wait is mostly over before another request comes, need not know which it is.
	Burst      float64
	BurstKnown bool    // false with fewer than 30 requests, which show no bursts
	Rows       float64 // mean rows of the requests whose rows are known; 0: of none
	// Interactive and Bulk are the shares of requests of these priorities; 0 of no requests.
	Interactive, Bulk float64
}

// second is what came in one second.
type second struct {
	number                  int64 // since the engine started
	came, interactive, bulk int
	known, rows             int // requests whose rows are known, and these rows
	squares                 int // of how many came in a bin, added up over its bins
}

// arrivals counts requests by second. The zero value is ready; times are since the engine started and never fall.
type arrivals struct {
	seconds [remembered + 1]second // the present one among them, which is not whole
	present int                    // index
	newest  int64                  // bin of the newest request, since the engine started
	inside  int                    // requests in that bin
}

// add counts a request; 0 rows are not known.
func (a *arrivals) add(now time.Duration, rows int, class batch.Class) {
	s := a.at(now)
	if b := int64(now / bin); b != a.newest {
		a.newest, a.inside = b, 0
	}
	a.inside++
	s.squares += 2*a.inside - 1 // n² - (n-1)²
	s.came++
	if rows > 0 {
		s.known++
		s.rows += rows
	}
	switch class {
	case batch.Interactive:
		s.interactive++
	case batch.Bulk:
		s.bulk++
	}
}

// at is the second of now, which is the present one from then on.
func (a *arrivals) at(now time.Duration) *second {
	s, number := &a.seconds[a.present], int64(now/time.Second)
	if s.number == number {
		return s
	}
	for n := max(s.number+1, number-remembered); n <= number; n++ {
		a.present = int(n % int64(len(a.seconds)))
		a.seconds[a.present] = second{number: n}
	}
	return &a.seconds[a.present]
}

// over is what came in the whole seconds before now.
func (a *arrivals) over(now time.Duration) Arrivals {
	end := a.at(now).number
	begin := max(0, end-remembered)
	out := Arrivals{Seconds: int(end - begin), BySecond: make([]int, end-begin), Ago: now % time.Second}
	var all second
	for n := begin; n < end; n++ {
		s := a.seconds[n%int64(len(a.seconds))]
		out.Peak = max(out.Peak, s.came)
		out.BySecond[n-begin] = s.came
		all.came += s.came
		all.interactive += s.interactive
		all.bulk += s.bulk
		all.known += s.known
		all.rows += s.rows
		all.squares += s.squares
	}
	out.tell(all)
	return out
}

// tell works out means and shares.
func (out *Arrivals) tell(all second) {
	if all.came == 0 {
		return
	}
	n := float64(all.came)
	out.Rate = n / float64(out.Seconds)
	out.Interactive, out.Bulk = float64(all.interactive)/n, float64(all.bulk)/n
	if all.known > 0 {
		out.Rows = float64(all.rows) / float64(all.known)
	}
	if out.BurstKnown = all.came >= fewest; out.BurstKnown {
		out.Burst = dispersion(n, float64(all.squares), float64(out.Seconds)*float64(time.Second/bin))
	}
}

// dispersion is the root of variance over mean of n requests in so many bins, of the sum of the squares of
// how many there are in each: the variance is squares/bins - mean², and the mean is n/bins.
//
//	n    squares  bins
//	100  100      100   0: one each bin
//	100  120      100   0.447: 10 bins have 2, 10 none, the others 1
//	100  1000     100   3: 10 bins have 10
func dispersion(n, squares, bins float64) float64 {
	return math.Sqrt(max(0, squares/n-n/bins))
}
