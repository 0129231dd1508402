package curve

import "math"

const (
	firmer = 0.7  // the other form must leave this share of the error, or the form stays
	noise  = 1e-4 // squared relative error that is nothing: 1 %, so that forms do not change over it
)

// fit is the line through the points, in the form of several that leaves the least error; form is the one so far and
// becomes the one chosen. One point alone is a flat line: nobody knows what a row costs until batches of
// two sizes ran.
func fit(points []point, form *Form, among ...Form) Line {
	switch len(points) {
	case 0:
		return Line{}
	case 1:
		return Line{Fixed: points[0].seconds}
	}
	chosen := robust(points, solvers[*form])
	least := firmer * (misfit(points, chosen) + noise)
	for _, other := range among {
		l := robust(points, solvers[other])
		if m := misfit(points, l) + noise; other != *form && m < least {
			chosen, least, *form = l, m, other
		}
	}
	return chosen
}

var solvers = [...]func([]point) Line{Linear: linear, Hinge: hinge, Doubling: doubling}

// misfit is the weighted mean of the squared relative errors, where an error beyond half counts as half:
// one bucket that is far off says no more than that it is off.
func misfit(points []point, l Line) float64 {
	sum, weights := 0.0, 0.0
	for _, p := range points {
		off := min(math.Abs(l.At(p.rows)-p.seconds)/p.seconds, 0.5)
		sum += p.weight * off * off
		weights += p.weight
	}
	return sum / weights
}

// robust solves, and twice again with less weight for points that the line before is far from.
func robust(points []point, solve func([]point) Line) Line {
	l := solve(points)
	again := make([]point, len(points))
	for range 2 {
		for i, p := range points {
			p.weight *= huber(p, l)
			again[i] = p
		}
		l = solve(again)
	}
	return l
}

// huber is what of its weight a point keeps: all up to a relative error of 10 %, less beyond.
func huber(p point, l Line) float64 {
	return min(1, 0.1*p.seconds/math.Abs(l.At(p.rows)-p.seconds))
}

// linear fits Fixed + PerRow*rows by least squares of the relative errors, with both numbers at 0 or more.
func linear(points []point) Line { return straight(points, identity) }

// doubling fits Fixed + PerRow*log2(rows) in the same way, with PerRow at Fixed at most.
func doubling(points []point) Line {
	l := straight(points, math.Log2)
	l.Form = Doubling
	if l.PerRow > l.Fixed {
		l.Fixed = proportionTo(points, func(rows float64) float64 { return 1 + math.Log2(rows) })
		l.PerRow = l.Fixed
	}
	return l
}

// proportionTo is the seconds of a unit of what at says of the rows, by least squares of the relative errors.
func proportionTo(points []point, at func(rows float64) float64) float64 {
	above, below := 0.0, 0.0
	for _, p := range points {
		r := at(p.rows) / p.seconds
		above += p.weight * r
		below += p.weight * r * r
	}
	return above / below
}

func identity(rows float64) float64 { return rows }

// straight is the straight line over what at says of the rows.
func straight(points []point, at func(rows float64) float64) Line {
	var s, x, xx, y, xy float64 // sums over weight/seconds²
	for _, p := range points {
		w, rows := p.weight/(p.seconds*p.seconds), at(p.rows)
		s += w
		x += w * rows
		xx += w * rows * rows
		y += w * p.seconds
		xy += w * rows * p.seconds
	}
	l := Line{Fixed: (xx*y - x*xy) / (s*xx - x*x), PerRow: (s*xy - x*y) / (s*xx - x*x)}
	switch {
	case !(l.PerRow >= 0): // also where all points have the same rows: not a number
		return Line{Fixed: y / s}
	case l.Fixed < 0:
		return Line{PerRow: xy / xx}
	}
	return l
}

// hinge fits max(Fixed, PerRow*rows): it tries each place for the knee, with the points before it flat and
// those after it in proportion, and keeps the best. The points are in the order of their rows.
func hinge(points []point) Line {
	best, least := Line{Form: Hinge}, math.Inf(1)
	for knee := 1; knee < len(points); knee++ {
		l := Line{Form: Hinge, Fixed: flat(points[:knee]), PerRow: proportionTo(points[knee:], identity)}
		if m := misfit(points, l); m < least {
			best, least = l, m
		}
	}
	return best
}

func flat(points []point) float64 {
	above, below := 0.0, 0.0
	for _, p := range points {
		above += p.weight / p.seconds
		below += p.weight / (p.seconds * p.seconds)
	}
	return above / below
}
