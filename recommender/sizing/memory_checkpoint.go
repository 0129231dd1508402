package sizing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// A checkpoint is: version, the fields in their order in little endian, and a CRC-32 of all before it.
const memoryVersion = 1

var errMemoryBroken = errors.New("the checkpoint is truncated or corrupt")

// AppendBinary appends a checkpoint of all that was learned. The options are no part of it. Its error
// is always nil.
func (m *Memory) AppendBinary(b []byte) ([]byte, error) {
	var body []byte
	for _, field := range m.fields() {
		body, _ = binary.Append(body, binary.LittleEndian, field)
	}
	return append(b, memorySeal(body)...), nil
}

// memorySeal makes a checkpoint of the fields.
func memorySeal(body []byte) []byte {
	b := append([]byte{memoryVersion}, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// UnmarshalBinary puts what a checkpoint holds in the place of all that was learned; the options
// stay. On an error, which says what is wrong with the checkpoint, m is not changed.
func (m *Memory) UnmarshalBinary(data []byte) error {
	restored := NewMemory(m.o)
	if err := restored.decode(data); err != nil {
		return fmt.Errorf("restore memory sizing: %w", err)
	}
	*m = *restored
	return nil
}

func (m *Memory) decode(data []byte) error {
	end := len(data) - crc32.Size
	if end < 1 {
		return errMemoryBroken
	}
	if data[0] != memoryVersion {
		return fmt.Errorf("the checkpoint is of version %d, this program reads %d", data[0], memoryVersion)
	}
	if crc32.ChecksumIEEE(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return errMemoryBroken
	}
	rest := data[1:end]
	for _, field := range m.fields() {
		n, err := binary.Decode(rest, binary.LittleEndian, field)
		if err != nil {
			return errMemoryBroken
		}
		rest = rest[n:]
	}
	if len(rest) > 0 || !m.sound() {
		return errMemoryBroken
	}
	return nil
}

// fields are what is written, in their order.
func (m *Memory) fields() []any {
	t, d, l, f, s := &m.today, &m.days, &m.leak, &m.floors, &m.start
	return []any{
		&m.first, &m.at, &m.dayEnds, &m.grown, &m.answer.held, &m.answer.request, &m.answer.reason, &m.before, &m.news, &m.leaking,
		&t.starts, &t.sum, &t.count, &t.peak,
		&d.daily, &d.weekly, &d.week, &d.mean, &d.weight, &d.n, &d.weeks, &d.filled,
		&l.lows, &l.today, &l.n,
		&f.image, &f.bytes, &f.at,
		&s.at, &s.peak, &s.earlier, &s.image,
	}
}

// sound says whether a state can have come about.
func (m *Memory) sound() bool {
	d := &m.days
	if d.n > memoryRecentDays || d.weeks > memoryOldWeeks || d.filled > 6 || m.leak.n > memoryLows {
		return false
	}
	for _, at := range append([]int64{m.first, m.at, m.dayEnds, m.grown, m.today.starts, m.start.at}, m.floors.at[:]...) {
		if at < -memoryDay || at > math.MaxInt64/2 {
			return false
		}
	}
	amounts := []float32{m.before, m.today.peak, d.mean, d.weight, m.leak.today, m.start.peak, m.start.earlier}
	amounts = append(append(amounts, m.floors.bytes[:]...), m.leak.lows[:]...)
	for _, v := range amounts {
		if !(v >= 0 && v <= 2*memoryMost) {
			return false
		}
	}
	for _, ln := range append(append(d.daily[:], d.weekly[:]...), d.week) {
		if !(ln >= 0 && ln <= 50) {
			return false
		}
	}
	for _, v := range []float64{m.answer.held, m.answer.request} {
		if !(v >= 0 && v <= 4*memoryMost) {
			return false
		}
	}
	return m.answer.reason <= MemoryFloored && m.today.sum >= 0 && m.today.sum <= memoryMost*math.MaxUint32
}
