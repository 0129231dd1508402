package recommender

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// noisy is so long until noon of CPU and memory of two pods, a minute apart.
func noisy(t testing.TB, h *History, long time.Duration) {
	r := rand.New(rand.NewPCG(7, 7))
	for at := noon.Add(-long); at.Before(noon); at = at.Add(time.Minute) {
		minute(t, h, at, 0.1+r.Float64())
	}
}

func minute(t testing.TB, h *History, at time.Time, cpu float64) {
	for _, pod := range []string{"a", "b"} {
		feed(t, h, sample(fleet.CPU, pod, at, cpu), sample(fleet.Memory, pod, at, cpu*300*mib))
	}
}

// TestFollowedHistoryTellsTheSame: over ten days, of which all but 30 hours were measured without percentiles, every other
// number is what it is with them where the window begins as early, which is as much earlier as units say; and the bytes
// are fewer by half or more.
func TestFollowedHistoryTellsTheSame(t *testing.T) {
	whole, plain, r := NewHistory(), NewHistory(), rand.New(rand.NewPCG(7, 7))
	begun := noon.Add(-10 * 24 * time.Hour)
	for at := begun; !at.After(noon); at = at.Add(time.Minute) {
		cpu := 0.1 + r.Float64()
		minute(t, whole, at, cpu)
		minute(t, plain, at, cpu)
		since := at.Sub(begun)
		if since == 30*time.Hour {
			plain.Follow(ref, priced())
		}
		if since >= 30*time.Hour && since%(53*time.Minute) == 0 {
			tellTheSame(t, whole, plain, at)
		}
	}
	if n, of := len(plain.of(ref)[0].past), len(whole.of(ref)[0].past); 2*n > of {
		t.Errorf("%d bytes of %d", n, of)
	}
}

func tellTheSame(t *testing.T, whole, plain *History, at time.Time) {
	for _, c := range []struct{ window, early time.Duration }{
		{time.Minute, 6 * time.Hour}, {20 * time.Minute, 6 * time.Hour}, {5 * time.Hour, 6 * time.Hour}, {20 * time.Hour, 6 * time.Hour},
		{36 * time.Hour, 24 * time.Hour}, {4 * 24 * time.Hour, 24 * time.Hour}, {9 * 24 * time.Hour, 4 * 24 * time.Hour},
	} {
		got := plain.Use(ref, c.window, at, 0.95)
		begins := min(got[0].From.Sub(at), got[1].From.Sub(at))
		if early := -begins - c.window; early > c.early {
			t.Errorf("at %s, %s: begins %s too early", at, c.window, early)
		}
		want := whole.Use(ref, -begins, at, 0.95)
		for i := range want {
			if want[i].Percentile == 0 {
				t.Fatalf("%+v", want[i])
			}
			want[i].Coverage = min(1, want[i].Coverage*(-begins).Seconds()/c.window.Seconds())
			if off(got[i].Mean, want[i].Mean) < 1e-4 && off(got[i].Total, want[i].Total) < 1e-4 { // as means are kept
				want[i].Mean, want[i].Total = got[i].Mean, got[i].Total
			}
			want[i].P50, want[i].Percentile, want[i].Plain = 0, 0, true
		}
		if !slices.Equal(got, want) {
			t.Fatalf("at %s, %s: %+v, want %+v", at, c.window, got, want)
		}
	}
}

// TestRestoredPlainHistoryIsTheSame: bytes, and those after more samples, by the minute and at a tick.
func TestRestoredPlainHistoryIsTheSame(t *testing.T) {
	h := NewHistory()
	noisy(t, h, 30*time.Hour)
	h.Follow(ref, priced())
	back := NewHistory()
	if err := back.Restore(h.Checkpoint(ref)); err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		if !slices.Equal(h.Checkpoint(ref), back.Checkpoint(ref)) {
			t.Fatalf("other bytes after %d minutes", i)
		}
		minute(t, h, noon.Add(time.Duration(i)*time.Minute), 0.5)
		minute(t, back, noon.Add(time.Duration(i)*time.Minute), 0.5)
	}
}

// TestPercentilesAreMeasuredAnew: a rule that reads percentiles, after one that does not, waits until there are
// enough again, and then knows only those.
func TestPercentilesAreMeasuredAnew(t *testing.T) {
	h, w, o := NewHistory(), server(2), only(options(), fleet.CPUUnderused)
	o.MinHistory, o.Window = time.Hour, 24*time.Hour
	noisy(t, h, 30*time.Hour)
	h.Follow(ref, priced())
	if _, holds := Recommend(w, h, o, noon); len(holds) != 1 || holds[0].Reason != fleet.HoldShortHistory {
		t.Fatalf("without any: %+v", holds)
	}
	h.Follow(ref, o)
	at := noon
	for ; at.Before(noon.Add(50 * time.Minute)); at = at.Add(time.Minute) {
		minute(t, h, at, 0.02)
	}
	_, holds := Recommend(w, h, o, at)
	if len(holds) != 1 || holds[0].Reason != fleet.HoldShortHistory {
		t.Fatalf("after 50 minutes: %+v", holds)
	}
	for ; at.Before(noon.Add(80 * time.Minute)); at = at.Add(time.Minute) {
		minute(t, h, at, 0.02)
	}
	recs, holds := Recommend(w, h, o, at)
	if len(recs) != 1 || len(holds) != 0 {
		t.Fatalf("after 80 minutes: %+v, %v", recs, holds)
	}
	// p95 of 20m and 15 % more is 23m, rounded up 25m; before noon it was a core.
	if got := recs[0].Target.Requests[0].Requests.MilliCPU; got != 25 {
		t.Errorf("%dm", got)
	}
}

// TestMeasuredTakesNoHeap: but for the list of what was measured.
func TestMeasuredTakesNoHeap(t *testing.T) {
	h := NewHistory()
	noisy(t, h, 30*time.Hour)
	h.Follow(ref, priced())
	if n := testing.AllocsPerRun(100, func() { h.Use(ref, 24*time.Hour, noon, 0.95) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// TestShortOfPercentilesSaysSo: of one signal that is long enough and one whose percentiles are not.
func TestShortOfPercentilesSaysSo(t *testing.T) {
	h, w, o := NewHistory(), server(1), only(options(), fleet.CPUUnderused)
	feed(t, h, merged(steady(fleet.CPU, "a", noon, time.Hour, 0.02), steady(fleet.Requests, "a", noon, time.Hour, 1))...)
	h.Follow(ref, priced())
	_, holds := Recommend(w, h, o, noon)
	if len(holds) != 1 || !strings.HasSuffix(holds[0].Detail, "what was kept under rule priced tells no percentiles") {
		t.Errorf("%+v", holds)
	}
}
