package sizing

import (
	"math"
	"reflect"
	"testing"
)

const (
	memoryT0   = 1_700_006_400 // a midnight, UTC
	memorySlot = 300           // seconds between samples
)

// memoryDice is a small generator, the same on every machine.

type memoryDice uint64

func (d *memoryDice) unit() float64 {
	x := uint64(*d)
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*d = memoryDice(x)
	return float64(x>>11) / (1 << 53)
}

// memoryWalk feeds use to m and obeys its advice; each gets what was in force before and after a slot.

func memoryWalk(m *Memory, days float64, use func(slot int) float64, each func(slot int, used, before, after float64, a MemoryAdvice)) {
	held := 0.0
	for slot := range int(days * memoryDay / memorySlot) {
		at := int64(memoryT0 + slot*memorySlot)
		used := use(slot)
		m.Add(at, used)
		a := m.Request(at, held)
		if each != nil {
			each(slot, used, held, a.Request, a)
		}
		held = a.Request
	}
}

// spiky is a day's wave with noise and, now and then, a peak of up to eight times.

func spiky(seed uint64) func(int) float64 {
	d := memoryDice(seed)
	return func(slot int) float64 {
		v := gib * (1 + 0.3*math.Sin(float64(slot)/288*2*math.Pi) + 0.1*d.unit())
		if d.unit() < 0.0005 {
			v *= 1 + 7*d.unit()
		}
		return v
	}
}

func TestMemorySize(t *testing.T) {
	if size := reflect.TypeFor[Memory]().Size(); size > 450 {
		t.Errorf("a Memory takes %d bytes, want at most 450", size)
	}
	if size := reflect.TypeFor[MemoryProfile]().Size(); size > 208 {
		t.Errorf("a MemoryProfile takes %d bytes, want at most 208", size)
	}
}

func TestMemoryNeedsHistory(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	if a := m.Request(memoryT0, 5*gib); a.Request != 5*gib || a.Reason != MemoryUnknown {
		t.Errorf("with no sample: %+v, want the request held and no opinion", a)
	}
	m.Add(memoryT0, gib)
	m.Add(memoryT0+memoryLeast-1, gib)
	if a := m.Request(memoryT0+memoryLeast-1, 0); a.Request != 0 || a.Reason != MemoryUnknown {
		t.Errorf("a second before three hours: %+v, want no request", a)
	}
	m.Add(memoryT0+memoryLeast, gib)
	if a := m.Request(memoryT0+memoryLeast, 0); a.Request < 1.03*gib || a.Reason != MemoryFirst {
		t.Errorf("after three hours: %+v, want a first request", a)
	}
}

// What never changes is soon held tightly, and is left alone.

func TestMemoryOfSteadyUse(t *testing.T) {
	changes := 0
	last := 0.0
	memoryWalk(NewMemory(MemoryOptions{}), 40, func(int) float64 { return gib }, func(slot int, _, before, after float64, _ MemoryAdvice) {
		if slot > 28*288 && before != after {
			changes++
		}
		last = after
	})
	if last < 1.03*gib || last > 1.3*gib || changes > 2 {
		t.Errorf("request %.3f GiB after 40 days of 1 GiB, %d changes in the last 12; want 1.03 to 1.3 GiB and at most 2", last/gib, changes)
	}
}

// A climb that is slower than the margin in a slot is followed before it is over the request.

func TestMemoryGrowsBeforeUseExceeds(t *testing.T) {
	v := float64(gib)
	climb := func(slot int) float64 {
		if slot > 5*288 && v < 20*gib {
			v *= 1.02
		}
		return v
	}
	memoryWalk(NewMemory(MemoryOptions{Margin: 0.05}), 6, climb, func(slot int, used, before, _ float64, a MemoryAdvice) {
		if before > 0 && used > before {
			t.Errorf("slot %d: use %.3f GiB over the request %.3f GiB", slot, used/gib, before/gib)
		}
	})
}

// The rules that no price may break, on noisy use: never under the recent peak and the margin, shrinks

// of 30 % at most and not within a day of a grow, at most 14 changes a week.

