package capacity

import (
	"math"
	"math/bits"
	"time"
)

const (
	tallyParts = 10     // of a simulation, by which it says how sure it is
	tallyFine  = 1 << 8 // cells of an octave: 0.4 %
	tallyCells = 40 * tallyFine
	tallySure  = 1.833 // Student's t of 9 degrees of freedom, for 90 % on both sides
)

// tally counts latencies in fine cells, apart for each part of a simulation, in the order of the answers.
type tally struct {
	counts [tallyParts][]uint32
	whole  []uint32
	n      int
	total  int // latencies that are to come
}

func newTally(total int) *tally {
	t := &tally{whole: make([]uint32, tallyCells), total: max(total, 1)}
	for i := range t.counts {
		t.counts[i] = make([]uint32, tallyCells)
	}
	return t
}

// cellOf is the cell of a latency: of its octave of nanoseconds, the 256th that it is in.
func cellOf(d time.Duration) int {
	n := uint64(max(d, tallyFine))
	octave := bits.Len64(n) - 9 // at least 0
	return min(tallyCells-1, octave*tallyFine+int(n>>octave)-tallyFine)
}

// cellStart is where a cell begins, in nanoseconds.
func cellStart(cell int) float64 {
	return math.Ldexp(float64(tallyFine+cell%tallyFine), cell/tallyFine)
}

func (t *tally) add(d time.Duration) {
	c := cellOf(d)
	t.whole[c]++
	t.counts[min(tallyParts-1, t.n*tallyParts/t.total)][c]++
	t.n++
}

// cellQuantile is where a share p of counts is below, as if latencies were even in their cell.
func cellQuantile(counts []uint32, p float64) float64 {
	n := 0.0
	for _, c := range counts {
		n += float64(c)
	}
	rank, below := p*n, 0.0
	for i, c := range counts {
		if c > 0 && below+float64(c) >= rank {
			part := (rank - below) / float64(c)
			return cellStart(i) + part*(cellStart(i+1)-cellStart(i))
		}
		below += float64(c)
	}
	return 0
}

// within is the share of the latencies that are at most d.
func (t *tally) within(d time.Duration) float64 {
	if t.n == 0 {
		return 0
	}
	last, below := cellOf(d), 0.0
	for i := range last {
		below += float64(t.whole[i])
	}
	part := (float64(d) - cellStart(last)) / (cellStart(last+1) - cellStart(last))
	return (below + min(max(part, 0), 1)*float64(t.whole[last])) / float64(t.n)
}

// estimate is the quantile p with the interval that the parts of the simulation and the error of the curve give.
func (t *tally) estimate(p, curveError float64) Estimate {
	at, sum, squares := cellQuantile(t.whole, p), 0.0, 0.0
	for _, counts := range t.counts {
		q := cellQuantile(counts, p)
		sum += q
		squares += q * q
	}
	variance := max(0, squares-sum*sum/tallyParts) / (tallyParts - 1)
	return estimateAround(at/1e9, math.Hypot(tallySure*math.Sqrt(variance/tallyParts)/1e9, curveError*at/1e9))
}

// estimateAround is an estimate in seconds with as much on both sides.
func estimateAround(seconds, half float64) Estimate {
	return Estimate{Value: lasting(seconds), Low: lasting(max(0, seconds-half)), High: lasting(seconds + half)}
}

// aDay is in seconds: what would take longer takes for ever.
const aDay = 86400

// lasting is a time of at least nothing and at most a day.
func lasting(seconds float64) time.Duration {
	return time.Duration(math.Round(min(max(seconds, 0), aDay) * 1e9))
}
