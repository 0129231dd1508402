package recommender

import (
	"fmt"
	"math"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/scaling"
)

const (
	worthPercent = 5      // points of an autoscaler's target that are worth a change
	hoursAWeek   = 7 * 24 // that an autoscaler's setting is to hold for
)

// setting is what an autoscaler is set to, and what it should be.
type setting struct {
	outset
	scaling.Autoscaler
	want      fleet.Autoscaler
	low, high float64 // requests per second foreseen, of the hours of the next week
	cores     float64 // that a replica uses at Target; 0: not known
	request   float64 // cores
	now, then float64 // replicas on average over the next week as it is set and as it should be; 0: not known
}

// setting is for an autoscaler that holds all week: min for its quietest hour, max for its busiest with the errors
// of an autoscaler on top, and a target that leaves room for the rises within the lead time. A busiest hour is none
// before a day was seen.
func (c *judge) setting() (setting, *fleet.Hold) {
	o, hold := c.outset()
	if hold != nil {
		return setting{}, hold
	}
	if n := o.seen(); n < hoursADay-1 { // the last hour may not be closed yet
		hold := held(fleet.HoldShortHistory, fmt.Sprintf("requests were seen in %d of the %d hours of a day (UTC); min and max are told after a whole one", n, hoursADay))
		return setting{}, &hold
	}
	s := setting{outset: o, want: c.w.Autoscaler, low: math.Inf(1)}
	s.Autoscaler, _ = o.track.Autoscaler(o.now)
	var rates [hoursAWeek]float64
	for h := range rates {
		rates[h] = o.rate(h)
		s.low, s.high = min(s.low, rates[h]), max(s.high, rates[h])
	}
	s.want.Min = int32(o.needed(s.low))
	s.want.Max = max(int32(s.Max), s.want.Min)
	c.byCPU(&s, rates[:])
	return s, nil
}

// byCPU says the target in CPU. What a replica uses is never reckoned to be more than was seen: with a higher target
// an autoscaler would come too late.
func (c *judge) byCPU(s *setting, rates []float64) {
	is := c.w.Autoscaler
	use, rate, ok := c.cpuAtHigh(is.Container)
	for _, k := range c.containers() {
		if is.Container == "" || k.Name == is.Container {
			s.request += float64(k.Requests.MilliCPU) / 1000
		}
	}
	if is.CPUPercent == 0 || !ok || use == 0 || s.request == 0 {
		return
	}
	s.cores = use * min(1, s.Target/rate)
	s.want.CPUPercent = int32(max(1, math.Floor(100*s.cores/s.request)))
	if is.Others {
		return
	}
	each := rate * float64(is.CPUPercent) / 100 * s.request / use
	for _, r := range rates {
		s.now += float64(clamped(r/each, is)) / float64(len(rates))
		s.then += float64(clamped(r/s.Target, s.want)) / float64(len(rates))
	}
}

// clamped is the replicas that an autoscaler runs where its target asks for n.
func clamped(n float64, a fleet.Autoscaler) int32 {
	return max(a.Min, int32(min(math.Ceil(n*(1-tolerance)), float64(a.Max))))
}

// moves is what is to be set otherwise; empty: nothing that is worth it.
func (s setting) moves(is fleet.Autoscaler) string {
	var out []string
	move := func(name string, from, to int32, unit string) {
		out = append(out, fmt.Sprintf("%s %d%s -> %d%s", name, from, unit, to, unit))
	}
	if s.want.Min != is.Min {
		move("minReplicas", is.Min, s.want.Min, "")
	}
	if s.want.Max != is.Max {
		move("maxReplicas", is.Max, s.want.Max, "")
	}
	if d := s.want.CPUPercent - is.CPUPercent; d >= worthPercent || -d >= worthPercent {
		move("target", is.CPUPercent, s.want.CPUPercent, " %")
		out[len(out)-1] += " CPU"
	}
	return strings.Join(out, ", ")
}

// autoscalerAdvice says what the workload's HorizontalPodAutoscaler should be set to. Trimtab writes nobody's
// autoscaler.
func (c *judge) autoscalerAdvice() []Advice {
	if !c.advisesAutoscaler() {
		return nil
	}
	s, hold := c.setting()
	if hold != nil {
		return nil
	}
	moves := s.moves(c.w.Autoscaler)
	if moves == "" {
		return nil
	}
	return []Advice{{
		Reason: fleet.ReplicaForecast, Text: "HPA " + c.w.Autoscaler.Name + ": " + moves, Before: c.beforeSetting(s),
		MilliReplicas: int64(math.Round(1000 * (s.now - s.then))), Evidence: s.evidence(), Steps: s.steps(c.w.Autoscaler), Confidence: days(s.d.Spent),
	}}
}

