package recommender

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/scaling"
)

// Forecast is what a policy says of replicas that follow the requests foreseen.
type Forecast struct {
	Capacity   float64       // requests per second that one replica answers in time; 0: as measured
	Latency    time.Duration // mean latency of a window that is still in time, by which capacity is measured; 0: not said
	Redundancy int           // replicas that may be lost with the others still enough
	Lead       time.Duration // until a new replica answers
	Ceiling    int32         // never more; 0: see outset.most
}

const (
	// replicaFill is the share of a replica's capacity that the newest five minutes may fill: replicas do not get
	// even shares, and a minute can be above its five.
	replicaFill = 0.85
	// keepAhead is how far ahead the most that is needed keeps a replica: what is needed again within the hour is
	// not stopped and started.
	keepAhead = time.Hour
	// keepFill is the share of its capacity to which a replica counts where others are to go.
	keepFill = 0.9
	// newHour is for how long an hour is believed to become as it usually is; then what comes is known.
	newHour = 15 * time.Minute
	// growAtMost is how many times what served at once before a forecast may ask for where no ceiling is given.
	growAtMost = 2
	// goAtMost is the share of the replicas, one in so many, that may go in one pass.
	goAtMost = 2
)

// capacity is what one replica answers, and how that is known.
type capacity struct {
	scaling.Capacity
	given bool // by the policy
}

// least tells whether it is only known that a replica answers so much: nobody saw one at its limit.
func (k capacity) least() bool { return !k.given && k.Broken == 0 }

// outset is what a forecast of replicas stands on.
type outset struct {
	d          Distribution // of requests
	newest     float64      // requests per second of the last five minutes
	capacity   capacity
	redundancy int            // replicas that may be lost
	floor      int            // never fewer replicas
	most       int            // never more
	track      *scaling.Track // under the policy's options
	pace       Pace           // of the track's time
	now        int64          // in that time, unix seconds
}

// outset gathers it, or says what is missing.
func (c *judge) outset() (outset, *fleet.Hold) {
	s, ok := c.h.series(c.w.Ref, "", fleet.Requests)
	if !ok {
		hold := held(fleet.HoldNoMetrics, neverAnswered)
		return outset{}, &hold
	}
	d, hold := c.measured("", fleet.Requests, "requests per second")
	if hold != nil {
		return outset{}, hold
	}
	k, ok := c.capacity(s.load())
	switch {
	case !ok && c.o.Forecast.Latency == 0:
		hold := held(fleet.HoldNoMetrics, "what one replica can answer is not known: say in the policy how slow is too slow (replicas.latency), or what it can answer (replicas.capacity)")
		return outset{}, &hold
	case !ok:
		hold := held(fleet.HoldNoMetrics, fmt.Sprintf("no replica was seen to keep a mean latency of %s in three windows of the last 28 days; measure latency, or say in the policy what one can answer (replicas.capacity)", c.o.Forecast.Latency))
		return outset{}, &hold
	case s.load().track.Windows() == 0:
		hold := held(fleet.HoldShortHistory, "requests were not measured for five whole minutes yet")
		return outset{}, &hold
	}
	o := outset{d: d, newest: s.lately(c.now), capacity: k, floor: int(max(c.o.Floor, c.w.Budgeted, 1)), most: c.most(d, k)}
	o.track, o.redundancy = s.load().track, c.o.Forecast.Redundancy
	o.pace, o.now = s.pace(), s.pace().planned(c.now.Unix())
	return o.filled(1), nil
}

// filled is o where replicas answer only a share of what they can.
func (o outset) filled(share float64) outset {
	o.capacity.Rate *= share
	o.track = o.track.Under(scaling.Options{
		Capacity: o.capacity.Rate, Target: replicaFill, Redundancy: o.redundancy, Min: o.floor, Max: o.most,
	})
	return o
}

const neverAnswered = "requests were never measured; annotate the pods with prometheus.io/scrape: \"true\""

func (c *judge) capacity(l *load) (capacity, bool) {
	if r := c.o.Forecast.Capacity; r > 0 {
		return capacity{scaling.Capacity{Rate: r}, true}, true
	}
	if c.o.Forecast.Latency == 0 {
		return capacity{}, false
	}
	k, ok := l.served.Within(c.o.Forecast.Latency, c.now.Unix())
	return capacity{Capacity: k}, ok
}

