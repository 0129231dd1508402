package replay

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

const clairvoyantShare = 0.99

// Clairvoyant is a bound by hindsight, not a rule: k times a day, counted from the first sample, it asks for the
// 99th percentile of what will be used until its next decision. The first day has no request.
func Clairvoyant(k int) Maker {
	about := fmt.Sprintf("hindsight: p99 of the %d h to come", 24/k)
	return Maker{fmt.Sprintf("clairvoyant-%d", k), about, func(s Series) Rule {
		return &clairvoyant{schedule: schedule{every: day / int64(k)}, s: s, request: math.NaN()}
	}}
}

type clairvoyant struct {
	schedule
	s       Series
	request float64
}

func (c *clairvoyant) Request(at int64) float64 {
	if edge, ok := c.due(at); ok && edge-c.first >= day {
		i := sort.Search(len(c.s.At), func(i int) bool { return c.s.At[i] >= edge })
		j := sort.Search(len(c.s.At), func(i int) bool { return c.s.At[i] >= edge+c.every })
		coming := slices.Clone(c.s.Used[i:j])
		slices.Sort(coming)
		c.request = max(percentileOf(coming, clairvoyantShare), c.s.Floor)
	}
	return c.request
}

func (c *clairvoyant) Seen(int64, float64) {}
