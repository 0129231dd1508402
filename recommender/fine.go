package recommender

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Finding is why a rule asks for nothing: what it looked at and what it came to.
type Finding struct {
	Reason   fleet.Reason              `json:"reason"` // that the rule would have given
	Why      string                    `json:"why"`    // one sentence with the numbers
	Steps    []Step                    `json:"steps"`
	Course   []fleet.ContainerRequests `json:"course,omitempty"`   // of a plan: what is requested on average over the next day
	Replicas int32                     `json:"replicas,omitempty"` // of a forecast: on average over the next day
}

// fineCPU speaks where right-sizing measured containers and none is worth a change.
func (c *judge) fineCPU() *Finding {
	f := &Finding{Reason: fleet.CPUUnderused}
	for _, k := range c.containers() {
		d, hold := c.measured(k.Name, fleet.CPU, "cpu of ")
		request := c.request(k)
		if hold != nil || request <= 0 {
			continue
		}
		fit, _ := c.fit(k)
		f.Steps = append(f.Steps, fit.steps...)
		skew := ""
		if s := d.skewed(); s != "" {
			skew = "; " + s
		}
		share := d.Mean / (float64(request) / 1000)
		why := "not below " + percent(c.o.UnderusedBelow)
		if below(share, c.o.UnderusedBelow) {
			why = "but a fitting request differs too little"
		}
		f.Why = sentence(f.Why, fmt.Sprintf("%s used %s of %s requested (%s) in the hottest of %s, %s",
			k.Name, fleet.FormatCores(d.Mean), fleet.FormatCPU(request), percent(share), fleet.Count(max(d.Pods, 1), "replica"), why)+skew)
	}
	if f.Why == "" {
		return nil
	}
	return f
}

// finding speaks where every GPU was measured and they are busy enough.
func (u *gpuUse) finding() *Finding {
	if u == nil || !u.fine() {
		return nil
	}
	return &Finding{Reason: fleet.GPUUnderused, Steps: u.steps(),
		Why: fmt.Sprintf("%s busy %s, and below %s is little: %s", all(int64(len(u.each))), percent(u.busy), percent(gpuLow), u.evidence())}
}

// fineReplicas speaks where requests were measured, as d if at all, and every replica is needed.
func (c *judge) fineReplicas(d Distribution, measured bool) *Finding {
	f, floor := &Finding{Reason: fleet.FewRequests}, max(c.o.Floor, 1)
	ready := c.w.Ready()
	if measured && ready > 0 {
		each := d.Total / float64(ready)
		f.Steps = []Step{
			{"replicas", "requests/s", decimal(d.Total)},
			{"replicas", "ready", fmt.Sprint(ready)},
			{"replicas", "requests/s each", decimal(each)},
			{"replicas", "enough", fmt.Sprint(Enough(d.Total, c.o.PerReplica, floor))},
		}
		f.Why = fmt.Sprintf("%s requests/s for each of %s, and below %s is few", decimal(each), fleet.Count(ready, "ready replica"), decimal(c.o.PerReplica))
	}
	if c.w.Replicas <= floor {
		f.Why = sentence(f.Why, fmt.Sprintf("%s is the floor of class %s", fleet.Count(floor, "replica"), c.o.Class))
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
