package admission

import (
	"fmt"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// demand is something that a change takes from quotas while it is carried out.
type demand struct {
	what string // "to grow 3 pods"
	of   func(line string) int64
}

// quotas holds what a quota would refuse: every line that the change takes from must have room for
// all of it. A quota with a scope counts as if it counted every pod, which is the safe side.
func quotas(w, after fleet.Workload, t fleet.Target, b fleet.Bounds) []fleet.Hold {
	wants := demands(w, after, t, b)
	if len(wants) == 0 {
		return nil
	}
	var holds []fleet.Hold
	for _, q := range b.Quotas {
		if lines := unknown(q); len(lines) > 0 {
			holds = append(holds, fleet.Hold{Reason: fleet.HoldBounds, Detail: fmt.Sprintf(
				"ResourceQuota %s: status unknown, its controller has not counted %s yet", q.Name, strings.Join(lines, ", "))})
			continue
		}
		for _, item := range q.Items {
			if h, ok := short(q, item, wants); ok {
				holds = append(holds, h)
			}
		}
	}
	return holds
}

// unknown is the lines of a quota that should be counted and are not yet. Until they are, the API
// server refuses whatever takes from the quota, by whichever line.
func unknown(q fleet.Quota) []string {
	var lines []string
	for _, item := range q.Items {
		if Counted(item.Name) && !item.Tracked {
			lines = append(lines, item.Name)
		}
	}
	return lines
}

// short holds a change that takes more than a line has left.
func short(q fleet.Quota, item fleet.QuotaItem, wants []demand) (fleet.Hold, bool) {
	if !Counted(item.Name) {
		return fleet.Hold{}, false
	}
	var need int64
	var what []string
	for _, d := range wants {
		if n := d.of(item.Name); n > 0 {
			need += n
			what = append(what, d.what)
		}
	}
	left := item.Hard - item.Used
	if need == 0 || need <= left {
		return fleet.Hold{}, false
	}
	return fleet.Hold{Reason: fleet.HoldQuota, Detail: fmt.Sprintf(
		"ResourceQuota %s: %s needs %s more %s, and %s of %s is left; raise the quota or free some of it",
		q.Name, item.Name, format(item.Name, need), strings.Join(what, " and "),
		format(item.Name, left), format(item.Name, item.Hard))}, true
}

// demands is everything that the change takes for a while or for good; what it gives back is no
// demand. Pods are resized in place; other nodes mean new pods beside the old ones.
func demands(w, after fleet.Workload, t fleet.Target, b fleet.Bounds) []demand {
	next := Default(after.Template, b)
	var all []demand
	if d, ok := growth(w, after, b); ok {
		all = append(all, d)
	}
	pods := func(n int32, format string) {
		if n > 0 {
			all = append(all, demand{fmt.Sprintf(format, fleet.Count(n, "pod")), func(line string) int64 {
				return int64(n) * Charge(next, line)
			}})
		}
	}
	pods(t.Replicas-w.Replicas, "to add %s")
	if moves(w, t) {
		pods(surge(max(w.Replicas, t.Replicas)), "for a surge of %s while it moves")
	}
	return all
}

// growth is what larger requests and limits take, of live pods and of those that are still to come. Pods that
// shrink do not pay for others: their room is free only after the resize.
func growth(w, after fleet.Workload, b fleet.Bounds) (demand, bool) {
	was, next := Default(w.Template, b), Default(after.Template, b)
	missing := max(int64(w.Replicas)-int64(len(w.Pods)), 0)
	take := func(line string) int64 {
		n := missing * max(Charge(next, line)-Charge(was, line), 0)
		for i, p := range w.Pods {
			n += max(Charge(after.Pods[i].Shape, line)-Charge(p.Shape, line), 0)
		}
		return n
	}
	d := demand{"to grow " + fleet.Count(missing+int64(len(w.Pods)), "pod"), take}
	return d, take(cpu) > 0 || take(memory) > 0 || take("limits."+cpu) > 0 || take("limits."+memory) > 0
}

// Charge is what a line of a quota counts for one pod, in the line's unit: thousandths of a core, bytes or a number.
func Charge(shape fleet.PodShape, line string) int64 {
	if line == "pods" || line == "count/pods" {
		return 1
	}
	if name, ok := strings.CutPrefix(line, "limits."); ok {
		return of(shape.Limits(), name)
	}
	return of(shape.Requests(), strings.TrimPrefix(line, "requests."))
}

// Counted tells whether pods are charged to a line of a quota: limits only of cpu, memory and
// ephemeral storage, extended resources only as requests. Every other name is accepted and, for pods,
// never enforced.
func Counted(line string) bool {
	switch line {
	case "pods", "count/pods":
		return true
	}
	name := strings.TrimPrefix(strings.TrimPrefix(line, "requests."), "limits.")
	if name == cpu || name == memory || name == "ephemeral-storage" {
		return true
	}
	if strings.HasPrefix(name, "hugepages-") {
		return !strings.HasPrefix(line, "limits.")
	}
	return strings.HasPrefix(line, "requests.") && strings.Contains(name, "/")
}

// unspecified is what a quota must have and a container does not say: a line of cpu or memory asks
// every container of a pod for it, or refuses the pod.
func unspecified(shape fleet.PodShape, b fleet.Bounds) []string {
	var all []string
	for _, q := range b.Quotas {
		for _, item := range q.Items {
			limits, name, ok := asks(item.Name)
			if !ok {
				continue
			}
			for _, c := range shape.Containers {
				r := c.Requests
				if limits {
					r = c.Limits
				}
				if of(r, name) == 0 {
					all = append(all, fmt.Sprintf("ResourceQuota %s counts %s, and container %s states none, so its pods are refused; add one to it",
						q.Name, item.Name, c.Name))
				}
			}
		}
	}
	return all
}

// asks tells what a line of a quota makes every container state: a limit or a request, of what.
func asks(line string) (limits bool, name string, ok bool) {
	name, limits = strings.CutPrefix(line, "limits.")
	if !limits {
		name = strings.TrimPrefix(line, "requests.")
	}
	return limits, name, name == cpu || name == memory
}

// surge is how many pods more than desired a rolling update may run: a quarter, rounded up, which is
// the default of Deployments.
//
//	desired 1 -> 1   3 -> 1   4 -> 1   5 -> 2   8 -> 2   10 -> 3   20 -> 5
func surge(desired int32) int32 { return (desired + 3) / 4 }
