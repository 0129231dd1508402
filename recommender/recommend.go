package recommender

import (
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Judgement is what the rules say of one workload.
type Judgement struct {
	Recommendations []Recommendation // at most one a rule, in the order right-sizing, replicas, spot
	Fine            []Finding        // the rules that judged it and found nothing to change
	Holds           []fleet.Hold     // why the workload, or a rule, was left alone
}

// Judge says what the workload's own history asks for. The rules are those of o that are switched on; one that is
// off says nothing:
//
//	rule          when                                              then
//	right-sizing  mean CPU use of the hottest replica below         CPU = percentile + margin,
//	              UnderusedBelow of the container's request         memory = peak + margin
//	replicas      mean requests/s of a ready replica below          one replica fewer, down to the most
//	              PerReplica                                        that would each get PerReplica
//	              with Forecast: what is foreseen asks for others   as many, by what one was seen to answer
//	spot          class batch on on-demand capacity                 capacity spot
//
// No rule judges a workload that is rolling out, was not measured lately, or for less than
// MinHistory; each rule asks the same of the signals that it stands on. A workload with GPUs is
// never judged by its CPU: right-sizing passes it by, with a hold while its GPUs are unknown and with
// Advise from then on; replicas (by requests answered) and spot (by class) do not look at CPU and stay
// open to it.
//
// The history is only read. What is planned by price stands in p, which takes note of what is in force.
func Judge(w fleet.Workload, h *History, p *Plans, o Options, now time.Time) (out Judgement) {
	c := newJudge(w, h, o, now)
	if c.p = p; o.Priced != nil {
		c.stands = p.workloads[w.Ref]
	}
	gpu, hold := c.gpuUse()
	if hold != nil {
		out.Holds = append(out.Holds, *hold)
	}
	if hold, ok := c.gate(); ok {
		out.Holds = append(out.Holds, hold)
		return out
	}
	replicas, crowding := c.replicas()
	c.crowding = crowding
	return out.and(c.rightSize()).and(finding(gpu.finding())).and(replicas).and(c.spot())
}

// and is what was said, and after it what one more rule says.
func (j Judgement) and(r ruling) Judgement {
	return Judgement{joined(j.Recommendations, r.Recommendations), joined(j.Fine, r.Fine), joined(j.Holds, r.Holds)}
}

// joined is a and b. It may be one of them, without room to append to: what is kept is not written to.
func joined[T any](a, b []T) []T {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return slices.Clip(b)
	}
	return append(a, b...)
}

// judge is one workload under judgement.
type judge struct {
	w        fleet.Workload
	h        *History
	p        *Plans
	o        Options
	now      time.Time
	all      []series    // of the workload
	stands   []*standing // of its plans
	gpus     int64
	crowding float64 // by how much the use of a pod grows when the replicas rule has done its work
}

// newJudge is a judge, who needs no heap.
func newJudge(w fleet.Workload, h *History, o Options, now time.Time) judge {
	return judge{w: w, h: h, o: o, now: now, all: h.of(w.Ref), gpus: gpus(&w), crowding: 1}
}

// series is a signal of one of its containers.
func (c *judge) series(container string, signal fleet.Signal) (*series, bool) {
	if i, ok := find(c.all, container, signal); ok {
		return &c.all[i], true
	}
	return nil, false
}

// longEnough tells whether a series was measured for as long as the policy asks. Of what is planned that is looked up
// once an hour: it was so, and it is measured still.
func (c *judge) longEnough(s *series) bool {
	found := sure{c.now.Unix() / 3600, c.o.MinHistory}
	i, known := findStanding(c.stands, s.container())
	if known && *c.stands[i].sureOf(s.signal()) == found {
		return true
	}
	enough := s.measuredAtLeast(c.o.MinHistory, c.now.Add(-c.lookback()).UnixNano())
	if enough && known {
		*c.stands[i].sureOf(s.signal()) = found
	}
	return enough
}

// ruling is what one rule says: a recommendation, or why none is needed, or holds.
type ruling = Judgement

func recommending(r Recommendation, holds ...fleet.Hold) ruling {
	return ruling{Recommendations: []Recommendation{r}, Holds: holds}
}

// finding is what a rule that asks for nothing says; f may be nil.
func finding(f *Finding) ruling {
	if f == nil {
		return ruling{}
	}
	return ruling{Fine: []Finding{*f}}
}

func holding(r fleet.HoldReason, detail string) ruling {
	return ruling{Holds: []fleet.Hold{held(r, detail)}}
}

