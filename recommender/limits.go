package recommender

import (
	"fmt"
	"math"
	"math/bits"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// LimitRule says what becomes of a container's limits when its requests are sized.
type LimitRule string

// The rules. Under both that move limits one that equals its request goes on to, and another stays above it, so that
// no pod's QoS class changes; a limit is only moved where the pod template states one.
const (
	LimitsStay    LimitRule = ""      // they stay as they are, and no request goes above them
	LimitsByRatio LimitRule = "ratio" // limit ÷ request stays what the pod template says
	LimitsByPeaks LimitRule = "peaks" // they are sized from what was used at most
)

const (
	// limitHeadroom is what a CPU limit from peaks leaves above the largest reading, as a fraction of it. Readings are
	// means over tens of seconds and the kernel throttles by tenths: how much burst hides in between is a guess of ours.
	limitHeadroom = 0.5
	// limitReach is how many times what the template states a limit may become: beyond that a person looks first.
	limitReach = 4
)

// fixed is the limits of a container that do not move, above which no request may go; zero: none.
func (c *judge) fixed(k fleet.Container) fleet.Resources {
	stated, _ := c.w.Template.Container(k.Name)
	out := fleet.Resources{MilliCPU: k.Limits.MilliCPU, Memory: k.Limits.Memory}
	if c.o.Limits == LimitsStay {
		return out
	}
	if stated.Limits.MilliCPU > 0 {
		out.MilliCPU = 0
	}
	if stated.Limits.Memory > 0 {
		out.Memory = 0
	}
	return out
}

// limiting is one resource of a container whose limit follows its request, in thousandths of a core or in bytes.
type limiting struct {
	rule            LimitRule
	step            int64
	stated, request int64  // limit and request in the pod template
	now             int64  // the limit in force
	least           int64  // not lowered below: recent peak and margin, what kills and starts have shown
	wanted          int64  // from peaks
	keep, stop      string // why it is not lowered, and not raised; empty: it may be
}

// fitLimits lets the limits of a container follow the requests that f asks for. Where the two are equal the request
// is raised to what the limit needs. D is its CPU.
func (c *judge) fitLimits(f *fit, k fleet.Container, d Distribution) {
	stated, _ := c.w.Template.Container(k.Name)
	if c.o.Limits == LimitsStay {
		return
	}
	l := c.limitCPU(k, d)
	l.stated, l.request = stated.Limits.MilliCPU, stated.Requests.MilliCPU
	f.limits.MilliCPU, f.target.MilliCPU = f.limit("cpu", fleet.FormatCPU, l, f.target.MilliCPU)
	if l, ok := c.limitMemory(k, f.target.Memory); ok {
		l.stated, l.request = stated.Limits.Memory, stated.Requests.Memory
		f.limits.Memory, f.target.Memory = f.limit("memory", fleet.FormatMemory, l, f.target.Memory)
	} else if k.Limits.Memory > 0 {
		f.step("memory", "limit left", "memory is not known well enough")
		f.target.Memory = min(f.target.Memory, k.Limits.Memory)
	}
	f.lower, f.upper = least(f.lower, f.target), f.upper.Max(f.target)
}

// limit is the limit that is asked for, zero where it stays, and the request under it.
func (f *fit) limit(resource string, format func(int64) string, l limiting, target int64) (limit, request int64) {
	switch {
	case l.now == 0:
		return 0, target
	case l.stated == 0:
		f.step(resource, "limit left", "the pod template states none")
		return 0, target
	case target == 0:
		return 0, target // no request, and none is added
	}
	limit, request, why := l.size(target)
	if why != "" {
		f.step(resource, "limit", why)
	}
	f.step(resource, "limit by "+string(l.rule), format(limit))
	if request != target {
		f.step(resource, "with its limit", format(request))
	}
	if limit == l.now {
		return 0, request
	}
	return limit, request
}

// size is the limit for a request, the request that goes with it, and what stood in the way; empty: nothing did.
func (l limiting) size(request int64) (limit, under int64, why string) {
	equal := l.request == 0 || l.request == l.stated
	gap := l.step
	if equal {
		gap = 0
	}
	switch limit = request; {
	case l.rule == LimitsByPeaks:
		limit = max(limit, l.wanted, l.least)
	case equal:
		limit = max(limit, min(l.least, l.now))
	default:
		limit = max(l.up(inProportion(request, l.stated, l.request)), min(l.least, l.now))
	}
	limit = max(limit, request+gap)
	reach := max(limitReach*l.stated, l.now)
	switch {
	case limit < l.now && l.keep != "":
		limit, why = l.now, "not lowered: "+l.keep
	case limit > l.now && l.stop != "":
		limit, why = l.now, "not raised: "+l.stop
	case limit > reach:
		limit, why = reach, fmt.Sprintf("not raised further: it is %d times what the pod template states; look at it, and state more there", limitReach)
	}
	if !differs(limit, l.now) && (equal || l.now >= request+gap) {
		limit = l.now
	}
	if under = min(request, limit-gap); equal {
		under = limit
	}
	return limit, under, why
}

// up is n, rounded up to a whole step.
func (l limiting) up(n int64) int64 { return (n + l.step - 1) / l.step * l.step }

// inProportion is n × a ÷ b, rounded up. None of them is negative and b is not zero; what is more than a request can be is
// the most that one can be.
func inProportion(n, a, b int64) int64 {
	high, low := bits.Mul64(uint64(n), uint64(a))
	if high >= uint64(b) {
		return math.MaxInt64 / 2
	}
	q, rest := bits.Div64(high, low, uint64(b))
	if rest > 0 {
		q++
	}
	return int64(min(q, math.MaxInt64/2))
}

// limitCPU is what is known of a CPU limit. Use that reached it, or was throttled, says nothing of what was wanted,
// so that no limit is lowered by it.
func (c *judge) limitCPU(k fleet.Container, d Distribution) limiting {
	peak := d.Peak * c.crowding * 1000
	l := limiting{rule: c.o.Limits, step: 1, now: k.Limits.MilliCPU,
		least: ceil(peak * (1 + c.o.Margin)), wanted: ceil(peak * (1 + limitHeadroom))}
	if d.Peak*1000 >= atLimit*float64(l.now) {
		l.keep = "use reached it, so more may have been wanted"
	} else if t, ok := c.h.Distribution(c.w.Ref, k.Name, fleet.Throttling, c.o.Window, c.now); ok && t.Peak >= throttledFrom {
		l.keep = "throttled in up to " + percent(t.Peak) + " of CPU periods; for the latency's sake rather take the limit away"
	}
	return l
}

// limitMemory is what is known of a memory limit for a request; false where that is too little.
func (c *judge) limitMemory(k fleet.Container, request int64) (limiting, bool) {
	d, hold := c.measured(k.Name, fleet.Memory, "memory of "+k.Name)
	if hold != nil {
		return limiting{}, false
	}
	s, _ := c.h.series(c.w.Ref, k.Name, fleet.Memory) // there: it was measured
	now := s.pace().planned(c.now.Unix())
	l := limiting{rule: c.o.Limits, step: memoryStep, now: k.Limits.Memory,
		least: ceil(max(d.Peak*(1+c.o.MemoryMargin), s.memory().LimitFloor(now)))}
	l.least = l.up(l.least)
	l.wanted = l.up(ceil(s.memory().Limit(now, float64(request))))
	if !s.memory().Loaded() {
		l.keep = "no start was measured yet, and a model may take more to load than to serve"
	}
	if s.memory().Leaks() {
		l.stop = "use grows day by day without a plateau: a restart or a fix helps, not a bigger limit"
	}
	return l, true
}

func ceil(v float64) int64 { return int64(math.Ceil(v * (1 - tolerance))) }

// least is the smaller of a and b, resource by resource.
func least(a, b fleet.Resources) fleet.Resources {
	return fleet.Resources{MilliCPU: min(a.MilliCPU, b.MilliCPU), Memory: min(a.Memory, b.Memory), Extended: a.Extended}
}