func TestMemoryKeepsItsRules(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		use := spiky(seed)
		grown, changes := -288, 0
		var peaks [57]float64 // by day
		memoryWalk(NewMemory(MemoryOptions{Floor: 100 * mib}), 56, use, func(slot int, used, before, after float64, a MemoryAdvice) {
			day := slot / 288
			peaks[day] = max(peaks[day], used)
			if a.Reason == MemoryUnknown {
				return
			}
			if peak := max(peaks[day], peaks[max(day-1, 0)]); after < peak*(1+DefaultMemoryMargin)*0.999999 {
				t.Fatalf("seed %d slot %d: request %.0f under peak %.0f of two days and the margin", seed, slot, after, peak)
			}
			switch {
			case after > before:
				grown = slot
			case after < before && (slot-grown < 288 || after < before*(1-memoryStep)*0.999999):
				t.Fatalf("seed %d slot %d: shrunk from %.0f to %.0f, %d slots after a grow", seed, slot, before, after, slot-grown)
			}
			if before > 0 && math.Abs(after/before-1) > memorySame {
				changes++
			}
		})
		if changes > 14*8 {
			t.Errorf("seed %d: %d changes in 8 weeks, want at most 14 a week", seed, changes)
		}
	}
}

// A pricier excess is never answered by a smaller first request.

func TestMemoryRiskBuysRoom(t *testing.T) {
	last := 0.0
	for _, risk := range []float64{1, 3, 10, 30, 100} {
		m := NewMemory(MemoryOptions{Risk: risk})
		use := spiky(3)
		for slot := range 30 * 288 {
			m.Add(int64(memoryT0+slot*memorySlot), use(slot))
		}
		a := m.Request(memoryT0+30*memoryDay, 0)
		if a.Request < last {
			t.Errorf("risk %g: %.0f, less than %.0f at the risk before it", risk, a.Request, last)
		}
		last = a.Request
	}
}

// Twice the use, options in bytes doubled: twice the request, to the rounding of the logarithms kept.

func TestMemoryScales(t *testing.T) {
	var plain, scaled []float64
	collect := func(to *[]float64) func(int, float64, float64, float64, MemoryAdvice) {
		return func(_ int, _, _, after float64, _ MemoryAdvice) { *to = append(*to, after) }
	}
	use, same := spiky(5), spiky(5)
	memoryWalk(NewMemory(MemoryOptions{Floor: gib}), 40, use, collect(&plain))
	memoryWalk(NewMemory(MemoryOptions{Floor: 8 * gib}), 40, func(s int) float64 { return 8 * same(s) }, collect(&scaled))
	for i := range plain {
		if math.Abs(scaled[i]-8*plain[i]) > 0.001*8*plain[i] {
			t.Fatalf("slot %d: %.0f, want 8 x %.0f", i, scaled[i], plain[i])
		}
	}
}

func TestMemoryLeavesOutWhatIsNoReading(t *testing.T) {
	clean, dirty := NewMemory(MemoryOptions{}), NewMemory(MemoryOptions{})
	use := spiky(9)
	for slot := range 600 {
		at, v := int64(memoryT0+slot*memorySlot), use(slot)
		clean.Add(at, v)
		dirty.Add(at, v)
		for _, bad := range []float64{math.NaN(), math.Inf(1), -1, 1e19} {
			dirty.Add(at, bad)
		}
		dirty.Add(at-memorySlot, 100*gib) // older than the last
	}
	if a, b := clean.Request(memoryT0+180000, 0), dirty.Request(memoryT0+180000, 0); a != b {
		t.Errorf("%+v with bad readings, want %+v", b, a)
	}
}

// Where use cannot exceed the limit, no request does, and one near it is the limit itself.

func TestMemoryLimitIsEnough(t *testing.T) {
	use := spiky(4)
	memoryWalk(NewMemory(MemoryOptions{Limit: 3 * gib}), 30, func(s int) float64 { return min(use(s), 3*gib) }, func(slot int, _, _, after float64, a MemoryAdvice) {
		if after > 3*gib {
			t.Fatalf("slot %d: request %.3f GiB over the limit of 3 GiB (%v)", slot, after/gib, a.Reason)
		}
	})
	m := NewMemory(MemoryOptions{Limit: 3 * gib})
	for slot := range 3 * 288 {
		m.Add(int64(memoryT0+slot*memorySlot), gib)
	}
	m.OOM(memoryT0+3*memoryDay, 3*gib, 1)
	if a := m.Request(memoryT0+3*memoryDay, 3*gib); a.Request < 3.6*gib || a.Reason != MemoryKilled {
		t.Errorf("killed at the limit of 3 GiB: %+v, want 3.6 GiB at least", a)
	}
}

// A day ends at midnight in UTC, and one without samples is none.
func TestMemoryDays(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	m.Add(memoryT0-1, gib)
	if m.midnight() != memoryT0-memoryDay || m.elapsed(memoryT0-memoryDay/2) != 0.5 {
		t.Errorf("the day begins at %d, want %d", m.midnight(), memoryT0-memoryDay)
	}
	m.Add(memoryT0+memoryDay, gib) // a day without samples lies between
	m.Add(memoryT0+2*memoryDay-1, gib)
	if m.days.n != 1 || m.midnight() != memoryT0+memoryDay {
		t.Errorf("%d days closed, the last begins at %d; want one, and %d", m.days.n, m.midnight(), memoryT0+memoryDay)
	}
}

