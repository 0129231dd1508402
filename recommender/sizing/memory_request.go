package sizing

import "math"

// MemoryReason is why a memory request is what it is.
type MemoryReason uint8

// The reasons.
const (
	MemoryUnknown MemoryReason = iota // too little was measured
	MemorySettled                     // the present request is as good as any
	MemoryFirst                       // nothing was requested before
	MemoryNear                        // grown because use came near the request, or over it
	MemoryPriced                      // grown because an excess became more likely
	MemoryKilled                      // held up by a kill for want of memory
	MemoryIdle                        // shrunk to what is needed
	MemoryStepped                     // shrunk by one step on the way to what is needed
	MemoryLoad                        // held up by what a start takes
	MemoryFloored                     // held up by MemoryOptions.Floor
)

// String is the reason's name in plans and metrics.
func (r MemoryReason) String() string {
	return [...]string{"too-little-history", "settled", "first-request", "use-came-near", "excess-likely", "oom-floor", "idle", "idle-step", "start-peak", "floor"}[min(r, MemoryFloored)]
}

// MemoryAdvice is what memory to request, in bytes.
type MemoryAdvice struct {
	Request float64
	Peak    float64 // the recent peak: of today and of the day before
	Floor   float64 // below which no request is advised: by the options, or by a kill
	Load    float64 // what a start takes; a new pod needs it, a running one only without in-place resize
	Leak    bool    // use grows day by day without a plateau: a restart or a fix, not a bigger request, helps
	Reason  MemoryReason
}

const (
	memoryLeast  = 3 * 3600  // seconds of history before anything is advised
	memoryStep   = 0.3       // most of a request that one shrink takes away
	memoryWait   = memoryDay // seconds after a grow in which nothing shrinks
	memoryChange = 0.001     // price of a change, in days of the request
	memorySame   = 0.01      // changes that are smaller are none
	memoryRare   = 1. / 1000 // probability of a day over the limit that Limit gives
)

// Request says what to request at a time, where held is in force (0: nothing). It decides when use has
// come within Margin of held, once a day, on a day that rises above the one before, after a kill, after a
// start and when something else is held;
// in between the last decision stands. Grows are at once. Shrinks wait until held has not grown for a
// day and take at most 30 % at a time.
func (m *Memory) Request(at int64, held float64) MemoryAdvice { return m.view().request(at, held) }

// Advise is Request for what was measured and what stands of a container that are kept apart: the profile is only
// read. With other options than before it decides anew.
func (o MemoryOptions) Advise(u *MemoryProfile, s *MemoryStanding, at int64, held float64) MemoryAdvice {
	if o = o.filled(); o != s.o {
		s.o, s.heard = o, u.news-1
	}
	return memoryView{u, s}.request(at, held)
}

func (m memoryView) request(at int64, held float64) MemoryAdvice {
	a := MemoryAdvice{Request: held, Leak: m.leaking}
	if m.at == 0 || m.at-m.first < memoryLeast {
		return a
	}
	a.Peak, a.Load = float64(max(m.today.peak, m.before)), m.start.load()
	least, bound := m.least(at, &a)
	last := &m.answer
	if last.held > 0 && held > last.held*(1+memorySame) {
		m.grown = at
	}
	if math.Abs(held-last.request) <= memorySame*last.request {
		*last = memoryAnswer{held, held, MemorySettled} // it was done
	}
	if m.news != m.heard || held != last.held || last.request < least {
		*last, m.heard = m.decide(at, held, least, bound), m.news
	}
	a.Request, a.Reason = last.request, last.reason
	return a
}