func (c *judge) advisesAutoscaler() bool {
	return c.o.ReduceReplicas && c.o.Forecast != nil && c.w.Autoscaler.Name != ""
}

// ruledAutoscaler says that the autoscaler is set as it should be, or why nothing can be said of it; nothing where
// there is advice.
func (c *judge) ruledAutoscaler() ruling {
	s, hold := c.setting()
	name := "HPA " + c.w.Autoscaler.Name
	switch {
	case hold != nil:
		return holding(hold.Reason, name+": "+hold.Detail)
	case s.moves(c.w.Autoscaler) != "":
		return ruling{}
	}
	return finding(&Finding{Reason: fleet.ReplicaForecast, Why: name + " is set as it should be: " + s.evidence(), Steps: s.steps(c.w.Autoscaler)})
}

// beforeSetting is what to look at first.
func (c *judge) beforeSetting(s setting) string {
	first := "it keeps what you set: change it, or the manifest that it comes from"
	for _, o := range c.w.Owners {
		if o.Field == "replicas" && o.Kind != "HorizontalPodAutoscaler" && o.Kind != "FieldManager" {
			first = fmt.Sprintf("%s %s writes it: set it there", o.Kind, o.Name)
		}
	}
	if s.capacity.least() {
		first += "; no replica was seen at its limit, so that each may answer more than is reckoned with"
	}
	return first
}

func (s setting) evidence() string {
	text := fmt.Sprintf("%s to %s requests/s in the hours of the next week, as is usual; a replica answers %s", short(s.low), short(s.high), s.capacity.words())
	text += fmt.Sprintf("; %s requests/s for each leave room for a rise", short(s.Target))
	if s.cores > 0 {
		text += fmt.Sprintf(", at which it uses %s of the %s it requests", fleet.FormatCores(s.cores), fleet.FormatCores(s.request))
	}
	if s.now > 0 {
		text += fmt.Sprintf("; %s replicas on average instead of %s", tenths(s.then), tenths(s.now))
	}
	return text
}

func (s setting) steps(is fleet.Autoscaler) []Step {
	step := func(name, value string) Step { return Step{"autoscaler", name, value} }
	out := []Step{
		step("lowest hour foreseen", short(s.low)+" requests/s"),
		step("highest hour foreseen", short(s.high)+" requests/s"),
		step("a replica answers", s.capacity.words()),
		step("min", fmt.Sprintf("%d -> %d", is.Min, s.want.Min)),
		step("max", fmt.Sprintf("%d -> %d", is.Max, s.want.Max)),
		step("requests/s a replica", short(s.Target)+" ("+percent(s.Share)+" of what it answers)"),
	}
	if s.cores > 0 {
		out = append(out, step("cpu at that", fleet.FormatCores(s.cores)+" of "+fleet.FormatCores(s.request)), step("target", fmt.Sprintf("%d %% -> %d %%", is.CPUPercent, s.want.CPUPercent)))
	}
	if s.now > 0 {
		out = append(out, step("replicas on average", tenths(s.now)+" -> "+tenths(s.then)))
	}
	return out
}

func tenths(v float64) string { return decimal(math.Round(v*10) / 10) }

// cpuEnd is the requests per second at which the CPU limits of a replica would be used up, if its use grew with
// its requests; false where something of that is not known.
func (c *judge) cpuEnd() (float64, bool) {
	use, rate, ok := c.cpuAtHigh("")
	var limits int64
	for _, k := range c.containers() {
		if k.Limits.MilliCPU == 0 {
			return 0, false
		}
		limits += k.Limits.MilliCPU
	}
	if !ok || use == 0 {
		return 0, false
	}
	return rate * float64(limits) / 1000 / use, true
}

// cpuAtHigh is the CPU in cores that a container (empty: all together) of the busiest replica used in the busiest
// hundredth of the window, and the requests per second that it answered then.
func (c *judge) cpuAtHigh(container string) (use, rate float64, ok bool) {
	const busy = 0.99
	d, some := c.h.Distribution(c.w.Ref, "", fleet.Requests, c.o.Window, c.now)
	if !some || !(d.Percentile(busy) > 0) {
		return 0, 0, false
	}
	for _, k := range c.containers() {
		if container != "" && k.Name != container {
			continue
		}
		cpu, some := c.h.Distribution(c.w.Ref, k.Name, fleet.CPU, c.o.Window, c.now)
		if !some || cpu.Spent < min(d.Spent, c.o.MinHistory) {
			return 0, 0, false // nothing, or too little since percentiles are kept
		}
		use += cpu.Percentile(busy)
	}
	return use, d.Percentile(busy), true
}