// A restored Memory writes the same bytes and decides the same ever after.

// A change that nobody makes is advised again, until it is made.

func TestMemoryRepeatsItsAdvice(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	for slot := range 6 * 288 {
		m.Add(int64(memoryT0+slot*memorySlot), gib)
	}
	at := int64(memoryT0 + 6*memoryDay)
	first := m.Request(at, 5*gib)
	if first.Reason != MemoryStepped || first.Request != 3.5*gib {
		t.Fatalf("%+v, want a step of 30 %% down from 5 GiB", first)
	}
	for range 3 {
		if again := m.Request(at, 5*gib); again != first {
			t.Errorf("asked again: %+v, want %+v", again, first)
		}
	}
	if done := m.Request(at, 3.5*gib); done.Request != 3.5*gib || done.Reason != MemorySettled {
		t.Errorf("when it was done: %+v, want no further step on the same day", done)
	}
	m.Add(at, gib) // a new day
	if next := m.Request(at, 3.5*gib); math.Abs(next.Request-2.45*gib) > 1 || next.Reason != MemoryStepped {
		t.Errorf("the next day: %+v, want a further step", next)
	}
	if other := m.Request(at, 2*gib); math.Abs(other.Request-1.4*gib) > 1 {
		t.Errorf("somebody set 2 GiB: %+v, want a step down from there", other)
	}
	if other := m.Request(at, 6*gib); other.Request != 6*gib || other.Reason != MemorySettled {
		t.Errorf("somebody set 6 GiB: %+v, want a day without a shrink after a grow", other)
	}
}

// A change must be worth its price: a request that costs less than memoryChange too much stays.

func TestMemoryChangesForAReason(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 60, spiky(11), nil)
	least, _ := m.view().least(m.at, &MemoryAdvice{})
	tried := 0
	for m.o.Risk = 1; m.o.Risk < 300; m.o.Risk *= 1.003 { // somewhere two requests that lie apart cost nearly the same
		f := m.view().forecast(m.at)
		want := f.cheapest(math.Log(least))
		for ln := want + 2*memorySame; ln < want+1; ln += 0.02 {
			if gain := f.cost(ln) - f.cost(want); gain > 0 && gain < 0.9*memoryChange {
				tried++
				if d := m.view().decide(m.at+2*memoryDay, math.Exp(ln), least, MemoryNear); d.request != math.Exp(ln) {
					t.Errorf("risk %g: changed from %.0f to %.0f for a gain of %.4f", m.o.Risk, math.Exp(ln), d.request, gain)
				}
			}
		}
	}
	if tried == 0 {
		t.Error("no request was close in cost: choose another series")
	}
}

func TestMemoryFloorOption(t *testing.T) {
	m := NewMemory(MemoryOptions{Floor: 8 * gib})
	memoryWalk(m, 5, func(int) float64 { return gib }, nil)
	if a := m.Request(m.at, 5*gib); a.Request < 8*gib || a.Request > 8.01*gib || a.Reason != MemoryFloored || a.Floor != 8*gib {
		t.Errorf("%+v, want the floor of 8 GiB", a)
	}
}

// While use leaks, a restless history buys no more than two days of growth.

// A kill says that more than the limit was wanted, and not less than the peak that was seen before.

// Of earlier starts the highest counts, a tenth less at each start since.

// A checkpoint whose check sum is right may still say what cannot be.

// A day that rises a quarter above the day before is weighed anew before it has passed, one that is like it is not;
// and the request grows by more than the margin over what was seen.
func TestMemoryWeighsARisingDayAnew(t *testing.T) {
	m, held := NewMemory(MemoryOptions{}), 0.0
	memoryWalk(m, 10, func(int) float64 { return gib }, func(_ int, _, _, after float64, _ MemoryAdvice) { held = after })
	at := m.at + memorySlot
	m.Add(at, 0.99*gib) // a new day
	m.Request(at, 2*gib)
	for i, row := range []struct {
		used float64
		news bool
	}{{0.999, false}, {1.05, false}, {1.25, true}, {1.28, false}, {1.31, true}} { // tenths over the day before: 0, 0, 2, 2, 3
		at += memorySlot
		was := m.news
		if m.Add(at, row.used*gib); (m.news != was) != row.news {
			t.Errorf("%d: %g GiB is news: %v", i, row.used, m.news != was)
		}
		m.Request(at, 2*gib)
	}
	if grown := m.Request(at, held).Request; grown <= 1.31*1.1*gib {
		t.Errorf("%.3f GiB after a day at 1 and use of 1.31", grown/gib)
	}
}
