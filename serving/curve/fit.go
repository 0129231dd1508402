package curve

import "math"

const (
	firmer = 0.7  // the other form must leave this share of the error, or the form stays
	noise  = 1e-4 // squared relative error that is nothing: 1 %, so that forms do not change over it
)

// fit is the line through the points, in the form that leaves less error; form is the one so far and
// becomes the one chosen. One point alone is a flat line: nobody knows what a row costs until batches of
// two sizes ran.
func fit(points []point, form *Form) Line {
	switch len(points) {
	case 0:
		return Line{}
	case 1:
		return Line{Fixed: points[0].seconds}
	}
	lines := [...]Line{Linear: robust(points, linear), Hinge: robust(points, hinge)}
	other := Hinge - *form
	if misfit(points, lines[other])+noise < firmer*(misfit(points, lines[*form])+noise) {
		*form = other
	}
	return lines[*form]
}

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
func linear(points []point) Line {
	var s, x, xx, y, xy float64 // sums over weight/seconds²
	for _, p := range points {
		w := p.weight / (p.seconds * p.seconds)
		s += w
		x += w * p.rows
		xx += w * p.rows * p.rows
		y += w * p.seconds
		xy += w * p.rows * p.seconds
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
		l := Line{Form: Hinge, Fixed: flat(points[:knee]), PerRow: proportion(points[knee:])}
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

func proportion(points []point) float64 {
	above, below := 0.0, 0.0
	for _, p := range points {
		r := p.rows / p.seconds
		above += p.weight * r
		below += p.weight * r * r
	}
	return above / below
}
