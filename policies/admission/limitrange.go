package admission

import (
	"fmt"
	"strconv"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// refusals is why the API server would refuse a pod of this shape, in the order of containers and
// ranges; none: it admits it. The shape has its defaults already.
func refusals(shape fleet.PodShape, b fleet.Bounds) []string {
	var all []string
	for _, c := range shape.Containers {
		for _, name := range named(c.Limits) {
			if l, r := of(c.Limits, name), of(c.Requests, name); l > 0 && r > l {
				all = append(all, fmt.Sprintf("container %s asks for %s of %s, above its limit of %s",
					c.Name, format(name, r), name, format(name, l)))
			}
		}
	}
	shape.Overhead = fleet.Resources{} // LimitRanger does not count it
	for _, r := range b.LimitRanges {
		switch r.Type {
		case perContainer:
			for _, c := range shape.Containers {
				all = append(all, breaches(r, "container "+c.Name, c.Requests, c.Limits)...)
			}
		case perPod:
			all = append(all, breaches(r, "the pod", shape.Requests(), shape.Limits())...)
		}
	}
	return all
}

// breaches is where requests and limits of who break one LimitRange.
func breaches(r fleet.LimitRange, who string, requests, limits fleet.Resources) []string {
	var all []string
	add := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("LimitRange %s: %s %s", r.Name, who, fmt.Sprintf(format, args...)))
	}
	for _, name := range named(r.Min, r.Max) {
		request, limit := of(requests, name), of(limits, name)
		say := func(n int64) string { return format(name, n) }
		if low := of(r.Min, name); low > 0 {
			switch {
			case request < low:
				add("asks for %s of %s, below the min of %s", say(request), name, say(low))
			case limit > 0 && limit < low:
				add("has a limit of %s of %s, below the min of %s", say(limit), name, say(low))
			}
		}
		if high := of(r.Max, name); high > 0 {
			switch {
			case limit == 0:
				add("has no limit of %s, and a max of %s needs one", name, say(high))
			case limit > high:
				add("has a limit of %s of %s, above the max of %s", say(limit), name, say(high))
			case request > high:
				add("asks for %s of %s, above the max of %s", say(request), name, say(high))
			}
		}
		ratio := ratioOf(r, name)
		switch {
		case ratio == 0:
		case request == 0:
			add("asks for no %s, and maxLimitRequestRatio %s needs a request", name, decimal(ratio))
		case limit == 0:
			add("has no limit of %s, and maxLimitRequestRatio %s needs one", name, decimal(ratio))
		case exceeds(limit, request, ratio):
			add("has a limit of %s of %s over a request of %s, above maxLimitRequestRatio %s",
				say(limit), name, say(request), decimal(ratio))
		}
	}
	return all
}

// ratioOf is the most that limit/request may be, in thousandths; 0: anything.
func ratioOf(r fleet.LimitRange, name string) int64 {
	switch name {
	case cpu:
		return r.MaxLimitRequestRatio.CPU
	case memory:
		return r.MaxLimitRequestRatio.Memory
	}
	return 0
}

// decimal writes thousandths as a plain number: 1500 is "1.5".
func decimal(thousandths int64) string {
	return strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
}

// exceeds compares as the API server does, in floating point.
func exceeds(limit, request, ratio int64) bool {
	return float64(limit)/float64(request)*1000 > float64(ratio)
}

// leastRequest is the smallest request that ratio allows under limit: limit/ratio, rounded up.
//
//	limit 1000, ratio 2000 (2) -> 500       limit 1000, ratio 1500 (1.5) -> 667
//	limit 1000, ratio 1000 (1) -> 1000      limit 0 -> 0
func leastRequest(limit, ratio int64) int64 {
	n := limit/ratio*1000 + (limit%ratio*1000+ratio-1)/ratio
	for n > 0 && exceeds(limit, n, ratio) {
		n++ // floating point is a hair above the ratio
	}
	return n
}

// edge is one end of what a request may be, and whose it is. At zero there is none.
type edge struct {
	at         int64
	rule, part string
}

// edges is what one resource of requests may be under every range of the given type, with limits as
// they are. Of several equal ends the first by name is told.
func edges(b fleet.Bounds, typ, name string, limits fleet.Resources) (low, high edge) {
	limit := of(limits, name)
	if limit > 0 && typ == perContainer {
		high = edge{limit, "limit", "a request may not be above it"}
	}
	for _, r := range b.LimitRanges {
		if r.Type != typ {
			continue
		}
		rule, whose := "LimitRange "+r.Name, ""
		if typ == perPod {
			whose = " of the pod"
		}
		if n := of(r.Min, name); n > low.at {
			low = edge{n, rule, "min" + whose}
		}
		if ratio := ratioOf(r, name); ratio > 0 {
			if n := leastRequest(limit, ratio); n > low.at {
				low = edge{n, rule, "maxLimitRequestRatio " + decimal(ratio) + whose}
			}
		}
		if n := of(r.Max, name); n > 0 && (high.at == 0 || n < high.at) {
			high = edge{n, rule, "max" + whose}
		}
	}
	return low, high
}
