package capacity

import (
	"cmp"
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
)

// A prediction by simulation takes up to tens of milliseconds, and a room has a thousand settings. So the
// search predicts what looks best by the sketch, corrects the sketch by what it was told, and goes on until
// nothing that is left looks better than the best that it knows, sketches being so much off.
const (
	searchTail  = 0.15 // of a corrected sketch's latency
	searchHot   = 0.5  // of that where pods are held to what they use, near to which latency rises steeply
	searchMonth = 0.03 // of its cores
	searchFar   = 4.0  // the distance at which half of a correction of latency is believed, by its logarithm
	// What may be simulated in all, most settings twice: for the cheapest, with its neighbours, and with the frontier.
	searchBest, searchNear, searchAll = 60, 80, 105
)

// planSearch looks through the settings of a room.
type planSearch struct {
	*planner
	points []point
	pool   []judged // what was judged; the first is what is in force
}

// point is a setting of the room; its CPU is 0 where it follows from its use.
type point struct {
	at      Setting
	like    Setting // that it was drawn as: where the limit follows from what is used, with that limit by sketch
	drawn   sketch  // corrected by the nearest point that was judged
	raw     sketch  // as drawn
	near    float64 // how far that point is; infinite: none yet
	changes int     // from what is in force, without those of requests
	done    bool
	meets   bool // as judged
}

func newPlanSearch(p *planner) *planSearch {
	s := &planSearch{planner: p, pool: []judged{p.judge(p.Now)}}
	for _, replicas := range p.counts() {
		for _, batch := range p.batches() {
			for _, delay := range p.delays(batch) {
				for _, limit := range p.limits() {
					s.add(Setting{Batch: batch, Delay: delay, Replicas: replicas, CPU: limit})
				}
			}
		}
	}
	return s
}

// add puts a setting of the room among the points.
func (s *planSearch) add(at Setting) {
	at.Instances, at.Limit, at.Memory = s.Now.Instances, s.Now.Limit, s.memory()
	at.Spot = s.Now.Spot && (s.Spot == nil || s.Room.Redundancy > 0)
	switch {
	case s.Room.CPU[1] == 0:
		at.CPU = s.Now.CPU
	case at.CPU > 0:
		at.Limit = at.CPU
	}
	requests := at
	requests.CPU, requests.Limit, requests.Memory = s.Now.CPU, s.Now.Limit, s.Now.Memory
	like := at
	if s.follows && at.CPU == 0 {
		like.Limit = s.request(s.sketch(at).cores, at.Replicas)
	}
	drawn := s.sketch(like)
	s.points = append(s.points, point{at: at, like: like, drawn: drawn, raw: drawn, near: math.Inf(1), changes: s.changes(requests)})
}

// look judges a point, and its twin on the other capacity where that may be chosen.
func (s *planSearch) look(i int) {
	at := s.points[i].at
	if s.sizes(at) {
		at = s.sized(at)
	}
	j := s.judge(at)
	s.points[i].done, s.points[i].meets = true, j.Meets
	s.pool = append(s.pool, j)
	if s.twins() {
		at.Spot = !at.Spot
		s.pool = append(s.pool, s.judge(at))
	}
	s.correct(i, j)
}

// sizes tells whether a point's request follows from its use.
func (s *planSearch) sizes(at Setting) bool { return at.CPU == 0 && s.Room.CPU[1] > 0 }

// twins tells whether a setting may be had on either capacity.
func (s *planSearch) twins() bool { return s.Spot != nil && s.Room.Redundancy > 0 }

