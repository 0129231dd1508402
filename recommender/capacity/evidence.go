package capacity

import (
	"cmp"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// Evidence is what is known at a moment of a server whose setting was in force during all of Window.
type Evidence struct {
	At        time.Time
	Window    Window
	Back      bool        // a count went back although no container began anew; there is no window then
	Curve     curve.Curve // of one batch in one instance, over all pods
	Instances int         // batches at once in a pod
	MaxBatch  int         // as in Service
	// Arrivals is what the pods say came in the last minute. Its Rate is 0 where they do not say: then the
	// window's is all that is known.
	Arrivals Load
	Price    Price
	Nodes    []fleet.Resources // as in Room
	Quota    fleet.Resources
	Cores    int64
	Refused  func(Setting) []string
	// Least is what a pod must request by LimitRanges; 0: they do not say.
	Least fleet.Resources
	// Processors is those of the smallest node under the pods; 0: not known.
	Processors int
	Scaled     bool // an autoscaler says the replicas, so that they are not to be chosen
}

// rate is the requests a second of the window's busiest minute, as far as it is known.
func (e Evidence) rate() float64 { return max(e.Window.Rate(), e.Arrivals.Rate) }

// load is what came during the window.
func (e Evidence) load() Load {
	l := e.Arrivals
	if l.Rate <= 0 {
		l = Load{Burst: 1}
	}
	l.Peak = scaled(l.Peak, e.Window.Rate(), l.Rate)
	l.Rate, l.Mean = e.Window.Rate(), e.Window.Rate()
	if n := e.Window.Latency.Total(); l.Rows <= 0 && n > 0 {
		l.Rows = float64(e.Window.Rows) / float64(n)
	}
	return l
}

// busiest is the load that a plan is made for: as it came, at the rate of the busiest minute that is
// expected, which may be another's.
func (e Evidence) busiest(c Calendar) Load {
	l := e.load()
	rate := max(e.rate(), c.Coming(e.At))
	l.Peak, l.Rate = scaled(max(l.Peak, e.Arrivals.Peak), rate, max(l.Rate, e.Arrivals.Rate)), rate
	l.Mean = min(cmp.Or(c.Mean, l.Mean), rate)
	return l
}

// scaled is what n is when a rate becomes another.
func scaled(n, to, from float64) float64 {
	if from <= 0 {
		return n
	}
	return n * to / from
}

// Check tells where a server's numbers contradict each other, so that nothing can be concluded from
// them. Windows with fewer requests than are judged are not looked at closely: few are never even.
func (e Evidence) Check(needed int64) error {
	if e.Back {
		return fmt.Errorf("counts went back although no container began anew")
	}
	if err := Sound(e.Curve); err != nil {
		return err
	}
	if e.Window.Requests() < needed {
		return nil
	}
	for _, check := range []func() error{e.checkCounts, e.checkBusy, e.checkCPU, e.checkArrivals} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Sound tells what of a curve is impossible.
func Sound(c curve.Curve) error {
	const longestBatch, wildest = 3600.0, 1000.0 // seconds, and times what the curve says
	p := c.Spread
	for _, l := range []curve.Line{c.Wall, c.CPU, c.Loaded.Wall, c.Loaded.CPU} {
		for _, v := range []float64{l.Fixed, l.PerRow} {
			if !(v >= 0 && v <= longestBatch) {
				return fmt.Errorf("its curve has %v seconds in it", v)
			}
		}
		if l.Form == curve.Doubling && l.PerRow > l.Fixed {
			return fmt.Errorf("its curve has batches of two that take more than twice as long as one row")
		}
		if !l.Bends.Sound() {
			return fmt.Errorf("its curve is bent by %v", l.Bends)
		}
	}
	switch {
	case c.Known() && !(c.UnderLoad().Wall.At(1) > 0 && c.Wall.At(1) > 0):
		return fmt.Errorf("its curve says that a row takes no time")
	case !(c.Error >= 0 && c.Error <= wildest):
		return fmt.Errorf("its curve has an error of %v", c.Error)
	case !(0 <= p.P10 && p.P10 <= p.P50 && p.P50 <= p.P90 && p.P90 <= p.P99 && p.P99 <= wildest):
		return fmt.Errorf("its curve has a spread of %v", p)
	}
	return nil
}

// checkCounts compares the counters of requests. Some requests are on their way at either end.
func (e Evidence) checkCounts() error {
	w := e.Window
	n, slack := w.Latency.Total(), int64(64*max(w.Replicas, 1))
	if apart := max(n-w.Answered, w.Answered-n); apart > slack+n/50 {
		return fmt.Errorf("%s latencies of %s answered requests", thousands(n), thousands(w.Answered))
	}
	if w.Rows+slack+n/50 < n {
		return fmt.Errorf("%s rows computed for %s answered requests", thousands(w.Rows), thousands(n))
	}
	if w.Batches > w.Rows {
		return fmt.Errorf("%s batches of %s rows", thousands(w.Batches), thousands(w.Rows))
	}
	return nil
}

// checkBusy compares the time of batches with the time that there was. A batch may have begun before.
func (e Evidence) checkBusy() error {
	all := float64(max(e.Instances, 1)*max(e.Window.Replicas, 1)) * e.Window.Elapsed.Seconds()
	if e.Window.Busy > all*1.1+1 {
		return fmt.Errorf("batches took %.0f s of %.0f s that there were", e.Window.Busy, all)
	}
	return nil
}

// checkCPU compares the CPU of batches with the curve's and with the process'.
func (e Evidence) checkCPU() error {
	w := e.Window
	if w.Compute > w.CPUSeconds*1.1+0.5 {
		return fmt.Errorf("batches took %.1f CPU seconds, the whole process %.1f", w.Compute, w.CPUSeconds)
	}
	if !e.Curve.Known() || w.Batches == 0 {
		return nil
	}
	const twofold, slack = 2, 0.5 // CPU seconds
	said := float64(w.Batches) * e.Curve.UnderLoad().CPU.At(float64(w.Rows)/float64(w.Batches))
	if said > twofold*w.CPUSeconds+slack || w.Compute > twofold*said+slack {
		return fmt.Errorf("by its curve its batches took %.1f CPU seconds, by its counters %.1f of %.1f", said, w.Compute, w.CPUSeconds)
	}
	return nil
}

// checkArrivals compares what the server's gauge says of the last minute with what it counted in a window
// that began before, which cannot be less.
func (e Evidence) checkArrivals() error {
	came := e.Arrivals.Rate * time.Minute.Seconds()
	if e.Window.Elapsed < time.Minute || e.Arrivals.Rate <= e.mostArrivals() {
		return nil
	}
	return fmt.Errorf("%.0f requests came in the last minute by its gauge, %d in %s by its counters", came, e.Window.Came, whole(e.Window.Elapsed))
}

// mostArrivals is the most requests a second of the last minute that agree with what was counted in the window; one that
// is shorter stands for the whole minute.
//
//	window  came   a second at most
//	60 s    1,000  28: half as many more, and 200
//	2 min   1,000  28: all may have come in the last minute
//	20 s    100    11: as if 300 had come in the minute
func (e Evidence) mostArrivals() float64 {
	came := float64(max(e.Window.Came, e.Window.Requests()))
	if short := e.Window.Elapsed.Seconds(); 0 < short && short < time.Minute.Seconds() {
		came *= time.Minute.Seconds() / short
	}
	return (1.5*came + fewest) / time.Minute.Seconds()
}

// counted is e with no more arrivals than what was counted bears out: a gauge that says too much would be planned for, and
// remembered by the hour of the week.
func (e Evidence) counted() Evidence {
	most := e.mostArrivals()
	if e.Arrivals.Rate > most {
		e.Arrivals.Peak = scaled(e.Arrivals.Peak, most, e.Arrivals.Rate)
		e.Arrivals.Rate = most
	}
	return e
}

// measure is what the window shows.
func (e Evidence) measure(g Goal) Measure {
	q, _ := e.Window.Quantile(g.Percentile())
	return Measure{
		Ended: e.At, Elapsed: e.Window.Elapsed, Requests: e.Window.Requests(), Errors: e.Window.Errors,
		Latency: q, CPU: cpuOf(e.Window), Rate: e.Window.Rate(), Met: e.Window.Met(g.SLO.Latency),
	}
}

// question asks for a plan from the setting in force on.
func (s State) question(e Evidence) Question {
	room := s.Goal.Room
	room.Nodes, room.Quota, room.Cores, room.Refused = e.Nodes, e.Quota, e.Cores, e.Refused
	room.CPU[0], room.Memory[0] = raised(room.CPU, e.Least.MilliCPU), raised(room.Memory, e.Least.Memory)
	if e.Scaled {
		room.Replicas = [2]int{}
	}
	return Question{
		Now: s.Setting, Service: s.service(e), Load: e.busiest(s.Calendar), SLO: s.Goal.SLO, Probability: s.Goal.Probability,
		Room: room, Price: e.Price, Calibration: s.Calibration,
	}
}

// raised is the least of a pair where at least so much is needed. One that would leave nothing to choose stays, and
// each choice is refused by itself.
func raised(pair [2]int64, least int64) int64 {
	if least > pair[1] {
		return pair[0]
	}
	return max(pair[0], least)
}
