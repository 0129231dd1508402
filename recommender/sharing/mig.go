package sharing

import (
	"cmp"
	"slices"
)

// Smallest is the MIG profile that takes least of the card and still holds a pod that is busy for the share
// duty of the whole card, and uses memory bytes; false where not even the largest does, or the card has no MIG.
//
// The work is taken to be slower in proportion to the compute slices it gets, which errs on the safe side:
// kernels too small to fill the card lose less. busy is as full as a slice may then be, a share of time.
//
//	card        duty  memory  busy   profile
//	A100-80GB   0.10  9 GiB   0.8    1g.10gb   0.10 × 7/1 = 0.70
//	A100-80GB   0.20  9 GiB   0.8    2g.20gb   0.20 × 7/1 = 1.40, 0.20 × 7/2 = 0.70
//	A100-80GB   0.05  30 GiB  0.8    3g.40gb   by memory
func (c Card) Smallest(duty float64, memory int64, busy float64) (Profile, bool) {
	for _, p := range c.bySize() {
		if p.Memory >= memory && c.slowed(duty, p) <= busy {
			return p, true
		}
	}
	return Profile{}, false
}

// slowed is how busy a profile would be with what keeps the whole card busy for the share duty.
func (c Card) slowed(duty float64, p Profile) float64 {
	return duty * float64(c.Compute) / float64(p.Compute)
}

// bySize is the profiles, those that take least of the card first.
func (c Card) bySize() []Profile {
	return slices.SortedStableFunc(slices.Values(c.Profiles), func(a, b Profile) int {
		return cmp.Compare(a.Share(c), b.Share(c))
	})
}

// Layout is where instances of the profiles may begin on one card, in their order, so that none overlap;
// false where the hardware has no such partition. More compute slices than the card has are refused too:
// the places alone would allow four of 1g.20gb beside nothing else, and they are only four of seven.
//
//	card        profiles                    begin
//	A100-80GB   3g.40gb, 3g.40gb            0, 4
//	A100-80GB   3g.40gb, 4g.40gb            4, 0
//	A100-80GB   4g.40gb, 4g.40gb            no
//	A100-80GB   2g.20gb × 2, 3g.40gb        0, 2, 4
func (c Card) Layout(profiles []Profile) ([]int, bool) {
	compute, size := 0, 0
	for _, p := range profiles {
		compute, size = compute+p.Compute, size+p.Size
	}
	if len(profiles) == 0 || compute > c.Compute || size > c.Slots {
		return nil, false
	}
	at := make([]int, len(profiles))
	return at, c.place(profiles, at, 0, 0)
}

// place puts the i-th profile and all after it, where taken is the memory slices in use, one bit each.
func (c Card) place(profiles []Profile, at []int, i int, taken uint) bool {
	if i == len(profiles) {
		return true
	}
	p := profiles[i]
	for _, start := range p.Starts {
		bits := (uint(1)<<p.Size - 1) << start
		if taken&bits != 0 || start+p.Size > c.Slots {
			continue
		}
		if at[i] = start; c.place(profiles, at, i+1, taken|bits) {
			return true
		}
	}
	return false
}
