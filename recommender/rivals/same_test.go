package main

import (
	"maps"
	"math"
	"slices"
	"testing"

	"trimtab.dev/trimtab/recommender/replay"
)

// The re-implementation keeps fractions where the autoscaler cuts to whole
// millicores or bytes, twice: once for the percentile, once for the margin. Else
// the two must fall into the same range of the histogram, and so be within the
// width of one: 5 %.
const (
	oneRange = 1.05
	cut      = 0.002 // cores
)

// pairs are the genuine rows and the re-implemented row of each.
func pairs(unit string) map[string][2]replay.Maker {
	own := map[string]replay.Maker{}
	for _, m := range shared.makers(unit) {
		own[m.Name] = m
	}
	if unit == replay.Bytes {
		return map[string][2]replay.Maker{"daily": {own["genuine-vpa"], replay.VPAMemory()}}
	}
	return map[string][2]replay.Maker{
		"daily":    {own["genuine-vpa"], replay.VPA()},
		"hourly":   {own["genuine-vpa-hourly"], replay.VPAHourly()},
		"recreate": {own["genuine-vpa-recreate"], replay.VPAUpdater(false)},
		"inplace":  {own["genuine-vpa-inplace"], replay.VPAUpdater(true)},
	}
}

// apart counts the samples at which two lines are more than a range apart, or of
// which one has a request and the other has none; first is the first of them.
func apart(a, b []float64) (count, first int) {
	for i := range a {
		low, high := min(a[i], b[i]), max(a[i], b[i])
		if math.IsNaN(a[i]) == math.IsNaN(b[i]) && !(high > low*oneRange+cut) {
			continue
		}
		if count == 0 {
			first = i
		}
		count++
	}
	return count, first
}

// The re-implemented rules decide what the genuine ones decide: the same request
// within a range of the histogram at every sample, and as many resizes.
func TestSameDecisions(t *testing.T) {
	for _, unit := range []string{replay.Cores, replay.Bytes} {
		for _, rule := range slices.Sorted(maps.Keys(pairs(unit))) {
			pair := pairs(unit)[rule]
			for _, shape := range slices.Sorted(maps.Keys(shapes())) {
				t.Run(unit+"/"+rule+"/"+shape, func(t *testing.T) {
					same(t, synthetic(shape, unit), pair)
				})
			}
		}
	}
}

func same(t *testing.T, s replay.Series, pair [2]replay.Maker) {
	genuine, ours := replay.Run(pair[0], s), replay.Run(pair[1], s)
	if n, i := apart(genuine, ours); n > 0 {
		t.Errorf("%d samples apart, first %d: the autoscaler asks for %g, the re-implementation for %g", n, i, genuine[i], ours[i])
	}
	if a, b := resized(s, genuine), resized(s, ours); a != b {
		t.Errorf("the autoscaler resizes %d times, the re-implementation %d times", a, b)
	}
}

// resized counts the resizes of a line as the table does.
func resized(s replay.Series, line []float64) int {
	return replay.Score(s, line, replay.Standard(0)).Resizes
}

// The one known difference: the baselines, and so the re-implementation, drop a
// day's peak of memory after eight days, while the autoscaler lets it fade. What is
// dropped weighs 2^-8 of the whole, so it counts on a few days at most, and only to
// ask for less than the autoscaler does.
func TestOldPeaksFade(t *testing.T) {
	for seed := range 20 {
		s := replay.Series{Unit: replay.Bytes, Floor: replay.BytesFloor}
		for i := range 12 * 7 * 24 {
			s.At = append(s.At, start+3600*int64(i))
			s.Used = append(s.Used, whole(1+9*ripple(i/24, seed), replay.Bytes))
		}
		pair := pairs(replay.Bytes)["daily"]
		genuine, ours := replay.Run(pair[0], s), replay.Run(pair[1], s)
		if n, _ := apart(genuine, ours); n > len(genuine)/20 {
			t.Errorf("seed %d: %d of %d samples apart, want a twentieth at most", seed, n, len(genuine))
		}
		for i := range genuine {
			if genuine[i]*oneRange < ours[i] {
				t.Fatalf("seed %d, sample %d: the autoscaler asks for %g, less than the re-implementation's %g", seed, i, genuine[i], ours[i])
			}
		}
	}
}

// A day whose first sample is no memory at all is a day without a peak to the
// autoscaler; no running container has one, so it is fed a byte there and the day
// keeps its peak.
func TestNoMemoryIsAByte(t *testing.T) {
	s := replay.Series{Unit: replay.Bytes, Floor: replay.BytesFloor}
	for i := range 6 * 24 {
		used := 4.0 * (1 << 30)
		if i%24 < 2 {
			used = 0
		}
		s.At, s.Used = append(s.At, start+3600*int64(i)), append(s.Used, used)
	}
	line := replay.Run(shared.makers(replay.Bytes)[0], s)
	if got := line[len(line)-1]; got < 4*(1<<30) {
		t.Errorf("request %.0f bytes, under the 4 GiB that are used 22 hours of every day", got)
	}
}
