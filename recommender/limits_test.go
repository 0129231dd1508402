package recommender

import (
	"math"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func TestLimitFollowsItsRequest(t *testing.T) {
	ratio := func(stated, request, now, least int64) limiting {
		return limiting{rule: LimitsByRatio, step: 1, stated: stated, request: request, now: now, least: least}
	}
	peaks := func(stated, request, now, least, wanted int64) limiting {
		l := ratio(stated, request, now, least)
		l.rule, l.wanted = LimitsByPeaks, wanted
		return l
	}
	for _, c := range []struct {
		name         string
		l            limiting
		request      int64
		limit, under int64
		why          string
	}{
		{"twice the request", ratio(1000, 500, 1000, 0), 100, 200, 100, ""},
		{"by the template, whatever is live", ratio(1000, 500, 700, 0), 100, 200, 100, ""},
		{"a third, rounded up", ratio(1000, 300, 1000, 0), 100, 334, 100, ""}, // 333.3
		{"not under the recent peak", ratio(1000, 500, 1000, 460), 100, 460, 100, ""},
		{"which alone raises nothing", ratio(1000, 500, 200, 460), 100, 200, 100, ""},
		{"it grows with its request", ratio(1000, 500, 1000, 0), 700, 1400, 700, ""},
		{"to four times what is stated", ratio(1000, 500, 1000, 0), 9000, 4000, 3999, "not raised further: it is 4 times what the pod template states; look at it, and state more there"},
		{"less than 5 % is no change", ratio(1000, 500, 1000, 0), 480, 1000, 480, ""},
		{"equal stays equal", ratio(500, 500, 500, 0), 100, 100, 100, ""},
		{"and the request rises to it", ratio(500, 500, 500, 230), 100, 230, 230, ""},
		{"no request in the template is the limit", ratio(500, 0, 500, 0), 100, 100, 100, ""},
		{"nearly equal stays above", ratio(1001, 1000, 1001, 0), 10, 11, 10, ""},
		{"from peaks", peaks(1000, 500, 1000, 230, 300), 100, 300, 100, ""},
		{"from peaks, not under the margin", peaks(1000, 500, 1000, 345, 300), 100, 345, 100, ""},
		{"peaks raise", peaks(1000, 500, 1000, 1150, 1500), 500, 1500, 500, ""},
		{"peaks, equal", peaks(1000, 1000, 1000, 230, 300), 100, 300, 300, ""},
		{"peaks, above the request", peaks(1000, 500, 1000, 0, 50), 100, 101, 100, ""},
	} {
		limit, under, why := c.l.size(c.request)
		if limit != c.limit || under != c.under || why != c.why {
			t.Errorf("%s: %d over %d, %q; want %d over %d, %q", c.name, limit, under, why, c.limit, c.under, c.why)
		}
	}
	kept := ratio(1000, 500, 1000, 0)
	kept.keep = "because"
	if limit, under, why := kept.size(100); limit != 1000 || under != 100 || why != "not lowered: because" {
		t.Errorf("lowered to %d over %d: %q", limit, under, why)
	}
	kept.request = 1000
	if limit, under, _ := kept.size(100); limit != 1000 || under != 1000 {
		t.Errorf("%d over %d, want both as they are: an equal request goes with its limit", limit, under)
	}
	stopped := peaks(1000, 500, 1000, 0, 3000)
	stopped.stop = "it leaks"
	if limit, under, why := stopped.size(1200); limit != 1000 || under != 999 || why != "not raised: it leaks" {
		t.Errorf("raised to %d over %d: %q", limit, under, why)
	}
}

// Whatever comes in: the limit is not lowered under least, the QoS of the pair stays, and asked again nothing moves.
func TestLimitPromises(t *testing.T) {
	for i := range int64(40_000) {
		pick := func(prime, most int64) int64 { return i * prime % most }
		l := limiting{rule: LimitsByRatio, step: 1 + pick(3, 2)*15, request: 1 + pick(7, 900), least: pick(11, 1500), wanted: pick(13, 2500)}
		l.stated = l.request + pick(17, 3)*pick(19, 700)
		l.now = max(l.up(1+pick(23, 3000)), l.stated)
		if i%2 == 0 {
			l.rule = LimitsByPeaks
		}
		request := 1 + pick(29, 1000)
		limit, under, _ := l.size(request)
		equal := l.request == l.stated
		switch {
		case limit < l.now && limit < l.least:
			t.Fatalf("%+v for %d: lowered to %d, under %d", l, request, limit, l.least)
		case equal != (limit == under) || under > limit || under <= 0:
			t.Fatalf("%+v for %d: %d over %d", l, request, limit, under)
		case limit > max(4*l.stated, l.now):
			t.Fatalf("%+v for %d: %d", l, request, limit)
		}
		l.now = limit
		if again, same, _ := l.size(under); again != limit || same != under {
			t.Fatalf("%+v: asked for %d again, %d over %d became %d over %d", l, request, limit, under, again, same)
		}
	}
}

func TestInProportion(t *testing.T) {
	for _, c := range []struct{ n, a, b, want int64 }{
		{100, 1000, 500, 200}, {1, 1, 3, 1}, {0, 5, 7, 0}, {1 << 40, 1 << 41, 1 << 40, 1 << 41},
		{math.MaxInt64, math.MaxInt64, 1, math.MaxInt64 / 2},
	} {
		if got := inProportion(c.n, c.a, c.b); got != c.want {
			t.Errorf("%d × %d ÷ %d = %d, want %d", c.n, c.a, c.b, got, c.want)
		}
	}
}

// TestLimitsOfARecommendation: 500m and 1Gi under 1 core and 2Gi; 100m used and 400Mi, so that 115m and 460Mi are
// asked for. Ratio 2 is 230m and 920Mi. From peaks CPU is 100m + 50 %; the recent peak and its margin are 460Mi, and
// the forecast of three minutes asks for more.
func TestLimitsOfARecommendation(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   LimitRule
		change func(*fleet.Workload, *History)
		want   fleet.Resources
		says   string
	}{
		{"they stay", LimitsStay, nil, fleet.Resources{}, ""},
		{"ratio", LimitsByRatio, started, fleet.Resources{MilliCPU: 230, Memory: 920 * mib}, "limit by ratio 230m"},
		{"peaks", LimitsByPeaks, started, fleet.Resources{MilliCPU: 150, Memory: -1}, "limit by peaks 150m"},
		{"no start was seen", LimitsByRatio, nil, fleet.Resources{MilliCPU: 230}, "limit not lowered: no start was measured yet"},
		{"a start took more", LimitsByRatio, func(_ *fleet.Workload, h *History) {
			started(nil, h)
			m, _ := h.series(ref, "model-server", fleet.Memory)
			m.memory().Load(noon.Unix()-100, 1000*mib, 0) // 1100Mi with its margin
		}, fleet.Resources{MilliCPU: 230, Memory: 1100 * mib}, "limit by ratio 1100Mi"},
		{"killed", LimitsByRatio, func(_ *fleet.Workload, h *History) {
			started(nil, h)
			m, _ := h.series(ref, "model-server", fleet.Memory)
			m.memory().OOM(noon.Unix()-100, 1000*mib, 0) // × 1.2
		}, fleet.Resources{MilliCPU: 230, Memory: 1200 * mib}, "limit by ratio 1200Mi"},
		{"the template states none", LimitsByRatio, func(w *fleet.Workload, h *History) {
			started(w, h)
			w.Template = w.Template.Clone()
			w.Template.Containers[0].Limits = fleet.Resources{}
		}, fleet.Resources{}, "limit left the pod template states none"},
		{"throttled", LimitsByRatio, func(w *fleet.Workload, h *History) {
			started(w, h)
			feed(t, h, steady(fleet.Throttling, "a", noon, 3*time.Minute, 0.3)...)
		}, fleet.Resources{Memory: 920 * mib}, "limit not lowered: throttled in up to 30 % of CPU periods"},
	} {
		w := server(3)
		h := measured(t, w, 0.1, 400*mib, -1)
		if c.change != nil {
			c.change(&w, h)
		}
		o := only(options(), fleet.CPUUnderused)
		o.Limits = c.rule
		recs, holds := Recommend(w, h, o, noon)
		if len(recs) != 1 || len(holds) != 0 {
			t.Fatalf("%s: %+v, %+v", c.name, recs, holds)
		}
		got := recs[0].Target.Requests[0]
		if c.want.Memory < 0 && got.Limits.Memory >= 460*mib && got.Limits.Memory < 2048*mib {
			c.want.Memory = got.Limits.Memory
		}
		if !got.Limits.Equal(c.want) || got.Requests.MilliCPU != 115 || got.Requests.Memory != 460*mib {
			t.Errorf("%s: %+v, want limits %+v", c.name, got, c.want)
		}
		said := ""
		for _, s := range recs[0].Steps {
			said += s.Name + " " + s.Value + "\n"
		}
		if !strings.Contains(said, c.says) {
			t.Errorf("%s: %q is not in\n%s", c.name, c.says, said)
		}
	}
}

