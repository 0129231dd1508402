package sizing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand"
	"testing"
	"time"
)

// monday is 2024-02-26 00:00 UTC.
const monday = 1708905600

// walk sends use through a track minute by minute and gives the requests, before each minute's use; 0: none yet.
func walk(o Options, minutes int, use func(at int64) float64) []float64 {
	p, t := NewPlanner(o), Track{}
	out := make([]float64, minutes)
	for m := range out {
		at := int64(monday + 60*m)
		out[m], _ = p.Request(&t, at)
		if u := use(at); u >= 0 {
			p.Add(&t, at, u, false)
		}
	}
	return out
}

// calendar is a peak at some hours of some weekdays.
type calendar struct {
	low, high float64
	zone      *time.Location
	peak      func(t time.Time) bool
}

func (c calendar) use(at int64) float64 {
	zone := c.zone
	if zone == nil {
		zone = time.UTC
	}
	if c.peak(time.Unix(at, 0).In(zone)) {
		return c.high
	}
	return c.low
}

func everyDay(t time.Time) bool { return t.Hour() >= 9 && t.Hour() < 11 }

func business(t time.Time) bool {
	return t.Hour() >= 9 && t.Hour() < 18 && t.Weekday() != time.Saturday && t.Weekday() != time.Sunday
}

func wednesdays(t time.Time) bool {
	return t.Weekday() == time.Wednesday && t.Hour() >= 2 && t.Hour() < 6
}

const week = 7 * 1440 // minutes

// missed is the minutes after a week in which use was above the request, slack the mean of what was
// requested and not used there.
func missed(requests []float64, use func(int64) float64) (missed int, slack float64) {
	for m := week; m < len(requests); m++ {
		u := use(int64(monday + 60*m))
		if u > requests[m] {
			missed++
		}
		slack += max(0, requests[m]-u) / float64(len(requests)-week)
	}
	return missed, slack
}

func TestPeaksThatReturnAreGrownForBefore(t *testing.T) {
	for name, c := range map[string]calendar{
		"two hours a day":   {low: 0.2, high: 2, peak: everyDay},
		"business hours":    {low: 0.1, high: 2, peak: business},
		"four hours a week": {low: 0.5, high: 6, peak: wednesdays},
	} {
		miss, slack := missed(walk(Options{Floor: 0.01}, 6*week, c.use), c.use)
		if miss != 0 || slack > 0.1 {
			t.Errorf("%s: %d minutes missed with a mean slack of %.3f cores", name, miss, slack)
		}
		flat, held := missed(walk(Options{Floor: 0.01, Flat: true}, 6*week, c.use), c.use)
		if flat == 0 && held < 4*slack {
			t.Errorf("%s: without the calendar %d missed and slack %.3f: it would make no difference", name, flat, held)
		}
	}
}

// A daily peak that moves by three hours is never missed: it is awaited until the days since outweigh the weeks of the
// old hour. Business hours that grow by 5 % a week are not held far above use.
func TestPeaksThatChangeAreFollowed(t *testing.T) {
	moves := func(at int64) float64 {
		if at >= monday+60*3*week {
			at -= 3 * 3600
		}
		return calendar{low: 0.2, high: 2, peak: everyDay}.use(at)
	}
	if miss, slack := missed(walk(Options{Changes: 4}, 6*week, moves), moves); miss > 0 || slack > 0.06 {
		t.Errorf("moved: %d minutes missed with a mean slack of %.3f cores", miss, slack)
	}
	grows := func(at int64) float64 {
		return calendar{low: 0.1, high: 2, peak: business}.use(at) * math.Pow(1.05, float64(at-monday)/60/week)
	}
	if miss, slack := missed(walk(Options{Changes: 4}, 6*week, grows), grows); miss > 20 || slack > 0.23 {
		t.Errorf("growing: %d minutes missed with a mean slack of %.3f cores", miss, slack)
	}
}

// A peak that does not come at its hour is awaited for six hours, and no longer; then the day is as any other.
func TestALatePeakIsAwaited(t *testing.T) {
	const day, nine, never = 4 * 7, 4*week + 9*60, 0
	for _, c := range []struct {
		late, missed int // hours, minutes
		held, fallen int // minutes after nine: one at which it is reserved still, one at which it is not
	}{
		{late: 3, held: 3*60 + 120, fallen: 3*60 + 121}, // held through it, and let go with the minute after it
		{late: 7, held: 7*60 + 120, fallen: 7*60 + 121},
		{late: 9, held: 9*60 + 120, fallen: 9*60 + 121, missed: 1},
		{late: never, held: 8 * 60, fallen: 8*60 + 1},
	} {
		late := calendar{low: 0.2, high: 2, peak: func(now time.Time) bool {
			if (now.Unix()-monday)/86400 == day {
				if c.late == never {
					return false
				}
				now = now.Add(-time.Duration(c.late) * time.Hour)
			}
			return everyDay(now)
		}}
		requests := walk(Options{}, 4*week+1440, late.use)
		missed := 0
		for m := nine - 60; m < len(requests); m++ {
			if late.use(int64(monday+60*m)) > requests[m] {
				missed++
			}
		}
		if missed != c.missed {
			t.Errorf("%d hours late: %d minutes missed, want %d", c.late, missed, c.missed)
		}
		if held, fallen := requests[nine+c.held], requests[nine+c.fallen]; held < 2 || fallen > 0.25 {
			t.Errorf("%d hours late: request %.3f, then %.3f", c.late, held, fallen)
		}
	}
}

