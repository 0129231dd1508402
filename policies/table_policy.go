package policies

import (
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// retention is how long usage is kept: no window can look further back.
const retention = 35 * 24 * time.Hour

// policyFields is the spec of a Policy.
func policyFields() []field[Policy] {
	return []field[Policy]{
		must("who it is for, such as namespaces: [ml-production]",
			group("selector", "Whom the policy is for: every part that is given must match, and one is given.", selectorFields()...)),
		choice("mode", "How far Trimtab may go: recommend only writes down what it would do; enforce does it, where the daemon is started with enforcement too.",
			func(p *Policy) *Mode { return &p.Mode }, Recommend, Enforce),
		choice("class", "How workloads are called whose label "+ClassLabel+" does not say it: online answers people, batch may wait and be interrupted. Without both they are held.",
			func(p *Policy) *fleet.Class { return &p.Class }, fleet.Online, fleet.Batch),
		duration("window", "How far back means and percentiles look; at most the 35 days that usage is kept.",
			time.Minute, retention, func(p *Policy) *time.Duration { return &p.Window }),
		duration("minHistory", "A workload that was measured for less is left alone; at most window.",
			30*time.Second, retention, func(p *Policy) *time.Duration { return &p.MinHistory }),
		duration("staleAfter", "A workload whose newest measurement is older is left alone.",
			10*time.Second, 24*time.Hour, func(p *Policy) *time.Duration { return &p.StaleAfter }),
		group("rightSizing", "Fits requests to use, and limits where limits says so.", rightSizingFields()...),
		group("replicas", "Fits copies to the requests that come; with an autoscaler, what it should be set to is advised instead.", replicaFields()...),
		group("spot", "Moves batch workloads to spot capacity.",
			toggle("enabled", "Whether this rule is applied.", func(p *Policy) *bool { return &p.Spot.Enabled })),
		duration("cooldown", "How long a workload is left alone after a change of it ended; only where the policy enforces.",
			0, 7*24*time.Hour, func(p *Policy) *time.Duration { return &p.Cooldown }),
		count("budget", "The most changes that one pass makes under this policy.",
			span{low: 1, high: 10000, example: "a number such as 10"}, func(p *Policy) *int { return &p.Budget }),
	}
}

func selectorFields() []field[Policy] {
	return []field[Policy]{
		words("namespaces", "Exact names of namespaces.", "a list such as [ml-production, ml-staging]", wrongNamespace,
			func(p *Policy) *[]string { return &p.Selector.Namespaces }),
		words("names", "Exact names of workloads.", "a list such as [recommendation-model]", wrongObject,
			func(p *Policy) *[]string { return &p.Selector.Names }),
		labels("matchLabels", "Labels that the workload has.",
			func(p *Policy) *map[string]string { return &p.Selector.MatchLabels }),
		labels("namespaceLabels", "Labels that the workload's namespace has.",
			func(p *Policy) *map[string]string { return &p.Selector.NamespaceLabels }),
	}
}

func rightSizingFields() []field[Policy] {
	ratio := func(name, meaning string, s span, at func(*RightSizing) *float64) field[Policy] {
		return number(name, "share", meaning, s, func(p *Policy) *float64 { return at(&p.RightSizing) })
	}
	percentile := span{high: 1, above: true, example: "a share such as 0.95"}
	underused := span{high: 1, above: true, example: "a share such as 0.3"}
	margin := span{high: 2, example: "a fraction such as 0.15 for 15 % on top"}
	return []field[Policy]{
		toggle("enabled", "Whether this rule is applied.", func(p *Policy) *bool { return &p.RightSizing.Enabled }),
		choice("rule", "How CPU is sized: percentile brings it down where it is underused; priced follows the hours of the week, up and down, by what reserving, falling short and changing cost.",
			func(p *Policy) *Sizing { return &p.RightSizing.Rule }, ByPercentile, ByPrice),
		choice("risk", "With rule priced, what a shortfall is worth: high reserves more, low less.",
			func(p *Policy) *Risk { return &p.RightSizing.Risk }, RiskLow, RiskNormal, RiskHigh),
		judged(word("timeZone", "With rule priced, the IANA time zone whose hours and weekdays usage follows.", wrongZone,
			func(p *Policy) *string { return &p.RightSizing.TimeZone }),
			func(w *walk) func(string) error { return w.checks.TimeZone }, "%q is not a time zone: %v; write an IANA name such as Europe/Berlin"),
		count("changesPerDay", "With rule priced, how often CPU may change in a day, on average; growth that use forces may borrow two.",
			span{low: 1, high: 24, example: "a number such as 2"}, func(p *Policy) *int { return &p.RightSizing.ChangesPerDay }),
		duration("lead", "With rule priced, how long before the hour it is for CPU grows.",
			time.Minute, time.Hour, func(p *Policy) *time.Duration { return &p.RightSizing.Lead }),
		ratio("underusedBelow", "Mean CPU use below this share of the CPU request counts as underused.", underused,
			func(r *RightSizing) *float64 { return &r.UnderusedBelow }),
		ratio("percentile", "The percentile of CPU use that the new request starts from.", percentile,
			func(r *RightSizing) *float64 { return &r.Percentile }),
		ratio("margin", "The fraction added on top of that percentile.", margin,
			func(r *RightSizing) *float64 { return &r.Margin }),
		ratio("memoryMargin", "The fraction added on top of peak memory.", margin,
			func(r *RightSizing) *float64 { return &r.MemoryMargin }),
		quantity("minCPU", "No CPU request goes below this.", cpu(1, 512_000),
			func(p *Policy) *int64 { return &p.RightSizing.MinMilliCPU }),
		quantity("minMemory", "No memory request goes below this.", memory(1<<20, 16<<40),
			func(p *Policy) *int64 { return &p.RightSizing.MinMemory }),
		choice("limits", "What becomes of limits: none leaves them as they are, and no request goes above them; ratio keeps limit to request as the pod template has them; peaks sizes them from peak use with spare. None is added, removed, or lowered below the recent peak and its margin, and no pod's QoS class changes.",
			func(p *Policy) *Limits { return &p.RightSizing.Limits }, LimitsStay, LimitsByRatio, LimitsByPeaks),
		choice("apply", "How new requests are written: in-place resizes the live pods, and those that appear later, without a restart; template changes the pod template, which replaces every pod.",
			func(p *Policy) *Apply { return &p.RightSizing.Apply }, InPlace, InTemplate),
	}
}

func replicaFields() []field[Policy] {
	floor := span{low: 1, high: 10000, example: "a number such as 2; nothing is scaled to zero"}
	return []field[Policy]{
		toggle("enabled", "Whether this rule is applied.", func(p *Policy) *bool { return &p.Replicas.Enabled }),
		choice("rule", "How replicas are counted: requests takes one away where they answer few; forecast follows the requests foreseen by hour and weekday (UTC) and what one replica is known to answer in time, up and down.",
			func(p *Policy) *Scaling { return &p.Replicas.Rule }, ByRequests, ByForecast),
		number("requestsPerSecond", "number", "With rule requests, a ready replica that answers fewer requests a second is one too many.",
			span{high: 1e6, above: true, example: "a number such as 10"},
			func(p *Policy) *float64 { return &p.Replicas.RequestsPerSecond }),
		count("onlineFloor", "The fewest replicas of an online workload.", floor,
			func(p *Policy) *int32 { return &p.Replicas.OnlineFloor }),
		count("batchFloor", "The fewest replicas of a batch workload.", floor,
			func(p *Policy) *int32 { return &p.Replicas.BatchFloor }),
		count("ceiling", "With rule forecast, the most replicas. Without it, twice as many as served at once in the window; and where no replica was seen at its limit, as many as served.",
			span{low: 1, high: 10000, example: "a number such as 20"}, func(p *Policy) *int32 { return &p.Replicas.Ceiling }),
		number("capacity", "number", "With rule forecast, the requests a second that one replica answers in time, where you know it better than what was measured.",
			span{low: 0.001, high: 1e6, example: "a number such as 40"}, func(p *Policy) *float64 { return &p.Replicas.Capacity }),
		duration("latency", "With rule forecast, the mean latency, of a minute or so of one replica, that is still in time: by it is measured what a replica can answer. Without it and without capacity replicas are held.",
			time.Millisecond, 10*time.Minute, func(p *Policy) *time.Duration { return &p.Replicas.Latency }),
		count("redundancy", "With rule forecast, how many replicas may be lost with the others still enough.",
			span{low: 0, high: 100, example: "a number such as 1"}, func(p *Policy) *int { return &p.Replicas.Redundancy }),
		duration("lead", "With rule forecast, how long a new replica takes until it answers, loading its model included.",
			time.Minute, time.Hour, func(p *Policy) *time.Duration { return &p.Replicas.Lead }),
	}
}

// check is what no single field can tell. A field that has a fault already is not judged again.
func check(w *walk, spec place, p Policy) {
	at := func(names ...string) place {
		p := place{path: join(spec.path, names[0]), line: spec.line}
		for _, n := range slices.Backward(names) {
			p.line = w.line(join(spec.path, n), p.line)
		}
		return p
	}
	sound := func(name string) bool { return !w.faulty(join(spec.path, name)) }
	if sound("selector") && p.Selector.empty() {
		w.fault(at("selector"), "selects nothing; name namespaces, names, matchLabels or namespaceLabels")
	}
	if sound("window") && sound("minHistory") && p.MinHistory > p.Window {
		w.fault(at("minHistory", "window"), "%s is longer than window, %s, so nothing would ever be recommended; lower it or raise window",
			short(p.MinHistory), short(p.Window))
	}
	r := p.Replicas
	if sound("replicas.ceiling") && r.Ceiling > 0 && r.Ceiling < max(r.OnlineFloor, r.BatchFloor) {
		w.fault(at("replicas.ceiling"), "%d is below a floor, %d; raise it or lower the floor", r.Ceiling, max(r.OnlineFloor, r.BatchFloor))
	}
	if sound("window") && sound("staleAfter") && p.StaleAfter > p.Window {
		w.fault(at("staleAfter", "window"), "%s is longer than window, %s; lower it or raise window", short(p.StaleAfter), short(p.Window))
	}
}