// started marks a start that took little.
func started(_ *fleet.Workload, h *History) {
	s, _ := h.series(ref, "model-server", fleet.Memory)
	s.memory().Load(noon.Unix()-1000, mib, 0)
}

// A Guaranteed pod is shrunk by moving limits and requests as one.
func TestGuaranteedShrinksWhole(t *testing.T) {
	w := server(1)
	edit(&w, func(k *fleet.Container) { k.Limits = k.Requests })
	h := measured(t, w, 0.1, 400*mib, -1)
	started(&w, h)
	o := only(options(), fleet.CPUUnderused)
	o.Limits = LimitsByRatio
	recs, _ := Recommend(w, h, o, noon)
	if len(recs) != 1 {
		t.Fatalf("%+v", recs)
	}
	after := w.With(recs[0].Target).Current()
	if k := after.Containers[0]; after.QoS() != "Guaranteed" || k.Limits.MilliCPU != 115 || k.Limits.Memory != 460*mib {
		t.Errorf("%s: %+v", after.QoS(), k)
	}
}

// TestLimitsOfAPlan: a plan that rises to its peak and falls again takes the limits along, never under the recent
// peak of 800m and its margin of 15 %, and a Guaranteed pod keeps what its limit needs all day.
func TestLimitsOfAPlan(t *testing.T) {
	for _, c := range []struct {
		name       string
		rule       LimitRule
		equal      bool
		at         time.Time
		live       int64 // request
		limit      int64 // in force
		low, high  int64 // of the request that is asked for
		limitAsked int64 // 0: it stays
	}{
		{"before the peak", LimitsByRatio, false, day(8, 52), 105, 1000, 800, 840, -2},
		{"after it", LimitsByRatio, false, day(11, 20), 840, 1680, 100, 110, 920},
		{"from peaks", LimitsByPeaks, false, day(11, 20), 840, 1680, 100, 110, 1200}, // 800m + 50 %
		{"equal, after the peak", LimitsByRatio, true, day(11, 20), 1000, 1000, 920, 920, 920},
		{"they stay, and the plan stays below", LimitsStay, false, day(8, 52), 105, 500, 499, 499, 0},
	} {
		w := server(1)
		edit(&w, func(k *fleet.Container) {
			k.Requests.MilliCPU, k.Limits.MilliCPU = c.live, c.limit
		})
		if w.Template = server(1).Template; c.equal {
			w.Template.Containers[0].Requests.MilliCPU = 1000
		}
		o := priced()
		o.Limits, o.Margin = c.rule, 0.15
		recs, holds := Recommend(w, daily(t, "a", c.at), o, c.at)
		if len(recs) != 1 || len(holds) != 0 {
			t.Errorf("%s: %+v, %+v", c.name, recs, holds)
			continue
		}
		r := recs[0].Target.Requests[0]
		if c.limitAsked == -2 {
			c.limitAsked = 2 * r.Requests.MilliCPU
		}
		if r.Requests.MilliCPU < c.low || r.Requests.MilliCPU > c.high || r.Limits.MilliCPU != c.limitAsked {
			t.Errorf("%s: %+v, want %d to %d under %d", c.name, r, c.low, c.high, c.limitAsked)
		}
		if course := recs[0].Course[0].Requests.MilliCPU; c.equal && course != 920 {
			t.Errorf("%s: %d on average, want what is held all day", c.name, course)
		}
	}
}
