package recommender

import (
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Finding is why a rule asks for nothing: what it looked at and what it came to.
type Finding struct {
	Reason fleet.Reason              `json:"reason"` // that the rule would have given
	Why    string                    `json:"why"`    // one sentence with the numbers
	Steps  []Step                    `json:"steps"`
	Course []fleet.ContainerRequests `json:"course,omitempty"` // of a plan: what is requested on average over the next day
}

// Fine is the rules that judged the workload and found nothing to change, in the order of Recommend.
// A rule that is switched off, holds or recommends is not among them.
func Fine(w fleet.Workload, h *History, o Options, now time.Time) []Finding {
	c := judge{w: w, h: h, o: o, now: now}
	if _, held := c.gate(); held {
		return nil
	}
	var out []Finding
	for _, f := range []*Finding{c.fineCPU(), c.fineGPU(), c.fineReplicas()} {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out
}

// fineCPU speaks where right-sizing measured containers and none is worth a change.
func (c judge) fineCPU() *Finding {
	if rec, holds := c.rightSize(); rec != nil || len(holds) > 0 || !c.o.RightSize || gpus(c.w) > 0 {
		return nil
	}
	if c.o.Priced != nil {
		return c.finePlan()
	}
	f := &Finding{Reason: fleet.CPUUnderused}
	for _, k := range c.containers() {
		d, hold := c.measured(k.Name, fleet.CPU, "cpu of "+k.Name)
		request := c.request(k)
		if hold != nil || request <= 0 {
			continue
		}
		fit, _ := c.fit(k)
		f.Steps = append(f.Steps, fit.steps...)
		share := d.Mean / (float64(request) / 1000)
		why := "not below " + percent(c.o.UnderusedBelow)
		if below(share, c.o.UnderusedBelow) {
			why = "but a fitting request differs too little"
		}
		f.Why = sentence(f.Why, fmt.Sprintf("%s used %s of %s requested (%s) in the hottest of %s, %s",
			k.Name, cores(d.Mean), fleet.FormatCPU(request), percent(share), count(max(d.Pods, 1), "replica"), why))
	}
	if f.Why == "" {
		return nil
	}
	return f
}

// finePlan speaks where every container has what its plan asks for now.
func (c judge) finePlan() *Finding {
	f := &Finding{Reason: fleet.CPUPlan}
	for _, k := range c.containers() {
		if fit, hold := c.fitPlan(k); hold == nil {
			f.Steps = append(f.Steps, fit.steps...)
			f.Course = append(f.Course, fit.ask(fit.course))
			f.Why = sentence(f.Why, k.Name+" "+fit.evidence)
		}
	}
	if f.Why == "" {
		return nil
	}
	return f
}

// fineGPU speaks where every GPU was measured and they are busy enough.
func (c judge) fineGPU() *Finding {
	u, _ := c.gpuUse()
	if u == nil || !u.fine() {
		return nil
	}
	return &Finding{Reason: fleet.GPUUnderused, Steps: u.steps(),
		Why: fmt.Sprintf("%s busy %s, and below %s is little: %s", all(int64(len(u.each))), percent(u.busy), percent(gpuLow), u.evidence())}
}

// fineReplicas speaks where requests were measured and every replica is needed.
func (c judge) fineReplicas() *Finding {
	rec, holds := c.replicas()
	if rec != nil || len(holds) > 0 || !c.o.ReduceReplicas {
		return nil
	}
	f, floor := &Finding{Reason: fleet.FewRequests}, max(c.o.Floor, 1)
	d, hold := c.measured("", fleet.Requests, "requests per second")
	ready := c.w.Ready()
	if hold == nil && ready > 0 {
		each := d.Total / float64(ready)
		f.Steps = []Step{
			{"replicas", "requests/s", decimal(d.Total)},
			{"replicas", "ready", fmt.Sprint(ready)},
			{"replicas", "requests/s each", decimal(each)},
			{"replicas", "enough", fmt.Sprint(Enough(d.Total, c.o.PerReplica, floor))},
		}
		f.Why = fmt.Sprintf("%s requests/s for each of %s, and below %s is few", decimal(each), count(ready, "ready replica"), decimal(c.o.PerReplica))
	}
	if c.w.Replicas <= floor {
		f.Why = sentence(f.Why, fmt.Sprintf("%s is the floor of class %s", count(int(floor), "replica"), c.o.Class))
	}
	if f.Why == "" {
		return nil
	}
	return f
}

func sentence(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
