package curve

// Spread is what batches took of what is usual for their size, as quantiles: 1 is exactly that. By how much Wall says
// something else of a size is Curve.Error. The zero Spread is not known.
type Spread struct {
	P10 float64 `json:"p10"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Known reports whether there is a spread.
func (s Spread) Known() bool { return s.P50 > 0 }

// At is the quantile p, 0 to 1: on straight lines between those that are known, which end a quarter as far below
// P10 as P50 is above it, and half as far above P99 as P90 is below it. Where nothing is known it is 1. For
// quantiles of 0.96, 1, 1.08 and 1.28:
//
//	p   0     0.1   0.3   0.5  0.9   0.99  1
//	    0.95  0.96  0.98  1    1.08  1.28  1.38
func (s Spread) At(p float64) float64 {
	if !s.Known() {
		return 1
	}
	between := func(from, to, low, high float64) float64 { return low + (high-low)*(p-from)/(to-from) }
	switch {
	case p < 0.1:
		return between(0, 0.1, max(0, s.P10-(s.P50-s.P10)/4), s.P10)
	case p < 0.5:
		return between(0.1, 0.5, s.P10, s.P50)
	case p < 0.9:
		return between(0.5, 0.9, s.P50, s.P90)
	case p < 0.99:
		return between(0.9, 0.99, s.P90, s.P99)
	}
	return between(0.99, 1, s.P99, s.P99+(s.P99-s.P90)/2)
}

// Mean is the mean of what batches took of what is usual: between the quantiles all are as likely.
func (s Spread) Mean() float64 {
	if !s.Known() {
		return 1
	}
	sum, ends := 0.0, [...]float64{0, 0.1, 0.5, 0.9, 0.99, 1}
	for i, end := range ends[1:] {
		sum += s.At((ends[i]+end)/2) * (end - ends[i])
	}
	return sum
}

const (
	few      = 10   // samples that it takes to tell a spread
	fine     = 256  // cells to 1 in which ratios are counted
	most     = 4    // ratios beyond this count as it
	rounding = 1e-9 // what may be left of a weight
)

// spread counts what the samples took of what the line says, times what is usual in their bucket: a size that lies beside
// the line is not one whose batches differ, and would make queues seem longer than they are. Samples weigh as their bucket does in the fit, so
// that sizes which no longer run do not blur those that do.
func (f *Fitter) spread(wall Line) Spread {
	var cells [fine * most]float64
	total, samples := 0.0, 0
	for i := range f.buckets {
		b := &f.buckets[i]
		if len(b.samples) == 0 {
			continue
		}
		weight := b.weight(f.samples) / float64(len(b.samples))
		samples += len(b.samples)
		total += weight * float64(len(b.samples))
		usual := b.beside(wall)
		for _, s := range b.samples {
			if says := usual * wall.At(s.rows); says > 0 {
				cells[min(len(cells)-1, int(min(s.wall/says, most)*fine))] += weight
			}
		}
	}
	if samples < few {
		return Spread{}
	}
	q := quantiles(&cells, [...]float64{0.1 * total, 0.5 * total, 0.9 * total, 0.99 * total})
	return Spread{P10: q[0], P50: q[1], P90: q[2], P99: q[3]}
}

// beside is what is usual in a bucket of what the line says; 1 of samples too few to tell.
func (b *bucket) beside(wall Line) float64 {
	if len(b.samples) < few {
		return 1
	}
	return b.middle(make([]float64, 0, kept), func(s sample) float64 {
		if says := wall.At(s.rows); says > 0 {
			return s.wall / says
		}
		return 1
	})
}

// quantiles are the ratios below which there are so many of the weights, as if ratios were even in their cells.
func quantiles(cells *[fine * most]float64, ranks [4]float64) (at [4]float64) {
	sum, next := 0.0, 0
	for i, weight := range cells {
		for next < len(ranks) && weight > 0 && sum+weight >= ranks[next]-rounding {
			part := min(max((ranks[next]-sum)/weight, 0), 1)
			at[next] = (float64(i) + part) / fine
			next++
		}
		sum += weight
	}
	return at
}
