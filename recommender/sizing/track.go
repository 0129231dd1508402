package sizing

import "math"

// outlooks are the ways to expect what an hour will take.
const (
	flat = iota
	daily
	weekly
	recent
	outlooks
)

// Profile is what was measured of one container's CPU. Its zero value is of nothing. Planners only read it.
type Profile struct {
	slots   slots
	renewed int32   // the slot in which the newest version began to run
	sum     float32 // of use, cores x seconds, older use forgotten
	seconds float32 // that sum is of
	first   int64   // unix seconds of the first sample, 0: none
	last    int64   // of the newest
}

// Standing is how a planner and a container stand: what is in force, what may be changed, and how far outlooks were
// right so far. Its zero value is of a container that no planner has seen.
type Standing struct {
	cost    [outlooks]float32 // what each outlook's own choices cost, in hours of mean use, older ones forgotten
	choice  [outlooks]uint8   // what each would request in the newest slot; 0: none
	changes float32           // that may be made
	level   uint8             // of the request in force; 0: none yet
	reason  Reason
	held    int64    // until then nothing shrinks
	ahead   int64    // the slot that was looked ahead to
	turned  int64    // the slot to which outlooks have been settled; 0: none
	on      occasion // of the newest advice; zero: none since it was read back
}

// Track is both of one container, for one that is planned as its use comes in.
type Track struct {
	Profile
	Standing
}

// view is what a planner looks at.
type view struct {
	*Profile
	*Standing
	hours
	now int64 // the newest slot, measured or not
}

// view begins with the first hour that was measured where nothing stands yet.
func (p *Planner) view(u *Profile, s *Standing, at int64) view {
	if s.turned == 0 {
		s.turned, _ = slotOf(u.first)
		s.ahead = s.turned
	}
	slot, _ := slotOf(at)
	return view{u, s, hours{&u.slots, &p.days}, max(int64(u.slots.now), slot)}
}

// peak is the level of a slot; 0 where it was not measured or is kept no longer.
func (t view) peak(slot int64) uint8 {
	if slot <= t.now-kept {
		return 0
	}
	return t.hours.at(slot)
}

// oldest is the first slot whose peak is kept.
func (t view) oldest() int64 { return max(t.now-kept+1, 0) }

// mean is the mean use, cores; the lowest level at least, so that prices relate to something.
func (u *Profile) mean() float64 {
	if u.seconds == 0 {
		return lowest
	}
	return max(float64(u.sum/u.seconds), lowest)
}

// meanHalf is how old use is when it counts half in the mean.
const meanHalf = 7 * 86400

// Record counts use at an instant in: cores, the hottest replica's. Where it was cut off by a limit it is at
// least so much. Time must not go back; use that is NaN, infinite or negative is not counted.
func (u *Profile) Record(at int64, used float64, limited bool) bool {
	if at < u.last || !(used >= 0) || math.IsInf(used, 1) {
		return false
	}
	if limited {
		used *= headroom
	}
	slot, _ := slotOf(at)
	if u.first == 0 {
		u.first, u.slots.now = at, int32(slot)
	}
	u.slots.advance(slot)
	u.slots.raise(slot, levelOf(used))
	u.count(at, used)
	u.last = at
	return true
}

// Renewed tells that another version runs from now on: what was measured before counts little.
func (u *Profile) Renewed(at int64) { u.renewed = int32(at / slotSeconds) }

// count adds use to the mean, for as long as since the last sample but not more than a slot.
func (u *Profile) count(at int64, used float64) {
	lasted := float64(60)
	if u.last != 0 {
		lasted = float64(min(at-u.last, slotSeconds))
	}
	keep := float32(math.Exp2(-lasted / meanHalf))
	u.sum = u.sum*keep + float32(used*lasted)
	u.seconds = u.seconds*keep + float32(lasted)
}
