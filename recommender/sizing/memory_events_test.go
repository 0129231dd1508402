package sizing

import (
	"math"
	"testing"
)

func TestMemoryOOMFloorSurvivesRestarts(t *testing.T) {
	m := NewMemory(MemoryOptions{Floor: 100 * mib})
	memoryWalk(m, 60, func(slot int) float64 {
		at := int64(memoryT0 + slot*memorySlot)
		switch {
		case slot == 5*288:
			m.OOM(at, 2*gib, 7)
		case slot%(3*288) == 0:
			m.Started(at, 7)
		}
		return gib
	}, func(slot int, _, _, after float64, a MemoryAdvice) {
		days := float64(slot)/288 - 5
		if days > 0 && days <= 28 && after < 2.4*gib*0.999999 {
			t.Fatalf("%.1f days after a kill at 2 GiB: %.3f GiB, want 2.4", days, after/gib)
		}
		if days > 50 && after > 1.5*gib {
			t.Fatalf("%.1f days after the kill: %.3f GiB, want it forgotten", days, after/gib)
		}
	})
}

func TestMemoryTellsLoadingFromServing(t *testing.T) {
	for _, row := range []struct {
		inPlace   bool
		low, high float64
	}{{true, 4 * gib, 6 * gib}, {false, 8 * gib, 9 * gib}} {
		m := NewMemory(MemoryOptions{InPlace: row.inPlace})
		var last MemoryAdvice
		memoryWalk(m, 20, func(slot int) float64 {
			if slot%(4*288) < 2 { // ten minutes are two slots
				m.Load(int64(memoryT0+slot*memorySlot), 8*gib, 1)
			}
			return 4 * gib
		}, func(_ int, _, _, _ float64, a MemoryAdvice) { last = a })
		if last.Request < row.low || last.Request > row.high || last.Load != 8*gib {
			t.Errorf("in place %v: %.2f GiB and %.2f to load, want %.0f to %.0f and 8", row.inPlace, last.Request/gib, last.Load/gib, row.low/gib, row.high/gib)
		}
	}
}

func TestMemoryNamesALeak(t *testing.T) {
	m := NewMemory(MemoryOptions{InPlace: true})
	named := 0
	memoryWalk(m, 15, func(slot int) float64 {
		return gib * (1 + float64(slot)/288*0.2)
	}, func(slot int, used, _, after float64, a MemoryAdvice) {
		if a.Leak {
			named++
			if slot > 10*288 && after > used*1.03+3*0.2*gib {
				t.Fatalf("slot %d: a leak of 0.2 GiB a day at %.2f GiB is given %.2f", slot, used/gib, after/gib)
			}
		}
	})
	if days := float64(named) / 288; days < 8 || days > 9.1 {
		t.Errorf("named on %.1f of 15 days, want from the end of the sixth", days)
	}
	m.Started(memoryT0+15*memoryDay, 1)
	if a := m.Request(memoryT0+15*memoryDay, 5*gib); a.Leak {
		t.Error("still a leak after a restart")
	}
	m = NewMemory(MemoryOptions{})
	memoryWalk(m, 60, spiky(6), func(slot int, _, _, _ float64, a MemoryAdvice) {
		if a.Leak {
			t.Fatalf("slot %d: a leak where there is none", slot)
		}
	})
}

func TestMemoryDoesNotChaseALeak(t *testing.T) {
	m := NewMemory(MemoryOptions{Risk: 1000})
	memoryWalk(m, 30, spiky(4), nil)
	m.answer = memoryAnswer{}
	m.news++
	free := m.Request(m.at, 0).Request
	for i := range m.leak.lows {
		m.leak.lows[i], m.leak.n = float32(gib*(1+0.01*float64(i))), memoryLows
	}
	m.leaking, m.answer = true, memoryAnswer{}
	m.news++
	a := m.Request(m.at, 0)
	if want := a.Peak*(1+DefaultMemoryMargin) + 0.02*gib; a.Request > want*1.000001 || free < 1.5*want {
		t.Errorf("%.3f GiB (%.3f without a leak), want %.3f: the peak, its margin and two days of 0.01 GiB", a.Request/gib, free/gib, want/gib)
	}
}

func TestMemoryOOMOverThePeak(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	memoryWalk(m, 2, func(int) float64 { return 4 * gib }, nil)
	m.Started(m.at, 1)
	m.OOM(m.at, gib, 2) // image 2 runs from here on
	if a := m.Request(m.at, 5*gib); math.Abs(a.Floor-4.8*gib) > 1e-6*gib {
		t.Errorf("floor %.3f GiB, want 1.2 x 4", a.Floor/gib)
	}
	if a := m.Request(m.at+20*memoryDay, 5*gib); math.Abs(a.Floor-4.8*gib) > 1e-6*gib {
		t.Errorf("floor %.3f GiB after 20 days of the image that was killed, want it whole", a.Floor/gib)
	}
}

func TestMemoryRemembersLoads(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	for i, load := range []float64{10 * gib, 2 * gib, 2 * gib} {
		at := int64(memoryT0 + i*memoryDay)
		m.Started(at, 1)
		m.Load(at+60, load, 1)
		m.Load(at+70, load/2, 1)
	}
	if got := m.start.load(); math.Abs(got-8.1*gib) > 1e-6*gib {
		t.Errorf("%.3f GiB, want 10 x 0.9 x 0.9", got/gib)
	}
}
