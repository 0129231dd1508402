package main

import (
	"math"
	"slices"
)

// anew is how much more than the best a choice costs, as a share, where the best is not chosen by the windows that it is
// judged by. The least of twenty settings that cost about the same is the one whose windows happened to be cheap, which the
// next windows of it are not. So each repeat is left out in turn: the others say which setting is the best, and both are
// compared in the one left out. It is the mean of these, infinite where over is.
func (s searched) anew(f found) float64 {
	if math.IsInf(s.over(f), 1) || s.best.at < 0 {
		return s.over(f)
	}
	sum, n := 0.0, 0.0
	for k := range s.points[f.at].Uses {
		var others []outcome
		for _, p := range s.points {
			others = append(others, p.without(k))
		}
		if best := cheapest(others, s.scenario); best >= 0 {
			sum += s.points[f.at].costing(s.points[f.at].Uses[k])/s.points[best].costing(s.points[best].Uses[k]) - 1
			n++
		}
	}
	if n == 0 {
		return math.Inf(1) // kept by all repeats together, and by nothing in any lot of them
	}
	return sum / n
}

// overSure is how much more a choice costs, as a share, than the cheapest point of which every window kept the promise, which
// may be more than the best costs; infinite where over is. False: there is no such point.
func (s searched) overSure(f found) (float64, bool) {
	best := -1
	for i, p := range s.points {
		if p.keeps(s.scenario) && slices.Max(p.P99s) <= s.SLO.Seconds() && (best < 0 || p.month() < s.points[best].month()) {
			best = i
		}
	}
	switch over := s.over(f); {
	case best < 0:
		return 0, false
	case math.IsInf(over, 1):
		return over, true
	}
	return s.points[f.at].month()/s.points[best].month() - 1, true
}

// without is the outcome by all repeats but one; by all where there is no other.
func (o outcome) without(repeat int) outcome {
	if len(o.Uses) < 2 {
		return o
	}
	but := func(all []float64) float64 {
		m, _ := summary(slices.Delete(slices.Clone(all), repeat, repeat+1))
		return m
	}
	o.P99, o.Used = but(o.P99s), but(o.Uses)
	return o
}

// apart is the interval, of 90 %, in which a choice's cost over the best is by the repeats, each of which ran both:
// the mean of their ratios, as far as Student's t lets it be off. Where it reaches down to 0 the repeats cannot tell
// the two apart, though the best was chosen by these very repeats.
func (s searched) apart(f found) (low, high float64) {
	if f.at < 0 || s.best.at < 0 || f.at == s.best.at {
		return 0, 0
	}
	choice, best := s.points[f.at], s.points[s.best.at]
	n, sum, squares := float64(len(choice.Uses)), 0.0, 0.0
	for k, used := range choice.Uses {
		over := choice.costing(used)/best.costing(best.Uses[k]) - 1
		sum, squares = sum+over, squares+over*over
	}
	if n < 2 {
		return math.Inf(-1), math.Inf(1)
	}
	mean := sum / n
	off := student(int(n)-1) * math.Sqrt(max(0, squares/n-mean*mean)/(n-1))
	return mean - off, mean + off
}

// student is Student's t for 90 % on both sides.
func student(freedom int) float64 {
	few := []float64{6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833}
	return few[min(freedom, len(few))-1]
}
