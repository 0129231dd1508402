package recommender

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

const (
	cpuStep    = 0.005   // cores: CPU requests are whole multiples of 5m
	memoryStep = 1 << 20 // bytes: memory requests are whole MiB
	// worthwhile is the least relative change of either resource that is proposed: below it a
	// restart or a resize costs more than it gives, and the plan would never come to rest.
	worthwhile = 0.05
)

// rightSize fits the requests of every main and sidecar container that uses little of its CPU; each
// is judged on its own. Init containers are left alone, limits too unless Options.Limits says otherwise, and CPU is
// never raised by this rule but to stay equal to its limit. Memory may go up, to a limit that stays at most.
func (c *judge) rightSize() ruling {
	if !c.o.RightSize || c.gpus > 0 {
		return ruling{}
	}
	for _, field := range []string{"requests", "resources"} {
		if o, ok := autoscaler(c.w, field); ok {
			return holding(fleet.HoldAutoscaler, fmt.Sprintf(
				"%s %s goes by the requests, a smaller one would add replicas; an AverageValue target would not", o.Kind, o.Name))
		}
	}
	if c.o.Priced != nil {
		return c.priced()
	}
	rec := Recommendation{Ref: c.w.Ref, Reason: fleet.CPUUnderused}
	var holds []fleet.Hold
	var said []string
	spent := time.Duration(math.MaxInt64)
	for _, k := range c.containers() {
		fit, hold := c.fit(k)
		if hold != nil {
			holds = append(holds, *hold)
		}
		rec.Steps = append(rec.Steps, fit.steps...)
		if !fit.worth {
			continue
		}
		rec.Target.Requests = append(rec.Target.Requests, fit.asked())
		rec.Lower, rec.Upper = append(rec.Lower, fit.ask(fit.lower)), append(rec.Upper, fit.ask(fit.upper))
		said, spent = append(said, fit.evidence), min(spent, fit.spent)
	}
	switch {
	case len(said) == 0 && len(holds) == 0:
		return finding(c.fineCPU())
	case len(said) == 0:
		return ruling{Holds: holds}
	case len(said) > 1:
		for i, r := range rec.Target.Requests {
			said[i] = r.Container + " " + said[i]
		}
	}
	rec.Evidence, rec.Confidence = strings.Join(said, "; "), days(spent)
	return recommending(rec, holds...)
}