// correct hands on by how much the sketch of a judged point was off to the points that are nearer to it than
// to any other that was judged. That it was full says all of those that differ in the delay, and nothing of others.
func (s *planSearch) correct(i int, j judged) {
	from := s.points[i]
	cores, tail := overDrawn(j.Prediction.Cores, from.raw.cores), overDrawn(j.slowest().Seconds(), from.raw.tail)
	slow := tail
	if !j.Slowed.Full {
		slow = overDrawn(j.bears().slow.Seconds(), from.raw.slow)
	}
	for k := range s.points {
		p := &s.points[k]
		switch far := distance(p.like, from.like, s.SLO.Latency); {
		case p.done:
		case j.full && onlyDelay(p.like, from.like):
			p.near, p.drawn.tail, p.drawn.slow = 0, math.Inf(1), math.Inf(1)
		case !j.full && far < p.near:
			believed := 1 / (1 + far/searchFar)
			p.near, p.drawn = far, sketch{p.raw.cores * cores, p.raw.tail * math.Pow(tail, believed), p.raw.slow * math.Pow(slow, believed)}
			if j.Slowed.Full && onlyDelay(p.like, from.like) {
				p.drawn.slow = math.Inf(1)
			}
		}
	}
}

// onlyDelay tells whether two settings differ in nothing but the delay.
func onlyDelay(a, b Setting) bool {
	a.Delay = b.Delay
	return a == b
}

// overDrawn is how many times what was drawn came true, 1 where that says nothing.
func overDrawn(a, b float64) float64 {
	if !(a > 0) || !(b > 0) {
		return 1
	}
	return a / b
}

// distance is how differently two settings behave: doublings of replicas, CPU and batch, and parts of the SLO.
func distance(a, b Setting, slo time.Duration) float64 {
	doublings := func(x, y float64) float64 { return math.Abs(math.Log2(x / y)) }
	return 4*doublings(float64(a.Replicas), float64(b.Replicas)) + 4*doublings(float64(a.Limit+100), float64(b.Limit+100)) +
		doublings(float64(a.Batch), float64(b.Batch)) + 4*math.Abs(float64(a.Delay-b.Delay))/float64(slo)
}

// asking is the setting of a point where all its pods use so many cores.
func (s *planSearch) asking(p point, used float64) Setting {
	at := p.at
	if s.sizes(at) {
		at.CPU = s.request(used, at.Replicas)
		if s.follows {
			at.Limit = at.CPU
		}
	}
	return at
}

// roomy tells whether what a setting requests is within the bounds.
func (s *planSearch) roomy(at Setting) bool {
	most := s.Room.CPU[1]
	return (most == 0 || at.CPU <= most) && (at.Limit == 0 || at.CPU <= at.Limit) && len(s.crowded(at)) == 0
}

// worth is the money of a setting, on the cheaper capacity.
func (s *planSearch) worth(at Setting) cost.Money {
	worth := s.month(at)
	if s.twins() {
		at.Spot = !at.Spot
		worth = min(worth, s.month(at))
	}
	return worth
}

// aim is what is searched for: the cheapest that keeps a latency, of some settings.
type aim struct {
	latency time.Duration
	only    func(Setting) bool // nil: of all
}

// seek predicts what looks best for an aim until nothing looks better, or so much was simulated, and gives
// the cheapest that it knows then.
func (s *planSearch) seek(a aim, most int) (judged, bool) {
	for s.spent < most {
		i, ok := s.next(a)
		if !ok {
			break
		}
		s.look(i)
	}
	return s.least(a)
}

// next is the point that looks best for an aim: the cheapest of those that look as if they keep it, else of
// those that might. False: nothing left looks better than what is known.
func (s *planSearch) next(a aim) (int, bool) {
	known, found := s.least(a)
	best, first := -1, promise{}
	for i, p := range s.points {
		if p.done || a.only != nil && !a.only(p.at) || s.keeps(p.drawn.bears(1-s.off()), a.latency) < s.Probability {
			continue
		}
		cheap := s.asking(p, p.drawn.cores*(1-searchMonth))
		if found && s.worth(cheap) >= bar(known, p) || !s.roomy(cheap) {
			continue
		}
		sure := s.keeps(p.drawn.bears(1), a.latency) >= s.Probability
		if look := (promise{sure, s.worth(s.asking(p, p.drawn.cores)), p.changes, p.drawn.tail}); best < 0 || look.before(first) {
			best, first = i, look
		}
	}
	return best, best >= 0
}

