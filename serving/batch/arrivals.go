package batch

import (
	"math"
	"math/bits"
	"time"
)

const (
	memory   = 1443 * time.Millisecond // a second halves what was seen
	remember = 100                     // but at least so many arrivals are kept in mind
	pause    = time.Second             // longer gaps count as this: a night does not outvote the morning
	prior    = 0.2                     // arrivals that each level is thought to have seen, at the overall rate
	cells    = 160
	shrink   = 1e-100
	long     = 4 // mean gaps; a longer gap counts as this in their evenness
)

// arrivals learns how requests come, apart by how many are inside (queued or running). One who calls and
// waits for his answer cannot call again while he is inside; so of N such callers nobody comes at level N,
// while others who call whenever they like come at the same rate at every level. Time passes while batches
// run, too: nobody has to wait to learn this.
//
// Forgetting is exponential: instead of shrinking what was seen, what is seen weighs more and more.
type arrivals struct {
	level  int
	last   time.Duration // of the newest event
	moved  time.Duration // of the newest arrival or leave: since then nothing happened
	weight float64       // of what is seen now
	era    int           // how often all weights were shrunk, so that they stay numbers

	cells       [cells]struct{ came, time float64 } // arrivals and seconds
	count, time moments
	gap         float64       // sum over arrivals of the squared seconds since the one before
	came        time.Duration // of the newest arrival
}

// moments are sums over arrivals or over seconds: how many, times level, times level squared.
type moments struct{ n, level, square float64 }

func (m *moments) add(n float64, level int) {
	l := float64(level)
	m.n += n
	m.level += n * l
	m.square += n * l * l
}

func newArrivals() arrivals { return arrivals{weight: 1} }

// cell is the place of a level: each its own up to 15, then eight to an octave.
func cell(level int) int {
	if level < 16 {
		return level
	}
	octave := bits.Len(uint(level)) - 1
	return min(cells-1, 16+(octave-4)*8+level>>(octave-3)&7)
}

// advance lets time pass at the present level.
func (a *arrivals) advance(now time.Duration) {
	gap := min(now-a.last, pause)
	if gap <= 0 {
		return
	}
	a.last = now
	s := gap.Seconds()
	a.cells[cell(a.level)].time += a.weight * s
	a.time.add(a.weight*s, a.level)
	span := memory.Seconds()
	if a.count.n > 0 {
		span = max(span, remember*a.time.n/a.count.n)
	}
	if a.weight *= math.Exp(s / span); a.weight > 1/shrink {
		a.scale(shrink)
		a.era++
	}
}

func (a *arrivals) scale(by float64) {
	a.weight *= by
	for i := range a.cells {
		a.cells[i].came *= by
		a.cells[i].time *= by
	}
	for _, m := range []*moments{&a.count, &a.time} {
		*m = moments{m.n * by, m.level * by, m.square * by}
	}
	a.gap *= by
}

// arrive tells that somebody came, whether he may come in or not.
func (a *arrivals) arrive() {
	a.cells[cell(a.level)].came += a.weight
	a.count.add(a.weight, a.level)
	a.moved = a.last
	if overall := a.overall(); overall > 0 && a.came > 0 { // a silence before the load says nothing of how even it is
		gap := min((a.last - a.came).Seconds(), long/overall)
		a.gap += a.weight * gap * gap
	}
	a.came = a.last
}

// enter tells that he who came is inside now.
func (a *arrivals) enter() { a.level++ }

// leave tells that somebody is not inside any more.
func (a *arrivals) leave() {
	a.level--
	a.moved = a.last
}

// overall is the rate at all levels together, in requests a second.
func (a *arrivals) overall() float64 {
	if a.time.n == 0 {
		return 0
	}
	return a.count.n / a.time.n
}

// rate is the rate at the present level. Where little was seen it is near the overall rate.
func (a *arrivals) rate() float64 {
	overall := a.overall()
	if overall == 0 {
		return 0
	}
	c, know := a.cells[cell(a.level)], prior*a.weight
	return (c.came + know) / (c.time + know/overall)
}

// elastic reports whether those inside keep others from coming. Who comes whenever he likes finds, on
// average, as many inside as there are on average over time (Poisson's arrivals see time averages; even
// ones find at most one fewer). Callers who wait for their answers find clearly fewer: they come just after
// some have left.
func (a *arrivals) elastic() bool {
	if a.count.n == 0 || a.time.n == 0 {
		return false
	}
	found, mean := a.count.level/a.count.n, a.time.level/a.time.n
	variance := max(0, a.time.square/a.time.n-mean*mean)
	chance := math.Sqrt(variance) * max(0.1, 3*math.Sqrt(a.weight/a.count.n)) // four standard errors of found
	gap := a.time.n / a.count.n
	evenness := max(0, 2-a.gap/a.count.n/(gap*gap)) // 1 less the squared coefficient of variation of the gaps
	return mean-found > evenness+chance
}
