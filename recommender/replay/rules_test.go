package replay

import (
	"math"
	"testing"
)

// made is a series of CPU with a sample every step seconds for so many days from a Monday at 0:00 UTC.
func made(step int64, days int, use func(at int64) float64) Series {
	const monday = 1_767_571_200 // 2026-01-05
	s := Series{ID: "made", Class: "made", Unit: Cores, Floor: CoresFloor}
	for at := int64(monday); at < monday+int64(days)*day; at += step {
		s.At = append(s.At, at)
		s.Used = append(s.Used, use(at-monday))
	}
	return s
}

func flat(v float64) func(int64) float64 { return func(int64) float64 { return v } }

// TestFlatUse: what each rule asks for a container that always uses 0.5 cores.
func TestFlatUse(t *testing.T) {
	s := made(300, 10, flat(0.5))
	// VPA: 0.5 is in range 25, which ends at 0.01*(1.05^26-1)/0.05 = 0.511134; times 1.15 = 0.587805.
	const target = 0.587805
	for _, tt := range []struct {
		m    Maker
		want float64
	}{
		{KRR(), 0.5}, {KRRHourly(), 0.5}, {P99(), 0.5}, {FlatMax(1), 0.5}, {FlatMax(1.15), 0.575}, {Reactive(), 0.5}, {ReactiveDaily(), 0.5},
		{VPA(), target}, {VPAHourly(), target}, {VPAUpdater(true), target}, {VPAUpdater(false), target},
		{Crane(), 0.69}, // in the range from 0.5 to 0.6, times 1.15
		{Attune(), 0.6}, {Clairvoyant(1), 0.5}, {Clairvoyant(2), 0.5},
	} {
		line := Run(tt.m, s)
		if !math.IsNaN(line[0]) {
			t.Errorf("%s: %g before anything was seen", tt.m.Name, line[0])
		}
		if got := line[len(line)-1]; math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s: %g, want %g", tt.m.Name, got, tt.want)
		}
	}
}

func TestFloors(t *testing.T) {
	idle := made(300, 5, flat(0))
	for _, m := range Rules(Cores, nil) {
		want := CoresFloor
		switch m.Name {
		case "vpa", "vpa-hourly", "vpa-recreate", "vpa-inplace":
			want = vpaCoresLeast
		case "crane":
			want = 0.115 // the first range, times 1.15
		}
		if line := Run(m, idle); math.Abs(line[len(line)-1]-want) > 1e-12 {
			t.Errorf("%s: %g for no use, want %g", m.Name, line[len(line)-1], want)
		}
	}
	idle.Unit, idle.Floor = Bytes, BytesFloor
	for name, want := range map[string]float64{"krr": BytesFloor, "vpa": vpaBytesLeast, "max": BytesFloor} {
		if line := Run(rule(t, Rules(Bytes, nil), name), idle); line[len(line)-1] != want {
			t.Errorf("%s of memory: %g for no use, want %g", name, line[len(line)-1], want)
		}
	}
}

