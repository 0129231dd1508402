package replay

import "math"

// Rule sizes one series as it passes. For each sample Request is asked first, then Seen is told: a Rule
// never sees the future. Times are unix seconds and ascend.
type Rule interface {
	Request(at int64) float64 // in force for the sample at that time, in the series' unit; NaN: nothing recommended yet
	Seen(at int64, used float64)
}

// Maker builds a Rule for a series. Only a bound by hindsight may look into the series' samples.
type Maker struct {
	Name  string // short, of letters, digits and dashes: it names folders and rows
	About string // one line: what the rule does
	New   func(s Series) Rule
}

// Run is a rule's request at each sample of a series, in its unit; NaN: none yet.
func Run(m Maker, s Series) []float64 {
	r := m.New(s)
	line := make([]float64, len(s.At))
	for i, at := range s.At {
		line[i] = r.Request(at)
		r.Seen(at, s.Used[i])
	}
	return line
}

// schedule is when a rule decides: every so many seconds, counted from the first sample. A decision is taken
// when the first sample at or after its time comes, from what was seen before that time.
type schedule struct {
	every       int64
	first, next int64
	begun       bool
}

// due says whether a decision stands between the sample before and this one, and the time of the last such.
func (s *schedule) due(at int64) (edge int64, ok bool) {
	if !s.begun {
		s.begun, s.first, s.next = true, at, at+s.every
		return 0, false
	}
	if at < s.next {
		return 0, false
	}
	edge = at - (at-s.first)%s.every
	s.next = edge + s.every
	return edge, true
}

// decided is a Rule that keeps a window of samples and decides by schedule.
type decided struct {
	schedule
	window
	decide  func(w *window) float64 // NaN: too little is known
	request float64
}

func newDecided(every, span int64, decide func(w *window) float64) *decided {
	return &decided{schedule: schedule{every: every}, window: window{span: span}, decide: decide, request: math.NaN()}
}

func (d *decided) Request(at int64) float64 {
	if edge, ok := d.due(at); ok {
		d.slide(edge)
		if request := d.decide(&d.window); !math.IsNaN(request) {
			d.request = request // with nothing to go by, what is in force stays
		}
	}
	return d.request
}

func (d *decided) Seen(at int64, used float64) { d.add(at, used) }
