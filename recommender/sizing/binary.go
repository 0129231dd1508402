package sizing

import (
	"encoding/binary"
	"errors"
	"math"
)

// The first byte of a profile that is written down. In the first version it was one with its standing.
const (
	profileVersion = 2
	trackVersion   = 1
)

// The lengths of what is appended, and of what once was.
const (
	profileBytes  = 1 + kept + 4*8 + 2*4
	trackBytes    = 1 + kept + 7*8 + outlooks*5 + 3*4 + 2
	standingBytes = 1 + 3*8 + outlooks*5 + 4 + 2
)

var (
	errProfile  = errors.New("not a CPU profile of a version that is known, or one with impossible values")
	errStanding = errors.New("not a CPU standing of this version, or one with impossible values")
)

// AppendBinary appends the profile in a form of fixed length; the same profile gives the same bytes. Its error is
// always nil.
func (u *Profile) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, profileVersion)
	b = u.slots.appendRing(b)
	for _, v := range [...]int64{int64(u.slots.now), u.first, u.last, int64(u.renewed)} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(u.sum))
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(u.seconds)), nil
}

// UnmarshalBinary makes u what AppendBinary wrote, now or in the first version. After an error u is as it was.
func (u *Profile) UnmarshalBinary(b []byte) error {
	var n Profile
	var now, renewed int64
	var ring []byte // level by slot modulo kept
	r := fixed{rest: b}
	switch version := r.byte(); {
	case version == profileVersion && len(b) == profileBytes:
		ring = r.levels()
		r.times(&now, &n.first, &n.last, &renewed)
	case version == trackVersion && len(b) == trackBytes:
		var held, ahead, turned int64
		ring = r.levels()
		r.times(&now, &n.first, &n.last, &held, &ahead, &renewed, &turned)
		r.rest = r.rest[outlooks*5:]
	default:
		return errProfile
	}
	n.sum, n.seconds = r.amount(), r.amount()
	n.renewed = int32(renewed)
	if r.broken || now < 0 || now > math.MaxInt32 || int64(n.renewed) != renewed || n.first < 0 || n.last < n.first || n.last > math.MaxUint32 {
		return errProfile
	}
	n.slots = slotsOf(ring, now)
	*u = n
	return nil
}

// AppendBinary appends what stands, without the newest advice, in a form of fixed length. Its error is always nil.
func (s *Standing) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, profileVersion)
	for _, v := range [...]int64{s.held, s.ahead, s.turned} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for k := range s.cost {
		b = append(binary.LittleEndian.AppendUint32(b, math.Float32bits(s.cost[k])), s.choice[k])
	}
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s.changes))
	return append(b, s.level, byte(s.reason)), nil
}

// UnmarshalBinary makes s what AppendBinary wrote. After an error s is as it was.
func (s *Standing) UnmarshalBinary(b []byte) error {
	r := fixed{rest: b}
	if len(b) != standingBytes || r.byte() != profileVersion {
		return errStanding
	}
	var n Standing
	r.times(&n.held, &n.ahead, &n.turned)
	for k := range n.cost {
		n.cost[k], n.choice[k] = r.amount(), r.byte()
	}
	n.changes = r.float()
	n.level, n.reason = r.byte(), Reason(r.byte())
	if r.broken || !(math.Abs(float64(n.changes)) < 1e6) || n.reason > Excess || n.turned < 0 || n.turned > math.MaxUint32 {
		return errStanding
	}
	*s = n
	return nil
}

// fixed reads values one after the other; whoever calls has seen that there are enough.
type fixed struct {
	rest   []byte
	broken bool
}

func (r *fixed) byte() byte {
	if len(r.rest) == 0 {
		r.broken = true
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

// levels is one for each slot that is kept.
func (r *fixed) levels() []byte {
	b := r.rest[:kept]
	r.rest = r.rest[kept:]
	return b
}

func (r *fixed) times(to ...*int64) {
	for _, v := range to {
		*v, r.rest = int64(binary.LittleEndian.Uint64(r.rest)), r.rest[8:]
	}
}

func (r *fixed) float() float32 {
	v := math.Float32frombits(binary.LittleEndian.Uint32(r.rest))
	r.rest = r.rest[4:]
	return v
}

// amount is a number that is not negative and not endless.
func (r *fixed) amount() float32 {
	v := r.float()
	r.broken = r.broken || !(v >= 0) || math.IsInf(float64(v), 1)
	return v
}
