package sizing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
)

// A checkpoint is: version, the fields in their order in little endian, and a CRC-32 of all before it. In the first
// version a profile was one with its standing.
const (
	memoryVersion  = 2
	memoryWithPlan = 1
)

var errMemoryBroken = errors.New("the checkpoint is truncated or corrupt")

// AppendBinary appends a checkpoint of all that was learned; where days begin is no part of it. Its error is always
// nil.
func (m *MemoryProfile) AppendBinary(b []byte) ([]byte, error) {
	return memorySeal(b, memoryVersion, append([]any{&m.news}, m.fields()...)), nil
}

// UnmarshalBinary puts what a checkpoint holds in the place of all that was learned; where days begin stays. On an
// error, which says what is wrong with the checkpoint, m is not changed.
func (m *MemoryProfile) UnmarshalBinary(data []byte) error {
	n := MemoryProfile{zone: m.zone, floors: new(memoryFloors)}
	fields := append([]any{&n.news}, n.fields()...)
	if len(data) > 0 && data[0] == memoryWithPlan {
		var old struct {
			grown         int64
			held, request float64
			reason        MemoryReason
			news          bool
		}
		n.news = 1
		fields = n.fields()
		fields = slices.Concat(fields[:3], []any{&old.grown, &old.held, &old.request, &old.reason}, fields[3:4], []any{&old.news}, fields[4:])
	}
	if err := memoryOpen(data, fields, memoryWithPlan, memoryVersion); err != nil {
		return fmt.Errorf("restore memory sizing: %w", err)
	}
	if !n.sound() {
		return fmt.Errorf("restore memory sizing: %w", errMemoryBroken)
	}
	if *n.floors == (memoryFloors{}) {
		n.floors = nil
	}
	*m = n
	return nil
}

// AppendBinary appends a checkpoint of what was decided; the options are no part of it. Its error is always nil.
func (s *MemoryStanding) AppendBinary(b []byte) ([]byte, error) {
	return memorySeal(b, memoryVersion, s.fields()), nil
}

// UnmarshalBinary puts what a checkpoint holds in the place of what was decided; the options stay. On an error s is
// not changed.
func (s *MemoryStanding) UnmarshalBinary(data []byte) error {
	n := MemoryStanding{o: s.o}
	if err := memoryOpen(data, n.fields(), memoryVersion); err != nil {
		return fmt.Errorf("restore memory sizing: %w", err)
	}
	if !n.sound() {
		return fmt.Errorf("restore memory sizing: %w", errMemoryBroken)
	}
	*s = n
	return nil
}

// memorySeal appends a checkpoint of the fields.
func memorySeal(b []byte, version byte, fields []any) []byte {
	begin := len(b)
	b = append(b, version)
	for _, field := range fields {
		b, _ = binary.Append(b, binary.LittleEndian, field)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[begin:]))
}

// memoryOpen fills in the fields of a checkpoint of one of the versions.
func memoryOpen(data []byte, fields []any, versions ...byte) error {
	end := len(data) - crc32.Size
	if end < 1 {
		return errMemoryBroken
	}
	if !slices.Contains(versions, data[0]) {
		return fmt.Errorf("the checkpoint is of version %d, this program reads %v", data[0], versions)
	}
	if crc32.ChecksumIEEE(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return errMemoryBroken
	}
	rest := data[1:end]
	for _, field := range fields {
		n, err := binary.Decode(rest, binary.LittleEndian, field)
		if err != nil {
			return errMemoryBroken
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return errMemoryBroken
	}
	return nil
}

// fields are what is written, in their order.
func (m *MemoryProfile) fields() []any {
	t, d, l, f, s := &m.today, &m.days, &m.leak, m.floors, &m.start
	if f == nil {
		f = new(memoryFloors)
	}
	return []any{
		&m.first, &m.at, &m.dayEnds, &m.before, &m.leaking,
		&t.starts, &t.sum, &t.count, &t.peak,
		&d.daily, &d.weekly, &d.week, &d.mean, &d.weight, &d.n, &d.weeks, &d.filled,
		&l.lows, &l.today, &l.n,
		&f.image, &f.bytes, &f.at,
		&s.at, &s.peak, &s.earlier, &s.image,
	}
}

func (s *MemoryStanding) fields() []any {
	return []any{&s.grown, &s.answer.held, &s.answer.request, &s.answer.reason, &s.heard}
}

// sound says whether a state can have come about.
func (s *MemoryStanding) sound() bool {
	for _, v := range []float64{s.answer.held, s.answer.request} {
		if !(v >= 0 && v <= 4*memoryMost) {
			return false
		}
	}
	return s.answer.reason <= MemoryFloored && s.grown >= -memoryDay && s.grown <= math.MaxInt64/2
}

// sound says whether a state can have come about.
func (m *MemoryProfile) sound() bool {
	d, floors := &m.days, m.floors.all()
	if d.n > memoryRecentDays || d.weeks > memoryOldWeeks || d.filled > 6 || m.leak.n > memoryLows {
		return false
	}
	for _, at := range append([]int64{m.first, m.at, m.dayEnds, m.today.starts, m.start.at}, floors.at[:]...) {
		if at < -memoryDay || at > math.MaxInt64/2 {
			return false
		}
	}
	amounts := []float32{m.before, m.today.peak, d.mean, d.weight, m.leak.today, m.start.peak, m.start.earlier}
	amounts = append(append(amounts, floors.bytes[:]...), m.leak.lows[:]...)
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
	return m.today.sum >= 0 && m.today.sum <= memoryMost*math.MaxUint32
}
