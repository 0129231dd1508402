package sizing

import (
	"encoding/binary"
	"errors"
	"math"
)

// trackVersion is the first byte of a track that is written down.
const trackVersion = 1

// trackBytes is the length of what AppendBinary appends.
const trackBytes = 1 + kept + 7*8 + outlooks*5 + 3*4 + 2

// AppendBinary appends the track in a form of fixed length; the same track gives the same bytes.
func (t *Track) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, trackVersion)
	b = append(b, t.slots.peak[:]...)
	for _, v := range [...]int64{t.slots.now, t.first, t.last, t.held, t.ahead, t.renewed, t.turned} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for k := range t.cost {
		b = append(binary.LittleEndian.AppendUint32(b, math.Float32bits(t.cost[k])), t.choice[k])
	}
	for _, v := range [...]float32{t.sum, t.seconds, t.changes} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return append(b, t.level, byte(t.reason)), nil
}

// UnmarshalBinary makes t what AppendBinary wrote. After an error t is as it was.
func (t *Track) UnmarshalBinary(b []byte) error {
	if len(b) != trackBytes || b[0] != trackVersion {
		return errors.New("not a CPU track of this version")
	}
	var n Track
	b = b[1+copy(n.slots.peak[:], b[1:]):]
	for _, v := range [...]*int64{&n.slots.now, &n.first, &n.last, &n.held, &n.ahead, &n.renewed, &n.turned} {
		*v, b = int64(binary.LittleEndian.Uint64(b)), b[8:]
	}
	sound := true
	number := func(v *float32) {
		*v, b = math.Float32frombits(binary.LittleEndian.Uint32(b)), b[4:]
		sound = sound && *v >= 0 && !math.IsInf(float64(*v), 1)
	}
	for k := range n.cost {
		number(&n.cost[k])
		n.choice[k], b = b[0], b[1:]
	}
	number(&n.sum)
	number(&n.seconds)
	n.changes = math.Float32frombits(binary.LittleEndian.Uint32(b))
	b, sound = b[4:], sound && math.Abs(float64(n.changes)) < 1e6
	n.level, n.reason = b[0], Reason(b[1])
	if !sound || n.reason > Excess || n.slots.now < 0 || n.turned < 0 || n.turned > n.slots.now || n.last < n.first {
		return errors.New("a CPU track with impossible values")
	}
	*t = n
	return nil
}
