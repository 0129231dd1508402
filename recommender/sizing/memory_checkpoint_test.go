package sizing

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
)

func TestMemoryCheckpoint(t *testing.T) {
	o := MemoryOptions{Floor: 100 * mib}
	for _, days := range []float64{0, 0.3, 9, 70} {
		m := NewMemory(o)
		m.Started(memoryT0-9000, 3)
		memoryWalk(m, days, spiky(2), nil)
		m.OOM(memoryT0+int64(days*memoryDay), 3*gib, 3)
		data, _ := m.MemoryProfile.AppendBinary([]byte("head"))
		stands, _ := m.MemoryStanding.AppendBinary([]byte("head"))
		twin := NewMemory(o)
		if err := errors.Join(twin.MemoryProfile.UnmarshalBinary(data[4:]), twin.MemoryStanding.UnmarshalBinary(stands[4:])); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(twin, m) {
			t.Fatalf("after %g days the restored differs:\n%+v\n%+v", days, *twin, *m)
		}
		use, same := spiky(8), spiky(8)
		for slot := range 600 {
			at := memoryT0 + int64(days*memoryDay) + int64(slot*memorySlot)
			m.Add(at, use(slot))
			twin.Add(at, same(slot))
			if a, b := m.Request(at, 2*gib), twin.Request(at, 2*gib); a != b {
				t.Fatalf("slot %d: %+v, want %+v", slot, b, a)
			}
		}
	}
}

func TestMemoryRefusesABrokenCheckpoint(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 3, spiky(1), nil)
	profile, _ := m.MemoryProfile.AppendBinary(nil)
	standing, _ := m.MemoryStanding.AppendBinary(nil)
	for part, good := range map[string][]byte{"profile": profile, "standing": standing} {
		restore := m.MemoryProfile.UnmarshalBinary
		if part == "standing" {
			restore = m.MemoryStanding.UnmarshalBinary
		}
		other := bytes.Clone(good)
		other[0] += 7
		flipped := bytes.Clone(good)
		flipped[20] ^= 1
		for name, data := range map[string][]byte{"empty": nil, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0), "version": other, "flipped": flipped} {
			before := *m
			if err := restore(data); err == nil || *m != before {
				t.Errorf("%s, %s: error %v, changed %v; want an error and no change", part, name, err, *m != before)
			}
		}
		if err := restore(good); err != nil {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func FuzzMemoryUnmarshal(f *testing.F) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 40, spiky(1), nil)
	profile, _ := m.MemoryProfile.AppendBinary(nil)
	standing, _ := m.MemoryStanding.AppendBinary(nil)
	f.Add(profile[1:len(profile)-4], standing[1:len(standing)-4], byte(memoryVersion))
	f.Add(profile[1:len(profile)-4], standing[1:len(standing)-4], byte(memoryWithPlan))
	f.Fuzz(func(t *testing.T, profile, standing []byte, version byte) {
		m := NewMemory(MemoryOptions{})
		if m.MemoryProfile.UnmarshalBinary(memorySeal(nil, version, []any{profile})) != nil {
			return
		}
		_ = m.MemoryStanding.UnmarshalBinary(memorySeal(nil, version, []any{standing}))
		at := m.at
		for slot := range int64(300) {
			m.Add(at+slot*memorySlot, gib)
			if a := m.Request(at+slot*memorySlot, gib); math.IsNaN(a.Request) || math.IsInf(a.Request, 0) || a.Request < 0 {
				t.Fatalf("request %v from a restored state", a.Request)
			}
		}
	})
}

func TestMemoryRefusesTheImpossible(t *testing.T) {
	for name, spoil := range map[string]func(*Memory){
		"29 days":                 func(m *Memory) { m.days.n = memoryRecentDays + 1 },
		"nine weeks":              func(m *Memory) { m.days.weeks = memoryOldWeeks + 1 },
		"nine lows":               func(m *Memory) { m.leak.n = memoryLows + 1 },
		"a negative peak":         func(m *Memory) { m.today.peak = -1 },
		"no number":               func(m *Memory) { m.days.mean = float32(math.NaN()) },
		"an endless floor":        func(m *Memory) { m.floors = &memoryFloors{bytes: [4]float32{2: float32(math.Inf(1))}} },
		"a far future":            func(m *Memory) { m.start.at = math.MaxInt64 },
		"an unknown why":          func(m *Memory) { m.answer.reason = MemoryFloored + 1 },
		"a negative sum":          func(m *Memory) { m.today.sum = -1 },
		"no request":              func(m *Memory) { m.answer.request = math.NaN() },
		"grown in the far future": func(m *Memory) { m.grown = math.MaxInt64 },
	} {
		m := NewMemory(MemoryOptions{})
		memoryWalk(m, 9, spiky(1), nil)
		spoil(m)
		data, _ := m.MemoryProfile.AppendBinary(nil)
		stands, _ := m.MemoryStanding.AppendBinary(nil)
		again := NewMemory(MemoryOptions{})
		if a, b := again.MemoryProfile.UnmarshalBinary(data), again.MemoryStanding.UnmarshalBinary(stands); a == nil && b == nil {
			t.Errorf("%s: restored", name)
		}
	}
}

// TestMemoryRefusesImpossibleDays: what is written of a day is a logarithm of bytes, which the profile keeps in 16 bits.
func TestMemoryRefusesImpossibleDays(t *testing.T) {
	sealed := func(w *memoryWritten) []byte {
		return memorySeal(nil, memoryVersion, append([]any{&w.m.news}, w.fields()...))
	}
	for _, ln := range []float32{float32(math.NaN()), float32(math.Inf(1)), 44} {
		for name, set := range map[string]func(*memoryWritten){
			"daily":  func(w *memoryWritten) { w.daily[3] = ln },
			"weekly": func(w *memoryWritten) { w.weekly[2] = ln },
			"week":   func(w *memoryWritten) { w.week = ln },
		} {
			var w memoryWritten
			set(&w)
			var m MemoryProfile
			if err := m.UnmarshalBinary(sealed(&w)); err == nil {
				t.Errorf("%s %g: restored", name, ln)
			}
		}
	}
	var m MemoryProfile
	var sound memoryWritten
	if err := m.UnmarshalBinary(sealed(&sound)); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}
