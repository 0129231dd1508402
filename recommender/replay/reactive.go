package replay

import "math"

// The plain reactive rule: every day the 97th percentile of 7 days; when use exceeds the request, the larger of
// 1.15 times that use and the 99th percentile of 14 days, until 3 hours have passed without an excess.
const (
	reactiveShare  = 0.97
	reactiveSpan   = 7 * day
	reactiveRaised = 0.99
	reactiveLong   = 14 * day
	reactiveMargin = 1.15
	reactiveHold   = 3 * 3600
)

// Reactive is a plain rule that any cleverer one must beat: flat, with a jump at each excess.
func Reactive() Maker {
	return Maker{"reactive", "p97 of 7 d, daily; on an excess max(1.15 x use, p99 of 14 d) for 3 h", newReactive(false)}
}

// ReactiveDaily is Reactive for those who resize seldom: it comes down from its jumps at most once a day.
func ReactiveDaily() Maker {
	return Maker{"reactive-daily", "as reactive, down at most once a day", newReactive(true)}
}

func newReactive(seldom bool) func(Series) Rule {
	return func(s Series) Rule {
		return &reactive{
			schedule: schedule{every: day}, short: window{span: reactiveSpan}, long: window{span: reactiveLong},
			floor: s.Floor, seldom: seldom, calm: math.NaN(), request: math.NaN(),
		}
	}
}

type reactive struct {
	schedule
	short, long window
	floor       float64
	seldom      bool
	fell        bool    // today
	calm        float64 // the request without an excess
	raised      float64 // the least request after one
	request     float64 // in force
	jumped      bool    // it is above calm
	excess      int64   // when the last one was
}

func (r *reactive) Request(at int64) float64 {
	if edge, ok := r.due(at); ok {
		r.decide(edge)
	}
	if r.jumped && at-r.excess >= reactiveHold && !(r.seldom && r.fell) {
		r.jumped, r.fell, r.request = false, true, r.calm
	}
	return r.request
}

func (r *reactive) decide(edge int64) {
	r.fell = false
	r.short.slide(edge)
	r.long.slide(edge)
	if len(r.long.sorted) < krrLeast || len(r.short.sorted) == 0 {
		return // with nothing to go by, what is in force stays
	}
	r.calm = max(r.short.percentile(reactiveShare), r.floor)
	r.raised = max(r.long.percentile(reactiveRaised), r.floor)
	if !r.jumped {
		r.request = r.calm
	}
	r.request = max(r.request, r.calm)
}

func (r *reactive) Seen(at int64, used float64) {
	r.short.add(at, used)
	r.long.add(at, used)
	if used > r.request { // never, while that is none
		r.request = max(used*reactiveMargin, r.raised)
		r.jumped, r.excess = true, at
	}
}