// A peak that lasts two hours longer than on all days before is still held: nothing falls below an hour's first use. It
// falls in the second minute of the hour in which it is over.
func TestALongerPeakIsHeldUntilItIsOver(t *testing.T) {
	const day, nine = 4*week + 1440, 4*week + 1440 + 9*60
	longer := calendar{low: 0.2, high: 2, peak: func(now time.Time) bool {
		return everyDay(now) || now.Hour() < 13 && now.Hour() >= 11 && (now.Unix()-monday)/86400 == day/1440
	}}
	requests := walk(Options{}, 5*week, longer.use)
	for m := nine; m < nine+240; m++ {
		if requests[m] < 2 {
			t.Errorf("minute %d of the peak: request %.3f", m-nine, requests[m])
		}
	}
	if before, after := requests[nine+240], requests[nine+241]; before < 2 || after > 0.25 {
		t.Errorf("when it is over the request is %.3f, then %.3f", before, after)
	}
}

func TestPeaksKeepTheirHourWhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := calendar{low: 0.2, high: 2, zone: berlin, peak: everyDay}
	if miss, _ := missed(walk(Options{Zone: berlin}, 6*week, c.use), c.use); miss != 0 {
		t.Errorf("%d minutes missed in the policy's zone", miss)
	}
	if miss, _ := missed(walk(Options{}, 6*week, c.use), c.use); miss == 0 {
		t.Error("in another zone the change of clocks should have been missed")
	}
}

func TestGrowthComesBeforeTheHour(t *testing.T) {
	c := calendar{low: 0.2, high: 2, peak: everyDay}
	requests := walk(Options{Lead: 20 * time.Minute}, 2*week, c.use)
	nine := week + 9*60
	for _, at := range []struct {
		minute int
		least  float64
		most   float64
	}{{nine - 21, 0.2, 0.3}, {nine - 20, 2, 2.1}, {nine + 119, 2, 2.1}, {nine + 121, 0.2, 0.3}} {
		if r := requests[at.minute]; r < at.least || r > at.most {
			t.Errorf("minute %d of the peak: request %.3f, not within %g to %g", at.minute-nine, r, at.least, at.most)
		}
	}
}

func TestExcessIsAnsweredAtOnceAndLetGo(t *testing.T) {
	once := func(at int64) float64 {
		if at >= monday+60*(week+600) && at < monday+60*(week+630) {
			return 1
		}
		return 0.1
	}
	requests := walk(Options{}, week+2*1440, once)
	if r := requests[week+600]; r >= 1 {
		t.Fatalf("the request was %.3f before: nothing to answer", r)
	}
	if r := requests[week+601]; r < 1 || r > step {
		t.Errorf("a minute after an excess of 1 core the request is %.3f, not the next level", r)
	}
	if r := requests[week+630]; r < 1 {
		t.Errorf("half an hour after it the request is %.3f", r)
	}
	if r := requests[week+600+1440]; r > 0.2 {
		t.Errorf("a day later the request is still %.3f", r)
	}
}

// Use that grows on after an excess is given 15 % more, so that not every step of it is an excess; an hour later none.
func TestASecondExcessIsGivenHeadroom(t *testing.T) {
	for _, c := range []struct {
		after int // minutes from the first excess to the second
		least float64
		most  float64
	}{{1, 1.5 * headroom, 1.5 * headroom * step}, {59, 1.5 * headroom, 1.5 * headroom * step}, {61, 1.5, 1.5 * step}} {
		grows := func(at int64) float64 {
			switch m := int(at-monday)/60 - week - 600; {
			case m < 0:
				return 0.1
			case m < c.after:
				return 1
			}
			return 1.5
		}
		if r := walk(Options{}, week+700, grows)[week+601+c.after]; r < c.least || r > c.most {
			t.Errorf("a second excess %d minutes after the first: request %.3f, not from %.3f to %.3f", c.after, r, c.least, c.most)
		}
	}
}

