package recommender

import (
	"encoding/binary"
	"math"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/scaling"
)

const (
	loadWindow = 5 * time.Minute  // of which the course of requests is told
	loadLead   = 10 * time.Minute // ahead of which it learns how wrong a forecast is
	// longestAnswer is the longest window of one pod whose mean latency says something of its rate.
	longestAnswer = 10 * time.Minute
)

// load is what is known of the requests of a workload: how they come, and what one replica answered how fast.
type load struct {
	track  *scaling.Track
	served scaling.Served
	from   int64   // of the window that is open, unix seconds of the plan
	sum    float64 // requests in it
	weight int64   // seconds of the plan of it that were measured
}

func newLoad() *load {
	return &load{track: scaling.New(scaling.Options{Window: loadWindow, Lead: loadLead})}
}

// add counts a closed slot in, split where windows of the plan begin. The rate of a slot is the sum over its pods.
func (l *load) add(b bucket, p Pace) {
	const step = int64(loadWindow / time.Second)
	rate, end := b.total/float64(b.weight), p.planned(int64(b.to))
	for t := p.planned(int64(b.to) - int64(b.span)); t < end; {
		from := t - t%step
		until := min(end, from+step)
		l.count(from, rate, until-t)
		t = until
	}
}

func (l *load) count(from int64, rate float64, seconds int64) {
	if from < l.from {
		return // a longer slot that ends later overlaps what is known
	}
	if from > l.from && l.weight > 0 {
		l.track.Add(l.from, l.sum/float64(l.weight))
		l.sum, l.weight = 0, 0
	}
	l.from = from
	l.sum, l.weight = l.sum+rate*float64(seconds), l.weight+seconds
}

// answered notes how fast a pod answered the requests of a window, where its latency came before them. What a replica
// can do is no plan: it ages by real days.
func (h *History) answered(l *load, s fleet.Sample) {
	times, ok := h.series(s.Ref, s.Container, fleet.Latency)
	if !ok || s.Window <= 0 || s.Window > longestAnswer {
		return
	}
	pod, known := times.find(idOf(s.Pod))
	for _, r := range times.open {
		if known && int(r.pod) == pod && r.at == s.At.UnixNano() {
			l.served.Add(s.At.Unix(), s.Mean, float64(r.mean))
		}
	}
}

func (e *encoder) load(l *load) {
	e.time(l.from)
	e.time(l.weight)
	*e = binary.LittleEndian.AppendUint64(*e, math.Float64bits(l.sum))
	text, _ := l.track.MarshalBinary() // has no error
	e.name(string(text))
	text, _ = l.served.AppendBinary(nil)
	e.name(string(text))
}

func (d *decoder) load(l *load) {
	l.from, l.weight = d.time(0, math.MaxUint32), d.time(0, math.MaxUint32)
	l.sum = d.double()
	d.must(l.track.UnmarshalBinary([]byte(d.name())) == nil)
	d.must(l.served.UnmarshalBinary([]byte(d.name())) == nil)
}
