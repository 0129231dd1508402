package replay

import (
	"math"
	"testing"
	"time"
)

// packed is a series with a sample every 5 minutes and its requests.
func packed(used, line []float64) Packed {
	s := Series{Unit: Cores, Used: used}
	for i := range used {
		s.At = append(s.At, int64(i)*300)
	}
	return Packed{s, line}
}

func same(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestPack(t *testing.T) {
	nan := math.NaN()
	options := PackOptions{Cores: 4, Every: 24 * time.Hour, Step: 5 * time.Minute}
	for _, tt := range []struct {
		name string
		all  []Packed
		want Packing
	}{
		{"nothing", nil, Packing{}},
		{"3 2 2 1 fit on two nodes", []Packed{
			packed(same(1, 12), same(3, 12)), packed(same(1, 12), same(2, 12)), packed(same(1, 12), same(2, 12)), packed(same(1, 12), same(1, 12)),
		}, Packing{NodeHours: 2, MostNodes: 2}},
		{"the largest first: 1 1 3 3 fit on two nodes", []Packed{
			packed(same(0, 12), same(1, 12)), packed(same(0, 12), same(1, 12)), packed(same(0, 12), same(3, 12)), packed(same(0, 12), same(3, 12)),
		}, Packing{NodeHours: 2, MostNodes: 2}},
		{"use above the cores for half an hour", []Packed{
			packed(append(same(1, 6), same(2.5, 6)...), same(2, 12)), packed(same(2, 12), same(2, 12)),
		}, Packing{NodeHours: 1, Contention: 30, MostNodes: 1}},
		{"no request yet, for the first half", []Packed{
			packed(same(1, 12), append(same(nan, 6), same(2, 6)...)), packed(same(1, 12), same(3, 12)),
		}, Packing{NodeHours: 1.5, MostNodes: 2}},
		{"a grow moves the smallest to where it fits", []Packed{
			// node 0: 3 and 1, node 1: 2; then 3 grows to 3.5, and 1 moves.
			packed(same(0, 12), append(same(3, 6), same(3.5, 6)...)), packed(same(0, 12), same(1, 12)), packed(same(0, 12), same(2, 12)),
		}, Packing{NodeHours: 2, Moves: 1, MostNodes: 2}},
		{"a grow opens a node when nothing fits", []Packed{
			packed(same(0, 12), append(same(2, 6), same(3, 6)...)), packed(same(0, 12), same(2, 12)),
		}, Packing{NodeHours: 1.5, Moves: 1, MostNodes: 2}},
		{"a request above a node fills one", []Packed{
			packed(same(5, 12), same(9, 12)), packed(same(1, 12), same(1, 12)),
		}, Packing{NodeHours: 2, Contention: 60, MostNodes: 2}},
		{"a shrink frees its node only when all is packed anew", []Packed{
			packed(same(0, 12), append(same(3, 6), same(1, 6)...)), packed(same(0, 12), same(2, 12)),
		}, Packing{NodeHours: 2, MostNodes: 2}},
		{"what has ended is gone after three steps", []Packed{
			packed(same(0, 3), same(4, 3)), packed(same(0, 12), same(2, 12)),
		}, Packing{NodeHours: 1 + 5.0/12, MostNodes: 2}},
	} {
		got := Pack(tt.all, options)
		if math.Abs(got.NodeHours-tt.want.NodeHours) > 1e-9 || got.Contention != tt.want.Contention || got.Moves != tt.want.Moves || got.MostNodes != tt.want.MostNodes {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPackGap: a sample stands for its step and two more, also at the two ends of ten days with nothing between.
func TestPackGap(t *testing.T) {
	s := Series{Unit: Cores, At: []int64{0, 10*day + 100}, Used: []float64{1, 5}}
	got := Pack([]Packed{{s, []float64{2, 2}}}, PackOptions{Cores: 4, Every: 24 * time.Hour, Step: 5 * time.Minute})
	if want := (Packing{NodeHours: 4.0 / 12, Contention: 5, MostNodes: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestPackAnew: a day later a shrunk series joins another.
func TestPackAnew(t *testing.T) {
	n := 2 * 288
	got := Pack([]Packed{
		packed(same(0, n), append(same(3, 10), same(1, n-10)...)), packed(same(0, n), same(2, n)),
	}, PackOptions{Cores: 4, Every: 24 * time.Hour, Step: 5 * time.Minute})
	if want := 48.0 + 24; got.NodeHours != want {
		t.Errorf("%g node-hours, want %g", got.NodeHours, want)
	}
}

// TestPackDrained by hand: 3 and 2 are on two nodes of 4. The first falls to 1 after half an hour; ten minutes later it
// goes where 2 is. Half of a node and more stays, as does what fits nowhere, and what asks for more again in time.
func TestPackDrained(t *testing.T) {
	options := PackOptions{Cores: 4, Idle: 10 * time.Minute, Step: 5 * time.Minute}
	for _, tt := range []struct {
		name  string
		a, b  []float64
		hours float64
		moves int
	}{
		{name: "drained", a: append(same(3, 6), same(1, 18)...), b: same(2, 24), hours: 2*8./12 + 16./12, moves: 1},
		{name: "half a node", a: append(same(3, 6), same(2, 18)...), b: same(2, 24), hours: 4},
		{name: "no room", a: append(same(3, 6), same(1, 18)...), b: same(3.5, 24), hours: 4},
		{name: "not for long", a: append(append(same(3, 6), same(1, 2)...), same(3, 16)...), b: same(2, 24), hours: 4},
		{name: "it asks for more again", a: append(append(same(3, 6), same(1, 6)...), same(3, 12)...), b: same(2, 24), hours: 2*8./12 + 4./12 + 2, moves: 2},
	} {
		got := Pack([]Packed{packed(same(0, 24), tt.a), packed(same(0, 24), tt.b)}, options)
		if math.Abs(got.NodeHours-tt.hours) > 1e-9 || got.Moves != tt.moves {
			t.Errorf("%s: %+v, want %g node-hours and %d moves", tt.name, got, tt.hours, tt.moves)
		}
	}
}

// TestPackHolds: no node is overfull by requests, none is empty, nothing is on two nodes, and no fewer nodes are
// used than the requests need.
func TestPackHolds(t *testing.T) {
	random := generator(9)
	var all []Packed
	for range 12 {
		used, line := make([]float64, 600), make([]float64, 600)
		for i := range used {
			used[i], line[i] = float64(random.below(300))/100, 0.1+float64(random.below(300))/100
		}
		all = append(all, packed(used, line))
	}
	least := 0.0
	for i := range 600 {
		sum := 0.0
		for _, p := range all {
			sum += p.Line[i]
		}
		least += math.Ceil(sum/4-1e-9) / 12
	}
	daily := Pack(all, PackOptions{Cores: 4, Every: 24 * time.Hour, Step: 5 * time.Minute})
	drained := Pack(all, PackOptions{Cores: 4, Idle: 10 * time.Minute, Step: 5 * time.Minute})
	for _, got := range []Packing{daily, drained} {
		if got.Overfull != 0 || got.NodeHours < least || got.MostNodes > 12 {
			t.Errorf("%+v, and at least %g node-hours are needed", got, least)
		}
	}
}
