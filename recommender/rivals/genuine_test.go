package main

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender/model"
	"trimtab.dev/trimtab/recommender/replay"
)

// shared is set up once: the autoscaler's settings are a global of its package.
var shared = newGenuine()

// A tenth of the minutes at 1.3 cores is invisible at the 90th percentile: 0.4
// lies in the range that ends at 0.4143, cut to 414 m, and 15 % on top makes 476 m.
// The lower bound is the same range at seven days of history, 476*(1+0.001/7)^-2;
// the upper bound is the end of 1.3's range, 1352 m, 1554 m with 15 %, times 1+1/7.
func TestAutoscalerMissesTheTenth(t *testing.T) {
	h := shared.newHistory(model.ResourceCPU, time.Minute)
	for i := range 7 * 1440 {
		used := 0.4
		if i%10 == 0 {
			used = 1.3
		}
		h.see(time.Unix(int64(start+60*i), 0), used)
	}
	r := h.recommend()[containerName]
	for _, c := range []struct {
		what string
		got  model.Resources
		want float64
	}{{"target", r.Target, 0.476}, {"lower bound", r.LowerBound, 0.475}, {"upper bound", r.UpperBound, 1.776}} {
		if got := h.value(c.got); got != c.want {
			t.Errorf("%s %.3f cores, want %.3f", c.what, got, c.want)
		}
	}
}

// After a steady week at 2 GiB the target is 2.36 GiB. A kill at a request of
// 3 GiB is a peak of 1.2*3 = 3.6 GiB: its range ends at 3.65, times 1.15 is 4.20.
func TestKillRaisesMemory(t *testing.T) {
	h := shared.newHistory(model.ResourceMemory, time.Minute)
	at := time.Unix(start, 0)
	for range 7 * 1440 {
		h.see(at, 2<<30)
		at = at.Add(time.Minute)
	}
	if got := h.target() / (1 << 30); math.Abs(got-2.36) > 0.005 {
		t.Errorf("target %.3f GiB before the kill, want 2.36", got)
	}
	h.recordKill(at, 3<<30)
	if got := h.target() / (1 << 30); math.Abs(got-4.20) > 0.005 {
		t.Errorf("target %.3f GiB after the kill, want 4.20", got)
	}
}

// A daily peak of two hours is 8.3 % of the minutes, so a recommender that asks for
// the 90th percentile sees it only by the greater weight of the newest samples: x
// minutes into the peak, with u = 2^(-x/1440), its share of all weight is
// 1-2u+u*2^(120/1440), which passes a tenth at x = 91.4. A request decided before
// the sample is therefore short for 92 minutes of every peak, and back down after
// it. An evicted pod may not move again within its bounds for 12 hours, which can
// lock it into growing after the peak: it then misses all of it. Which of the two
// depends on the hour of the peak after the pod's start. Weeks 2 to 6: 35 peaks.
func TestUpdaterChasesTheDailyPeak(t *testing.T) {
	for _, c := range []struct {
		mode            mode
		hour            int
		missed, resizes int
	}{{recreate, 9, 35 * 120, 70}, {recreate, 12, 35 * 92, 70}, {inPlace, 9, 35 * 92, 70}} {
		missed, resizes := chase(shared.newUpdated(replay.Series{At: []int64{0, 60}, Unit: replay.Cores}, c.mode), c.hour)
		if missed != c.missed || resizes != c.resizes {
			t.Errorf("mode %d, peak at %d h: %d minutes missed and %d resizes, want %d and %d", c.mode, c.hour, missed, resizes, c.missed, c.resizes)
		}
	}
}

// chase replays six weeks of 0.2 cores with two hours of 2 cores a day, and counts
// from the second week on.
func chase(u *updated, hour int) (missed, resizes int) {
	before := math.NaN()
	for i := range 6 * 7 * 1440 {
		at, used := int64(i*60), 0.2
		if h := i / 60 % 24; h == hour || h == hour+1 {
			used = 2
		}
		now := u.Request(at)
		if i >= 7*1440 && now != before {
			resizes++
		}
		if i >= 7*1440 && used > now {
			missed++
		}
		before = now
		u.Seen(at, used)
	}
	return missed, resizes
}

// The version that the rows carry is the version that go.mod builds.
func TestVersion(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "k8s.io/autoscaler/vertical-pod-autoscaler " + vpaVersion + "\n"; !strings.Contains(string(b), want) {
		t.Errorf("go.mod does not require %s", want)
	}
}

// A kill moves the pod at the next loop even in its first twelve hours: the bumped
// peak lifts the lower bound above the request.
func TestKillUpdatesThePod(t *testing.T) {
	for _, m := range []mode{recreate, inPlace} {
		h := shared.newHistory(model.ResourceMemory, time.Minute)
		at := time.Unix(start, 0)
		for range 3 * 1440 {
			h.see(at, 1<<30)
			at = at.Add(time.Minute)
		}
		p := newPod(shared, m, at, h.recommend())
		before := p.requested(model.ResourceMemory)
		if p.loop(at.Add(time.Minute), h.recommend()) {
			t.Errorf("mode %d: updated although the request is the target", m)
		}
		h.recordKill(at.Add(2*time.Minute), before)
		if !p.loop(at.Add(3*time.Minute), h.recommend()) || p.requested(model.ResourceMemory) <= 1.2*before {
			t.Errorf("mode %d: request %.0f after a kill at %.0f, want more than 1.2 times as much", m, p.requested(model.ResourceMemory), before)
		}
	}
}
