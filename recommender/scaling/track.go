package scaling

import (
	"math"
)

const (
	levelHalfLife = 24   // windows, of the rate that scales Risk
	switchGain    = .01  // share of cost that another way must save to be followed
	smallServer   = 8    // replicas up to which Risk is as it was given
	mostRate      = 1e15 // requests per second; more is a fault of the source
	leastCapacity = 1e-9 // requests per second of a replica
)

// Track follows one server. Its state has a fixed size of less than 1 KiB. It is not for use by
// several goroutines at once.
type Track struct {
	o Options
	s state
}

// state is all that a checkpoint keeps.
type state struct {
	Last   int64         // start of the newest window, Unix seconds
	Seen   uint32        // windows added
	Level  float32       // slow average of the rate
	Recent [kept]float32 // rates, newest first
	Before decision      // when the newest window was not yet known
	Now    decision
	Pick   uint8 // the way that is followed
	Hours  calendar
	Ways   [len(ways)]way
}

// decision is what was asked for by rates, and what was settled on.
type decision struct{ Asked, Settled uint16 }

// settle is asked, but a single replica fewer has to be asked for twice in a row: starting one again
// costs more than keeping it for a window.
//
//	before asked, settled, now asked   5, 5, 4: 5   4, 5, 4: 4   5, 5, 3: 3   5, 5, 6: 6
func (d decision) settle(asked int) int {
	if asked == int(d.Settled)-1 && d.Asked >= d.Settled {
		return int(d.Settled)
	}
	return asked
}

// New follows a server from nothing. What makes no sense in the options is replaced by a default. Without a capacity every advice is Min, for the reason NoCapacity, but it learns all the same: see Under.
func New(o Options) *Track {
	t := &Track{o: o.settled()}
	for i := range t.s.Ways {
		t.s.Ways[i].forget()
	}
	return t
}

func (t *Track) able() bool { return t.o.Capacity >= leastCapacity && t.o.Capacity <= 1e12 }

// Under is the track as it advises under other options: what was learned stays, Window and Zone are those of t.
// It is to be asked and not to be added to, and holds on to no replica from one window to the next. t stays as it is.
func (t *Track) Under(o Options) *Track {
	o.Window, o.Zone = t.o.Window, t.o.Zone
	u := &Track{o: o.settled(), s: t.s}
	u.s.Before, u.s.Now = decision{}, decision{}
	return u
}

// capacity is what ways are compared by: the capacity of the options or, where they name none, an eighth of what
// comes lately, so that the same track can later be asked Under any capacity.
func (t *Track) capacity() float64 {
	if t.able() {
		return t.o.Capacity
	}
	return max(float64(t.s.Level)/smallServer, leastCapacity)
}

// Add tells the mean request rate, in requests per second, of the window that began at at (Unix
// seconds). Windows come in order; one that is not after the newest, or whose rate is no number from
// 0 to 1e15, is left out. After a gap nothing is compared with what was foreseen across it.
func (t *Track) Add(at int64, rate float64) {
	s := &t.s
	if !(rate >= 0 && rate <= mostRate) || s.Seen > 0 && at <= s.Last {
		return
	}
	if s.Seen > 0 && at-s.Last > t.o.step()*3/2 {
		for i := range s.Ways {
			s.Ways[i].forget()
		}
	}
	t.score(rate)
	t.learn(at, rate)
	t.foresee()
}

// score settles what was advised for the window of that rate.
func (t *Track) score(rate float64) {
	place := int(t.s.Seen) % t.o.horizon()
	for i := range t.s.Ways {
		w := &t.s.Ways[i]
		cost := float64(w.Replicas[place])
		if need(rate, t.capacity()) > int(w.Replicas[place]) {
			cost += t.risk()
		}
		w.score(place, math.Sqrt(rate), cost, t.s.Seen)
	}
}

// risk is what a window over capacity costs at the server's present size, in replica-windows.
func (t *Track) risk() float64 {
	size := min(float64(t.s.Level)/t.capacity(), mostReplicas)
	return t.o.Risk * max(1, size/smallServer)
}

func (t *Track) learn(at int64, rate float64) {
	s := &t.s
	root := math.Sqrt(rate)
	hour, _ := hourOfWeek(at, t.o.Zone)
	s.Hours.add(hour, root)
	for i := range s.Ways {
		base, _ := t.base(i, at)
		s.Ways[i].learn(ways[i].halfLife, root, base, s.Seen)
	}
	s.Level = average(s.Level, rate, keep(levelHalfLife, s.Seen))
	copy(s.Recent[1:], s.Recent[:])
	s.Recent[0] = float32(rate)
	s.Last = at
	s.Seen++
}

// base is the calendar's part of way i in the window that begins at at; false where the way needs an
// hour that was never seen.
func (t *Track) base(i int, at int64) (float64, bool) {
	if ways[i].season == NoSeason {
		return 0, true
	}
	base, ok := t.s.Hours.at(ways[i].season, at+t.o.step()/2, t.o.Zone)
	if !ok {
		return 0, false
	}
	return base, true
}

// foresee lets every way advise the window that is decided now, and follows the one whose advice cost
// least lately.
func (t *Track) foresee() {
	s := &t.s
	at := s.Last + int64(t.o.horizon())*t.o.step()
	place := int(s.Seen-1) % t.o.horizon()
	best := -1
	pickable := false
	for i := range s.Ways {
		w := &s.Ways[i]
		o, ok := t.outlook(i, at)
		w.remember(place, o, t.advised(&o))
		if !ok {
			continue
		}
		pickable = pickable || i == int(s.Pick)
		if best < 0 || w.Cost < s.Ways[best].Cost {
			best = i
		}
	}
	if !pickable || float64(s.Ways[best].Cost) < float64(s.Ways[s.Pick].Cost)*(1-switchGain) {
		s.Pick = uint8(best)
	}
	o, _ := t.outlook(int(s.Pick), at)
	asked := t.advised(&o)
	s.Before, s.Now = s.Now, decision{uint16(asked), uint16(s.Now.settle(asked))}
}

// outlook is what way i foresees for the window that begins at at. A way whose calendar has a hole
// there looks through the newest window instead, and says false.
func (t *Track) outlook(i int, at int64) (outlook, bool) {
	base, ok := t.base(i, at)
	o := t.s.Ways[i].foresee(base)
	if !ok {
		o.root = max(float64(t.s.Ways[0].Level), 0)
		o.spread = max(o.spread, leastShare*o.root)
	}
	return o, ok
}

// advised is the replicas for an outlook before redundancy and bounds.
func (t *Track) advised(o *outlook) int {
	return max(o.cheapest(t.capacity(), t.risk(), 1), t.floor())
}

// floor is what needs no forecast: the newest window at the target share, and what lasted at full
// capacity, so that a dip is not taken for the end of a day.
func (t *Track) floor() int {
	return max(need(float64(t.s.Recent[0]), t.capacity()*t.o.Target), need(t.Lasting(), t.capacity()))
}

// Lasting is the rate, in requests/s, that two of the last eight windows reached. One alone is no evidence: where rates
// are nearly noise, to hold what each spike needed costs more replicas than it saves windows.
//
//	newest first   60 60 60: 60   60 90 60: 60   60 90 80: 80   60: 0
func (t *Track) Lasting() float64 {
	highest, second := float32(0), float32(0)
	for _, r := range t.s.Recent {
		second = max(second, min(highest, r))
		highest = max(highest, r)
	}
	return float64(second)
}

// Windows is how many windows were added.
func (t *Track) Windows() int { return int(t.s.Seen) }