// most is the replicas that may be asked for: the policy's ceiling; without one twice as many as served at once in
// the window, against a capacity that is far too low. Where a replica is only known to answer at least so much,
// those that served are enough for what came, so that no more are asked for.
func (c *judge) most(d Distribution, k capacity) int {
	most, ceiling := growAtMost*max(int(c.w.Replicas), d.Pods), int(c.o.Forecast.Ceiling)
	switch served := most / growAtMost; {
	case c.w.Autoscaler.Name != "": // the most is what is asked for
		most = max(ceiling, 0)
		if ceiling == 0 {
			most = math.MaxUint16
		}
	case k.least() && ceiling > 0:
		most = min(served, ceiling)
	case k.least():
		most = served
	case ceiling > 0:
		most = ceiling
	}
	return max(most, int(c.o.Floor), int(c.w.Budgeted), 1)
}

// ahead is the advice of the window that asks for most of those that begin from now until a while ahead, the end of
// that window, and the most that the hours which begin by then usually ask for.
func (o outset) ahead(while time.Duration) (a scaling.Advice, until time.Time, usual float64) {
	const step, hour = int64(loadWindow / time.Second), 3600
	first := o.now - o.now%step
	best, end := o.track.Replicas(first), first+step
	for at := first + step; at <= o.now+int64(while/time.Second); at += step {
		if a := o.track.Replicas(at); a.Replicas > best.Replicas {
			best, end = a, at+step
		}
		if rate, ok := o.track.Usual(at); ok && at-at%hour+int64(newHour/time.Second) > o.now {
			usual = max(usual, rate)
		}
	}
	return best, o.pace.real(time.Unix(end, 0)), usual
}

// forecast is how many replicas a workload should have now: as many as the window that asks for most needs before
// another replica could answer, and no fewer than the next hour needs. Crowding is as that of replicas.
func (c *judge) forecast() (r ruling, crowding float64) {
	if o, ok := autoscaler(c.w, "replicas"); ok {
		if c.w.Autoscaler.Name == "" {
			return holding(fleet.HoldAutoscaler, fmt.Sprintf("%s %s sets the replicas, and how it is set could not be read", o.Kind, o.Name)), 1
		}
		return c.ruledAutoscaler(), 1
	}
	f, hold := c.foresee()
	if hold != nil {
		return ruling{Holds: []fleet.Hold{*hold}}, 1
	}
	if f.target == c.w.Replicas {
		return finding(&Finding{Reason: fleet.ReplicaForecast, Why: f.evidence(), Steps: f.steps(c), Replicas: f.average}), 1
	}
	return recommending(Recommendation{
		Ref: c.w.Ref, Reason: fleet.ReplicaForecast, Target: fleet.Target{Replicas: f.target}, Replicas: f.average,
		Confidence: days(f.d.Spent), Evidence: f.evidence(), Steps: f.steps(c),
	}), max(1, float64(c.w.Replicas)/float64(f.target))
}

// foreseen is the outcome of a forecast.
type foreseen struct {
	outset
	advice  scaling.Advice
	until   time.Time // the end of the window that decides
	usual   float64   // requests per second of the hours about to begin; 0: none, or not known
	target  int32
	average int32 // over the next 24 hours
}

func (c *judge) foresee() (foreseen, *fleet.Hold) {
	if c.w.Ready() == 0 {
		hold := held(fleet.HoldNoMetrics, "no replica is ready, so none can be judged by its requests")
		return foreseen{}, &hold
	}
	o, hold := c.outset()
	if hold != nil {
		return foreseen{}, hold
	}
	f := foreseen{outset: o}
	f.look(c.o.Forecast.Lead)
	if f.target < c.w.Replicas {
		f.calm(c)
	}
	f.average = o.average()
	return f, nil
}

// calm is the target where replicas are to go: with what the next hour and what lasted in the last 40 minutes ask for of replicas that
// are filled less, so that what is stopped is not started again for a little more; and at most half go at once.
func (f *foreseen) calm(c *judge) {
	less := foreseen{outset: f.outset.filled(keepFill)}
	less.look(max(c.o.Forecast.Lead, keepAhead))
	target := max(less.target, int32(less.needed(f.track.Lasting()/replicaFill)))
	f.advice, f.until, f.usual = less.advice, less.until, less.usual
	f.target = max(min(target, c.w.Replicas), c.w.Replicas-c.w.Replicas/goAtMost)
}

