package capacity

import (
	"cmp"
	"math"
	"slices"
)

// ratio is ln(realised/predicted) of a pair, and what it counts.
type ratio struct {
	log    float64
	recent float64 // what it counts by its age
	weight float64 // what it counts in a mean: less where the pace of computing explains a part of it
}

type ratios []ratio

// fewRatios is how many it takes to tell what is usual from what is not.
const fewRatios = 8

// ratiosOf are the pairs' ratios: the newest counts 1, one that is pairsHalfLife pairs older half of that. What is far
// from the others counts as the farthest that is not: four times the usual distance from the median. Of few none is
// far from the others: where two of four agree, the other two may be right.
//
// Where a latency was steep, the pace of computing makes it vary, too, and it counts by as much less as that makes of its
// variance: with a width of no knowledge of 0.06, a pace that is off by 0.05 and a latency as steep as 1.2, a half.
func ratiosOf(pairs []Pair, pace float64) ratios {
	all := make(ratios, len(pairs))
	for i, p := range pairs {
		age := float64(len(pairs) - 1 - i)
		log := math.Log(float64(p.Realised) / float64(p.Predicted))
		recent, by := math.Exp2(-age/pairsHalfLife), p.Steep*pace/priorWidth
		all[i] = ratio{min(max(log, -1), 1), recent, recent / (1 + by*by)}
	}
	if len(all) < fewRatios {
		return all
	}
	middle := all.median(func(r ratio) float64 { return r.log })
	usual := 1.4826 * all.median(func(r ratio) float64 { return math.Abs(r.log - middle) })
	far := 4 * max(usual, leastWidth)
	for i := range all {
		all[i].log = min(max(all[i].log, middle-far), middle+far)
	}
	return all
}

// median is the weighted median.
func (all ratios) median(of func(ratio) float64) float64 {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b ratio) int { return cmp.Compare(of(a), of(b)) })
	half := all.total() / 2
	for _, r := range sorted {
		if half -= r.weight; half <= 0 {
			return of(r)
		}
	}
	return 0 // unreachable unless bug
}

func (all ratios) total() float64 {
	sum := 0.0
	for _, r := range all {
		sum += r.weight
	}
	return sum
}

// recent is the sum of what they count by their age.
func (all ratios) recent() float64 {
	sum := 0.0
	for _, r := range all {
		sum += r.recent
	}
	return sum
}

// count is how many pairs of equal weight would say as much.
func (all ratios) count() float64 {
	squares := 0.0
	for _, r := range all {
		squares += r.weight * r.weight
	}
	return all.total() * all.total() / squares
}

// bias is the weighted mean, shrunk by how well it is known: to the share that a bias has of what both a bias and
// chance make of such a mean. Chance is its variance; the bias is what the mean's square has beyond that, but no more
// than priorBias says, for the model is rarely far off, and windows that lie alike. So windows that agree move it
// the more the more there are, and windows that contradict each other do not move it.
//
//	ratios      mean  deviation, of the mean       bias
//	0.3         0.3   2 x 0.06                     0.3 x 0.01/(0.01 + 0.0144) = 0.12
//	0.3, 0.3    0.3   1.5 x 0.049 ÷ 1.41 = 0.052   0.3 x 0.01/(0.01 + 0.0027) = 0.24
//	0.3, -0.1   0.1   1.5 x 0.17 ÷ 1.41 = 0.18     0
func (all ratios) bias() float64 {
	sum := 0.0
	for _, r := range all {
		sum += r.weight * r.log
	}
	mean := sum / all.total()
	width := all.width(mean) * (1 + 1/all.count()) // a width from few is itself uncertain
	chance := width * width / all.count() * all.recent() / all.total()
	own := min(priorBias*priorBias, max(0, mean*mean-chance))
	return mean * own / (own + chance)
}

// width is the weighted standard deviation about a bias, as if some pairs with the width of no knowledge had been seen
// before: 4 with one pair, fewer with more.
func (all ratios) width(bias float64) float64 {
	const width2 = priorWidth * priorWidth
	sum := 0.0
	for _, r := range all {
		sum += r.weight * (r.log - bias) * (r.log - bias)
	}
	before := 4 / float64(len(all))
	free := all.recent() * (1 - 1/all.count()) // one is spent on the mean
	return max(leastWidth, math.Sqrt((sum+before*width2)/(free+before)))
}
