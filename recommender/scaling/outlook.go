package scaling

import "math"

// marks are the errors that are told apart, in spreads of the root rate above the forecast; an error
// counts as the mark above it, and the last takes all that is larger. They are close where the tail
// of a busy server decides about one replica.
var marks = [...]float64{-2, -.5, .5, 1, 1.5, 2, 2.5, 3.1, 3.8, 4.7, 6, 8, 11, 15, 21, 30}

// believed are the chances of the marks before anything was counted: those of a tail that falls by e
// with every spread above the forecast.
var believed = [len(marks)]float64{
	0, 0, 0.39346934, 0.238651219, 0.144749281, 0.0877948769, 0.0532502846, 0.0370357962,
	0.0226784305, 0.0132754948, 0.00661652493, 0.00214328955, 0.000318760927, 1.63957985e-05, 3.05144064e-07, 7.58256043e-10,
}

const (
	counted   = 16        // what one window adds to a tally
	fullTally = 2048 * 16 // where a tally is halved, so that old windows fade
	prior     = 4.        // windows that the belief weighs
	borrowed  = 20.       // windows that all windows together weigh in those of one kind
)

// tally counts errors by mark, apart for windows after a calm one [0] and after a sudden rise [1].
type tally [2][len(marks)]uint16

func markOf(z float64) int {
	for i, m := range marks {
		if z <= m {
			return i
		}
	}
	return len(marks) - 1
}

func (t *tally) add(kind, mark int) {
	t[kind][mark] += counted
	if sum(t[kind][:]) < fullTally {
		return
	}
	for i := range t[kind] {
		t[kind][i] /= 2
	}
}

func sum(counts []uint16) float64 {
	n := 0
	for _, c := range counts {
		n += int(c)
	}
	return float64(n)
}

// chances are the probabilities of the marks after a window of that kind. Few windows of a kind lean
// on all windows, and few windows at all on what is believed.
func (t *tally) chances(kind int) (p [len(marks)]float64) {
	own := sum(t[kind][:]) / counted
	all := (sum(t[0][:]) + sum(t[1][:])) / counted
	for i := range marks {
		pooled := (float64(t[0][i])+float64(t[1][i]))/counted + prior*believed[i]
		pooled /= all + prior
		p[i] = (float64(t[kind][i])/counted + borrowed*pooled) / (own + borrowed)
	}
	return p
}

// outlook is what one way foresees for a window, in roots of requests per second.
type outlook struct {
	root, spread float64
	p            [len(marks)]float64
}

// rate is the requests per second at mark i.
func (o *outlook) rate(i int) float64 {
	v := max(o.root+marks[i]*o.spread, 0)
	return v * v
}

// above is the chance of a rate that n replicas cannot answer.
func (o *outlook) above(n int, capacity float64) float64 {
	p := 0.
	for i := range marks {
		if need(o.rate(i), capacity) > n {
			p += o.p[i]
		}
	}
	return p
}

// quantile is the lowest rate of a mark that at least share of the chances do not exceed.
func (o *outlook) quantile(share float64) float64 {
	p := 0.
	for i := range marks {
		if p += o.p[i]; p >= share {
			return o.rate(i)
		}
	}
	return o.rate(len(marks) - 1)
}

// cheapest is the number of replicas, least or more, with the least sum of replicas and risk times
// the chance that they do not suffice. Only least and what some mark needs can be cheapest, so it
// walks the marks from the top down with the chance above.
func (o *outlook) cheapest(capacity, risk float64, least int) int {
	best, cost := least, math.Inf(1)
	above, level, next := 0., math.MaxInt, 0.
	for i := len(marks) - 1; i >= 0; i-- {
		n := max(need(o.rate(i), capacity), least)
		if n < level {
			above += next
			level, next = n, 0
		}
		if c := float64(n) + risk*above; c <= cost {
			best, cost = n, c
		}
		next += o.p[i]
	}
	if float64(least)+risk*(above+next) <= cost && least < level {
		return least
	}
	return best
}

// need is the fewest replicas that answer rate at full capacity, at least one.
//
//	rate, capacity   0, 10: 1   10, 10: 1   10.1, 10: 2   35, 10: 4
func need(rate, capacity float64) int {
	n := math.Ceil(rate / capacity)
	if !(n < mostReplicas) {
		return mostReplicas
	}
	return max(int(n), 1)
}
