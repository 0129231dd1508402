package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
)

// amount is a measured value in the signal's own unit.
func amount(s fleet.Signal, v float64) string {
	switch s {
	case fleet.CPU:
		return fleet.FormatCores(v)
	case fleet.Memory, fleet.GPUMemory:
		return fleet.FormatMemory(int64(math.Round(v)))
	case fleet.Requests:
		return number(v) + "/s"
	case fleet.Latency:
		if ms := v * 1000; ms > 0 && ms < 10 {
			return number(max(ms, 0.1)) + " ms"
		}
		return fmt.Sprintf("%.0f ms", v*1000)
	case fleet.Throttling, fleet.GPU:
		return percent(v)
	}
	return number(v)
}

// span is a number of days for people: "23 days", "5 hours", "2 minutes".
func span(days float64) string {
	for _, u := range []struct {
		name string
		days float64
	}{{"day", 1}, {"hour", 1. / 24}, {"minute", 1. / 1440}} {
		if n := math.Floor(days/u.days + 1e-9); n >= 2 {
			return fmt.Sprintf("%.0f %ss", n, u.name)
		}
	}
	return "under 2 minutes"
}

// number has one decimal below ten and none above.
func number(v float64) string {
	if v > 0 && v < 9.95 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// percent is a share of 1; what is not zero never reads as 0 %, and what is not all never as 100 %.
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.001:
		return "under 0.1 %"
	case share > 0 && share < 0.1:
		return fmt.Sprintf("%.1f %%", share*100)
	case share < 1 && share >= 0.995:
		return fmt.Sprintf("%.1f %%", math.Floor(share*1000)/10)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

// observed is what was measured of a workload against what it asks for, a line a signal. Without a
// policy of its own it was not looked at.
func observed(a optimizer.Assessment) []string {
	if a.Policy == "" {
		return nil
	}
	var out []string
	for _, u := range a.Use {
		if line := seen(a.Workload, u); line != "" {
			out = append(out, line)
		}
	}
	if len(a.Use) == 0 {
		out = append(out, "nothing was measured")
	}
	if n := a.Workload.GPUs(); n > 0 && !measured(a.Use, fleet.GPU) {
		out = append(out, fmt.Sprintf("%s a pod: how busy they are was not measured", fleet.Count(n, "GPU")))
	}
	return out
}

func measured(uses []recommender.Use, s fleet.Signal) bool {
	return slices.ContainsFunc(uses, func(u recommender.Use) bool { return u.Signal == s })
}

func seen(w fleet.Workload, u recommender.Use) string {
	c, _ := w.Current().Container(u.Container)
	where := ""
	if len(w.Current().Containers) > 1 && u.Container != "" {
		where = " in " + u.Container
	}
	switch u.Signal {
	case fleet.CPU:
		return fmt.Sprintf("cpu%s %s%s on average in the busiest replica", where, amount(u.Signal, u.Mean),
			against(u.Mean*1000, c.Requests.MilliCPU, fleet.FormatCPU))
	case fleet.Memory:
		return fmt.Sprintf("memory%s %s%s at its peak", where, amount(u.Signal, u.Peak), against(u.Peak, c.Requests.Memory, fleet.FormatMemory))
	case fleet.Requests:
		each := u.Total / float64(max(w.Replicas, 1))
		return fmt.Sprintf("%s requests a second in all, %s a replica", number(u.Total), number(each))
	case fleet.GPU:
		return fmt.Sprintf("%s busy %s on average in the busiest replica, %s at most", u.Container, amount(u.Signal, u.Mean), amount(u.Signal, u.Peak))
	case fleet.GPUMemory:
		return fmt.Sprintf("%s has %s of its memory in use at most", u.Container, amount(u.Signal, u.Peak))
	case fleet.OOM:
		return fmt.Sprintf("killed for want of memory%s in this time", where)
	}
	return ""
}

// against says which share of the request was used; nothing where nothing is asked for.
func against(used float64, asked int64, format func(int64) string) string {
	if asked == 0 {
		return " (nothing requested)"
	}
	return fmt.Sprintf(" of %s requested (%s)", format(asked), percent(used/float64(asked)))
}

// moves is what is different between two states of a workload, in the order in which people ask.
func moves(from, to fleet.Workload) []string {
	var out []string
	old, now := from.Current(), to.Current()
	for _, c := range now.Containers {
		was, ok := old.Container(c.Name)
		if !ok {
			continue
		}
		if r := resized(was.Requests, c.Requests); len(r) > 0 {
			out = append(out, "requests of "+c.Name+": "+strings.Join(r, ", "))
		}
		if r := resized(was.Limits, c.Limits); len(r) > 0 {
			out = append(out, "limits of "+c.Name+": "+strings.Join(r, ", "))
		}
	}
	if from.Replicas != to.Replicas {
		out = append(out, fmt.Sprintf("replicas %d -> %d", from.Replicas, to.Replicas))
	}
	if from.Capacity != to.Capacity {
		out = append(out, fmt.Sprintf("%s -> %s nodes", orUnknown(string(from.Capacity)), to.Capacity))
	}
	return out
}

func resized(from, to fleet.Resources) []string {
	var out []string
	if from.MilliCPU != to.MilliCPU {
		out = append(out, fmt.Sprintf("cpu %s -> %s", fleet.FormatCPU(from.MilliCPU), fleet.FormatCPU(to.MilliCPU)))
	}
	if from.Memory != to.Memory {
		out = append(out, fmt.Sprintf("memory %s -> %s", fleet.FormatMemory(from.Memory), fleet.FormatMemory(to.Memory)))
	}
	return out
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
