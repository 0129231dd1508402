package scaling

import "math"

const (
	mostAhead  = 4   // windows from the newest known one to the one decided for
	kept       = 8   // windows that the floor looks back
	shock      = 1.5 // spreads above the forecast that make a window a sudden rise
	leastShare = .02 // least spread, as a share of the root rate
	firstShare = .1  // spread before anything is known, likewise
)

// ways are the forecasts that compete. Each is a calendar's root rate, none for the first three, plus
// an average of what was above it, whose half-life is in windows; 0 is the newest window alone.
var ways = [...]struct {
	season   Season
	halfLife float64
}{{NoSeason, 0}, {NoSeason, 4}, {NoSeason, 24}, {Day, 24}, {Week, 12}}

// Half-lives, in windows, of the size of errors (the mean of a fast and a slow one) and of what
// following a way has cost.
const (
	fastSpread = 6
	slowSpread = 300
	costs      = 400
)

// way is the state of one forecast. The arrays of foreseen values are rings over the windows ahead.
type way struct {
	Level      float32            // average root rate above the calendar's
	Fast, Slow float32            // mean size of errors of the root rate
	Cost       float32            // mean cost of a window, in replica-windows
	Root       [mostAhead]float32 // foreseen
	Spread     [mostAhead]float32 // negative: nothing was foreseen
	Replicas   [mostAhead]uint16  // advised
	Kinds      uint8              // bit per ring place: after a sudden rise
	Risen      bool               // the newest window was a sudden rise
	Errors     tally
}

// keep is the weight of the past in an average of that half-life when n values are in it: a plain
// mean at first.
func keep(halfLife float64, n uint32) float64 {
	if halfLife == 0 {
		return 0
	}
	return min(math.Exp2(-1/halfLife), float64(n)/float64(n+1))
}

func average(old float32, value, keep float64) float32 {
	return float32(float64(old)*keep + value*(1-keep))
}

// score compares what was foreseen at place with what came. n is how many windows came before; cost
// is that of the replicas that were advised.
func (w *way) score(place int, root, cost float64, n uint32) {
	spread := float64(w.Spread[place])
	if spread < 0 {
		return
	}
	miss := root - float64(w.Root[place])
	z := 0.
	if spread > 0 {
		z = miss / spread
	} else if miss > 0 {
		z = math.Inf(1)
	}
	w.Errors.add(int(w.Kinds>>place&1), markOf(z))
	w.Risen = z > shock
	w.Fast = average(w.Fast, math.Abs(miss), keep(fastSpread, math.MaxUint32-1))
	w.Slow = average(w.Slow, math.Abs(miss), keep(slowSpread, n))
	w.Cost = average(w.Cost, cost, keep(costs, n))
}

// learn takes the newest root rate in, of which base is the calendar's part.
func (w *way) learn(halfLife, root, base float64, n uint32) {
	w.Level = average(w.Level, root-base, keep(halfLife, n))
	if n == 0 {
		w.Fast, w.Slow = float32(firstShare*root), float32(firstShare*root)
	}
}

// foresee is the outlook where the calendar expects base.
func (w *way) foresee(base float64) outlook {
	root := max(base+float64(w.Level), 0)
	kind := 0
	if w.Risen {
		kind = 1
	}
	return outlook{
		root:   root,
		spread: max(float64(w.Fast+w.Slow)/2, leastShare*root),
		p:      w.Errors.chances(kind),
	}
}

// remember puts an outlook and the advice that followed into the ring.
func (w *way) remember(place int, o outlook, replicas int) {
	w.Root[place], w.Spread[place] = float32(o.root), float32(o.spread)
	w.Replicas[place] = uint16(replicas)
	w.Kinds &^= 1 << place
	if w.Risen {
		w.Kinds |= 1 << place
	}
}

func (w *way) forget() {
	for i := range w.Spread {
		w.Spread[i] = -1
	}
}
