package capacity

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// unknown says why nothing can be predicted, if so.
func (p *planner) unknown() string {
	switch {
	case !p.Service.Curve.Known():
		return "the server has not said what a batch costs: nothing is planned before it answers /v2/models/NAME/curve"
	case !(p.Load.Rate > 0) || math.IsInf(p.Load.Rate, 1):
		return "no requests come: there is nothing to plan for"
	case p.SLO.Latency <= 0:
		return "no SLO: any delay would do; write slo.latency"
	}
	return ""
}

// narrow says why no setting can keep to the room, whatever it does, if so.
func (p *planner) narrow() string {
	least, most := p.replicas()
	if k := p.Room.Redundancy; least > most && most <= k {
		return fmt.Sprintf("redundancy %d needs %d replicas and at most %d may run; raise tune.replicas or lower tune.redundancy", k, k+1, most)
	}
	if least > most {
		return fmt.Sprintf("at least %d replicas and at most %d is no choice; mend tune.replicas", least, most)
	}
	return ""
}

// replicas is the least and the most that may run.
func (p *planner) replicas() (least, most int) {
	least, most = p.Now.Replicas, p.Now.Replicas
	if r := p.Room.Replicas; r[1] > 0 {
		least, most = r[0], r[1]
	}
	least = max(1, least)
	if k := p.Room.Redundancy; k > 0 {
		least = max(least, k+1)
	}
	return least, most
}

// counts is the numbers of replicas that are looked at: all up to twelve, then steps of a sixth, so that a
// wide room is not a long search; the number in force is always one.
func (p *planner) counts() []int {
	least, most := p.replicas()
	if now := p.Now.Replicas; now > least && now < most {
		return slices.Concat(spread(least, now-1), spread(now, most))
	}
	return spread(least, most)
}

func spread(least, most int) []int {
	var out []int
	for n := least; n <= most; n += max(1, (n-least)/6) {
		out = append(out, n)
	}
	if len(out) > 0 && out[len(out)-1] != most {
		out = append(out, most)
	}
	return out
}

// batches is the batch limits that are looked at, ascending: those of the room that the model takes, and
// that its curve says something about.
func (p *planner) batches() []int {
	if p.Service.MaxBatch == 1 {
		return []int{1}
	}
	all := slices.Sorted(slices.Values(p.Room.Batches))
	all = slices.DeleteFunc(slices.Compact(all), func(b int) bool { return b < 1 || p.tooLarge(b) != "" })
	if len(all) == 0 {
		return []int{p.Now.Batch}
	}
	return all
}

// tooLarge says why a batch limit is not to be trusted, if so. What is in force runs already.
func (p *planner) tooLarge(batch int) string {
	switch largest := p.Service.Curve.Largest; {
	case batch == p.Now.Batch:
		return ""
	case p.Service.MaxBatch > 0 && batch > p.Service.MaxBatch:
		return fmt.Sprintf("batch %d is more than the %s that the model takes", batch, fleet.Count(p.Service.MaxBatch, "row"))
	case largest > 0 && batch > 2*largest:
		return fmt.Sprintf("batch %d is more than twice the largest batch that ran, of %s", batch, fleet.Count(largest, "row"))
	}
	return ""
}