func TestChangesKeepTheirBudget(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	use := make([]float64, 4*week)
	for i := range use {
		use[i] = math.Exp(r.NormFloat64())
	}
	for _, daily := range []float64{2, 24} {
		requests := walk(Options{Changes: daily}, len(use), func(at int64) float64 { return use[(at-monday)/60] })
		changes := 0
		for m := 1; m < len(requests); m++ {
			if requests[m] != requests[m-1] {
				changes++
			}
		}
		if most := int(daily*4*7) + 1; changes == 0 || changes > most {
			t.Errorf("%d changes in four weeks, %d are allowed", changes, most)
		}
	}
}

// random is use with a daily shape, noise, a shift of level and gaps (negative).
func random(seed int64, minutes int) []float64 {
	r := rand.New(rand.NewSource(seed))
	use, shift, base := make([]float64, minutes), r.Intn(minutes), 0.02+r.Float64()
	for m := range use {
		use[m] = base * (1 + math.Sin(float64(m)/1440*2*math.Pi)) * math.Exp(0.3*r.NormFloat64())
		if m > shift {
			use[m] *= 3
		}
		if r.Intn(50) == 0 {
			use[m] = -1
		}
	}
	return use
}

func TestRequestsScaleWithUse(t *testing.T) {
	// 16 steps of the levels: what is rounded is rounded alike.
	factor := math.Pow(step, 16)
	for seed := range int64(3) {
		use := random(seed, 2*week)
		of := func(f float64) []float64 {
			return walk(Options{}, len(use), func(at int64) float64 { return f * max(0.02, use[(at-monday)/60]) })
		}
		one, more := of(1), of(factor)
		for m := range one {
			if math.Abs(more[m]-factor*one[m]) > 0.1*more[m] {
				t.Fatalf("seed %d, minute %d: %.4f for use x %.3f, %.4f before", seed, m, more[m], factor, one[m])
			}
		}
	}
}

func TestNoRequestIsAbsurd(t *testing.T) {
	for seed := range int64(5) {
		use := random(seed, 2*week)
		peak := 0.0
		for m, r := range walk(Options{Floor: 0.05}, len(use), func(at int64) float64 { return use[(at-monday)/60] }) {
			peak = max(peak, use[m])
			switch {
			case r == 0 && m <= 1440+60: // too little is known
			case !(r >= 0.05) || r > peak*headroom*step*step:
				t.Fatalf("seed %d, minute %d: request %g, peak so far %g", seed, m, r, peak)
			}
		}
	}
}

func TestStrangeUseIsNotCounted(t *testing.T) {
	p, one, other := NewPlanner(Options{}), Track{}, Track{}
	for m := range int64(2 * 1440) {
		p.Add(&one, monday+60*m, 0.3, false)
		p.Add(&other, monday+60*m, 0.3, false)
		for _, odd := range []float64{math.NaN(), math.Inf(1), -1} {
			p.Add(&other, monday+60*m, odd, false)
		}
	}
	p.Add(&other, monday, 5, false) // time goes back
	if one != other {
		t.Error("NaN, infinite, negative and late use left a trace")
	}
}

func TestRestoredTrackIsTheTrack(t *testing.T) {
	use := random(1, 2*week)
	p, track := NewPlanner(Options{}), Track{}
	for m, u := range use[:len(use)-1440] {
		p.Add(&track, int64(monday+60*m), u, m%100 == 0)
	}
	text, _ := track.Profile.AppendBinary(nil)
	stands, _ := track.Standing.AppendBinary(nil)
	var again Track
	if err := errors.Join(again.Profile.UnmarshalBinary(text), again.Standing.UnmarshalBinary(stands)); err != nil || again != track {
		t.Fatalf("restored: %v, the same: %t", err, again == track)
	}
	for m := len(use) - 1440; m < len(use); m++ {
		at := int64(monday + 60*m)
		a, _ := p.Request(&track, at)
		b, _ := p.Request(&again, at)
		p.Add(&track, at, use[m], false)
		p.Add(&again, at, use[m], false)
		if a != b {
			t.Fatalf("minute %d: %g and %g", m, a, b)
		}
	}
}

// TestRingIsBySlot: as written down since the first version, the level of a slot is at its place modulo four weeks, on
// both sides of midnight and at the far end.
func TestRingIsBySlot(t *testing.T) {
	const now = int64(monday/slotSeconds + 2)
	var empty Profile
	b, _ := empty.AppendBinary(nil)
	binary.LittleEndian.PutUint64(b[1+kept:], uint64(now))
	want := map[int64]uint8{now: 9, now - 2: 8, now - 3: 7, now - 30: 6, now - kept + 1: 5} // midnight was at now - 2
	for slot, level := range want {
		b[1+slot%kept] = level
	}
	var u Profile
	if err := u.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	var room unpacked
	for slot := now - kept; slot <= now+1; slot++ {
		if got := (hours{&u.slots, &room}).at(slot); got != want[slot] {
			t.Errorf("slot %d of now: level %d, want %d", slot-now, got, want[slot])
		}
	}
	if again, _ := u.AppendBinary(nil); !bytes.Equal(again, b) {
		t.Error("not the bytes that were read")
	}
}

