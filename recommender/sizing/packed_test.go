package sizing

import (
	"math"
	"math/rand"
	"testing"
)

// noisyHours is the levels of 28 days: a day's rhythm, and the highest of sixty minutes with noise of 30 %.
func noisyHours(seed int64) (levels [kept]uint8) {
	r := rand.New(rand.NewSource(seed))
	for hour := range levels {
		most, rhythm := 0.0, 1+0.5*math.Sin(float64(hour)/perDay*2*math.Pi)
		for range 60 {
			most = max(most, 0.2*rhythm*math.Exp(0.3*r.NormFloat64()))
		}
		levels[hour] = levelOf(most)
	}
	return levels
}

func unpackedOf(p packed) (levels [kept]uint8) {
	levels[7] = 99 // what was there before
	p.unpack(&levels)
	return levels
}

// TestPackedSizes by hand. Of one level, 8, all along: 28 bits for the days; then 20 bits for the first, as it is 120
// less than expected, and a bit for each other once the spread has shrunk.
func TestPackedSizes(t *testing.T) {
	var one, some, all [kept]uint8
	for hour := range all {
		all[hour] = 8
		if hour >= kept-perDay {
			some[hour] = 8
		}
	}
	one[0] = levels / 2
	for _, row := range []struct {
		name         string
		levels       [kept]uint8
		least, bytes int
	}{
		{"nothing", [kept]uint8{}, 0, 0},
		{"an hour as expected", one, 11, 11}, // 26 bits for its day, 1 + 3 for it, 54 for the others: 84
		{"a day", some, 12, 20},              // 55 bits for the days, 20 + 23 at least: 98
		{"all alike", all, 90, 100},          // 28 bits for the days, 20 + 671 at least: 719
		{"noise", noisyHours(1), 300, 350},
	} {
		if p := pack(&row.levels); len(p) < row.least || len(p) > row.bytes {
			t.Errorf("%s: %d bytes, want %d to %d", row.name, len(p), row.least, row.bytes)
		}
	}
}

// TestPackedIsWhole: noise, silence, jumps between the ends of the scale, and gaps come back as they were.
func TestPackedIsWhole(t *testing.T) {
	r, most := rand.New(rand.NewSource(3)), 0
	for seed := range int64(300) {
		want := noisyHours(seed)
		for range r.Intn(4) {
			begin := r.Intn(kept)
			clear(want[begin:min(kept, begin+r.Intn(100))])
		}
		for range r.Intn(3) * 300 {
			want[r.Intn(kept)] = uint8(r.Intn(levels))
		}
		p := pack(&want)
		if got := unpackedOf(p); got != want {
			t.Fatalf("seed %d: %v came back as %v", seed, want, got)
		}
		most = max(most, len(p))
	}
	if most > packedMost {
		t.Errorf("%d bytes, more than there can be", most)
	}
}

func FuzzPacked(f *testing.F) {
	noise := noisyHours(1)
	f.Add(noise[:])
	f.Add([]byte{255, 1, 255, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var want [kept]uint8
		for i := range want {
			if len(b) > 0 {
				want[i] = b[i%len(b)]
			}
		}
		p := pack(&want)
		if got := unpackedOf(p); got != want || len(p) > packedMost {
			t.Fatalf("%d bytes, %v", len(p), got)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	noise := noisyHours(1)
	b.ReportAllocs()
	for b.Loop() {
		pack(&noise)
	}
}

func BenchmarkUnpack(b *testing.B) {
	noise := noisyHours(1)
	p := pack(&noise)
	b.ReportAllocs()
	for b.Loop() {
		p.unpack(&noise)
	}
}
