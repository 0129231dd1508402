package scaling

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A checkpoint is magic, version, the state field by field in little endian, and a CRC-32 of all
// before it.
const (
	magic   = "TTSC"
	version = 1
)

var errBroken = errors.New("the checkpoint is truncated or corrupt; start the server's track anew")

// MarshalBinary is the state of the track without its options, always of the same length; the same
// track gives the same bytes.
func (t *Track) MarshalBinary() ([]byte, error) {
	b := append([]byte(magic), version)
	b, err := binary.Append(b, binary.LittleEndian, &t.s)
	if err != nil {
		return nil, fmt.Errorf("write the state of a track: %w", err) // unreachable unless bug: all fields are fixed
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// UnmarshalBinary puts what MarshalBinary wrote in the place of the track's state and keeps its
// options. Where Lead or Window were others, what was foreseen is compared as if they were not, for
// some windows. On an error the track is not changed.
func (t *Track) UnmarshalBinary(data []byte) error {
	body := len(data) - crc32.Size
	head := len(magic) + 1
	if body < head || string(data[:len(magic)]) != magic {
		return errBroken
	}
	if v := data[len(magic)]; v != version {
		return fmt.Errorf("the checkpoint is of version %d, this program reads %d; start the server's track anew", v, version)
	}
	if crc32.ChecksumIEEE(data[:body]) != binary.LittleEndian.Uint32(data[body:]) {
		return errBroken
	}
	var s state
	if n, err := binary.Decode(data[head:body], binary.LittleEndian, &s); err != nil || n != body-head || !s.sound() {
		return errBroken
	}
	t.s = s
	return nil
}

// sound says whether a state can have come from Add.
func (s *state) sound() bool {
	ok := int(s.Pick) < len(ways) && amount(s.Level) && int(s.Hours.Hour) < hoursOfWeek && amount(s.Hours.Sum)
	for _, r := range s.Recent {
		ok = ok && amount(r)
	}
	for i := range s.Ways {
		ok = ok && s.Ways[i].sound()
	}
	return ok
}

func (w *way) sound() bool {
	ok := amount(w.Fast) && amount(w.Slow) && amount(w.Cost) && amount(max(w.Level, -w.Level))
	for i := range mostAhead {
		ok = ok && amount(w.Root[i]) && (w.Spread[i] == -1 || amount(w.Spread[i]))
	}
	for kind := range w.Errors {
		ok = ok && sum(w.Errors[kind][:]) < fullTally
	}
	return ok
}

// amount says whether v is a number from 0 to 1e20, so that no sum of them overflows.
func amount(v float32) bool { return v >= 0 && v <= 1e20 && !math.IsNaN(float64(v)) }