func FuzzUnmarshalTrack(f *testing.F) {
	p, track := NewPlanner(Options{}), Track{}
	for m := range int64(3000) {
		p.Add(&track, monday+60*m, 0.3, false)
	}
	good, _ := track.Profile.AppendBinary(nil)
	stands, _ := track.Standing.AppendBinary(nil)
	f.Add(good, stands)
	f.Add(good[:len(good)-1], stands[:len(stands)-1])
	f.Add([]byte{}, []byte{})
	f.Add(append([]byte{trackVersion}, make([]byte, trackBytes-1)...), stands)
	f.Fuzz(func(t *testing.T, b, stands []byte) {
		var track Track
		if track.Profile.UnmarshalBinary(b) != nil {
			return
		}
		text, _ := track.Profile.AppendBinary(nil)
		if now := binary.LittleEndian.Uint64(text[1+kept:]); b[0] == profileVersion && now >= kept-1 && !bytes.Equal(text, b) {
			t.Errorf("not the bytes that were read")
		}
		var again Profile
		if err := again.UnmarshalBinary(text); err != nil || again != track.Profile {
			t.Errorf("its own bytes come back as another: %v", err)
		}
		if track.Standing.UnmarshalBinary(stands) == nil {
			if again, _ := track.Standing.AppendBinary(nil); !bytes.Equal(again, stands) {
				t.Errorf("not the standing that was read")
			}
		}
		if r, ok := NewPlanner(Options{}).Request(&track, track.last+7200); ok && !(r > 0) {
			t.Errorf("request %g", r)
		}
	})
}

func TestMoreUseIsNeverRequestedLess(t *testing.T) {
	for _, high := range []float64{0.5, 1, 2, 4} {
		low := calendar{low: 0.2, high: high, peak: everyDay}
		more := calendar{low: 0.2, high: 1.3 * high, peak: everyDay}
		a, b := walk(Options{}, 2*week, low.use), walk(Options{}, 2*week, more.use)
		for m := week; m < len(a); m++ {
			if everyDay(time.Unix(int64(monday+60*m), 0).UTC()) && b[m] < a[m] {
				t.Fatalf("peaks of %g and %g: requests %g and %g", high, 1.3*high, a[m], b[m])
			}
		}
	}
}

func TestExplanationAddsUp(t *testing.T) {
	c := calendar{low: 0.2, high: 2, peak: everyDay}
	p, track := NewPlanner(Options{}), Track{}
	at := int64(monday)
	for range 2 * week {
		p.Request(&track, at)
		p.Add(&track, at, c.use(at), false)
		at += 60
	}
	e, ok := p.explain(p.view(&track.Profile, &track.Standing, at), at)
	if !ok || len(e.Steps) != 2 {
		t.Fatalf("explained %t with the steps %v", ok, e.Steps)
	}
	if grow, shrink := e.Steps[0], e.Steps[1]; grow.At.Format("15:04") != "08:50" || shrink.At.Hour() != 11 || grow.Request < 2 || shrink.Request > 0.3 {
		t.Errorf("steps %v", e.Steps)
	}
	// 22 hours at 0.2 and 2 at 2 cores, each up to 4.5 % more
	if e.Reserved < 8.4 || e.Reserved > 8.4*step {
		t.Errorf("%g core-hours reserved", e.Reserved)
	}
	if all := e.Reserved + e.Shortfall + e.Changes; all >= e.FlatCost {
		t.Errorf("the plan costs %g, a flat one %g", all, e.FlatCost)
	}
}

func TestANewVersionCountsMore(t *testing.T) {
	// days is after how many days a version that needs a quarter is given no more than that.
	days := func(renewed bool) int {
		p, track := NewPlanner(Options{Changes: 24}), Track{}
		for m := range int64(6 * week) {
			at, u := monday+60*m, 2.0
			if m >= 2*week {
				u = 0.5
			}
			if m == 2*week && renewed {
				track.Renewed(at)
			}
			if r, _ := p.Request(&track, at); m > 2*week && r < 0.6 {
				return int(m-2*week) / 1440
			}
			p.Add(&track, at, u, false)
		}
		return 99
	}
	if told, untold := days(true), days(false); told > untold || untold > 7 {
		t.Errorf("a version that needs a quarter is given it after %d days, untold after %d", told, untold)
	}
}
