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

// memoryWritten is a profile as it is written: days as logarithms of single precision, with the beginning and the end of
// today.
type memoryWritten struct {
	m               MemoryProfile
	floors          memoryFloors
	dayEnds, starts int64
	daily           [memoryRecentDays]float32 // ln bytes
	weekly          [memoryOldWeeks]float32   // ln bytes
	week            float32                   // ln bytes
}

// AppendBinary appends a checkpoint of all that was learned. Its error is always nil.
func (m *MemoryProfile) AppendBinary(b []byte) ([]byte, error) {
	w := memoryWritten{m: *m, floors: m.floors.all(), week: float32(m.days.week.ln())}
	if m.at > 0 {
		w.starts, w.dayEnds = m.midnight(), m.midnight()+memoryDay
	}
	for i, peak := range m.days.daily {
		w.daily[i] = float32(peak.ln())
	}
	for i, peak := range m.days.weekly {
		w.weekly[i] = float32(peak.ln())
	}
	return memorySeal(b, memoryVersion, append([]any{&w.m.news}, w.fields()...)), nil
}

// UnmarshalBinary puts what a checkpoint holds in the place of all that was learned. On an error, which says what is
// wrong with the checkpoint, m is not changed.
func (m *MemoryProfile) UnmarshalBinary(data []byte) error {
	var w memoryWritten
	fields := append([]any{&w.m.news}, w.fields()...)
	if len(data) > 0 && data[0] == memoryWithPlan {
		var old struct {
			grown         int64
			held, request float64
			reason        MemoryReason
			news          bool
		}
		w.m.news = 1
		fields = w.fields()
		fields = slices.Concat(fields[:3], []any{&old.grown, &old.held, &old.request, &old.reason}, fields[3:4], []any{&old.news}, fields[4:])
	}
	if err := memoryOpen(data, fields, memoryWithPlan, memoryVersion); err != nil {
		return fmt.Errorf("restore memory sizing: %w", err)
	}
	if !w.sound() {
		return fmt.Errorf("restore memory sizing: %w", errMemoryBroken)
	}
	*m = w.profile()
	return nil
}

// profile is what was written.
func (w *memoryWritten) profile() MemoryProfile {
	m := w.m
	for i, ln := range w.daily {
		m.days.daily[i] = memoryLnUp(float64(ln))
	}
	for i, ln := range w.weekly {
		m.days.weekly[i] = memoryLnUp(float64(ln))
	}
	m.days.week = memoryLnUp(float64(w.week))
	if w.floors != (memoryFloors{}) {
		floors := w.floors // alone: w is ten times as large
		m.floors = &floors
	}
	return m
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
func (w *memoryWritten) fields() []any {
	m := &w.m
	t, d, l, f, s := &m.today, &m.days, &m.leak, &w.floors, &m.start
	return []any{
		&m.first, &m.at, &w.dayEnds, &m.before, &m.leaking,
		&w.starts, &t.sum, &t.count, &t.peak,
		&w.daily, &w.weekly, &w.week, &d.mean, &d.weight, &d.n, &d.weeks, &d.filled,
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
func (w *memoryWritten) sound() bool {
	m, d, floors := &w.m, &w.m.days, &w.floors
	if d.n > memoryRecentDays || d.weeks > memoryOldWeeks || d.filled > 6 || m.leak.n > memoryLows {
		return false
	}
	for _, at := range append([]int64{m.first, m.at, m.start.at}, floors.at[:]...) {
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
	for _, ln := range append(append(w.daily[:], w.weekly[:]...), w.week) {
		if !(ln >= 0 && ln <= 43) {
			return false
		}
	}
	return m.today.sum >= 0 && m.today.sum <= memoryMost*math.MaxUint32
}
