package recommender

import (
	"fmt"
	"math"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// priced sizes containers by a plan in money over the hours of the week, up and down, and memory by the price of
// an excess. It notes in the plans what is in force, by which the plan's budget of changes is counted.
func (c *judge) priced() ruling {
	var few [4]*fit
	fits, holds := few[:0], []fleet.Hold(nil)
	for _, k := range c.containers() {
		f, hold := c.fitPlan(k)
		if hold != nil {
			holds = append(holds, *hold)
		}
		fits = append(fits, f)
	}
	if len(fits) == 1 && len(holds) == 0 {
		return fits[0].alone
	}
	return c.rulePlans(fits, holds)
}

// rulePlans is what fits by plans come to together.
func (c *judge) rulePlans(fits []*fit, holds []fleet.Hold) ruling {
	rec, fine := Recommendation{Ref: c.w.Ref, Reason: fleet.CPUPlan}, Finding{Reason: fleet.CPUPlan}
	var said []string
	spent := time.Duration(math.MaxInt64)
	for _, f := range fits {
		rec.Steps = joined(rec.Steps, f.steps)
		if !f.worth {
			fine.Course = append(fine.Course, f.ask(f.course))
			fine.Why = sentence(fine.Why, f.evidence)
			continue
		}
		rec.Target.Requests = append(rec.Target.Requests, f.asked())
		rec.Course = append(rec.Course, f.ask(f.course))
		rec.Lower, rec.Upper = append(rec.Lower, f.ask(f.lower)), append(rec.Upper, f.ask(f.upper))
		said, spent = append(said, f.evidence), min(spent, f.spent)
	}
	switch {
	case len(said) > 0:
		rec.Evidence, rec.Confidence = strings.Join(said, "; "), days(spent)
		return recommending(rec, holds...)
	case len(holds) > 0 || fine.Why == "":
		return ruling{Holds: holds}
	}
	fine.Steps = rec.Steps
	return finding(&fine)
}

// atLimit is the share of a CPU limit from which on use tells nothing of what was wanted.
const atLimit = 0.95

// grounds are all that a fit stands on beside the plan's own occasion.
type grounds struct {
	request, limit      int64    // of CPU in force, thousandths of a core
	memory, memoryLimit int64    // bytes
	stated              [4]int64 // in the pod template: requests and limits of CPU, then of memory
	policy              *Options // as Plans.policy gives it
	crowding            float64
	advice              memoryAdvice
}

func (c *judge) grounds(k *fleet.Container, st *standing) grounds {
	t, _ := c.w.Template.Container(k.Name)
	return grounds{
		request: c.request(*k), limit: k.Limits.MilliCPU, memory: k.Requests.Memory, memoryLimit: k.Limits.Memory,
		stated: [4]int64{t.Requests.MilliCPU, t.Limits.MilliCPU, t.Requests.Memory, t.Limits.Memory},
		policy: c.p.policyFor(c.o), crowding: c.crowding, advice: c.adviseMemory(*k, st),
	}
}

// fitPlan is what the plan asks for one container now. What it came to last stands until an advice is due or the
// grounds are others.
func (c *judge) fitPlan(k fleet.Container) (*fit, *fleet.Hold) {
	request := c.request(k)
	if request <= 0 {
		hold := held(fleet.HoldNoRequest, k.Name+" has no CPU request, so nothing of it is reserved; set a request")
		return &fit{container: k.Name}, &hold
	}
	s, hold := c.known(k.Name, fleet.CPU, "cpu of ")
	if hold != nil {
		f := &fit{container: k.Name}
		f.step("cpu", "not judged", string(hold.Reason))
		return f, hold
	}
	st, o := c.standing(k.Name), *c.o.Priced
	o.Floor, o.Warm = float64(c.o.MinMilliCPU)/1000, c.o.MinHistory
	plan := c.p.plan(st, s, o, c.now, float64(request)/1000)
	due, ok := plan.due()
	if !ok {
		hold := held(fleet.HoldShortHistory, "too little of cpu of "+k.Name+" was measured for a plan")
		return &fit{container: k.Name}, &hold
	}
	on := c.grounds(&k, st)
	if due || st.fit == nil || st.on != on {
		e := plan.advise()
		st.fit, st.on = c.fitAdvice(k, e, on), on
	}
	return st.fit, nil
}

// standing is what stands of a container, from now on if nothing did.
func (c *judge) standing(container string) *standing {
	if i, known := findStanding(c.stands, container); known {
		return c.stands[i]
	}
	st := c.p.of(c.w.Ref, container)
	c.stands = c.p.workloads[c.w.Ref]
	return st
}

// fitAdvice is what is asked for by the advice on CPU and on memory.
func (c *judge) fitAdvice(k fleet.Container, e sizing.Explanation, on grounds) *fit {
	f := &fit{container: k.Name}
	f.explain(e, c.o.Priced.Zone)
	var d Distribution
	if s, ok := c.series(k.Name, fleet.CPU); ok {
		d, _ = s.sums(c.now.Add(-c.o.Window).UnixNano())
	}
	f.spent = d.Spent
	f.tellSkew(d)
	target := c.within(f, k, e.Request, float64(on.request)/1000, d)
	if f.target.MilliCPU = int64(math.Ceil(target*1000 - tolerance)); !differs(f.target.MilliCPU, on.request) {
		f.target.MilliCPU = on.request
	}
	f.lower.MilliCPU, f.upper.MilliCPU = f.target.MilliCPU, f.target.MilliCPU
	c.fitPlannedMemory(f, k, on.advice)
	planned := f.target.MilliCPU
	c.fitLimits(f, k, d)
	f.course = fleet.Resources{MilliCPU: milli(e.Reserved / 24), Memory: f.target.Memory}
	if f.target.MilliCPU > planned { // held up by its limit, all day
		f.course.MilliCPU = max(f.course.MilliCPU, f.target.MilliCPU)
	}
	f.evidence = k.Name + " " + inWords(e, target, c.o.Priced.Zone) + f.evidence
	f.worth = f.moves() || f.target.MilliCPU != on.request || differs(f.target.Memory, k.Requests.Memory)
	f.alone = c.rulePlans([]*fit{f}, nil)
	return f
}

// within is what may be requested of what the plan asks for. Where replicas go, those that stay keep what they
// have for the work of the others, but nothing grows for it: it is not known yet what they will use. A limit that
// stays and is above the request stays above it, for equal ones would alter the pod's QoS class.
func (c *judge) within(f *fit, k fleet.Container, plan, live float64, d Distribution) float64 {
	target := max(plan, min(plan*c.crowding, live))
	c.cutOff(f, k, d)
	most := float64(c.fixed(k).MilliCPU) / 1000
	if most == 0 {
		return target
	}
	if k.Requests.MilliCPU < k.Limits.MilliCPU {
		most -= 0.001
	}
	if target > most {
		target = most
		f.step("cpu", "not above the limit", fleet.FormatCores(target))
	}
	return target
}

// cutOff says where use tells less than was wanted. What was measured at a limit, or throttled, the plan takes to
// have wanted more.
func (c *judge) cutOff(f *fit, k fleet.Container, d Distribution) {
	limit := float64(k.Limits.MilliCPU) / 1000
	if limit == 0 {
		return
	}
	if d.Peak >= atLimit*limit {
		f.step("cpu", "cut off", "it used "+fleet.FormatCores(d.Peak)+", all that its limit allows: it may have wanted more")
	}
	t, ok := c.h.Distribution(c.w.Ref, k.Name, fleet.Throttling, c.o.Window, c.now)
	switch {
	case !ok:
		f.step("cpu", "throttling", "not measured, so only use at the limit counts as cut off; a Prometheus with cAdvisor tells it")
	case t.Peak >= throttledFrom:
		f.step("cpu", "throttled", "in "+percent(t.Mean)+" of CPU periods on average, "+percent(t.Peak)+" at most: it wanted more; without a limit, or with a larger one, answers are faster")
	}
}

// explain is the steps of a plan. Money is in core-hours: what a core costs is the price list's to say.
func (f *fit) explain(e sizing.Explanation, zone *time.Location) {
	hours := func(v float64) string { return decimal(math.Round(v*100)/100) + " core-hours" }
	f.step("cpu", "why", e.Reason.String())
	f.step("cpu", "reserved in 24 h", hours(e.Reserved))
	f.step("cpu", "expected shortfall", hours(e.Shortfall))
	f.step("cpu", "changes", hours(e.Changes))
	f.step("cpu", "flat instead", hours(e.FlatCost))
	f.step("cpu", "calendar believed", percent(e.Calendar))
	for _, s := range e.Steps {
		f.step("cpu", "from "+clock(s.At, zone), fleet.FormatCores(s.Request))
	}
	f.step("cpu", "now", fleet.FormatCores(e.Request))
}

// inWords is the plan in one sentence.
func inWords(e sizing.Explanation, target float64, zone *time.Location) string {
	text := fmt.Sprintf("%s now (%s)", fleet.FormatCores(target), e.Reason)
	for i, s := range e.Steps {
		if i == 3 {
			text += ", ..."
			break
		}
		text += fmt.Sprintf(", %s from %s", fleet.FormatCores(s.Request), clock(s.At, zone))
	}
	if saved := e.FlatCost - e.Reserved - e.Shortfall - e.Changes; saved > 0.005 && len(e.Steps) > 0 {
		text += fmt.Sprintf("; %.2f core-hours a day cheaper than a flat request", saved)
	}
	return text
}

// clock is an hour and minute as the policy's zone has it, and the second where it matters.
func clock(t time.Time, zone *time.Location) string {
	if zone != nil {
		t = t.In(zone)
	}
	if t.Second() != 0 {
		return t.Format("15:04:05")
	}
	return t.Format("15:04")
}