// look is the target for a stretch of time: what is foreseen, but enough for what the hours that begin in it usually
// bring and for what came in the last five minutes.
func (f *foreseen) look(while time.Duration) {
	f.advice, f.until, f.usual = f.ahead(while)
	f.target = int32(max(f.advice.Replicas, f.needed(max(f.usual, f.newest))))
}

// needed is the replicas for a rate that is as good as certain.
func (o outset) needed(rate float64) int {
	n := math.Ceil(rate/o.capacity.Rate*(1-tolerance)) + float64(o.redundancy)
	return max(int(min(n, float64(o.most))), o.floor)
}

// rate is the requests per second so many hours from now: what is usual then, else what is foreseen.
func (o outset) rate(hours int) float64 {
	at := o.now + int64(hours)*hourSeconds
	if rate, ok := o.track.Usual(at); ok {
		return rate
	}
	return o.track.Replicas(at).Forecast
}

const hoursADay = 24

// seen is how many hours of the day are known, the open one among them.
func (o outset) seen() int {
	n := 1
	for h := 1; h < hoursADay; h++ {
		if _, ok := o.track.Usual(o.now + int64(h)*hourSeconds); ok {
			n++
		}
	}
	return n
}

// average is the replicas of the next 24 hours by the hour, on average, rounded: what the forecast costs.
func (o outset) average() int32 {
	sum := 0
	for h := range hoursADay {
		sum += o.needed(o.rate(h) / replicaFill)
	}
	return int32((sum + hoursADay/2) / hoursADay)
}

// words is how a capacity is known.
func (k capacity) words() string {
	rate := short(k.Rate) + " requests/s"
	switch {
	case k.given:
		return rate + ", as the policy says"
	case k.least():
		return fmt.Sprintf("at least %s, seen in %s with a mean latency up to %s", rate, fleet.Count(k.Windows, "window"), milliseconds(k.Latency))
	}
	return fmt.Sprintf("%s, with a mean latency up to %s; slower than promised at %s", rate, milliseconds(k.Latency), short(k.Broken))
}

func (f foreseen) evidence() string {
	text := fmt.Sprintf("%s requests/s foreseen until %s (%s to %s with 90 %%), %s in the last 5 minutes; a replica answers %s",
		short(f.advice.Forecast), clock(f.until, nil), short(f.advice.Low), short(f.advice.High), short(f.newest), f.capacity.words())
	if f.redundancy > 0 {
		text += fmt.Sprintf("; %d may be lost", f.redundancy)
	}
	if f.usual > f.advice.Forecast {
		text += fmt.Sprintf("; %s are usual in an hour about to begin", short(f.usual))
	}
	if f.advice.Reason == scaling.AtMax && f.capacity.least() {
		text += fmt.Sprintf("; not more than the %d that served, as no replica was seen at its limit", f.most)
	}
	return text
}

func (f foreseen) steps(c *judge) []Step {
	step := func(name, value string) Step { return Step{"replicas", name, value} }
	out := []Step{
		step("requests/s now", short(f.newest)),
		step("foreseen", short(f.advice.Forecast)),
		step("with 90 %", short(f.advice.Low)+" to "+short(f.advice.High)),
		step("calendar", f.advice.Season.String()),
	}
	if f.usual > 0 {
		out = append(out, step("usual in hours about to begin", short(f.usual)))
	}
	out = append(out, step("a replica answers", f.capacity.words()))
	if rate, ok := c.cpuEnd(); ok && !f.capacity.given {
		out = append(out, step("its CPU limit ends at", short(rate)+" requests/s if CPU goes on as it went: not seen, not reckoned with"))
	}
	return append(out,
		step("run", decimal(f.advice.Cost.Run)),
		step("may be lost", fmt.Sprint(f.redundancy)),
		step("floor", fmt.Sprint(f.floor)),
		step("at most", fmt.Sprint(f.most)),
		step("decided by", string(f.advice.Reason)),
		step("average of 24 h", fmt.Sprint(f.average)),
		step("target", fmt.Sprint(f.target)))
}

// short writes a rate with three digits, and all of those before the point.
func short(v float64) string {
	if v >= 100 {
		return decimal(math.Round(v))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func milliseconds(d time.Duration) string { return decimal(math.Round(d.Seconds()*1e4)/10) + " ms" }
