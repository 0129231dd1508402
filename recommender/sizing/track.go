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

// Track is what is remembered of one container's CPU. Its zero value remembers nothing. A Planner adds to it.
type Track struct {
	slots   slots
	cost    [outlooks]float32 // what each outlook's own choices cost, in hours of mean use, older ones forgotten
	choice  [outlooks]uint8   // what each would request in the newest slot; 0: none
	sum     float32           // of use, cores x seconds, older use forgotten
	seconds float32           // that sum is of
	changes float32           // that may be made
	level   uint8             // of the request in force; 0: none yet
	reason  Reason
	first   int64    // unix seconds of the first sample, 0: none
	last    int64    // of the newest
	held    int64    // until then nothing shrinks
	ahead   int64    // the slot that was looked ahead to
	turned  int64    // the slot to which outlooks have been settled
	renewed int64    // the slot in which the newest version began to run
	advised *advised // the newest advice; nil: none since it was read back
}

// mean is the mean use, cores; the lowest level at least, so that prices relate to something.
func (t *Track) mean() float64 {
	if t.seconds == 0 {
		return lowest
	}
	return max(float64(t.sum/t.seconds), lowest)
}

// meanHalf is how old use is when it counts half in the mean.
const meanHalf = 7 * 86400

// Record counts use at an instant in: cores, the hottest replica's. Where it was cut off by a limit it is at
// least so much. Time must not go back; use that is NaN, infinite or negative is not counted.
func (t *Track) Record(at int64, used float64, limited bool) bool {
	if at < t.last || !(used >= 0) || math.IsInf(used, 1) {
		return false
	}
	if limited {
		used *= headroom
	}
	slot, _ := slotOf(at)
	if t.first == 0 {
		t.first, t.slots.now, t.turned, t.ahead = at, slot, slot, slot
	}
	t.slots.advance(slot)
	t.slots.raise(slot, levelOf(used))
	t.count(at, used)
	t.last = at
	return true
}

// Renewed tells that another version runs from now on: what was measured before counts little.
func (t *Track) Renewed(at int64) { t.renewed, _ = slotOf(at) }

// Last is when use was counted last, unix seconds; 0: never.
func (t *Track) Last() int64 { return t.last }

// count adds use to the mean, for as long as since the last sample but not more than a slot.
func (t *Track) count(at int64, used float64) {
	lasted := float64(60)
	if t.last != 0 {
		lasted = float64(min(at-t.last, slotSeconds))
	}
	keep := float32(math.Exp2(-lasted / meanHalf))
	t.sum = t.sum*keep + float32(used*lasted)
	t.seconds = t.seconds*keep + float32(lasted)
}
