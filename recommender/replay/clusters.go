package replay

import "math"

const (
	// together is the correlation of hourly means above which two series count as one.
	together = 0.9
	// commonHours is how many hours two series must share to be compared.
	commonHours = 24
	// constant is the square of the relative variation under which a series counts as constant: what rounding leaves.
	constant = 1e-20
	// stretch is after how many hours more it is asked whether two series can still be linked.
	stretch = 48
	// mostLeft is what a line may leave of the variation of a series that is linked; the millionth is for rounding.
	mostLeft = 1 - together*together + 1e-6
)

// Clusters numbers the groups of series that move together, from 0 by first occurrence: two whose hourly means
// correlate above 0.9 over the hours that both have are in one group, and so is everything linked to either.
// Every pair is compared that no third one has linked before, but most over a part of their hours only.
func Clusters(all []Series) []int {
	means := make([]hourly, len(all))
	leader := make([]int, len(all))
	for i, s := range all {
		means[i], leader[i] = hourlyMeans(s), i
	}
	for i := range means {
		for j := range i {
			if leaderOf(leader, i) != leaderOf(leader, j) && linked(&means[i], &means[j]) {
				join(leader, i, j)
			}
		}
	}
	return numbered(leader)
}

// linked says whether two series correlate above together.
//
// Of a's variation the best line through b leaves the share 1 - r². Over a part of the hours it leaves no more than over
// all, and a varies no more over the common hours than over all its own. So as soon as it leaves more than the share
// 1 - together² of the latter, r is smaller, whatever comes; and the same for b. Two series without relation take a fifth
// of their hours, those of r = 0.8 a half.
func linked(a, b *hourly) bool {
	xs, ys := common(a, b)
	var m moments
	for len(xs) > 0 {
		n := min(len(xs), stretch)
		m.add(xs[:n], ys[:n])
		xs, ys = xs[n:], ys[n:]
		if xx, yy, left := m.varied(); left*xx > mostLeft*a.variation || left*yy > mostLeft*b.variation {
			return false
		}
	}
	_, _, left := m.varied()
	return m.n >= commonHours && left < 1-together*together
}

// hourly is the mean of each hour of a series, from its first; NaN: no sample.
type hourly struct {
	first     int64
	means     []float64
	variation float64 // of them all, as moments have it
}

func hourlyMeans(s Series) hourly {
	if len(s.At) == 0 {
		return hourly{}
	}
	first, last := s.At[0]/3600, s.At[len(s.At)-1]/3600
	out := hourly{first: first, means: make([]float64, last-first+1)}
	counts := make([]float64, len(out.means))
	for k, at := range s.At {
		out.means[at/3600-first] += s.Used[k]
		counts[at/3600-first]++
	}
	for h := range out.means {
		out.means[h] /= counts[h] // 0/0 is NaN
	}
	var m moments
	m.add(out.means, out.means)
	out.variation, _, _ = m.varied()
	return out
}

// common is the part of both that is of the same hours.
func common(a, b *hourly) (ofA, ofB []float64) {
	first := max(a.first, b.first)
	last := min(a.first+int64(len(a.means)), b.first+int64(len(b.means)))
	if first >= last {
		return nil, nil
	}
	return a.means[first-a.first : last-a.first], b.means[first-b.first : last-b.first]
}

// moments are sums over pairs of x and y, both counted from the first pair.
type moments struct {
	n, x0, y0        float64
	x, y, xx, yy, xy float64
}

// add takes pairs; one that lacks x or y is none.
func (m *moments) add(xs, ys []float64) {
	s := *m
	for i, x := range xs {
		y := ys[i]
		if math.IsNaN(x + y) {
			continue
		}
		if s.n == 0 {
			s.x0, s.y0 = x, y
		}
		x, y = x-s.x0, y-s.y0
		s.n, s.x, s.y = s.n+1, s.x+x, s.y+y
		s.xx, s.yy, s.xy = s.xx+x*x, s.yy+y*y, s.xy+x*y
	}
	*m = s
}

// varied is how much each varies, as the sum of the squares by which it departs from its mean, 0 where rounding alone
// is left of a constant; and the share of that which a line of one through the other leaves, one that does not fall.
//
//	x 0 1 2, y 0 1 2 -> 2 2 0     x 0 1 0, y 0 2 1 -> 2/3 2 1/4     x 0 1 2, y 2 1 0 or 5 5 5 -> 2, 2 or 0, 1
func (m *moments) varied() (xx, yy, left float64) {
	if m.n == 0 {
		return 0, 0, 1
	}
	meanX, meanY := m.x/m.n, m.y/m.n
	least := func(mean float64) float64 { return constant * m.n * mean * mean }
	if xx = m.xx - m.x*meanX; xx <= least(m.x0+meanX) {
		xx = 0
	}
	if yy = m.yy - m.y*meanY; yy <= least(m.y0+meanY) {
		yy = 0
	}
	xy := m.xy - m.x*meanY
	if xx == 0 || yy == 0 || xy <= 0 {
		return xx, yy, 1
	}
	return xx, yy, 1 - xy*xy/(xx*yy)
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