// containers is the main and sidecar containers of the live shape by name.
func (c *judge) containers() []fleet.Container {
	live := c.w.Current().Containers
	if len(live) == 1 && live[0].Role != fleet.Init {
		return live
	}
	var out []fleet.Container
	for _, k := range live {
		if k.Role != fleet.Init {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b fleet.Container) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// request is the smallest CPU request of the container in any live pod, thousandths of a core: while
// an in-place resize is under way, use is the largest share of that one.
func (c *judge) request(k fleet.Container) int64 {
	least := k.Requests.MilliCPU
	for _, p := range c.w.Pods {
		if o, ok := p.Shape.Container(k.Name); ok {
			least = min(least, o.Requests.MilliCPU)
		}
	}
	return least
}

// fit is what one container's history asks for.
type fit struct {
	container            string
	target, lower, upper fleet.Resources
	course               fleet.Resources // of a plan: on average over its day
	limits               fleet.Resources // that move; zero: it stays
	steps                []Step
	evidence             string
	spent                time.Duration // measured time behind it
	worth                bool          // it is under-used and the change is large enough
	alone                ruling        // of a plan: what is said where the workload has no other container
}

func (f fit) ask(r fleet.Resources) fleet.ContainerRequests {
	return fleet.ContainerRequests{Container: f.container, Requests: r}
}

// asked is the target with the limits that move.
func (f fit) asked() fleet.ContainerRequests {
	r := f.ask(f.target)
	r.Limits = f.limits
	return r
}

// moves tells whether a limit moves.
func (f fit) moves() bool { return f.limits.MilliCPU|f.limits.Memory != 0 }

func (f *fit) step(resource, name, value string) {
	subject := f.container + " " + resource
	if n := len(f.steps); n > 0 && f.steps[n-1].Subject == subject {
		subject = f.steps[n-1].Subject // the same one: steps are kept
	}
	f.steps = append(f.steps, Step{Subject: subject, Name: name, Value: value})
}

func (c *judge) fit(k fleet.Container) (fit, *fleet.Hold) {
	f := fit{container: k.Name}
	request := c.request(k)
	if request <= 0 {
		hold := held(fleet.HoldNoRequest, k.Name+" has no CPU request, so its use is no share of one; set a request")
		f.step("cpu", "not judged", "no CPU request")
		return f, &hold
	}
	d, hold := c.measured(k.Name, fleet.CPU, "cpu of ")
	if hold != nil {
		f.step("cpu", "not judged", string(hold.Reason))
		return f, hold
	}
	share := d.Mean / (float64(request) / 1000)
	f.step("cpu", "mean", fleet.FormatCores(d.Mean))
	f.step("cpu", "request", fleet.FormatCPU(request))
	f.step("cpu", "utilization", percent(share))
	f.tellSkew(d)
	skew := f.evidence
	if !below(share, c.o.UnderusedBelow) {
		f.step("cpu", "not under-used", "at least "+percent(c.o.UnderusedBelow))
		return f, nil
	}
	f.spent = d.Spent
	f.evidence = fmt.Sprintf("used %s of %s requested (%s) in the hottest of %s over %s; %s %s",
		fleet.FormatCores(d.Mean), fleet.FormatCPU(request), percent(share), fleet.Count(max(d.Pods, 1), "replica"), spell(d.To.Sub(d.From)),
		"p"+decimal(c.o.Percentile*100), fleet.FormatCores(d.Percentile(c.o.Percentile))) + skew
	c.fitCPU(&f, k, d)
	c.fitMemory(&f, k)
	c.fitLimits(&f, k, d)
	f.worth = f.moves() || differs(f.target.MilliCPU, k.Requests.MilliCPU) || differs(f.target.Memory, k.Requests.Memory)
	return f, nil
}

// fitCPU fills in CPU: the percentile and a margin, within the floor and the present request.
func (c *judge) fitCPU(f *fit, k fleet.Container, d Distribution) {
	within := func(e Estimator) Estimator {
		e = WithMargin(c.o.Margin, Shared(c.crowding, e))
		e = RoundedUp(cpuStep, WithFloor(float64(c.o.MinMilliCPU)/1000, e))
		return WithCeiling("not above the request", float64(k.Requests.MilliCPU)/1000, e)
	}
	target := within(Percentile(c.o.Percentile))(d)
	for _, s := range target.Stages {
		f.step("cpu", s.Name, fleet.FormatCores(s.Value))
	}
	f.target.MilliCPU = milli(target.Value)
	f.lower.MilliCPU = min(milli(within(Percentile(0.5))(d).Value), f.target.MilliCPU)
	f.upper.MilliCPU = max(milli(within(Peak())(d).Value), f.target.MilliCPU)
}

// fitMemory fills in memory: the peak and a margin, within the floor and a limit that stays. It leaves the
// request as it is where there is none, where memory is not known well enough, and where the
// container was killed for want of memory in the window and would get less.
func (c *judge) fitMemory(f *fit, k fleet.Container) {
	now := k.Requests.Memory
	f.target.Memory, f.lower.Memory, f.upper.Memory = now, now, now
	if now <= 0 {
		f.step("memory", "left", "no memory request")
		return
	}
	d, hold := c.measured(k.Name, fleet.Memory, "memory of ")
	if hold != nil {
		f.step("memory", "left at "+fleet.FormatMemory(now), hold.Detail)
		return
	}
	f.evidence += ", peak memory " + bytes(d.Peak)
	within := func(e Estimator) Estimator {
		e = RoundedUp(memoryStep, WithFloor(float64(c.o.MinMemory), WithMargin(c.o.MemoryMargin, e)))
		return WithCeiling("not above the limit", float64(c.fixed(k).Memory), e)
	}
	target := within(Peak())(d)
	for _, s := range target.Stages {
		f.step("memory", s.Name, bytes(s.Value))
	}
	if kills, ok := c.h.Distribution(c.w.Ref, k.Name, fleet.OOM, c.o.Window, c.now); ok && kills.Peak > 0 && int64(target.Value) < now {
		f.step("memory", "left at "+fleet.FormatMemory(now), "it was killed for want of memory")
		return
	}
	f.target.Memory, f.upper.Memory = int64(target.Value), int64(target.Value)
	f.lower.Memory = min(int64(within(Percentile(0.5))(d).Value), f.target.Memory)
}

// differs tells whether the change from now to then is worthwhile.
func differs(then, now int64) bool {
	return math.Abs(float64(then-now)) >= worthwhile*float64(now)*(1-tolerance) && then != now
}

func milli(cores float64) int64 { return int64(math.Round(cores * 1000)) }

func bytes(v float64) string { return fleet.FormatMemory(int64(math.Round(v))) }

func days(d time.Duration) float64 { return d.Hours() / 24 }