// off is by how much a corrected sketch's latency may be too high.
func (s *planSearch) off() float64 {
	if s.follows {
		return searchHot
	}
	return searchTail
}

// promise is how good a point looks.
type promise struct {
	sure    bool
	worth   cost.Money
	changes int
	tail    float64
}

func (p promise) before(o promise) bool {
	if p.sure != o.sure {
		return p.sure
	}
	return cmp.Or(cmp.Compare(p.worth, o.worth), cmp.Compare(p.changes, o.changes), cmp.Compare(p.tail, o.tail)) < 0
}

// bar is the money below which a point would be taken instead of what is known: within a tie fewer changes win.
func bar(known judged, p point) cost.Money {
	if p.changes < known.changes {
		return tied(known.Month)
	}
	return known.Month
}

// tied is the most that counts as no more than an amount.
func tied(m cost.Money) cost.Money { return cost.Money(float64(m) * (1 + Tie)) }

// least is the cheapest known setting that keeps an aim; of those that cost the same the one to be taken.
func (s *planSearch) least(a aim) (judged, bool) {
	var keep []judged
	cheapest := cost.Money(math.MaxInt64)
	for _, j := range s.pool {
		if len(j.bounds) > 0 || j.full || a.only != nil && !a.only(j.Setting) || s.keeps(j.bears(), a.latency) < s.Probability {
			continue
		}
		keep = append(keep, j)
		cheapest = min(cheapest, j.Month)
	}
	if len(keep) == 0 {
		return judged{}, false
	}
	most := tied(cheapest)
	keep = slices.DeleteFunc(keep, func(j judged) bool { return j.Month > most })
	return slices.MinFunc(keep, preferred), true
}

// preferred orders settings that cost the same: fewer changes, the quicker, the smaller batch, the smaller delay.
func preferred(a, b judged) int {
	return cmp.Or(
		cmp.Compare(a.changes, b.changes), cmp.Compare(a.slowest(), b.slowest()), cmp.Compare(a.Setting.Batch, b.Setting.Batch),
		cmp.Compare(a.Setting.Delay, b.Setting.Delay), cmp.Compare(a.Setting.Replicas, b.Setting.Replicas), cmp.Compare(a.Month, b.Month),
	)
}

// cheapest searches for the answer.
func (s *planSearch) cheapest() (judged, bool) {
	return s.seek(aim{latency: s.SLO.Latency}, searchBest)
}

// chosen is the answer by all that is known.
func (s *planSearch) chosen() (judged, bool) { return s.least(aim{latency: s.SLO.Latency}) }

// closest is the setting that comes nearest to the SLO where none keeps it: of those within the bounds, that
// with the best chance, then the quickest, then the cheapest.
func (s *planSearch) closest() judged {
	for range searchNear - searchBest {
		i := s.quickest()
		if i < 0 || s.spent >= searchNear {
			break
		}
		s.look(i)
	}
	within := slices.DeleteFunc(slices.Clone(s.pool), func(j judged) bool { return len(j.bounds) > 0 })
	if len(within) == 0 {
		return s.pool[0]
	}
	return slices.MinFunc(within, func(a, b judged) int {
		full := func(j judged) float64 {
			if j.full {
				return 1 + j.Prediction.Lost
			}
			return 0
		}
		return cmp.Or(cmp.Compare(full(a), full(b)), cmp.Compare(math.Round(100*b.Chance), math.Round(100*a.Chance)),
			cmp.Compare(a.slowest(), b.slowest()), cmp.Compare(a.Month, b.Month), preferred(a, b))
	})
}

// quickest is the point that was not judged and looks quickest; -1: none is left.
func (s *planSearch) quickest() int {
	best, least := -1, 0.0
	for i := range s.points {
		if s.points[i].done {
			continue
		}
		if tail := s.points[i].drawn.tail; best < 0 || tail < least {
			best, least = i, tail
		}
	}
	return best
}

// seconds is a time that may be endless.
func seconds(s float64) time.Duration { return time.Duration(min(s*float64(time.Second), 1<<62)) }