func rule(t *testing.T, of []Maker, name string) Maker {
	t.Helper()
	for _, m := range of {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("there is no rule %q", name)
	return Maker{}
}

// TestMemoryPeaks: VPA's memory target is of daily peaks: one of 4,000 MiB today among days of 1,000 MiB holds half
// of the weight, so more than a tenth: the target is above it. Eight days later it is forgotten.
func TestMemoryPeaks(t *testing.T) {
	s := made(3600, 24, func(at int64) float64 {
		if at/day == 9 && at%day == 7200 {
			return 4000 * MiB
		}
		return 1000 * MiB
	})
	s.Unit, s.Floor = Bytes, BytesFloor
	line := Run(VPAMemory(), s)
	onDay := func(d int) float64 { return line[24*d+12] / MiB }
	// 1000 MiB = 1.048576e9: range 37 ends at 1e7*(1.05^38-1)/0.05 = 1.0770e9 = 1027.1 MiB, times 1.15 = 1181.2.
	if got := onDay(9); math.Abs(got-1181.2) > 0.2 {
		t.Errorf("before the peak was seen: %.1f MiB, want 1181.2", got)
	}
	if got := onDay(10); got < 4000*1.15 || got > 4000*1.15*1.05 {
		t.Errorf("the day after: %.1f MiB, want 4600 to 4830", got)
	}
	if got := onDay(19); math.Abs(got-1181.2) > 0.2 {
		t.Errorf("ten days after: %.1f MiB, want 1181.2", got)
	}
	if got := Run(KRRMemory(), s)[24*20] / MiB; math.Abs(got-4600) > 1e-6 {
		t.Errorf("KRR eleven days after: %.1f MiB, want 4600", got)
	}
}

// TestCraneWeights: 99 samples of 0.05 and one of 0.95 weigh 4.95 and 0.95: the one is 16 % of the weight.
func TestCraneWeights(t *testing.T) {
	used := append(make([]float64, 0, 100), 0.95)
	for range 99 {
		used = append(used, 0.05)
	}
	if got := cranePercentile(used); math.Abs(got-1) > 1e-12 {
		t.Errorf("%g, want 1", got)
	}
	if got := cranePercentile(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %g, want NaN", got)
	}
}

// TestReactive: 0.5 cores always, but 2 cores at two samples of day 10, an hour apart.
func TestReactive(t *testing.T) {
	const begin = 10*day + 6*3600
	s := made(300, 12, func(at int64) float64 {
		if at == begin || at == begin+3600 {
			return 2
		}
		return 0.5
	})
	line := Run(Reactive(), s)
	i := begin / 300
	for _, tt := range []struct {
		name   string
		sample int
		want   float64
	}{
		{"at the excess itself", i, 0.5},
		{"the sample after: 1.15 times 2", i + 1, 2.3},
		{"at the second, which is below", i + 12, 2.3},
		{"the last of 3 hours", i + 35, 2.3},
		{"3 hours after the excess", i + 36, 0.5},
	} {
		if line[tt.sample] != tt.want {
			t.Errorf("%s: %g, want %g", tt.name, line[tt.sample], tt.want)
		}
	}
}

// TestReactiveDaily: two excesses on one day, hours apart: down after the first, up until the next day after the second.
func TestReactiveDaily(t *testing.T) {
	const begin = 10 * day
	s := made(300, 12, func(at int64) float64 {
		if at == begin+3600 || at == begin+8*3600 {
			return 2
		}
		return 0.5
	})
	line := Run(ReactiveDaily(), s)
	for hour, want := range map[int]float64{1: 0.5, 2: 2.3, 5: 0.5, 8: 0.5, 9: 2.3, 12: 2.3, 23: 2.3, 24: 0.5, 30: 0.5} {
		if got := line[begin/300+12*hour]; got != want {
			t.Errorf("hour %d: %g, want %g", hour, got, want)
		}
	}
}

// TestClairvoyant: the next day's p99, which no other rule can know.
func TestClairvoyant(t *testing.T) {
	s := made(300, 5, func(at int64) float64 { return float64(1 + at/day) })
	line := Run(Clairvoyant(1), s)
	for i, want := range []float64{math.NaN(), 2, 3, 4, 5} {
		if got := line[i*288]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("day %d: %g, want %g", i, got, want)
		}
	}
}

// TestNoFuture: what comes after a sample changes no rule's request up to it; hindsight is the exception.
func TestNoFuture(t *testing.T) {
	random := generator(11)
	s := made(600, 12, func(int64) float64 { return float64(random.below(100)) / 50 })
	other := s
	other.Used = append([]float64{}, s.Used...)
	cut := len(s.At) * 2 / 3
	for i := cut; i < len(other.Used); i++ {
		other.Used[i] = 7
	}
	for _, m := range append(Rules(Cores, nil), KRRMemory(), VPAMemory()) {
		a, b := Run(m, s), Run(m, other)
		same := true
		for i := 0; i <= cut; i++ {
			same = same && (a[i] == b[i] || math.IsNaN(a[i]) && math.IsNaN(b[i]))
		}
		if hindsight := m.Name == "clairvoyant-1" || m.Name == "clairvoyant-2"; same == hindsight {
			t.Errorf("%s: requests before a sample are the same: %v", m.Name, same)
		}
	}
}

// TestScaleInvariant: twice the use is twice the request, for the rules without ranges and away from the floors.
func TestScaleInvariant(t *testing.T) {
	random := generator(5)
	s := made(600, 9, func(int64) float64 { return 1 + float64(random.below(100))/50 })
	twice := s
	twice.Used = nil
	for _, u := range s.Used {
		twice.Used = append(twice.Used, 2*u)
	}
	for _, m := range []Maker{KRR(), P99(), FlatMax(1.15), Attune(), Reactive(), ReactiveDaily(), Clairvoyant(2)} {
		a, b := Run(m, s), Run(m, twice)
		for i := range a {
			if !math.IsNaN(a[i]) && 2*a[i] != b[i] {
				t.Fatalf("%s: sample %d: %g and %g", m.Name, i, a[i], b[i])
			}
		}
	}
}
