package recommender

import (
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// since is one value a minute of a pod, from an instant until another.
func since(signal fleet.Signal, pod string, from, until time.Time, mean float64) []fleet.Sample {
	var out []fleet.Sample
	for at := from.Add(time.Minute); !at.After(until); at = at.Add(time.Minute) {
		out = append(out, fleet.Sample{Ref: ref, Pod: pod, Container: "model-server", Image: "m:1", Signal: signal, At: at, Window: time.Minute, Mean: mean, Max: mean, N: 4})
	}
	return out
}

// track is the CPU of h as it was learned.
func track(t *testing.T, h *History) string {
	t.Helper()
	s, ok := h.series(ref, "model-server", fleet.CPU)
	if !ok {
		t.Fatal("no CPU")
	}
	text, _ := s.profile().AppendBinary(nil)
	return string(text)
}

// taught is a track that is told what a minute took, of those from an instant until the last slots that are open.
func taught(from time.Time, use func(end time.Time) (cores float64, counts, limited bool)) string {
	var tr sizing.Profile
	for end := from.Add(time.Minute); !end.Add((2 * time.Minute)).After(noon); end = end.Add(time.Minute) {
		if v, counts, limited := use(end); counts {
			tr.Record(end.Unix()-1, v, limited)
		}
	}
	text, _ := tr.AppendBinary(nil)
	return string(text)
}

func met(w fleet.Workload, created time.Time, limit int64) fleet.Workload {
	w.Pods = append([]fleet.Pod{}, w.Pods...)
	for i := range w.Pods {
		w.Pods[i].Created, w.Pods[i].Shape = created, w.Pods[i].Shape.Clone()
		w.Pods[i].Shape.Containers[0].Limits.MilliCPU = limit
	}
	return w
}

// TestStartIsNoSteadyUse: four hours at 0.1 cores and 400Mi, of which a pod that appears takes a core and 3Gi for
// nine minutes. The plan and the peak of serving know nothing of it; what a start takes is known.
func TestStartIsNoSteadyUse(t *testing.T) {
	begin := noon.Add(-4 * time.Hour)
	for _, c := range []struct {
		name    string
		pod     string
		from    time.Time // of the busy nine minutes
		created time.Time // of every pod, as Kubernetes tells; zero: it is not told
		start   bool
	}{
		{"a new pod", "b", noon.Add(-40 * time.Minute), time.Time{}, true},
		{"the same pod goes on", "a", noon.Add(-40 * time.Minute), time.Time{}, false},
		{"a pod that was there all the time, and not measured", "b", noon.Add(-40 * time.Minute), begin.Add(-time.Hour), false},
		{"the first pod of all, which is young", "a", begin, begin, true},
		{"the first pod of all, of which that is not known", "a", begin, time.Time{}, false},
	} {
		h := NewHistory()
		busy := c.from.Add(9 * time.Minute)
		lists := [][]fleet.Sample{}
		for signal, v := range map[fleet.Signal][2]float64{fleet.CPU: {1, 0.1}, fleet.Memory: {3072 * mib, 400 * mib}} {
			lists = append(lists, since(signal, c.pod, c.from, busy, v[0]), since(signal, c.pod, busy, noon, v[1]))
			if c.pod != "a" || c.from != begin {
				until := noon
				if c.pod == "a" {
					until = c.from
				}
				lists = append(lists, since(signal, "a", begin, until, v[1]))
			}
		}
		for i, s := range merged(lists...) {
			feed(t, h, s)
			if !c.created.IsZero() && i%2 == 0 { // the cycle looks now and then
				h.Meet(met(server(2), c.created, 4000))
			}
		}
		want := taught(begin, func(end time.Time) (float64, bool, bool) {
			if end.After(c.from) && !end.After(busy) {
				if c.start {
					return 0.1, c.pod == "b", false // the other serves on
				}
				return 1, true, false
			}
			alone := c.pod == "a" && c.from == begin // in whose tenth minute nobody serves yet
			return 0.1, !(c.start && alone && !end.After(c.from.Add(10*time.Minute))), false
		})
		if track(t, h) != want {
			t.Errorf("%s: the plan was not told what it should", c.name)
		}
		m, _ := h.series(ref, "model-server", fleet.Memory)
		if m.memory().Loaded() != c.start {
			t.Errorf("%s: a start was seen %v, want %v", c.name, m.memory().Loaded(), c.start)
		}
		if a := (sizing.MemoryOptions{}).Advise(m.memory(), new(sizing.MemoryStanding), noon.Unix(), 4096*mib); (a.Peak < 500*mib) != c.start || c.start && a.Load != 3072*mib {
			t.Errorf("%s: peak %.0f, load %.0f", c.name, a.Peak/mib, a.Load/mib)
		}
	}
}

// TestRestartIsAStart: a container that was killed loads its model again, in the same pod.
func TestRestartIsAStart(t *testing.T) {
	h, killed := NewHistory(), noon.Add(-30*time.Minute)
	busy := killed.Add(9 * time.Minute)
	feed(t, h, merged(since(fleet.CPU, "a", noon.Add(-4*time.Hour), killed, 0.1),
		since(fleet.OOM, "a", killed.Add(-time.Minute), killed, 1),
		since(fleet.CPU, "a", killed, busy, 1), since(fleet.CPU, "a", busy, noon, 0.1))...)
	want := taught(noon.Add(-4*time.Hour), func(end time.Time) (float64, bool, bool) {
		return 0.1, !end.After(killed) || end.After(killed.Add(10*time.Minute)), false
	})
	if track(t, h) != want {
		t.Error("the plan was told of the start")
	}
}

// TestCutOffUseIsTakenForMore: 0.5 cores for four hours; under a limit of 510m, or throttled, more was wanted, by
// sizing's 15 %.
func TestCutOffUseIsTakenForMore(t *testing.T) {
	for _, c := range []struct {
		name      string
		limit     int64
		throttled float64
		more      bool
	}{
		{"no limit", 0, -1, false},
		{"at 95 % of the limit", 526, -1, true}, // 0.5 / 0.526 = 0.951
		{"under it", 530, -1, false},            // 0.943
		{"throttled", 4000, 0.25, true},
		{"hardly throttled", 4000, 0.24, false},
	} {
		h, lists := NewHistory(), [][]fleet.Sample{since(fleet.CPU, "a", noon.Add(-4*time.Hour), noon, 0.5)}
		if c.throttled >= 0 {
			lists = append(lists, since(fleet.Throttling, "a", noon.Add(-4*time.Hour), noon, c.throttled))
		}
		for _, s := range merged(lists...) {
			feed(t, h, s)
			h.Meet(met(server(1), noon.Add(-24*time.Hour), c.limit))
		}
		want := taught(noon.Add(-4*time.Hour), func(time.Time) (float64, bool, bool) { return 0.5, true, c.more })
		if track(t, h) != want {
			t.Errorf("%s: the plan was not told; want it told of more: %v", c.name, c.more)
		}
	}
}

// scaledDays is five days of minutes of a workload that has eight replicas for eight hours of each day and two else, all
// at 100m but for the first, which uses so much.
func scaledDays(t *testing.T, h *History, first float64, o Options) {
	for at := noon.Add(-5*24*time.Hour + time.Minute); !at.After(noon); at = at.Add(time.Minute) {
		for i := range 8 {
			s := sample(fleet.CPU, string(rune('a'+i)), at, 0.1)
			if s.Window = time.Minute; i == 0 {
				s.Mean, s.Max = first, first
			}
			if i < 2 || at.Add(-1).Hour() < 8 {
				feed(t, h, s)
			}
		}
		h.Follow(ref, o)
	}
}

// TestSkewOfAScaledWorkload: replicas that are even tell of no skew where they come and go, in days that are told apart
// no more too, and one at 300m does. With seven others at 100m the mean is 125m, with one 200m: over the day 175m.
func TestSkewOfAScaledWorkload(t *testing.T) {
	for _, c := range []struct {
		first float64
		even  float64
		want  string
	}{
		{0.1, 0.1, ""},
		{0.3, 0.175, "the hottest replica uses 1.71 times the mean of all 175m"},
	} {
		for _, o := range []Options{{}, priced()} {
			h := NewHistory()
			scaledDays(t, h, c.first, o)
			for _, days := range []time.Duration{1, 7} {
				d, _ := h.Distribution(ref, "model-server", fleet.CPU, days*24*time.Hour, noon)
				if got := d.skewed(); got != c.want || off(d.Even, c.even) > 1e-4 || d.Pods != 8 {
					t.Errorf("%g over %d days, priced %v: %q and %g of %d, want %q and %g", c.first, days, o.Priced != nil, got, d.Even, d.Pods, c.want, c.even)
				}
			}
		}
	}
}

// TestSkew: two replicas at 10m and one at 100m: the mean is 40m, the hottest 2.5 times that; in minutes and in hours that
// are told apart no more.
func TestSkew(t *testing.T) {
	for _, c := range []struct {
		uses []float64
		want string
	}{
		{[]float64{0.01, 0.01, 0.1}, "the hottest replica uses 2.5 times the mean of all 40m"},
		{[]float64{0.05, 0.05, 0.1}, "the hottest replica uses 1.5 times the mean of all 67m"}, // 66.7m
		{[]float64{0.06, 0.06, 0.1}, ""},
		{[]float64{0.1}, ""},
		{[]float64{0, 0}, ""},
	} {
		h, lists := NewHistory(), [][]fleet.Sample{}
		for i, use := range c.uses {
			lists = append(lists, steady(fleet.CPU, string(rune('a'+i)), noon, 20*time.Hour, use))
		}
		feed(t, h, merged(lists...)...)
		for _, window := range []time.Duration{3 * time.Minute, 24 * time.Hour} {
			d, _ := h.Distribution(ref, "model-server", fleet.CPU, window, noon)
			if got := d.skewed(); got != c.want {
				t.Errorf("%v of %s: %q, want %q", c.uses, window, got, c.want)
			}
		}
		recs, _ := Recommend(server(len(c.uses)), h, only(options(), fleet.CPUUnderused), noon)
		if len(recs) != 1 || c.want != "" && !strings.Contains(recs[0].Evidence, c.want) {
			t.Errorf("%v: %+v does not tell", c.uses, recs)
		}
	}
}