// delays is the delays that are looked at with a batch limit, ascending. A batch of one row waits for nobody.
func (p *planner) delays(batch int) []time.Duration {
	if p.Room.MaxDelay == 0 {
		return []time.Duration{p.Now.Delay}
	}
	out := []time.Duration{0}
	for _, sixteenths := range []time.Duration{1, 2, 3, 4, 6, 8, 10, 12} {
		out = append(out, even(p.SLO.Latency*sixteenths/16))
	}
	out = append(out, min(p.Room.MaxDelay, out[len(out)-1])) // all that may be waited for, where that is between two of them
	if out = append(out, p.Now.Delay); batch == 1 {
		out = out[:1]
		if p.Now.Batch == 1 {
			out = append(out, p.Now.Delay)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(d time.Duration) bool { return d > p.Room.MaxDelay })
}

// even is a delay that people can read: whole microseconds, from one millisecond on steps of 50.
func even(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(50 * time.Microsecond)
}

// limits is the CPU that pods may be given beside what they use, where the limit is the request and more of it
// is quicker; 0, for what they use, is always one.
func (p *planner) limits() []int64 {
	out := []int64{0}
	if !p.follows || p.Room.CPU[1] == 0 {
		return out
	}
	for _, milli := range []int64{100, 150, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12_000, 16_000, p.Room.CPU[1]} {
		if milli >= p.Room.CPU[0] && milli <= p.Room.CPU[1] && !slices.Contains(out, milli) {
			out = append(out, milli)
		}
	}
	return out
}

// breaks is every bound that a setting does not keep to.
func (p *planner) breaks(at Setting, does Prediction) []string {
	var out []string
	say := func(broken bool, format string, values ...any) {
		if broken {
			out = append(out, fmt.Sprintf(format, values...))
		}
	}
	if text := p.tooLarge(at.Batch); text != "" {
		out = append(out, text)
	}
	r := p.Room
	least, most := p.replicas()
	say(len(r.Batches) > 0 && !slices.Contains(r.Batches, at.Batch) && p.Service.MaxBatch != 1, "batch %d is not one of %v", at.Batch, r.Batches)
	say(r.MaxDelay > 0 && at.Delay > r.MaxDelay, "a delay of %s is over %s", at.Delay, r.MaxDelay)
	say(at.Replicas < least, "%s: at least %d are asked for", fleet.Count(at.Replicas, "replica"), least)
	say(at.Replicas > most, "%s: at most %d may run", fleet.Count(at.Replicas, "replica"), most)
	say(at.CPU < r.CPU[0], "%s of CPU a pod; at least %s are to be requested", fleet.FormatCPU(at.CPU), fleet.FormatCPU(r.CPU[0]))
	say(r.CPU[1] > 0 && at.CPU > r.CPU[1], "%s of CPU a pod; at most %s may be requested", fleet.FormatCPU(at.CPU), fleet.FormatCPU(r.CPU[1]))
	say(at.Limit > 0 && at.CPU > at.Limit, "%s of CPU a pod, over its limit of %s", fleet.FormatCPU(at.CPU), fleet.FormatCPU(at.Limit))
	say(at.Memory < r.Memory[0], "%s of memory a pod; at least %s are to be requested", fleet.FormatMemory(at.Memory), fleet.FormatMemory(r.Memory[0]))
	say(r.Memory[1] > 0 && at.Memory > r.Memory[1], "%s of memory a pod; at most %s may be requested", fleet.FormatMemory(at.Memory), fleet.FormatMemory(r.Memory[1]))
	say(at.Spot && p.Spot != nil && r.Redundancy < 1, "spot capacity without redundancy: a lost node would break the SLO")
	out = append(out, p.uncovered(at, does)...)
	return append(out, p.crowded(at)...)
}

// uncovered is what a setting uses and does not request. Half of the margin is left to what moves from minute
// to minute, so that a request is not rewritten whenever the load does; where requests are not to be
// chosen, a pod may use what it uses now.
func (p *planner) uncovered(at Setting, does Prediction) []string {
	var out []string
	used := does.Cores / float64(at.Replicas)
	covered := float64(at.CPU) / 1000 / (1 + p.Room.Margin/2)
	if p.Room.CPU[1] == 0 {
		covered = max(float64(at.CPU)/1000, p.use)
	}
	if at.CPU > 0 && used > covered*(1+1e-9) {
		out = append(out, fmt.Sprintf("a pod would use %s cores and requests %s", figure(used), fleet.FormatCPU(at.CPU)))
	}
	holds := float64(p.Service.Memory)
	if p.Room.Memory[1] > 0 && at.Memory > 0 && float64(at.Memory) < holds*(1+planMemory/2) {
		out = append(out, fmt.Sprintf("a pod holds %s and requests %s", fleet.FormatMemory(p.Service.Memory), fleet.FormatMemory(at.Memory)))
	}
	return out
}

// crowded is what of quota and nodes a setting exceeds.
func (p *planner) crowded(at Setting) []string {
	out := p.overQuota(at)
	if len(p.Room.Nodes) == 0 {
		return out
	}
	switch n := fitting(p.Room.Nodes, at); {
	case n == 0:
		out = append(out, fmt.Sprintf("no node has %s and %s free for a pod", fleet.FormatCPU(at.CPU), fleet.FormatMemory(at.Memory)))
	case n < at.Replicas:
		out = append(out, fmt.Sprintf("%d of %s fit on the nodes", n, fleet.Count(at.Replicas, "replica")))
	}
	return out
}

// overQuota is what of the namespace's quota a setting exceeds, and what else its rules refuse where they are known.
func (p *planner) overQuota(at Setting) []string {
	if p.Room.Refused != nil {
		return p.refused(at)
	}
	var out []string
	all, quota := fleet.Resources{MilliCPU: at.CPU, Memory: at.Memory}.Times(int64(at.Replicas)), p.Room.Quota
	if quota.MilliCPU > 0 && all.MilliCPU > quota.MilliCPU {
		out = append(out, fmt.Sprintf("all pods together request %s cores; the quota leaves %s", cores(all.MilliCPU), cores(quota.MilliCPU)))
	}
	if quota.Memory > 0 && all.Memory > quota.Memory {
		out = append(out, fmt.Sprintf("all pods together request %s; the quota leaves %s", fleet.FormatMemory(all.Memory), fleet.FormatMemory(quota.Memory)))
	}
	return out
}

// refused asks the namespace's rules once for settings that differ only in how they batch: a search asks for the
// same requests hundreds of times.
func (p *planner) refused(at Setting) []string {
	key := Setting{Replicas: at.Replicas, CPU: at.CPU, Limit: at.Limit, Memory: at.Memory}
	why, known := p.denied[key]
	if known {
		return why
	}
	if p.denied == nil {
		p.denied = map[Setting][]string{}
	}
	p.denied[key] = p.Room.Refused(key)
	return p.denied[key]
}

// fitting is how many pods of a setting the nodes hold, at most as many as it has.
func fitting(nodes []fleet.Resources, at Setting) int {
	n := 0
	for _, free := range nodes {
		here := at.Replicas - n
		if at.CPU > 0 {
			here = min(here, int(max(0, free.MilliCPU)/at.CPU))
		}
		if at.Memory > 0 {
			here = min(here, int(max(0, free.Memory)/at.Memory))
		}
		n += here
	}
	return n
}

// cores is millicores as a number of cores, for people.
func cores(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }
