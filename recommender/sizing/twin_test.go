package sizing

import (
	"math"
	"math/rand"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests exist everywhere
)

// TestSlotsAreAMapOfPeaks: slots answer as a map does that forgets what is four weeks old.
func TestSlotsAreAMapOfPeaks(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var s slots
	var room unpacked
	naive, now := map[int64]uint8{}, int64(0)
	for range 20_000 {
		slot, level := now+r.Int63n(8)-3, uint8(1+r.Intn(255))
		if r.Intn(500) == 0 {
			slot = now + r.Int63n(2*kept) // a long silence
		}
		if slot < 0 {
			continue
		}
		now = max(now, slot)
		s.advance(slot)
		s.raise(slot, level)
		naive[slot] = max(naive[slot], level)
		asked := now - r.Int63n(kept+10) + 2
		want := naive[asked]
		if asked <= now-kept || asked > now {
			want = 0
		}
		if got := (hours{&s, &room}).at(asked); got != want {
			t.Fatalf("slot %d of now %d: %d, want %d", asked, now, got, want)
		}
	}
}

// TestCoursesAreTheCheapest: walking backwards gives what trying every course forwards does.
func TestCoursesAreTheCheapest(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	s, change := span{low: 10, high: 12}, 0.7
	p := NewPlanner(Options{})
	const long = 8 // what is after costs nothing, at any level
	for range 200 {
		for h := range horizon {
			for l := s.low; l <= s.high; l++ {
				p.cost[h][l] = 0
				if h < long {
					p.cost[h][l] = r.Float64()
				}
			}
		}
		p.walk(s, change)
		var try func(h, level int) float64
		try = func(h, level int) float64 {
			if h == long {
				return 0
			}
			least := math.Inf(1)
			for l := s.low; l <= s.high; l++ {
				c := p.cost[h][l] + try(h+1, l)
				if l != level {
					c += change
				}
				least = min(least, c)
			}
			return least
		}
		for l := s.low; l <= s.high; l++ {
			if want := p.cost[0][l] + try(1, l); math.Abs(p.course[0][l]-want) > 1e-9 {
				t.Fatalf("level %d: %g, the cheapest is %g", l, p.course[0][l], want)
			}
		}
	}
}

// TestExcessIsPricedByHand: hours that took 1, 2 and 4 cores, once each. At 2 cores one in three exceeds, by 2.
func TestExcessIsPricedByHand(t *testing.T) {
	var o odds
	one, two, four := levelOf(1), levelOf(2), levelOf(4)
	for _, l := range []uint8{one, two, four} {
		o.add(l, 1)
	}
	var out row
	s, price := span{low: int(one), high: int(four)}, prices{excess: 0.6, missed: 3}
	if !o.priced(&out, s, price, 1) {
		t.Fatal("nothing to price")
	}
	if want := (0.6 + 3*(worth[four]-worth[two])) / 3; math.Abs(out[two]-want) > 1e-9 {
		t.Errorf("at 2 cores %g, want %g", out[two], want)
	}
	if out[four] != 0 {
		t.Errorf("at 4 cores %g", out[four])
	}
	if o.weight != (odds{}).weight || o.priced(&out, s, price, 1) {
		t.Error("what was priced is still there")
	}
}

// TestLevels: 5m is level 1, a value that is a level is that level, and none is rounded down or up by more than a step.
func TestLevels(t *testing.T) {
	for v := 0.005; v < 350; v *= 1.0137 {
		l := levelOf(v)
		if worth[l] < v*(1-1e-9) || worth[l] > v*step*(1+1e-9) {
			t.Fatalf("%g is level %d, %g", v, l, worth[l])
		}
		if levelOf(worth[l]) != l || levelIn(worth[l]) != l {
			t.Fatalf("level %d, %g, becomes %d and %d", l, worth[l], levelOf(worth[l]), levelIn(worth[l]))
		}
		if in := levelIn(v); worth[in] > v*(1+1e-9) && in > 1 {
			t.Fatalf("a request of %g holds level %d, %g", v, in, worth[in])
		}
	}
	if levelOf(0) != 1 || levelOf(1e9) != levels-1 {
		t.Errorf("levels of 0 and 1e9: %d, %d", levelOf(0), levelOf(1e9))
	}
}

// TestClockShifts: in Berlin clocks went forward on 31 March 2024 at 01:00 UTC. On 1 April, what happened at nine
// every day was an hour later in UTC before that.
func TestClockShifts(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	slot := time.Date(2024, 4, 1, 12, 0, 0, 0, time.UTC).Unix() / slotSeconds
	c := clockAt(berlin, slot)
	if got := c.shift(0, perDay); got != 0 {
		t.Errorf("a day back the shift is %d hours", got)
	}
	if got := c.shift(0, 3*perDay); got != 1 {
		t.Errorf("three days back the shift is %d hours", got)
	}
	if clockAt(nil, slot) != (clock{}) || clockAt(time.UTC, slot) != (clock{}) {
		t.Error("UTC has shifts")
	}
}