// gate is the hold that stands against every rule.
func (c *judge) gate() (fleet.Hold, bool) {
	if c.w.RollingOut {
		return held(fleet.HoldRollout, "pods of two templates live side by side; wait until the rollout ends"), true
	}
	last, ok := lastOf(c.all)
	if !ok {
		return held(fleet.HoldNoMetrics, "nothing was ever measured; does metrics-server run, or the Prometheus that was given scrape its nodes?"), true
	}
	if c.now.Sub(last) > c.o.StaleAfter {
		return c.stale("", last), true
	}
	if !slices.ContainsFunc(c.all, func(s series) bool { return c.longEnough(&s) }) {
		return c.short("", c.spent()), true
	}
	return fleet.Hold{}, false
}

// spent is the measured time of the signal that was measured longest.
func (c *judge) spent() time.Duration {
	var longest time.Duration
	for i := range c.all {
		longest = max(longest, c.all[i].measuredFor(c.now.Add(-c.lookback()).UnixNano()))
	}
	return longest
}

// measured is a signal over the window, or the hold of what is missing of it. What is measured is called in the hold
// by that and the container: "cpu of ", "model-server".
func (c *judge) measured(container string, signal fleet.Signal, what string) (Distribution, *fleet.Hold) {
	s, hold := c.known(container, signal, what)
	if s == nil {
		return Distribution{}, hold
	}
	d, _ := s.distribution(c.now.Add(-c.o.Window).UnixNano())
	return d, hold
}

// known is the series of a signal that was measured in the window, with the hold of what is missing of it.
func (c *judge) known(container string, signal fleet.Signal, what string) (*series, *fleet.Hold) {
	s, ok := c.series(container, signal)
	if !ok || s.newest <= c.now.Add(-c.o.Window).UnixNano() {
		hold := held(fleet.HoldNoMetrics, what+container+" was not measured in the last "+spell(c.o.Window))
		return nil, &hold
	}
	if last := time.Unix(0, s.newest).UTC(); c.now.Sub(last) > c.o.StaleAfter {
		hold := c.stale(what+container+" ", last)
		return s, &hold
	}
	if !c.longEnough(s) || s.plain && !c.o.plain() {
		hold := c.short(what+container+" ", s.measuredFor(c.now.Add(-c.lookback()).UnixNano()))
		if s.partlyPlain() {
			hold.Detail += "; what was kept under rule priced tells no percentiles"
		}
		return s, &hold
	}
	return s, c.missing(s, what, container)
}

// missing is the hold of ready pods that a series knows nothing of: the hottest replica may be one
// of them. Pods younger than StaleAfter are not waited for.
func (c *judge) missing(s *series, what, container string) *fleet.Hold {
	since, n, of := c.now.Add(-c.o.StaleAfter), 0, 0
	for _, p := range c.w.Pods {
		if !p.Ready || c.now.Sub(p.Created) <= c.o.StaleAfter {
			continue
		}
		if of++; s.measured(p.Name, since.UnixNano()) {
			n++
		}
	}
	if n < of {
		hold := held(fleet.HoldNoMetrics, fmt.Sprintf("%s was lately measured in %d of %d ready pods", what+container, n, of))
		return &hold
	}
	return nil
}

// lookback is how far MinHistory is looked for.
func (c *judge) lookback() time.Duration { return max(c.o.Window, c.o.MinHistory) }

func (c *judge) stale(subject string, last time.Time) fleet.Hold {
	return held(fleet.HoldStaleMetrics, fmt.Sprintf("%slast measured %s ago, the policy allows %s",
		subject, spell(c.now.Sub(last)), spell(c.o.StaleAfter)))
}

func (c *judge) short(subject string, spent time.Duration) fleet.Hold {
	return held(fleet.HoldShortHistory, fmt.Sprintf("%smeasured for %s of the %s the policy asks",
		subject, spell(spent), spell(c.o.MinHistory)))
}

func held(r fleet.HoldReason, detail string) fleet.Hold {
	return fleet.Hold{Reason: r, Detail: detail}
}

// autoscaler finds another party that sets field for a purpose of its own; a field manager is none.
func autoscaler(w fleet.Workload, field string) (fleet.Owner, bool) {
	for _, o := range w.Owners {
		if o.Field == field && o.Kind != "FieldManager" {
			return o, true
		}
	}
	return fleet.Owner{}, false
}

// spell writes a duration for people: "40s", "1m30s", "3m", "12h", "7d"; whole seconds, and whole
// hours from two days on.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Truncate(time.Second)
	if d < 2*day {
		return zeroless(d)
	}
	s := fmt.Sprintf("%dd", d/day)
	if h := d % day / time.Hour; h > 0 {
		s += fmt.Sprintf("%dh", h)
	}
	return s
}

// zeroless is d as Go writes it, without the units that are zero at its end.
func zeroless(d time.Duration) string {
	s := d.String()
	if d >= time.Minute && d%time.Minute == 0 {
		s = s[:len(s)-len("0s")]
	}
	if d >= time.Hour && d%time.Hour == 0 {
		s = s[:len(s)-len("0m")]
	}
	return s
}
