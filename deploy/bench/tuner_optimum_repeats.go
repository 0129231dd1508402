package main

import "math"

// overSure is how much more a choice costs, as a share, than the cheapest point of which every window that counts kept the promise, which
// may be more than the best costs; infinite where over is. False: there is no such point.
func (s searched) overSure(f found) (float64, bool) {
	best := -1
	for i, p := range s.points {
		if p.keeps(s.scenario) && p.slowest() <= s.SLO.Seconds() && (best < 0 || p.month() < s.points[best].month()) {
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

// apart is the interval, of 90 %, in which a choice's cost over the best is by the repeats, each of which ran both:
// the mean of their ratios, as far as Student's t lets it be off. Where it reaches down to 0 the repeats cannot tell
// the two apart, though the best was chosen by these very repeats.
func (s searched) apart(f found) (low, high float64) {
	if f.at < 0 || s.best.at < 0 || f.at == s.best.at {
		return 0, 0
	}
	ratios := s.points[f.at].ratios(s.points[s.best.at], evenly)
	n, sum, squares := float64(len(ratios)), 0.0, 0.0
	for _, over := range ratios {
		sum, squares = sum+over, squares+over*over
	}
	if n < 2 {
		return math.Inf(-1), math.Inf(1)
	}
	mean := sum / n
	off := student(len(ratios)-1) * math.Sqrt(max(0, squares/n-mean*mean)/(n-1))
	return mean - off, mean + off
}

// student is Student's t for 90 % on both sides.
func student(freedom int) float64 {
	few := []float64{6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833}
	return few[min(freedom, len(few))-1]
}