// TestAdviceIsGivenUntilItIsFollowed: proposals that nobody follows use no changes up; what is seen in force does.
func TestAdviceIsGivenUntilItIsFollowed(t *testing.T) {
	p, track := NewPlanner(Options{}), Track{}
	for m := range int64(2 * week) {
		track.Record(monday+60*m, 0.2, false)
	}
	at := int64(monday + 60*2*week)
	var first Explanation
	for i := range 20 {
		e, ok := p.Advise(&track.Profile, &track.Standing, at+int64(i), 2, 0.2)
		if i == 0 {
			first = e
		}
		if !ok || e.Request != first.Request || e.Left < first.Left {
			t.Fatalf("advice %d: %g with %g changes left, at first %g and %g", i, e.Request, e.Left, first.Request, first.Left)
		}
	}
	if first.Request < 0.2 || first.Request > 0.22 {
		t.Errorf("%g cores for a steady use of 0.2", first.Request)
	}
	followed, _ := p.Advise(&track.Profile, &track.Standing, at+30, first.Request, 0.2)
	if followed.Request != first.Request || followed.Left != first.Left {
		t.Errorf("once followed: %g with %g left", followed.Request, followed.Left)
	}
}

// TestAfterALongSilence: after more than four weeks nothing that was measured is kept, and nothing absurd follows.
func TestAfterALongSilence(t *testing.T) {
	p, track := NewPlanner(Options{}), Track{}
	for m := range int64(3 * 1440) {
		p.Request(&track, monday+60*m)
		p.Add(&track, monday+60*m, 0.2, false)
	}
	at := int64(monday + 40*86400)
	if r, ok := p.Request(&track, at); ok && r > 0.3 {
		t.Errorf("%g cores after a silence", r)
	}
	if e, ok := p.Advise(&track.Profile, &track.Standing, at, 0.2, 0); ok && e.Request > 0.3 {
		t.Errorf("%g cores advised after a silence", e.Request)
	}
}

// TestOthersChangesDoNotBlockAnExcess: whatever others did to the request, use above it is answered.
func TestOthersChangesDoNotBlockAnExcess(t *testing.T) {
	p, track := NewPlanner(Options{}), Track{}
	for m := range int64(2 * 1440) {
		track.Record(monday+60*m, 0.2, false)
	}
	at := int64(monday + 2*86400)
	for i := range 40 {
		p.Advise(&track.Profile, &track.Standing, at+int64(i), []float64{0.25, 2}[i%2], 0.2)
	}
	if e, _ := p.Advise(&track.Profile, &track.Standing, at+50, 0.25, 0.9); e.Request < 0.9*headroom {
		t.Errorf("%g cores for a use of 0.9 of 0.25", e.Request)
	}
}

// TestAFallIsNotTakenBackAtOnce: what the last minutes of an hour used is no excess in the next.
func TestAFallIsNotTakenBackAtOnce(t *testing.T) {
	c := calendar{low: 0.1, high: 0.8, peak: everyDay}
	p, track := NewPlanner(Options{Changes: 24}), Track{}
	live, changes := 0.8, 0
	for m := range int64(2 * week) {
		at := monday + 60*m
		if m > 3 {
			track.Record(at-180, c.use(at-180), false) // known three minutes late
		}
		e, ok := p.Advise(&track.Profile, &track.Standing, at, live, c.use(max(monday, at-60)))
		if !ok || e.Request == live {
			continue
		}
		if live = e.Request; m > week {
			changes++
		}
	}
	if changes != 14 {
		t.Errorf("%d changes in a week of one peak a day", changes)
	}
}

// TestAdviceStandsUntilItIsDue: where none is due, to work it out anew gives what was advised, within the step that
// the newest minutes of an hour may make in it; and there are few where one is due.
func TestAdviceStandsUntilItIsDue(t *testing.T) {
	for seed := range int64(2) {
		p, track, live := NewPlanner(Options{Changes: 24}), Track{}, 1.0
		due, of, differ := 0, 0, 0
		var last Explanation
		for m, u := range random(seed, 6*1440) {
			at, latest := monday+60*int64(m), max(u, 0)
			if m > 3 && latest > 0 {
				track.Record(at-180, latest, false)
			}
			now, ok := p.Due(&track.Profile, &track.Standing, at, live, latest)
			if !ok {
				continue
			}
			of++
			stands := track.Standing
			e, _ := p.Advise(&track.Profile, &track.Standing, at, live, latest)
			if now {
				due, last = due+1, e
			} else if track.Standing = stands; math.Abs(e.Request-last.Request) > 1e-9 {
				differ++
			}
			if live = last.Request; e.Request < latest {
				t.Fatalf("seed %d, minute %d: %g advised for a use of %g", seed, m, e.Request, latest)
			}
		}
		if due*5 > of || differ*50 > of {
			t.Errorf("seed %d: advice is due %d times of %d, and old where it would be new %d times", seed, due, of, differ)
		}
	}
}
