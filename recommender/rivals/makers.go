package main

import (
	"math"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
	"trimtab.dev/trimtab/recommender/replay"
)

// daily and hourly are how often a reader asks for the target.
const (
	daily  = 24 * time.Hour
	hourly = time.Hour
)

// makers are the rows of the genuine autoscaler for series of a unit.
func (g genuine) makers(unit string) []replay.Maker {
	out := []replay.Maker{
		{Name: "genuine-vpa", About: "genuine VPA target, read daily",
			New: func(s replay.Series) replay.Rule { return g.newReader(s, daily, false) }},
		{Name: "genuine-vpa-hourly", About: "genuine VPA target, read every hour",
			New: func(s replay.Series) replay.Rule { return g.newReader(s, hourly, false) }},
	}
	if unit == replay.Bytes {
		out = append(out, replay.Maker{Name: "genuine-vpa-kills", About: "genuine VPA target, read daily, told of a kill where memory passes the request",
			New: func(s replay.Series) replay.Rule { return g.newReader(s, daily, true) }})
	}
	return append(out,
		replay.Maker{Name: "genuine-vpa-recreate", About: "genuine VPA with its updater, evicting",
			New: func(s replay.Series) replay.Rule { return g.newUpdated(s, recreate) }},
		replay.Maker{Name: "genuine-vpa-inplace", About: "genuine VPA with its updater, in place",
			New: func(s replay.Series) replay.Rule { return g.newUpdated(s, inPlace) }})
}

// resourceOf is the resource that a series measures.
func resourceOf(s replay.Series) model.ResourceName {
	if s.Unit == replay.Bytes {
		return model.ResourceMemory
	}
	return model.ResourceCPU
}

// reader holds the recommender's target between readings at fixed times after the
// first sample, as a person or a job that applies recommendations would.
type reader struct {
	*history
	period time.Duration
	kills  bool
	next   time.Time
	now    float64
}

func (g genuine) newReader(s replay.Series, period time.Duration, kills bool) *reader {
	return &reader{
		history: g.newHistory(resourceOf(s), s.Step()), period: period, kills: kills, now: math.NaN(),
		next: time.Unix(firstOf(s), 0).Add(period),
	}
}

// Request reads the target when a reading is due.
func (r *reader) Request(at int64) float64 {
	t := time.Unix(at, 0)
	if !t.Before(r.next) {
		r.next = r.next.Add(t.Sub(r.next).Truncate(r.period) + r.period)
		r.now = r.target()
	}
	return r.now
}

// Seen feeds the recommender. The kill comes before the sample: memory passes the
// request on its way to what the sample shows.
func (r *reader) Seen(at int64, used float64) {
	t := time.Unix(at, 0)
	if r.kills && r.resource == model.ResourceMemory && used > r.now {
		r.recordKill(t, r.now)
	}
	r.see(t, used)
}

// updated is a pod that the genuine updater looks at before each sample.
type updated struct {
	*history
	mode  mode
	first int64 // time of the first sample
	pod   *pod  // nil until there is a day of samples to create it from
}

func (g genuine) newUpdated(s replay.Series, m mode) *updated {
	return &updated{history: g.newHistory(resourceOf(s), s.Step()), mode: m, first: firstOf(s)}
}

// Request runs one loop of recommender and updater.
func (u *updated) Request(at int64) float64 {
	if at-u.first < 86400 {
		return math.NaN()
	}
	t, r := time.Unix(at, 0), u.recommend()
	if u.pod == nil {
		u.pod = newPod(u.genuine, u.mode, t, r)
	} else {
		u.pod.loop(t, r)
	}
	return u.pod.requested(u.resource)
}

// Seen feeds the recommender; memory above the request kills the container first.
func (u *updated) Seen(at int64, used float64) {
	t := time.Unix(at, 0)
	if u.pod != nil && u.resource == model.ResourceMemory && used > u.pod.requested(u.resource) {
		u.recordKill(t, u.pod.requested(u.resource))
	}
	u.see(t, used)
}

// firstOf is the time of a series' first sample.
func firstOf(s replay.Series) int64 {
	if len(s.At) == 0 {
		return 0
	}
	return s.At[0]
}
