package curve

import "math"

// Loaded is the lines, with bends, through the means of the batches that requests made. Wall and CPU of a Curve go through middles,
// the self-profile's among them, and are deaf to two things: under a load a batch begins when the caches have gone cold,
// and some batches take far longer than the middle. The server decides by the middles, who plans for it pays the means.
// The zero Loaded is not known.
type Loaded struct {
	Wall Line `json:"wall"` // of which neighbours' stretching is cut as Curve's is
	CPU  Line `json:"cpu"`
}

// steady is over how many batches of a size a mean goes: as many as tell it within 1 or 2 %, and no more, for the pace of a
// core changes for seconds at a time.
const steady = 512

// mean is what the batches of a bucket took on average, the newest of them counting most once there are many.
type mean struct{ n, rows, wall, cpu float64 }

func (m *mean) add(s sample) {
	m.n = min(m.n+1, steady)
	m.rows += (s.rows - m.rows) / m.n
	m.wall += (s.wall - m.wall) / m.n
	m.cpu += (s.cpu - m.cpu) / m.n
}

// UnderLoad is the curve as batches that requests made follow it on average; as it is where none are known. Its Wall is the
// middle that has such a mean by the curve's own Spread.
func (c Curve) UnderLoad() Curve {
	l := c.Loaded
	c.Loaded = Loaded{}
	if l == c.Loaded {
		return c
	}
	c.Wall, c.CPU = l.Wall.Times(1/c.Spread.Mean()), l.CPU
	return c
}

// Loaded fits the lines through the means; it costs as much as Curve. A size that only the self-profile ran takes what it
// took there, times what batches of the nearest size that ran take of what the self-profile says of that.
//
//	profile: rows, CPU             batches: rows, CPU   points
//	1, 100 us; 2, 110; 4, 130      1, 200 us            1, 200; 2, 220; 4, 260: twice the profile's
//	1, 100 us; 2, 110; 4, 130      1, 200; 4, 195       1, 200; 2, 220; 4, 195: 1 and 4 are as near to 2, the smaller one counts
func (f *Fitter) Loaded() Loaded {
	ran := f.means(func(b *bucket) (mean, bool) { return b.live, b.live.n >= few })
	if len(ran) == 0 {
		return Loaded{}
	}
	form := Linear
	warm := fit(cpuOf(f.means(func(b *bucket) (mean, bool) { return b.profile, b.profile.n > 0 })), &form, Linear, Hinge)
	points := f.means(func(b *bucket) (mean, bool) {
		if b.live.n >= few {
			return b.live, true
		}
		near := nearest(ran, b.profile.rows)
		said := warm.At(near.rows)
		if its := f.buckets[place(int(math.Round(near.rows)))].profile; its.n > 0 {
			said = its.cpu
		}
		return b.profile.times(near.cpu / said), b.profile.n > 0
	})
	return Loaded{Wall: bent(wallOf(points), &f.loadedWall), CPU: bent(cpuOf(points), &f.loadedCPU)}
}

// bent is the line through points with the bends that bring it to each, as far as that is believed.
func bent(points []point, form *Form) Line {
	l := fit(points, form, Linear, Hinge, Doubling)
	if len(points) > 0 && l.At(1) > 0 {
		l.Bends = bends(points, l)
	}
	return l
}

// weighed is a mean with its weight in the fit.
type weighed struct {
	mean
	weight float64
}

// means are those of the buckets that have one. What the self-profile says is as old as it is new: it counts whole.
func (f *Fitter) means(of func(*bucket) (mean, bool)) []weighed {
	var all []weighed
	for i := range f.buckets {
		b := &f.buckets[i]
		m, ok := of(b)
		if !ok || !(m.cpu > 0) || math.IsInf(m.cpu+m.wall, 0) {
			continue
		}
		if b.live.n >= few {
			m.n *= b.new(f.samples)
		}
		all = append(all, weighed{m, b.weight(f.samples)})
	}
	return all
}

// times is a mean of batches that take so many times as long.
func (m mean) times(by float64) mean {
	m.wall, m.cpu = by*m.wall, by*m.cpu
	return m
}

func cpuOf(all []weighed) (points []point) {
	for _, m := range all {
		points = append(points, point{rows: m.rows, seconds: m.cpu, weight: m.weight, count: m.n})
	}
	return points
}

func wallOf(all []weighed) (points []point) {
	for _, m := range all {
		points = append(points, point{rows: m.rows, seconds: m.wall, weight: m.weight, count: m.n})
	}
	return points
}

// nearest is the mean of the nearest size by their ratio, the smaller one of two.
func nearest(all []weighed, rows float64) weighed {
	best := all[0]
	for _, p := range all[1:] {
		if math.Abs(math.Log(p.rows/rows)) < math.Abs(math.Log(best.rows/rows))-1e-9 {
			best = p
		}
	}
	return best
}
