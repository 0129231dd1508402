package optimizer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

func itoa[N int | int32](n N) string { return strconv.FormatInt(int64(n), 10) }

// progress is how far a begun change has come, as the cluster shows it.
type progress struct {
	done       bool
	infeasible bool   // some node can never do it
	words      string // what is waited for
}

// look compares a workload with what a change asks of it. Pods without a node are not waited for: they
// are given their requests once they run.
func look(w fleet.Workload, c Change) progress {
	t := c.Target()
	resized, infeasible := resizes(w, c, t)
	var waits []string
	waits = append(waits, resized...)
	if t.Replicas != 0 && (w.Replicas != t.Replicas || len(w.Pods) != int(t.Replicas)) {
		waits = append(waits, fmt.Sprintf("%d of %d replicas", len(w.Pods), t.Replicas))
	}
	switch {
	case t.Capacity != "" && w.Capacity != t.Capacity:
		waits = append(waits, "pods are moving to "+string(t.Capacity))
	case w.RollingOut && (t.Capacity != "" || c.inTemplate(t)):
		waits = append(waits, "old pods are being replaced")
	}
	return progress{done: len(waits) == 0, infeasible: infeasible, words: strings.Join(waits, "; ")}
}

func (c Change) inTemplate(t fleet.Target) bool {
	return len(t.Requests) > 0 && c.Apply == policies.InTemplate
}

// resizes says which pods do not have their requests yet, those of the same state together.
func resizes(w fleet.Workload, c Change, t fleet.Target) (waits []string, infeasible bool) {
	want := fleet.Target{Requests: t.Requests}
	states := map[fleet.ResizeState]int{}
	var detail string
	for _, p := range w.Pods {
		if p.Node == "" || !c.means(p.Name) || hasRequests(p.Shape, want.Requests) && p.Resize.State == "" {
			continue
		}
		states[p.Resize.State]++
		if p.Resize.Detail != "" {
			detail = ": " + p.Resize.Detail
		}
	}
	if len(t.Requests) == 0 {
		return nil, false
	}
	for _, s := range []struct {
		state fleet.ResizeState
		words string
	}{
		{fleet.ResizeInfeasible, "cannot be resized on their nodes" + detail},
		{fleet.ResizeDeferred, "wait for room on their nodes" + detail},
		{fleet.ResizeInProgress, "are being resized"},
		{"", "are not resized yet"},
	} {
		if n := states[s.state]; n > 0 {
			waits = append(waits, fmt.Sprintf("%d of %d pods %s", n, len(w.Pods), s.words))
		}
	}
	return waits, states[fleet.ResizeInfeasible] > 0
}

// means tells whether a change is for the pod's requests.
func (c Change) means(pod string) bool {
	for _, name := range c.Pods {
		if name == pod {
			return true
		}
	}
	return len(c.Pods) == 0
}

func hasRequests(s fleet.PodShape, want []fleet.ContainerRequests) bool {
	for _, r := range want {
		k, ok := s.Container(r.Container)
		if ok && !k.Sized(r) {
			return false
		}
	}
	return true
}

// standing is the entry whose requests a workload's pods should have: the newest that was done, of the
// same object, unless its template was given other requests since, which is its owner's later word.
func standing(w fleet.Workload, entries []Entry) (Entry, bool) {
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.Change.Ref != w.Ref || e.Change.From.UID != w.UID || e.Change.Keeper != "" || e.Outcome != Done {
			continue
		}
		was := e.Change.From.Template
		lapsed := e.Change.Apply == policies.InTemplate || !hasRequests(w.Template, sizesOf(was, e.Change.To.Current()))
		return e, !lapsed
	}
	return Entry{}, false
}

// upkeep is the change that gives newer pods the requests of the entry that stands; false: none needs it.
// A pod that has neither these nor the template's was given others by somebody: what becomes of those is
// for a plan to decide.
func upkeep(w fleet.Workload, entries []Entry) (Change, Entry, bool) {
	e, ok := standing(w, entries)
	if !ok {
		return Change{}, Entry{}, false
	}
	t := fleet.Target{Requests: sizesOf(e.Change.To.Current(), e.Change.From.Template)}
	c := e.Change
	c.From, c.To, c.Pods = w, w.With(t), nil
	for _, p := range w.Pods {
		if p.Node != "" && p.Resize.State == "" && asBorn(p.Shape, w.Template) && !hasRequests(p.Shape, t.Requests) && (p.Ready || !tightens(p.Shape, t.Requests)) {
			c.Pods = append(c.Pods, p.Name)
		}
	}
	return c, e, len(c.Pods) > 0
}

// tightens tells whether a memory limit of a pod would become smaller: not before it is ready, for to load a model
// may take more than to serve it.
func tightens(s fleet.PodShape, want []fleet.ContainerRequests) bool {
	return slices.ContainsFunc(want, func(r fleet.ContainerRequests) bool {
		k, ok := s.Container(r.Container)
		return ok && r.Limits.Memory != 0 && r.Limits.Memory < k.Limits.Memory
	})
}

// asBorn tells whether a pod asks for what its template says; what that leaves open was filled in when the
// pod was made.
func asBorn(pod, template fleet.PodShape) bool {
	for _, k := range template.Containers {
		has, ok := pod.Container(k.Name)
		born := fleet.ContainerRequests{Limits: k.Limits, Requests: fleet.Resources{
			MilliCPU: cmp.Or(k.Requests.MilliCPU, has.Requests.MilliCPU), Memory: cmp.Or(k.Requests.Memory, has.Requests.Memory)}}
		if ok && !has.Sized(born) {
			return false
		}
	}
	return true
}

// open finds the entry of a workload that is not finished.
func open(ref fleet.Ref, entries []Entry) (Entry, bool) {
	for _, e := range entries {
		if e.Change.Ref == ref && e.Outcome == "" {
			return e, true
		}
	}
	return Entry{}, false
}

// lastEnded is the newest finished entry of a workload that changed it or was meant to.
func lastEnded(ref fleet.Ref, entries []Entry) (Entry, bool) {
	var last Entry
	for _, e := range entries {
		if e.Change.Ref == ref && e.Outcome != "" && e.Outcome != Moved && !e.Ended.Before(last.Ended) {
			last = e
		}
	}
	return last, last.ID != ""
}

// revertRest is how long a workload is left alone after a person took a change of it back.
const revertRest = 7 * 24 * time.Hour

// rest is why a workload is left alone for a while after what was done to it lately.
func rest(w fleet.Workload, entries []Entry, enforces bool, cooldown time.Duration, now time.Time) []fleet.Hold {
	last, ok := lastEnded(w.Ref, entries)
	if !ok || last.Change.From.UID != w.UID {
		return nil
	}
	if until := last.Ended.Add(revertRest); last.Change.Reverts != "" && last.Outcome == Done && now.Before(until) {
		return []fleet.Hold{{Reason: fleet.HoldReverted, Detail: fmt.Sprintf("%s took change %s back on %s; it is proposed again from %s",
			last.Change.By, last.Change.Reverts, stamp(last.Ended), stamp(until))}}
	}
	if until := last.Ended.Add(cooldown); enforces && now.Before(until) {
		return []fleet.Hold{{Reason: fleet.HoldCooldown, Detail: fmt.Sprintf("change %s ended at %s (%s); the policy's cooldown lasts until %s",
			last.ID, stamp(last.Ended), last.Outcome, stamp(until))}}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
