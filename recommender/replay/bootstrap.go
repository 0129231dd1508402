package replay

import "slices"

// draws is how many fleets are drawn for an interval; 25 of a thousand lie outside on each side.
const draws = 1000

// intervals draws as many clusters as there are, with repetition, and reads the spread of the figures.
func (s *Summary) intervals(all []Scored) {
	groups := byCluster(all)
	if len(groups) == 0 {
		return
	}
	random := generator(1) // the same every time: same input, same bytes
	means, pools := make([]Measures, draws), make([]Measures, draws)
	for i := range draws {
		means[i], pools[i] = drawn(groups, &random)
	}
	s.MeanLow, s.MeanHigh = spread(means)
	s.PooledLow, s.PooledHigh = spread(pools)
}

// group is the series of one cluster, summed.
type group struct {
	sum    Measures
	series int
	pool   pool
}

// byCluster is the groups by ascending cluster.
func byCluster(all []Scored) []group {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Scored) int { return a.Cluster - b.Cluster })
	var out []group
	for i, s := range sorted {
		if i == 0 || s.Cluster != sorted[i-1].Cluster {
			out = append(out, group{})
		}
		g := &out[len(out)-1]
		g.sum = g.sum.each(measures(s.Scores), add)
		g.series++
		g.pool.add(s.Scores)
	}
	return out
}

// drawn is the figures of one drawn fleet.
func drawn(groups []group, random *generator) (mean, pooled Measures) {
	var sum Measures
	var all pool
	series := 0
	for range groups {
		g := groups[random.below(len(groups))]
		sum = sum.each(g.sum, add)
		series += g.series
		all.join(g.pool)
	}
	return perSeries(sum, series, !all.blind), all.measures()
}

func (p *pool) join(o pool) {
	p.sums.request += o.sums.request
	p.sums.used += o.sums.used
	p.sums.above += o.sums.above
	p.sums.idle += o.sums.idle
	p.sums.granted += o.sums.granted
	p.over += o.over
	p.samples += o.samples
	p.blind = p.blind || o.blind
}

// spread is the 2.5th and the 97.5th percentile of each figure.
func spread(drawn []Measures) (low, high Measures) {
	of := func(figure func(Measures) float64) (low, high float64) {
		values := make([]float64, len(drawn))
		for i, m := range drawn {
			values[i] = figure(m)
		}
		slices.Sort(values)
		return percentileOf(values, 0.025), percentileOf(values, 0.975)
	}
	low.Over, high.Over = of(func(m Measures) float64 { return m.Over })
	low.Ratio, high.Ratio = of(func(m Measures) float64 { return m.Ratio })
	low.Unmet, high.Unmet = of(func(m Measures) float64 { return m.Unmet })
	low.Slack, high.Slack = of(func(m Measures) float64 { return m.Slack })
	return low, high
}

// generator is splitmix64 (Steele, Lea and Flood, OOPSLA 2014): small, even and the same on every machine.
type generator uint64

func (g *generator) next() uint64 {
	*g += 0x9e3779b97f4a7c15
	z := uint64(*g)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is a number from 0 to n-1; its bias is under n/2^64.
func (g *generator) below(n int) int { return int(g.next() % uint64(n)) }
