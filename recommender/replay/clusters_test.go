package replay

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestClusters(t *testing.T) {
	wave := func(phase, scale float64) func(int64) float64 {
		return func(at int64) float64 { return 2*scale + scale*math.Sin(float64(at)/7000+phase) }
	}
	all := []Series{
		made(600, 4, wave(0, 1)), made(600, 4, wave(1.57, 1)), made(300, 4, wave(0, 5)), // the same, twice as often and larger
		made(600, 4, flat(0.1)), made(600, 4, flat(0.1)), // no variation: nothing to compare
		made(600, 4, wave(0.35, 1)), made(600, 4, wave(0.7, 1)), // cos 0.35 = 0.94, cos 0.7 = 0.76: linked through the first
		made(600, 4, wave(2.17, 1)), // cos 0.6 = 0.83 with the second: not enough
		{ID: "empty"},
	}
	want := []int{0, 1, 0, 2, 3, 0, 0, 4, 5}
	got := Clusters(all)
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	if len(Clusters(nil)) != 0 {
		t.Error("clusters of nothing")
	}
}

// correlation is the twin, in two passes over all hours: Pearson's over the hours that both have; 0 with too few of them or without variation.
//
//	1 2 3 and 2 4 6 -> 1     1 2 3 and 3 2 1 -> -1     (were three hours enough)
func correlation(a, b []float64) float64 {
	n, meanA, meanB := 0.0, 0.0, 0.0
	for h := range a {
		if !math.IsNaN(a[h] + b[h]) {
			n++
			meanA += a[h]
			meanB += b[h]
		}
	}
	if n < commonHours {
		return 0
	}
	meanA, meanB = meanA/n, meanB/n
	var aa, bb, ab float64
	for h := range a {
		if da, db := a[h]-meanA, b[h]-meanB; !math.IsNaN(da + db) {
			aa, bb, ab = aa+da*da, bb+db*db, ab+da*db
		}
	}
	if aa <= constant*n*meanA*meanA || bb <= constant*n*meanB*meanB {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// TestClustersAsOfAllPairs: fleets whose series share waves, spikes and levels more or less, with noise that leaves many
// pairs near the limit, holes, and days before or after those of the others.
func TestClustersAsOfAllPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pairs, links := 0, 0
	for fleet := range 30 {
		all := make([]Series, 40)
		means, leader := make([]hourly, len(all)), make([]int, len(all))
		for i := range all {
			all[i] = someSeries(random)
			means[i], leader[i] = hourlyMeans(all[i]), i
			for j := range i {
				r, got := correlation(common(&means[i], &means[j])), linked(&means[i], &means[j])
				if got != (r > together) {
					t.Fatalf("fleet %d: %d and %d correlate by %v, linked: %v", fleet, i, j, r, got)
				}
				if pairs++; r > together {
					links++
					join(leader, i, j)
				}
			}
		}
		if got, want := Clusters(all), numbered(leader); !slices.Equal(got, want) {
			t.Fatalf("fleet %d: %v, want %v", fleet, got, want)
		}
	}
	if links < pairs/20 || links > pairs/2 {
		t.Errorf("of %d pairs %d are linked: too few of one kind to tell", pairs, links)
	}
}

// TestVaried: by hand.
func TestVaried(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		x, y         []float64
		xx, yy, left float64
	}{
		{nil, nil, 0, 0, 1},
		{[]float64{0, 1, 2}, []float64{7, 8, 9}, 2, 2, 0},
		{[]float64{0, nan, 1, 2, 5}, []float64{7, 3, 8, 9, nan}, 2, 2, 0},
		{[]float64{0, 1, 0}, []float64{0, 2, 1}, 2. / 3, 2, 1. / 4}, // xy is 1
		{[]float64{0, 1, 2}, []float64{2, 1, 0}, 2, 2, 1},
		{[]float64{0, 1, 2}, []float64{5, 5, 5}, 2, 0, 1},
		{[]float64{1e9, 1e9 + 1, 1e9}, []float64{1e9, 1e9 + 2, 1e9 + 1}, 2. / 3, 2, 1. / 4},
		{[]float64{1, 2}, []float64{1, 1 + 1e-12}, 0.5, 0, 1}, // what rounding leaves
	} {
		var m moments
		m.add(tt.x, tt.y)
		xx, yy, left := m.varied()
		if math.Abs(xx-tt.xx) > 1e-12 || math.Abs(yy-tt.yy) > 1e-12 || math.Abs(left-tt.left) > 1e-12 {
			t.Errorf("%v and %v: %v %v %v, want %v %v %v", tt.x, tt.y, xx, yy, left, tt.xx, tt.yy, tt.left)
		}
	}
}

// TestLinkedEarly: waves a quarter apart, whose 480 hours vary by 240 each, cannot be linked if they vary by 1200 in all:
// that is more than 0.19 of it. So what comes later is not looked at: here ten times as much of the same wave, against
// what was said of the variation.
func TestLinkedEarly(t *testing.T) {
	a, b := hourly{means: make([]float64, 2400)}, hourly{means: make([]float64, 2400)}
	for h := range a.means {
		a.means[h], b.means[h] = math.Sin(float64(h)*math.Pi/12), math.Cos(float64(h)*math.Pi/12)
		if h >= 480 {
			a.means[h] *= 10
			b.means[h] = a.means[h]
		}
	}
	for variation, want := range map[float64]bool{1200: false, 240 + 100*960: true} { // the second is true
		if a.variation, b.variation = variation, variation; linked(&a, &b) != want {
			t.Errorf("with a variation of %g: linked: %v", variation, !want)
		}
	}
}

// someSeries is up to eight days of hours, some of them missing.
func someSeries(random *rand.Rand) Series {
	var s Series
	first := random.Int64N(4) * 48
	level, noise, spike := []float64{0, 1, 1e6}[random.IntN(3)], random.Float64()*0.5, random.Float64() < 0.3
	phase := []float64{0, 0.3, 2}[random.IntN(3)]
	for h := first; h < 192; h++ {
		if random.Float64() < 0.1 {
			continue
		}
		used := level + 1 + math.Sin(float64(h)/4+phase) + noise*random.NormFloat64()
		if spike && h%37 == 0 {
			used += 20
		}
		s.At, s.Used = append(s.At, h*3600), append(s.Used, max(0, used))
	}
	return s
}
