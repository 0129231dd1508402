package recommender

import (
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Distribution is what one signal was over a window, in the signal's unit (cores, bytes, requests
// per second). Mean and percentiles are the hottest replica's: see the package comment.
type Distribution struct {
	Mean    float64       // of the hottest replica in each slot
	Even    float64       // mean over time of the mean of all replicas: what each had if all had the same
	Total   float64       // mean over time of the sum over pods: a workload's requests per second
	Peak    float64       // largest reading of any pod
	Samples int           // readings, of all pods
	Pods    int           // the most pods measured at once
	From    time.Time     // start of the first sample; where the window begins inside a stretch that is no longer told apart, the whole stretch counts
	To      time.Time     // end of the newest sample
	Spent   time.Duration // measured time: From to To less the slots without any sample
	values  histogram
}

// counts tells whether a bucket says what the series is asked for: where percentiles are, one that is kept without
// them says too little.
func (s *series) counts(b *bucket) bool { return s.plain || !b.plain }

// Percentile is the value that a share q of the time was not above: not less than the exact one by more than 0.01 %, and
// at most 5 % above that of a share nearer to 1 by an eighth of the rest; 22 % where values are common (see widths). It is 0
// where none are kept (see Follow).
func (d Distribution) Percentile(q float64) float64 { return d.values.percentile(q) }

// Distribution is what a container's signal (container "" for a pod's) was in the window that ends
// now; false where nothing was measured in it.
func (h *History) Distribution(ref fleet.Ref, container string, signal fleet.Signal, window time.Duration, now time.Time) (Distribution, bool) {
	s, ok := h.series(ref, container, signal)
	if !ok {
		return Distribution{}, false
	}
	return s.distribution(now.Add(-window).UnixNano())
}

// distribution is what ended after from, in unix nanoseconds.
func (s *series) distribution(from int64) (Distribution, bool) {
	if s.plain {
		return s.sums(from)
	}
	var values dense
	all := s.each(from, &values)
	d, ok := s.summed(all)
	d.values = values.histogram(all.peak)
	return d, ok
}

// sums is a distribution without percentiles.
func (s *series) sums(from int64) (Distribution, bool) { return s.summed(s.each(from, nil)) }

func (s *series) summed(all bucket) (Distribution, bool) {
	if all.weight == 0 {
		return Distribution{}, false
	}
	return Distribution{
		Mean: all.sum / float64(all.weight), Even: all.even / float64(all.weight), Total: all.total / float64(all.weight), Peak: float64(all.peak),
		Samples: int(all.samples), Pods: int(all.pods),
		From: time.Unix(int64(all.from), 0).UTC(), To: time.Unix(0, s.newest).UTC(), Spent: s.spent(all),
	}, true
}

// lately is the requests per second of the last five minutes of real time. The past tells no less than minutes apart,
// which are hours at a quick pace: there what is open counts alone.
func (s *series) lately(now time.Time) float64 {
	recent := *s
	if s.pace().hour() < hourSeconds {
		recent.past = nil
	}
	d, _ := recent.distribution(now.Add(-loadWindow).UnixNano())
	return d.Total
}

// measuredFor is the measured time after from, in unix nanoseconds.
func (s *series) measuredFor(from int64) time.Duration {
	all := s.each(from, nil)
	if all.weight == 0 {
		return 0
	}
	return s.spent(all)
}

// spent is the time from the first to the newest sample, less the slots without any.
func (s *series) spent(all bucket) time.Duration {
	return min(time.Duration(all.span)*time.Second, time.Duration(s.newest-int64(all.from)*int64(time.Second)))
}

// each adds up what ended after from, and its histograms in values unless that is nil; open slots as if they were
// closed now.
func (s *series) each(from int64, values *dense) (all bucket) {
	all.from = math.MaxUint32
	r := s.past.reader(floorOf(s.signal()))
	r.after = uint32(max(from, 0) / int64(time.Minute))
	for b := (bucket{}); r.next(&b, values != nil); {
		if int64(b.to)*int64(time.Second) <= from || !s.counts(&b) {
			continue
		}
		all.add(&b)
		if values != nil {
			values.add(b.hist)
		}
	}
	var few, some [16]reading
	open, in := append(few[:0], s.open...), some[:0]
	open = slices.DeleteFunc(open, func(r reading) bool { return r.at <= from })
	for len(open) > 0 {
		at := earliest(open, s.pace())
		in, open = take(in[:0], open, at, s.pace())
		b, hot := summary(in, at)
		all.add(&b)
		if values != nil {
			values.add(cellsOf(hot, float64(b.weight), floorOf(s.signal())))
		}
	}
	return all
}

// measuredAtLeast tells whether the measured time after from, in unix nanoseconds, is not less than need: a day in four
// stretches of six hours is enough to see for it.
func (s *series) measuredAtLeast(need time.Duration, from int64) bool {
	all := bucket{from: math.MaxUint32}
	r := s.past.reader(floorOf(s.signal()))
	for b := (bucket{}); r.next(&b, false); {
		if int64(b.to)*int64(time.Second) <= from || !s.counts(&b) {
			continue
		}
		if all.add(&b); s.spent(all) >= need {
			return true
		}
	}
	return s.measuredFor(from) >= need
}

// partlyPlain tells whether something was kept without percentiles.
func (s *series) partlyPlain() bool {
	r := s.past.reader(floorOf(s.signal()))
	for b := (bucket{}); r.next(&b, false); {
		if b.plain {
			return true
		}
	}
	return false
}

// measured tells whether a pod's last sample ended after t, unix nanoseconds.
func (s *series) measured(pod string, t int64) bool {
	i, known := s.find(idOf(pod))
	return known && s.pods[i].at > t
}

// Use is what was measured of one container, or of a workload's pods, over a window: the numbers
// behind a recommendation, for people.
type Use struct {
	Container  string       `json:"container,omitempty"` // empty: a signal of pods
	Signal     fleet.Signal `json:"signal"`
	Mean       float64      `json:"mean"`            // this and the next four in the signal's unit
	Plain      bool         `json:"plain,omitempty"` // the workload's rule reads no percentiles, so the next two are not known
	P50        float64      `json:"p50,omitempty"`
	Percentile float64      `json:"percentile,omitempty"` // the one that was asked for
	Peak       float64      `json:"peak"`
	Total      float64      `json:"total"` // over all pods, mean over time
	Samples    int          `json:"samples"`
	From       time.Time    `json:"from"`
	To         time.Time    `json:"to"`
	Pods       int          `json:"pods"`     // the most measured at once
	Coverage   float64      `json:"coverage"` // share of the window that was measured, 0 to 1
}

// Use is everything measured of a workload in the window that ends now, sorted by container and
// signal. The percentile is a share, 0.95 for p95.
func (h *History) Use(ref fleet.Ref, window time.Duration, now time.Time, percentile float64) []Use {
	list := h.of(ref)
	if len(list) == 0 {
		return nil
	}
	out := make([]Use, 0, len(list))
	for i := range list {
		s := &list[i]
		d, ok := s.distribution(now.Add(-window).UnixNano())
		if !ok {
			continue
		}
		out = append(out, Use{
			Container: s.container(), Signal: s.signal(),
			Plain: s.plain, Mean: d.Mean, P50: d.Percentile(0.5), Percentile: d.Percentile(percentile), Peak: d.Peak, Total: d.Total,
			Samples: d.Samples, From: d.From, To: d.To, Pods: d.Pods,
			Coverage: min(1, d.Spent.Seconds()/window.Seconds()),
		})
	}
	return out
}
