package main

import (
	"math"
	"slices"
	"sort"
	"time"
)

// law is how the gaps between requests vary while the rate stands.
type law uint8

const (
	poisson law = iota // by chance, each request for itself
	gamma
	weibull
)

// stretch is a part of a trace with one rate. It lasts until the next one begins, the last until the trace ends.
type stretch struct {
	from   time.Duration // since the trace began
	rate   float64       // requests a second
	before float64       // requests of all stretches before it
	shape  float32       // of gamma and weibull; their scale is what makes the mean gap 1/rate
	law    law
}

// trace is recorded traffic: either stretches, or a log of the times at which requests came.
type trace struct {
	stretches []stretch
	times     []time.Duration
	grain     time.Duration // of times: how coarse the log's clock was; within it a request may have come at any time
	end       time.Duration
}

// sum fills in before.
func (t trace) sum() {
	total := 0.0
	for i := range t.stretches {
		s := &t.stretches[i]
		s.before = total
		total += s.rate * (t.until(i) - s.from).Seconds()
	}
}

// until is when stretch i ends.
func (t trace) until(i int) time.Duration {
	if i+1 < len(t.stretches) {
		return t.stretches[i+1].from
	}
	return t.end
}

// requests is how many come before a time; of stretches, how many are to be expected.
func (t trace) requests(before time.Duration) float64 {
	before = min(before, t.end)
	if len(t.times) > 0 {
		return float64(sort.Search(len(t.times), func(i int) bool { return t.times[i] >= before }))
	}
	i := sort.Search(len(t.stretches), func(i int) bool { return t.stretches[i].from > before }) - 1
	if i < 0 {
		return 0
	}
	s := t.stretches[i]
	return s.before + s.rate*(before-s.from).Seconds()
}

// busiest is how many requests come in the busiest span. It begins or ends where a rate does, or begins with a
// request of the log: from anywhere else moving it one way or the other makes it no less busy.
func (t trace) busiest(span time.Duration) float64 {
	most := 0.0
	look := func(from time.Duration) { most = max(most, t.requests(from+span)-t.requests(from)) }
	for i, s := range t.stretches {
		look(s.from)
		look(max(0, t.until(i)-span))
	}
	for _, at := range t.times {
		look(at)
	}
	return most
}

// cut is the part from from on; length 0 is all that is left. What it returns begins at 0.
func (t trace) cut(from, length time.Duration) trace {
	end := t.end
	if length > 0 && length < end-from {
		end = from + length
	}
	if from == 0 && end == t.end {
		return t
	}
	out := trace{grain: t.grain, end: max(end-from, 0)}
	for i, s := range t.stretches {
		if t.until(i) > from && s.from < end {
			s.from = max(s.from-from, 0)
			out.stretches = append(out.stretches, s)
		}
	}
	out.sum()
	for _, at := range t.times {
		if at >= from && at < end {
			out.times = append(out.times, at-from)
		}
	}
	return out
}

// chance is where a replay takes its chances from.
type chance interface {
	Float64() float64 // even in [0, 1)
	ExpFloat64() float64
	NormFloat64() float64
}

// player gives the times of a trace's requests, one after the other, since the trace began. Of stretches it
// draws the gaps: a gap of the law with mean 1 is used up at the rate that stands, so that a change of rate
// within a gap counts from when it comes. (For poisson that is exact: an inhomogeneous Poisson process.)
type player struct {
	trace
	scale  float64 // requests sent for each of the trace
	repeat bool
	chance chance

	began time.Duration // this round
	at    time.Duration // within it
	row   int           // of stretches or times
	ready []time.Duration
}

// next is the time of the next request; false: there is none, and the time is the trace's end.
func (p *player) next() (time.Duration, bool) {
	for {
		at, ok := p.round()
		if ok || !p.repeat {
			return p.began + at, ok
		}
		p.began += p.end
		p.at, p.row = 0, 0
	}
}

func (p *player) round() (time.Duration, bool) {
	if len(p.times) > 0 {
		return p.listed()
	}
	return p.drawn()
}

func (p *player) drawn() (time.Duration, bool) {
	if p.row == len(p.stretches) {
		return p.end, false
	}
	need := p.stretches[p.row].gap(p.chance)
	for ; p.row < len(p.stretches); p.row++ {
		rate, end := p.stretches[p.row].rate*p.scale, p.until(p.row)
		p.at = max(p.at, p.stretches[p.row].from)
		if has := rate * (end - p.at).Seconds(); need >= has {
			need -= has
			continue
		}
		p.at = min(p.at+time.Duration(need/rate*float64(time.Second)), end-1)
		return p.at, true
	}
	return p.end, false
}

// listed sends each request of a log scale times on average: first at its own time, and again at any time
// until the next row's, so that twice the requests are not twice as many at once.
func (p *player) listed() (time.Duration, bool) {
	for len(p.ready) == 0 {
		if p.row == len(p.times) {
			return p.end, false
		}
		p.expand()
	}
	at := p.ready[0]
	p.ready = p.ready[1:]
	return at, true
}

// expand makes ready what is sent for the rows of one time.
func (p *player) expand() {
	first, at, until := p.row, p.times[p.row], p.end
	p.ready = p.ready[:0]
	for p.row < len(p.times) && p.times[p.row] == at {
		p.row++
	}
	if p.row < len(p.times) {
		until = p.times[p.row]
	}
	within := func(d time.Duration) time.Duration { return at + time.Duration(p.chance.Float64()*float64(d)) }
	whole, part := math.Modf(p.scale)
	for range p.row - first {
		copies := int(whole)
		if p.chance.Float64() < part {
			copies++
		}
		room := min(p.grain, until-at)
		for range copies {
			p.ready = append(p.ready, within(room))
			room = until - at
		}
	}
	slices.Sort(p.ready)
}

// gap draws a gap whose mean is 1.
func (s stretch) gap(c chance) float64 {
	switch shape := float64(s.shape); s.law {
	case gamma:
		return gammaGap(shape, c)
	case weibull:
		return math.Pow(c.ExpFloat64(), 1/shape) / math.Gamma(1+1/shape)
	}
	return c.ExpFloat64()
}

// gammaGap draws from the gamma law with mean 1, by rejection from a cubed normal (Marsaglia and Tsang, "A simple
// method for generating gamma variables", 2000); a shape below 1 is one of 1 more, times a power of chance.
func gammaGap(shape float64, c chance) float64 {
	boost := 1.0
	k := shape
	if k < 1 {
		boost = math.Pow(1-c.Float64(), 1/k)
		k++
	}
	d := k - 1.0/3
	for {
		x := c.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		v = v * v * v
		if v > 0 && math.Log(1-c.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return boost * d * v / shape
		}
	}
}
