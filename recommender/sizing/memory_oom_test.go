package sizing

import (
	"math"
	"testing"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

func TestMemoryFloorOfAKill(t *testing.T) {
	for _, row := range []struct {
		name        string
		killed      float64 // bytes
		days        float64 // after it
		image, runs uint32
		want        float64
	}{
		{"1 GiB x 1.2 is more than + 100 MiB", gib, 0, 1, 1, 1.2 * gib},
		{"200 MiB + 100 MiB is more than x 1.2", 200 * mib, 0, 1, 1, 300 * mib},
		{"28 days later it stands", gib, 28, 1, 1, 1.2 * gib},
		{"7 days past the 28: 1.2 / sqrt 2", gib, 35, 1, 1, 1.2 * gib / math.Sqrt2},
		{"14 days past the 28 it is forgotten", gib, 42, 1, 1, 0},
		{"another image: 7 days", gib, 7, 1, 2, 1.2 * gib},
		{"another image: half of the 14 days past the 7", gib, 14, 1, 2, 1.2 * gib / math.Sqrt2},
		{"another image: forgotten after 21", gib, 21, 1, 2, 0},
	} {
		var f *memoryFloors
		f = f.with(1e9, row.killed, row.image)
		got := f.least(1e9+int64(row.days*memoryDay), row.runs)
		if math.Abs(got-row.want) > 1e-6*gib {
			t.Errorf("%s: %.0f, want %.0f", row.name, got, row.want)
		}
	}
}

// A second kill at the raised limit raises the floor again: 1 GiB -> 1.2 -> 1.44. One at a smaller
// limit takes nothing away.
func TestMemoryFloorRises(t *testing.T) {
	var f *memoryFloors
	for i, row := range []struct{ killed, want float64 }{{gib, 1.2 * gib}, {1.2 * gib, 1.44 * gib}, {gib, 1.44 * gib}} {
		f = f.with(1e9+int64(i), row.killed, 1)
		if got := f.least(1e9+int64(i), 1); math.Abs(got-row.want) > 1e-6*gib {
			t.Errorf("kill %d: floor %.0f, want %.0f", i, got, row.want)
		}
	}
}

// Four images are remembered; the fifth takes the place of the lowest floor.
func TestMemoryFloorsOfManyImages(t *testing.T) {
	var f *memoryFloors
	for i, bytes := range []float64{3 * gib, gib, 4 * gib, 2 * gib, 5 * gib} {
		f = f.with(1e9, bytes, uint32(i))
	}
	var kept []uint32
	for i := range f.image {
		kept = append(kept, f.image[i])
	}
	want := [4]uint32{0, 4, 2, 3}
	for i := range want {
		if kept[i] != want[i] {
			t.Errorf("images %v, want %v: image 1 had the lowest floor", kept, want)
			break
		}
	}
	if got := f.least(1e9, 9); got < 6*gib {
		t.Errorf("floor for a new image %.0f, want that of the highest, 6 GiB", got)
	}
}
