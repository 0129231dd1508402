package replay

import "math"

const (
	// together is the correlation of hourly means above which two series count as one.
	together = 0.9
	// commonHours is how many hours two series must share to be compared.
	commonHours = 24
	// constant is the square of the relative variation under which a series counts as constant: what rounding leaves.
	constant = 1e-20
)

// Clusters numbers the groups of series that move together, from 0 by first occurrence: two whose hourly means
// correlate above 0.9 over the hours that both have are in one group, and so is everything linked to either.
// It compares every pair: 170 series of 90 days take well under a second, ten times as many a hundred times as long.
func Clusters(all []Series) []int {
	means := make([]hourly, len(all))
	leader := make([]int, len(all))
	for i, s := range all {
		means[i], leader[i] = hourlyMeans(s), i
	}
	for i := range means {
		for j := range i {
			if correlation(common(means[i], means[j])) > together {
				join(leader, i, j)
			}
		}
	}
	return numbered(leader)
}

// hourly is the mean of each hour of a series, from its first; NaN: no sample.
type hourly struct {
	first int64
	means []float64
}

func hourlyMeans(s Series) hourly {
	if len(s.At) == 0 {
		return hourly{}
	}
	first, last := s.At[0]/3600, s.At[len(s.At)-1]/3600
	out := hourly{first, make([]float64, last-first+1)}
	counts := make([]float64, len(out.means))
	for k, at := range s.At {
		out.means[at/3600-first] += s.Used[k]
		counts[at/3600-first]++
	}
	for h := range out.means {
		out.means[h] /= counts[h] // 0/0 is NaN
	}
	return out
}

// common is the part of both that is of the same hours.
func common(a, b hourly) (ofA, ofB []float64) {
	first := max(a.first, b.first)
	last := min(a.first+int64(len(a.means)), b.first+int64(len(b.means)))
	if first >= last {
		return nil, nil
	}
	return a.means[first-a.first : last-a.first], b.means[first-b.first : last-b.first]
}

// correlation is Pearson's over the hours that both have; 0 with too few of them or without variation.
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

// join puts the groups of i and j under the smaller leader.
func join(leader []int, i, j int) {
	a, b := leaderOf(leader, i), leaderOf(leader, j)
	leader[max(a, b)] = min(a, b)
}

func leaderOf(leader []int, i int) int {
	for leader[i] != i {
		i = leader[i]
	}
	return i
}

func numbered(leader []int) []int {
	out, next := make([]int, len(leader)), 0
	for i := range leader {
		if l := leaderOf(leader, i); l != i { // a leader comes before those it leads
			out[i] = out[l]
			continue
		}
		out[i] = next
		next++
	}
	return out
}
